"""DOKU Wallet over SNAP: registration, binding, money and purchases of a partner's customers."""

import asyncio
import importlib
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from gerbang.channel import Channel, Parts
from gerbang.channels.doku_wallet_snap import authorisations, history, money, purchase, registration
from gerbang.channels.doku_wallet_snap.pages import wallet_snap_pages
from gerbang.channels.doku_wallet_snap.simulator import MAGIC_VALUES
from gerbang.settings import BadSettings
from gerbang.storage import Tx
from gerbang.wallet.bank import Bank
from gerbang.wallet.bindings import purge_auth_codes
from gerbang.wallet.demo import DEMO_PIN
from gerbang.wallet.messages import Messages, MessageSender, SandboxMessages, purge_messages
from gerbang.wallet.otp import purge_codes
from gerbang.wallet.registrations import purge_registrations

_PURGE_EVERY_S = 60.0
_PURGES: tuple[Callable[..., int], ...] = (purge_codes, purge_messages, purge_auth_codes, purge_registrations)


class WalletRoom:
    """The running parts of the room. Without a bank there are no transfers in this installation."""

    def __init__(self, parts: Parts, messages: Messages, bank: Bank | None) -> None:
        self.database = parts.database
        self.clock = parts.clock
        self.settings = parts.settings
        self.bank = bank
        self.transfers = money.open_sweeper(parts, bank)
        self.sender = MessageSender(parts.database, parts.clock, parts.settings, messages, keep_texts=parts.settings.is_sandbox)
        self._purged = time.monotonic()

    async def sweep(self) -> int:
        """Send messages, find out what became of transfers, end what is over, forget what need not be kept; how much was done."""
        parts = [self.sender.sweep(), purchase.sweep(self)]
        if self.transfers is not None:
            parts.append(self.transfers.sweep())
        # Trouble in one must not stop the others.
        done = await asyncio.gather(*parts, return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException):
                raise error
        if time.monotonic() - self._purged > _PURGE_EVERY_S:
            self._purged = time.monotonic()
            await self.purge()
        return sum(one for one in done if isinstance(one, int))

    async def purge(self) -> int:
        """Forget what need not be kept; how many rows. Some at a time: the next minute takes the rest."""
        now = self.clock.now()
        return await self.database.transact(lambda tx: _purge(tx, now))


def _purge(tx: Tx, now: datetime) -> int:
    return sum(purge(tx, now=now) for purge in _PURGES)


def open_messages(parts: Parts) -> Messages | None:
    """The operator's provider, the inbox in a sandbox, or none. `messages_provider` names a function that takes `Parts`.

    Raises BadSettings.
    """
    named = parts.settings.messages_provider
    if named:
        module, _, function = named.partition(":")
        try:
            make: Callable[[Parts], Messages] = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise BadSettings(f"messages_provider {named!r} cannot be loaded: {error}") from None
        return make(parts)
    return SandboxMessages() if parts.settings.is_sandbox else None


def open_room(parts: Parts) -> WalletRoom | None:
    """The room; None in production without somebody to send one-time passwords: nobody could register there."""
    bank = money.open_bank(parts)  # a mistake in its setting is told even where the room stays closed
    messages = open_messages(parts)
    return None if messages is None else WalletRoom(parts, messages, bank)


async def sweep(room: WalletRoom) -> int:
    """What fell due."""
    return await room.sweep()


def pages(wiring: Any) -> list[Any]:
    """The hosted pages, in a sandbox with its inbox."""
    return wallet_snap_pages(wiring)


CHANNEL = Channel(
    code=purchase.CODE,
    title="DOKU Wallet (SNAP)",
    service_id="EMONEY",
    acquirer_id="DOKU",
    endpoints=(
        *registration.ENDPOINTS,
        *money.ENDPOINTS,
        *purchase.ENDPOINTS,
        *authorisations.ENDPOINTS,
        *history.ENDPOINTS,
    ),
    pages=pages,
    open=open_room,
    sweep=sweep,
    close=purchase.close,
    drive=purchase.drive,
    magic_values={
        "one-time password": "fixed_otp (123456); empty: see the SMS inbox, /simulators/sms",
        "a one-time password wrong five times": "blocked until a new one is requested",
        f"PIN of the demo accounts {DEMO_PIN}": "pays and consents",
        **MAGIC_VALUES,
    },
)
