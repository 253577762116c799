"""Indodana: the buyer pays later, in instalments; Indodana pays the merchant."""

from typing import Any

from gerbang.channels.indodana.wire import CATEGORIES, OrderRequest
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

_IDENTIFIER = "INDODANA_ORDER_ID"
_NOT_SHIPPED = ("ticketing", "games-voucher")

PARTY = Party(
    code="PEER_TO_PEER_INDODANA",
    name="Indodana",
    slug="indodana",
    kind="lender",
    theme=Theme(background="F3F6F1", font="17201A", button="17502D", button_font="FFFFFF"),
    initials="in",
    plans=PLANS,
    magic=MAGIC,
    refuses=turns_down,
    leads=leads,
)


def generate_order(call: Call, body: OrderRequest) -> Ask:
    """Write the order down, announce it, and say where its buyer signs (S3-02, S3-43)."""
    order, lender = body.order, body.peer_to_peer_info
    items = adding_up(order.line_items, order.amount)  # S3-12
    return open_with_provider(
        call,
        invoice_number=order.invoice_number,
        amount=order.amount,
        override=override_of(body.additional_info),
        details=_details(body),
        items=items,
        payer=body.customer.phone,
        return_url=order.callback_url,
        cancel_url=order.callback_url_cancel,
        expires_min=lender.expired_time,
        answer=order_answer(_IDENTIFIER),
    )


def _details(body: OrderRequest) -> dict[str, Any]:
    items = body.order.line_items
    details: dict[str, Any] = {"merchant_unique_reference": body.peer_to_peer_info.merchant_unique_reference}
    warnings = [
        f"order.line_items[{index}].category {item.category} is not in Indodana's list; `others` is, for what fits nowhere"
        for index, item in enumerate(items)
        if item.category not in CATEGORIES
    ]
    if body.shipping_address is None and any(item.category not in _NOT_SHIPPED for item in items):
        warnings.append("Indodana wants a shipping_address for everything but tickets and vouchers")
    if warnings:
        details["warnings"] = warnings
    return details


CHANNEL = provider_channel(
    PARTY,
    title="Indodana",
    service_id="PEER_TO_PEER",
    acquirer_id="INDODANA",
    endpoints=(
        Endpoint(
            method="POST",
            path="/indodana-peer-to-peer/v2/generate-order",
            summary="Create an Indodana order and get the page where its buyer signs",
            action=generate_order,
            request=OrderRequest,
            response=OrderResponse,
            source="DOKU Indodana API guide",
        ),
    ),
    blocks=paylater_blocks(_IDENTIFIER),
)
