"""What a room (a folder under channels/) provides, and how the rooms are found."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from gerbang.clock import Clock
from gerbang.endpoint import Endpoint
from gerbang.merchants import Merchant
from gerbang.payments import Order, Payment
from gerbang.settings import Settings
from gerbang.storage import Database, Tx
from gerbang.vault import Vault

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

OUTCOMES = ("SUCCESS", "FAILED", "EXPIRED", "CANCELLED")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a room's running parts are made from. The vault is there in a sandbox, and where a card provider is."""

    database: Database
    clock: Clock
    settings: Settings
    vault: Vault | None


@dataclass(frozen=True, slots=True)
class Channel:
    """A payment channel. What a channel cannot do is simply absent.

    code          the channel id on the wire, e.g. EMONEY_DOKU
    blocks        the channel's own blocks of notifications and check status, beside the common ones
    play          sandbox: brings a pending payment to one of OUTCOMES without a browser
                  (tx, merchant, order, payment, outcome, code, now)
    pages         the hosted pages, given what they are built from (a `web.wiring.Wiring`)
    magic_values  what a tester enters to get an outcome: value → what happens
    notification  the whole body of a notification, for a channel whose documents show another shape than the common one
    status        the same for check status
    options       what a merchant may have otherwise on this channel, as a struct whose fields all have defaults
    open          makes the running parts (providers and the like); None: not available in this installation
    sweep         does what fell due in this room (room), and says how much it did; run by the worker, over and over
    drive         sandbox, instead of `play` where an outside party has to be asked: (room, channel, payment id, outcome, code)
    """

    code: str
    title: str
    service_id: str
    acquirer_id: str
    endpoints: tuple[Endpoint, ...]
    blocks: Callable[[Order, Payment], dict[str, Any]] = lambda _order, _payment: {}
    play: Callable[[Tx, Merchant, Order, Payment, str, str | None, datetime], Payment] | None = None
    pages: "Callable[[Any], list[BaseRoute]] | None" = None
    magic_values: Mapping[str, str] = field(default_factory=dict)
    notification: Callable[[Tx, Order, Payment], dict[str, Any]] | None = None
    status: Callable[[Tx, Order, Payment], dict[str, Any]] | None = None
    options: type[msgspec.Struct] | None = None
    open: Callable[[Parts], Any] | None = None
    sweep: Callable[[Any], Awaitable[int]] | None = None
    drive: "Callable[[Any, Channel, str, str, str | None], Awaitable[None]] | None" = None


def all_channels() -> dict[str, Channel]:
    """Every room's CHANNEL by its code, found by looking into the folder."""
    from gerbang import channels

    found: dict[str, Channel] = {}
    for module in pkgutil.iter_modules(channels.__path__):
        if module.ispkg:
            channel: Channel = importlib.import_module(f"gerbang.channels.{module.name}.channel").CHANNEL
            assert channel.code not in found, channel.code
            found[channel.code] = channel
    return found


def open_rooms(channels: Mapping[str, Channel], parts: Parts) -> dict[str, Any]:
    """The running parts of every room that has any and is available in this installation, by channel code."""
    opened = {code: channel.open(parts) for code, channel in channels.items() if channel.open is not None}
    return {code: room for code, room in opened.items() if room is not None}
