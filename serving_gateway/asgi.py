"""The same gateway under any ASGI server: `uvicorn --factory serving_gateway.asgi:application` (or Ray Serve's ingress).

What the Protocol of our own does is the server's then: address, keep-alive, limits of heads, draining. The limit of a
body, the routes and every answer are the same.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving_gateway.gateway import Gateway
from serving_gateway.http import ApiError, Headers, Request, Response, traced
from serving_gateway.settings import Settings
from serving_gateway.tracing.logs import configure
from serving_gateway.tracing.trace import begun

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def application() -> _Application:
    """The ASGI application by the environment's settings. Raises SettingsError."""
    settings = Settings.load(os.environ)
    configure(settings.log_level, settings.gateway_id)
    gateways: list[Gateway] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(settings, gateways, receive, send)
        elif scope["type"] == "http":
            await _answer(gateways[0], settings, scope, receive, send)
        else:
            raise ValueError(f"only HTTP is answered here, not {scope['type']}")

    return app


async def _live(settings: Settings, gateways: list[Gateway], receive: Receive, send: Send) -> None:
    await receive()  # lifespan.startup
    try:
        gateway = Gateway(settings)
        await gateway.begin()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        raise
    gateways.append(gateway)
    await send({"type": "lifespan.startup.complete"})
    await receive()  # lifespan.shutdown: the server has drained
    await gateway.end()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(gateway: Gateway, settings: Settings, scope: Scope, receive: Receive, send: Send) -> None:
    answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    try:
        request = await _request(scope, receive, max_body_bytes=settings.max_body_bytes)
    except ApiError as error:
        answered.set_result(traced(error.response(scope["path"]), begun(_traceparent(scope))))
    else:
        if request is None:
            return
        asked = request

        def respond(response: Response) -> None:
            if not answered.done():
                answered.set_result(traced(response, asked.trace) if asked.trace else response)

        gateway.handle(asked, respond)
    response = await answered
    headers = [("content-type", response.content_type), ("content-length", str(len(response.body))), *response.headers]
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": response.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})


def _traceparent(scope: Scope) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)


async def _request(scope: Scope, receive: Receive, *, max_body_bytes: int) -> Request | None:
    """The request, read whole; None where the client left meanwhile. Raises ApiError 413."""
    raw: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        raw[name] = b"%b, %b" % (raw[name], value) if name in raw else value
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > max_body_bytes:
            raise ApiError(413, f"the body is larger than {max_body_bytes} bytes (GATEWAY_MAX_BODY_BYTES)")
        more = message.get("more_body", False)
    query = scope["query_string"].decode("latin-1")
    return Request(scope["method"], scope["path"], Headers(raw), bytes(body), query)
