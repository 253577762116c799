"""The outbox: what must be told to whom. A row here is written in the same transaction as what it tells."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from gerbang.clock import from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.merchants import Merchant
from gerbang.storage import Row, Tx

TOPIC = "outbox"


class NotificationState(StrEnum):
    """Where a notification stands. HELD: the sandbox lets a later one of the payment overtake it (see mischief.py)."""

    QUEUED = "QUEUED"
    HELD = "HELD"
    RETRYING = "RETRYING"
    DELIVERED = "DELIVERED"
    GAVE_UP = "GAVE_UP"


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing to tell one merchant.

    request_id  made by us, kept over all attempts: a merchant may use it to recognise repeats
    attempts    automatic ones so far; resends asked for by a person are not counted
    due_at      business time of the next attempt; None when it is over
    """

    id: str
    merchant_id: str
    order_id: str
    payment_id: str
    kind: str
    url: str
    endpoint: str
    request_id: str
    body: bytes
    state: NotificationState
    attempts: int
    resend: bool
    created_at: datetime
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP call: what was sent, what was signed, what came back. Without a status, the error says why."""

    url: str
    duration_ms: int
    request_headers: dict[str, str]
    string_to_sign: str
    status: int | None
    answer_headers: dict[str, str]
    answer_body: str
    error: str | None

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Attempt(Exchange):
    """One try to deliver, with everything needed to find out why it failed.

    at               business time
    started_real_at  the machine's time, as in the Request-Timestamp header
    duration_ms      of everything, the call before it too
    before           the call that had to come first, for protocols whose receiver hands out a token. When it failed, nothing else
                     was sent, and its failure is the error here
    """

    number: int
    at: datetime
    started_real_at: datetime
    before: Exchange | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A notification ready to post: the headers as they go out, in their exact case, and the text that was signed.

    secrets   what of them is not kept with the attempt
    answered  told what came back: the status (None for no answer) and the start of the body
    before    the call that came first, secrets already left out
    """

    headers: dict[str, str]
    string_to_sign: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    answered: Callable[[int | None, str], None] | None = None
    before: Exchange | None = None


class NotPrepared(Exception):
    """The notification could not be prepared, so this attempt failed. The text says why."""

    def __init__(self, why: str, before: Exchange | None = None) -> None:
        super().__init__(why)
        self.before = before


Post = Callable[[str, bytes, Mapping[str, str], str], Awaitable[Exchange]]
"""(URL, body, headers, string to sign) → what came of it. Never raises; goes to the same addresses as notifications may."""

Prepare = Callable[[Notification, Merchant, str, datetime, Post], Prepared | Awaitable[Prepared]]
"""(notification, merchant, target, real time, post) → headers. Each protocol signs its own notifications; one whose receiver has to
be asked first uses `post`. Raises NotPrepared."""


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """The text with no more of each secret than tells it from others."""
    for secret in secrets:
        shown = f"{secret[:8]}…{secret[-6:]}" if len(secret) >= 64 else "…"
        text = text.replace(secret, shown)
    return text


def body_bytes(body: dict[str, Any]) -> bytes:
    """Compact ASCII JSON without a bare `+` or `%`: one receiver URL-decodes the body before it hashes it (real clients)."""
    text = json.dumps(body, ensure_ascii=True, separators=(",", ":"))
    # Outside strings JSON has no % and our numbers no exponent, so only string contents are touched.
    return text.replace("+", "\\u002b").replace("%", "\\u0025").encode("ascii")


def enqueue(
    tx: Tx, *, merchant_id: str, order_id: str, payment_id: str, kind: str, url: str, body: dict[str, Any] | bytes, now: datetime
) -> str:
    """Put a notification into the outbox; its id. It leaves as soon as `tx` is committed. Bytes are sent as they are."""
    notification_id = _next_id(tx, payment_id)
    at = to_ms(now)
    tx.execute(
        "insert into notification (id, merchant_id, order_id, payment_id, kind, url, endpoint, request_id, body, state, attempts,"
        " created_at, due_at, lease_real_until)"
        " values (:id, :merchant_id, :order_id, :payment_id, :kind, :url, :endpoint, :request_id, :body, 'QUEUED', 0, :at, :at, 0)",
        {
            "id": notification_id,
            "merchant_id": merchant_id,
            "order_id": order_id,
            "payment_id": payment_id,
            "kind": kind,
            "url": url,
            "endpoint": endpoint_of(url),
            "request_id": notification_id.removeprefix("ntf_"),
            "body": body if isinstance(body, bytes) else body_bytes(body),
            "at": at,
        },
    )
    tx.signal(TOPIC)
    return notification_id


