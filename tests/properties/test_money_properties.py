"""Whatever is sent as an amount is either exactly that amount or refused."""

import json
from decimal import Decimal
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gerbang.clock import from_ms, to_ms
from gerbang.money import NotMoney, basis_points, format_rupiah, parse_amount

LARGEST = 10**16 - 1
rupiah = st.integers(-LARGEST, LARGEST)


@given(rupiah)
def test_every_written_form_of_an_amount_is_that_amount(amount: int) -> None:
    forms = [amount, str(amount), f"{amount}.0", f"{amount}.00", f"  {amount}.00 ", Decimal(amount), Decimal(f"{amount}.00")]

    assert [parse_amount(form) for form in forms] == [amount] * len(forms)


@given(rupiah, st.integers(1, 99))
def test_sen_are_refused_in_every_form(amount: int, sen: int) -> None:
    for form in (f"{amount}.{sen:02d}", Decimal(f"{amount}.{sen:02d}")):
        try:
            parse_amount(form)
        except NotMoney:
            continue
        raise AssertionError(form)


@settings(max_examples=500)
@given(
    st.one_of(
        st.text(max_size=40), st.text("0123456789.-,eE+ _٣", max_size=24), st.decimals(), st.integers(), st.floats(), st.binary()
    )
)
@example("10.000")
@example("1" * 20 + ".00")
def test_an_amount_is_exactly_what_was_sent_or_refused(sent: object) -> None:
    try:
        amount = parse_amount(sent)
    except NotMoney:
        return

    assert type(amount) is int
    assert abs(amount) <= LARGEST
    assert Fraction(amount) == Fraction(sent.strip() if isinstance(sent, str) else sent)  # type: ignore[call-overload]
    assert not isinstance(sent, float)


@given(st.integers(-(10**20), 10**20))
def test_json_numbers_read_as_decimal_lose_nothing(number: int) -> None:
    sent = json.loads(f"{number}.00", parse_float=Decimal)

    if abs(number) <= LARGEST:
        assert parse_amount(sent) == number


@given(rupiah)
def test_what_people_see_has_every_digit_of_the_amount(amount: int) -> None:
    shown = format_rupiah(amount)

    assert int(shown.replace("Rp\u00a0", "").replace(".", "").replace("\u2212", "-")) == amount


@given(st.integers(0, LARGEST), st.integers(0, 20_000))
def test_basis_points_are_off_by_half_a_rupiah_at_most_and_halves_go_up(amount: int, bp: int) -> None:
    taken = basis_points(amount, bp)

    assert type(taken) is int
    assert -Fraction(1, 2) < taken - Fraction(amount * bp, 10_000) <= Fraction(1, 2)


@given(st.integers(0, LARGEST), st.integers(0, 10_000))
def test_a_fee_up_to_the_whole_never_takes_more_than_there_is(amount: int, bp: int) -> None:
    assert 0 <= basis_points(amount, bp) <= amount == basis_points(amount, 10_000)


@given(st.integers(to_ms(from_ms(0)) - 10**13, 10**14))
def test_a_stored_moment_is_the_same_number_again(ms: int) -> None:
    assert to_ms(from_ms(ms)) == ms
