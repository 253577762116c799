"""Opening an order with a provider outside: the same request from two processes, another channel after silence, a replaced attempt."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gerbang.channel import Channel, Parts, all_channels
from gerbang.clock import Clock
from gerbang.endpoint import ActionResult, Ask, Call
from gerbang.errors import Reason, Refused
from gerbang.merchants import create, get
from gerbang.payments import Order, Payment, PaymentState, find_order, payments_of
from gerbang.providers import opening
from gerbang.providers.opening import open_with_provider
from gerbang.providers.questions import Asked, Begun, TurnedDown
from gerbang.providers.room import ProviderRoom
from gerbang.settings import load_settings
from gerbang.storage import Database, Tx
from support.own_provider import OwnProvider
from support.provider_orders import NOBODY

MERCHANT = "BRN-1"
AMOUNT = 60_000
INVOICE = "INV-1"


class Answered(msgspec.Struct):
    """Which payment the merchant was told of."""

    payment_id: str


class House:
    """A gateway's process as far as it opens orders: rooms with providers of their own, one merchant."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.settings = load_settings(env={}, given={"data": "unused", "provider_timeout_s": 0.5})
        self.rooms = {code: self._room(all_channels()[code]) for code in ("EMONEY_LINKAJA", "EMONEY_SHOPEE_PAY", "JENIUS_PAY")}
        database.transact_now(
            lambda tx: create(
                tx, name="Toko", client_id=MERCHANT, secret_key="SK-1", notification_url=NOBODY, now=self.clock.now()
            )
        )

    def _room(self, channel: Channel) -> ProviderRoom:
        parts = Parts(self.database, self.clock, self.settings, None)
        return ProviderRoom(parts, channel.party, OwnProvider(), lambda: channel)

    def provider(self, code: str) -> Any:
        return self.rooms[code].provider

    def call(self, tx: Tx, code: str, request_id: str) -> Call:
        return Call(
            tx=tx,
            merchant=get(tx, MERCHANT),
            request_id=request_id,
            now=self.clock.now(),
            settings=self.settings,
            public_url="http://127.0.0.1",
            room=self.rooms[code],
        )

    def begin(self, tx: Tx, code: str = "EMONEY_LINKAJA", request_id: str = "request-1") -> Ask:
        """The first of a call's two transactions."""
        return open_with_provider(
            self.call(tx, code, request_id),
            invoice_number=INVOICE,
            amount=AMOUNT,
            retriable=code == "EMONEY_LINKAJA",
            answer=_answered,
        )

    async def open(self, code: str = "EMONEY_LINKAJA", request_id: str = "request-1") -> ActionResult:
        """A whole call."""
        ask = await self.database.transact(lambda tx: self.begin(tx, code, request_id))
        said = await ask.ask()
        return await self.database.transact(lambda tx: ask.after(self.call(tx, code, request_id), said))

    def attempts(self) -> list[Payment]:
        def look(tx: Tx) -> list[Payment]:
            order = find_order(tx, MERCHANT, INVOICE)
            return payments_of(tx, order.id) if order is not None else []

        return self.database.read_now(look)


def _answered(_call: Call, _order: Order, payment: Payment, _said: Begun | TurnedDown) -> Answered:
    return Answered(payment.id)


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


async def silent(_asked: Asked) -> Begun:
    await asyncio.sleep(0)
    raise ConnectionError("nobody there")


def looking_together(monkeypatch: pytest.MonkeyPatch, parties: int) -> None:
    """The first that look for an order see what there is before any of them writes."""
    together = threading.Barrier(parties)
    looked = threading.local()

    def find_and_wait(tx: Tx, *args: Any) -> Order | None:
        found = find_order(tx, *args)
        if not getattr(looked, "once", False):
            looked.once = True
            together.wait(10)
        return found

    monkeypatch.setattr(opening, "find_order", find_and_wait)


