"""What a merchant can do with OVO: push a payment to a buyer's app, and void it."""

import hashlib
import re
from typing import Any

from gerbang.channel import Channel
from gerbang.channels.ovo.party import CODE
from gerbang.channels.ovo.wire import Client, Configuration, OvoAccount, OvoPayment, PaymentRequest, PaymentResponse, VoidRequest
from gerbang.clock import wib_digits
from gerbang.endpoint import ActionResult, Ask, Call
from gerbang.errors import Reason, Refused
from gerbang.payments import (
    Order,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    find_order,
    keep_details,
    payments_of,
)
from gerbang.payments.moves import hold_payment, record_event
from gerbang.phones import normalise_phone
from gerbang.protocols.nonsnap.notification import notification_body
from gerbang.providers.giving_back import give_back_action
from gerbang.providers.opening import open_with_provider
from gerbang.providers.questions import Begun, TurnedDown
from gerbang.providers.room import ProviderRoom
from gerbang.providers.wire import OrderEcho, override_of

# DOKU documents 00 only and calls the others OVO's own. [inferred] These are OVO's, as other gateways list them.
_SUCCESS, _DECLINED_BY_BUYER, _FAILED, _LATE = "00", "17", "26", "68"
_OVO_CODE = re.compile(r"[0-9A-Z]{2}", re.ASCII)

# In a payment's details: its merchant was told TIMEOUT.
_TIMED_OUT = "timed_out"


_NOT_SIGNED = "override_notification_url is not used: no header signs it, and check_sum does not cover it"


def push(call: Call, body: PaymentRequest) -> Ask:
    """Write the order down, let OVO ask the buyer, and answer when the buyer has decided or `ovo_timeout_s` is over."""
    override = override_of(body.additional_info)
    details: dict[str, Any] = {"ovo_id": body.ovo_info.ovo_id}
    if override and not call.headers.get("signature", "").strip():
        # The check sum does not cover it: whoever saw one such body could have the merchant's notification sent elsewhere.
        override, details = None, {**details, "warnings": [_NOT_SIGNED]}
    return open_with_provider(
        call,
        invoice_number=body.order.invoice_number,
        amount=body.order.amount,
        override=override,
        details=details,
        payer=body.ovo_info.ovo_id,
        answer=_pushed,
        waits=True,
    )


def _pushed(call: Call, order: Order, payment: Payment, _said: Begun | TurnedDown) -> ActionResult:
    if payment.state is not PaymentState.PENDING:
        return _answer(call, order, payment)
    room: ProviderRoom = call.room
    timeout_s = call.settings.ovo_timeout_s
    return Ask(
        lambda: room.wait_for_end(payment.id, timeout_s=timeout_s), lambda call, _nothing: _waited(call, order, payment.id)
    )


def _waited(call: Call, order: Order, payment_id: str) -> PaymentResponse:
    """The buyer decided, or nobody knows.

    TIMEOUT is no end (DOKU: "not final, use check status"): the push may have been confirmed in its last second. So the payment
    stays PENDING, check status says TIMEOUT, and a later report decides until the order expires. What is paid after that goes back to
    its buyer, as on every channel.
    """
    _, payment = hold_payment(call.tx, payment_id)
    if payment.state is PaymentState.PENDING and _TIMED_OUT not in payment.details:
        payment = keep_details(call.tx, payment, {_TIMED_OUT: True})
        record_event(call.tx, payment.id, payment.merchant_id, "TIMEOUT_TOLD", payment.state, now=call.now)
    return _answer(call, order, payment)


def _answer(call: Call, order: Order, payment: Payment) -> PaymentResponse:
    word = _word(payment)
    known = payment.details if word == "SUCCESS" else {}
    return _response(
        order,
        payment,
        OvoPayment(
            date=wib_digits(payment.finished_at or call.now),
            batch_number=payment.details.get("batch_number"),
            trace_number=payment.details.get("trace_number"),
            reference_number=payment.details.get("reference_number"),
            approval_code=payment.approval_code,
            response_code=_response_code(payment),
            cash_used=known.get("cash_used", payment.amount if word == "SUCCESS" else 0),
            cash_balance=known.get("cash_balance"),
            ovo_points_used=known.get("ovo_points_used", 0),
            ovo_points_balance=known.get("ovo_points_balance"),
            ovo_points_earned=known.get("ovo_points_earned", 0),
            status=word,
        ),
    )


def _response(order: Order, payment: Payment, told: OvoPayment) -> PaymentResponse:
    return PaymentResponse(
        client=Client(order.merchant_id),
        order=OrderEcho(order.invoice_number, payment.amount),
        ovo_info=OvoAccount(str(order.details["ovo_id"]), payment.details.get("ovo_account_name")),
        ovo_configuration=configuration_of(order.merchant_id),
        ovo_payment=told,
        additional_info=order.details.get("additional_info"),
    )


