"""What one API call looks like to the protocol that guards it and to the handler that answers it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from gerbang.errors import Reason
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
    room        the running parts of the endpoint's room (see `Channel.open`); None for a room without any
    headers     the request's own headers, lower case: for what a risk rule looks at
    external_id SNAP: X-EXTERNAL-ID
    customer_id SNAP: the account of the customer token, for endpoints that need one; with it its binding
    service_code SNAP: that of the endpoint; with it the partnerReferenceNo, where the endpoint creates something
    """

    tx: Tx
    merchant: Merchant
    request_id: str
    now: datetime
    settings: Settings
    public_url: str
    path_value: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)
    room: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    external_id: str = ""
    customer_id: str = ""
    binding_id: str = ""
    service_code: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """What an action returns instead of an answer when somebody outside has to be asked first.

    The question is on disk when this is returned and its transaction committed, so that a sweeper finds it should the process
    die here; `ask` runs outside any transaction; `after` runs in a new one and may itself return an `Ask`. A repeat of the
    same request after such a death comes to the action again, which has to recognise its own question.
    """

    ask: Callable[[], Awaitable[Any]]
    after: "Callable[[Call, Any], ActionResult]"


@dataclass(frozen=True, slots=True)
class InProgress:
    """An answer that says "not yet": SNAP sends it with HTTP 202 and case 00, Request In Progress."""

    body: msgspec.Struct | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Declined:
    """Turned down like a `Refused`, but what the action wrote stays: a wrong one-time password has to be counted."""

    reason: Reason
    facts: Mapping[str, object] = field(default_factory=dict)


ActionResult = msgspec.Struct | Mapping[str, Any] | Ask | InProgress | Declined
Action = Callable[[Call, Any], ActionResult]


@dataclass(frozen=True, slots=True)
class BodySignature:
    """Where a body says by itself who calls and what proves it: a call that needs no headers (OVO push).

    client_id, check_sum  the way to them in the body, e.g. ("security", "check_sum")
    values                what is hashed, of the body as sent, one behind the other, without the secret key at its end
    """

    client_id: tuple[str, ...]
    check_sum: tuple[str, ...]
    values: Callable[[Mapping[str, Any]], tuple[str, ...]]

    def text(self, body: Mapping[str, Any]) -> str:
        """The values with nothing between them: where one ends and the next begins is not signed."""
        return "".join(self.values(body))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of a room's table of contents.

    path      ends in `{…}` when its last part is variable
    request   the wire struct of the body; None for GET
    digestless_signature  a POST may be signed without the Digest line (decision D-12: LinkAja only)
    body_signature  the body is signed by itself; the signed headers may be left out, and count when they are there
    repeats_join    its answer may take long, and a repeat waits for it as long as the first call does
    room      the running parts of its room, filled in by app.py
    family    which protocol guards it
    service_code   SNAP: the two digits in the middle of its response codes
    needs_customer SNAP: a customer's (B2B2C) token has to come along
    creates   SNAP: it makes or moves something, so X-EXTERNAL-ID and partnerReferenceNo may not come twice (decision D-3)
    """

    method: str
    path: str
    summary: str
    action: Action
    response: type[msgspec.Struct]
    request: type[msgspec.Struct] | None = None
    source: str = ""
    digestless_signature: bool = False
    body_signature: BodySignature | None = None
    repeats_join: bool = False
    room: Any = field(default=None, compare=False, repr=False)
    family: Literal["nonsnap", "snap"] = "nonsnap"
    service_code: str = ""
    needs_customer: bool = False
    creates: bool = False

    @property
    def writes(self) -> bool:
        return self.method != "GET"


class ApiProtocol(Protocol):
    """Guards endpoints: authenticates, decodes, runs the action, signs the answer. One per API family."""

    async def handle(self, endpoint: Endpoint, request: HttpRequest, path_value: str) -> HttpReply: ...

    async def too_large(self, endpoint: Endpoint, request: HttpRequest) -> HttpReply:
        """The answer to a request whose body was not read to its end."""
        ...

    def wrong_method(self, endpoint: Endpoint, method: str) -> HttpReply:
        """The answer to another method than the endpoint's, given unread."""
        ...
