"""Purchases: the customer pays a partner's order from the wallet, on our page with the PIN (services 54, 55, 57, 58).

A purchase is an order with one payment; its partnerReferenceNo is the invoice number, its referenceNo the payment's id, which also
leads to the page. Cancelling is for the time before settlement, refunding for the time after.
"""

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from gerbang.channel import Channel
from gerbang.channels.doku_wallet_snap.money import MoneyRoom, endpoints
from gerbang.channels.doku_wallet_snap.wire_money import (
    CancelRequest,
    CancelResponse,
    PurchaseRequest,
    PurchaseResponse,
    PurchaseStatusRequest,
    PurchaseStatusResponse,
    RefundItem,
    RefundRequest,
    RefundResponse,
    UrlParam,
)
from gerbang.clock import to_ms
from gerbang.endpoint import Call
from gerbang.errors import Reason, Refused
from gerbang.ids import new_digits, new_id
from gerbang.ledger import Transfer, account, entries, post
from gerbang.merchants import get
from gerbang.money import Rupiah
from gerbang.payments import (
    Move,
    Order,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    RefundType,
    advance,
    complete_refund,
    find_payment,
    finish,
    get_payment,
    note,
    open_order,
    open_refund,
    payments_of,
    refunds_of,
)
from gerbang.payments.model import order_from
from gerbang.payments.moves import hold_payment
from gerbang.payments.taking import payable
from gerbang.protocols.snap import notification
from gerbang.protocols.snap.paths import b2b2c, both
from gerbang.protocols.snap.times import read_snap_time, snap_time
from gerbang.protocols.snap.wire import Amount
from gerbang.settings import Settings
from gerbang.storage import Tx
from gerbang.urls import is_absolute_url
from gerbang.wallet import Account, WalletLimits, balance, get_account, wallet_ledger_account
from gerbang.wallet.operations import check_amount, check_usable
from gerbang.wallet.pins import PinCheck, PinOutcome

CODE = "EMONEY_DOKU_SNAP"
PAGE_PATH = "/wallet/purchase"
"""How long the wallet's PIN opens nothing after the third wrong one [inferred]."""

_PAGE_LIFE = timedelta(minutes=15)  # [inferred]
_SWEEP_BATCH = 50
# The seed says 17, the standard 54; absent is the seed's.
_SERVICE_CODES = ("17", "54", "55")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_NO_APP = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "view-source", "ws", "wss", "ftp"})

# latestTransactionStatus and what it is called.
STATUS = {
    PaymentState.PENDING: ("01", "Initiated"),
    PaymentState.AUTHORISED: ("03", "Pending"),
    PaymentState.SUCCESS: ("00", "Success"),
    PaymentState.PARTIALLY_REFUNDED: ("00", "Success"),
    PaymentState.REFUNDED: ("04", "Refunded"),
    PaymentState.FAILED: ("06", "Failed"),
    PaymentState.CANCELLED: ("05", "Canceled"),
    PaymentState.VOIDED: ("05", "Canceled"),
    PaymentState.RELEASED: ("05", "Canceled"),
    PaymentState.EXPIRED: ("05", "Expired"),
    PaymentState.REPLACED: ("05", "Canceled"),
}
_REFUND_STATUS = {RefundState.SUCCESS: "00", RefundState.PENDING: "03", RefundState.FAILED: "06"}
# How the browser is told; merchants rely on the notification or on service 55.
_RETURNED = {
    PaymentState.SUCCESS: "SUCCESS",
    PaymentState.VOIDED: "CANCELED",
    PaymentState.FAILED: "FAILED",
    PaymentState.EXPIRED: "FAILED",
}


# -- 54


def open_purchase(call: Call, body: PurchaseRequest) -> PurchaseResponse:
    """Write the order down and say where its customer pays (S1-133, S1-134)."""
    amount = body.amount.rupiah
    customer = get_account(call.tx, call.customer_id)
    check_payable(call, customer, amount)
    expires_at = call.now + _PAGE_LIFE
    if body.validUpTo:
        expires_at = read_snap_time(body.validUpTo, "validUpTo")
        if expires_at <= call.now:
            raise Refused(Reason.PAYMENT_EXPIRED)
    _, payment = open_order(
        call.tx,
        merchant_id=call.merchant.client_id,
        invoice_number=body.partnerReferenceNo,
        amount=amount,
        channel=CODE,
        request_id=call.external_id,
        details={"customer_id": customer.id} | _addresses(body),
        expires_at=expires_at,
        now=call.now,
    )
    return PurchaseResponse(
        referenceNo=payment.id,
        partnerReferenceNo=body.partnerReferenceNo,
        webRedirectUrl=f"{call.public_url}{PAGE_PATH}/{payment.id}",
    )


