"""What a connection may cost: how large a head, how long a request is on its way, how many connections there are at once.

uvicorn bounds none of these. Its hooks that are overridden here exist since 0.30; what a message means is left to it.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A refused caller is listened to for this long: closing on somebody who still speaks would take the answer from them.
_HEARD_OUT_S = 2.0
_SENTENCES = {
    HTTPStatus.BAD_REQUEST: "Invalid HTTP request",
    HTTPStatus.REQUEST_TIMEOUT: "The request took too long to arrive",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The URL is too long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The headers are too large",
    HTTPStatus.SERVICE_UNAVAILABLE: "Too many connections",
}


class _Part(Enum):
    """What of a request the connection waits for."""

    BEGINNING = auto()
    HEAD = auto()
    BODY = auto()


@dataclass(eq=False)
class Door:
    """The connections of one server.

    is_closing  the server stops: each connection is told so with its next answer
    """

    most: int
    max_head_bytes: int
    arrival_timeout_s: float
    keep_alive_s: float
    is_closing: bool = False
    inside: "set[Connection]" = field(default_factory=set)
    leaving: int = 0  # of these, who no longer counts
    _is_watched: bool = False

    def let_in(self, newcomer: "Connection") -> None:
        """Make room when there is none: whoever says nothing gives way to whoever comes."""
        self.inside.add(newcomer)
        if not self._is_watched:
            self._is_watched = True
            self._watch_again(newcomer.loop)
        if len(self.inside) - self.leaving > self.most:
            self._make_room(newcomer)

    @property
    def has_patience(self) -> bool:
        """Whether there is room to hear those out who are turned away."""
        return self.leaving <= self.most // 4

    def _make_room(self, newcomer: "Connection") -> None:
        silent = [one for one in self.inside if one is not newcomer and one.is_waiting]
        if not silent:
            newcomer.turn_away(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        # Of the address that holds most of them, so that one cannot keep the others out. Several at once: a crowd at the door
        # must not make each newcomer look at everybody.
        greedy, _ = Counter(one.source for one in silent).most_common(1)[0]
        theirs = sorted((one for one in silent if one.source == greedy), key=lambda one: one.since)
        for one in theirs[: 1 + self.most // 32]:
            one.leave()

    def _watch_again(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(min(1.0, self.arrival_timeout_s / 4), self._watch, loop)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for one in tuple(self.inside):
            one.look(now)
        self._is_watched = bool(self.inside)
        if self._is_watched:
            self._watch_again(loop)


class Connection(HttpToolsProtocol):
    """uvicorn's, with limits. `door` is set by `serving.make_server`, in a class of each server's own.

    since  when it began to wait for what it waits for, in the loop's time
    """

    door: Door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._part = _Part.BEGINNING
        self._unread = 0  # bytes that came since something came of them
        self._unsent = 0
        self._is_turned_away = False
        self.since = self.loop.time()
        self.source = self.client[0] if self.client else ""
        self.door.let_in(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.inside.discard(self)
        self.door.leaving -= self._is_turned_away
        super().connection_lost(exc)

    @property
    def is_waiting(self) -> bool:
        """Whether it is the caller's turn to speak."""
        if self._is_turned_away:
            return False
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self._part is _Part.BODY and not self.pipeline and not self.flow.read_paused

    # What arrives.

    def data_received(self, data: bytes) -> None:
        if self._is_turned_away:
            return
        self._unread += len(data)
        super().data_received(data)
        if self._unread > self.door.max_head_bytes and not self.transport.is_closing():
            # Neither a head, nor a piece of a body, nor the end of its trailers came of all this.
            self._too_large()

    def _too_large(self) -> None:
        is_the_url = self._part is _Part.HEAD and len(self.url) > self.door.max_head_bytes // 2
        self.turn_away(HTTPStatus.REQUEST_URI_TOO_LONG if is_the_url else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._part, self.since = _Part.HEAD, self.loop.time()

    def on_headers_complete(self) -> None:
        if self._unread > self.door.max_head_bytes:
            # It came with what follows it, or with what went before.
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self.door.max_head_bytes:
                self._too_large()
        if self._is_turned_away:
            return
        super().on_headers_complete()
        # What comes after a body in pieces (trailers) is no header of the request that was let in.
        self.headers = []
        self._part, self.since, self._unread = _Part.BODY, self.loop.time(), 0
        if self.door.is_closing:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if not self._is_turned_away:
            self._unread = 0
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_turned_away:
            self._part, self.since, self._unread = _Part.BEGINNING, self.loop.time(), 0
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self.turn_away(HTTPStatus.BAD_REQUEST)

    # What becomes of it.

    def look(self, now: float) -> None:
        """From time to time: end what nobody should wait for any longer."""
        unsent = self.transport.get_write_buffer_size()
        is_read = unsent != self._unsent
        self._unsent = unsent
        if unsent or self.transport.is_closing():
            if is_read:
                self.since = now
            elif now - self.since > self.door.arrival_timeout_s:
                self.transport.abort()  # the answer is not fetched
        elif not self.is_waiting:
            self.since = now
        elif self._part is _Part.BEGINNING and self.cycle is not None:
            if now - self.since > self.door.keep_alive_s:
                self.transport.close()
        elif now - self.since > self.door.arrival_timeout_s:
            self.leave()

    def announce_close(self) -> None:
        """The server stops: the answer that is on its way is the last."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def leave(self) -> None:
        """Go, with a word to whoever is in the middle of a request."""
        if self._part is _Part.BEGINNING:
            self._count_out()
            self.transport.close()
        else:
            self.turn_away(HTTPStatus.REQUEST_TIMEOUT)

    def turn_away(self, status: HTTPStatus) -> None:
        """Answer without the application, and go. Answers that are still to be given come first."""
        if self._is_turned_away or self.transport.is_closing():
            return
        self._count_out()
        cycle = self.cycle
        is_its_own = self._part is _Part.BODY and not self.pipeline  # else the cycle is that of a request before
        if cycle is not None and not is_its_own and not cycle.response_complete:
            cycle.keep_alive = False
            return
        if cycle is not None and is_its_own:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        body = json.dumps({"message": _SENTENCES[status]}).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        if self.transport.can_write_eof() and self.door.has_patience:
            self.transport.write_eof()
            self.loop.call_later(_HEARD_OUT_S, self.transport.close)
        else:
            self.transport.close()

    def _count_out(self) -> None:
        self._is_turned_away = True
        self.door.leaving += 1
        self._unset_keepalive_if_required()


def connection_class(door: Door) -> type[Connection]:
    """The class that a server makes its connections of."""
    return cast("type[Connection]", type("Connection", (Connection,), {"door": door}))
