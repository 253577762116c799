"""What we ask a provider and what it tells us. An operator's adapter implements `Provider`; in the sandbox `simulator.py` does.

Every question can be asked again: the payment's id, or the receipt, says that it is the same one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from gerbang.money import Rupiah


class Item(msgspec.Struct, frozen=True):
    """One line of an order as its buyer reads it; `price` is for one piece, in whole rupiah."""

    name: str
    price: int
    quantity: int


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order, as a provider is told of it.

    payment_id  our id of the attempt to pay, and the key of the question
    payer       whom the provider shall ask, in its own words: a phone number, a cash tag
    return_url  where the buyer goes afterwards; cancel_url when the buyer gives up, where a channel tells these apart
    home        our own address, under which a pretend provider has its pages
    facts       what else the channel's documents hand over
    """

    payment_id: str
    channel: str
    amount: int
    merchant_id: str
    merchant_name: str
    invoice_number: str
    created_at: datetime
    expires_at: datetime
    home: str
    items: tuple[Item, ...] = ()
    payer: str = ""
    return_url: str | None = None
    cancel_url: str | None = None
    facts: dict[str, Any] = {}


class Begun(msgspec.Struct, frozen=True, omit_defaults=True):
    """The provider knows the order under its own `reference`, and its buyer can pay at `url` (None: the provider comes to the buyer)."""

    reference: str
    url: str | None = None
    facts: dict[str, Any] = {}


class TurnedDown(msgspec.Struct, frozen=True):
    """The provider does not want this order."""

    reason: str


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something happened to an order at the provider's.

    receipt        the provider's number of this very event: heard twice, it is one event
    amount         what was taken, PAID only
    at             when it happened there
    """

    receipt: str
    payment_id: str
    outcome: Literal["PAID", "REFUSED", "CANCELLED", "EXPIRED"]
    at: datetime
    amount: int = 0
    approval_code: str | None = None
    payer: str | None = None
    reason: str | None = None
    facts: dict[str, Any] = {}


class Provider(Protocol):
    """Who is asked. A method that raises, or does not come back in `provider_timeout_s`, counts as silence: nothing is known then."""

    async def begin(self, asked: Asked) -> Begun | TurnedDown:
        """Announce an order. The same payment id again gives the same answer."""
        ...

    async def reports(self, payment_id: str | None = None) -> Sequence[Report]:
        """What happened and was not yet acknowledged by `heard`, oldest first. A provider that calls us keeps its calls until then."""
        ...

    async def heard(self, receipt: str) -> None:
        """Its effect is on our disk."""
        ...

    async def withdraw(self, payment_id: str) -> bool:
        """The order shall not be paid any more. False: it has been, or this provider cannot."""
        ...

    async def give_back(self, question_id: str, receipt: str, amount: Rupiah) -> bool:
        """Return money of a receipt to who paid it, all or part of it. False: it cannot; a person has to."""
        ...
