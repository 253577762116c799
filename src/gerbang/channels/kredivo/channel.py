"""Kredivo: the buyer pays later, in instalments; Kredivo pays the merchant."""

from gerbang.channels.kredivo.wire import OrderRequest
from gerbang.endpoint import Ask, Call, Endpoint
from gerbang.providers.channel import provider_channel
from gerbang.providers.line_items import adding_up
from gerbang.providers.opening import open_with_provider
from gerbang.providers.party import Party
from gerbang.providers.paylater import (
    MAGIC,
    PLANS,
    OrderResponse,
    leads,
    order_answer,
    paylater_blocks,
    turns_down,
)
from gerbang.providers.wire import override_of
from gerbang.web.theme import Theme

_IDENTIFIER = "KREDIVO_ORDER_ID"  # [inferred]

PARTY = Party(
    code="PEER_TO_PEER_KREDIVO",
    name="Kredivo",
    slug="kredivo",
    kind="lender",
    theme=Theme(background="F0F5F5", font="14201F", button="0F5C5C", button_font="FFFFFF"),
    initials="kr",
    plans=PLANS,
    magic=MAGIC,
    refuses=turns_down,
    leads=leads,
)


def generate_order(call: Call, body: OrderRequest) -> Ask:
    """Write the order down, announce it, and say where its buyer signs."""
    order, lender = body.order, body.peer_to_peer_info
    items = adding_up(order.line_items, order.amount)
    return open_with_provider(
        call,
        invoice_number=order.invoice_number,
        amount=order.amount,
        override=override_of(body.additional_info),
        details={"merchant_unique_reference": lender.merchant_unique_reference},
        items=items,
        payer=body.customer.phone,
        return_url=order.callback_url,
        cancel_url=order.callback_url_cancel,
        expires_min=lender.expired_time,
        answer=order_answer(_IDENTIFIER),
    )


CHANNEL = provider_channel(
    PARTY,
    title="Kredivo",
    service_id="PEER_TO_PEER",
    acquirer_id="KREDIVO",
    endpoints=(
        Endpoint(
            method="POST",
            path="/kredivo-peer-to-peer/v2/generate-order",
            summary="Create a Kredivo order and get the page where its buyer signs",
            action=generate_order,
            request=OrderRequest,
            response=OrderResponse,
            source="DOKU Kredivo guide",
        ),
    ),
    blocks=paylater_blocks(_IDENTIFIER),
)
