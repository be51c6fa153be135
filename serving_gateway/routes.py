"""The route table, and the one place where errors become responses."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from serving_gateway.http import ApiError, Handler, Request, Respond, Response, json_response, unavailable
from serving_gateway.log.spool import Spool
from serving_gateway.metrics import CONTENT_TYPE, Metrics
from serving_gateway.rollout.follower import Follower
from serving_gateway.rollout.served import Served
from serving_gateway.rollout.tripwire import Tripwire
from serving_gateway.tracing.logs import Failures
from serving_gateway.tracing.recorder import Recorder
from serving_gateway.tracing.trace import TRACEPARENT, Trace, begun
from serving_gateway.workers.identity import Worker

RouteHandler = Callable[[Request], Awaitable[Response]]
Methods = dict[str, Handler]
_running: set[asyncio.Task[None]] = set()  # the event loop itself holds its tasks only weakly
_LOGGED_BYTES = 300  # of an error's body
_log = logging.getLogger(__name__)


def awaited(handler: RouteHandler) -> Handler:
    """A coroutine function as a handler; a task of its own answers each request."""

    def begin(request: Request, respond: Respond) -> None:
        async def run() -> None:
            respond(await _response(request, handler(request)))

        task = asyncio.get_running_loop().create_task(run())
        _running.add(task)
        task.add_done_callback(_running.discard)

    return begin


class Router:
    """Calls the handler of (path, method). Any server that can make a Request can serve this."""

    def __init__(
        self,
        routes: dict[str, Methods],
        metrics: Metrics,
        *,
        find: Callable[[str], tuple[str, Methods] | None],
        recorder: Recorder | None = None,
    ) -> None:
        """`find` knows the paths with parameters: it gives the pattern that a path fits and its methods."""
        self._routes = routes
        self._metrics = metrics
        self._find = find
        self._recorder = recorder
        self._failures = Failures(_log)

    def handle(self, request: Request, respond: Respond) -> None:
        """Answer one request, now or later; every error becomes a response of the one error shape.

        The transport puts the trace that is set here into the answer's head.
        """
        trace = request.trace = begun(request.headers.get(TRACEPARENT))
        recorder = self._recorder
        began_ns = 0 if recorder is None else recorder.sample(trace)
        route, methods = request.path, self._routes.get(request.path)
        if methods is None:
            route, methods = self._find(request.path) or ("other", None)

        def counted(response: Response) -> None:
            self._metrics.responses(route, str(response.status)).inc()
            if response.status >= 500:
                self._tell(request, response, trace)
            if trace.sampled and recorder is not None:
                recorder.answered(trace, request, route=route, status=response.status, began_ns=began_ns)
            respond(response)

        try:
            self._handler(request, methods)(request, counted)
        except ApiError as error:
            counted(error.response(request.path))
        except Exception:  # noqa: BLE001  the outermost boundary: a bug costs one answer, not the connection
            counted(_bug(request))

    def _tell(self, request: Request, response: Response, trace: Trace) -> None:
        """Log a failure with its ids. What is only looked at, probes ask for again and again."""
        if request.method not in ("GET", "HEAD"):
            said = response.body[:_LOGGED_BYTES].decode(errors="replace")
            told = (request.method, request.path, response.status, said)
            self._failures.warn("%s %s answered %d: %s", *told, request_id=trace.request_id, trace_id=trace.trace_id)

    def _handler(self, request: Request, methods: Methods | None) -> Handler:
        if methods is None:
            raise ApiError(404, f"no such route; there are {', '.join(self._routes)}, and those of docs/v2.md")
        # What is asked by GET may be asked by HEAD: the transport leaves out the body.
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            allow = ", ".join((*methods, "HEAD") if "GET" in methods else methods)
            raise ApiError(405, f"{request.path} takes {allow}", headers=(("allow", allow),))
        return handler


async def _response(request: Request, answer: Awaitable[Response]) -> Response:
    try:
        return await answer
    except ApiError as error:
        return error.response(request.path)
    except Exception:  # noqa: BLE001  as above, for the answers that take a task
        return _bug(request)


def _bug(request: Request) -> Response:
    ids = {"request_id": request.trace.request_id, "trace_id": request.trace.trace_id} if request.trace else None
    _log.exception("%s %s failed", request.method, request.path, extra=ids)
    return ApiError(500, "internal error; the gateway's log has the details").response(request.path)


class Operations:
    """Handlers for those who operate the gateway."""

    def __init__(
        self, *, gateway: str, worker: Worker, follower: Follower, tripwire: Tripwire, spool: Spool, metrics: Metrics
    ) -> None:
        self._gateway = gateway
        self._worker = worker
        self._follower = follower
        self._tripwire = tripwire
        self._spool = spool
        self._metrics = metrics
        self._started = time.monotonic()

    async def health(self, _request: Request) -> Response:
        """200: the process is alive. The rest is for humans; `worker` says which process answered, and of how many."""
        served = self._follower.served
        return json_response(
            {
                "status": "alive",
                "gateway": self._gateway,
                "worker": self._worker,
                "uptime_s": round(time.monotonic() - self._started, 1),
                "epoch": served.state.epoch if served else None,
                "generation": served.state.generation if served else None,
                "canary_weight_bp": served.canary_weight_bp if served else 0,
                "refused": served.refused if served else {},
                "trip": self._tripwire.trip,
                "problem": self._follower.problem,
                "redis": "up" if self._follower.store_up else "down",
                "spool_bytes": self._spool.unlanded_bytes,
                "log_loss": self._spool.loss.reason,
            }
        )

    async def ready(self, _request: Request) -> Response:
        """200 only when a prediction could be answered now; 503 says what is missing."""
        served = await self._ready()
        return json_response({"status": "ready", "epoch": served.state.epoch, "generation": served.state.generation})

    async def metrics(self, _request: Request) -> Response:
        """Prometheus text format."""
        metrics, spool = self._metrics, self._spool
        try:
            await self._ready()
        except ApiError:
            metrics.ready.set(0)
        else:
            metrics.ready.set(1)
        metrics.spool_bytes.set(spool.unlanded_bytes)
        free, size = spool.disk_bytes()
        metrics.disk_free.set(free)
        metrics.disk_size.set(size)
        return Response(200, metrics.exposition(), CONTENT_TYPE)

    async def _ready(self) -> Served:
        """What a prediction would be answered with now. Raises ApiError 503 saying what is missing."""
        served = self._follower.served
        if served is None:
            raise unavailable(self._follower.problem)
        if not await served.baseline.is_ready():
            raise unavailable(f"Triton does not have the baseline {served.baseline.arm.triton_model} ready")
        return served
