"""Installments: which banks, which tenors, from which amount, and what the buyer may choose (S2-43, S2-44, S2-111 … S2-116)."""

from collections.abc import Collection
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from gerbang.errors import Reason, Refused
from gerbang.money import Rupiah, basis_points

if TYPE_CHECKING:
    from gerbang.channels.credit_card.bins import CardFacts

Mode = Literal["on_us", "off_us"]

FULL_PAYMENT = 0
FULL_PLAN = "full"

DEFAULT_MINIMUM = 500_000
DEFAULT_TENORS = (3, 6, 12, 24)


class Acquirer(StrEnum):
    """A bank that a card payment can be sent to; the values are the wire's `payment.acquirer`."""

    BNI = "BNI"
    BRI = "BRI"
    BANK_CIMB = "BANK_CIMB"
    BANK_MANDIRI = "BANK_MANDIRI"
    BCA = "BCA"
    BANK_PERMATA = "BANK_PERMATA"
    DANAMON = "DANAMON"
    BUKOPIN = "BUKOPIN"
    HSBC = "HSBC"
    OCBC_NISP = "OCBC_NISP"

    @property
    def title(self) -> str:  # type: ignore[override]  # as with brands: a bank has a title, and nobody title-cases it
        """The bank as people know it."""
        return _BANKS[self][0]


# Title, the issuer's names as they stand on cards (the legal name first), and how it bills installments: on us needs the bank's own
# installment MID, off us any SALE MID (S2-111, S2-112). For BRI and CIMB no document says; on us is our guess. [inferred]
_BANKS: dict[Acquirer, tuple[str, tuple[str, ...], Mode]] = {
    Acquirer.BNI: ("BNI", ("PT BANK NEGARA INDONESIA (PERSERO) Tbk", "Bank BNI"), "on_us"),
    Acquirer.BRI: ("BRI", ("PT BANK RAKYAT INDONESIA (PERSERO) Tbk",), "on_us"),
    Acquirer.BANK_CIMB: ("CIMB Niaga", ("PT BANK CIMB NIAGA Tbk",), "on_us"),
    Acquirer.BANK_MANDIRI: ("Bank Mandiri", ("PT BANK MANDIRI (PERSERO) Tbk",), "on_us"),
    Acquirer.BCA: ("BCA", ("PT BANK CENTRAL ASIA TBK",), "on_us"),
    Acquirer.BANK_PERMATA: ("Permata Bank", ("PT BANK PERMATA Tbk",), "off_us"),
    Acquirer.DANAMON: ("Danamon", ("PT BANK DANAMON INDONESIA Tbk",), "off_us"),
    Acquirer.BUKOPIN: ("KB Bukopin", ("PT BANK KB BUKOPIN Tbk",), "off_us"),
    Acquirer.HSBC: ("HSBC", ("PT BANK HSBC INDONESIA",), "off_us"),
    Acquirer.OCBC_NISP: ("OCBC NISP", ("PT BANK OCBC NISP Tbk",), "off_us"),
}

_BY_ISSUER = {name.casefold(): bank for bank, (_title, names, _mode) in _BANKS.items() for name in names}


def acquirer_of(issuer: str) -> Acquirer | None:
    """The issuing bank as an acquirer, if it is one of the ten."""
    return _BY_ISSUER.get(issuer.casefold())


def default_mode(acquirer: Acquirer) -> Mode:
    """How the documents say that this bank bills installments."""
    return _BANKS[acquirer][2]


Tenor = Annotated[int, Meta(ge=1, le=60, description="Months.")]
BasisPoints = Annotated[int, Meta(ge=0, le=10_000)]


