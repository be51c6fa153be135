"""Every endpoint under /v2: its pattern, its methods, who answers. docs/v2.md lists the same, and a test compares."""

import re
from collections.abc import Awaitable, Callable
from functools import partial

from serving_gateway.access import Tokens
from serving_gateway.http import Response
from serving_gateway.rollout.follower import Follower
from serving_gateway.routes import Methods, RouteHandler, awaited
from serving_gateway.scoring.predict import Predict
from serving_gateway.scoring.prepare import EventClock
from serving_gateway.settings import Settings
from serving_gateway.tracing.recorder import Recorder
from serving_gateway.triton.client import TritonClient
from serving_gateway.v2.infer import Infer
from serving_gateway.v2.models import Models
from serving_gateway.v2.refusals import NO_SHARED_MEMORY, OPERATOR, REPOSITORY, Refusal
from serving_gateway.v2.upstream import Upstream

Handler = Callable[..., Awaitable[Response]]
Table = dict[str, dict[str, Handler]]


def endpoints(infer: Handler, models: Models | type[Models]) -> Table:
    """Patterns in the order they are tried; `{name}` stands for one segment of the path.

    Of the class instead of an object it tells what there is, without anybody to answer.
    """
    table: Table = {"/v2": {"GET": models.server}}
    for subject in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        table[f"{subject}/infer"] = {"POST": infer}
    table |= {
        "/v2/health/live": {"GET": models.live},
        "/v2/health/ready": {"GET": models.ready},
        "/v2/models/stats": {"GET": models.all_stats},
    }
    for subject in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        table[subject] = {"GET": models.metadata}
        table[f"{subject}/ready"] = {"GET": models.model_ready}
        table[f"{subject}/config"] = {"GET": models.config}
        table[f"{subject}/stats"] = {"GET": models.stats}
    table["/v2/repository/index"] = {"POST": models.index}
    for change in ("load", "unload"):
        table[f"/v2/repository/models/{{model}}/{change}"] = {"POST": Refusal(REPOSITORY)}
    for setting in ("/v2/models/{model}/trace/setting", "/v2/trace/setting", "/v2/logging"):
        table[setting] = {"GET": Refusal(OPERATOR), "POST": Refusal(OPERATOR)}
    for kind in ("/v2/systemsharedmemory", "/v2/cudasharedmemory"):
        region = f"{kind}/region/{{region}}"
        for status in (f"{kind}/status", f"{region}/status"):
            table[status] = {"GET": Refusal(NO_SHARED_MEMORY)}
        for change in (f"{region}/register", f"{region}/unregister", f"{kind}/unregister"):
            table[change] = {"POST": Refusal(NO_SHARED_MEMORY)}
    return table


def surface(
    *,
    keys: Tokens,
    follower: Follower,
    predict: Predict,
    clock: EventClock,
    ready: RouteHandler,
    triton: TritonClient,
    settings: Settings,
    recorder: Recorder | None = None,
) -> Callable[[str], tuple[str, Methods] | None]:
    """The finder of what answers a path under /v2: its pattern and its methods; None where there is no such path.

    `ready` is the gateway's own readiness, `triton` a client of its own: what is passed through starves no arm.
    """
    upstream, deadline_s = Upstream(triton, recorder), settings.deadline_ms / 1000
    infer = Infer(
        keys=keys,
        follower=follower,
        predict=predict,
        clock=clock,
        upstream=upstream,
        deadline_s=deadline_s,
        max_body_bytes=settings.max_body_bytes,
        max_rows=settings.max_rows,
    )
    models = Models(
        follower=follower, ready=ready, upstream=upstream, deadline_s=deadline_s, max_body_bytes=settings.max_body_bytes
    )
    return finder(endpoints(infer, models))


def finder(table: Table) -> Callable[[str], tuple[str, Methods] | None]:
    """Matches a path against the patterns, in their order; the values of its segments go to the handler by name."""
    patterns = [
        (pattern, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)), methods)
        for pattern, methods in table.items()
    ]

    def find(path: str) -> tuple[str, Methods] | None:
        for pattern, expression, methods in patterns:
            found = expression.fullmatch(path)
            if found is not None:
                named = found.groupdict()
                return pattern, {method: awaited(partial(handler, **named)) for method, handler in methods.items()}
        return None

    return find
