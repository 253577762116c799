"""Endings that every channel shares: a payment that ends unpaid, told to the merchant."""

from datetime import datetime

from gerbang.channel import Channel
from gerbang.merchants import Merchant
from gerbang.payments import Move, Order, Payment, advance
from gerbang.protocols.nonsnap.notification import notify
from gerbang.settings import Settings
from gerbang.storage import Tx


def close_unpaid(
    tx: Tx,
    channel: Channel,
    merchant: Merchant,
    order: Order,
    payment: Payment,
    move: Move,
    *,
    settings: Settings,
    now: datetime,
    failure: str | None = None,
) -> Payment:
    """End a pending payment without money and queue what the merchant is told. Raises Refused(PAYMENT_MOVED_ON)."""
    closed = advance(tx, payment, move, now=now, failure=failure)
    notify(tx, channel, merchant, order, closed, settings=settings, now=now)
    return closed
