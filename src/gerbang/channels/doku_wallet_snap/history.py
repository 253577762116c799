"""What happened to a customer's balance (services 12 and 13).

The list is read from the wallet's own ledger lines, so it adds up to the balance, whatever moved the money. The lines of one cause
(a payment that was reserved and then captured, a transfer that came back) are one thing, at the moment of its first line.
"""

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta

from gerbang.channels.doku_wallet_snap.money import endpoints
from gerbang.channels.doku_wallet_snap.wire_money import (
    DetailRequest,
    DetailResponse,
    HistoryItem,
    HistoryRequest,
    HistoryResponse,
    Source,
)
from gerbang.clock import WIB, from_ms, to_ms
from gerbang.endpoint import Call
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.ledger import Line, entries
from gerbang.merchants import find as find_merchant
from gerbang.money import Rupiah
from gerbang.payments import (
    Order,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    RefundType,
    find_payment,
    get_payment,
    get_refund,
    payments_of,
    refunds_of,
)
from gerbang.payments.model import NOTHING, order_from
from gerbang.protocols.snap.paths import b2b2c
from gerbang.protocols.snap.times import read_snap_time, snap_time
from gerbang.protocols.snap.wire import Amount
from gerbang.storage import Tx
from gerbang.wallet import wallet_ledger_account
from gerbang.wallet.bank import BANKS
from gerbang.wallet.operations import Operation, OperationKind, OperationState, find_operation, get_operation

_DEFAULT_RANGE = timedelta(days=30)

_PAYMENT_STATUS = {
    PaymentState.PENDING: "INIT",
    PaymentState.AUTHORISED: "PENDING",
    PaymentState.SUCCESS: "SUCCESS",
    PaymentState.PARTIALLY_REFUNDED: "SUCCESS",
    PaymentState.REFUNDED: "SUCCESS",
    PaymentState.VOIDED: "CANCELED",
    PaymentState.RELEASED: "CANCELED",
    PaymentState.CANCELLED: "CANCELED",
    PaymentState.FAILED: "CLOSED",
    PaymentState.EXPIRED: "CLOSED",
    PaymentState.REPLACED: "CLOSED",
}
_OPERATION_STATUS = {
    OperationState.ASKED: "PENDING",
    OperationState.PENDING: "PENDING",
    OperationState.SUCCESS: "SUCCESS",
    OperationState.FAILED: "CLOSED",
}
_REFUND_STATUS = {RefundState.SUCCESS: "SUCCESS", RefundState.PENDING: "PENDING", RefundState.FAILED: "CLOSED"}


@dataclass(frozen=True, slots=True)
class Movement:
    """One thing that happened to a balance.

    net     by how much the balance changed, fees included; 0 when what went came back
    amount  what it was about, never negative
    partner_reference, reference_no  as the merchant knows them; told to that merchant only
    """

    cause: str
    at: datetime
    net: int
    amount: Rupiah
    type: str
    status: str
    remark: str
    fee: Rupiah = NOTHING
    merchant_id: str | None = None
    partner_reference: str | None = None
    reference_no: str | None = None


def movements(tx: Tx, account_id: str, *, since: datetime, until: datetime, limit: int = 100, offset: int = 0) -> list[Movement]:
    """What happened to the account between two moments, both included, newest first."""
    name = wallet_ledger_account(account_id)
    rows = tx.all(
        "select l.cause as cause, l.at as at from ("
        " select id, cause, at from transfer where debit = :account and at between :since and :until"
        " union all select id, cause, at from transfer where credit = :account and at between :since and :until) l"
        # Only the first line of a cause, whatever the range: what follows belongs to the same thing.
        " where not exists (select 1 from transfer e where e.cause = l.cause and e.id < l.id"
        " and (e.debit = :account or e.credit = :account))"
        " order by l.at desc, l.id desc limit :limit offset :offset",
        {"account": name, "since": to_ms(since), "until": to_ms(until), "limit": limit, "offset": offset},
    )
    return [_movement(tx, name, row["cause"], from_ms(row["at"])) for row in rows]


def _movement(tx: Tx, name: str, cause: str, at: datetime) -> Movement:
    lines = [line for line in entries(tx, cause=cause) if name in (line.debit, line.credit)]
    net = sum(line.amount if line.credit == name else -line.amount for line in lines)
    if cause.startswith("pay_"):
        found = find_payment(tx, cause)
        assert found is not None, cause
        return _paid(tx, *found, at=at, net=net)
    if cause.startswith("rfd_"):
        refund = get_refund(tx, cause)
        return _refunded(tx, get_payment(tx, refund.payment_id)[0], refund, at=at, net=net)
    if cause.startswith("opr_"):
        return _operated(tx, get_operation(tx, cause), at=at, net=net)
    return _other(cause, lines, at=at, net=net)


