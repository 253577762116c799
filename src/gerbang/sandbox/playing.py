"""Sandbox: bringing a payment to an outcome without a browser, whatever its channel."""

from collections.abc import Mapping
from typing import Any, Protocol

from gerbang.channel import Channel
from gerbang.clock import Clock
from gerbang.errors import Reason, Refused
from gerbang.merchants import get
from gerbang.payments import Payment, get_payment
from gerbang.protocols.nonsnap.notification import notify
from gerbang.settings import Settings
from gerbang.storage import Database, Tx

CHOICES = ("outcome", "three_ds", "response_code", "follow_up_code")
_OF_PROVIDERS, _OF_CARDS = CHOICES[:1], CHOICES[1:]


class NotChosen(Exception):
    """What was wanted of the simulators cannot come; the text says what can."""


def choose(tx: Tx, channel: Channel, payment: Payment, wanted: Mapping[str, str | None]) -> None:
    """Decide what the simulators will say about a payment; what is not wanted they decide by the card or the amount.

    wanted  by the names of CHOICES

    Raises NotChosen; Refused(PAYMENT_MOVED_ON) for a payment that is over.
    """
    if channel.choose is None:
        raise NotChosen(f"nobody is asked about a payment of channel {channel.code}; it takes an outcome at once")
    fits = _OF_CARDS if channel.party is None else _OF_PROVIDERS
    strange = [name for name, value in wanted.items() if value is not None and name not in fits]
    if strange:
        raise NotChosen(f"{strange[0]} means nothing on channel {channel.code}; {', '.join(fits)} {'do' if fits[1:] else 'does'}")
    try:
        channel.choose(tx, payment.id, wanted)
    except Refused as refused:
        if refused.reason is not Reason.FIELD_INVALID:
            raise
        name = str(refused.facts["field"])
        raise NotChosen(f"{name} {wanted[name]} does not exist; {refused.facts['known']} do") from None


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
