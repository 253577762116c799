"""Calls that are answered when a buyer has decided: one look at the database for all of them, whoever moved the payments."""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gerbang.clock import Clock
from gerbang.storage import Database, StorageBusy, Tx

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Waiter:
    payment_id: str
    until: datetime
    until_real: float
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Watch:
    """Waits for payments to leave PENDING. The page, the worker, or another process moves them, so it looks again and again.

    Holds neither a transaction nor a connection between two looks. Whoever stops waiting leaves nothing behind.
    """

    def __init__(self, database: Database, clock: Clock, *, every_s: float) -> None:
        self._database = database
        self._clock = clock
        self._every_s = every_s
        self._waiters: set[_Waiter] = set()
        self._looking: asyncio.Task[None] | None = None

    async def ended(self, payment_id: str, *, timeout_s: float) -> None:
        """Return when the payment is no longer PENDING, or after `timeout_s`.

        Of business time or of real time, whichever is over first: a tester may move the sandbox's clock instead of waiting.
        """
        waiter = _Waiter(payment_id, self._clock.now() + timedelta(seconds=timeout_s), time.monotonic() + timeout_s)
        self._waiters.add(waiter)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            await waiter.over.wait()
        finally:
            self._waiters.discard(waiter)

    async def _look(self) -> None:
        while self._waiters:
            ended: set[str] = set()
            asked = {waiter.payment_id for waiter in self._waiters}
            try:
                ended = await self._database.read(lambda tx, asked=asked: _ended(tx, asked))  # type: ignore[misc]
            except StorageBusy as busy:
                log.warning("looking at payments that are waited for: %s", busy)
            except Exception:
                log.exception("looking at payments that are waited for")
            now, real = self._clock.now(), time.monotonic()
            for waiter in self._waiters:
                if waiter.payment_id in ended or now >= waiter.until or real >= waiter.until_real:
                    waiter.over.set()
            await asyncio.sleep(self._every_s)


_AT_ONCE = 500


def _ended(tx: Tx, payment_ids: set[str]) -> set[str]:
    """Which of them are no longer PENDING."""
    found: set[str] = set()
    asked = sorted(payment_ids)
    for start in range(0, len(asked), _AT_ONCE):
        named = {f"id{index}": one for index, one in enumerate(asked[start : start + _AT_ONCE])}
        places = ", ".join(f":{name}" for name in named)
        rows = tx.all(f"select id from payment where id in ({places}) and state <> 'PENDING'", named)  # noqa: S608 - made above
        found |= {str(row["id"]) for row in rows}
    return found
