"""Planning hostile but legal notifications, and the one kind that is not the deliverer's: told before the call is answered."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from gerbang.channel import Channel
from gerbang.clock import Clock
from gerbang.errors import Reason, Refused
from gerbang.merchants import get
from gerbang.notifications.delivery import Deliverer
from gerbang.notifications.mischief import (
    Kind,
    Plan,
    chosen_for,
    is_planned,
    keep_order_plan,
    keep_plan,
    newest_order,
    note,
)
from gerbang.notifications.outbox import list_notifications
from gerbang.payments import Payment, PaymentState, payments_of
from gerbang.payments.queries import WRITTEN_LAST
from gerbang.sandbox.playing import play
from gerbang.settings import Settings
from gerbang.storage import Database, Tx

log = logging.getLogger(__name__)

# Longer than a merchant's own application needs, shorter than its patience with the call that is not answered meanwhile.
_EARLY_WAIT_S = 5.0

# Each of these says when a first delivery happens: one at most.
_WHEN = {Kind.EARLY, Kind.LATE, Kind.OUT_OF_ORDER, Kind.NEVER}


def plan_merchant(
    tx: Tx, client_id: str, kinds: Sequence[Kind], *, seed: int = 0, rate: int = 100, by_invoice: bool = False
) -> Plan | None:
    """One of the kinds for each order that is hit, of those made from now on; without kinds the plan ends.

    Raises Refused: MERCHANT_NOT_FOUND, FIELD_INVALID (rate).
    """
    get(tx, client_id)
    if not 1 <= rate <= 100:
        raise Refused(Reason.FIELD_INVALID, field="rate")
    plan = None
    if kinds:
        plan = Plan(seed, tuple(dict.fromkeys(kinds)), rate, "invoice" if by_invoice else "count", newest_order(tx))
    keep_plan(tx, client_id, plan)
    return plan


def plan_order(tx: Tx, client_id: str, invoice_number: str, kinds: Sequence[Kind], *, seed: int = 0) -> Plan | None:
    """All of the kinds for one order, which need not exist yet; without kinds the plan ends.

    Raises Refused: MERCHANT_NOT_FOUND, FIELD_INVALID (kinds: two that cannot both be; invoice_number: empty).
    """
    get(tx, client_id)
    given = set(kinds)
    if len(given & _WHEN) > 1 or (Kind.NEVER in given and len(given) > 1):
        raise Refused(Reason.FIELD_INVALID, field="kinds")
    if not invoice_number or "\x00" in invoice_number:
        raise Refused(Reason.FIELD_INVALID, field="invoice_number")
    plan = Plan(seed, tuple(dict.fromkeys(kinds))) if kinds else None
    keep_order_plan(tx, client_id, invoice_number, plan)
    return plan


class Playing(Protocol):
    """What of a running gateway is needed to play a payment."""

    settings: Settings
    clock: Clock
    database: Database
    channels: Mapping[str, Channel]
    rooms: Mapping[str, Any]
    deliverer: Deliverer


class EarlyNotifications:
    """Between the commit of a call and its answer: plays what a plan says is told too early, and waits for the delivery."""

    def __init__(self, gateway: Playing) -> None:
        self._gateway = gateway

    async def __call__(self, client_id: str, request_id: str) -> None:
        """The order is committed and its answer kept: whatever happens here, that answer is given. Never raises."""
        database = self._gateway.database
        try:
            payment = await database.read(lambda tx: _early_payment(tx, client_id, request_id))
            if payment is None:
                return
            await play(self._gateway, payment, "SUCCESS")
            now = self._gateway.clock.now()
            await database.transact(lambda tx: _note_early(tx, payment, now=now))
            if not await self._gateway.deliverer.settle_first(payment.id, _EARLY_WAIT_S):
                log.warning("the notification of %s is not delivered yet; the call that made it is answered now", payment.id)
        except Exception:
            log.exception("early notification for request %s of %s", request_id, client_id)


def _early_payment(tx: Tx, client_id: str, request_id: str) -> Payment | None:
    """The payment that this call opened and that is to be told early."""
    if not is_planned(tx):
        return None
    order = tx.one(
        f"select o.id from orders o where o.merchant_id = :merchant and o.request_id = :request order by {WRITTEN_LAST} limit 1",  # noqa: S608
        {"merchant": client_id, "request": request_id},
    )
    if order is None:
        return None
    chosen = chosen_for(tx, client_id, order["id"])
    if chosen is None or Kind.EARLY not in chosen.kinds:
        return None
    payments = payments_of(tx, order["id"])
    # Another call may come under the same Request-Id, and a charge from host to host is over when it is answered.
    if not payments or payments[-1].state is not PaymentState.PENDING or list_notifications(tx, order_id=order["id"], limit=1):
        return None
    return payments[-1]


def _note_early(tx: Tx, payment: Payment, *, now: datetime) -> None:
    for one in list_notifications(tx, order_id=payment.order_id):
        note(tx, one.id, one.merchant_id, Kind.EARLY, now=now)
