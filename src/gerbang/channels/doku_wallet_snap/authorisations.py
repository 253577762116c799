"""Authorised payments: money of the wallet reserved for a partner, taken later or let go (services 64, 66, 68).

The money leaves the wallet when it is reserved and lies on the merchant's `authorised` account, where it belongs to nobody's
spending. Paths and bodies are [inferred]; the customer's consent is the binding, as for every call with a customer token.
"""

from datetime import datetime, timedelta

from gerbang.channels.doku_wallet_snap.money import endpoints
from gerbang.channels.doku_wallet_snap.purchase import CODE, check_payable, customer_id, original, tell
from gerbang.channels.doku_wallet_snap.wire_money import (
    AuthPaymentRequest,
    AuthPaymentResponse,
    CaptureRequest,
    CaptureResponse,
    VoidRequest,
    VoidResponse,
)
from gerbang.endpoint import Call
from gerbang.errors import Reason, Refused
from gerbang.ids import new_digits
from gerbang.ledger import Transfer, post
from gerbang.money import Rupiah
from gerbang.payments import Move, Order, Payment, PaymentState, advance, finish, open_order
from gerbang.payments.taking import authorised, payable
from gerbang.protocols.snap.paths import b2b2c, both
from gerbang.protocols.snap.times import read_snap_time, snap_time
from gerbang.protocols.snap.wire import Amount
from gerbang.settings import Settings
from gerbang.storage import Tx
from gerbang.wallet import get_account, wallet_ledger_account
from gerbang.wallet.limits import LONGEST_HOLD

_CAPTURE_WINDOW = timedelta(days=7)  # [inferred]


def authorise(call: Call, body: AuthPaymentRequest) -> AuthPaymentResponse:
    """Reserve money of the customer."""
    amount = body.amount.rupiah
    customer = get_account(call.tx, call.customer_id)
    check_payable(call, customer, amount)
    until = call.now + _CAPTURE_WINDOW
    if body.validUpTo:
        until = read_snap_time(body.validUpTo, "validUpTo")
        if until <= call.now:
            raise Refused(Reason.PAYMENT_EXPIRED)
        if until > call.now + LONGEST_HOLD:
            raise Refused(Reason.FIELD_INVALID, field="validUpTo")
    _, payment = open_order(
        call.tx,
        merchant_id=call.merchant.client_id,
        invoice_number=body.partnerReferenceNo,
        amount=amount,
        channel=CODE,
        request_id=call.external_id,
        details={"customer_id": customer.id, "authorise": True},
        expires_at=until,
        now=call.now,
    )
    held = advance(
        call.tx,
        payment,
        Move.AUTHORISED,
        now=call.now,
        payer=customer.id,
        approval_code=new_digits(6),
        charged=amount,
        capture_before=until,
    )
    hold = Transfer(wallet_ledger_account(customer.id), authorised(payment.merchant_id), amount, "hold")
    post(call.tx, [hold], cause=held.id, now=call.now)
    return AuthPaymentResponse(
        referenceNo=held.id,
        partnerReferenceNo=body.partnerReferenceNo,
        amount=Amount.of(amount),
        transactionDate=snap_time(call.now),
        validUpTo=snap_time(until),
        additionalInfo={},
    )


def capture(call: Call, body: CaptureRequest) -> CaptureResponse:
    """Take what was reserved, once; the merchant is told as of a purchase."""
    order, payment = _authorised(call, body.originalPartnerReferenceNo, body.originalReferenceNo)
    assert payment.charged is not None, payment.id
    amount = payment.charged if body.captureAmount is None else body.captureAmount.rupiah
    if amount < 1:
        raise Refused(Reason.AMOUNT_INVALID, amount=amount)
    if amount > payment.charged:
        raise Refused(Reason.CAPTURE_TOO_LARGE, amount=amount, authorised=payment.charged)
    if payment.capture_before is not None and call.now >= payment.capture_before:
        raise Refused(Reason.AUTHORISATION_EXPIRED)
    name = wallet_ledger_account(customer_id(order))
    captured = finish(
        call.tx,
        payment,
        transfers=[_let_go(order, payment), Transfer(name, payable(payment.merchant_id), amount, "gross")],
        payer=payment.payer,
        approval_code=None,
        now=call.now,
        move=Move.CAPTURED,
        charged=amount,
    )
    tell(call.tx, order, captured, settings=call.settings, now=call.now)
    return CaptureResponse(
        originalPartnerReferenceNo=order.invoice_number,
        originalReferenceNo=payment.id,
        captureNo=payment.id,
        captureAmount=Amount.of(amount),
        captureTime=snap_time(call.now),
        additionalInfo={},
        partnerCaptureNo=body.partnerCaptureNo,
    )


def void(call: Call, body: VoidRequest) -> VoidResponse:
    """Let go of what was reserved."""
    order, payment = _authorised(call, body.originalPartnerReferenceNo, body.originalReferenceNo)
    assert payment.charged is not None, payment.id
    release(call.tx, order, payment, settings=call.settings, now=call.now, failure="VOIDED_BY_MERCHANT")
    return VoidResponse(
        originalPartnerReferenceNo=order.invoice_number,
        originalReferenceNo=payment.id,
        voidNo=payment.id,
        voidAmount=Amount.of(payment.charged),
        voidTime=snap_time(call.now),
        additionalInfo={},
        partnerVoidNo=body.partnerVoidNo,
    )


def release(tx: Tx, order: Order, payment: Payment, *, settings: Settings, now: datetime, failure: str) -> Payment:
    """The reserved money is the customer's again; the merchant is told. Raises Refused(PAYMENT_MOVED_ON)."""
    released = advance(tx, payment, Move.RELEASED, now=now, failure=failure)
    post(tx, [_let_go(order, payment)], cause=payment.id, now=now)
    tell(tx, order, released, settings=settings, now=now)
    return released


def _let_go(order: Order, payment: Payment) -> Transfer:
    reserved = payment.charged
    assert reserved is not None, payment.id
    return Transfer(authorised(payment.merchant_id), wallet_ledger_account(customer_id(order)), Rupiah(reserved), "release")


def _authorised(call: Call, partner_reference: str, reference_no: str | None) -> tuple[Order, Payment]:
    order, payment = original(call, partner_reference, reference_no=reference_no)
    if not order.details.get("authorise"):
        raise Refused(Reason.REFERENCE_NOT_FOUND, reference=partner_reference)
    if payment.state is PaymentState.RELEASED:
        raise Refused(Reason.AUTHORISATION_EXPIRED if payment.failure == "EXPIRED" else Reason.AUTHORISATION_VOIDED)
    if payment.state is not PaymentState.AUTHORISED:
        raise Refused(Reason.AUTHORISATION_CAPTURED, state=payment.state)
    return order, payment


ENDPOINTS = (
    *endpoints(
        (b2b2c("auth/payment"),),
        "64",
        "Reserve money of a customer",
        authorise,
        AuthPaymentRequest,
        AuthPaymentResponse,
        creates=True,
    ),
    *endpoints(both("auth/capture"), "66", "Take what was reserved", capture, CaptureRequest, CaptureResponse, creates=True),
    *endpoints(both("auth/void"), "68", "Let go of what was reserved", void, VoidRequest, VoidResponse, creates=True),
)
