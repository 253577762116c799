"""Refunds and voids: money on its way back. A refund is a thing of its own, with states of its own.

Opening one reserves its share of the payment and of the merchant's money; whoever moves the money outside is asked then;
completing or failing it ends the reservation. So two refunds at once can never give back more than was paid, nor more
than the merchant has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gerbang.clock import from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.ledger import Line, Transfer, account, entries, post
from gerbang.money import Rupiah
from gerbang.payments.model import Payment, PaymentState, payment_from
from gerbang.payments.moves import advance, hold_payment, record_event
from gerbang.payments.states import Move
from gerbang.payments.taking import let_go, payable
from gerbang.storage import Row, Tx


class RefundType(StrEnum):
    """What DOKU calls it; the MANUAL ones are done by people."""

    VOID = "VOID"
    PARTIAL_REFUND = "PARTIAL_REFUND"
    FULL_REFUND = "FULL_REFUND"
    MANUAL_PARTIAL_REFUND = "MANUAL_PARTIAL_REFUND"
    MANUAL_FULL_REFUND = "MANUAL_FULL_REFUND"

    @property
    def is_manual(self) -> bool:
        return self in (RefundType.MANUAL_PARTIAL_REFUND, RefundType.MANUAL_FULL_REFUND)


class RefundState(StrEnum):
    """Where a refund stands."""

    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Refund:
    """Money of one payment on its way back, or given back.

    request_id  the Request-Id of the call that asked for it; a console's refund has one of its own
    """

    id: str
    payment_id: str
    merchant_id: str
    request_id: str
    amount: Rupiah
    type: RefundType
    state: RefundState
    message: str | None
    approval_code: str | None
    created_at: datetime
    finished_at: datetime | None


def open_refund(tx: Tx, payment: Payment, *, amount: Rupiah, type: RefundType, request_id: str, now: datetime) -> Refund:
    """Reserve a refund's share. A VOID takes all or nothing; that of an authorisation books nothing: the hold itself is let
    go at the end.

    Raises Refused: REFUND_TOO_LARGE, PAYMENT_NOT_PAID (nothing to give back in this state), BALANCE_TOO_SMALL (the merchant
    has not that much left).
    """
    _, payment = hold_payment(tx, payment.id)  # what counts is the row, not what the caller saw
    row = tx.one(
        "update payment set refunded = refunded + :amount"
        " where id = :id and state in ('AUTHORISED', 'SUCCESS', 'PARTIALLY_REFUNDED') and refunded + :amount <= charged"
        " returning *",
        {"id": payment.id, "amount": amount},
    )
    if row is None:
        raise _refusal(payment, amount)
    payment = payment_from(row)
    if payment.state is PaymentState.AUTHORISED and type is not RefundType.VOID:
        raise Refused(Reason.PAYMENT_NOT_PAID, state=payment.state)
    assert type is not RefundType.VOID or amount == payment.charged, (amount, payment)
    refund = _write(tx, payment, amount=amount, type=type, request_id=request_id, state=RefundState.PENDING, now=now)
    if payment.state is not PaymentState.AUTHORISED:
        # The fee's share first, so that a full refund finds all it needs.
        transfers = []
        fee = _line(tx, payment.id, "fee")
        share = _fee_back(fee, payment, payment.refunded) - _fee_back(fee, payment, payment.refunded - amount)
        if fee and share:
            transfers.append(Transfer(fee.credit, fee.debit, Rupiah(share), "fee"))
        transfers.append(Transfer(payable(payment.merchant_id), refunding(payment.merchant_id), amount, "reserve"))
        post(tx, transfers, cause=refund.id, now=now)
    return refund


def complete_refund(
    tx: Tx, refund: Refund, *, approval_code: str | None, message: str | None, now: datetime
) -> tuple[Refund, Payment]:
    """The money went back. Raises Refused(PAYMENT_MOVED_ON) when the refund ended before."""
    done, payment = _end(tx, refund, RefundState.SUCCESS, approval_code=approval_code, message=message, now=now)
    if payment.state is PaymentState.AUTHORISED:
        return done, let_go(tx, payment, Move.VOIDED, now=now)
    gross = _line(tx, payment.id, "gross")
    assert gross is not None, payment.id
    post(tx, [Transfer(refunding(refund.merchant_id), gross.debit, refund.amount, "gross")], cause=refund.id, now=now)
    if refund.type is RefundType.VOID:
        return done, advance(tx, payment, Move.VOIDED, now=now)
    gone = sum(one.amount for one in refunds_of(tx, payment.id) if one.state is RefundState.SUCCESS)
    return done, advance(tx, payment, Move.REFUNDED if gone == payment.charged else Move.PARTLY_REFUNDED, now=now)


def fail_refund(tx: Tx, refund: Refund, *, message: str, now: datetime) -> Refund:
    """The money did not go back: what was reserved is free again. Raises Refused(PAYMENT_MOVED_ON) when it ended before."""
    failed, payment = _end(tx, refund, RefundState.FAILED, approval_code=None, message=message, now=now)
    tx.execute(
        "update payment set refunded = refunded - :amount where id = :id", {"id": refund.payment_id, "amount": refund.amount}
    )
    reserved = _line(tx, refund.id, "reserve")
    if reserved is None:
        return failed
    back = [Transfer(reserved.credit, reserved.debit, reserved.amount, "unreserve")]
    # Not what this refund brought back, but what the others do not: where rupiah were rounded between them, these differ by one.
    fee = _line(tx, payment.id, "fee")
    share = _fee_back(fee, payment, payment.refunded) - _fee_back(fee, payment, payment.refunded - refund.amount)
    if fee and share:
        back.append(Transfer(fee.debit, fee.credit, Rupiah(share), "unfee"))
    post(tx, back, cause=refund.id, now=now)
    return failed


def refuse_refund(
    tx: Tx, payment: Payment, *, amount: Rupiah, type: RefundType, request_id: str, message: str, now: datetime
) -> Refund:
    """Write down a refund that was understood and cannot be: FAILED from the start, without money."""
    # Held, so that the history keeps its order beside refunds that end at this moment.
    _, held = hold_payment(tx, payment.id)
    refund = _write(tx, held, amount=amount, type=type, request_id=request_id, state=RefundState.FAILED, message=message, now=now)
    return replace(refund, finished_at=now)


def refunding(merchant_id: str) -> str:
    """The merchant's money that is on its way back to buyers."""
    return account("merchant", merchant_id, "refunding")