def check_payable(call: Call, customer: Account, amount: Rupiah) -> None:
    """Raise Refused: AMOUNT_INVALID, ACCOUNT_LOCKED, ACCOUNT_CLOSED, AMOUNT_LIMIT_EXCEEDED (more than the account may ever hold),
    BALANCE_TOO_SMALL.
    """
    check_amount(amount)
    check_usable(customer)
    check_amount(amount, most=WalletLimits.of(call.settings).balance_of(customer.level))
    holds = balance(call.tx, customer.id)
    if holds < amount:
        raise Refused(Reason.BALANCE_TOO_SMALL, account_id=customer.id, balance=holds, needed=amount)


_URL_TYPES = ("PAY_RETURN", "PAY_NOTIFY")
_NO_LETTERS = re.compile("[^A-Z]")
_MEANT = {_NO_LETTERS.sub("", known) for known in _URL_TYPES}


def _addresses(body: PurchaseRequest) -> dict[str, object]:
    """Where the browser goes afterwards, and the notification. Types that the standard does not have are left aside."""
    found: dict[str, object] = {}
    name = "urlParam" if body.urlParam is not None else "urlParams"
    for index, param in enumerate(body.urlParam or body.urlParams or ()):
        field = f"{name}[{index}].url"
        if param.type not in _URL_TYPES and _NO_LETTERS.sub("", param.type.upper()) in _MEANT:
            # Left aside, it would look as if it were taken, and the buyer would never come back.
            raise Refused(Reason.FIELD_INVALID, field=f"{name}[{index}].type")
        if param.type == "PAY_RETURN" and "return_url" not in found:
            if not is_absolute_url(param.url) and not (_is_deep_link(param) and _leads_to_an_app(param.url)):
                raise Refused(Reason.FIELD_INVALID, field=field)
            found["return_url"] = param.url
        elif param.type == "PAY_NOTIFY" and "notify_url" not in found:
            if not is_absolute_url(param.url):
                raise Refused(Reason.FIELD_INVALID, field=field)
            found["notify_url"] = param.url
    return found


def _is_deep_link(param: UrlParam) -> bool:
    sent = param.isDeepLink if param.isDeepLink is not None else param.isDeeplink
    return str(sent).strip().lower() in ("y", "yes", "true", "1")


def _leads_to_an_app(url: str) -> bool:
    """Whether a browser that follows it opens an app, and nothing in the page itself."""
    if not (url.isascii() and url.isprintable()) or any(char in url for char in ' <>"\\'):
        return False
    try:
        scheme = urlsplit(url).scheme.lower()
    except ValueError:
        return False
    return bool(_SCHEME.fullmatch(scheme)) and scheme not in _NO_APP and f"{scheme}://" == url[: len(scheme) + 3].lower()


# -- what the page does


def find(tx: Tx, payment_id: str) -> tuple[Order, Payment] | None:
    """The purchase whose page this is, or None."""
    found = find_payment(tx, payment_id)
    return found if found is not None and found[1].channel == CODE and not found[0].details.get("authorise") else None


def customer_id(order: Order) -> str:
    """The account that is asked to pay."""
    return str(order.details["customer_id"])


def pay(tx: Tx, order: Order, payment: Payment, customer: Account, *, settings: Settings, now: datetime) -> Payment:
    """Move the money from the customer to the merchant and the payment to paid, together, and queue the notification.

    Raises Refused: NOT_THIS_CUSTOMER, ACCOUNT_LOCKED, ACCOUNT_CLOSED, BALANCE_TOO_SMALL, PAYMENT_MOVED_ON.
    """
    if customer.id != customer_id(order):
        raise Refused(Reason.NOT_THIS_CUSTOMER)
    check_usable(customer)
    if now >= payment.expires_at:
        raise Refused(Reason.PAYMENT_MOVED_ON, state="EXPIRED")
    paid = finish(
        tx,
        payment,
        transfers=[Transfer(wallet_ledger_account(customer.id), payable(payment.merchant_id), payment.amount)],
        payer=customer.id,
        approval_code=new_digits(6),
        now=now,
    )
    tell(tx, order, paid, settings=settings, now=now)
    return paid


