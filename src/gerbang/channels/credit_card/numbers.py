"""Card numbers, expiry dates and security codes as people type them. Nothing here puts a number into an exception."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from gerbang.clock import WIB

NumberFault = Literal["missing", "incomplete", "wrong", "brand"]

_SEPARATORS = re.compile(r"[\s\-‐‑‒–—−]+")
_DIGITS = re.compile(r"[0-9]+")
_SHORT_EXPIRY = re.compile(r"([0-9]{2})([0-9]{2}|20[0-9]{2})")
_EXPIRY = re.compile(r"([0-9]{1,2})\s*[/\-]\s*([0-9]{2}|20[0-9]{2})")
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_FURTHEST_MONTHS = 20 * 12


class Brand(StrEnum):
    """A card scheme; the value is the wire's `brand` (S2-88)."""

    VISA = "VISA"
    MASTER = "MASTER"
    JCB = "JCB"
    AMEX = "AMEX"

    @property
    def title(self) -> str:  # type: ignore[override]  # "the brand's title" is the word; nobody title-cases a brand
        """The brand as people know it."""
        return _TITLES[self]


_TITLES = {Brand.VISA: "Visa", Brand.MASTER: "Mastercard", Brand.JCB: "JCB", Brand.AMEX: "American Express"}

# Lengths the card page accepts are 15, 16 and 19; each scheme issues only these of them.
_LENGTHS = {Brand.VISA: (16, 19), Brand.MASTER: (16,), Brand.JCB: (16, 19), Brand.AMEX: (15,)}

# The first four digits of a JCB number; 3528–3589 is the classic range.
_JCB = ((3528, 3589), (3337, 3349), (3088, 3094), (3096, 3102), (3112, 3120), (3158, 3159))


class BadNumber(ValueError):
    """Not a card number we take. `kind` chooses the page's text; the number itself is never kept here."""

    def __init__(self, kind: NumberFault) -> None:
        super().__init__(f"card number: {kind}")
        self.kind: NumberFault = kind


class BadExpiry(ValueError):
    """Not an expiry date."""

    def __init__(self) -> None:
        super().__init__("not an expiry date")


def clean(text: str) -> str:
    """Without the spaces and dashes people and autofill put between the groups."""
    return _SEPARATORS.sub("", text)


def luhn_digit(body: str) -> str:
    """The check digit that makes `body` + digit a valid number (ISO/IEC 7812-1)."""
    return str(-_luhn_sum(body + "0") % 10)


def is_luhn_valid(number: str) -> bool:
    """Whether this is digits only and its check digit is right."""
    return _is_digits(number) and _luhn_sum(number) % 10 == 0


def _luhn_sum(number: str) -> int:
    backwards = [int(digit) for digit in reversed(number)]
    return sum(backwards[::2]) + sum(_DOUBLED[digit] for digit in backwards[1::2])


def _is_digits(text: str) -> bool:
    return _DIGITS.fullmatch(text) is not None


def brand_of(number_or_prefix: str) -> Brand | None:
    """The brand as soon as the leading digits decide it, else None. A masked number has its leading digits too."""
    leading = _DIGITS.match(clean(number_or_prefix))
    digits = leading[0] if leading else ""
    if digits.startswith("4"):
        return Brand.VISA
    if digits[:2] in ("34", "37"):
        return Brand.AMEX
    if len(digits) >= 2 and 51 <= int(digits[:2]) <= 55:
        return Brand.MASTER
    if len(digits) >= 6 and 222100 <= int(digits[:6]) <= 272099:
        return Brand.MASTER
    if len(digits) >= 4 and any(first <= int(digits[:4]) <= last for first, last in _JCB):
        return Brand.JCB
    return None


def length_ok(number: str) -> bool:
    """Whether a number of this brand may have this many digits; without a known brand 15, 16 or 19."""
    brand = brand_of(number)
    return len(number) in (_LENGTHS[brand] if brand else (15, 16, 19))