def endpoint_of(url: str) -> str:
    """Whom a URL reaches, for keeping one slow receiver from holding back others: scheme, host, port. No user, no password."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _next_id(tx: Tx, payment_id: str) -> str:
    """An id after all others of the payment: ids give the order of delivery.

    Two made within a millisecond, or after the machine's clock was set back, would not sort by themselves.
    """
    last = tx.one("select max(id) as id from notification where payment_id = :id", {"id": payment_id})
    return new_id("ntf", after=last["id"] if last else None)


def resend(tx: Tx, notification_id: str, *, now: datetime) -> None:
    """Deliver once more, now, whatever happened before. Raises Refused(NOTIFICATION_NOT_FOUND)."""
    touched = tx.execute(
        "update notification set due_at = :now, resend = 1 where id = :id", {"id": notification_id, "now": to_ms(now)}
    )
    if touched != 1:
        raise Refused(Reason.NOTIFICATION_NOT_FOUND, id=notification_id)
    tx.signal(TOPIC)


def get_notification(tx: Tx, notification_id: str) -> Notification:
    """Raises Refused(NOTIFICATION_NOT_FOUND)."""
    row = tx.one("select * from notification where id = :id", {"id": notification_id})
    if row is None:
        raise Refused(Reason.NOTIFICATION_NOT_FOUND, id=notification_id)
    return notification_from(row)


def list_notifications(
    tx: Tx, *, merchant_id: str | None = None, order_id: str | None = None, state: str | None = None, limit: int = 50
) -> list[Notification]:
    """Newest first; of an order, as made."""
    given = {"merchant_id": merchant_id, "order_id": order_id, "state": state}
    wheres = [f"{name} = :{name}" for name, value in given.items() if value]
    where = f" where {' and '.join(wheres)}" if wheres else ""
    direction = "asc" if order_id else "desc"
    rows = tx.all(
        f"select * from notification{where} order by id {direction} limit :limit",  # noqa: S608 - fixed texts only
        {name: value for name, value in given.items() if value} | {"limit": limit},
    )
    return [notification_from(row) for row in rows]


def attempts_of(tx: Tx, notification_id: str) -> list[Attempt]:
    """Every attempt, in order."""
    rows = tx.all("select * from attempt where notification_id = :id order by number", {"id": notification_id})
    return [
        Attempt(
            number=row["number"],
            at=from_ms(row["at"]),
            started_real_at=from_ms(row["started_real_at"]),
            duration_ms=row["duration_ms"],
            url=row["url"],
            request_headers=json.loads(row["request_headers"]),
            string_to_sign=row["string_to_sign"],
            status=row["status"],
            answer_headers=json.loads(row["answer_headers"]),
            answer_body=row["answer_body"],
            error=row["error"],
            before=Exchange(**json.loads(row["call_before"])) if row["call_before"] else None,
        )
        for row in rows
    ]


def notification_from(row: Row) -> Notification:
    """A notification as stored."""
    due_at = row["due_at"]
    return Notification(
        id=row["id"],
        merchant_id=row["merchant_id"],
        order_id=row["order_id"],
        payment_id=row["payment_id"],
        kind=row["kind"],
        url=row["url"],
        endpoint=row["endpoint"],
        request_id=row["request_id"],
        body=bytes(row["body"]),
        state=NotificationState(row["state"]),
        attempts=row["attempts"],
        resend=bool(row["resend"]),
        created_at=from_ms(row["created_at"]),
        due_at=None if due_at is None else from_ms(due_at),
    )
