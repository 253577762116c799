"""What one API call looks like to the protocol that guards it and to the handler that answers it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import msgspec

from gerbang.merchants import Merchant
from gerbang.settings import Settings
from gerbang.storage import Tx


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as received. Header names are lower case; the body is the raw bytes that were signed."""

    method: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    origin: str  # scheme and host the caller used, e.g. http://127.0.0.1:8080


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply, byte for byte."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated call, inside its transaction.

    now         business time
    public_url  where buyers reach the hosted pages, without a slash at the end
    path_value  the variable last part of the path, decoded, for endpoints that have one
    raw         the body as decoded, for echoes of what was sent
    """

    tx: Tx
    merchant: Merchant
    request_id: str
    now: datetime
    settings: Settings
    public_url: str
    path_value: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


Action = Callable[[Call, Any], msgspec.Struct | Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of a room's table of contents.

    path      ends in `{…}` when its last part is variable
    request   the wire struct of the body; None for GET
    digestless_signature  a POST may be signed without the Digest line (decision D-12: LinkAja only)
    """

    method: str
    path: str
    summary: str
    action: Action
    response: type[msgspec.Struct]
    request: type[msgspec.Struct] | None = None
    source: str = ""
    digestless_signature: bool = False

    @property
    def writes(self) -> bool:
        return self.method != "GET"


class ApiProtocol(Protocol):
    """Guards endpoints: authenticates, decodes, runs the action, signs the answer. One per API family."""

    async def handle(self, endpoint: Endpoint, request: HttpRequest, path_value: str) -> HttpReply: ...

    async def too_large(self, request: HttpRequest) -> HttpReply:
        """The answer to a request whose body was not read to its end."""
        ...
