"""Background work while somebody outside hangs: everybody else gets what is due to them, in time."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gerbang.clock import Clock
from gerbang.money import Rupiah
from gerbang.settings import Settings
from gerbang.storage import Database, StorageBusy, Tx, open_database
from gerbang.stragglers import Stragglers
from gerbang.wallet.bank import BankAccount
from gerbang.wallet.operations import OperationDetails, OperationState, begin_transfer, get_operation
from gerbang.worker import Worker
from support.gateway import RunningGateway
from support.nonsnap import served
from support.notifying import eventually
from support.slow_bank import PAUSES
from support.snap_money import Customer, Partner, new_reference, rupiah

BACK = "https://partner.example/return"
HANGING, PROMPT = 66_001, 50_000


@pytest.fixture
def pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "pauses"
    directory.mkdir()
    monkeypatch.setenv(PAUSES, str(directory))
    return directory


@pytest.fixture
def partner(tmp_path: Path, pauses: Path) -> Iterator[Partner]:
    with served(tmp_path, bank_provider="support.slow_bank:make", poll_interval_s=0.05) as running:
        yield Partner(running)


def left_behind(partner: Partner, customer: Customer, amount: int) -> str:
    """A transfer whose asker is gone, due now: its id."""

    def begin(tx: Tx) -> str:
        operation = begin_transfer(
            tx,
            merchant_id=partner.caller.client_id,
            customer=customer.account,
            to=BankAccount("014", "1234567890", "ADI UTOMO"),
            amount=Rupiah(amount),
            fee=Rupiah(0),
            partner_reference=new_reference(),
            external_id="1",
            details=OperationDetails(),
            now=partner.now(),
        )
        tx.execute("update wallet_operation set due_real_at = 0 where id = :id", {"id": operation.id})
        return operation.id

    return partner.database.transact_now(begin)


def state_of(running: RunningGateway, operation_id: str) -> OperationState:
    return running.database.read_now(lambda tx: get_operation(tx, operation_id)).state


def payment_state(running: RunningGateway, invoice: str) -> str:
    sql = "select p.state from payment p join orders o on o.id = p.order_id where o.invoice_number = :invoice"
    [row] = running.database.read_now(lambda tx: tx.all(sql, {"invoice": invoice}))
    return str(row["state"])


def test_a_bank_that_hangs_holds_up_neither_other_transfers_nor_expiry_nor_the_clock(partner: Partner, pauses: Path) -> None:
    """S1-91. More hang than a sweep takes up at once, and they were due first."""
    running, customer = partner.running, partner.customer(5_000_000)
    (pauses / f"before:{HANGING}").touch()
    purchase, order = new_reference(), "INV-OF-ANOTHER-ROOM"
    opened = partner.call(
        "debit/payment-host-to-host",
        customer,
        partnerReferenceNo=purchase,
        amount=rupiah(10_000),
        urlParam=[{"url": BACK, "type": "PAY_RETURN", "isDeeplink": "N"}],
    )
    assert opened.status == 200, opened.body
    assert running.create_order(order).status == 200
    hanging = [left_behind(partner, customer, HANGING) for _ in range(30)]
    eventually(lambda: (pauses / f"at:before:{HANGING}").exists())
    prompt = left_behind(partner, customer, PROMPT)

    began = time.monotonic()
    running.control("POST", "/clock", {"advance_s": 86_400})
    took_s = time.monotonic() - began

    eventually(lambda: state_of(running, prompt) is OperationState.SUCCESS, timeout_s=4)
    eventually(lambda: (payment_state(running, purchase), payment_state(running, order)) == ("EXPIRED", "EXPIRED"), timeout_s=4)
    assert took_s < 6, "moving the clock does not wait for those that hang"
    assert {state_of(running, one) for one in hanging} == {OperationState.ASKED}


class Hangs:
    """Somebody outside who answers when told to."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked = 0

    async def __call__(self, _room: Any = None) -> int:
        self.asked += 1
        await self.may_answer.wait()
        return 1


async def at_once(_room: Any = None) -> int:
    return 3


async def broken(_room: Any = None) -> int:
    raise RuntimeError("a bug")


async def busy(_room: Any = None) -> int:
    raise StorageBusy("for the test")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(str(tmp_path / "gerbang.db"), connections=1)
    yield opened
    opened.close()


class Delivers:
    async def run(self) -> None:
        await asyncio.sleep(3_600)


def worker_of(database: Database, **rooms: Any) -> Worker:
    channels: Any = {code: SimpleNamespace(sweep=sweep) for code, sweep in rooms.items()}
    settings = Settings(poll_interval_s=0.02)
    return Worker(database, Clock(), settings, channels, Delivers(), dict.fromkeys(rooms))  # type: ignore[arg-type]


def in_time(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Long before anybody who hangs answers."""

    async def limited() -> None:
        async with asyncio.timeout(20):
            await run()

    asyncio.run(limited())


def test_a_room_that_hangs_holds_up_no_other_and_gets_its_next_turn_when_it_is_done(empty: Database) -> None:
    hangs = Hangs()
    worker = worker_of(empty, HANGS=hangs, BROKEN=broken, PROMPT=at_once)

    async def run() -> None:
        assert await worker.sweep_rooms() == 3
        began = time.monotonic()
        assert [await worker.sweep_rooms() for _ in range(5)] == [3] * 5
        assert time.monotonic() - began < 1, "who is late already is waited for by nobody"
        assert hangs.asked == 1
        hangs.may_answer.set()
        await asyncio.sleep(0.01)
        assert await worker.sweep_rooms() == 4
        assert hangs.asked == 2

    in_time(run)


def test_a_room_whose_counterparty_never_answers_is_swept_anew(
    empty: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hangs = Hangs()
    monkeypatch.setattr("gerbang.worker._ROOM_LIMIT_S", 0.01)
    worker = worker_of(empty, HANGS=hangs, PROMPT=at_once)

    async def run() -> None:
        assert [await worker.sweep_rooms(), await worker.sweep_rooms()] == [3, 3]

    in_time(run)

    assert hangs.asked == 2
    assert "sweeping HANGS: given up" in caplog.text


def test_a_worker_that_ends_gives_up_what_hangs(empty: Database) -> None:
    hangs = Hangs()
    ended: list[BaseException] = []

    async def noting(room: Any) -> int:
        try:
            return await hangs(room)
        except asyncio.CancelledError as error:
            ended.append(error)
            raise

    async def run() -> None:
        working = asyncio.create_task(worker_of(empty, HANGS=noting).run())
        while not hangs.asked:
            await asyncio.sleep(0.01)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert len(ended) == 1

    in_time(run)


def test_a_busy_database_is_told_to_whoever_wanted_the_sweep(empty: Database) -> None:
    """The control API answers it with 503; the worker comes back later."""

    async def run() -> None:
        with pytest.raises(StorageBusy):
            await worker_of(empty, BUSY=busy, PROMPT=at_once).sweep_rooms()

    in_time(run)


def test_what_fails_late_is_logged_and_may_be_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    hangs, works = Hangs(), Stragglers(patience_s=0.01)

    async def late() -> int:
        await hangs()
        raise StorageBusy("for the test")

    async def run() -> None:
        assert await works.run({"the bank": late}) == 0
        assert len(works) == 1
        hangs.may_answer.set()
        await asyncio.sleep(0.01)
        assert len(works) == 0
        with pytest.raises(StorageBusy):
            await works.run({"the bank": late})

    in_time(run)

    assert "the bank failed, late" in caplog.text
