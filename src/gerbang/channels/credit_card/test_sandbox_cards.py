"""S2-59, S2-116, S2-126: the test cards, and the guide that lists them."""

import re
from collections import Counter
from pathlib import Path

import pytest

from gerbang.channels.credit_card.authentication import may_continue
from gerbang.channels.credit_card.bins import facts_of
from gerbang.channels.credit_card.docs import as_markdown
from gerbang.channels.credit_card.installments import Acquirer
from gerbang.channels.credit_card.numbers import Brand, check_number, cvv_length, group
from gerbang.channels.credit_card.responses import of_brand, response
from gerbang.channels.credit_card.sandbox_cards import (
    SANDBOX_CARDS,
    SandboxCard,
    code_card_number,
    featured,
    sandbox_card,
)

# DOKU's own table: frictionless 00, challenge 00, no 3-D Secure 00, challenge 05, challenge 51, challenge 62.
DOKU_TABLE = {
    Brand.MASTER: "5120910000000012 5120910000000020 5120910000000038 5120910000000046 5120910000000053 5120910000000129",
    Brand.VISA: "4509198934905316 4509198934905324 4509198934905332 4509198934905340 4509198934900002 4509198934900010",
}
DOKU_OUTCOMES = [
    ("frictionless", "00"),
    ("challenge", "00"),
    ("none", "00"),
    ("challenge", "05"),
    ("challenge", "51"),
    ("challenge", "62"),
]

ALL = list(SANDBOX_CARDS.values())


def known(number: str) -> SandboxCard:
    card = sandbox_card(number)
    assert card is not None
    return card


def test_dokus_own_cards_do_what_dokus_table_says():
    for brand, numbers in DOKU_TABLE.items():
        cards = [known(number) for number in numbers.split()]
        assert [(card.three_ds, card.response_code) for card in cards] == DOKU_OUTCOMES
        assert {(card.brand, card.cvv) for card in cards} == {(brand, "100")}


def test_the_card_of_dokus_samples_is_mandiris():
    card = known("5573381011111101")

    assert (card.brand, card.type, card.issuer, card.acquirer) == (
        Brand.MASTER,
        "CREDIT",
        "PT BANK MANDIRI (PERSERO) Tbk",
        Acquirer.BANK_MANDIRI,
    )
    assert (card.three_ds, card.trans_status, card.response_code) == ("challenge", "Y", "00")


def test_every_test_card_can_be_typed_into_the_form():
    for card in ALL:
        assert check_number(group(card.number)) == card.number
        assert facts_of(card.number).brand is card.brand, card
        assert len(card.cvv) == card.cvv_length == cvv_length(card.brand), card
        assert len(card.otp) == 6, card
        assert (card.cvv + card.otp).isdigit(), card


def test_what_a_test_card_does_is_possible():
    """No authentication without a result, no result without one; who is not authenticated never reaches the acquirer."""
    results = {
        "frictionless": {"Y", "N"},
        "challenge": {"Y", "N"},
        "attempted": {"A"},
        "unavailable": {"U"},
        "rejected": {"R"},
        "none": {None},
    }

    for card in ALL:
        assert card.trans_status in results[card.three_ds], card
        assert (card.response_code == "DA") is not may_continue(card.trans_status, allow_unavailable=True), card
        assert response(card.response_code, card.brand).message != "DECLINED", card


def test_the_published_cards_are_all_there():
    counted = Counter(card.group for card in ALL)

    assert counted == {
        "doku_sandbox_global": 12,
        "doku_sandbox_indonesia": 1,
        "doku_sandbox_legacy": 3,
        "midtrans_sandbox": 5,
        "xendit_sandbox": 8,
        "public_common": 20,
        "project_simulator": 9,
        "project_installment": 10,
        "project_codes": sum(len(of_brand(brand)) for brand in Brand),
    }


def test_midtrans_cards_have_midtrans_otp_and_all_others_the_default():
    for card in ALL:
        assert card.otp == ("112233" if card.group == "midtrans_sandbox" else "123456")


@pytest.mark.parametrize("brand", list(Brand))
def test_every_response_code_has_a_card_of_every_brand_it_applies_to(brand: Brand):
    """S2-62."""
    for row in of_brand(brand):
        card = known(code_card_number(brand, row.code))
        assert card.brand is brand
        assert card.response_code == row.code
        assert response(card.response_code, card.brand) == row


def test_generated_and_published_numbers_never_meet():
    assert len(ALL) == 68 + sum(len(of_brand(brand)) for brand in Brand)
    assert len({(card.brand, card.response_code) for card in ALL if card.group == "project_codes"}) == len(ALL) - 68


def test_the_number_of_a_code_can_be_worked_out_by_hand():
    assert code_card_number(Brand.VISA, "51") == "4555560000005011"
    assert code_card_number(Brand.MASTER, "N7")[:15] == "544445000002307"
    assert len(code_card_number(Brand.AMEX, "TO")) == 15


def test_every_3d_secure_outcome_has_a_card():
    assert {(card.three_ds, card.trans_status) for card in ALL} == {
        ("frictionless", "Y"),
        ("frictionless", "N"),
        ("challenge", "Y"),
        ("challenge", "N"),
        ("attempted", "A"),
        ("unavailable", "U"),
        ("rejected", "R"),
        ("none", None),
    }


@pytest.mark.parametrize("bank", list(Acquirer))
def test_every_bank_has_one_installment_card(bank: Acquirer):
    """S2-116."""
    (card,) = [card for card in ALL if card.installment is bank]

    assert card.acquirer is bank
    assert card.response_code == "00"


def test_a_number_that_is_no_test_card_is_unknown():
    assert sandbox_card("4000002500003155") is None
    assert sandbox_card("") is None


def test_the_featured_cards_are_few_differ_and_speak_both_languages():
    cards = featured()

    assert 6 <= len(cards) <= 8
    assert len({one.key for one in cards}) == len({one.card.number for one in cards}) == len(cards)
    assert cards[0].card.response_code == "00"
    for one in cards:
        assert one.key.isascii()
        assert not any(char.isdigit() for char in one.key)
        assert one.note("id") != one.note("en")
        assert one.label("id")
        assert one.label("en")
    assert {one.card.response_code for one in cards} == {"00", "05", "51", "DA", "TO"}


def test_a_featured_card_that_names_a_code_answers_it():
    for one in featured():
        for lang in ("id", "en"):
            _, named, rest = one.note(lang).partition("(kode " if lang == "id" else "(code ")
            assert not named or rest[:2] == one.card.response_code


def test_the_guide_lists_every_card():
    guide = as_markdown()

    for card in ALL:
        assert card.number in guide or f"`{group(card.number)}`" in guide, card.number


def test_the_guide_names_no_card_that_does_not_exist():
    numbers = {found.replace(" ", "") for found in re.findall(r"`([0-9 ]{15,19})`", as_markdown())}

    assert numbers == SANDBOX_CARDS.keys()


def test_the_guide_in_the_repository_is_the_one_the_tables_make():
    path = Path(__file__).parents[4] / "docs" / "guides" / "test-cards.md"

    assert path.read_text(encoding="utf-8") == as_markdown()
