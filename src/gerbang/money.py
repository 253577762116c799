"""Whole rupiah inside, one parser and one formatter for each written form.

No float appears here or anywhere else on the way of money: JSON numbers with a fraction are read as
`Decimal` and refused unless the fraction is zero.
"""

import re
from decimal import Decimal
from typing import NewType

Rupiah = NewType("Rupiah", int)

_MAX_DIGITS = 16  # the widest amount any document allows (Indodana); narrower limits sit in the wire structs

_WRITTEN = re.compile(r"(-?[0-9]{1,32})(?:\.0{1,2})?")


class NotMoney(ValueError):
    """The text or number is not an amount of whole rupiah."""


def parse_amount(sent: object) -> Rupiah:
    """Read an amount of the non-SNAP API: a JSON integer, or a numeric string that some clients send.

    Accepts 10000, "10000", "10000.00" and 10000.00 (as Decimal). Sen other than 00 are refused, not rounded. So is "10.000":
    an Indonesian shop means ten thousand by it, a program ten.
    Raises NotMoney. Source: real clients (WooCommerce plugin and Java library send strings).
    """
    if isinstance(sent, bool) or not isinstance(sent, int | str | Decimal):
        raise NotMoney(sent)
    if isinstance(sent, int):
        return _checked(sent)
    if isinstance(sent, str):
        written = _WRITTEN.fullmatch(sent.strip())
        if written is None:
            raise NotMoney(sent)
        return _checked(int(written[1]))
    exponent = sent.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -2 or sent.adjusted() > _MAX_DIGITS or sent != sent.to_integral_value():
        raise NotMoney(sent)
    return _checked(int(sent))


_SNAP_WRITTEN = re.compile(r"([0-9]{1,16})(?:\.0{1,2})?", re.ASCII)


def parse_snap_amount(sent: object) -> Rupiah:
    """Read the value of a SNAP amount: "10000.00", and what clients also send: "10000", "10000.0", a JSON number.

    Raises NotMoney, for sen other than 00 and for negative amounts too. Source: ASPI, `^\\d{1,16}\\.\\d{2}$`.
    """
    if isinstance(sent, str):
        written = _SNAP_WRITTEN.fullmatch(sent)
        if written is None:
            raise NotMoney(sent)
        return _checked(int(written[1]))
    amount = parse_amount(sent)
    if amount < 0:
        raise NotMoney(sent)
    return amount


def format_snap_amount(amount: int) -> str:
    """10000 → "10000.00"."""
    return f"{amount}.00"


def _checked(amount: int) -> Rupiah:
    if abs(amount) >= 10**_MAX_DIGITS:
        raise NotMoney(amount)
    return Rupiah(amount)


def dotted(amount: int) -> str:
    """1000000 → "1.000.000": Indonesian grouping, used in both languages."""
    return f"{abs(amount):,}".replace(",", ".")


def format_rupiah(amount: int) -> str:
    """The one way people see money: `Rp`, a no-break space, digits with dots; minus is U+2212 before Rp."""
    sign = "\u2212" if amount < 0 else ""
    return f"{sign}Rp\u00a0{dotted(amount)}"


def basis_points(amount: int, bp: int) -> Rupiah:
    """`bp` hundredths of a percent of an amount, whole rupiah, half a rupiah up: the one rounding of fees and interest.

    290 bp (2,90 %) of 100000 is 2900; of 10017 it is 290,493 → 290; 50 bp of 100 is 0,5 → 1; 0 bp is 0.
    `amount` and `bp` are not negative.
    """
    assert amount >= 0, amount
    assert bp >= 0, bp
    return Rupiah((amount * bp + 5_000) // 10_000)
