"""What the gateway must reach, each as a figure of the rows with its bound."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.bench.rows import Row, Rows

NOT_MEASURED = "-"
GATEWAYS = ("gateway", "gateway_single", "gateway_entities")


@dataclass(frozen=True)
class Mark:
    """`figure` raises KeyError where a row that it needs was not measured. `at_least`: the bound is the least allowed."""

    what: str
    figure: Callable[[Rows], float]
    bound: float
    at_least: bool = True
    aim: float | None = None
    form: str = "{:.2f}"


@dataclass(frozen=True)
class Judged:
    """A mark with what came out, as text. `met` is None where it was not measured."""

    what: str
    measured: str
    mark: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """In plain words."""
        return {True: "met", False: "missed", None: "not measured"}[self.met]


def judged(rows: Rows) -> list[Judged]:
    """Every mark, in order."""
    return [judge(mark, rows) for mark in MARKS]


def judge(mark: Mark, rows: Rows) -> Judged:
    sign = "≥" if mark.at_least else "≤"
    wanted = f"{sign} {mark.form.format(mark.bound)}"
    if mark.aim is not None:
        wanted += f" (aim {mark.form.format(mark.aim)})"
    try:
        found = mark.figure(rows)
    except KeyError:
        return Judged(mark.what, NOT_MEASURED, wanted, None)
    met = found >= mark.bound if mark.at_least else found <= mark.bound
    return Judged(mark.what, mark.form.format(found), wanted, met)


def _ratio(name: str, over: str, concurrency: int, of: Callable[[Row], float]) -> Callable[[Rows], float]:
    return lambda rows: of(rows[name, concurrency]) / of(rows[over, concurrency])


def _rate(row: Row) -> float:
    return row.requests_per_second


def _cpu(row: Row) -> float:
    return row.cpu_us_per_request


def _added_latency(rows: Rows) -> float:
    """What the gateway adds to direct's median latency, less what nginx with mirror adds: microseconds."""
    direct = rows["direct", 1].p50_us
    return (rows["gateway", 1].p50_us - direct) - (rows["nginx_mirror", 1].p50_us - direct)


def _single_cpu(rows: Rows) -> float:
    """The worst concurrency's ratio."""
    return max(_ratio("gateway_single", "nginx_mirror", c, _cpu)(rows) for c in _measured(rows, "gateway_single"))


def _measured(rows: Rows, *names: str) -> list[int]:
    """Concurrencies at which these were measured. Raises KeyError for none."""
    found = [concurrency for name, concurrency in rows if name in names]
    if not found:
        raise KeyError(*names)
    return sorted(set(found))


def _of_gateways(rows: Rows) -> Iterable[Row]:
    _measured(rows, *GATEWAYS)
    return [row for (name, _), row in rows.items() if name in GATEWAYS]


def _farthest_share(rows: Rows) -> float:
    return max(abs(row.canary_share - 0.1) for row in _of_gateways(rows))


def _least_shadow(rows: Rows) -> float:
    return min(row.shadow_share for row in _of_gateways(rows))


def _errors(rows: Rows) -> float:
    return float(sum(row.errors for row in _of_gateways(rows)))


MARKS = (
    Mark("req/s over direct Triton, c = 32", _ratio("gateway", "direct", 32, _rate), 1.8, aim=2.5),
    Mark(
        "CPU per request over nginx with mirror, c = 32",
        _ratio("gateway", "nginx_mirror", 32, _cpu),
        0.3,
        at_least=False,
        aim=0.15,
    ),
    Mark("req/s over FastAPI, c = 32", _ratio("gateway", "fastapi", 32, _rate), 12, aim=18),
    Mark("req/s over direct Triton, c = 8", _ratio("gateway", "direct", 8, _rate), 0.7),
    Mark("req/s over nginx with mirror, c = 8", _ratio("gateway", "nginx_mirror", 8, _rate), 1.4),
    Mark(
        "p50 added to direct, less what nginx with mirror adds, c = 1",
        _added_latency,
        0.0,
        at_least=False,
        form="{:+,.0f} µs",
    ),
    Mark("group commit off: CPU per request over nginx with mirror, worst c", _single_cpu, 1.0, at_least=False),
    Mark("by entities: req/s over given features, c = 32", _ratio("gateway_entities", "gateway", 32, _rate), 0.6),
    Mark(
        "canary's share: farthest from 10 %, any gateway row",
        _farthest_share,
        0.01,
        at_least=False,
        form="{:.2%}",
    ),
    Mark("share of shadow rows scored, least of any gateway row", _least_shadow, 0.999, form="{:.2%}"),
    Mark("failed or unlogged requests of the gateway", _errors, 0, at_least=False, form="{:.0f}"),
)