def wrong_pin(tx: Tx, order: Order, payment: Payment, check: PinCheck, *, settings: Settings, now: datetime) -> Payment:
    """Remember a PIN that was not right. The one that blocked the PIN fails the payment; a PIN blocked before leaves it open.

    Raises Refused(PAYMENT_MOVED_ON).
    """
    assert check.outcome is not PinOutcome.RIGHT, check
    if check.blocked_now:
        return close(tx, order, payment, Move.DECLINED, settings=settings, now=now, failure="WRONG_PIN")
    if check.outcome is PinOutcome.WRONG:
        note(tx, payment, "PIN_WRONG", now=now, facts={"attempts_left": check.attempts_left})
    return payment


def close(
    tx: Tx, order: Order, payment: Payment, move: Move, *, settings: Settings, now: datetime, failure: str | None = None
) -> Payment:
    """End a purchase that is not paid, and queue the notification. Raises Refused(PAYMENT_MOVED_ON)."""
    closed = advance(tx, payment, move, now=now, failure=failure)
    tell(tx, order, closed, settings=settings, now=now)
    return closed


def return_url(order: Order, payment: Payment) -> str | None:
    """Where the browser goes when the purchase has ended; None when the partner named no place, or it has not ended."""
    url = order.details.get("return_url")
    if not url or not payment.state.is_final:
        return None
    told = {
        "partnerReferenceNo": order.invoice_number,
        "referenceNo": payment.id,
        "status": _RETURNED.get(payment.state, "SUCCESS" if payment.state.is_paid else "CANCELED"),
    }
    address, hash_, fragment = str(url).partition("#")
    return f"{address}{'&' if '?' in address else '?'}{urlencode(told)}{hash_}{fragment}"


# -- 55


def query_purchase(call: Call, body: PurchaseStatusRequest) -> PurchaseStatusResponse:
    """What became of a purchase (S1-153 … S1-156)."""
    service_code = body.serviceCode or "17"
    if service_code not in _SERVICE_CODES:
        raise Refused(Reason.FIELD_INVALID, field="serviceCode")
    order, payment = original(
        call,
        body.originalPartnerReferenceNo,
        reference_no=body.originalReferenceNo,
        external_id=body.originalExternalId,
    )
    status, words = STATUS[payment.state]
    created_by = "64" if order.details.get("authorise") else "54"
    return PurchaseStatusResponse(
        originalPartnerReferenceNo=order.invoice_number,
        originalReferenceNo=payment.id,
        originalExternalId=order.request_id,
        serviceCode=service_code,
        latestTransactionStatus=status,
        transactionStatusDesc=words,
        originalResponseCode=f"200{created_by}00",
        originalResponseMessage="Successful",
        transAmount=Amount.of(payment.amount if payment.charged is None else payment.charged),
        feeAmount=Amount.of(0),
        refundHistory=[_refund_item(refund) for refund in refunds_of(call.tx, payment.id) if refund.type is not RefundType.VOID],
        additionalInfo={},
        paidTime=_paid_time(call.tx, payment),
    )


def _paid_time(tx: Tx, payment: Payment) -> str | None:
    """When the merchant's money was booked: of a captured payment that is later than what ended the customer's part."""
    booked = next((line.at for line in entries(tx, cause=payment.id) if line.entry == "gross"), None)
    return None if booked is None else snap_time(booked)


def _refund_item(refund: Refund) -> RefundItem:
    return RefundItem(
        refundNo=refund.id,
        partnerRefundNo=refund.request_id,
        refundAmount=Amount.of(refund.amount),
        refundStatus=_REFUND_STATUS[refund.state],
        refundDate=snap_time(refund.finished_at or refund.created_at),
        reason=refund.message or "",
    )


def original(
    call: Call, partner_reference: str, *, reference_no: str | None = None, external_id: str | None = None
) -> tuple[Order, Payment]:
    """The purchase a partner names, with everything it says about it right, and the customer's whose token came along.

    Raises Refused(REFERENCE_NOT_FOUND).
    """
    row = call.tx.one(
        "select * from orders where merchant_id = :merchant_id and invoice_number = :reference",
        {"merchant_id": call.merchant.client_id, "reference": partner_reference},
    )
    if row is not None:
        order = order_from(row)
        payment = payments_of(call.tx, order.id)[-1]
        said = (
            payment.channel == CODE
            and (not reference_no or reference_no == payment.id)
            and (not external_id or external_id == order.request_id)
            and (not call.customer_id or call.customer_id == customer_id(order))
        )
        if said:
            return order, payment
    raise Refused(Reason.REFERENCE_NOT_FOUND, reference=partner_reference)


