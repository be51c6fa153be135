"""What breaks a served model and what does not, case by case."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from orchestration.features.breaking import KEY_VERSION, Breach, Served, breaches
from orchestration.features.layout import Planned
from serving_gateway.contracts.model import (
    CountWithin,
    Feature,
    MinutesSince,
    RequestField,
    ShareWithin,
    stored_features,
)
from serving_gateway.contracts.online_layout import FeatureField, ViewLayout
from tests.serving_gateway.support import BOARD, CONTRACT, TAIL, WEATHER

# The contract's inputs read weather:visib, tail:last_at, tail:kind and board:late_share.
SERVED = Served(CONTRACT, ("baseline", "shadow"))
SPARE = FeatureField(name="spare", field="00000001", dtype="float")


def plan(*views: ViewLayout, defined: tuple[str, ...] = ()) -> Planned:
    return Planned("drift", KEY_VERSION, frozenset({*defined, *(view.name for view in views)}), {"delay": views})


KEPT = plan(WEATHER, TAIL, BOARD)


def changed(view: ViewLayout, **changes: object) -> ViewLayout:
    return msgspec.structs.replace(view, **changes)


def field(view: ViewLayout, name: str, **changes: object) -> ViewLayout:
    features = (msgspec.structs.replace(f, **changes) if f.name == name else f for f in view.features)
    return changed(view, features=tuple(features))


def without(view: ViewLayout, name: str) -> ViewLayout:
    return changed(view, features=tuple(f for f in view.features if f.name != name))


def found(planned: Planned, served: Served = SERVED) -> list[tuple[str, str, str, str]]:
    return [(b.view, b.field, b.now, b.then) for b in breaches(served, planned)]


@pytest.mark.parametrize(
    ("planned", "view", "what", "now", "then"),
    [
        (plan(TAIL, BOARD), "weather", "the view in feature service delay", "read for visib", "missing"),
        (
            plan(WEATHER, BOARD, defined=("tail",)),
            "tail", "the view in feature service delay", "read for kind, last_at", "left out of the service",
        ),
        (plan(changed(WEATHER, join_keys=("dest",)), TAIL, BOARD), "weather", "join keys", "origin", "dest"),
        (plan(changed(WEATHER, join_keys=()), TAIL, BOARD), "weather", "join keys", "origin", "none (global)"),
        (plan(WEATHER, TAIL, changed(BOARD, join_keys=("x",))), "board", "join keys", "none (global)", "x"),
        (plan(changed(WEATHER, ttl_s=3599), TAIL, BOARD), "weather", "ttl", "3600 s", "3599 s"),
        (plan(changed(WEATHER, ttl_s=7200), TAIL, BOARD), "weather", "ttl", "3600 s", "7200 s"),
        (plan(changed(WEATHER, ttl_s=0), TAIL, BOARD), "weather", "ttl", "3600 s", "unlimited"),
        (plan(WEATHER, TAIL, changed(BOARD, ttl_s=60)), "board", "ttl", "unlimited", "60 s"),
        (plan(WEATHER, without(TAIL, "kind"), BOARD), "tail", "feature kind", "string", "missing"),
        (plan(field(WEATHER, "visib", dtype="float"), TAIL, BOARD), "weather", "dtype of visib", "double", "float"),
        (
            plan(field(WEATHER, "visib", field="0badf00d"), TAIL, BOARD),
            "weather", "hash field of visib", WEATHER.features[0].field, "0badf00d",
        ),
        (
            replace(KEPT, project="other"),
            "every view", "project, with which every key ends,", "drift", "other",
        ),
        (replace(KEPT, key_version=2), "every view", "entity_key_serialization_version", "3", "2"),
    ],
)  # fmt: skip
def test_one_change_is_one_breach_that_says_what_is_and_what_would_be(
    planned: Planned, view: str, what: str, now: str, then: str
) -> None:
    assert found(planned) == [(view, what, now, then)]


def test_a_service_that_is_gone_breaks_every_view_that_is_read() -> None:
    gone = replace(KEPT, services={"another": (WEATHER, TAIL, BOARD)})
    assert [(view, then) for view, _, _, then in found(gone)] == [
        (name, "without the service") for name in ("weather", "tail", "board")
    ]


@pytest.mark.parametrize(
    "planned",
    [
        KEPT,
        plan(BOARD, TAIL, WEATHER),
        plan(WEATHER, TAIL, BOARD, changed(BOARD, name="new")),
        plan(changed(WEATHER, features=(SPARE, *WEATHER.features)), TAIL, BOARD),
        replace(KEPT, services={**KEPT.services, "another": (changed(WEATHER, ttl_s=1),)}),
    ],
    ids=["the same", "in another order", "a view more", "a feature more", "another service"],
)
def test_what_is_added_or_moved_breaks_nobody(planned: Planned) -> None:
    assert found(planned) == []


UNREAD: list[tuple[str, Callable[[ViewLayout], ViewLayout]]] = [
    ("gone", lambda view: without(view, "spare")),
    ("of another type", lambda view: field(view, "spare", dtype="int64")),
    ("elsewhere", lambda view: field(view, "spare", field="0badf00d")),
]


@pytest.mark.parametrize("change", [change for _, change in UNREAD], ids=[name for name, _ in UNREAD])
def test_a_feature_that_no_input_reads_may_change(change: Callable[[ViewLayout], ViewLayout]) -> None:
    weather = changed(WEATHER, features=(*WEATHER.features, SPARE))
    contract = msgspec.structs.replace(CONTRACT, views=(weather, TAIL, BOARD))
    assert found(plan(change(weather), TAIL, BOARD), Served(contract, ("baseline",))) == []


def test_a_view_that_no_input_reads_may_go() -> None:
    contract = msgspec.structs.replace(CONTRACT, views=(*CONTRACT.views, changed(BOARD, name="unread")))
    assert found(KEPT, Served(contract, ("baseline",))) == []


def test_a_model_of_request_fields_alone_reads_nothing_that_could_break() -> None:
    contract = msgspec.structs.replace(CONTRACT, inputs=CONTRACT.inputs[:3])
    assert found(Planned("other", 2, frozenset(), {}), Served(contract, ("baseline",))) == []


def test_every_change_is_found_not_the_first_alone() -> None:
    weather = changed(field(WEATHER, "visib", dtype="float"), ttl_s=1)
    assert [what for _, what, _, _ in found(replace(plan(weather, BOARD), project="other"))] == [
        "project, with which every key ends,", "ttl", "dtype of visib", "the view in feature service delay",
    ]  # fmt: skip


def test_a_breach_in_words() -> None:
    (breach,) = breaches(SERVED, plan(changed(WEATHER, ttl_s=60), TAIL, BOARD))
    assert breach == Breach("delay:1", "baseline, shadow", "weather", "ttl", "3600 s", "60 s")
    assert str(breach) == "delay:1 (baseline, shadow) reads weather: ttl is 3600 s, would be 60 s"


def test_the_features_that_a_source_reads() -> None:
    assert stored_features(RequestField("carrier")) == ()
    assert stored_features(Feature("weather", "visib")) == (("weather", "visib"),)
    assert stored_features(MinutesSince("tail", "last_at")) == (("tail", "last_at"),)
    assert stored_features(CountWithin("board", "open_at", 60, 0)) == (("board", "open_at"),)
    assert stored_features(ShareWithin("board", "open_at", "sched_at", 60, 0)) == (
        ("board", "open_at"),
        ("board", "sched_at"),
    )
