"""The sticky split: which routing keys go to the canary.

BLAKE2b of salt and key, read as a fraction of its range: uniform for any structure of keys, and a new salt gives an
independent assignment. (CRC-32 is linear: two salts would only permute the same buckets, and a canary after another
would meet correlated keys.) The key's place never depends on the weight, so raising the weight only adds keys.
"""

from hashlib import blake2b

from serving_gateway.contracts.prediction import ArmName
from serving_gateway.contracts.rollout import BASIS_POINTS

_RANGE_BITS = 64
_JOIN = "\x1f"


def position(salt: str, key: str) -> int:
    """Place of `key` in [0, 2^64), uniform and independent over keys and over salts."""
    digest = blake2b(f"{len(salt)}:{salt}{key}".encode(errors="surrogatepass"), digest_size=_RANGE_BITS // 8)
    return int.from_bytes(digest.digest(), "big")


def place(salt: str, key: str, weight_bp: int) -> ArmName:
    """The arm that answers `key`: the canary has the low end of the places, its control as much of the high end.

    So raising the weight adds keys to both and moves none between them, until the two meet; then the control, never
    larger than what is left, gives way.
    """
    if not weight_bp:
        return "baseline"
    at = position(salt, key) * BASIS_POINTS >> _RANGE_BITS
    if at < weight_bp:
        return "canary"
    return "control" if at >= BASIS_POINTS - min(weight_bp, BASIS_POINTS - weight_bp) else "baseline"


def sampled(salt: str, key: str, fraction: float) -> bool:
    """Whether `key` is among the sampled `fraction` of keys, 0 to 1."""
    return fraction >= 1.0 or position(salt, key) < fraction * 2.0**_RANGE_BITS


def routing_key(header: str | None, entities: dict[str, str], request_id: str) -> str:
    """What the split hashes: the caller's own key, else the row's entity values, else the request id."""
    if header:
        return header
    return _JOIN.join(entities[name] for name in sorted(entities)) if entities else request_id