def configuration_of(merchant_id: str) -> Configuration:
    """The merchant's numbers at OVO: the same for ever."""
    drawn = hashlib.sha256(f"OVO|{merchant_id}".encode()).digest()
    numbers = [int.from_bytes(drawn[start : start + 8], "big") for start in (0, 8, 16, 24)]
    return Configuration(
        merchant_id=f"{numbers[0] % 10**6:06d}",
        store_code=f"STORE{numbers[1] % 10**5:05d}",
        mid=f"{numbers[2] % 10**15:015d}",
        tid=f"{numbers[3] % 10**8:08d}",
    )


def _word(payment: Payment) -> str:
    """`ovo_payment.status`. What ran out unanswered is a TIMEOUT, also when its time to pay was shorter than the wait."""
    if payment.state.is_paid:
        return "SUCCESS"
    return "FAILED" if payment.state in (PaymentState.FAILED, PaymentState.CANCELLED) else "TIMEOUT"


def _response_code(payment: Payment) -> str:
    if payment.state.is_paid:
        return _SUCCESS
    # OVO's own word, where whoever reports gives it as the reason.
    if payment.failure and _OVO_CODE.fullmatch(payment.failure):
        return payment.failure
    if payment.state is PaymentState.CANCELLED:
        return _DECLINED_BY_BUYER
    return _FAILED if payment.state is PaymentState.FAILED else _LATE


# -- notification and check status


def blocks(_order: Order, payment: Payment) -> dict[str, Any]:
    """`ovo_payment`, as soon as there is something to say [inferred: the push answers its merchant itself]."""
    if payment.state is PaymentState.PENDING and _TIMED_OUT not in payment.details:
        return {}
    told = {
        "status": _word(payment),
        "response_code": _response_code(payment),
        "approval_code": payment.approval_code,
        "reference_number": payment.details.get("reference_number"),
    }
    return {"ovo_payment": {name: value for name, value in told.items() if value is not None}}


def status(channel: Channel, order: Order, payment: Payment) -> dict[str, Any]:
    """Check status; TIMEOUT as long as nobody knows what the buyer said (common §6: not final)."""
    body = notification_body(channel, order, payment)
    if payment.state is PaymentState.PENDING and _TIMED_OUT in payment.details:
        body["transaction"]["status"] = "TIMEOUT"
    return {"order": body.pop("order"), "transaction": body.pop("transaction"), **body}


# -- void


def void(call: Call, body: VoidRequest) -> ActionResult:
    """Give the whole payment back. It counts as refunded: VOIDED is a word for cards, REFUNDED one for e-money (decision D-7)."""
    order, payment = _voidable(call, body)
    if body.order.amount != payment.amount:
        raise Refused(Reason.FIELD_INVALID, field="order.amount")

    def answer(call: Call, payment: Payment, refund: Refund) -> PaymentResponse:
        done = refund.state is RefundState.SUCCESS
        kept = payment.details
        back = kept.get("cash_used", payment.amount) if done else 0
        return _response(
            order,
            payment,
            OvoPayment(
                date=wib_digits(refund.finished_at or call.now),
                batch_number=kept.get("batch_number"),
                trace_number=kept.get("trace_number"),
                reference_number=kept.get("reference_number"),
                approval_code=payment.approval_code,
                response_code=_SUCCESS if done else _FAILED,
                cash_used=0 if done else kept.get("cash_used", payment.amount),
                cash_balance=kept["cash_balance"] + back if "cash_balance" in kept else None,
                ovo_points_used=0,
                ovo_points_balance=kept.get("ovo_points_balance"),
                ovo_points_earned=0,
                status="SUCCESS" if done else "FAILED",
            ),
        )

    return give_back_action(call, payment, payment.amount, answer=answer)


def _voidable(call: Call, body: VoidRequest) -> tuple[Order, Payment]:
    """The payment that the request describes in every number. One that is unpaid has some of them only, so it is told that first."""
    order = find_order(call.tx, call.merchant.client_id, body.order.invoice_number)
    payment = payments_of(call.tx, order.id)[-1] if order is not None else None
    if (
        order is None
        or payment is None
        or order.invoice_number != body.order.invoice_number
        or payment.channel != CODE
        or not _same_phone(str(order.details["ovo_id"]), body.ovo_info.ovo_id)
    ):
        raise Refused(Reason.REFUND_NOT_FOUND, invoice_number=body.order.invoice_number)
    if not payment.state.is_paid:
        raise Refused(Reason.PAYMENT_NOT_PAID, state=payment.state)
    given = body.ovo_payment
    for name in ("batch_number", "trace_number", "reference_number"):
        if payment.details.get(name) not in (None, getattr(given, name)):
            raise Refused(Reason.REFUND_NOT_FOUND, invoice_number=order.invoice_number, field=f"ovo_payment.{name}")
    if payment.approval_code not in (None, given.approval_code):
        raise Refused(Reason.REFUND_NOT_FOUND, invoice_number=order.invoice_number, field="ovo_payment.approval_code")
    return order, payment


def _same_phone(one: str, other: str) -> bool:
    return normalise_phone(one) == normalise_phone(other)
