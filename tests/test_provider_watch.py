"""Waiting for payments to end (`providers/watch.py`): one look for all who wait, on both engines."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from gerbang.clock import Clock
from gerbang.merchants import create
from gerbang.money import Rupiah
from gerbang.payments import Move, advance, get_payment, open_order
from gerbang.providers import watch as watching
from gerbang.providers.watch import Watch
from gerbang.storage import Database, StorageBusy, Tx
from support.gateway import NOON


def opened(database: Database, count: int) -> list[str]:
    """Payments that wait for their buyers."""

    def write(tx: Tx) -> list[str]:
        create(tx, name="Toko", client_id="BRN-WATCH", secret_key="SK-watch", notification_url=None, now=NOON)
        found = [
            open_order(
                tx,
                merchant_id="BRN-WATCH",
                invoice_number=f"INV-{number}",
                amount=Rupiah(1_000),
                channel="EMONEY_OVO",
                request_id=f"request-{number}",
                details={},
                expires_at=NOON + timedelta(hours=1),
                now=NOON,
            )
            for number in range(count)
        ]
        return [payment.id for _, payment in found]

    return database.transact_now(write)


def end(database: Database, payment_id: str) -> None:
    def move(tx: Tx) -> None:
        advance(tx, get_payment(tx, payment_id)[1], Move.CANCELLED, now=NOON, failure="CANCELLED")

    database.transact_now(move)


def test_each_is_told_of_its_own_payment_however_many_wait(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watching, "_AT_ONCE", 3)
    payments = opened(database, 8)

    async def wait() -> None:
        watch = Watch(database, Clock(), every_s=0.02)
        waiting = {one: asyncio.create_task(watch.ended(one, timeout_s=20)) for one in payments}
        for index in (5, 0, 7):
            end(database, payments[index])
            await asyncio.wait_for(waiting.pop(payments[index]), 5)
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in waiting.values())
        for task in waiting.values():
            task.cancel()
        await asyncio.gather(*waiting.values(), return_exceptions=True)

    asyncio.run(wait())


def test_two_may_wait_for_one_payment_and_each_as_long_as_it_likes(database: Database):
    (payment,) = opened(database, 1)

    async def wait() -> None:
        watch = Watch(database, Clock(), every_s=0.02)
        patient = asyncio.create_task(watch.ended(payment, timeout_s=20))
        began = time.monotonic()
        await watch.ended(payment, timeout_s=0.1)
        assert 0.1 <= time.monotonic() - began < 5
        assert not patient.done()
        end(database, payment)
        await asyncio.wait_for(patient, 5)

    asyncio.run(wait())


def test_the_movable_clock_counts_and_so_does_the_real_one(database: Database):
    """A tester moves the clock on instead of waiting; one that was set back keeps nobody waiting for ever."""
    (payment,) = opened(database, 1)

    async def wait() -> None:
        clock = Clock()
        watch = Watch(database, clock, every_s=0.02)
        waiting = asyncio.create_task(watch.ended(payment, timeout_s=60))
        await asyncio.sleep(0.05)
        clock.offset = timedelta(seconds=61)
        await asyncio.wait_for(waiting, 5)

        waiting = asyncio.create_task(watch.ended(payment, timeout_s=0.2))
        clock.offset = timedelta(days=-1)
        await asyncio.wait_for(waiting, 5)

    asyncio.run(wait())


def test_a_database_that_is_busy_for_a_moment_is_looked_at_again(database: Database, monkeypatch: pytest.MonkeyPatch):
    (payment,) = opened(database, 1)
    honest = database.read
    failed: list[Exception] = []

    async def read(fn: Any) -> Any:
        if len(failed) < 2:
            failed.append(StorageBusy("busy") if not failed else OSError("broken"))
            raise failed[-1]
        return await honest(fn)

    async def wait() -> None:
        monkeypatch.setattr(database, "read", read)
        end(database, payment)
        await asyncio.wait_for(Watch(database, Clock(), every_s=0.02).ended(payment, timeout_s=20), 5)

    asyncio.run(wait())
    assert len(failed) == 2


def test_nobody_waiting_means_nobody_looking(database: Database, monkeypatch: pytest.MonkeyPatch):
    (payment,) = opened(database, 1)
    looks: list[int] = []
    honest = database.read

    async def read(fn: Any) -> Any:
        looks.append(1)
        return await honest(fn)

    async def wait() -> None:
        monkeypatch.setattr(database, "read", read)
        watch = Watch(database, Clock(), every_s=0.02)
        await watch.ended(payment, timeout_s=0.05)
        await asyncio.sleep(0.1)
        before = len(looks)
        await asyncio.sleep(0.2)
        assert len(looks) == before > 0
        await watch.ended(payment, timeout_s=0.05)
        assert len(looks) > before

    asyncio.run(wait())
