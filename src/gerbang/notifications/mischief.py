"""Hostile but legal deliveries, in the sandbox only: what networks, restarts and retries do to a merchant sooner or later.

A plan names kinds for a merchant's orders, or for one order. Which kind hits which order is a function of the plan and of the
order's place or number, so a run can be repeated. Bodies and signatures are those of ordinary deliveries. What is still to
be done is in the outbox's own rows, and what was done is an event of the notification: both survive `kill -9`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import msgspec

from gerbang.clock import from_ms, to_ms
from gerbang.storage import Retry, Row, Tx

_MARK = "mischief"  # there from the first plan on: without it nothing else is looked up
_EVENT = "MISCHIEF"
_LEAST_MINUTES, _MOST_MINUTES = 10, 90
HELD_FOR = timedelta(minutes=10)  # how long a first notification waits for a second one
_LOOK_AGAIN = timedelta(minutes=1)


class Kind(StrEnum):
    """What is done to a payment's notifications.

    EARLY         the payment succeeds and is told before the call that made it is answered
    LATE          delivered 10 to 90 minutes of business time later
    TWICE         delivered, and delivered again: the same Request-Id and body, a new timestamp and signature
    OUT_OF_ORDER  of the payment's first two the second comes first; alone after ten minutes
    AFTER_REFUND  SUCCESS once more after the payment was refunded or voided and that was told
    NEVER         not delivered; the merchant has to ask for the status
    """

    EARLY = "EARLY"
    LATE = "LATE"
    TWICE = "TWICE"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    AFTER_REFUND = "AFTER_REFUND"
    NEVER = "NEVER"


class Plan(msgspec.Struct, frozen=True):
    """What is done to a merchant's orders.

    kinds  one of these for each order that is hit
    rate   how many of a hundred orders are hit
    by     what an order is known by: "count", the how-many-th since the plan was made, or "invoice", its invoice number
    after  the newest order's id when the plan was made: only later ones are hit
    """

    seed: int
    kinds: tuple[Kind, ...]
    rate: int = 100
    by: Literal["count", "invoice"] = "count"
    after: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is done to one order, and how late LATE is."""

    kinds: tuple[Kind, ...]
    minutes: int


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to a notification, and when, in business time."""

    kind: Kind
    what: str
    at: datetime


def choose(seed: int, kinds: Sequence[Kind], rate: int, known_by: str) -> Chosen | None:
    """What hits the order that is known by this, if anything. Nothing but the arguments decides."""
    number = _number(seed, known_by)
    number, roll = divmod(number, 100)
    if roll >= rate or not kinds:
        return None
    number, index = divmod(number, len(kinds))
    return Chosen((kinds[index],), _minutes(number))


def _number(seed: int, known_by: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {known_by}".encode()).digest(), "big")


def _minutes(number: int) -> int:
    return _LEAST_MINUTES + number % (_MOST_MINUTES - _LEAST_MINUTES + 1)


# -- plans


def keep_plan(tx: Tx, merchant_id: str, plan: Plan | None) -> None:
    """Plan mischief for a merchant's orders from now on; None ends it. What has begun goes on."""
    _keep(tx, _plan_of_merchant(merchant_id), plan)


def keep_order_plan(tx: Tx, merchant_id: str, invoice_number: str, plan: Plan | None) -> None:
    """All kinds of the plan for one order, which need not exist yet; it goes before the merchant's plan."""
    _keep(tx, _plan_of_order(merchant_id, invoice_number), plan)


def plan_of(tx: Tx, merchant_id: str) -> Plan | None:
    """The merchant's plan."""
    row = tx.one("select value from instance where name = :name", {"name": _plan_of_merchant(merchant_id)})
    return None if row is None else msgspec.json.decode(row["value"], type=Plan)


def newest_order(tx: Tx) -> str:
    """The id that orders from now on come after."""
    row = tx.one("select max(id) as id from orders")
    return (row["id"] if row else None) or ""


def is_planned(tx: Tx) -> bool:
    """Whether there ever was a plan."""
    return tx.one("select 1 as found from instance where name = :name", {"name": _MARK}) is not None


def chosen_for(tx: Tx, merchant_id: str, order_id: str) -> Chosen | None:
    """What is done to an order, if anything."""
    order = tx.one("select invoice_number from orders where id = :id", {"id": order_id})
    if order is None:
        return None
    of_order, of_merchant = _plan_of_order(merchant_id, order["invoice_number"]), _plan_of_merchant(merchant_id)
    rows = tx.all(
        "select name, value from instance where name in (:of_order, :of_merchant)",
        {"of_order": of_order, "of_merchant": of_merchant},
    )
    plans = {row["name"]: msgspec.json.decode(row["value"], type=Plan) for row in rows}
    plan = plans.get(of_order)
    if plan is not None:
        return Chosen(plan.kinds, _minutes(_number(plan.seed, order["invoice_number"])))
    plan = plans.get(of_merchant)
    if plan is None or order_id <= plan.after:
        return None
    known_by = order["invoice_number"] if plan.by == "invoice" else str(_place(tx, merchant_id, order_id, plan.after))
    return choose(plan.seed, plan.kinds, plan.rate, known_by)