def _paid(tx: Tx, order: Order, payment: Payment, *, at: datetime, net: int) -> Movement:
    return Movement(
        cause=payment.id,
        at=at,
        net=net,
        amount=payment.amount if payment.charged is None else payment.charged,
        type="PAYMENT",
        status=_PAYMENT_STATUS[payment.state],
        remark=f"Pembayaran di {_name(tx, payment.merchant_id)}",
        merchant_id=payment.merchant_id,
        partner_reference=order.invoice_number,
        reference_no=payment.id,
    )


def _refunded(tx: Tx, order: Order, refund: Refund, *, at: datetime, net: int) -> Movement:
    word = "Pembatalan" if refund.type is RefundType.VOID else "Pengembalian dana"
    return Movement(
        cause=refund.id,
        at=at,
        net=net,
        amount=refund.amount,
        type="REFUND",
        status=_REFUND_STATUS[refund.state],
        remark=f"{word} dari {_name(tx, refund.merchant_id)}",
        merchant_id=refund.merchant_id,
        # A cancellation has no reference of its own.
        partner_reference=order.invoice_number if refund.type is RefundType.VOID else refund.request_id,
        reference_no=refund.id,
    )


def _operated(tx: Tx, operation: Operation, *, at: datetime, net: int) -> Movement:
    details = operation.details
    if operation.kind is OperationKind.TOP_UP:
        kind, remark = "TOP_UP", f"Isi saldo dari {_name(tx, operation.merchant_id)}"
    else:
        number = (details.number or "")[-4:]
        kind, remark = "CASHOUT", f"Transfer ke {BANKS.get(details.bank_code or '', 'bank')} •••• {number}"
    return Movement(
        cause=operation.id,
        at=at,
        net=net,
        amount=operation.amount,
        type=kind,
        status=_OPERATION_STATUS[operation.state],
        remark=remark,
        fee=operation.fee,
        merchant_id=operation.merchant_id,
        partner_reference=operation.partner_reference,
        reference_no=operation.id,
    )


def _other(cause: str, lines: list[Line], *, at: datetime, net: int) -> Movement:
    """Moved by neither a payment nor a partner: paid in at a counter, or by an operator."""
    topped = all(line.entry == "topup" for line in lines) and net > 0
    return Movement(
        cause=cause,
        at=at,
        net=net,
        amount=Rupiah(abs(net)),
        type="TOP_UP" if topped else "OTHER",
        status="SUCCESS",
        remark="Isi saldo" if topped else "Mutasi saldo",
    )


def _name(tx: Tx, merchant_id: str) -> str:
    merchant = find_merchant(tx, merchant_id)
    return merchant_id if merchant is None else merchant.name


# -- 12


def list_history(call: Call, body: HistoryRequest) -> HistoryResponse:
    """A page of the customer's history (S1-180)."""
    since, until = _range(body, call.now)
    found = movements(
        call.tx,
        call.customer_id,
        since=since,
        until=until,
        limit=body.pageSize,
        offset=body.pageNumber * body.pageSize,
    )
    return HistoryResponse(
        referenceNo=new_id("inq"),
        partnerReferenceNo=body.partnerReferenceNo,
        detailData=[_item(movement, call.merchant.client_id) for movement in found],
        additionalInfo={},
    )


def _range(body: HistoryRequest, now: datetime) -> tuple[datetime, datetime]:
    """The moments asked for; raises Refused(FIELD_INVALID, field="fromDateTime")."""
    since = read_snap_time(body.fromDateTime, "fromDateTime") if body.fromDateTime else None
    until = read_snap_time(body.toDateTime, "toDateTime") if body.toDateTime else None
    if since is None:
        until = until or now
        since = until - _DEFAULT_RANGE
    until = until or min(now, _months_later(since, 1))
    if until < since or until > _months_later(since, 1) or since < _months_later(now, -12):
        raise Refused(Reason.FIELD_INVALID, field="fromDateTime")
    # Times on the wire have whole seconds; the last one counts to its end.
    return since, until.replace(microsecond=999_000) if not until.microsecond else until


def _months_later(moment: datetime, months: int) -> datetime:
    """The same day and time so many months on, in Jakarta; the month's last day where it has no such day."""
    local = moment.astimezone(WIB)
    index = local.year * 12 + local.month - 1 + months
    year, month = divmod(index, 12)
    if not 1 <= year <= 9998:
        raise Refused(Reason.FIELD_INVALID, field="fromDateTime")
    return local.replace(year=year, month=month + 1, day=min(local.day, calendar.monthrange(year, month + 1)[1]))


