"""Akulaku: the buyer pays later, in instalments; Akulaku pays the merchant. An order can be taken back, and its money given back."""

from gerbang.channels.akulaku.actions import CODE, IDENTIFIER, cancel, generate_order, refund
from gerbang.channels.akulaku.wire import (
    CancelRequest,
    CancelResponse,
    OrderRequest,
    OrderResponse,
    RefundRequest,
    RefundResponse,
)
from gerbang.endpoint import Endpoint
from gerbang.providers.channel import provider_channel
from gerbang.providers.party import Party
from gerbang.providers.paylater import MAGIC, PLANS, leads, paylater_blocks, turns_down
from gerbang.web.theme import Theme

PARTY = Party(
    code=CODE,
    name="Akulaku",
    slug="akulaku",
    kind="lender",
    theme=Theme(background="F4F5EE", font="1B1D14", button="46591C", button_font="FFFFFF"),
    initials="ak",
    plans=PLANS,
    magic=MAGIC,
    refuses=turns_down,
    leads=leads,
)

CHANNEL = provider_channel(
    PARTY,
    title="Akulaku",
    service_id="PEER_TO_PEER",
    acquirer_id="AKULAKU",
    endpoints=(
        Endpoint(
            method="POST",
            path="/akulaku-peer-to-peer/v2/generate-order",
            summary="Create an Akulaku order and get the page where its buyer signs",
            action=generate_order,
            request=OrderRequest,
            response=OrderResponse,
            source="DOKU Akulaku guide",
        ),
        Endpoint(
            method="POST",
            path="/akulaku-peer-to-peer/v2/cancel",
            summary="Take back an Akulaku order that was not paid",
            action=cancel,
            request=CancelRequest,
            response=CancelResponse,
            source="DOKU's collection of API calls",
        ),
        Endpoint(
            method="POST",
            path="/akulaku-peer-to-peer/v2/refund",
            summary="Give back the money of a paid Akulaku order",
            action=refund,
            request=RefundRequest,
            response=RefundResponse,
            source="DOKU's collection of API calls",
        ),
    ),
    blocks=paylater_blocks(IDENTIFIER),
)
