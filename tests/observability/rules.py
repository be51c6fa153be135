"""The shipped alert rules and their promtool tests, as these tests read them."""

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import yaml

from tests.servers import ROOT

FOLDER = ROOT / "observability" / "prometheus"
RULE_FILES = sorted((FOLDER / "rules").glob("*.yml"))
TEST_FILES = sorted((FOLDER / "tests").glob("*.yml"))
INTERVAL = timedelta(seconds=10)
# Words of PromQL that are no metric's name.
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring"})
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


@dataclass(frozen=True)
class Selector:
    """A metric that an expression reads, and the labels that it asks of it."""

    metric: str
    labels: frozenset[str]


@dataclass(frozen=True)
class Case:
    """What a promtool test expects of an alert at one moment of one story."""

    story: tuple[str, int]
    at: timedelta
    alert: str
    fires: bool


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """Every rule of the `kind` alert or record by its name; a name stands once."""
    found = [
        rule
        for path in RULE_FILES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if kind in rule
    ]
    by_name = {rule[kind]: rule for rule in found}
    assert len(by_name) == len(found)
    return by_name


def selectors(expression: str) -> set[Selector]:
    """Every metric of the expression, functions, aggregations and their labels left out."""
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", expression)
    bare = re.sub(r"\[[^\]]*\]", " ", bare)
    found = re.finditer(r"(?<![\w:.\"/])([a-zA-Z_:][\w:]*)\s*(\(|\{((?:[^}\"]|\"[^\"]*\")*)\})?", _without_text(bare))
    return {
        Selector(name, frozenset(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers or "")))
        for name, follows, matchers in (match.groups() for match in found)
        if follows != "(" and name not in _WORDS
    }


def _without_text(expression: str) -> str:
    return re.sub(r'"[^"]*"', '""', expression)


def duration(text: str) -> timedelta:
    """As Prometheus writes it: 1h1m10s."""
    return timedelta(**{_UNITS[unit]: int(number) for number, unit in re.findall(r"(\d+)([dhms])", text)})


@cache
def cases() -> list[Case]:
    """Every expectation of the promtool tests."""
    return [
        Case((path.name, number), duration(expected["eval_time"]), expected["alertname"], bool(expected["exp_alerts"]))
        for path in TEST_FILES
        for number, story in enumerate(yaml.safe_load(path.read_text())["tests"])
        for expected in story["alert_rule_test"]
    ]
