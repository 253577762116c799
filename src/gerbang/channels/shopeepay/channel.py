"""ShopeePay: on a phone, the buyer goes from the shop's app to ShopeePay's and back."""

import hashlib
from typing import Any

from gerbang.channels.shopeepay.wire import Configuration, OrderRequest, OrderResponse, ShopeepayPayment
from gerbang.endpoint import Ask, Call, Endpoint
from gerbang.payments import Order, Payment, PaymentState
from gerbang.providers.channel import provider_channel
from gerbang.providers.opening import open_with_provider
from gerbang.providers.party import Party
from gerbang.providers.questions import Begun, TurnedDown
from gerbang.providers.wire import OrderEcho, override_of
from gerbang.web.theme import Theme

PARTY = Party(
    code="EMONEY_SHOPEE_PAY",
    name="ShopeePay",
    slug="shopeepay",
    kind="app",
    theme=Theme(background="F4F2F8", font="1B1724", button="5B3A8C", button_font="FFFFFF"),
)


def create_order(call: Call, body: OrderRequest) -> Ask:
    """Write the order down, announce it, and say which address opens the app.

    Without `callback_url` the buyer goes back to the Payment Return URL of the back office: the merchant's option `return_url`.
    """
    order = body.order
    return open_with_provider(
        call,
        invoice_number=order.invoice_number,
        amount=order.amount,
        override=override_of(body.additional_info),
        return_url=order.callback_url,
        expires_min=order.expired_time,
        answer=_answer,
    )


def _answer(_call: Call, order: Order, payment: Payment, said: Begun | TurnedDown) -> OrderResponse:
    page = ShopeepayPayment(str(said.url), "PENDING") if isinstance(said, Begun) else ShopeepayPayment("", "FAILED")
    return OrderResponse(
        order=OrderEcho(order.invoice_number, payment.amount),
        shopeepay_configuration=configuration(payment),
        shopeepay_payment=page,
        additional_info=order.details.get("additional_info"),
    )


def configuration(payment: Payment) -> Configuration:
    """Who the merchant is at ShopeePay: what the operator's provider told us with the order, else names that stay the same for ever."""
    own = hashlib.sha256(payment.merchant_id.encode()).hexdigest()[:8].upper()
    return Configuration(
        merchant_ext_id=str(payment.details.get("merchant_ext_id", f"MID{own}")),
        store_ext_id=str(payment.details.get("store_ext_id", "STORE001")),
    )


def blocks(_order: Order, payment: Payment) -> dict[str, Any]:
    """As in a merchant's document. Of an order that ended unpaid no body was ever seen: `01` is ours. [inferred]"""
    named = configuration(payment)
    told: dict[str, Any] = {
        "shopeepay_configuration": {"merchant_ext_id": named.merchant_ext_id, "store_ext_id": named.store_ext_id}
    }
    if payment.state.is_paid:
        told["shopeepay_payment"] = {"transaction_status": "00", "transaction_message": "Success"}
        if payment.details.get("reference"):  # not yet, when the buyer was quicker than ShopeePay's answer to us
            told["shopeepay_payment"]["identifier"] = [{"name": "SHOPEEPAY_REF_ID", "value": payment.details["reference"]}]
    elif payment.state.is_final:
        message = "Expired" if payment.state is PaymentState.EXPIRED else "Failed"
        told["shopeepay_payment"] = {"transaction_status": "01", "transaction_message": message}
    return told


CHANNEL = provider_channel(
    PARTY,
    title="ShopeePay",
    service_id="EMONEY",
    acquirer_id="SHOPEEPAY",
    endpoints=(
        Endpoint(
            method="POST",
            path="/shopeepay-emoney/v2/order",
            summary="Create a ShopeePay order and get the address that opens the app",
            action=create_order,
            request=OrderRequest,
            response=OrderResponse,
            source="DOKU ShopeePay guide",
        ),
    ),
    blocks=blocks,
)
