"""What the API says about cards, and what a shop may say about its payment page.

Source: DOKU, cards payment page, host-to-host and tokenization guides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Promo:
    """A discount in whole rupiah for cards whose number begins with `bin`."""

    bin: str
    discount: int


@dataclass(frozen=True)
class PageTheme:
    """How the payment page looks. Colours are RRGGBB; language is EN or ID."""

    language: str | None = None
    background_color: str | None = None
    font_color: str | None = None
    button_background_color: str | None = None
    button_font_color: str | None = None

    def as_sent(self) -> dict[str, str]:
        """What was chosen, under the API's names."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class CardPayment:
    """A card payment that waits for its buyer. Send the buyer to `url`; store `request_id`, which a refund has to name."""

    invoice_number: str
    url: str
    request_id: str
    replayed: bool
    raw: dict[str, Any]


@dataclass(frozen=True)
class CardCharge:
    """How a charge or a capture went.

    status         SUCCESS, FAILED, or PENDING when the bank did not answer
    response_code  the bank's: 00 is approved; what the others mean, and whether trying again is any use, is in the test-cards guide
    authorize_id   of an AUTHORIZE: what `capture` wants
    token          under which the card was saved
    """

    invoice_number: str
    amount: int | None
    status: str
    response_code: str | None
    response_message: str | None
    approval_code: str | None
    authorize_id: str | None
    masked_card: str | None
    brand: str | None
    token: str | None
    request_id: str
    replayed: bool
    # May be kept: it has no card number.
    raw: dict[str, Any] = field(repr=False)

    @property
    def succeeded(self) -> bool:
        """The bank approved."""
        return self.status == "SUCCESS"

    @property
    def is_pending(self) -> bool:
        """Nobody knows yet. Do not charge again: ask for the order's status."""
        return self.status == "PENDING"


@dataclass(frozen=True)
class CardRefund:
    """How giving money back went.

    type     VOID, FULL_REFUND, PARTIAL_REFUND, or MANUAL_FULL_REFUND, MANUAL_PARTIAL_REFUND
    status   SUCCESS or FAILED
    message  why it failed; or that it is being processed, by people or by a bank that is slow
    """

    amount: int
    type: str
    status: str
    message: str | None
    approval_code: str | None
    request_id: str
    replayed: bool
    raw: dict[str, Any] = field(repr=False)

    @property
    def accepted(self) -> bool:
        """The money goes back, or is on its way."""
        return self.status == "SUCCESS"

    @property
    def is_done(self) -> bool:
        """The money went back. An accepted refund without an approval code is still being processed."""
        return self.accepted and self.approval_code is not None


@dataclass(frozen=True)
class CardToken:
    """A saved card. `expiry` is YY/MM."""

    id: str
    masked: str
    brand: str | None
    issuer: str | None
    expiry: str | None


@dataclass(frozen=True)
class ThreeDSecureStart:
    """An authentication that waits for its buyer. Send the buyer to `url`; it leads back to one of your two addresses."""

    authentication_id: str
    url: str
    enrolled: bool
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class CardFacts:
    """The card of a payment, as a notification or a status tells it.

    charged_amount  what the buyer paid after a promo; None: the order's amount
    """

    masked: str | None
    brand: str | None
    issuer: str | None
    response_code: str | None
    response_message: str | None
    approval_code: str | None
    authorize_id: str | None
    token: str | None
    charged_amount: int | None
    tenor: int | None


def card_facts(body: Mapping[str, Any]) -> CardFacts | None:
    """The card block of a notification or a status, whose spellings differ; None when there is none."""
    card = body.get("card_payment")
    if not isinstance(card, Mapping):
        return None
    payment = body.get("payment")
    return CardFacts(
        masked=_text(card, "masked_card_number", "card_masked"),
        brand=_text(card, "brand"),
        issuer=_text(card, "issuer"),
        response_code=_text(card, "response_code"),
        response_message=_text(card, "response_message"),
        approval_code=_text(card, "approval_code"),
        authorize_id=_text(card, "authorize_id") or _text(body, "authorize_id"),
        token=_text(card, "token_id"),
        charged_amount=_number(card.get("charged_amount")),
        tenor=_number(payment.get("tenor")) if isinstance(payment, Mapping) else None,
    )


def _text(block: Mapping[str, Any], *names: str) -> str | None:
    """The first of these that says something."""
    found = (block.get(name) for name in names)
    return next((str(one) for one in found if isinstance(one, str | int) and one != ""), None)


def _number(sent: object) -> int | None:
    text = str(sent)
    return int(text) if isinstance(sent, str | int) and text.isascii() and text.isdigit() else None
