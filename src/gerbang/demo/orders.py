"""The shop's orders. In memory, because this is a demo: they end with the process, and only the newest are kept."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import StrEnum

from gerbang.client import CardFacts
from gerbang.demo.goods import Cart, Method, total

WIB = timezone(timedelta(hours=7), "WIB")

# Without letters and digits that look alike, so that an invoice number survives a telephone.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_MOST_EVENTS = 40  # strangers can cause "refused" events; they must not fill the memory


class State(StrEnum):
    MADE = "made"  # the gateway has not answered yet
    UNSENT = "unsent"  # no payment page: the gateway refused or did not answer
    WAITING = "waiting"
    PAID = "paid"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


# A payment can succeed after it looked lost (a late notification, an answer that never arrived), never the other way.
NEXT = {
    (State.MADE, "sent"): State.WAITING,
    (State.MADE, "not_sent"): State.UNSENT,
    (State.MADE, "paid"): State.PAID,
    (State.UNSENT, "paid"): State.PAID,
    (State.WAITING, "paid"): State.PAID,
    (State.WAITING, "cancelled"): State.CANCELLED,
    (State.WAITING, "expired"): State.EXPIRED,
    (State.CANCELLED, "paid"): State.PAID,
    (State.EXPIRED, "paid"): State.PAID,
}


@dataclass(frozen=True)
class Event:
    """One row of the timeline. `kind` names its words and icon; `facts` fill the gaps in the words."""

    kind: str
    at: datetime
    facts: dict[str, str | int]


@dataclass(eq=False)
class Order:
    """`returned_at`, `notified_at` and `checked_at` decide when the status is worth asking for.

    card         as the gateway told it last
    declined_on  the date of the newest declined attempt that the timeline shows
    """

    number: int
    invoice_number: str
    made_at: datetime
    language: str
    method: Method
    cart: Cart
    ordered_elsewhere: int | None = None  # the amount of an order that was not made in this shop; its cart is empty
    state: State = State.MADE
    payment_url: str | None = None
    returned_at: datetime | None = None
    notified_at: datetime | None = None
    checked_at: datetime | None = None
    last_status: str | None = None
    card: CardFacts | None = None
    declined_on: str | None = None
    events: list[Event] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    @property
    def amount(self) -> int:
        return total(self.cart) if self.ordered_elsewhere is None else self.ordered_elsewhere

    @property
    def version(self) -> str:
        """Changes when the page of this order would."""
        return f"{len(self.events)}-{self.state}-{self.last_status}"

    def first_time(self, request_id: str) -> bool:
        """Whether this notification is new. The gateway repeats a Request-Id when it is not sure that we heard."""
        new = request_id not in self.seen
        self.seen.add(request_id)
        return new

    def record(self, kind: str, now: datetime, **facts: str | int) -> None:
        if len(self.events) < _MOST_EVENTS:
            self.events.append(Event(kind, now, facts))

    def move(self, kind: str, now: datetime, **facts: str | int) -> None:
        """Change the state and record why. What does not fit the table has happened already, or too late: left out."""
        state = NEXT.get((self.state, kind))
        if state is not None:
            self.state = state
            self.events.append(Event(kind, now, facts))


class OrderBook:
    """The newest orders by invoice number. Used from the event loop only, so it needs no lock."""

    def __init__(self, keep: int = 500) -> None:
        self._keep = keep
        self._made = 0
        self._orders: dict[str, Order] = {}
        self._by_form: dict[str, Order] = {}

    def make(self, cart: Cart, method: Method, *, language: str, form_key: str, now: datetime) -> Order:
        """A new order with a new invoice number. `form_key` is what `of_form` finds it by, "" for none."""
        self._made += 1
        tail = "".join(secrets.choice(_ALPHABET) for _ in range(4))
        invoice_number = f"PP-{now.astimezone(WIB):%Y%m%d}-{self._made:04d}-{tail}"
        order = Order(self._made, invoice_number, now, language, method, cart)
        if form_key:
            self._by_form[form_key] = order
        self._keep_order(order)
        return order

    def take_in(self, invoice_number: str, amount: int, method: Method, *, language: str, now: datetime) -> Order:
        """An order made elsewhere with this shop's keys."""
        self._made += 1
        order = Order(self._made, invoice_number, now, language, method, {}, ordered_elsewhere=amount, state=State.WAITING)
        self._keep_order(order)
        return order

    def _keep_order(self, order: Order) -> None:
        self._orders[order.invoice_number] = order
        # Dicts keep insertion order, so the first key is the oldest.
        for known in (self._orders, self._by_form):
            while len(known) > self._keep:
                del known[next(iter(known))]

    def find(self, invoice_number: str) -> Order | None:
        return self._orders.get(invoice_number)

    def of_form(self, form_key: str) -> Order | None:
        """The order that an earlier press of the same form made: a second press must not buy twice."""
        return self._by_form.get(form_key)