def cvv_length(brand: Brand) -> int:
    """Digits of the security code: four on the front of an AMEX, three on the back of the others."""
    return 4 if brand is Brand.AMEX else 3


def is_cvv(text: str, brand: Brand) -> bool:
    """Whether this could be the security code of a card of this brand."""
    return _is_digits(text) and len(text) == cvv_length(brand)


def mask(number: str) -> str:
    """`557338******1101`: the first six and the last four digits, the most that may be shown (PCI DSS 3.4.1).

    Anything too short to be a card number is masked whole: ten digits of it would be most of it.
    """
    if len(number) < 13:
        return "*" * len(number)
    return number[:6] + "*" * (len(number) - 10) + number[-4:]


def group(number: str) -> str:
    """As printed on a card: 4-4-4-4, AMEX 4-6-5. Works for what is typed so far and for a masked number."""
    if brand_of(number) is Brand.AMEX:
        parts = [number[:4], number[4:10], number[10:]]
    else:
        parts = [number[at : at + 4] for at in range(0, len(number), 4)]
    return " ".join(part for part in parts if part)


def check_number(text: str) -> str:
    """The cleaned number, or BadNumber: missing, incomplete (go on typing), wrong (look again), brand (not one of ours)."""
    number = clean(text)
    if not number:
        raise BadNumber("missing")
    if not _is_digits(number):
        raise BadNumber("wrong")
    brand = brand_of(number)
    if brand is None:
        # Six digits decide every brand; with fewer the right one may still come.
        raise BadNumber("incomplete" if len(number) < 6 else "brand")
    if len(number) < _LENGTHS[brand][0]:
        raise BadNumber("incomplete")
    if not length_ok(number) or not is_luhn_valid(number):
        raise BadNumber("wrong")
    return number


@dataclass(frozen=True, slots=True, order=True)
class Expiry:
    """The last month a card is valid in. `year` has four digits."""

    year: int
    month: int

    def __post_init__(self) -> None:
        if not (2000 <= self.year <= 2099 and 1 <= self.month <= 12):
            raise BadExpiry

    def is_over(self, now: datetime) -> bool:
        """Whether the card has expired: it is valid through the last day of its month, in Jakarta."""
        return self._months_ahead(now) < 0

    def too_far(self, now: datetime) -> bool:
        """More than 20 years ahead: a typing error, no bank issues such a card."""
        return self._months_ahead(now) > _FURTHEST_MONTHS

    def _months_ahead(self, now: datetime) -> int:
        assert now.tzinfo is not None, now
        today = now.astimezone(WIB)
        return (self.year - today.year) * 12 + self.month - today.month

    @property
    def mmyy(self) -> str:
        """`0528`, as the host-to-host API writes it."""
        return f"{self.month:02}{self.year % 100:02}"

    @property
    def yymm(self) -> str:
        """`2805`, as acquirers and our own tables have it; sorts by time."""
        return f"{self.year % 100:02}{self.month:02}"

    @property
    def shown(self) -> str:
        """`05/28`, as people read it on the card."""
        return f"{self.month:02}/{self.year % 100:02}"


def parse_expiry(text: str) -> Expiry:
    """Read `MM/YY`, `MMYY`, `MM / YY`, `MM/YYYY` (and `M/YY`, `MMYYYY`, which browsers fill in). Raises BadExpiry."""
    written = text.strip()
    match = _EXPIRY.fullmatch(written) or _SHORT_EXPIRY.fullmatch(written)
    if match is None:
        raise BadExpiry
    year = int(match[2])
    return Expiry(year if year >= 2000 else 2000 + year, int(match[1]))


def expiry_of_yymm(stored: str) -> Expiry:
    """The expiry of our own written form `YYMM`. Raises BadExpiry."""
    if len(stored) != 4 or not _is_digits(stored):
        raise BadExpiry
    return Expiry(2000 + int(stored[:2]), int(stored[2:]))
