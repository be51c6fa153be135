"""Redis key names. One hash tag, so that a state change and its audit entry fit one transaction on a cluster too."""

ROLLOUT = "{drift}:rollout"
AUDIT = "{drift}:rollout:audit"
ACKS = "{drift}:rollout:acks"
CHANGED = "{drift}:rollout:changed"
CLOCK = "{drift}:clock"
PREDICTIONS = "{drift}:predictions"
LIFE = "{drift}:predictions:life"  # a random value that a Redis which lost its data cannot have
LANDED = "{drift}:predictions:landed"


def contract(digest: str) -> str:
    """Key of the immutable ModelContract document with this digest."""
    return f"{{drift}}:contract:{digest}"
