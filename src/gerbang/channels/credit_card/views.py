"""What the card pages show, as plain records: the handlers fill them in, the templates read them.

Amounts are whole rupiah, moments aware UTC. No record here holds a CVV, and a card number only as the buyer typed it,
to be shown again to that same buyer.
"""

from dataclasses import dataclass
from typing import Literal

from gerbang.web.theme import DEFAULT, Theme
from gerbang.web.views import FieldError, OrderView

# Keys of `decline_*` in i18n. "verification_timeout" and "verification_cancelled" tell apart what the buyer can tell apart.
Decline = Literal[
    "declined",
    "limit",
    "expired",
    "number",
    "cvv",
    "verification",
    "verification_timeout",
    "verification_cancelled",
    "unusable",
    "not_accepted",
    "not_processed",
    "bank_silent",
]
BrandCode = Literal["VISA", "MASTER", "JCB", "AMEX"]
BRANDS: tuple[BrandCode, ...] = ("VISA", "MASTER", "JCB", "AMEX")
NEW_CARD = "new"


@dataclass(frozen=True, slots=True)
class PromoView:
    """A card number that starts with `bin` costs `discount` less."""

    bin: str
    discount: int


@dataclass(frozen=True, slots=True)
class PlanView:
    """One way to pay: `tenor` months, or 0 for all at once. `monthly` is rounded up, `total` includes interest."""

    id: str
    tenor: int
    monthly: int
    total: int
    interest_bp: int = 0


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A card the buyer keeps at this shop. `discount` is what its own BIN earns on this order."""

    token_ref: str
    brand: str
    last4: str
    expiry_shown: str
    just_declined: bool = False
    cvv_length: int = 3
    discount: int = 0


@dataclass(frozen=True, slots=True)
class DemoCard:
    """A card of the sandbox that everybody may use: `?card=key` fills it in. `note` says what will happen."""

    key: str
    label: str
    number: str
    expiry: str
    cvv: str
    note: str
    otp: str | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a tester may choose to happen to this payment, whatever the card ("" leaves it to the card).

    codes     for each group ("approved", "declined", "silent"; keys of `outcome_*` in i18n) codes with the scheme's words
    three_ds  keys of `outcome_3ds_*`
    """

    code: str
    authentication: str
    codes: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    three_ds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CardPage:
    """Everything `pay.html` shows.

    amount_now     what the button says and the card is charged: the amount, less the promo. Interest of a plan is the
                   issuer's and not in it.
    promo_applied  the server knows that the card given earns `discount`
    promo_issuer   "Mandiri" makes the line "Promo kartu Mandiri"
    chosen         a `token_ref`, or "new"
    number         as typed; goes back into the field with everything else but the CVV
    plans          empty when there is nothing to choose
    may_have_plans an installment plan may turn up once the BIN is known; the script then asks `{page_url}/plans`
    attempts_left  None until it is worth saying (from the third attempt on)
    """

    order: OrderView
    amount_full: int
    amount_now: int
    form_token: str
    discount: int = 0
    promo_applied: bool = False
    promo_issuer: str | None = None
    promos: tuple[PromoView, ...] = ()
    allow_bin: tuple[str, ...] = ()
    brands: tuple[BrandCode, ...] = BRANDS
    payment_type: str = "SALE"
    show_cvv: bool = True
    cvv_length: int = 3
    saved_cards: tuple[SavedCard, ...] = ()
    chosen: str = NEW_CARD
    number: str = ""
    expiry: str = ""
    name: str = ""
    plans: tuple[PlanView, ...] = ()
    plan_chosen: str | None = None
    plan_locked: bool = False
    may_have_plans: bool = False
    save_mode: Literal["hidden", "offer", "forced"] = "hidden"
    save_ticked: bool = False
    disclaimer: str | None = None
    disclaimer_lang: str | None = None
    disclaimer_ticked: bool = False
    errors: tuple[FieldError, ...] = ()
    decline: Decline | None = None
    attempts_left: int | None = None
    demo_cards: tuple[DemoCard, ...] = ()
    outcomes: Outcomes | None = None
    embed: bool = False
    theme: Theme = DEFAULT

    def error(self, field: str) -> str | None:
        """The key of the first thing wrong with one field ("" is the form as a whole)."""
        return next((error.key for error in self.errors if error.field == field), None)

    def for_script(self, page_url: str) -> dict[str, object]:
        """What `card.js` has to know to say beforehand what the server will decide."""
        return {
            "full": self.amount_full,
            "off": self.discount if self.promo_applied else 0,
            "asked": self._plans_shown_for(),
            "promos": [[promo.bin, promo.discount] for promo in self.promos],
            "allow": list(self.allow_bin),
            "brands": list(self.brands),
            "cvv": self.show_cvv,
            "plans": f"{page_url}/plans" if self.may_have_plans and not self.plan_locked else "",
        }

    def _plans_shown_for(self) -> str:
        """The question whose answer is already on the page, as `card.js` would ask it."""
        if self.chosen != NEW_CARD:
            return f"choice={self.chosen}"
        digits = "".join(filter(str.isdecimal, self.number))
        return f"bin={digits[:8]}" if len(digits) >= 8 else ""


@dataclass(frozen=True, slots=True)
class PaidCard:
    """What a receipt says about the card. `tenor` 0 is paid at once."""

    brand: str
    last4: str
    tenor: int = 0
    monthly: int = 0
