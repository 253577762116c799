"""Reading what the gateway tells a shop.

Source: DOKU, HTTP notification and its best practice. A shop that follows it: verify the signature over the bytes
received, answer 2xx at once, remember the Request-Id (retries repeat it), compare the amount, and look at the status
through the API before shipping anything.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gerbang.client.cards import CardFacts, card_facts
from gerbang.client.errors import NotificationUnreadable, SignatureMismatch
from gerbang.money import NotMoney, parse_amount
from gerbang.protocols.nonsnap.signature import matches, string_to_sign

_HEADERS = ("client-id", "request-id", "request-timestamp", "signature")


@dataclass(frozen=True)
class Notification:
    """A notification whose signature is right.

    status      SUCCESS, FAILED, EXPIRED, VOIDED, REFUNDED, or PENDING for a card authorisation. FAILED of a card is no final word
                while its page is open: the buyer may be trying another card
    request_id  of the notification; a retry repeats it, so it is the key for "seen already"
    original_request_id  of the call that opened the payment
    date        aware UTC; None when absent or unreadable
    card        of a card payment, once a card was tried
    """

    status: str
    invoice_number: str
    amount: int
    channel: str | None
    original_request_id: str | None
    request_id: str
    date: datetime | None
    raw: dict[str, Any]
    card: CardFacts | None = None


def verify_notification(
    headers: Mapping[str, str],
    raw_body: bytes,
    secret_key: str,
    *,
    target: str,
    client_id: str | None = None,
) -> Notification:
    """Check the signature of a notification, then read it.

    headers    of any spelling; of any web framework
    raw_body   the bytes received. Never a decoded and re-encoded body: its signature differs
    target     path of the URL that was called, with its query when it has one
    client_id  when given, a notification for another merchant is refused even if the keys are equal

    The timestamp is not judged: a retry may come half a day later, and its Request-Id says whether it is one.

    Raises SignatureMismatch, and NotificationUnreadable for a signed body that is not a notification.
    """
    sent = {name.lower(): value for name, value in headers.items() if name.lower() in _HEADERS}
    for name in _HEADERS:
        # A line break in a value would let one header pose as the next line of the signed text.
        if not sent.get(name) or "\n" in sent[name] or "\r" in sent[name]:
            raise SignatureMismatch(f"the notification has no usable {name.title()} header")
    if client_id is not None and sent["client-id"] != client_id:
        raise SignatureMismatch("the notification is for another merchant")
    text = string_to_sign(
        client_id=sent["client-id"],
        request_id=sent["request-id"],
        timestamp=sent["request-timestamp"],
        target=target,
        body=raw_body,
    )
    if not matches(sent["signature"], text, secret_key):
        raise SignatureMismatch("the notification is not signed with this secret key, or it was changed on the way")
    return _read(raw_body, sent["request-id"])


def _read(raw_body: bytes, request_id: str) -> Notification:
    """Not strict: DOKU says that new fields may appear, and channels differ in theirs."""
    try:
        body = json.loads(raw_body, parse_float=Decimal)
    except (ValueError, RecursionError) as problem:
        raise NotificationUnreadable("the notification is not JSON") from problem
    if not isinstance(body, dict):
        raise NotificationUnreadable("the notification is not a JSON object")

    order, transaction, channel = (_block(body, name) for name in ("order", "transaction", "channel"))
    invoice_number = order.get("invoice_number")
    status = transaction.get("status")
    if not isinstance(invoice_number, str) or not invoice_number:
        raise NotificationUnreadable("the notification has no order.invoice_number")
    if not isinstance(status, str) or not status:
        raise NotificationUnreadable("the notification has no transaction.status")
    try:
        amount = parse_amount(order.get("amount"))
    except NotMoney as problem:
        raise NotificationUnreadable("order.amount is not whole rupiah") from problem
    return Notification(
        status=status,
        invoice_number=invoice_number,
        amount=amount,
        channel=_text_or_none(channel.get("id")),
        original_request_id=_text_or_none(transaction.get("original_request_id")),
        request_id=request_id,
        date=_moment(transaction.get("date")),
        raw=body,
        card=card_facts(body),
    )


def _block(body: dict[str, Any], name: str) -> dict[str, Any]:
    block = body.get(name)
    return block if isinstance(block, dict) else {}


def _text_or_none(sent: object) -> str | None:
    return str(sent) if isinstance(sent, str | int) and sent != "" else None


def _moment(sent: object) -> datetime | None:
    if not isinstance(sent, str):
        return None
    try:
        moment = datetime.fromisoformat(sent)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # no time, or one at the ends of the calendar
        return None
