"""Cards: hosted page, 3-D Secure, capture, void, refund, tokens, host-to-host."""

import importlib
from typing import Any

from gerbang.channel import Channel, Parts
from gerbang.channels.credit_card.actions import capture, list_tokens, list_tokens_v1, open_page, refund, unbind_token
from gerbang.channels.credit_card.driving import choose_outcome, drive
from gerbang.channels.credit_card.host_to_host import charge, check_three_d_secure
from gerbang.channels.credit_card.notices import notification, status
from gerbang.channels.credit_card.options import CardOptions, read_options
from gerbang.channels.credit_card.pages import card_pages
from gerbang.channels.credit_card.records import charge_records
from gerbang.channels.credit_card.room import CardRoom
from gerbang.channels.credit_card.sandbox_cards import featured
from gerbang.channels.credit_card.simulator import MAGIC_VALUES, SandboxAcquirer, SandboxSchemes
from gerbang.channels.credit_card.terms import CODE
from gerbang.channels.credit_card.wire import (
    CaptureRequest,
    ChargeRequest,
    ChargeResponse,
    PageRequest,
    PageResponse,
    RefundRequest,
    RefundResponse,
    ThreeDSecureRequest,
    ThreeDSecureResponse,
    TokenListRequest,
    TokenListResponse,
    TokenListV1Request,
    TokenListV1Response,
    UnbindRequest,
    UnbindResponse,
)
from gerbang.endpoint import Endpoint
from gerbang.settings import BadSettings

_GUIDE = "DOKU cards payment page guide"
_H2H = "DOKU cards host-to-host guide"
_TOKENS = "DOKU cards tokenization"


def open_room(parts: Parts) -> CardRoom | None:
    """The simulators in a sandbox, the operator's provider in production; without one cards are not offered there.

    `card_provider` names a function that takes `Parts` and returns (Acquirer, CardSchemes). Raises BadSettings.
    """
    named = parts.settings.card_provider
    if named:
        module, _, function = named.partition(":")
        try:
            make = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise BadSettings(f"card_provider {named!r} cannot be loaded: {error}") from None
        acquirer, schemes = make(parts)
        return CardRoom(parts, acquirer, schemes)
    if not parts.settings.is_sandbox:
        return None
    return CardRoom(parts, SandboxAcquirer(parts.database, parts.clock), SandboxSchemes(parts.database, parts.clock))


def pages(wiring: Any) -> list[Any]:
    """Our pages, and in the sandbox the pretend bank's."""
    if not wiring.settings.is_sandbox:
        return card_pages(wiring)
    from gerbang.channels.credit_card.simulator_pages import bank_pages

    return [*card_pages(wiring), *bank_pages(wiring)]


async def sweep(room: CardRoom) -> int:
    """What fell due."""
    return await room.sweep()


def _post(path: str, summary: str, action: Any, request: Any, response: Any, source: str) -> Endpoint:
    return Endpoint(method="POST", path=path, summary=summary, action=action, request=request, response=response, source=source)


CHANNEL = Channel(
    code=CODE,
    title="Credit card",
    service_id=CODE,
    acquirer_id="BANK_MANDIRI",
    endpoints=(
        _post("/credit-card/v1/payment-page", "Create a card payment page", open_page, PageRequest, PageResponse, _GUIDE),
        _post("/credit-card/capture", "Capture an authorisation", capture, CaptureRequest, ChargeResponse, _GUIDE),
        _post("/cancellation/credit-card/refund", "Void or refund a card payment", refund, RefundRequest, RefundResponse, _GUIDE),
        _post("/credit-card/delete-tokenization", "Unbind a saved card", unbind_token, UnbindRequest, UnbindResponse, _GUIDE),
        _post(
            "/tokenization/v2/delete-token",
            "Unbind a saved card, newer form",
            unbind_token,
            UnbindRequest,
            UnbindResponse,
            _TOKENS,
        ),
        _post(
            "/tokenization/v2/get-token",
            "List a customer's saved cards",
            list_tokens,
            TokenListRequest,
            TokenListResponse,
            _TOKENS,
        ),
        _post(
            "/tokenization/v1/tokens",
            "List a customer's saved cards, archived form",
            list_tokens_v1,
            TokenListV1Request,
            TokenListV1Response,
            _TOKENS,
        ),
        _post(
            "/credit-card/check-three-d-secure",
            "Start a 3-D Secure authentication",
            check_three_d_secure,
            ThreeDSecureRequest,
            ThreeDSecureResponse,
            _H2H,
        ),
        _post(
            "/check-three-d-secure",
            "Start a 3-D Secure authentication, global path",
            check_three_d_secure,
            ThreeDSecureRequest,
            ThreeDSecureResponse,
            _H2H,
        ),
        _post("/credit-card/charge", "Charge a card host-to-host", charge, ChargeRequest, ChargeResponse, _H2H),
    ),
    pages=pages,
    notification=notification,
    status=status,
    options=CardOptions,
    open=open_room,
    sweep=sweep,
    drive=drive,
    read_options=read_options,
    choose=choose_outcome,
    charges=charge_records,
    many_attempts=True,
    tells_refunds=True,
    magic_values={**{one.card.number: one.note("en") for one in featured()}, **MAGIC_VALUES},
)
