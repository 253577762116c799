"""Which bank a charge is sent to (S2-111, S2-112, decision D-15)."""

import pytest

from gerbang.channels.credit_card.bins import facts_of
from gerbang.channels.credit_card.installments import Acquirer, InstallmentOptions, Plan, full_payment, requested_plan
from gerbang.channels.credit_card.options import CardOptions
from gerbang.channels.credit_card.terms import route

BCA_CARD, HSBC_CARD, MANDIRI_CARD = "4555551100000010", "4555551900000012", "5573381011111101"
LONG = "I" * 28


def sent_to(
    number: str, plan: Plan | None = None, *, invoice_number: str = "INV-1", acquirers: tuple[Acquirer, ...] | None = None
):
    options = CardOptions() if acquirers is None else CardOptions(acquirers=acquirers)
    return route(options, facts_of(number), plan or full_payment(900_000), invoice_number=invoice_number, mandiri_max=27)


def plan_of(number: str, bank: Acquirer) -> Plan:
    plan = requested_plan(InstallmentOptions(), facts_of(number), bank, 12, 900_000)
    assert plan is not None
    return plan


def test_paid_at_once_a_card_goes_to_its_own_bank_else_to_the_merchants_first_choice():
    assert sent_to(BCA_CARD) is Acquirer.BCA
    assert sent_to(BCA_CARD, acquirers=(Acquirer.BNI, Acquirer.BRI)) is Acquirer.BNI


def test_on_us_installments_go_to_that_bank_and_no_other():
    plan = plan_of(BCA_CARD, Acquirer.BCA)

    assert sent_to(BCA_CARD, plan) is Acquirer.BCA
    assert sent_to(BCA_CARD, plan, acquirers=(Acquirer.BANK_MANDIRI,)) is None


def test_off_us_installments_go_to_another_banks_sale_mid():
    plan = plan_of(HSBC_CARD, Acquirer.HSBC)

    assert sent_to(HSBC_CARD, plan) is Acquirer.BANK_MANDIRI
    assert sent_to(HSBC_CARD, plan, acquirers=(Acquirer.HSBC, Acquirer.BCA)) is Acquirer.BCA
    assert sent_to(HSBC_CARD, plan, acquirers=(Acquirer.HSBC,)) is None


@pytest.mark.parametrize("plan", [None, plan_of(MANDIRI_CARD, Acquirer.BANK_MANDIRI)], ids=["at once", "installments"])
def test_mandiri_never_gets_a_long_invoice_number(plan: Plan | None):
    assert sent_to(MANDIRI_CARD, plan) is Acquirer.BANK_MANDIRI
    assert sent_to(MANDIRI_CARD, plan, invoice_number=LONG) is (Acquirer.BNI if plan is None else None)
