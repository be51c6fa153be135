"""Whether definitions would break a model that is served: its contract, held against what they would make of the store.

Only what the contract's inputs read counts; what is added breaks nobody.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestration.features.layout import Planned
from serving_gateway.contracts.model import ModelContract, stored_features
from serving_gateway.contracts.online_layout import ViewLayout

# How a gateway serializes entity keys (serving_gateway/contracts/online_layout.py).
KEY_VERSION = 3
EVERY_VIEW = "every view"

# (field, as the contract has it, as the definitions would have it)
Difference = tuple[str, str, str]


@dataclass(frozen=True)
class Served:
    """A model that reads the online store now, and the arms that it is."""

    contract: ModelContract
    arms: tuple[str, ...]

    @property
    def name(self) -> str:
        """`model:version`."""
        return f"{self.contract.model}:{self.contract.version}"


@dataclass(frozen=True)
class Breach:
    """One thing that a served model reads and that would be otherwise.

    Attributes:
        model: `model:version`.
        arms: the arms that it is, with commas between.
        view: the feature view, or EVERY_VIEW.
        field: what of it; a feature's name is in it.
        now: as the contract has it.
        then: as the definitions would have it.
    """

    model: str
    arms: str
    view: str
    field: str
    now: str
    then: str

    def __str__(self) -> str:
        return f"{self.model} ({self.arms}) reads {self.view}: {self.field} is {self.now}, would be {self.then}"


def breaches(served: Served, planned: Planned) -> list[Breach]:
    """What of the served model's contract the definitions do not keep; empty where it holds."""
    contract = served.contract
    read: dict[str, set[str]] = {}
    for source in (i.source for i in contract.inputs):
        for view, feature in stored_features(source):
            read.setdefault(view, set()).add(feature)
    if not read:
        return []
    found = [(EVERY_VIEW, difference) for difference in _of_keys(contract, planned)]
    for layout in contract.views:
        if layout.name in read:
            differences = _of_view(layout, sorted(read[layout.name]), contract.feature_service, planned)
            found += [(layout.name, difference) for difference in differences]
    return [Breach(served.name, ", ".join(served.arms), view, *difference) for view, difference in found]


def _of_keys(contract: ModelContract, planned: Planned) -> Iterator[Difference]:
    if contract.project != planned.project:
        yield "project, with which every key ends,", contract.project, planned.project
    if planned.key_version != KEY_VERSION:
        yield "entity_key_serialization_version", str(KEY_VERSION), str(planned.key_version)


def _of_view(layout: ViewLayout, read: list[str], service: str, planned: Planned) -> Iterator[Difference]:
    views = {view.name: view for view in planned.services.get(service, ())}
    then = views.get(layout.name)
    if then is None:
        what = "left out of the service" if service in planned.services else "without the service"
        gone = what if layout.name in planned.views else "missing"
        yield f"the view in feature service {service}", f"read for {', '.join(read)}", gone
        return
    if layout.join_keys != then.join_keys:
        yield "join keys", _keys(layout), _keys(then)
    if layout.ttl_s != then.ttl_s:
        yield "ttl", _ttl(layout), _ttl(then)
    before, after = ({feature.name: feature for feature in view.features} for view in (layout, then))
    for name in (name for name in read if name in before):
        if name not in after:
            yield f"feature {name}", before[name].dtype, "missing"
            continue
        if before[name].dtype != after[name].dtype:
            yield f"dtype of {name}", before[name].dtype, after[name].dtype
        if before[name].field != after[name].field:
            yield f"hash field of {name}", before[name].field, after[name].field


def _keys(layout: ViewLayout) -> str:
    return ", ".join(layout.join_keys) or "none (global)"


def _ttl(layout: ViewLayout) -> str:
    return f"{layout.ttl_s} s" if layout.ttl_s else "unlimited"
