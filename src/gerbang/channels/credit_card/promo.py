"""BIN promotions and BIN allow-lists of a payment page (S2-33 … S2-35)."""

from collections.abc import Iterable
from dataclasses import dataclass

from gerbang.money import Rupiah

# Fewer digits say which scheme, not which bank: nothing is decided on them.
DECIDING_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Promo:
    """`discount` whole rupiah off for cards whose number starts with `bin`."""

    bin: str
    discount: int


def best(promos: Iterable[Promo], number_or_prefix: str, amount: int) -> Rupiah:
    """The discount this card earns, 0 if none: the longest matching prefix wins, the larger discount among equals.

    A discount that leaves nothing to pay (or takes nothing off) is ignored as if it were not listed. `number_or_prefix` is what is
    known of the number: six digits while it is typed, then eight, then all; of a saved card its BIN.
    """
    if len(number_or_prefix) < DECIDING_DIGITS:
        return Rupiah(0)
    matching = [promo for promo in promos if 0 < promo.discount < amount and promo.bin and number_or_prefix.startswith(promo.bin)]
    winner = max(matching, key=lambda promo: (len(promo.bin), promo.discount), default=None)
    return Rupiah(winner.discount if winner else 0)


def bin_allowed(allow_bin: Iterable[str], number_or_prefix: str) -> bool:
    """Whether this card may pay: nothing is listed, or one listed BIN and the number agree as far as both go.

    At least six digits have to agree: an entry shorter than a BIN (or an empty one) allows nothing, and a saved card of which
    six digits are known is compared on those six.
    """
    listed = list(allow_bin)
    return not listed or any(_agree(entry, number_or_prefix) for entry in listed)


def _agree(entry: str, number: str) -> bool:
    common = min(len(entry), len(number))
    return common >= DECIDING_DIGITS and entry[:common] == number[:common]
