"""Background work: expiry, delivery, housekeeping. `gerbang serve` runs it inside; `gerbang worker` runs it alone.

Any number of processes may run it: expiry is a compare-and-set, deliveries are leased.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from gerbang.channel import Channel
from gerbang.clock import Clock, real_now
from gerbang.errors import Reason, Refused
from gerbang.merchants import get
from gerbang.notifications.delivery import Deliverer
from gerbang.payments import Move, Payment, get_payment
from gerbang.payments.queries import overdue
from gerbang.protocols.nonsnap.outcomes import close_unpaid
from gerbang.protocols.nonsnap.replies import purge_replies
from gerbang.protocols.snap.housekeeping import purge_snap
from gerbang.sandbox.time import read_offset
from gerbang.settings import Settings
from gerbang.storage import Database, StorageBusy, Tx
from gerbang.stragglers import Stragglers
from gerbang.wallet.bindings import purge_auth_codes
from gerbang.wallet.pins import purge_pin_counts

log = logging.getLogger(__name__)

_EXPIRE_BATCH = 50  # closed side by side, so that they share commits
_PURGE_EVERY_S = 60.0
_AFTER_TROUBLE_S = 5.0
_ROOM_PATIENCE_S = 2.0
_LAST_WORD_S = 1.0
_ROOM_LIMIT_S = 300.0  # should somebody outside never answer, and nobody have set a limit


class Worker:
    """The background work of one process."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        channels: Mapping[str, Channel],
        deliverer: Deliverer,
        rooms: Mapping[str, Any],
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._channels = channels
        self._rooms = rooms
        self._sweeps = Stragglers(patience_s=_ROOM_PATIENCE_S)
        self._stuck: set[str] = set()  # payments that could not be expired, so that the log says it once
        self.deliverer = deliverer

    async def run(self) -> None:
        """Work until cancelled."""
        delivering = asyncio.create_task(self.deliverer.run())
        purged = 0.0
        try:
            while True:
                pause_s = self._settings.poll_interval_s
                try:
                    await self.refresh_clock()
                    await self.sweep_rooms()
                    await self.expire_due()
                    if time.monotonic() - purged > _PURGE_EVERY_S:
                        purged = time.monotonic()
                        await self._purge()
                except StorageBusy as error:
                    log.warning("background work: %s", error)
                except Exception:
                    log.exception("background work; trying again")
                    pause_s = max(pause_s, _AFTER_TROUBLE_S)
                await asyncio.sleep(pause_s)
        finally:
            delivering.cancel()
            await self._sweeps.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await delivering

    async def refresh_clock(self) -> None:
        """Take over what another process did to the sandbox clock."""
        if not self._settings.is_sandbox:
            return
        before = self._clock.offset
        stored = await self._database.read(read_offset)
        # When this process moved the clock while we were reading, what we read is older than that.
        if self._clock.offset == before:
            self._clock.offset = stored

    async def sweep_rooms(self) -> int:
        """Let every room do what fell due in it, side by side; how much that was. One room's trouble does not stop the others.

        A room that waits for somebody outside longer than `_ROOM_PATIENCE_S` goes on by itself, and has its next turn after that.
        """
        return await self._sweeps.run(
            {
                f"sweeping {code}": partial(self._sweep, code, sweep, room)
                for code, room in self._rooms.items()
                if (sweep := self._channels[code].sweep) is not None
            }
        )

    async def _sweep(self, code: str, sweep: Callable[[Any], Awaitable[int]], room: Any) -> int:
        try:
            async with asyncio.timeout(_ROOM_LIMIT_S):
                return await sweep(room)
        except StorageBusy:
            raise
        except TimeoutError:
            log.error("sweeping %s: given up after %d s, to begin anew", code, _ROOM_LIMIT_S)
            return 0
        except Exception:
            log.exception("sweeping %s", code)
            return 0

    async def expire_due(self) -> int:
        """Close every payment whose time is over; how many."""
        closed = 0
        while True:
            now = self._clock.now()
            due = await self._database.read(lambda tx, now=now: overdue(tx, now=now, limit=_EXPIRE_BATCH))  # type: ignore[misc]
            outcomes = await asyncio.gather(*(self._expire(payment) for payment in due), return_exceptions=True)
            for payment, outcome in zip(due, outcomes, strict=True):
                if isinstance(outcome, BaseException) and payment.id not in self._stuck:
                    self._stuck.add(payment.id)
                    # One payment that cannot be closed must not keep the others open.
                    log.error("payment %s could not be expired", payment.id, exc_info=outcome)
            closed_now = sum(outcome for outcome in outcomes if isinstance(outcome, int))
            closed += closed_now
            if len(due) < _EXPIRE_BATCH or not closed_now:
                return closed

    async def _expire(self, payment: Payment) -> int:
        def expire(tx: Tx) -> None:
            order, current = get_payment(tx, payment.id)
            now = self._clock.now()
            if now < current.expires_at:  # the sandbox clock was set back meanwhile
                raise Refused(Reason.PAYMENT_MOVED_ON, payment=payment.id)
            channel = self._channels[current.channel]
            if channel.close is not None:
                channel.close(tx, order, current, Move.TIMED_OUT, settings=self._settings, now=now, failure="EXPIRED")
                return
            close_unpaid(
                tx,
                channel,
                get(tx, current.merchant_id),
                order,
                current,
                Move.TIMED_OUT,
                settings=self._settings,
                now=now,
                failure="EXPIRED",
            )

        await self._last_word(payment)
        try:
            await self._database.transact(expire)
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                raise
            return 0  # paid or cancelled in this very moment
        return 1

    async def _last_word(self, payment: Payment) -> None:
        """It may have been paid in time, and the word of it be on its way: ask, but not for long."""
        hear, room = self._channels[payment.channel].hear, self._rooms.get(payment.channel)
        if hear is None or room is None:
            return
        try:
            async with asyncio.timeout(_LAST_WORD_S):
                await hear(room, payment.id)
        except TimeoutError:
            log.warning("payment %s expires, and %s does not say what became of it", payment.id, payment.channel)

    async def _purge(self) -> None:
        retention_s = self._settings.request_id_retention_s
        for purge in (
            lambda tx: purge_replies(tx, real=real_now(), retention_s=retention_s),
            lambda tx: purge_snap(tx, now=self._clock.now()),
            lambda tx: purge_auth_codes(tx, now=self._clock.now()),
            lambda tx: purge_pin_counts(tx, now=self._clock.now()),
        ):
            while await self._database.transact(purge):
                await asyncio.sleep(0.05)  # leave room for payments in between

    async def settle(self, timeout_s: float, *, patience_s: float) -> bool:
        """Do everything that is due now; False when deliveries took longer (see `Deliverer.settle`)."""
        while await self.sweep_rooms():
            pass
        await self.expire_due()
        return await self.deliverer.settle(timeout_s, patience_s=patience_s)
