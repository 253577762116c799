"""Line items where their sum has to be the amount."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from gerbang.errors import Reason, Refused
from gerbang.providers.questions import Item


class Bought(Protocol):
    """What every room's line item has; a price has sen where the document says decimal or double."""

    @property
    def name(self) -> str: ...

    @property
    def price(self) -> int | Decimal: ...

    @property
    def quantity(self) -> int: ...


def adding_up(line_items: Sequence[Bought], amount: int) -> list[Item]:
    """The items as a provider is told of them. Sen are summed exactly and shown to nobody.

    Raises Refused: FIELD_MISSING (there is none), LINE_ITEMS_DO_NOT_ADD_UP (decision D-13).
    """
    if not line_items:
        raise Refused(Reason.FIELD_MISSING, field="order.line_items")
    if sum(one.price * one.quantity for one in line_items) != amount:
        raise Refused(Reason.LINE_ITEMS_DO_NOT_ADD_UP, field="order.line_items")
    return [Item(one.name, int(one.price), one.quantity) for one in line_items]
