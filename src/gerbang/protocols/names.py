"""People on the wire: their names, and their phone numbers.

A name with twelve or more digits is a card number in the wrong field: it is refused, not stored.
"""

import re
from typing import Annotated

from msgspec import Meta

# Digits of any script, whatever stands between them. Twelve is the shortest that a card number can be (ISO/IEC 7812-1 has 8 to 19,
# card schemes use 12 and more), and no name of a person has as many.
NO_CARD_NUMBER = r"^(?:\D*\d){0,11}\D*$"
_NO_CARD_NUMBER = re.compile(NO_CARD_NUMBER)

PersonName = Annotated[str, Meta(min_length=1, max_length=255, pattern=NO_CARD_NUMBER)]
Phone = Annotated[
    str, Meta(min_length=1, max_length=32, description="Any written form (decision D-6).", extra_json_schema={"format": "phone"})
]


def may_hold_card_number(text: str) -> bool:
    """Whether a text has so many digits that a card number could be among them."""
    return _NO_CARD_NUMBER.search(text) is None
