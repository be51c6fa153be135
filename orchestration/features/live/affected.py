"""Which keys of which views an event may have changed."""

# The values of a view's join keys, () for a view of global values.
Key = tuple[str, ...]
# By the view's name.
Affected = dict[str, set[Key]]


def add_key(affected: Affected, view: str, key: Key) -> None:
    """Add one."""
    affected.setdefault(view, set()).add(key)


def add_all(affected: Affected, more: Affected) -> None:
    """Add all of `more`."""
    for view, keys in more.items():
        affected.setdefault(view, set()).update(keys)
