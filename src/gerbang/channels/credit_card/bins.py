"""What a card number, or its first digits, tells about the card: brand, credit or debit, issuing bank, country.

Known are the sandbox's cards only. Every other number gets its brand and the defaults of the documentation.
"""

from collections import defaultdict

import msgspec

from gerbang.channels.credit_card.installments import Acquirer
from gerbang.channels.credit_card.numbers import BadNumber, Brand, brand_of
from gerbang.channels.credit_card.sandbox_cards import SANDBOX_CARDS, UNKNOWN_ISSUER, CardType, SandboxCard


class CardFacts(msgspec.Struct, frozen=True):
    """acquirer  the issuing bank as an acquirer, if it is one: then the card can pay by that bank's installments"""

    brand: Brand
    type: CardType
    issuer: str
    acquirer: Acquirer | None
    country: str


def facts_of(number_or_prefix: str) -> CardFacts:
    """The facts of a card: by the whole number, else by its first eight digits, else by its first six.

    Six or eight digits alone will do. Raises BadNumber("brand") if no brand is known for the number.
    """
    card = SANDBOX_CARDS.get(number_or_prefix)
    if card is not None:
        return _facts(card)
    known = _BY_PREFIX.get(number_or_prefix[:8]) or _BY_PREFIX.get(number_or_prefix[:6])
    if known is not None:
        return known
    brand = brand_of(number_or_prefix)
    if brand is None:
        raise BadNumber("brand")
    return CardFacts(brand, "CREDIT", UNKNOWN_ISSUER, None, "ID")


def _facts(card: SandboxCard) -> CardFacts:
    return CardFacts(card.brand, card.type, card.issuer, card.acquirer, card.country)


def _by_prefix() -> dict[str, CardFacts]:
    """BINs that say something: all test cards that begin with them have the same facts."""
    seen: defaultdict[str, set[CardFacts]] = defaultdict(set)
    for card in SANDBOX_CARDS.values():
        for digits in (6, 8):
            seen[card.number[:digits]].add(_facts(card))
    return {prefix: facts.pop() for prefix, facts in seen.items() if len(facts) == 1}


_BY_PREFIX = _by_prefix()