def refunds_of(tx: Tx, payment_id: str) -> list[Refund]:
    """A payment's refunds, oldest first."""
    return [_refund(row) for row in tx.all("select * from refund where payment_id = :id order by id", {"id": payment_id})]


def get_refund(tx: Tx, refund_id: str) -> Refund:
    """The refund; raises Refused(REFUND_NOT_FOUND)."""
    row = tx.one("select * from refund where id = :id", {"id": refund_id})
    if row is None:
        raise Refused(Reason.REFUND_NOT_FOUND, refund=refund_id)
    return _refund(row)


def open_refunds(tx: Tx, *, limit: int = 100) -> list[Refund]:
    """Refunds nobody has ended yet, oldest first: the operator's queue."""
    return [
        _refund(row)
        for row in tx.all("select * from refund where state = 'PENDING' order by created_at, id limit :limit", {"limit": limit})
    ]


def _refusal(payment: Payment, amount: Rupiah) -> Refused:
    if payment.charged is None or payment.state is PaymentState.RELEASED:
        return Refused(Reason.PAYMENT_NOT_PAID, state=payment.state)
    return Refused(Reason.REFUND_TOO_LARGE, amount=amount, charged=payment.charged, refunded=payment.refunded)


def _fee_back(fee: Line | None, payment: Payment, refunded: int) -> int:
    """How much of the fee is the merchant's again when this much of the payment is gone or going.

    Rounded down, and so all of it only with the last rupiah. It depends on nothing but the sum: neither on how many refunds
    there were nor on which of them failed.
    """
    if fee is None:
        return 0
    assert payment.charged is not None, payment.id
    return fee.amount * refunded // payment.charged


def _line(tx: Tx, cause: str, entry: str) -> Line | None:
    return next((line for line in entries(tx, cause=cause) if line.entry == entry), None)


def _end(
    tx: Tx, refund: Refund, state: RefundState, *, approval_code: str | None, message: str | None, now: datetime
) -> tuple[Refund, Payment]:
    # Held: of two refunds that end at once, the second counts the first, and the history keeps their order.
    _, payment = hold_payment(tx, refund.payment_id)
    ended = tx.execute(
        "update refund set state = :state, approval_code = :approval_code, message = :message, finished_at = :now"
        " where id = :id and state = 'PENDING'",
        {"id": refund.id, "state": state.value, "approval_code": approval_code, "message": message, "now": to_ms(now)},
    )
    if ended != 1:
        raise Refused(Reason.PAYMENT_MOVED_ON, refund=refund.id, state=get_refund(tx, refund.id).state)
    record_event(tx, refund.payment_id, refund.merchant_id, f"REFUND_{state}", payment.state, now=now, facts=_facts(refund))
    return replace(refund, state=state, approval_code=approval_code, message=message, finished_at=now), payment


def _write(
    tx: Tx,
    payment: Payment,
    *,
    amount: Rupiah,
    type: RefundType,
    request_id: str,
    state: RefundState,
    now: datetime,
    message: str | None = None,
) -> Refund:
    earlier = refunds_of(tx, payment.id)
    refund_id = new_id("rfd", after=earlier[-1].id if earlier else None)
    refund = Refund(refund_id, payment.id, payment.merchant_id, request_id, amount, type, state, message, None, now, None)
    tx.execute(
        "insert into refund (id, payment_id, merchant_id, request_id, amount, type, state, message, created_at, finished_at)"
        " values (:id, :payment_id, :merchant_id, :request_id, :amount, :type, :state, :message, :now, :finished_at)",
        {
            "id": refund.id,
            "payment_id": payment.id,
            "merchant_id": payment.merchant_id,
            "request_id": request_id,
            "amount": amount,
            "type": type.value,
            "state": state.value,
            "message": message,
            "now": to_ms(now),
            "finished_at": to_ms(now) if state is RefundState.FAILED else None,
        },
    )
    event = "REFUND_OPENED" if state is RefundState.PENDING else "REFUND_REFUSED"
    record_event(tx, payment.id, payment.merchant_id, event, payment.state, now=now, facts=_facts(refund))
    return refund


def _facts(refund: Refund) -> dict[str, object]:
    return {"refund": refund.id, "amount": refund.amount, "type": refund.type.value}


def _refund(row: "Row | Mapping[str, object]") -> Refund:
    finished_at = row["finished_at"]
    return Refund(
        id=str(row["id"]),
        payment_id=str(row["payment_id"]),
        merchant_id=str(row["merchant_id"]),
        request_id=str(row["request_id"]),
        amount=row["amount"],  # type: ignore[arg-type]
        type=RefundType(str(row["type"])),
        state=RefundState(str(row["state"])),
        message=row["message"],  # type: ignore[arg-type]
        approval_code=row["approval_code"],  # type: ignore[arg-type]
        created_at=from_ms(row["created_at"]),  # type: ignore[arg-type]
        finished_at=None if finished_at is None else from_ms(finished_at),  # type: ignore[arg-type]
    )