def _item(movement: Movement, merchant_id: str) -> HistoryItem:
    info: dict[str, object] = {}
    if movement.merchant_id == merchant_id:
        info = {"partnerReferenceNo": movement.partner_reference, "referenceNo": movement.reference_no}
    if movement.fee:
        info["feeAmount"] = Amount.of(movement.fee)
    return HistoryItem(
        dateTime=snap_time(movement.at),
        amount=Amount.of(movement.amount),
        remark=movement.remark,
        sourceOfFunds=_source(movement),
        status=movement.status,
        type=movement.type,
        additionalInfo=info,
    )


def _source(movement: Movement) -> list[Source]:
    return [Source("BALANCE", Amount.of(movement.amount))]


# -- 13


def show_detail(call: Call, body: DetailRequest) -> DetailResponse:
    """One thing by the partner's reference: a purchase, top-up, transfer or refund of this customer (S1-194)."""
    reference = body.originalPartnerReferenceNo
    found = (
        _purchase(call, reference)
        or _operation(call, OperationKind.BANK_TRANSFER, reference)
        or _operation(call, OperationKind.TOP_UP, reference)
        or _refund(call, reference)
    )
    if found is None:
        raise Refused(Reason.REFERENCE_NOT_FOUND, reference=reference)
    movement, cancelled_at, refunded = found
    return DetailResponse(
        referenceNo=movement.reference_no or "",
        partnerReferenceNo=reference,
        amount=Amount.of(movement.amount),
        dateTime=snap_time(movement.at),
        remark=movement.remark,
        sourceOfFunds=_source(movement),
        status=movement.status,
        type=movement.type,
        additionalInfo={"feeAmount": Amount.of(movement.fee)} if movement.fee else {},
        cancelledTime=snap_time(cancelled_at) if cancelled_at else None,
        refundAmount=Amount.of(refunded) if refunded else None,
    )


_Found = tuple[Movement, datetime | None, int]


def _purchase(call: Call, reference: str) -> _Found | None:
    row = call.tx.one(
        "select * from orders where merchant_id = :merchant_id and invoice_number = :reference",
        {"merchant_id": call.merchant.client_id, "reference": reference},
    )
    if row is None:
        return None
    order = order_from(row)
    payment = payments_of(call.tx, order.id)[-1]
    if call.customer_id not in (payment.payer, order.details.get("customer_id")):
        return None
    lines = entries(call.tx, cause=payment.id)
    movement = _paid(call.tx, order, payment, at=lines[0].at if lines else payment.created_at, net=0)
    done = [refund for refund in refunds_of(call.tx, payment.id) if refund.state is RefundState.SUCCESS]
    cancelled_at = None
    if payment.state is PaymentState.CANCELLED:
        cancelled_at = payment.finished_at
    elif payment.state is PaymentState.RELEASED:
        cancelled_at = next((line.at for line in lines if line.entry == "release"), None)
    elif payment.state is PaymentState.VOIDED:
        cancelled_at = next((refund.finished_at for refund in done if refund.type is RefundType.VOID), None)
    return movement, cancelled_at, sum(refund.amount for refund in done if refund.type is not RefundType.VOID)


def _operation(call: Call, kind: OperationKind, reference: str) -> _Found | None:
    operation = find_operation(call.tx, call.merchant.client_id, kind, partner_reference=reference)
    if operation is None or operation.account_id != call.customer_id:
        return None
    return _operated(call.tx, operation, at=operation.created_at, net=0), None, 0


def _refund(call: Call, reference: str) -> _Found | None:
    row = call.tx.one(
        "select id from refund where merchant_id = :merchant_id and request_id = :reference and type <> 'VOID'"
        " order by id desc limit 1",
        {"merchant_id": call.merchant.client_id, "reference": reference},
    )
    if row is None:
        return None
    refund = get_refund(call.tx, row["id"])
    order, payment = get_payment(call.tx, refund.payment_id)
    if payment.payer != call.customer_id:
        return None
    return _refunded(call.tx, order, refund, at=refund.created_at, net=0), None, 0


ENDPOINTS = (
    *endpoints((b2b2c("transaction-history-list"),), "12", "A customer's history", list_history, HistoryRequest, HistoryResponse),
    *endpoints(
        (b2b2c("transaction-history-detail"),),
        "13",
        "One thing of a customer's history",
        show_detail,
        DetailRequest,
        DetailResponse,
    ),
)
