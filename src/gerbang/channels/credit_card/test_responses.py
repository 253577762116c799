"""S2-62, S2-79, S2-80: the response codes, as documented, for each brand."""

import re

import pytest

from gerbang.channels.credit_card.numbers import Brand
from gerbang.channels.credit_card.responses import (
    RESPONSES,
    BuyerText,
    Category,
    is_approved,
    is_silent,
    of_brand,
    response,
)

# The documented table: codes by category; a trailing V or M says that the meaning is Visa's or Mastercard's only.
DOCUMENTED = {
    "A": "00 08V 11M 85 87M",
    "N": "04 07V 12 14 15 41 43 46V 57 R0V R1V R3V",
    "L": "03 19V 39V 51 52V 53V 59 61 62 65 70M 71M 75 78V 86 91 93V 96 DA TO N3V N4V",
    "D": "54 55 63 70V 82V RJ 1A N7V",
    "G": "01 02 05 06V 10 13 21V 25V 28V 30M 58 64V 74 76 77M 78M 79M 79V 80 81 82M 83M 84M 88 89 90M 92 94 6PV B1V B2V"
    " N0V N5V N8V P5V P6V Q1V R2V Z3V 1ZM",
}
BRANDS_OF = {"": set(Brand), "V": {Brand.VISA}, "M": {Brand.MASTER}}


def documented() -> list[tuple[str, str, str]]:
    return [
        (entry[:2], category, brand.value)
        for category, entries in DOCUMENTED.items()
        for entry in entries.split()
        for brand in sorted(BRANDS_OF[entry[2:]])
    ]


@pytest.mark.parametrize(("code", "category", "brand"), documented())
def test_a_code_has_the_documented_category_for_its_brands(code: str, category: str, brand: str):
    assert response(code, Brand(brand)).category == category


def test_no_code_is_invented_and_none_is_missing():
    ours = {(row.code, row.category.value, brand.value) for brand in Brand for row in of_brand(brand)}

    assert ours == set(documented())


def test_every_row_is_the_answer_for_some_brand_it_speaks_of():
    for row in RESPONSES:
        assert any(row.applies_to(brand) and response(row.code, brand) == row for brand in Brand), row


def test_the_same_number_may_mean_something_else_to_another_brand():
    for code in ("70", "76", "78", "79", "80", "81", "82", "89"):
        assert response(code, Brand.VISA).message != response(code, Brand.MASTER).message

    assert response("82", Brand.VISA).buyer is BuyerText.CVV
    assert response("82", Brand.MASTER).buyer is not BuyerText.CVV


def test_an_approval_reads_as_in_real_notifications():
    assert response("00").message == "PAYMENT APPROVED"
    assert all(row.message == row.message.upper() and row.message.isascii() for row in RESPONSES)


@pytest.mark.parametrize("code", ["", "ZZ", "99", "000", "0", "approved"])
def test_a_code_nobody_documented_is_a_generic_decline_and_never_an_approval(code: str):
    for brand in (None, *Brand):
        row = response(code, brand)
        assert (row.code, row.category, row.buyer) == (code, Category.GENERIC, BuyerText.DECLINED)
        assert not is_approved(code, brand)


def test_an_approval_code_of_another_brand_takes_no_money():
    assert is_approved("08", Brand.VISA)
    assert is_approved("11", Brand.MASTER)
    assert not is_approved("08", Brand.MASTER)
    assert not is_approved("11", Brand.VISA)
    assert not is_approved("11", Brand.JCB)


def test_a_decline_that_only_another_brand_documents_means_the_same_here():
    """A wrong CVV is one with every brand, and silence is never called a decline; what means two things stays generic."""
    for brand in Brand:
        assert response("N7", brand).buyer is BuyerText.CVV
        assert response("1Z", brand).buyer is BuyerText.BANK_SILENT
    for code in ("70", "78", "79", "82"):
        assert response(code, Brand.JCB).message == "DECLINED"


def test_exactly_these_codes_approve():
    assert {row.code for row in RESPONSES if is_approved(row.code)} == {"00", "08", "11", "85", "87"}


def test_exactly_these_codes_leave_the_outcome_unknown():
    assert {row.code for row in RESPONSES if is_silent(row.code)} == {"91", "96", "TO", "1Z"}
    assert {row.code for row in RESPONSES if row.buyer is BuyerText.BANK_SILENT} == {"91", "96", "TO", "1Z"}
    assert not is_silent("ZZ")


@pytest.mark.parametrize(
    ("codes", "buyer"),
    [
        ("05 01 02 62 70", "declined"),
        ("51 61 65", "limit"),
        ("54", "expired"),
        ("14 15", "number"),
        ("82 N7", "cvv"),
        ("55 1A DA", "verification"),
        ("04 07 41 43 46 57 R0 R1 R3", "unusable"),
        ("RJ 59", "not_accepted"),
        ("03 12 13 58 94", "not_processed"),
        ("91 96 TO", "bank_silent"),
    ],
)
def test_visa_buyers_read_the_documented_words(codes: str, buyer: str):
    assert {response(code, Brand.VISA).buyer for code in codes.split()} == {buyer}


def test_mastercard_buyers_read_the_documented_words():
    assert response("83", Brand.MASTER).buyer == "not_accepted"
    assert response("30", Brand.MASTER).buyer == "not_processed"
    assert response("70", Brand.MASTER).buyer == "declined"
    assert response("1Z", Brand.MASTER).buyer == "bank_silent"


def test_a_buyer_cannot_tell_lost_from_stolen_nor_one_suspicion_from_another():
    for brand in Brand:
        assert len({response(code, brand).buyer for code in ("04", "41", "43", "57")}) == 1
        assert len({response(code, brand).buyer for code in ("RJ", "59")}) == 1
    telling = re.compile("LOST|STOLEN|FRAUD|BLACK|AML|PICK UP|STOP|REVOCATION|CLOSED")
    for row in RESPONSES:
        if telling.search(row.message):
            assert row.buyer in (BuyerText.UNUSABLE, BuyerText.NOT_ACCEPTED), row


def test_every_decline_has_words_for_the_buyer_and_advice_for_the_merchant():
    for row in RESPONSES:
        assert (row.buyer is None) is (row.category is Category.APPROVED)
        assert row.advice.endswith("."), row


def test_what_the_issuer_never_approves_is_never_to_be_retried():
    for row in RESPONSES:
        if row.buyer is BuyerText.UNUSABLE:
            assert "Never retry" in row.advice