def side_by_side(*works: Callable[[], Any]) -> list[Any]:
    """Each in a thread of its own, as processes are; what they returned."""
    results: list[Any] = [None] * len(works)

    def run(index: int, work: Callable[[], Any]) -> None:
        try:
            results[index] = work()
        except Refused as refused:
            results[index] = refused.reason

    threads = [threading.Thread(target=run, args=(index, work)) for index, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_the_same_request_in_two_processes_at_once_is_one_attempt(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-9: LinkAja takes an unpaid invoice again as a new attempt, but the same call twice is no second one."""
    if house.database.engine == "postgresql":  # SQLite has one writer: the second looks when the first has written
        looking_together(monkeypatch, 2)

    asks = side_by_side(*[lambda: house.database.transact_now(house.begin)] * 2)

    assert [one.state for one in house.attempts()] == [PaymentState.PENDING]
    assert all(isinstance(one, Ask) for one in asks), asks


def test_of_two_new_attempts_at_once_each_withdraws_the_one_it_replaces(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-9: an older page stops working, also when the newer ones came side by side."""
    asyncio.run(house.open(request_id="request-1"))
    if house.database.engine == "postgresql":
        looking_together(monkeypatch, 2)

    def again(request_id: str) -> Callable[[], Ask]:
        return lambda: house.database.transact_now(lambda tx: house.begin(tx, request_id=request_id))

    for ask in side_by_side(again("request-2"), again("request-3")):
        asyncio.run(ask.ask())

    *replaced, last = house.attempts()
    assert len(replaced) == 2
    assert last.state is PaymentState.PENDING
    assert sorted(house.provider("EMONEY_LINKAJA").withdrawn) == sorted(one.id for one in replaced)


def test_an_attempt_replaced_before_a_kill_is_withdrawn_when_the_same_request_comes_again(house: House) -> None:
    asyncio.run(house.open(request_id="request-1"))
    house.database.transact_now(lambda tx: house.begin(tx, request_id="request-2"))  # and nothing after: killed

    asyncio.run(house.open(request_id="request-2"))

    replaced, waiting = house.attempts()
    assert (replaced.state, waiting.state) == (PaymentState.REPLACED, PaymentState.PENDING)
    assert house.provider("EMONEY_LINKAJA").withdrawn == [replaced.id]


def test_a_request_id_used_on_a_silent_channel_announces_nothing_of_it_on_another(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients take the invoice number for Request-Id, and try the next wallet when one is silent."""
    monkeypatch.setattr(house.provider("JENIUS_PAY"), "begin", silent)
    with pytest.raises(Refused) as refused:
        asyncio.run(house.open("JENIUS_PAY", INVOICE))
    assert refused.value.reason is Reason.PROVIDER_SILENT

    with pytest.raises(Refused) as refused:
        asyncio.run(house.open("EMONEY_SHOPEE_PAY", INVOICE))

    assert refused.value.reason is Reason.INVOICE_ALREADY_USED
    assert house.provider("EMONEY_SHOPEE_PAY").asked == []
    assert [one.channel for one in house.attempts()] == ["JENIUS_PAY"]


def test_a_provider_is_not_believed_about_a_payment_of_another_channel(house: House) -> None:
    asyncio.run(house.open())
    [payment] = house.attempts()
    stranger = house.provider("JENIUS_PAY")
    stranger.took(payment.id, AMOUNT, at=house.clock.now() + timedelta(seconds=1))

    asyncio.run(house.rooms["JENIUS_PAY"].hear())

    assert [one.state for one in house.attempts()] == [PaymentState.PENDING]
    assert stranger.unheard == []


def test_an_attempt_replaced_while_it_was_announced_is_withdrawn_after_that(house: House) -> None:
    """D-9: its withdrawal reached the provider before the order did, and meant nothing there."""
    first = house.database.transact_now(house.begin)

    async def overtaken() -> ActionResult:
        await house.open(request_id="request-2")
        said = await first.ask()
        ask = await house.database.transact(lambda tx: first.after(house.call(tx, "EMONEY_LINKAJA", "request-1"), said))
        assert isinstance(ask, Ask)
        nothing = await ask.ask()
        return await house.database.transact(lambda tx: ask.after(house.call(tx, "EMONEY_LINKAJA", "request-1"), nothing))

    told = asyncio.run(overtaken())

    replaced, waiting = house.attempts()
    assert told == Answered(replaced.id)
    provider = house.provider("EMONEY_LINKAJA")
    assert [one.payment_id for one in provider.asked] == [waiting.id, replaced.id]
    assert provider.withdrawn == [replaced.id, replaced.id]


def test_a_buyer_may_pay_before_the_provider_has_answered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jenius asks in its app: its answer is lost, the payment is not. The same request again gets the answer of the first."""
    provider = house.provider("JENIUS_PAY")
    with monkeypatch.context() as patched:
        patched.setattr(provider, "begin", silent)
        with pytest.raises(Refused):
            asyncio.run(house.open("JENIUS_PAY"))
    [payment] = house.attempts()
    provider.took(payment.id, AMOUNT, at=payment.created_at)
    asyncio.run(house.rooms["JENIUS_PAY"].hear())

    assert asyncio.run(house.open("JENIUS_PAY")) == Answered(payment.id)

    assert [one.state for one in house.attempts()] == [PaymentState.SUCCESS]
    with pytest.raises(Refused) as refused:
        asyncio.run(house.open("JENIUS_PAY"))
    assert refused.value.reason is Reason.INVOICE_ALREADY_USED, "answered now"
