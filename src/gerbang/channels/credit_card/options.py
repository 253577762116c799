"""What a merchant may have otherwise about cards, and what it costs."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gerbang.channel import convert_options
from gerbang.channels.credit_card.installments import Acquirer, InstallmentOptions
from gerbang.channels.credit_card.risk import RiskRules, check_rules
from gerbang.errors import Reason, Refused
from gerbang.money import Rupiah, basis_points


class PaymentType(StrEnum):
    """How a card is charged (S2-41)."""

    SALE = "SALE"
    AUTHORIZE = "AUTHORIZE"
    INSTALLMENT = "INSTALLMENT"
    MOTO = "MOTO"
    RECURRING = "RECURRING"


# Mandiri is the acquirer of every sample and of the captured traffic, so it is asked first.
_ACQUIRERS = (Acquirer.BANK_MANDIRI, *(bank for bank in Acquirer if bank is not Acquirer.BANK_MANDIRI))


class CardOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A merchant's cards.

    service         aggregator: our MIDs, void and refund online; direct: the merchant's own MIDs (S2-91, S2-92)
    online_refund   direct only: the merchant's MID can refund online, else by hand
    acquirers       where payments may be sent, the preferred one first
    types           payment types that are switched on; default_type is taken when a request names none
    rates_bp        the merchant's discount rate per type in basis points; not named is 0
    three_ds_unavailable  what becomes of a payment whose bank could not be asked to authenticate (U)
    descriptor      the merchant may choose the text on the statement (S2-18)
    max_attempts    cards a buyer may try on one page
    expiry_min      minutes a page is open; None: as the settings say
    """

    service: Literal["aggregator", "direct"] = "aggregator"
    online_refund: bool = True
    acquirers: tuple[Acquirer, ...] = _ACQUIRERS
    types: tuple[PaymentType, ...] = tuple(PaymentType)
    default_type: PaymentType = PaymentType.SALE
    rates_bp: dict[PaymentType, Annotated[int, Meta(ge=0, le=10_000)]] = {}
    three_ds_unavailable: Literal["continue", "decline"] = "continue"
    descriptor: bool = False
    max_attempts: Annotated[int, Meta(ge=1, le=20)] = 5
    installments: InstallmentOptions = InstallmentOptions()
    risk: RiskRules = RiskRules()
    expiry_min: Annotated[int, Meta(ge=1, le=525_600)] | None = None

    @property
    def refunds_online(self) -> bool:
        """Whether a settled payment is refunded at once (else it is a manual refund)."""
        return self.service == "aggregator" or self.online_refund

    def rate_bp(self, payment_type: str) -> int:
        """The discount rate of a payment type in basis points."""
        return self.rates_bp.get(PaymentType(payment_type), 0)


def check_options(options: CardOptions) -> CardOptions:
    """The options, if they fit together. Raises Refused(FIELD_INVALID, field=…), the name as it is written in the options."""
    for field, entries in (("acquirers", options.acquirers), ("types", options.types)):
        if not entries or len(set(entries)) != len(entries):
            raise Refused(Reason.FIELD_INVALID, field=field)
    if options.default_type not in options.types:
        raise Refused(Reason.FIELD_INVALID, field="default_type")
    for bank, own in options.installments.banks.items():
        at = f"installments.banks.{bank.value}"
        if not own.tenors or len(set(own.tenors)) != len(own.tenors):
            raise Refused(Reason.FIELD_INVALID, field=f"{at}.tenors")
        if not own.interest_bp.keys() <= set(own.tenors):
            raise Refused(Reason.FIELD_INVALID, field=f"{at}.interest_bp")
    check_rules(options.risk)
    return options


def read_options(sent: Any) -> CardOptions:
    """Options from plain JSON values, as the command line and the control API get them.

    Raises Refused(FIELD_INVALID, field=…). A name nobody knows is refused too: a rule with a typing error would protect nobody.
    """
    return check_options(convert_options(sent, CardOptions))


def fee(amount: int, rate_bp: int) -> Rupiah:
    """What the merchant pays for a payment of this amount: once per payment, halves up (see `basis_points`).

    290 bp of 90000 is 2610; of 10017 it is 290 (290,493); 50 bp of 100 is 1 (0,5); never more than the amount.
    """
    assert 0 <= rate_bp <= 10_000, rate_bp
    return basis_points(amount, rate_bp)