def _place(tx: Tx, merchant_id: str, order_id: str, after: str) -> int:
    row = tx.one(
        "select count(*) as n from orders where merchant_id = :merchant and id > :after and id <= :id",
        {"merchant": merchant_id, "after": after, "id": order_id},
    )
    assert row is not None
    return int(row["n"])


def _keep(tx: Tx, name: str, plan: Plan | None) -> None:
    if plan is None:
        tx.execute("delete from instance where name = :name", {"name": name})
        return
    for row, value in ((_MARK, "1"), (name, msgspec.json.encode(plan).decode())):
        tx.execute(
            "insert into instance (name, value) values (:name, :value) on conflict (name) do update set value = excluded.value",
            {"name": row, "value": value},
        )


# A client id has no blanks, so that no invoice number makes one name of two.
def _plan_of_merchant(merchant_id: str) -> str:
    return f"{_MARK} {merchant_id}"


def _plan_of_order(merchant_id: str, invoice_number: str) -> str:
    return f"{_MARK} {merchant_id} {invoice_number}"


# -- what is done


@dataclass(frozen=True, slots=True)
class Held:
    """Not now. `due_at` None: not at all."""

    kind: Kind
    state: str
    due_at: int | None
    facts: dict[str, Any] | None


def holds_back(tx: Tx, row: Row, *, now: datetime) -> Held | None:
    """Why a due notification does not go out now, or None. The caller changes the row, then calls `note_held`."""
    if row["resend"] or row["attempts"]:
        return None
    done = {one.kind for one in history(tx, row["id"])}
    if row["state"] == "HELD":
        return _held_longer(tx, row, now=now)
    chosen = chosen_for(tx, row["merchant_id"], row["order_id"])
    if chosen is None:
        return None
    kinds = set(chosen.kinds) - done
    if Kind.NEVER in kinds:
        return Held(Kind.NEVER, "GAVE_UP", None, {})
    if Kind.LATE in kinds:
        until = to_ms(now + timedelta(minutes=chosen.minutes))
        return Held(Kind.LATE, "QUEUED", until, {"minutes": chosen.minutes, "until": until})
    if Kind.OUT_OF_ORDER in kinds and _other(tx, row, "<") is None:
        until = to_ms(now + HELD_FOR)
        return Held(Kind.OUT_OF_ORDER, "HELD", until, {"until": until})
    return None


def note_held(tx: Tx, row: Row, held: Held, *, now: datetime) -> None:
    """Remember it, once the row is changed."""
    if held.facts is not None:
        note(tx, row["id"], row["merchant_id"], held.kind, now=now, **held.facts)


def _held_longer(tx: Tx, row: Row, *, now: datetime) -> Held | None:
    """A first notification whose wait is over goes out, unless the second is there and was not taken yet."""
    second = tx.one(
        "select min(due_at) as due_at from notification where payment_id = :payment and id > :id and due_at is not null",
        {"payment": row["payment_id"], "id": row["id"]},
    )
    if second is None or second["due_at"] is None:
        return None
    # Whoever delivers the second lets this one go; this is for the case that it never is.
    return Held(Kind.OUT_OF_ORDER, "HELD", max(second["due_at"], to_ms(now + _LOOK_AGAIN)), None)


def let_go_held(tx: Tx, row: Row, *, now: datetime) -> None:
    """A later notification of the payment is through: what was held for it follows."""
    found = tx.all(
        "select id from notification where payment_id = :payment and id < :id and state = 'HELD' order by id",
        {"payment": row["payment_id"], "id": row["id"]},
    )
    for held in found:
        moved = tx.execute(
            "update notification set state = 'QUEUED', due_at = :now where id = :id and state = 'HELD'",
            {"id": held["id"], "now": to_ms(now)},
        )
        if moved:
            note(tx, held["id"], row["merchant_id"], Kind.OUT_OF_ORDER, now=now, overtaken_by=row["id"])


def wants_twice(tx: Tx, row: Row) -> bool:
    """Whether a notification just delivered is delivered once more. The caller plans that, then calls `note`."""
    chosen = chosen_for(tx, row["merchant_id"], row["order_id"])
    if chosen is None or Kind.TWICE not in chosen.kinds:
        return False
    return all(one.kind is not Kind.TWICE for one in history(tx, row["id"]))


