"""What hosted pages are built from: made once in app.py and handed to every room."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gerbang.channel import Channel
from gerbang.clock import Clock
from gerbang.settings import Settings
from gerbang.storage import Database
from gerbang.wallet import PinHasher, WalletLimits
from gerbang.web.pages import Pages


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts of one running gateway. `rooms` holds the running parts of each room that has any, by channel code."""

    database: Database
    clock: Clock
    settings: Settings
    channels: Mapping[str, Channel]
    pin_hasher: PinHasher
    limits: WalletLimits
    pages: Pages
    rooms: Mapping[str, Any] = field(default_factory=dict)
