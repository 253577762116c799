"""S2-86 … S2-88: what a number tells about its card."""

import pytest

from gerbang.channels.credit_card.bins import CardFacts, facts_of
from gerbang.channels.credit_card.installments import Acquirer, acquirer_of
from gerbang.channels.credit_card.numbers import BadNumber, Brand
from gerbang.channels.credit_card.sandbox_cards import SANDBOX_CARDS

MANDIRI = CardFacts(Brand.MASTER, "CREDIT", "PT BANK MANDIRI (PERSERO) Tbk", Acquirer.BANK_MANDIRI, "ID")


@pytest.mark.parametrize("digits", ["5573381011111101", "55733810", "557338", "5573389999999999"])
def test_mandiris_card_is_known_by_number_and_by_bin(digits: str):
    assert facts_of(digits) == MANDIRI


def test_eight_digits_win_over_six_where_banks_share_six():
    """The installment cards of ten banks begin with 455555."""
    assert facts_of("4555551100000010").acquirer is Acquirer.BCA
    assert facts_of("45555511").acquirer is Acquirer.BCA
    assert facts_of("45555520").acquirer is Acquirer.OCBC_NISP
    assert facts_of("455555") == CardFacts(Brand.VISA, "CREDIT", "DOKU SIMULATOR BANK", None, "ID")


def test_the_whole_number_wins_over_its_bin():
    assert facts_of("4000056655665556").type == "DEBIT"
    assert facts_of("5200828282828210").type == "DEBIT"


@pytest.mark.parametrize(
    ("number", "brand"),
    [
        ("4999999999999999", Brand.VISA),
        ("2720990000000007", Brand.MASTER),
        ("341111111111111", Brand.AMEX),
        ("3589000000000000", Brand.JCB),
    ],
)
def test_an_unknown_issuer_is_the_simulator_bank(number: str, brand: Brand):
    assert facts_of(number) == CardFacts(brand, "CREDIT", "DOKU SIMULATOR BANK", None, "ID")


def test_a_brand_we_do_not_take_is_said_to_be_one():
    with pytest.raises(BadNumber) as refused:
        facts_of("6011111111111117")

    assert refused.value.kind == "brand"


def test_one_test_card_is_foreign_and_all_others_are_indonesian():
    foreign = [card for card in SANDBOX_CARDS.values() if card.country != "ID"]

    assert [(card.number, card.country) for card in foreign] == [("4555552100000018", "SG")]
    assert facts_of("45555521").country == "SG"


def test_the_older_plugin_card_is_bnis():
    assert facts_of("5426400030108754").acquirer is Acquirer.BNI


def test_a_banks_name_is_found_in_any_case():
    assert acquirer_of("PT Bank Central Asia Tbk") is Acquirer.BCA
    assert acquirer_of("Bank of Nowhere") is None