# -- 57


def cancel_purchase(call: Call, body: CancelRequest) -> CancelResponse:
    """Undo a purchase before it is settled, paid or not (S1-157)."""
    order, payment = original(
        call,
        body.originalPartnerReferenceNo,
        reference_no=body.originalReferenceNo,
        external_id=body.originalExternalId,
    )
    if body.amount is not None and body.amount.rupiah != payment.amount:
        raise Refused(Reason.AMOUNT_INVALID, amount=body.amount.rupiah, whole=payment.amount)
    if payment.state in (PaymentState.CANCELLED, PaymentState.VOIDED):
        raise Refused(Reason.PAYMENT_CANCELLED)
    if payment.state is PaymentState.PENDING:
        close(call.tx, order, payment, Move.CANCELLED, settings=call.settings, now=call.now, failure="CANCELLED_BY_MERCHANT")
    elif payment.state is PaymentState.SUCCESS and not payment.is_settled(call.now):
        try:
            _, voided = _give_back(
                call, payment, RefundType.VOID, Rupiah(payment.charged or 0), request_id=call.external_id, reason=body.reason
            )
        except Refused as refused:
            if refused.reason is not Reason.REFUND_TOO_LARGE:
                raise
            raise Refused(Reason.PAYMENT_CANCELLED) from None  # somebody else cancels it in this very moment
        tell(call.tx, order, voided, settings=call.settings, now=call.now)
    else:
        raise Refused(Reason.PAYMENT_MOVED_ON, state=payment.state)
    return CancelResponse(
        originalPartnerReferenceNo=order.invoice_number,
        originalReferenceNo=payment.id,
        originalExternalId=order.request_id,
        cancelTime=snap_time(call.now),
        transactionDate=snap_time(payment.finished_at or payment.created_at),
        additionalInfo={},
    )


# -- 58


def refund_purchase(call: Call, body: RefundRequest) -> RefundResponse:
    """Give a settled purchase's money back, whole or in parts (S1-168)."""
    order, payment = original(
        call,
        body.originalPartnerReferenceNo,
        reference_no=body.originalReferenceNo,
        external_id=body.originalExternalId,
    )
    if payment.state not in (PaymentState.SUCCESS, PaymentState.PARTIALLY_REFUNDED, PaymentState.REFUNDED):
        raise Refused(Reason.PAYMENT_NOT_PAID, state=payment.state)
    if not payment.is_settled(call.now):
        raise Refused(Reason.PAYMENT_NOT_PAID, settles_at=payment.settles_at)
    assert payment.charged is not None, payment.id
    left = Rupiah(payment.charged - payment.refunded)
    amount = left if body.refundAmount is None else body.refundAmount.rupiah
    if amount < 1 and left:
        raise Refused(Reason.AMOUNT_INVALID, amount=amount)
    if amount > left or not left:
        raise Refused(Reason.REFUND_TOO_LARGE, amount=amount, left=left)
    if get_account(call.tx, customer_id(order)).status == "CLOSED":
        raise Refused(Reason.ACCOUNT_CLOSED, account_id=customer_id(order))
    kind = RefundType.FULL_REFUND if amount == payment.charged else RefundType.PARTIAL_REFUND
    refund, _ = _give_back(call, payment, kind, amount, request_id=body.partnerRefundNo, reason=body.reason)
    return RefundResponse(
        originalPartnerReferenceNo=order.invoice_number,
        originalReferenceNo=payment.id,
        originalExternalId=order.request_id,
        refundNo=refund.id,
        partnerRefundNo=body.partnerRefundNo,
        refundAmount=Amount.of(amount),
        refundTime=snap_time(call.now),
    )


def _give_back(
    call: Call, payment: Payment, kind: RefundType, amount: Rupiah, *, request_id: str, reason: str | None
) -> tuple[Refund, Payment]:
    """Nobody outside has a part in it, so it is opened and completed in one transaction."""
    refund = open_refund(call.tx, payment, amount=amount, type=kind, request_id=request_id, now=call.now)
    return complete_refund(call.tx, refund, approval_code=new_digits(6), message=reason or "", now=call.now)


# -- notification


def tell(tx: Tx, order: Order, payment: Payment, *, settings: Settings, now: datetime) -> None:
    """Queue what the merchant is told about a purchase that ended, when there is anyone to tell: at PAY_NOTIFY, else at its
    Notification URL. Refunds are not told.
    """
    url = order.details.get("notify_url") or get(tx, payment.merchant_id).notification_url
    if url is not None:
        notification.tell(tx, order, payment, notification_body(order, payment), url=str(url), now=now)


