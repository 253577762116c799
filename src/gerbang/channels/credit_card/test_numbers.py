"""The card form's rules for numbers, expiry dates and security codes, and the outcomes of 3-D Secure."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gerbang.channels.credit_card.authentication import (
    AUTHENTICATION_ID,
    TransStatus,
    eci,
    flag,
    may_continue,
    new_authentication_id,
    new_cavv,
    new_trans_id,
)
from gerbang.channels.credit_card.numbers import (
    BadExpiry,
    BadNumber,
    Brand,
    Expiry,
    brand_of,
    check_number,
    clean,
    cvv_length,
    expiry_of_yymm,
    group,
    is_cvv,
    is_luhn_valid,
    length_ok,
    luhn_digit,
    mask,
    parse_expiry,
)

MANDIRI = "5573381011111101"
AMEX = "378282246310005"
NOON = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("prefix", "brand"),
    [
        ("4", Brand.VISA),
        ("51", Brand.MASTER),
        ("55", Brand.MASTER),
        ("50", None),
        ("56", None),
        ("5", None),
        ("222099", None),
        ("222100", Brand.MASTER),
        ("272099", Brand.MASTER),
        ("272100", None),
        ("22210", None),
        ("3527", None),
        ("3528", Brand.JCB),
        ("3589", Brand.JCB),
        ("3590", None),
        ("3336", None),
        ("3337", Brand.JCB),
        ("3349", Brand.JCB),
        ("3350", None),
        ("3088", Brand.JCB),
        ("3094", Brand.JCB),
        ("3095", None),
        ("3096", Brand.JCB),
        ("3102", Brand.JCB),
        ("3112", Brand.JCB),
        ("3120", Brand.JCB),
        ("3121", None),
        ("3158", Brand.JCB),
        ("3159", Brand.JCB),
        ("3160", None),
        ("34", Brand.AMEX),
        ("37", Brand.AMEX),
        ("36", None),
        ("6011", None),
        ("", None),
        ("557338******1101", Brand.MASTER),
        ("3782 8224", Brand.AMEX),
    ],
)
def test_the_leading_digits_decide_the_brand(prefix: str, brand: Brand | None):
    """S2-88."""
    assert brand_of(prefix) is brand


def test_brands_have_the_names_people_know():
    assert [brand.title for brand in Brand] == ["Visa", "Mastercard", "JCB", "American Express"]


@pytest.mark.parametrize(
    "typed", ["5573 3810 1111 1101", "5573-3810-1111-1101", " 5573\u00a03810\u00a01111\u00a01101 ", "5573–3810 11111101"]
)
def test_spaces_and_dashes_between_the_groups_do_not_matter(typed: str):
    assert clean(typed) == MANDIRI
    assert check_number(typed) == MANDIRI


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("", "missing"),
        (" - ", "missing"),
        ("5", "incomplete"),
        ("22210", "incomplete"),
        ("5573 3810 1111 110", "incomplete"),
        ("3782 822463 1000", "incomplete"),
        ("5573 3810 1111 1102", "wrong"),
        ("5573 3810 1111 11018", "wrong"),
        ("5573 3810 1111 110x", "wrong"),
        ("５５７３３８１０１１１１１１０１", "wrong"),
        ("4" * 20, "wrong"),
        ("6011 1111 1111 1117", "brand"),
        ("222099", "brand"),
    ],
)
def test_what_is_wrong_with_a_number_is_said_without_repeating_it(typed: str, kind: str):
    with pytest.raises(BadNumber) as refused:
        check_number(typed)

    assert refused.value.kind == kind
    assert not re.search("[0-9]", str(refused.value) + repr(refused.value))


@pytest.mark.parametrize(
    ("number", "ok"),
    [
        ("4" * 16, True),
        ("4" * 19, True),
        ("4" * 15, False),
        ("4" * 13, False),
        (MANDIRI, True),
        (MANDIRI + "000", False),
        (AMEX, True),
        (AMEX + "0", False),
        ("3530111333300000", True),
        ("9" * 15, True),
        ("9" * 17, False),
    ],
)
def test_each_brand_has_its_lengths(number: str, ok: bool):
    assert length_ok(number) is ok


@given(st.text("0123456789", min_size=14, max_size=18), st.integers(0, 17), st.integers(1, 9))
def test_the_check_digit_finds_every_single_wrong_digit(body: str, at: int, change: int):
    number = body + luhn_digit(body)
    at %= len(number)
    wrong = number[:at] + str((int(number[at]) + change) % 10) + number[at + 1 :]

    assert is_luhn_valid(number)
    assert not is_luhn_valid(wrong)


def test_only_digits_have_a_check_digit():
    assert not is_luhn_valid("")
    assert not is_luhn_valid("0000 0000")
    assert not is_luhn_valid("٠" * 16)


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        (MANDIRI, "557338******1101"),
        (AMEX, "378282*****0005"),
        ("4" * 19, "444444*********4444"),
        ("123456789012", "*" * 12),
        ("", ""),
    ],
)
def test_a_mask_shows_the_first_six_and_the_last_four(number: str, masked: str):
    """PCI DSS 3.4.1; the form of every DOKU sample."""
    assert mask(number) == masked


@pytest.mark.parametrize(
    ("number", "grouped"),
    [
        (MANDIRI, "5573 3810 1111 1101"),
        (AMEX, "3782 822463 10005"),
        ("37828", "3782 8"),
        ("4444" * 4 + "444", "4444 4444 4444 4444 444"),
        ("557338******1101", "5573 38** **** 1101"),
        ("", ""),
    ],
)
def test_numbers_are_grouped_as_on_the_card(number: str, grouped: str):
    assert group(number) == grouped


def test_american_express_has_four_digits_on_the_front():
    assert [cvv_length(brand) for brand in Brand] == [3, 3, 3, 4]
    assert is_cvv("123", Brand.VISA)
    assert is_cvv("1234", Brand.AMEX)
    for text, brand in [("1234", Brand.VISA), ("123", Brand.AMEX), ("12a", Brand.VISA), ("", Brand.VISA), ("١٢٣", Brand.VISA)]:
        assert not is_cvv(text, brand)


@pytest.mark.parametrize("typed", ["05/28", "0528", "05 / 28", "05/2028", " 05/28 ", "5/28", "052028", "05-28"])
def test_an_expiry_date_may_be_typed_in_many_ways(typed: str):
    assert parse_expiry(typed) == Expiry(2028, 5)


@pytest.mark.parametrize(
    "typed", ["", "00/28", "13/28", "05", "5/2", "05/", "05/1928", "05/2128", "2028-05-01", "ab/cd", "٠٥/٢٨", "528"]
)
def test_what_is_no_expiry_date_is_refused(typed: str):
    with pytest.raises(BadExpiry):
        parse_expiry(typed)


@given(st.integers(2000, 2099), st.integers(1, 12))
def test_every_written_form_of_an_expiry_date_is_that_date(year: int, month: int):
    expiry = Expiry(year, month)

    assert parse_expiry(expiry.mmyy) == parse_expiry(expiry.shown) == expiry_of_yymm(expiry.yymm) == expiry


def test_an_expiry_date_is_written_as_its_reader_expects():
    expiry = Expiry(2028, 5)

    assert (expiry.mmyy, expiry.yymm, expiry.shown) == ("0528", "2805", "05/28")


@pytest.mark.parametrize("stored", ["", "280", "2813", "2800", "28/5", "28055"])
def test_a_stored_expiry_that_is_none_is_refused(stored: str):
    with pytest.raises(BadExpiry):
        expiry_of_yymm(stored)


def test_a_card_is_valid_through_the_last_day_of_its_month_in_jakarta():
    november = Expiry(2026, 11)
    midnight = datetime(2026, 11, 30, 17, 0, tzinfo=UTC)  # 1 December, 00.00 WIB

    assert not november.is_over(midnight - timedelta(milliseconds=1))
    assert november.is_over(midnight)


def test_a_card_that_is_valid_for_more_than_twenty_years_is_a_typing_error():
    assert not Expiry(2046, 11).too_far(NOON)
    assert Expiry(2046, 12).too_far(NOON)
    assert not Expiry(2026, 11).too_far(NOON)


@pytest.mark.parametrize(
    ("status", "visa", "master", "shown", "continues"),
    [
        ("Y", "05", "02", "TRUE", "yes"),
        ("A", "06", "01", "FALSE", "yes"),
        ("N", "07", "00", "FALSE", "no"),
        ("R", "07", "00", "FALSE", "no"),
        ("C", "07", "00", "FALSE", "no"),
        ("U", "07", "00", "FALSE", "if allowed"),
        (None, "07", "00", "FALSE", "yes"),
        ("?", "07", "00", "FALSE", "no"),
    ],
)
def test_an_outcome_of_3d_secure_decides_indicator_flag_and_whether_it_goes_on(
    status: str | None, visa: str, master: str, shown: str, continues: str
):
    """S2-82."""
    assert [eci(brand, status) for brand in Brand] == [visa, master, visa, visa]
    assert flag(status) == shown
    assert may_continue(status, allow_unavailable=True) is (continues != "no")
    assert may_continue(status, allow_unavailable=False) is (continues == "yes")


def test_every_outcome_may_be_given_as_text_or_as_member():
    for status in TransStatus:
        assert eci(Brand.VISA, status) == eci(Brand.VISA, status.value)
        assert flag(status) == flag(status.value)


def test_ids_of_an_authentication_have_their_form_and_never_repeat():
    """S2-84."""
    ids = {new_authentication_id() for _ in range(100)}
    trans_ids = {new_trans_id() for _ in range(100)}
    cavvs = {new_cavv() for _ in range(100)}

    assert len(ids) == len(trans_ids) == len(cavvs) == 100
    assert all(AUTHENTICATION_ID.fullmatch(one) for one in ids)
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one) for one in trans_ids)
    assert all(re.fullmatch(r"[A-Za-z0-9+/]{27}=", one) for one in cavvs)
