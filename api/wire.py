"""Around every request: a bound on its body, and headers that let a browser do only what our pages need."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 1 << 20
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_RAW = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
_UNCACHED = (b"cache-control", b"no-store")


class _TooLong(Exception):
    """The body is longer than we read."""


class Guarded:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; 413 for a body that is too long."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", []), *_added(scope)]
            await send(message)

        try:
            await self._app(scope, _bounded(receive), answer)
        except _TooLong:
            if not started:
                await answer({"type": "http.response.start", "status": 413, "headers": []})
                await answer({"type": "http.response.body", "body": b""})


def _added(scope: Scope) -> list[tuple[bytes, bytes]]:
    return _RAW if scope["path"].startswith("/static/") else [*_RAW, _UNCACHED]


def _bounded(receive: Receive) -> Receive:
    seen = 0

    async def counted() -> Any:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BYTES:
            raise _TooLong
        return message

    return counted
