"""The edge: one small ASGI application. The signed API is a table of (method, path); pages and the rest are Starlette's.

The API needs the raw bytes in and the exact signed bytes out, so nothing stands between the socket and the protocol.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from posixpath import normpath
from typing import Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gerbang.endpoint import ApiProtocol, Endpoint, HttpReply, HttpRequest

log = logging.getLogger(__name__)

_HOST = re.compile(r"[\w.\-~]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?", re.ASCII)
# Of a body that is too large, this much more is listened to: whoever is still speaking does not hear the answer.
_DRAINED_BYTES = 8 * 1_048_576


class TooLarge(Exception):
    """The body is larger than the installation accepts. `more`: the caller is still speaking."""

    def __init__(self, *, more: bool) -> None:
        super().__init__()
        self.more = more


class ApiTable:
    """Endpoints by method and path, each with the protocol that guards it."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, tuple[ApiProtocol, Endpoint]]] = {}
        self._open: list[tuple[str, str, ApiProtocol, Endpoint]] = []
        self._strangers: list[tuple[str, Callable[[], HttpReply]]] = []

    def add(self, protocol: ApiProtocol, endpoint: Endpoint) -> None:
        """Publish an endpoint. Two of the same method and path are a mistake in a room."""
        if endpoint.path.endswith("}"):
            self._open.append((endpoint.method, endpoint.path.rpartition("{")[0], protocol, endpoint))
            return
        methods = self._exact.setdefault(endpoint.path, {})
        assert endpoint.method not in methods, endpoint
        methods[endpoint.method] = (protocol, endpoint)

    def answer_unknown(self, prefix: str, answer: Callable[[], HttpReply]) -> None:
        """Let a protocol answer for the paths under a prefix that lead nowhere."""
        self._strangers.append((prefix, answer))

    def find(self, method: str, raw_path: str) -> "tuple[ApiProtocol, Endpoint, str] | HttpReply | None":
        """The endpoint and its path value; the answer when there is none for this method; None for other paths."""
        methods = self._exact.get(raw_path)
        if methods is not None:
            found = methods.get(method)
            return (*found, "") if found else _wrong_method(method, methods)
        others: dict[str, tuple[ApiProtocol, Endpoint]] = {}
        for open_method, prefix, protocol, endpoint in self._open:
            if raw_path.startswith(prefix) and len(raw_path) > len(prefix):
                if open_method == method:
                    return protocol, endpoint, unquote(raw_path[len(prefix) :])
                others[open_method] = (protocol, endpoint)
        if others:
            return _wrong_method(method, others)
        return next((answer() for prefix, answer in self._strangers if raw_path.startswith(prefix)), None)

    def similar(self, raw_path: str) -> str | None:
        """The path of ours that differs from this one in slashes, dots, case or escapes only."""
        sent = _plain(raw_path)
        for path in self._exact:
            if _plain(path) == sent:
                return path
        return next((one.path for *_, prefix, _, one in self._open if sent.startswith(_plain(prefix) + "/")), None)

    def endpoints(self) -> list[Endpoint]:
        """Everything published, for the API description."""
        exact = [found[1] for methods in self._exact.values() for found in methods.values()]
        return exact + [endpoint for *_, endpoint in self._open]


def _plain(path: str) -> str:
    return "/" + normpath(unquote(path)).strip("/").lower()


def _wrong_method(method: str, others: Mapping[str, tuple[ApiProtocol, Endpoint]]) -> HttpReply:
    protocol, endpoint = next(iter(others.values()))
    reply = protocol.wrong_method(endpoint, method)
    return replace(reply, headers=(*reply.headers, ("Allow", ", ".join(sorted(others)))))


class Edge:
    """The ASGI application."""

    def __init__(self, api: ApiTable, pages: ASGIApp, *, max_body_bytes: int) -> None:
        self._api = api
        self._pages = pages
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        raw_path = path_of(scope)
        found = self._api.find(scope["method"], raw_path)
        if found is None:
            if "\x00" in scope["path"]:  # PostgreSQL would not even look for it
                scope = {**scope, "path": scope["path"].replace("\x00", "\ufffd")}
            await self._pages(scope, _at_most(receive, self._max_body_bytes), send)
            return
        if isinstance(found, HttpReply):
            await _send(send, found)
            return
        protocol, endpoint, path_value = found
        too_large = False
        try:
            body = await read_body(receive, self._max_body_bytes)
        except TooLarge as error:
            too_large, body = True, b""
            if error.more:
                await drain(receive, _DRAINED_BYTES)
        if body is None:
            return  # the caller went away before it had said everything
        headers = read_headers(scope)
        request = HttpRequest(
            method=scope["method"],
            raw_path=raw_path,
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            body=body,
            origin=origin_of(scope, headers),
        )
        if too_large:
            reply = await protocol.too_large(endpoint, request)
            await _send(send, HttpReply(reply.status, (*reply.headers, ("Connection", "close")), reply.body))
            return
        await _send(send, await protocol.handle(endpoint, request, path_value))


def path_of(scope: Scope) -> str:
    """The path as it was sent: endpoints have one spelling."""
    raw: bytes = scope.get("raw_path", b"")
    return raw.decode("ascii", "replace").partition("?")[0] or str(scope["path"])


def read_headers(scope: Scope) -> Mapping[str, str]:
    """Headers by lower-case name. Of a repeated one the first counts."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return headers


def origin_of(scope: Scope, headers: Mapping[str, str]) -> str:
    """Scheme and host as the caller wrote them, so that a page address works from where the caller is."""
    host = headers.get("host", "")
    if _HOST.fullmatch(host) is None:
        server: tuple[str, Any] = scope.get("server") or ("127.0.0.1", 80)
        host = f"[{server[0]}]:{server[1]}" if ":" in server[0] else f"{server[0]}:{server[1]}"
    return f"{scope.get('scheme', 'http')}://{host}"


async def read_body(receive: Receive, most: int) -> bytes | None:
    """The whole body; None when the caller hung up; raises TooLarge."""
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > most:
            raise TooLarge(more=False)
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise TooLarge(more=bool(message.get("more_body")))
    return b"".join(parts)


def _at_most(receive: Receive, most: int) -> Receive:
    """The same for pages, which read their forms themselves: past the limit, whoever reads is stopped and answers 413."""
    heard = 0

    async def counted() -> Message:
        nonlocal heard
        message = await receive()
        heard += len(message.get("body", b""))
        if heard > most:
            raise HTTPException(413)
        return message

    return counted


async def drain(receive: Receive, most: int) -> None:
    """Listen and forget, until the caller has said everything, hangs up, or has said `most` bytes."""
    heard = 0
    while heard <= most:
        message = await receive()
        heard += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


async def _send(send: Send, reply: HttpReply) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    headers.append((b"Content-Length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
