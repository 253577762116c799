"""Sandbox: bringing a payment to an outcome without a browser, whatever its channel."""

from collections.abc import Mapping
from typing import Any, Protocol

from gerbang.channel import Channel
from gerbang.clock import Clock
from gerbang.merchants import get
from gerbang.payments import Payment, get_payment
from gerbang.protocols.nonsnap.notification import notify
from gerbang.settings import Settings
from gerbang.storage import Database, Tx


class Played(Protocol):
    """What of a running gateway is needed for it."""

    settings: Settings
    clock: Clock
    database: Database
    channels: Mapping[str, Channel]
    rooms: Mapping[str, Any]


async def play(gateway: Played, payment: Payment, outcome: str, code: str | None = None) -> None:
    """Play buyer and provider. Raises what the channel's `play` or `drive` raises: Refused(PAYMENT_MOVED_ON) for one that is over."""
    channel = gateway.channels[payment.channel]
    if channel.drive is not None:
        await channel.drive(gateway.rooms[channel.code], channel, payment.id, outcome, code)
        return
    assert channel.play is not None, channel.code
    playing = channel.play

    def end(tx: Tx) -> None:
        order, current = get_payment(tx, payment.id)
        merchant, now = get(tx, current.merchant_id), gateway.clock.now()
        ended = playing(tx, merchant, order, current, outcome, code, now)
        notify(tx, channel, merchant, order, ended, settings=gateway.settings, now=now)

    await gateway.database.transact(end)
