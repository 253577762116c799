"""What one connection may cost: uvicorn's HTTP/1.1, with limits on the size and the arrival of a request and on how many there are.

A head, a URL or a trailer that never ends would be kept in memory as long as it grows; a request that never comes to its end would
hold its connection for ever; and connections that say nothing would use up the descriptors, so that nobody else gets in.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gerbang.settings import Settings

log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 1.0
_LAST_LOOK_S = 0.25  # when the server stops: what is on its way to an idle connection may still come in
_TEXTS = {
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """head_bytes: URL and headers together, and what comes between pieces of a body. Times in seconds. connections: 0 means derived."""

    head_bytes: int = 32_768
    head_s: float = 15.0
    body_s: float = 60.0
    connections: int = 0

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """As the operator set them."""
        return cls(
            settings.max_head_bytes,
            settings.request_head_timeout_s,
            settings.request_body_timeout_s,
            settings.max_connections or descriptors() // 2,
        )


def descriptors() -> int:
    """How many files and connections this process may have open."""
    try:
        import resource
    except ImportError:  # Windows
        return 512
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else 1_048_576


def limited(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol class with these limits, for `uvicorn.Config(http=…)`."""
    return type("LimitedHttp", (_LimitedHttp,), {"limits": limits})


class _LimitedHttp(HttpToolsProtocol):
    limits: Limits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._since = self.loop.time()  # the connection, the first byte of a request, or the end of its head
        self._heard = False  # anything at all
        self._steps = 0  # ends of heads and of requests, and pieces of bodies
        self._unfinished = 0  # bytes that brought none of these yet
        self._over = False  # answered for good: whatever else comes is not listened to
        self._stopping = False
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections and not self._make_place():
            self._refuse(503)
            return
        _sweep_while_there_are_any(self)

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        if self.is_idle and not self._unfinished:
            self._since = self.loop.time()
        self._heard = True
        steps = self._steps
        super().data_received(data)
        self._unfinished = 0 if self._steps != steps else self._unfinished + len(data)
        if self._unfinished > self.limits.head_bytes and not self.transport.is_closing():
            self._refuse(414 if self.is_idle and not self.headers else 431)
        elif self._stopping and not self.is_idle:
            self.cycle.keep_alive = False

    def on_headers_complete(self) -> None:
        self._steps += 1
        self._since = self.loop.time()
        size = len(self.url) + sum([len(name) + len(value) for name, value in self.headers])
        if size > self.limits.head_bytes:
            self._refuse(414 if len(self.url) * 2 > size else 431)
            return
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_idle:  # else a trailer: nobody reads those
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._steps += 1
        if not self._over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._steps += 1
        if not self._over:
            super().on_message_complete()

    def shutdown(self) -> None:
        """The server stops. Who is idle may have sent a request this very moment: it is answered, not cut off."""
        self._stopping = True
        if self.is_idle:
            self.loop.call_later(_LAST_LOOK_S, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if self.is_idle:
            self.transport.close()

    # -- refusing

    def look_at_the_clock(self, now: float) -> None:
        """End what does not come to its end."""
        if self._over or self.transport.is_closing():
            return
        waited_s = now - self._since
        if not self.is_idle:
            if self.cycle.more_body and waited_s > self.limits.body_s:
                self._refuse(408)
        elif waited_s > self.limits.head_s and self._unfinished:
            self._refuse(408)
        elif waited_s > self.limits.head_s and not self._heard:
            self._close_quietly()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered on it: none has come, or the last one has its answer."""
        return self.cycle is None or self.cycle.response_complete

    def _make_place(self) -> bool:
        """Close the connection that has been of no use for longest, for a newcomer."""
        connections: list[Any] = list(self.connections)
        others = [one for one in connections if one is not self and one.is_idle and not one._over]
        if not others:
            return False
        min(others, key=lambda one: (one._heard, one._since))._close_quietly()
        return True

    def _close_quietly(self) -> None:
        self._over = True
        self.transport.close()
        self.connections.discard(self)

    def _refuse(self, status: int) -> None:
        self._over = True
        started = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not started and not self.transport.is_closing():
            body = b'{"message":"%s"}' % _TEXTS[status].encode()
            head = f"HTTP/1.1 {status} {_TEXTS[status]}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()


def _sweep_while_there_are_any(connection: _LimitedHttp) -> None:
    """One timer for all connections of a server, and none while there are none."""
    state: Any = connection.server_state
    if getattr(state, "sweeping", False):
        return
    state.sweeping = True
    loop = connection.loop

    def sweep() -> None:
        now = loop.time()
        for one in tuple(state.connections):
            one.look_at_the_clock(now)
        state.sweeping = bool(state.connections)
        if state.sweeping:
            loop.call_later(_SWEEP_EVERY_S, sweep)

    loop.call_later(_SWEEP_EVERY_S, sweep)