def notification_body(order: Order, payment: Payment) -> dict[str, Any]:
    """Service 56, debit/notify. The wallet's page documents none: keys as for direct debit, all of those that an official
    validator asks for [inferred].
    """
    status, words = STATUS[payment.state]
    return {
        "originalPartnerReferenceNo": order.invoice_number,
        "originalReferenceNo": payment.id,
        "originalExternalId": order.request_id[:64],
        "latestTransactionStatus": status,
        "transactionStatusDesc": words,
        "amount": {"value": Amount.of(payment.amount).value, "currency": "IDR"},
        "additionalInfo": {
            "channelId": CODE,
            "acquirerId": "DOKU",
            "custIdMerchant": customer_id(order),
            "accountType": "EMONEY",
        },
        "lineItems": [],
    }


# -- what falls due, and the sandbox's play


async def sweep(room: MoneyRoom) -> int:
    """End purchases whose page is over, and let go of what nobody captured in time; how many."""
    now = room.clock.now()
    due = await room.database.read(lambda tx: _overdue(tx, now=now))
    done = 0
    for payment_id, state in due:
        try:
            done += await room.database.transact(lambda tx, one=payment_id, was=state: _end(tx, one, was, room))  # type: ignore[misc]
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                raise
    return done


def _overdue(tx: Tx, *, now: datetime) -> list[tuple[str, str]]:
    rows = tx.all(
        "select id, state from (select id, state, expires_at as at from payment where state = 'PENDING' and expires_at <= :now"
        " and channel = :channel"
        " union all select id, state, capture_before as at from payment where state = 'AUTHORISED' and capture_before <= :now"
        " and channel = :channel) due order by at limit :limit",
        {"now": to_ms(now), "channel": CODE, "limit": _SWEEP_BATCH},
    )
    return [(row["id"], row["state"]) for row in rows]


def _end(tx: Tx, payment_id: str, was: str, room: MoneyRoom) -> int:
    from gerbang.channels.doku_wallet_snap.authorisations import release

    now = room.clock.now()
    order, payment = get_payment(tx, payment_id)
    if payment.state != was:
        return 0  # paid, cancelled or captured in this very moment
    if payment.state is PaymentState.AUTHORISED:
        release(tx, order, payment, settings=room.settings, now=now, failure="EXPIRED")
    else:
        close(tx, order, payment, Move.TIMED_OUT, settings=room.settings, now=now, failure="EXPIRED")
    return 1


_MOVES = {"FAILED": Move.DECLINED, "EXPIRED": Move.TIMED_OUT, "CANCELLED": Move.CANCELLED}


async def drive(room: MoneyRoom, _channel: Channel, payment_id: str, outcome: str, code: str | None) -> None:
    """Sandbox: the customer's part without a browser. Who is short of money is given what is missing first.

    Raises Refused(PAYMENT_MOVED_ON).
    """

    def play(tx: Tx) -> None:
        now = room.clock.now()
        order, payment = hold_payment(tx, payment_id)
        if outcome != "SUCCESS":
            close(tx, order, payment, _MOVES[outcome], settings=room.settings, now=now, failure=code or outcome)
            return
        customer = get_account(tx, customer_id(order))
        missing = payment.amount - balance(tx, customer.id)
        if missing > 0:
            gift = Transfer(account("cash", "sandbox"), wallet_ledger_account(customer.id), Rupiah(missing), "topup")
            post(tx, [gift], cause=new_id("top"), now=now)
        pay(tx, order, payment, customer, settings=room.settings, now=now)

    await room.database.transact(play)


ENDPOINTS = (
    *endpoints(
        (b2b2c("debit/payment-host-to-host"),),
        "54",
        "Open a purchase and get its page",
        open_purchase,
        PurchaseRequest,
        PurchaseResponse,
        creates=True,
    ),
    *endpoints(
        both("debit/status"),
        "55",
        "What became of a purchase",
        query_purchase,
        PurchaseStatusRequest,
        PurchaseStatusResponse,
    ),
    *endpoints(
        both("debit/cancel"),
        "57",
        "Cancel a purchase before settlement",
        cancel_purchase,
        CancelRequest,
        CancelResponse,
        creates=True,
    ),
    *endpoints(
        both("debit/refund"), "58", "Refund a settled purchase", refund_purchase, RefundRequest, RefundResponse, creates=True
    ),
)
