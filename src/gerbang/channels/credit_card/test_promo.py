"""S2-33 … S2-35: BIN promotions and allowed BINs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gerbang.channels.credit_card.promo import Promo, best, bin_allowed

CARD = "4111111111111111"


@pytest.mark.parametrize(
    ("promos", "discount"),
    [
        ([], 0),
        ([("411111", 10_000)], 10_000),
        ([("557338", 10_000)], 0),
        ([("4", 1_000)], 1_000),
        ([("411111", 10_000), ("41111111", 5_000)], 5_000),
        ([("41111111", 5_000), ("411111", 10_000)], 5_000),
        ([("411111", 10_000), ("411111", 20_000)], 20_000),
        ([(CARD, 7_000)], 7_000),
        ([(CARD + "0", 7_000)], 0),
        ([("411111", 90_000)], 0),
        ([("411111", 89_999)], 89_999),
        ([("411111", 90_001), ("4", 1_000)], 1_000),
        ([("411111", 0)], 0),
        ([("411111", -5)], 0),
        ([("", 1_000)], 0),
    ],
)
def test_the_longest_matching_bin_earns_its_discount(promos: list[tuple[str, int]], discount: int):
    """S2-33, S2-34; a discount that leaves nothing to pay is ignored."""
    assert best([Promo(*one) for one in promos], CARD, 90_000) == discount


def test_a_promo_is_looked_for_at_six_digits_and_again_at_eight():
    promos = [Promo("411111", 10_000), Promo("41111111", 5_000)]

    assert [best(promos, CARD[:digits], 90_000) for digits in (1, 5, 6, 7, 8, 16)] == [0, 0, 10_000, 10_000, 5_000, 5_000]


@given(
    st.lists(st.builds(Promo, st.text("41", max_size=10), st.integers(-10, 200_000)), max_size=8),
    st.text("41", max_size=16),
    st.integers(1, 100_000),
)
def test_whatever_is_promised_something_remains_to_be_paid(promos: list[Promo], number: str, amount: int):
    discount = best(promos, number, amount)

    assert 0 <= discount < amount
    assert best(list(reversed(promos)), number, amount) == discount


@pytest.mark.parametrize(
    ("listed", "number", "allowed"),
    [
        ([], CARD, True),
        (["411111"], CARD, True),
        (["557338"], CARD, False),
        (["557338", "41111111"], CARD, True),
        (["41111112"], CARD, False),
        (["41111112"], CARD[:6], True),
        (["41111112"], CARD[:8], False),
        ([CARD], CARD, True),
        (["4"], CARD, False),
        (["41111"], CARD, False),
        ([""], CARD, False),
        (["411111"], "41111", False),
    ],
)
def test_only_listed_bins_may_pay_once_six_digits_can_be_compared(listed: list[str], number: str, allowed: bool):
    """S2-35. What is known of a saved card may be six digits; an entry shorter than a BIN opens the door to nobody."""
    assert bin_allowed(listed, number) is allowed
