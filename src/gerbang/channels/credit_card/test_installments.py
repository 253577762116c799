"""S2-36, S2-43, S2-44, S2-111 … S2-116: who may pay in installments, over how long, and what it costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gerbang.channels.credit_card.bins import CardFacts, facts_of
from gerbang.channels.credit_card.installments import (
    Acquirer,
    BankInstallments,
    InstallmentOptions,
    Plan,
    check_requested,
    default_mode,
    plans,
    requested_plan,
)
from gerbang.channels.credit_card.numbers import Brand
from gerbang.errors import Reason, Refused

DEFAULT = InstallmentOptions()
BCA_CARD = facts_of("4555551100000010")
DANAMON_CARD = facts_of("4555551700000014")
UNKNOWN_CARD = facts_of("4242424242424242")
ENOUGH = 1_000_000


def with_bank(bank: Acquirer, **changes: object) -> InstallmentOptions:
    return InstallmentOptions(banks={bank: BankInstallments(**changes)})  # type: ignore[arg-type]


def tenors(offered: tuple[Plan, ...]) -> list[int]:
    return [plan.tenor for plan in offered]


def test_there_are_ten_acquirers_with_the_documented_names():
    """S2-43."""
    documented = "BNI BRI BANK_CIMB BANK_MANDIRI BCA BANK_PERMATA DANAMON BUKOPIN HSBC OCBC_NISP"

    assert [bank.value for bank in Acquirer] == documented.split()
    assert len({bank.title for bank in Acquirer}) == 10


@pytest.mark.parametrize(
    ("banks", "mode"),
    [("BCA BANK_MANDIRI BNI BRI BANK_CIMB", "on_us"), ("BUKOPIN DANAMON BANK_PERMATA HSBC OCBC_NISP", "off_us")],
)
def test_banks_bill_on_us_or_off_us_as_documented(banks: str, mode: str):
    """S2-111 … S2-113."""
    for bank in banks.split():
        assert default_mode(Acquirer(bank)) == mode
        assert DEFAULT.mode(Acquirer(bank)) == mode


def test_a_merchant_may_agree_on_another_mode_with_a_bank():
    options = with_bank(Acquirer.BCA, mode="off_us")

    assert options.mode(Acquirer.BCA) == "off_us"
    assert all(plan.off_us for plan in plans(options, BCA_CARD, ENOUGH, allow_tenor=[3, 6]))


def test_a_card_is_offered_full_payment_and_the_tenors_of_its_bank():
    offered = plans(DEFAULT, BCA_CARD, ENOUGH, allow_tenor=None)

    assert offered == (
        Plan("full", 0, None, 1_000_000, 1_000_000, 0, False),
        Plan("BCA-3", 3, Acquirer.BCA, 333_334, 1_000_000, 0, False),
        Plan("BCA-6", 6, Acquirer.BCA, 166_667, 1_000_000, 0, False),
        Plan("BCA-12", 12, Acquirer.BCA, 83_334, 1_000_000, 0, False),
        Plan("BCA-24", 24, Acquirer.BCA, 41_667, 1_000_000, 0, False),
    )


def test_an_off_us_bank_is_marked_as_such():
    """S2-112; becomes `acquiring_off_us_status`."""
    offered = plans(DEFAULT, DANAMON_CARD, ENOUGH, allow_tenor=None)

    assert {plan.acquirer for plan in offered[1:]} == {Acquirer.DANAMON}
    assert [plan.off_us for plan in offered] == [False, True, True, True, True]


def test_a_card_of_an_unknown_bank_and_a_debit_card_pay_in_full():
    debit = CardFacts(Brand.VISA, "DEBIT", BCA_CARD.issuer, Acquirer.BCA, "ID")

    assert tenors(plans(DEFAULT, UNKNOWN_CARD, ENOUGH, allow_tenor=None)) == [0]
    assert tenors(plans(DEFAULT, debit, ENOUGH, allow_tenor=None)) == [0]


@pytest.mark.parametrize(("amount", "offered"), [(499_999, [0]), (500_000, [0, 3, 6, 12, 24])])
def test_tenors_appear_from_the_banks_minimum_on(amount: int, offered: list[int]):
    """S2-115."""
    assert tenors(plans(DEFAULT, BCA_CARD, amount, allow_tenor=None)) == offered


def test_each_bank_may_have_its_own_minimum_and_tenors():
    options = with_bank(Acquirer.BCA, minimum=2_000_000, tenors=(24, 3))

    assert tenors(plans(options, BCA_CARD, 1_999_999, allow_tenor=None)) == [0]
    assert tenors(plans(options, BCA_CARD, 2_000_000, allow_tenor=None)) == [0, 3, 24]
    assert tenors(plans(options, DANAMON_CARD, 500_000, allow_tenor=None)) == [0, 3, 6, 12, 24]


def test_a_bank_that_is_switched_off_offers_nothing():
    """S2-114."""
    assert tenors(plans(with_bank(Acquirer.BCA, on=False), BCA_CARD, ENOUGH, allow_tenor=None)) == [0]
    assert tenors(plans(InstallmentOptions(on=False), BCA_CARD, ENOUGH, allow_tenor=None)) == [0]
    assert tenors(plans(InstallmentOptions(on=False), DANAMON_CARD, ENOUGH, allow_tenor=None)) == [0]


@pytest.mark.parametrize(
    ("payment_type", "allow_tenor", "eligible", "other"),
    [
        ("SALE", None, [0, 3, 6, 12, 24], [0]),
        ("SALE", [], [0, 3, 6, 12, 24], [0]),
        ("SALE", [0, 3, 9], [0, 3], [0]),
        ("SALE", [0], [0], [0]),
        ("SALE", [3, 6], [3, 6], [0]),
        ("SALE", [9], [0], [0]),
        ("INSTALLMENT", None, [3, 6, 12, 24], []),
        ("INSTALLMENT", [3, 6], [3, 6], []),
        ("INSTALLMENT", [0, 3], [0, 3], [0]),
        ("INSTALLMENT", [9], [], []),
    ],
)
def test_only_listed_tenors_are_offered_and_a_sale_stays_payable(
    payment_type: str, allow_tenor: list[int] | None, eligible: list[int], other: list[int]
):
    """S2-36: 0 stands for full payment; without it in the list a card with a listed tenor may not pay in full."""
    for facts, expected in ((BCA_CARD, eligible), (UNKNOWN_CARD, other)):
        assert tenors(plans(DEFAULT, facts, ENOUGH, allow_tenor=allow_tenor, payment_type=payment_type)) == expected


def test_interest_is_part_of_what_the_buyer_pays_and_the_months_are_rounded_up():
    options = with_bank(Acquirer.BCA, interest_bp={12: 250}, tenors=(6, 12))

    six, twelve = plans(options, BCA_CARD, ENOUGH, allow_tenor=[6, 12])

    assert (six.total, six.monthly, six.interest_bp) == (1_000_000, 166_667, 0)
    assert (twelve.total, twelve.monthly, twelve.interest_bp) == (1_025_000, 85_417, 250)


@given(st.integers(1, 999_999_999_999), st.integers(1, 60), st.integers(0, 10_000))
def test_the_months_always_add_up_to_the_total_and_less_than_one_rupiah_each_more(amount: int, tenor: int, interest_bp: int):
    options = with_bank(Acquirer.BCA, minimum=0, tenors=(tenor,), interest_bp={tenor: interest_bp})

    (plan,) = plans(options, BCA_CARD, amount, allow_tenor=[tenor])

    assert amount <= plan.total <= plan.monthly * tenor < plan.total + tenor
    assert type(plan.monthly) is type(plan.total) is int


def test_a_requested_plan_belongs_to_cards_of_that_bank_only():
    plan = requested_plan(DEFAULT, BCA_CARD, Acquirer.BCA, 12, ENOUGH)

    assert plan is not None
    assert (plan.id, plan.monthly) == ("BCA-12", 83_334)
    assert requested_plan(DEFAULT, DANAMON_CARD, Acquirer.BCA, 12, ENOUGH) is None
    assert requested_plan(DEFAULT, UNKNOWN_CARD, Acquirer.BCA, 12, ENOUGH) is None
    assert requested_plan(DEFAULT, BCA_CARD, Acquirer.BCA, 9, ENOUGH) is None
    assert requested_plan(DEFAULT, BCA_CARD, Acquirer.BCA, 0, ENOUGH) is None


def test_a_request_that_can_be_paid_names_its_bank():
    assert check_requested(DEFAULT, "OCBC_NISP", 24, 500_000) is Acquirer.OCBC_NISP
    assert check_requested(DEFAULT, "BCA", 3, 500_000, allow_tenor=[3, 6]) is Acquirer.BCA
    assert check_requested(DEFAULT, "BCA", 3, 500_000, allow_tenor=[]) is Acquirer.BCA


@pytest.mark.parametrize(
    ("options", "acquirer", "tenor", "amount", "allow_tenor", "field"),
    [
        (DEFAULT, "MANDIRI", 3, ENOUGH, None, "payment.acquirer"),
        (DEFAULT, "bca", 3, ENOUGH, None, "payment.acquirer"),
        (with_bank(Acquirer.BCA, on=False), "BCA", 3, ENOUGH, None, "payment.acquirer"),
        (InstallmentOptions(on=False), "BRI", 3, ENOUGH, None, "payment.acquirer"),
        (DEFAULT, "BCA", 9, ENOUGH, None, "payment.tenor"),
        (DEFAULT, "BCA", 0, ENOUGH, None, "payment.tenor"),
        (DEFAULT, "BCA", -3, ENOUGH, None, "payment.tenor"),
        (DEFAULT, "BCA", 12, ENOUGH, [3, 6], "payment.tenor"),
        (DEFAULT, "BCA", 3, 499_999, None, "order.amount"),
        (with_bank(Acquirer.BCA, minimum=2_000_000), "BCA", 3, ENOUGH, None, "order.amount"),
    ],
)
def test_a_request_that_no_card_could_pay_is_refused_by_its_field(
    options: InstallmentOptions, acquirer: str, tenor: int, amount: int, allow_tenor: list[int] | None, field: str
):
    """S2-43, S2-44, S2-115."""
    with pytest.raises(Refused) as refused:
        check_requested(options, acquirer, tenor, amount, allow_tenor=allow_tenor)

    assert refused.value.reason is Reason.FIELD_INVALID
    assert refused.value.facts == {"field": field}