def counts_from(tx: Tx, row: Row) -> int:
    """The moment (ms) from which a notification's retries count: when it was made, or until when it was held back."""
    untils = [int(facts["until"]) for _, facts, _ in _events(tx, row["id"]) if "until" in facts]
    return max([int(row["created_at"]), *untils[-1:]])


def echoes_due(tx: Tx) -> list[str]:
    """Payments that were refunded or voided, with nothing left to tell, whose SUCCESS is told once more."""
    if not is_planned(tx):
        return []
    rows = tx.all(
        "select distinct p.id as id, p.order_id as order_id, p.merchant_id as merchant_id from refund r"
        " join payment p on p.id = r.payment_id join orders o on o.id = p.order_id"
        " where r.state = 'SUCCESS' and p.state in ('REFUNDED', 'VOIDED')"
        " and exists (select 1 from instance i where i.name in (:mark || p.merchant_id,"
        " :mark || p.merchant_id || ' ' || o.invoice_number))"
        " and not exists (select 1 from notification n where n.payment_id = p.id and n.due_at is not null)",
        {"mark": f"{_MARK} "},
    )
    return [row["id"] for row in rows if _wants_echo(tx, row["id"], row["merchant_id"], row["order_id"])]


def _wants_echo(tx: Tx, payment_id: str, merchant_id: str, order_id: str) -> bool:
    chosen = chosen_for(tx, merchant_id, order_id)
    if chosen is None or Kind.AFTER_REFUND not in chosen.kinds:
        return False
    told = _told_success(tx, payment_id)
    return told is not None and all(one.kind is not Kind.AFTER_REFUND for one in history(tx, told["id"]))


def echo(tx: Tx, payment_id: str, *, now: datetime) -> None:
    """Tell SUCCESS once more."""
    told = _told_success(tx, payment_id)
    if told is None:
        return
    moved = tx.execute(
        "update notification set due_at = :now, resend = 1 where id = :id and due_at is null",
        {"id": told["id"], "now": to_ms(now)},
    )
    if not moved:
        return
    if any(one.kind is Kind.AFTER_REFUND for one in history(tx, told["id"])):
        raise Retry  # another process did it while we looked
    note(tx, told["id"], told["merchant_id"], Kind.AFTER_REFUND, now=now)


def _told_success(tx: Tx, payment_id: str) -> Row | None:
    """The notification that told of the payment's success: the first one made since then."""
    paid = tx.one("select min(at) as at from event where subject = :id and state = 'SUCCESS'", {"id": payment_id})
    if paid is None or paid["at"] is None:
        return None
    return tx.one(
        "select id, merchant_id from notification where payment_id = :id and created_at >= :at order by id limit 1",
        {"id": payment_id, "at": paid["at"]},
    )


def _other(tx: Tx, row: Row, side: Literal["<", ">"]) -> Row | None:
    return tx.one(
        f"select id from notification where payment_id = :payment and id {side} :id limit 1",  # noqa: S608 - fixed texts only
        {"payment": row["payment_id"], "id": row["id"]},
    )


# -- the record


def note(tx: Tx, notification_id: str, merchant_id: str, kind: Kind, *, now: datetime, **facts: Any) -> None:
    """Write down what was done to a notification."""
    tx.execute(
        "insert into event (subject, merchant_id, event, state, facts, at)"
        " values (:subject, :merchant_id, :event, :state, :facts, :at)",
        {
            "subject": notification_id,
            "merchant_id": merchant_id,
            "event": _EVENT,
            "state": kind.value,
            "facts": msgspec.json.encode(facts).decode(),
            "at": to_ms(now),
        },
    )


def history(tx: Tx, notification_id: str) -> list[Done]:
    """What was done to a notification, oldest first."""
    return [Done(kind, _words(kind, facts), at) for kind, facts, at in _events(tx, notification_id)]


def _events(tx: Tx, notification_id: str) -> list[tuple[Kind, dict[str, Any], datetime]]:
    rows = tx.all(
        "select state, facts, at from event where subject = :id and event = :event order by id",
        {"id": notification_id, "event": _EVENT},
    )
    return [(Kind(row["state"]), msgspec.json.decode(row["facts"]), from_ms(row["at"])) for row in rows]


def _words(kind: Kind, facts: dict[str, Any]) -> str:
    if kind is Kind.LATE:
        return f"held back for {facts['minutes']} minutes of business time"
    if kind is Kind.OUT_OF_ORDER:
        if "overtaken_by" in facts:
            return f"let go after {facts['overtaken_by']}, which was made later"
        return f"held back until a later one is delivered, for {HELD_FOR // _LOOK_AGAIN} minutes at most"
    return {
        Kind.EARLY: "sent before the call that made the order was answered",
        Kind.TWICE: "delivered, and sent again",
        Kind.AFTER_REFUND: "sent again after the payment was refunded or voided",
        Kind.NEVER: "not sent at all",
    }[kind]
