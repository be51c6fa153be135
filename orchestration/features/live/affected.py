"""Which keys of which views an event may have changed."""

from orchestration.features.computations import COMPUTATIONS, Source
from orchestration.features.views import VIEWS

# View name to keys: the values of its join keys, () for a view of global values.
Affected = dict[str, set[tuple[str, ...]]]

_VIEWS_OF: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    source: [(view.name, view.join_keys) for view in VIEWS if COMPUTATIONS[view.name].source == source]
    for source in ("flights", "weather", "departures", "arrivals")
}


def add_keys(affected: Affected, source: Source, row: object) -> None:
    """Add the keys of the views of this source that `row` (with the join keys as attributes) belongs to."""
    for view, join_keys in _VIEWS_OF[source]:
        key = tuple(getattr(row, name) for name in join_keys)
        if None not in key:
            affected.setdefault(view, set()).add(key)


def add_all(affected: Affected, more: Affected) -> None:
    """Add all of `more`."""
    for view, keys in more.items():
        affected.setdefault(view, set()).update(keys)
