"""Who may use what asks for no password: the control API, the simulators, the inbox and the demo shop.

Every page that a developer opens can make the browser call loopback, under `localhost`, a number, or a name of its own that leads
there (DNS rebinding). So a call has to name a host that this server is known by, and, when a page made it, that page has to be ours.
Programs (curl, a test suite) send no Origin and are not asked for one.
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gerbang.settings import Settings
from gerbang.web.asgi import read_headers

GUARDED = ("/sandbox/", "/simulators", "/demo", "/openapi.json")
# An issuer's page is posted to from other sites by nature, and its address cannot be guessed.
_POSTED_TO_FROM_ELSEWHERE = ("/simulators/bank/",)
_JSON_ONLY = "/sandbox/"
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[\w.\-]+))(?::\d{1,5})?", re.ASCII | re.IGNORECASE)
_SAFE = ("GET", "HEAD", "OPTIONS")


class Guard:
    """An ASGI application before another one."""

    def __init__(self, inner: ASGIApp, settings: Settings) -> None:
        self._inner = inner
        self._hosts = {name.lower() for name in (settings.host, *settings.allowed_hosts)}
        if settings.public_url:
            self._hosts.add(str(urlsplit(settings.public_url).hostname))
        # Whoever listens everywhere can be reached under any of the machine's numbers. A number cannot be rebound.
        self._any_number = settings.host in ("0.0.0.0", "::")  # noqa: S104

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(GUARDED):
            await self._inner(scope, receive, send)
            return
        headers = read_headers(scope)
        refused = self._refusal(scope["method"], scope["path"], headers)
        if refused is not None:
            status, code, message = refused
            body = msgspec.json.encode({"error": {"code": code, "message": message}})
            await Response(body, status, media_type="application/json")(scope, receive, send)
            return

        async def tell_own_pages_apart(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Without a referrer browsers call their own forms' origin null, which nobody could tell from a stranger's.
                kept = [(name, value) for name, value in message["headers"] if name.lower() != b"referrer-policy"]
                message = {**message, "headers": [*kept, (b"referrer-policy", b"same-origin")]}
            await send(message)

        await self._inner(scope, receive, tell_own_pages_apart)

    def _refusal(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str, str] | None:
        """Status, code and text; None for who may."""
        host = headers.get("host", "")
        if not self.knows(host):
            return (
                403,
                "unknown_host",
                f"this sandbox is not known as {host[:100]!r}; if it should be, name it: GERBANG_ALLOWED_HOSTS=name,other-name",
            )
        if path.startswith(_JSON_ONLY) and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return 403, "foreign_page", "the control API does not answer pages of other sites"
        if method in _SAFE or path.startswith(_POSTED_TO_FROM_ELSEWHERE):
            return None
        if not _is_own_page(host, headers):
            return 403, "foreign_page", "pages of other sites may not do this"
        if path.startswith(_JSON_ONLY) and not _is_json(headers):
            return 415, "not_json", "send JSON and say so: Content-Type: application/json"
        return None

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = (found["six"] or found["name"]).lower()
        if name in self._hosts or name == "localhost" or name.endswith(".localhost"):  # browsers never ask anybody for these
            return True
        try:
            number = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._any_number or number.is_loopback


def _is_own_page(host: str, headers: Mapping[str, str]) -> bool:
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in ("same-origin", "none")  # none: typed by a person
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _is_json(headers: Mapping[str, str]) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind:
        return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    return kind == "application/json"
