"""LinkAja: the buyer's browser posts a form to LinkAja and pays in its app."""

import hashlib
from typing import Any

from gerbang.channels.linkaja.wire import (
    Configuration,
    EmoneyPayment,
    PaymentRequest,
    PaymentResponse,
)
from gerbang.endpoint import Ask, Call, Endpoint
from gerbang.errors import Reason, Refused
from gerbang.payments import Order, Payment
from gerbang.providers.channel import provider_channel
from gerbang.providers.opening import open_with_provider
from gerbang.providers.party import Party
from gerbang.providers.questions import Begun, Item, TurnedDown
from gerbang.providers.wire import Identifier, OrderEcho, override_of
from gerbang.web.theme import Theme

CODE = "EMONEY_LINKAJA"

PARTY = Party(
    code=CODE,
    name="LinkAja",
    slug="linkaja",
    kind="app",
    theme=Theme(background="F2F2F5", font="1B1A1F", button="8C1130", button_font="FFFFFF"),
    path="/linkaja/pay",
)


def request_payment(call: Call, body: PaymentRequest) -> Ask:
    """Write the order down, announce it, and say which form takes the buyer there (S4-01, S4-28). An unpaid invoice starts anew (D-9)."""
    order = body.order
    if not order.line_items:
        raise Refused(Reason.FIELD_MISSING, field="order.line_items")
    return open_with_provider(
        call,
        invoice_number=order.invoice_number,
        amount=order.amount,
        override=override_of(body.additional_info),
        details={"callback_url": order.callback_url},
        items=[Item(one.name.strip(), one.price, one.quantity) for one in order.line_items],
        payer=body.customer.phone or "" if body.customer else "",
        return_url=order.callback_url,
        retriable=True,
        answer=_answer,
    )


def _answer(call: Call, order: Order, payment: Payment, said: Begun | TurnedDown) -> PaymentResponse:
    if isinstance(said, TurnedDown):
        raise Refused(Reason.PROVIDER_SILENT, channel=CODE)  # nothing documented says that LinkAja turns orders down
    return PaymentResponse(
        order=OrderEcho(order.invoice_number, payment.amount),
        emoney_configuration=Configuration(identifier_of(order.merchant_id)),
        emoney_payment=EmoneyPayment(
            redirect_method_http="POST",
            redirect_url_http=str(said.url),
            redirect_parameter=[Identifier("Message", said.reference)],
            parameter=said.reference,
            status="PENDING",
        ),
        additional_info=order.details.get("additional_info"),
    )


def identifier_of(merchant_id: str) -> str:
    """The merchant's name at LinkAja: the same for ever, 15 letters and digits (S4-22)."""
    return "LINKAJA" + hashlib.sha256(merchant_id.encode()).hexdigest()[:8].upper()


def blocks(_order: Order, payment: Payment) -> dict[str, Any]:
    """`emoney_payment` with the approval code of a paid one (decision D-8)."""
    if not payment.state.is_paid or not payment.approval_code:
        return {}
    return {"emoney_payment": {"approval_code": payment.approval_code}}


CHANNEL = provider_channel(
    PARTY,
    title="LinkAja",
    service_id="EMONEY",
    acquirer_id="LINKAJA",
    endpoints=(
        Endpoint(
            method="POST",
            path="/linkaja-emoney/v2/ServiceRequestPayment",
            summary="Create a LinkAja order and get the form that takes the buyer there",
            action=request_payment,
            request=PaymentRequest,
            response=PaymentResponse,
            source="DOKU LinkAja API guide",
            digestless_signature=True,
        ),
    ),
    blocks=blocks,
)
