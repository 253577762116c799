"""What the control API and the command line's `--json` say about things: records, so that the API description lists them."""

from dataclasses import asdict
from typing import Any

import msgspec

from gerbang.clock import iso_z
from gerbang.ledger import Line, entries
from gerbang.notifications.outbox import Attempt, Notification, attempts_of, list_notifications
from gerbang.payments import Order, Payment, events, payments_of
from gerbang.storage import Tx
from gerbang.wallet import balance, get_account


class EventRecord(msgspec.Struct):
    """One line of a payment's history."""

    event: str
    state: str
    at: str
    facts: dict[str, Any]


class TransferRecord(msgspec.Struct):
    """One movement of money in the ledger."""

    id: str
    debit: str
    credit: str
    amount: int
    entry: str
    at: str


class PaymentRecord(msgspec.Struct):
    """One attempt to pay, with its events and its transfers."""

    id: str
    channel: str
    amount: int
    state: str
    payer: str | None
    approval_code: str | None
    failure: str | None
    created_at: str
    expires_at: str
    finished_at: str | None
    events: list[EventRecord]
    transfers: list[TransferRecord]


class ExchangeRecord(msgspec.Struct):
    """A call that had to come before a notification (asking the merchant for its token), tokens left out."""

    url: str
    duration_ms: int
    request_headers: dict[str, str]
    string_to_sign: str
    status: int | None
    answer_headers: dict[str, str]
    answer_body: str
    error: str | None


class AttemptRecord(msgspec.Struct):
    """One attempt to deliver: what was sent, what was signed, what came back. `before` is the call that had to come first."""

    number: int
    at: str
    duration_ms: int
    request_headers: dict[str, str]
    string_to_sign: str
    status: int | None
    answer_headers: dict[str, str]
    answer_body: str
    error: str | None
    before: ExchangeRecord | None = None


class NotificationRecord(msgspec.Struct):
    """A notification with every attempt."""

    id: str
    payment_id: str
    url: str
    request_id: str
    body: str
    state: str
    created_at: str
    next_attempt_at: str | None
    attempts: list[AttemptRecord]


class OrderRecord(msgspec.Struct):
    """An order with everything that happened to it."""

    client_id: str
    invoice_number: str
    amount: int
    state: str
    request_id: str
    details: dict[str, Any]
    warnings: list[str]
    created_at: str
    payments: list[PaymentRecord]
    notifications: list[NotificationRecord]


class AccountRecord(msgspec.Struct):
    """A wallet account with its balance; never its PIN."""

    account_id: str
    phone: str
    name: str
    email: str | None
    level: str
    status: str
    balance: int


def order_record(tx: Tx, order: Order) -> OrderRecord:
    """The order as it stands."""
    return OrderRecord(
        client_id=order.merchant_id,
        invoice_number=order.invoice_number,
        amount=order.amount,
        state=order.state.value,
        request_id=order.request_id,
        details=order.details,
        warnings=list(order.details.get("warnings", ())),
        created_at=iso_z(order.created_at),
        payments=[payment_record(tx, payment) for payment in payments_of(tx, order.id)],
        notifications=[notification_record(tx, one) for one in list_notifications(tx, order_id=order.id)],
    )


def payment_record(tx: Tx, payment: Payment) -> PaymentRecord:
    """The payment as it stands."""
    return PaymentRecord(
        id=payment.id,
        channel=payment.channel,
        amount=payment.amount,
        state=payment.state.value,
        payer=payment.payer,
        approval_code=payment.approval_code,
        failure=payment.failure,
        created_at=iso_z(payment.created_at),
        expires_at=iso_z(payment.expires_at),
        finished_at=iso_z(payment.finished_at) if payment.finished_at else None,
        events=[EventRecord(event.event, event.state, iso_z(event.at), event.facts) for event in events(tx, payment.id)],
        transfers=[transfer_record(line) for line in entries(tx, cause=payment.id)],
    )


def transfer_record(line: Line) -> TransferRecord:
    """The transfer as booked."""
    return TransferRecord(line.id, line.debit, line.credit, line.amount, line.entry, iso_z(line.at))


def notification_record(tx: Tx, notification: Notification) -> NotificationRecord:
    """The notification as it stands."""
    return NotificationRecord(
        id=notification.id,
        payment_id=notification.payment_id,
        url=notification.url,
        request_id=notification.request_id,
        body=notification.body.decode(),
        state=notification.state.value,
        created_at=iso_z(notification.created_at),
        next_attempt_at=iso_z(notification.due_at) if notification.due_at else None,
        attempts=[attempt_record(attempt) for attempt in attempts_of(tx, notification.id)],
    )


def attempt_record(attempt: Attempt) -> AttemptRecord:
    """The attempt as recorded."""
    return AttemptRecord(
        number=attempt.number,
        at=iso_z(attempt.at),
        duration_ms=attempt.duration_ms,
        request_headers=attempt.request_headers,
        string_to_sign=attempt.string_to_sign,
        status=attempt.status,
        answer_headers=attempt.answer_headers,
        answer_body=attempt.answer_body,
        error=attempt.error,
        before=None if attempt.before is None else ExchangeRecord(**asdict(attempt.before)),
    )


def account_record(tx: Tx, account_id: str) -> AccountRecord:
    """The account as it stands; raises Refused(ACCOUNT_NOT_FOUND)."""
    customer = get_account(tx, account_id)
    return AccountRecord(
        account_id=customer.id,
        phone=customer.phone,
        name=customer.name,
        email=customer.email,
        level=customer.level.value,
        status=customer.status.value,
        balance=balance(tx, customer.id),
    )
