"""Money is whole rupiah, times and ids are what they say: no float, nothing lost on the way."""

import ast
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

import gerbang
from gerbang.clock import WIB, Clock, from_ms, iso_z, to_ms
from gerbang.ids import new_client_id, new_digits, new_id, new_secret_key
from gerbang.money import NotMoney, dotted, format_rupiah, parse_amount


@pytest.mark.parametrize(
    ("sent", "rupiah"),
    [
        (10_000, 10_000),
        (0, 0),
        (-5_000, -5_000),
        ("10000", 10_000),
        (" 10000 ", 10_000),
        ("10000.00", 10_000),
        ("10000.0", 10_000),
        ("007", 7),
        ("-250.00", -250),
        (Decimal("10000.00"), 10_000),
        (Decimal("1E+4"), 10_000),
        (9_999_999_999_999_999, 9_999_999_999_999_999),
        ("9999999999999999.00", 9_999_999_999_999_999),
    ],
)
def test_an_amount_of_whole_rupiah_is_read(sent: object, rupiah: int) -> None:
    read = parse_amount(sent)

    assert read == rupiah
    assert type(read) is int


@pytest.mark.parametrize(
    "sent",
    [
        10_000.0,
        float("nan"),
        True,
        None,
        [],
        {},
        b"10000",
        "",
        " ",
        "10000.50",
        "10000.001",
        "10.000",  # ten thousand or ten? Nobody can know
        "10.000.000",
        "10,000",
        "10.000,00",
        "Rp 10000",
        "1e4",
        "+5",
        "--5",
        "5-",
        ".5",
        ".00",
        "5.",
        ".",
        "-",
        "NaN",
        "Infinity",
        "١٢٣",
        "１２３",
        "1_000",
        "1 000",
        "0x10",
        10**16,
        -(10**16),
        "10000000000000000",
        "9" * 5_000,
        Decimal("0.5"),
        Decimal("10000.01"),
        Decimal("10.000"),
        Decimal("NaN"),
        Decimal("-Infinity"),
        Decimal("1E+1000000"),
        Decimal("1E-1000000"),
    ],
)
def test_what_is_not_whole_rupiah_is_refused_and_never_rounded(sent: object) -> None:
    with pytest.raises(NotMoney):
        parse_amount(sent)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "Rp\u00a00"),
        (999, "Rp\u00a0999"),
        (1_000, "Rp\u00a01.000"),
        (15_000_000, "Rp\u00a015.000.000"),
        (-2_500, "\u2212Rp\u00a02.500"),
    ],
)
def test_people_see_rupiah_with_dots(amount: int, shown: str) -> None:
    assert format_rupiah(amount) == shown
    assert dotted(abs(amount)) in shown


def test_no_float_and_no_true_division_in_the_code_that_moves_money() -> None:
    found = []
    root = Path(gerbang.__file__).parent
    for path in [
        root / "money.py",
        *(root / "ledger").glob("*.py"),
        *(root / "payments").glob("*.py"),
        *(root / "wallet").glob("*.py"),
    ]:
        tree = ast.parse(path.read_text())
        # Seconds are no money: `again_in_s: float` is what asyncio and settings speak.
        seconds = {
            id(argument.annotation)
            for argument in ast.walk(tree)
            if isinstance(argument, ast.arg) and argument.arg.endswith("_s")
        }
        for node in ast.walk(tree):
            if id(node) in seconds:
                continue
            is_float = (isinstance(node, ast.Constant) and isinstance(node.value, float)) or (
                isinstance(node, ast.Name) and node.id in ("float", "round")
            )
            if is_float or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
                found.append(f"{path.name}:{node.lineno}")  # type: ignore[attr-defined]

    assert found == []


# -- time


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 5, 19, 5, 0, 0, 123_000, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2026, 1, 1, 0, 0, tzinfo=WIB),
        datetime(2226, 2, 28, 23, 59, 59, 1_000, tzinfo=timezone(-timedelta(hours=9, minutes=30))),
    ],
)
def test_a_moment_comes_back_as_it_was_stored(moment: datetime) -> None:
    assert from_ms(to_ms(moment)) == moment
    assert from_ms(to_ms(moment)).tzinfo is UTC


def test_parts_of_a_millisecond_are_cut_downwards_before_and_after_1970() -> None:
    assert to_ms(datetime(1970, 1, 1, 0, 0, 0, 1_999, tzinfo=UTC)) == 1
    assert to_ms(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_a_moment_without_a_zone_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        to_ms(datetime(2026, 5, 19))  # noqa: DTZ001


def test_the_clock_reads_back_equal_and_moves_by_its_offset() -> None:
    clock = Clock()
    moment = clock.now()
    assert from_ms(to_ms(moment)) == moment

    clock.offset = timedelta(hours=6)

    assert timedelta(hours=6) <= clock.now() - moment < timedelta(hours=6, seconds=5)


def test_times_are_written_in_utc_with_a_z() -> None:
    assert iso_z(datetime(2026, 1, 1, 6, 59, 59, 999_999, tzinfo=WIB)) == "2025-12-31T23:59:59Z"


# -- ids


def test_ids_sort_by_the_time_they_were_made() -> None:
    made = []
    for _ in range(2_000):
        made.append(new_id("pay"))
        sum(range(60))  # rows are never written faster than this

    assert made == sorted(made)


def test_ids_are_unique_and_look_like_ids() -> None:
    made = {new_id("pay") for _ in range(50_000)}

    assert len(made) == 50_000
    assert {len(one) for one in made} == {30}
    assert all(one.startswith("pay_0") and set(one[4:]) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for one in made)


def test_the_end_of_an_id_cannot_be_guessed_from_the_one_before() -> None:
    # 68 random bits are the last 13 characters and a half.
    ends = [new_id("pay")[-13:] for _ in range(1_000)]

    assert all(len({end[place] for end in ends}) == 32 for place in range(13))


def test_credentials_hold_nothing_that_a_shop_plugin_would_change() -> None:
    for _ in range(200):
        assert new_secret_key().removeprefix("SK-").isalnum()
        assert len(new_secret_key()) == 23
        assert new_client_id().startswith("BRN-")
        digits = new_digits(6)
        assert len(digits) == 6
        assert digits.isdigit()
        assert digits[0] != "0"
