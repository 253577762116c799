"""What the merchant asked of a payment page, as kept with the order, and what follows from it for one card."""

from dataclasses import dataclass
from typing import Any

import msgspec

from gerbang.channels.credit_card.bins import CardFacts
from gerbang.channels.credit_card.installments import FULL_PLAN, Acquirer, Plan, full_payment, plans, requested_plan
from gerbang.channels.credit_card.options import CardOptions, PaymentType
from gerbang.channels.credit_card.promo import Promo, best, bin_allowed
from gerbang.merchants import Merchant
from gerbang.money import Rupiah
from gerbang.payments import Order

CODE = "CREDIT_CARD"
PAGE_PATH = "/credit-card/pay"
THREE_DS_PATH = "/credit-card/3ds"


class Terms(msgspec.Struct, omit_defaults=True):
    """The part of `Order.details` that this room reads. Customer and line items are as sent.

    host_to_host  the merchant charges the card itself; a decline ends the payment
    theme         the four colours as sent and the language
    """

    payment_type: PaymentType = PaymentType.SALE
    auto_capture: bool = False
    acquirer: Acquirer | None = None
    tenor: int = 0
    callback_url: str | None = None
    failed_url: str | None = None
    auto_redirect: bool = False
    descriptor: str | None = None
    token: str | None = None
    save: bool = False
    customer: dict[str, Any] = {}
    promos: list[Promo] = []
    allow_bin: list[str] = []
    allow_tenor: list[int] = []
    theme: dict[str, str] = {}
    disclaimer: dict[str, str] = {}
    host_to_host: bool = False

    @property
    def customer_id(self) -> str | None:
        return self.customer.get("id")

    @property
    def captures(self) -> bool:
        """Money moves at once."""
        return self.payment_type is not PaymentType.AUTHORIZE or self.auto_capture


def terms_of(order: Order) -> Terms:
    """The terms of an order of this room."""
    return msgspec.convert(order.details, Terms, strict=False)


def options_of(merchant: Merchant) -> CardOptions:
    """What the merchant has otherwise on cards. Checked when it was set."""
    sent = merchant.options.channels.get(CODE)
    # str_keys: in JSON, tenors are keys, and keys are text.
    return msgspec.convert(sent, CardOptions, str_keys=True) if sent else _DEFAULTS


_DEFAULTS = CardOptions()


@dataclass(frozen=True, slots=True)
class Quote:
    """What one card would pay. `plans` has everything the buyer may choose; empty: this card cannot pay at all."""

    discount: Rupiah
    plans: tuple[Plan, ...]
    locked: bool

    def plan(self, plan_id: str | None) -> Plan | None:
        """The plan chosen; without a choice full payment, or the only one there is."""
        if plan_id is None:
            plan_id = self.plans[0].id if self.locked and self.plans else FULL_PLAN
        return next((plan for plan in self.plans if plan.id == plan_id), None)


def quote(terms: Terms, options: CardOptions, order_amount: Rupiah, facts: CardFacts, number_or_bin: str) -> Quote:
    """Promo and plans of one card. The discount comes off before the plan is divided (S2-34, cards §17)."""
    discount = best(terms.promos, number_or_bin, order_amount)
    amount = Rupiah(order_amount - discount)
    if terms.payment_type is PaymentType.INSTALLMENT and terms.acquirer is not None:
        plan = requested_plan(options.installments, facts, terms.acquirer, terms.tenor, amount)
        return Quote(discount, () if plan is None else (plan,), locked=True)
    if terms.payment_type in (PaymentType.SALE, PaymentType.INSTALLMENT):
        offered = plans(
            options.installments, facts, amount, allow_tenor=terms.allow_tenor or None, payment_type=terms.payment_type.value
        )
        return Quote(discount, offered, locked=False)
    return Quote(discount, (full_payment(amount),), locked=False)


def accepts_bin(terms: Terms, number_or_bin: str) -> bool:
    """Whether the merchant takes this card (S2-35)."""
    return bin_allowed(terms.allow_bin, number_or_bin)


def route(options: CardOptions, facts: CardFacts, plan: Plan, *, invoice_number: str, mandiri_max: int) -> Acquirer | None:
    """Which acquirer a charge goes to.

    Paid at once: the card's own bank, else the merchant's first choice. On us: the plan's bank and no other, it needs that bank's
    installment MID (S2-111). Off us: any other bank's sale MID, the issuer converts the sale later (S2-112). Mandiri takes no long
    invoice numbers (decision D-15). None: nobody can take it.
    """
    open_to = [bank for bank in options.acquirers if bank is not Acquirer.BANK_MANDIRI or len(invoice_number) <= mandiri_max]
    if plan.tenor and not plan.off_us:
        return plan.acquirer if plan.acquirer in open_to else None
    if plan.tenor:
        return next((bank for bank in open_to if bank is not plan.acquirer), None)
    return facts.acquirer if facts.acquirer in open_to else next(iter(open_to), None)
