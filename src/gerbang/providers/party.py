"""Who is outside, as data of a room: how the pretend one looks, what it can be made to do, where it sends its buyers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from gerbang.providers.questions import Asked
from gerbang.web.theme import Theme


class Behaviour(StrEnum):
    """What a pretend provider does with an order. Written as the control API's `outcome`."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    NOT_ENOUGH = "NOT_ENOUGH"
    NO_ANSWER = "NO_ANSWER"
    SLOW = "SLOW"
    PAID_TWICE = "PAID_TWICE"
    PAID_LATE = "PAID_LATE"


ALL_BEHAVIOURS = tuple(Behaviour)

# Amounts that end so make a buyer's Pay end so: ours, DOKU documents none. The numbers are HTTP's, which developers know by heart.
MAGIC_AMOUNTS: Mapping[str, Behaviour] = {
    "402": Behaviour.NOT_ENOUGH,
    "404": Behaviour.FAILED,
    "408": Behaviour.NO_ANSWER,
    "409": Behaviour.PAID_TWICE,
    "410": Behaviour.EXPIRED,
    "412": Behaviour.PAID_LATE,
    "425": Behaviour.SLOW,
    "499": Behaviour.CANCELLED,
}

WHAT_HAPPENS: Mapping[Behaviour, str] = {
    Behaviour.SUCCESS: "paid",
    Behaviour.FAILED: "refused",
    Behaviour.EXPIRED: "the provider lets it expire",
    Behaviour.CANCELLED: "the buyer cancels",
    Behaviour.NOT_ENOUGH: "not enough balance or limit: refused",
    Behaviour.NO_ANSWER: "the provider never answers; the order expires in its time",
    Behaviour.SLOW: "paid, reported 20 s later",
    Behaviour.PAID_TWICE: "paid twice; the second amount goes back to the buyer",
    Behaviour.PAID_LATE: "paid a minute after the order expired; the amount goes back to the buyer",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A lender's offer: pay back in so many months for `interest_bp` hundredths of a percent of the amount, once."""

    months: int
    interest_bp: int


# The pretend buyer: rich enough for what a test shop sells, poor enough that a large order shows what then happens.
BUYER = "Siti Rahma"
BUYER_PHONE = "0812 •••• 7890"
BALANCE = 25_000_000
LIMIT = 5_000_000


def goes_back(asked: Asked, outcome: str) -> str | None:
    """Where a buyer goes afterwards: back to the shop, however it ended."""
    return asked.return_url


@dataclass(frozen=True, slots=True)
class Party:
    """A counterparty.

    slug        its place under /simulators, and a word of its own in page addresses
    kind        app: a wallet's or bank's app; lender: approves in instalments; cashier: takes a payment code
    path        where its page about one payment is; the payment's id follows
    behaviours  what a tester can make it do
    decide      what an order itself asks for (a magic phone number), before amounts are looked at
    refuses     whether it turns an order down at once, and why
    at_once     what it does with an order by itself as soon as it hears of it (a magic phone number); None: waits for its buyer
    facts       what it says of an order besides its reference, the same whenever asked
    leads       (asked, outcome) → where the buyer's browser goes; None: the simulator's own last page
    tells       (asked, receipt) → what else a report of money says
    """

    code: str
    name: str
    slug: str
    kind: Literal["app", "lender", "cashier"]
    theme: Theme
    initials: str = ""
    path: str = ""
    expiry_min: int = 60
    behaviours: tuple[Behaviour, ...] = ALL_BEHAVIOURS
    plans: tuple[Plan, ...] = ()
    magic: Mapping[str, str] = field(default_factory=dict)
    decide: Callable[[Asked], Behaviour | None] = lambda _asked: None
    refuses: Callable[[Asked], str | None] = lambda _asked: None
    at_once: Callable[[Asked], Behaviour | None] = lambda _asked: None
    facts: Callable[[Asked], dict[str, Any]] = lambda _asked: {}
    leads: Callable[[Asked, str], str | None] = goes_back
    tells: Callable[[Asked, str], dict[str, Any]] = lambda _asked, _receipt: {}

    @property
    def page_path(self) -> str:
        return self.path or f"/simulators/{self.slug}"

    @property
    def magic_values(self) -> dict[str, str]:
        """For people: what a tester enters → what happens."""
        amounts = {
            f"order.amount ending {ending}": WHAT_HAPPENS[behaviour]
            for ending, behaviour in MAGIC_AMOUNTS.items()
            if behaviour in self.behaviours
        }
        return {**self.magic, **{name: what for name, what in amounts.items() if name not in self.magic}}

    def behaviour(self, asked: Asked) -> Behaviour:
        """What Pay does with an order about which nothing was chosen."""
        decided = self.decide(asked) or MAGIC_AMOUNTS.get(str(asked.amount)[-3:])
        return decided if decided in self.behaviours else Behaviour.SUCCESS
