"""What a room (a folder under channels/) provides, and how the rooms are found."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gerbang.endpoint import Endpoint
from gerbang.merchants import Merchant
from gerbang.payments import Order, Payment
from gerbang.storage import Tx

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

OUTCOMES = ("SUCCESS", "FAILED", "EXPIRED", "CANCELLED")


@dataclass(frozen=True, slots=True)
class Channel:
    """A payment channel. What a channel cannot do is simply absent.

    code          the channel id on the wire, e.g. EMONEY_DOKU
    blocks        the channel's own blocks of notifications and check status, beside the common ones
    play          sandbox: brings a pending payment to one of OUTCOMES without a browser
                  (tx, merchant, order, payment, outcome, code, now)
    pages         the hosted pages, given what they are built from (a `web.wiring.Wiring`)
    magic_values  what a tester enters to get an outcome: value → what happens
    """

    code: str
    title: str
    service_id: str
    acquirer_id: str
    endpoints: tuple[Endpoint, ...]
    blocks: Callable[[Order, Payment], dict[str, Any]]
    play: Callable[[Tx, Merchant, Order, Payment, str, str | None, datetime], Payment]
    pages: "Callable[[Any], list[BaseRoute]] | None" = None
    magic_values: Mapping[str, str] = field(default_factory=dict)


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
