"""Finding orders and payments."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from gerbang.clock import from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.payments.model import Order, Payment, order_from, payment_from
from gerbang.storage import Tx


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a payment's history."""

    event: str
    state: str
    facts: dict[str, Any]
    at: datetime


# Of several orders `o`, the one opened last first. The database numbers events; times and ids carry clocks, and clocks differ.
WRITTEN_LAST = (
    "(select max(e.id) from payment p join event e on e.subject = p.id and e.event = 'CREATED' where p.order_id = o.id) desc"
)


def find_order(tx: Tx, merchant_id: str, invoice_or_request_id: str) -> Order | None:
    """The order with this invoice number, else the newest one made, or refunded, by this Request-Id (ids do repeat, D-3)."""
    row = tx.one(
        "select * from orders where merchant_id = :merchant_id and invoice_number = :key",
        {"merchant_id": merchant_id, "key": invoice_or_request_id},
    ) or tx.one(
        f"select o.* from orders o where o.merchant_id = :merchant_id and o.request_id = :key order by {WRITTEN_LAST} limit 1",  # noqa: S608
        {"merchant_id": merchant_id, "key": invoice_or_request_id},
    )
    row = row or tx.one(
        "select o.* from refund r join payment p on p.id = r.payment_id join orders o on o.id = p.order_id"
        " where r.merchant_id = :merchant_id and r.request_id = :key order by (select max(e.id) from event e"
        " where e.subject = p.id and e.facts like '{\"refund\":\"' || r.id || '\"%') desc limit 1",
        {"merchant_id": merchant_id, "key": invoice_or_request_id},
    )
    return None if row is None else order_from(row)


def order_by_id(tx: Tx, order_id: str) -> Order:
    """The order of a payment we hold."""
    row = tx.one("select * from orders where id = :id", {"id": order_id})
    assert row is not None, order_id
    return order_from(row)


def payments_of(tx: Tx, order_id: str) -> list[Payment]:
    """The attempts to pay an order, oldest first."""
    return [payment_from(row) for row in tx.all("select * from payment where order_id = :id order by attempt", {"id": order_id})]


def find_payment(tx: Tx, payment_id: str) -> tuple[Order, Payment] | None:
    """A payment and its order by the payment's id, or None."""
    row = tx.one("select * from payment where id = :id", {"id": payment_id})
    if row is None:
        return None
    payment = payment_from(row)
    return order_by_id(tx, payment.order_id), payment


def get_payment(tx: Tx, payment_id: str) -> tuple[Order, Payment]:
    """The same; raises Refused(ORDER_NOT_FOUND)."""
    found = find_payment(tx, payment_id)
    if found is None:
        raise Refused(Reason.ORDER_NOT_FOUND, payment=payment_id)
    return found


def list_orders(tx: Tx, *, merchant_id: str | None = None, state: str | None = None, limit: int = 50) -> list[Order]:
    """Newest orders first."""
    wheres = [text for text, value in (("merchant_id = :merchant_id", merchant_id), ("state = :state", state)) if value]
    where = f" where {' and '.join(wheres)}" if wheres else ""
    rows = tx.all(
        f"select * from orders{where} order by id desc limit :limit",  # noqa: S608 - fixed texts only
        {"merchant_id": merchant_id, "state": state, "limit": limit} if wheres else {"limit": limit},
    )
    return [order_from(row) for row in rows]


def events(tx: Tx, payment_id: str) -> list[Event]:
    """A payment's history, oldest first."""
    rows = tx.all("select event, state, facts, at from event where subject = :id order by id", {"id": payment_id})
    return [Event(row["event"], row["state"], msgspec.json.decode(row["facts"]), from_ms(row["at"])) for row in rows]


def count_payments(tx: Tx) -> int:
    """How many payments there are."""
    row = tx.one("select count(*) as n from payment")
    return int(row["n"]) if row else 0


def count_overdue(tx: Tx, *, now: datetime) -> int:
    """How many `overdue` would find without a limit."""
    row = tx.one("select count(*) as n from payment where state = 'PENDING' and expires_at <= :now", {"now": to_ms(now)})
    return int(row["n"]) if row else 0


def overdue(tx: Tx, *, now: datetime, limit: int) -> list[Payment]:
    """Pending payments whose time to pay is over."""
    rows = tx.all(
        "select * from payment where state = 'PENDING' and expires_at <= :now order by expires_at limit :limit",
        {"now": to_ms(now), "limit": limit},
    )
    return [payment_from(row) for row in rows]
