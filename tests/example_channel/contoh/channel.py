"""Contoh Pay: the buyer goes from the shop to the Contoh app and back."""

from typing import Any

from gerbang.channels.contoh.wire import ContohPayment, PaymentRequest, PaymentResponse
from gerbang.endpoint import Ask, Call, Endpoint
from gerbang.payments import Order, Payment
from gerbang.providers.channel import provider_channel
from gerbang.providers.opening import open_with_provider
from gerbang.providers.party import Behaviour, Party
from gerbang.providers.questions import Asked, Begun, TurnedDown
from gerbang.providers.wire import OrderEcho, override_of
from gerbang.web.theme import Theme


def _decide(asked: Asked) -> Behaviour | None:
    return Behaviour.NOT_ENOUGH if asked.payer.endswith("0000") else None


PARTY = Party(
    code="EMONEY_CONTOH",
    name="Contoh Pay",
    slug="contoh",
    kind="app",
    theme=Theme(background="F1F4F8", font="16202B", button="1F4E79", button_font="FFFFFF"),
    expiry_min=15,
    magic={"customer.phone ending 0000": "not enough balance: refused when the buyer presses Pay"},
    decide=_decide,
)


def request_payment(call: Call, body: PaymentRequest) -> Ask:
    """Write the order down, announce it, and say where its app opens."""
    return open_with_provider(
        call,
        invoice_number=body.order.invoice_number,
        amount=body.order.amount,
        override=override_of(body.additional_info),
        payer=body.customer.phone,
        return_url=body.order.callback_url,
        expires_min=body.order.expired_time,
        answer=_answer,
    )


def _answer(_call: Call, order: Order, payment: Payment, said: Begun | TurnedDown) -> PaymentResponse:
    page = ContohPayment("PENDING", str(said.url), said.reference) if isinstance(said, Begun) else ContohPayment("FAILED", "", "")
    return PaymentResponse(
        order=OrderEcho(order.invoice_number, payment.amount),
        contoh_payment=page,
        additional_info=order.details.get("additional_info"),
    )


def blocks(_order: Order, payment: Payment) -> dict[str, Any]:
    """`emoney_payment` with the approval code of a paid one."""
    return {"emoney_payment": {"approval_code": payment.approval_code}} if payment.approval_code else {}


CHANNEL = provider_channel(
    PARTY,
    title="Contoh Pay",
    service_id="EMONEY",
    acquirer_id="CONTOH",
    endpoints=(
        Endpoint(
            method="POST",
            path="/contoh-emoney/v1/payment",
            summary="Create a Contoh Pay order and get the address that opens the app",
            action=request_payment,
            request=PaymentRequest,
            response=PaymentResponse,
            source="Contoh Pay guide",
        ),
    ),
    blocks=blocks,
)