class BankInstallments(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One bank's installments for one merchant.

    mode         None: as the documents say (`default_mode`)
    mid          the installment MID, needed on us with real acquirers
    interest_bp  flat, of the whole amount, for the whole tenor; what the issuer adds and the buyer pays
    """

    on: bool = True
    mode: Mode | None = None
    mid: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    tenors: tuple[Tenor, ...] = DEFAULT_TENORS
    minimum: Annotated[int, Meta(ge=0, le=999_999_999_999, description="Whole rupiah.")] = DEFAULT_MINIMUM
    interest_bp: dict[int, BasisPoints] = {}


class InstallmentOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A merchant's installment configuration. A bank that is not named has the defaults.

    on  False switches all banks off, whatever they say
    """

    on: bool = True
    banks: dict[Acquirer, BankInstallments] = {}

    def bank(self, acquirer: Acquirer) -> BankInstallments:
        """What is set for this bank."""
        return self.banks.get(acquirer, _DEFAULT)

    def mode(self, acquirer: Acquirer) -> Mode:
        """The merchant's own choice, else the documents'."""
        return self.bank(acquirer).mode or default_mode(acquirer)

    def offers(self, acquirer: Acquirer) -> bool:
        """Whether the bank is switched on."""
        return self.on and self.bank(acquirer).on


_DEFAULT = BankInstallments()


class Plan(NamedTuple):
    """A way to pay that the buyer can choose.

    tenor    months; 0 is full payment
    monthly  rounded up, so that the months never add up to less than the total
    total    what the buyer pays in the end; the merchant is paid the amount without interest, at once
    off_us   another bank authorises it as a sale and the issuer converts it later (`acquiring_off_us_status`)
    """

    id: str
    tenor: int
    acquirer: Acquirer | None
    monthly: Rupiah
    total: Rupiah
    interest_bp: int
    off_us: bool


def plan_id(acquirer: Acquirer, tenor: int) -> str:
    """`BCA-12`."""
    return f"{acquirer.value}-{tenor}"


def plans(
    options: InstallmentOptions,
    facts: "CardFacts",
    amount: int,
    *,
    allow_tenor: Collection[int] | None,
    payment_type: str = "SALE",
) -> tuple[Plan, ...]:
    """What a card may choose from for this amount (after a promo), full payment first, then by tenor.

    A tenor is offered by the bank that issued the card, on us or off us, if it is switched on and the amount reaches its minimum;
    debit cards have none. `allow_tenor` leaves only the listed ones, 0 stands for full payment; None or empty restricts nothing (S2-36).

    payment.type INSTALLMENT never offers full payment unless 0 is listed: the result may be empty, and the card cannot be used.
    With any other type a list without 0 takes full payment away from cards that have a listed tenor, and only from these: a sale
    stays payable with every card. [inferred: the document says "only listed tenors", not what other cards do]
    """
    allowed = set(allow_tenor) if allow_tenor else None
    monthly_plans = _tenors(options, facts, amount, allowed)
    if allowed is not None and FULL_PAYMENT in allowed:
        with_full = True
    elif payment_type == "INSTALLMENT":
        with_full = False
    else:
        with_full = allowed is None or not monthly_plans
    return (full_payment(amount), *monthly_plans) if with_full else monthly_plans


def full_payment(amount: int) -> Plan:
    """Everything at once."""
    return Plan(FULL_PLAN, FULL_PAYMENT, None, Rupiah(amount), Rupiah(amount), 0, False)


def _tenors(options: InstallmentOptions, facts: "CardFacts", amount: int, allowed: set[int] | None) -> tuple[Plan, ...]:
    bank = facts.acquirer
    if bank is None or facts.type != "CREDIT" or not options.offers(bank) or amount < options.bank(bank).minimum:
        return ()
    tenors = sorted(set(options.bank(bank).tenors) if allowed is None else allowed.intersection(options.bank(bank).tenors))
    return tuple(_plan(options, bank, tenor, amount) for tenor in tenors)


def _plan(options: InstallmentOptions, bank: Acquirer, tenor: int, amount: int) -> Plan:
    interest_bp = options.bank(bank).interest_bp.get(tenor, 0)
    total = Rupiah(amount + basis_points(amount, interest_bp))
    return Plan(
        id=plan_id(bank, tenor),
        tenor=tenor,
        acquirer=bank,
        monthly=Rupiah(-(-total // tenor)),
        total=total,
        interest_bp=interest_bp,
        off_us=options.mode(bank) == "off_us",
    )


def requested_plan(options: InstallmentOptions, facts: "CardFacts", acquirer: Acquirer, tenor: int, amount: int) -> Plan | None:
    """The plan of a request that named acquirer and tenor, or None when this card is not one of that bank.

    The bank's minimum was checked when it was requested, against the order's amount: a promo of this card does not take it away.
    """
    if facts.acquirer != acquirer or facts.type != "CREDIT" or tenor not in options.bank(acquirer).tenors:
        return None
    return _plan(options, acquirer, tenor, amount)


def check_requested(
    options: InstallmentOptions, acquirer: str, tenor: int, amount: int, *, allow_tenor: Collection[int] | None = None
) -> Acquirer:
    """The bank of a payment of type INSTALLMENT, if it can be paid that way at all; which card comes is not known yet.

    Raises Refused(FIELD_INVALID): payment.acquirer (not one of the ten, or not switched on), payment.tenor (not offered, or not
    in `allow_tenor`), order.amount (below the bank's minimum).
    """
    if acquirer not in Acquirer.__members__:
        raise Refused(Reason.FIELD_INVALID, field="payment.acquirer")
    bank = Acquirer(acquirer)
    if not options.offers(bank):
        raise Refused(Reason.FIELD_INVALID, field="payment.acquirer")
    if tenor not in options.bank(bank).tenors or (allow_tenor and tenor not in allow_tenor):
        raise Refused(Reason.FIELD_INVALID, field="payment.tenor")
    if amount < options.bank(bank).minimum:
        raise Refused(Reason.FIELD_INVALID, field="order.amount")
    return bank
