"""What the control API and the command line's `--json` say about things: records, so that the API description lists them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from gerbang.clock import iso_z
from gerbang.ledger import Line, entries
from gerbang.notifications.mischief import history as mischief_of
from gerbang.notifications.outbox import Attempt, Notification, attempts_of, list_notifications
from gerbang.payments import Order, Payment, Refund, events, payments_of, refunds_of
from gerbang.payments.unexpected import UnexpectedMoney, unexpected_of
from gerbang.storage import Tx
from gerbang.wallet import balance, get_account

if TYPE_CHECKING:
    from gerbang.channel import Channel


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


class RefundRecord(msgspec.Struct):
    """Money on its way back, or given back. The MANUAL types wait for a person."""

    id: str
    payment_id: str
    client_id: str
    amount: int
    type: str
    state: str
    message: str | None
    approval_code: str | None
    request_id: str
    created_at: str
    finished_at: str | None
    transfers: list[TransferRecord]


class ChargeRecord(msgspec.Struct):
    """One attempt to charge one card, without its number.

    trans_status   how 3-D Secure ended: Y, A, N, U, R; None: it was not asked, or is not over
    reason         why it ended so: timeout, cancelled, wrong_code
    risk_status    what the risk rules said: APPROVE, REVIEW, REJECT
    token          under which the card was saved
    """

    id: str
    state: str
    payment_type: str
    amount: int
    discount: int
    tenor: int
    acquirer: str
    card: str
    brand: str
    issuer: str
    response_code: str | None
    response_message: str | None
    approval_code: str | None
    authorize_id: str | None
    authentication_id: str | None
    trans_status: str | None
    eci: str
    reason: str | None
    risk_status: str
    risk_reason: str
    token: str | None
    created_at: str


class UnexpectedRecord(msgspec.Struct):
    """Money that came in and that no payment waited for. HELD: being given back; KEPT: a person has to; RETURNED: it is back."""

    id: str
    payment_id: str
    client_id: str
    channel: str
    receipt: str
    reason: str
    amount: int
    state: str
    created_at: str
    ended_at: str | None


class PaymentRecord(msgspec.Struct):
    """One attempt to pay, with its events and its transfers.

    charged         what was taken, or is held
    refunded        how much of it went back, or is on its way back
    settles_at      until then money goes back as a void
    capture_before  until then an authorisation can be captured
    """

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
    charged: int | None
    refunded: int
    settles_at: str | None
    capture_before: str | None
    charges: list[ChargeRecord]
    refunds: list[RefundRecord]
    unexpected: list[UnexpectedRecord]
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


class MischiefRecord(msgspec.Struct):
    """What a sandbox did to a notification because a plan said so."""

    kind: str
    what: str
    at: str


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
    mischief: list[MischiefRecord] = []


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


def order_record(tx: Tx, order: Order, channels: "Mapping[str, Channel]") -> OrderRecord:
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
        payments=[payment_record(tx, payment, channels) for payment in payments_of(tx, order.id)],
        notifications=[notification_record(tx, one) for one in list_notifications(tx, order_id=order.id)],
    )


def payment_record(tx: Tx, payment: Payment, channels: "Mapping[str, Channel]") -> PaymentRecord:
    """The payment as it stands."""
    charges = channels[payment.channel].charges
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
        charged=payment.charged,
        refunded=payment.refunded,
        settles_at=iso_z(payment.settles_at) if payment.settles_at else None,
        capture_before=iso_z(payment.capture_before) if payment.capture_before else None,
        charges=charges(tx, payment) if charges else [],
        refunds=[refund_record(tx, refund) for refund in refunds_of(tx, payment.id)],
        unexpected=[unexpected_record(one) for one in unexpected_of(tx, payment.id)],
        events=[EventRecord(event.event, event.state, iso_z(event.at), event.facts) for event in events(tx, payment.id)],
        transfers=[transfer_record(line) for line in entries(tx, cause=payment.id)],
    )


def refund_record(tx: Tx, refund: Refund) -> RefundRecord:
    """The refund as it stands."""
    return RefundRecord(
        id=refund.id,
        payment_id=refund.payment_id,
        client_id=refund.merchant_id,
        amount=refund.amount,
        type=refund.type.value,
        state=refund.state.value,
        message=refund.message,
        approval_code=refund.approval_code,
        request_id=refund.request_id,
        created_at=iso_z(refund.created_at),
        finished_at=iso_z(refund.finished_at) if refund.finished_at else None,
        transfers=[transfer_record(line) for line in entries(tx, cause=refund.id)],
    )


def unexpected_record(one: UnexpectedMoney) -> UnexpectedRecord:
    """Unexpected money as it stands."""
    return UnexpectedRecord(
        id=one.id,
        payment_id=one.payment_id,
        client_id=one.merchant_id,
        channel=one.channel,
        receipt=one.receipt,
        reason=one.reason.value,
        amount=one.amount,
        state=one.state.value,
        created_at=iso_z(one.created_at),
        ended_at=iso_z(one.ended_at) if one.ended_at else None,
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
        mischief=[MischiefRecord(one.kind.value, one.what, iso_z(one.at)) for one in mischief_of(tx, notification.id)],
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
