"""Channels whose money somebody outside takes: reports acted on once, money nobody waited for, silence, an operator's own provider."""

import asyncio
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gerbang.app import Gateway
from gerbang.channel import Parts, all_channels
from gerbang.channels.linkaja.channel import CHANNEL, PARTY
from gerbang.clock import Clock
from gerbang.errors import Refused
from gerbang.ledger import account, statement
from gerbang.merchants import create, get
from gerbang.money import Rupiah
from gerbang.notifications.outbox import list_notifications
from gerbang.payments import (
    Move,
    Order,
    Payment,
    PaymentState,
    advance,
    events,
    get_payment,
    open_order,
)
from gerbang.payments.unexpected import HeldState, Unawaited, UnexpectedMoney, end_unexpected, unexpected_of
from gerbang.protocols.nonsnap.outcomes import close_unpaid
from gerbang.providers.party import Behaviour
from gerbang.providers.questions import Asked, Report
from gerbang.providers.reports import returned_by_hand, take_report
from gerbang.providers.room import ProviderRoom
from gerbang.providers.simulator import SimulatedProvider, decide, find_simulated
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import BadSettings, load_settings
from gerbang.storage import Database, Tx, open_database
from support.gateway import Answer, RunningGateway
from support.nonsnap import assert_error, served
from support.notifying import eventually
from support.own_provider import PAUSES, OwnProvider, Unpaid
from support.ports import free_port
from support.provider_orders import NOBODY, Shop, moved, silence

pytestmark = pytest.mark.slow


MERCHANT = "BRN-1"
AMOUNT = 60_000
HOUR = timedelta(hours=1)
TAKEN_BY = account("provider", "EMONEY_LINKAJA")
PAYABLE = account("merchant", MERCHANT, "payable")
HELD = account("merchant", MERCHANT, "unexpected")

LINKAJA: dict[str, Any] = {
    "order": {
        "invoice_number": "replaced",
        "amount": 150_000,
        "callback_url": "https://merchant.com/return-url",
        "line_items": [{"name": "Roti", "price": 150_000, "quantity": 1}],
    }
}
ADDRESS = {"first_name": "a", "address": "b", "city": "c", "postal_code": "1", "phone": "081513114262", "country_code": "IDN"}
INDODANA: dict[str, Any] = {
    "order": {
        "invoice_number": "replaced",
        "amount": 150_000,
        "callback_url_cancel": "https://merchant.com/cancel-url",
        "line_items": [{"name": "Roti", "price": 150_000, "quantity": 1, "id": "1", "category": "others"}],
    },
    "peer_to_peer_info": {"merchant_unique_reference": "60123"},
    "customer": {"first_name": "andreas", "email": "andreas@email.com", "phone": "081939815480"},
    "billing_address": ADDRESS,
}


def linkaja(running: RunningGateway) -> Shop:
    return Shop(running, "EMONEY_LINKAJA", "/linkaja-emoney/v2/ServiceRequestPayment", LINKAJA)


def indodana(running: RunningGateway) -> Shop:
    return Shop(running, "PEER_TO_PEER_INDODANA", "/indodana-peer-to-peer/v2/generate-order", INDODANA)


ROOMS = [pytest.param(linkaja, id="LinkAja"), pytest.param(indodana, id="Indodana")]


class World:
    """A room with a provider whose words are a test's, and one merchant."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.settings = load_settings(env={}, given={"data": "unused", "provider_timeout_s": 0.5})
        self.provider = OwnProvider()
        parts = Parts(database, self.clock, self.settings, None)
        self.room = ProviderRoom(parts, PARTY, self.provider, lambda: CHANNEL)
        self.created_at = self.clock.now()
        database.transact_now(
            lambda tx: create(
                tx, name="Toko", client_id=MERCHANT, secret_key="SK-1", notification_url=NOBODY, now=self.created_at
            )
        )

    def open(self, *, invoice_number: str | None = None) -> Payment:
        """An order that waits for its buyer."""
        number = invoice_number or uuid.uuid4().hex[:12]
        return self.database.transact_now(
            lambda tx: open_order(
                tx,
                merchant_id=MERCHANT,
                invoice_number=number,
                amount=Rupiah(AMOUNT),
                channel=CHANNEL.code,
                request_id="request-1",
                details={},
                expires_at=self.created_at + HOUR,
                now=self.created_at,
                retriable=True,
            )[1]
        )

    def took(self, payment: Payment, *, amount: int = AMOUNT, after: timedelta = timedelta(0), receipt: str = "r-1") -> None:
        """The buyer paid so long after the order was made."""
        self.provider.took(payment.id, amount, at=self.created_at + after, receipt=receipt)

    def ended(self, payment: Payment, outcome: Unpaid) -> None:
        self.provider.ended(payment.id, outcome, at=self.created_at, receipt=f"r-{outcome}")

    def hear(self) -> int:
        return asyncio.run(self.room.hear())

    def sweep(self, times: int = 1) -> None:
        async def all_at_once() -> None:
            await asyncio.gather(*[self.room.sweep() for _ in range(times)])

        asyncio.run(all_at_once())

    def state(self, payment: Payment) -> PaymentState:
        return self.database.read_now(lambda tx: get_payment(tx, payment.id)[1]).state

    def end(self, payment: Payment, move: Move) -> None:
        """It ends without the provider."""
        if move is not Move.REPLACED:
            self.database.transact_now(lambda tx: advance(tx, get_payment(tx, payment.id)[1], move, now=self.created_at))
            return
        self.open(invoice_number=self.database.read_now(lambda tx: get_payment(tx, payment.id)[0]).invoice_number)

    def unexpected(self, payment: Payment) -> list[UnexpectedMoney]:
        return self.database.read_now(lambda tx: unexpected_of(tx, payment.id))

    def told(self) -> list[str]:
        """The words the merchant was sent, oldest first."""
        found = self.database.read_now(lambda tx: list_notifications(tx, merchant_id=MERCHANT, order_id=None, limit=100))
        return [json.loads(one.body)["transaction"]["status"] for one in reversed(found)]

    def books(self) -> dict[str, int]:
        """What every account has, credits less debits; accounts that are even are left out."""
        totals = self.database.read_now(statement)
        return {name: credit - debit for name, (debit, credit) in totals.items() if credit != debit}

    def happened(self, payment: Payment) -> list[str]:
        return [one.event for one in self.database.read_now(lambda tx: events(tx, payment.id))]

    def due_again(self) -> None:
        """A minute of real time passes for what was asked and not answered."""
        self.database.transact_now(make_due)


def make_due(tx: Tx) -> int:
    return tx.execute("update unexpected_money set ask_again_real_at = ask_again_real_at - 60000 where state = 'HELD'")


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


# -- reports


def test_twenty_who_hear_a_report_at_once_act_on_it_once(world: World) -> None:
    payment = world.open()
    world.took(payment)

    async def hear() -> None:
        await asyncio.gather(*[world.room.hear() for _ in range(20)])

    asyncio.run(hear())

    assert world.state(payment) is PaymentState.SUCCESS
    assert world.books() == {TAKEN_BY: -AMOUNT, PAYABLE: AMOUNT}
    assert world.told() == ["SUCCESS"]
    assert world.unexpected(payment) == []
    assert set(world.provider.heard_of) == {"r-1"}


def test_a_report_that_was_acted_on_and_comes_again_changes_nothing(world: World) -> None:
    """We died between acting and acknowledging."""
    payment = world.open()
    for _ in range(3):
        world.took(payment)
        world.hear()

    assert world.books() == {TAKEN_BY: -AMOUNT, PAYABLE: AMOUNT}
    assert world.told() == ["SUCCESS"]
    assert world.unexpected(payment) == []


@pytest.mark.parametrize(
    ("outcome", "state", "told"),
    [
        ("REFUSED", PaymentState.FAILED, ["FAILED"]),
        ("CANCELLED", PaymentState.CANCELLED, ["FAILED"]),
        ("EXPIRED", PaymentState.EXPIRED, []),
    ],
)
def test_an_end_without_money_is_told_once(world: World, outcome: Unpaid, state: PaymentState, told: list[str]) -> None:
    payment = world.open()
    for _ in range(2):
        world.ended(payment, outcome)
        world.hear()

    assert world.state(payment) is state
    assert world.told() == told
    assert world.books() == {}


@pytest.mark.parametrize("outcome", ["REFUSED", "CANCELLED", "EXPIRED"])
def test_what_was_paid_stays_paid_whatever_is_reported_later(world: World, outcome: Unpaid) -> None:
    payment = world.open()
    world.took(payment)
    world.hear()

    world.ended(payment, outcome)
    world.hear()

    assert world.state(payment) is PaymentState.SUCCESS
    assert world.told() == ["SUCCESS"]


def test_a_report_about_a_payment_nobody_knows_is_put_aside(world: World) -> None:
    payment = world.open()
    world.provider.took("pay_NOBODY", AMOUNT, at=world.created_at, receipt="r-0")
    world.took(payment)

    world.hear()

    assert world.provider.unheard == []
    assert world.state(payment) is PaymentState.SUCCESS
    assert world.books() == {TAKEN_BY: -AMOUNT, PAYABLE: AMOUNT}


def test_a_report_that_cannot_be_acted_on_holds_back_no_other_and_is_tried_again(world: World) -> None:
    bad, good = world.open(), world.open()
    broken = [True]

    def blocks(_order: Order, payment: Payment) -> dict[str, Any]:
        if broken[0] and payment.id == bad.id:
            raise ValueError("a mistake of ours")
        return {}

    world.room._channel = lambda: dataclasses.replace(CHANNEL, blocks=blocks)
    world.took(bad, receipt="r-bad")
    world.took(good, receipt="r-good")

    assert world.hear() == 1
    assert (world.state(bad), world.state(good)) == (PaymentState.PENDING, PaymentState.SUCCESS)
    assert world.provider.heard_of == ["r-good"]

    broken[0] = False
    assert world.hear() == 1
    assert world.state(bad) is PaymentState.SUCCESS


def test_what_a_provider_says_besides_takes_the_place_of_no_receipt(world: World) -> None:
    """Else the same report, heard again, would be money that came twice."""
    payment = world.open()
    report = Report("r-1", payment.id, "PAID", world.created_at, AMOUNT, facts={"receipt": "0017", "store": "A001"})
    for _ in range(2):
        world.provider.unheard.append(report)
        world.hear()

    assert world.unexpected(payment) == []
    assert world.books() == {TAKEN_BY: -AMOUNT, PAYABLE: AMOUNT}


@pytest.mark.parametrize("takes_s", [0, 30], ids=["fails", "hangs"])
def test_a_report_that_cannot_be_acknowledged_holds_back_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, takes_s: float
) -> None:
    first, second = world.open(), world.open()
    heard = world.provider.heard

    async def unsure(receipt: str) -> None:
        if receipt == "r-first":
            await asyncio.sleep(takes_s)
            raise ConnectionError("the line broke")
        await heard(receipt)

    monkeypatch.setattr(world.provider, "heard", unsure)
    world.took(first, receipt="r-first")
    world.took(second, receipt="r-second")

    assert world.hear() == 1
    assert world.hear() == 0  # said again, and nothing new in it

    assert (world.state(first), world.state(second)) == (PaymentState.SUCCESS, PaymentState.SUCCESS)
    assert [one.receipt for one in world.provider.unheard] == ["r-first"]
    assert world.told() == ["SUCCESS", "SUCCESS"]


@pytest.mark.parametrize("takes_s", [0, 30], ids=["fails", "hangs"])
def test_a_provider_that_does_not_say_what_happened_keeps_no_money_from_going_back(
    world: World, monkeypatch: pytest.MonkeyPatch, takes_s: float
) -> None:
    payment = world.open()
    world.took(payment, amount=1_000)
    world.hear()

    async def nothing(_payment_id: str | None = None) -> list[Any]:
        await asyncio.sleep(takes_s)
        raise ConnectionError("the line broke")

    monkeypatch.setattr(world.provider, "reports", nothing)
    world.sweep()

    assert [one.state for one in world.unexpected(payment)] == [HeldState.RETURNED]


# -- money that no payment waits for


def assert_goes_back_once(world: World, payment: Payment, reason: Unawaited, *, amount: int = AMOUNT, receipt: str) -> None:
    """Held for its buyer, returned by whoever took it, once; never the merchant's."""
    [held] = world.unexpected(payment)
    assert (held.reason, held.amount, held.receipt, held.state) == (reason, amount, receipt, HeldState.HELD)
    assert world.books()[HELD] == amount
    told = world.told()

    world.sweep(times=10)
    world.due_again()
    world.sweep()

    assert world.provider.given_back == [(held.id, receipt, amount)]
    assert [one.state for one in world.unexpected(payment)] == [HeldState.RETURNED]
    assert HELD not in world.books()
    assert world.happened(payment)[-2:] == [reason.value, "MONEY_RETURNED"]
    assert world.told() == told


def test_money_paid_twice_goes_back_once(world: World) -> None:
    payment = world.open()
    world.took(payment, receipt="r-1")
    world.took(payment, receipt="r-2")
    world.hear()
    world.took(payment, receipt="r-2")  # said again
    world.hear()

    assert_goes_back_once(world, payment, Unawaited.PAID_AGAIN, receipt="r-2")
    assert world.state(payment) is PaymentState.SUCCESS
    assert world.told() == ["SUCCESS"]
    assert world.books() == {TAKEN_BY: -AMOUNT, PAYABLE: AMOUNT}


@pytest.mark.parametrize("expired", [False, True], ids=["before we noticed", "after it expired"])
def test_money_paid_too_late_goes_back(world: World, expired: bool) -> None:
    """What counts is when it was paid there, not when we hear of it."""
    payment = world.open()
    if expired:
        world.end(payment, Move.TIMED_OUT)
    world.took(payment, after=HOUR)
    world.hear()

    assert_goes_back_once(world, payment, Unawaited.PAID_LATE, receipt="r-1")
    assert world.state(payment) is (PaymentState.EXPIRED if expired else PaymentState.PENDING)
    assert world.books() == {}
    assert world.told() == []


def test_money_paid_in_the_last_millisecond_is_the_merchants(world: World) -> None:
    payment = world.open()
    world.took(payment, after=HOUR - timedelta(milliseconds=1))

    world.hear()

    assert world.state(payment) is PaymentState.SUCCESS


@pytest.mark.parametrize("move", [Move.DECLINED, Move.CANCELLED, Move.TIMED_OUT, Move.REPLACED])
def test_money_paid_after_the_end_goes_back_and_the_end_stays(world: World, move: Move) -> None:
    payment = world.open()
    world.end(payment, move)
    ended = world.state(payment)
    world.took(payment)
    world.hear()

    assert_goes_back_once(world, payment, Unawaited.PAID_AFTER_END, receipt="r-1")
    assert world.state(payment) is ended
    assert world.told() == []


@pytest.mark.parametrize("amount", [AMOUNT - 1, AMOUNT + 1])
def test_another_amount_goes_back_and_the_payment_can_still_be_paid(world: World, amount: int) -> None:
    payment = world.open()
    world.took(payment, amount=amount)
    world.hear()

    assert_goes_back_once(world, payment, Unawaited.PAID_OTHER_AMOUNT, amount=amount, receipt="r-1")
    assert world.state(payment) is PaymentState.PENDING
    world.took(payment, receipt="r-2")
    world.hear()
    assert world.state(payment) is PaymentState.SUCCESS


def test_a_report_during_expiry_is_either_paid_or_given_back(world: World) -> None:
    """Both at the same moment, again and again: never both, never neither."""
    seen = set()
    for _ in range(12):
        payment = world.open()
        barrier = threading.Barrier(2)
        world.took(payment, receipt=f"r-{payment.id}")
        [report] = world.provider.unheard
        world.provider.unheard.clear()

        def expire(payment: Payment = payment, barrier: threading.Barrier = barrier) -> None:
            def close(tx: Tx) -> None:
                order, waiting = get_payment(tx, payment.id)
                close_unpaid(
                    tx,
                    CHANNEL,
                    get(tx, MERCHANT),
                    order,
                    waiting,
                    Move.TIMED_OUT,
                    settings=world.settings,
                    now=world.created_at,
                )

            barrier.wait()
            with contextlib.suppress(Refused):
                world.database.transact_now(close)

        def hear(barrier: threading.Barrier = barrier, report: Any = report) -> None:
            barrier.wait()
            world.database.transact_now(
                lambda tx: take_report(tx, CHANNEL, report, settings=world.settings, now=world.created_at)
            )

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(expire), pool.submit(hear)]:
                done.result(20)

        state, held = world.state(payment), [one.reason for one in world.unexpected(payment)]
        assert (state, held) in [(PaymentState.SUCCESS, []), (PaymentState.EXPIRED, [Unawaited.PAID_AFTER_END])]
        seen.add(state)
    paid = world.books().get(PAYABLE, 0)
    assert paid % AMOUNT == 0
    assert world.told() == ["SUCCESS"] * (paid // AMOUNT)


def test_money_that_cannot_be_given_back_is_kept_for_a_person(world: World) -> None:
    payment = world.open()
    world.took(payment, amount=1_000)
    world.hear()
    world.provider.gives_back = False

    world.sweep()
    world.due_again()
    world.sweep()

    [held] = world.unexpected(payment)
    assert held.state is HeldState.KEPT
    assert len(world.provider.given_back) == 1
    assert world.books() == {TAKEN_BY: -1_000, HELD: 1_000}
    assert world.happened(payment)[-1] == "MONEY_KEPT"


def test_what_was_kept_is_sent_back_by_a_person_once(world: World) -> None:
    payment = world.open()
    world.took(payment, amount=1_000)
    world.hear()
    world.provider.gives_back = False
    world.sweep()
    [kept] = world.unexpected(payment)

    done = world.database.transact_now(lambda tx: returned_by_hand(tx, kept.id, now=world.clock.now()))

    assert done.state is HeldState.RETURNED
    assert world.books() == {}
    assert world.happened(payment)[-2:] == ["MONEY_KEPT", "MONEY_RETURNED"]
    with pytest.raises(Refused, match="no longer in a state"):
        world.database.transact_now(lambda tx: returned_by_hand(tx, kept.id, now=world.clock.now()))
    with pytest.raises(Refused, match="no such unexpected money"):
        world.database.transact_now(lambda tx: returned_by_hand(tx, "ump_0", now=world.clock.now()))


@pytest.mark.parametrize("how", ["breaks", "takes too long"])
def test_a_return_nobody_answered_is_asked_again_under_the_same_key_and_booked_once(world: World, how: str) -> None:
    """The money may have gone back already: the key of the question tells the provider that it is the same one."""
    payment = world.open()
    world.took(payment, amount=1_000)
    world.hear()
    if how == "breaks":
        world.provider.gives_back = None
    else:
        world.provider.takes_s = 30
    world.sweep()
    world.sweep()  # not asked again at once
    [held] = world.unexpected(payment)
    assert held.state is HeldState.HELD
    assert len(world.provider.given_back) == 1

    world.provider.gives_back, world.provider.takes_s = True, 0
    world.due_again()
    world.sweep()

    assert world.provider.given_back == [(held.id, "r-1", 1_000)] * 2
    assert [one.state for one in world.unexpected(payment)] == [HeldState.RETURNED]
    assert world.books() == {}


def test_returns_wait_for_no_other_return(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, a provider that hangs would keep reports unheard for minutes, and what was paid would expire."""
    payments = [world.open() for _ in range(5)]
    for payment in payments:
        world.took(payment, amount=1_000, receipt=f"r-{payment.id}")
    world.hear()
    together = asyncio.Barrier(5)

    async def give_back(*_question: Any) -> bool:
        await together.wait()
        return True

    monkeypatch.setattr(world.provider, "give_back", give_back)
    world.sweep()

    assert {one.state for payment in payments for one in world.unexpected(payment)} == {HeldState.RETURNED}


def test_a_return_beside_a_payment_keeps_the_history_in_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another amount goes back at the moment the right one is booked: the last line says how the payment stands."""
    payment = world.open()
    world.took(payment, amount=1_000, receipt="r-1")
    world.hear()
    world.took(payment, receipt="r-2")
    paying = threading.Thread(target=world.hear)

    def end_late(*args: Any, **kwargs: Any) -> UnexpectedMoney:
        paying.start()
        paying.join(0.5)
        return end_unexpected(*args, **kwargs)

    monkeypatch.setattr("gerbang.providers.room.end_unexpected", end_late)
    asyncio.run(world.room._return(world.unexpected(payment)[0]))
    paying.join()

    assert world.state(payment) is PaymentState.SUCCESS
    last = world.database.read_now(lambda tx: events(tx, payment.id))[-1]
    assert last.state == "SUCCESS", last


# -- the pretend provider


def test_what_is_asked_about_one_order_is_answered_however_much_else_waits_to_be_said(world: World) -> None:
    provider = SimulatedProvider(Parts(world.database, world.clock, world.settings, None), PARTY)
    world.room.provider = provider
    payments = [world.open() for _ in range(60)]

    async def pay_everything() -> None:
        for payment in payments:
            asked = Asked(
                payment_id=payment.id,
                channel=CHANNEL.code,
                amount=AMOUNT,
                merchant_id=MERCHANT,
                merchant_name="Toko",
                invoice_number="any",
                created_at=world.created_at,
                expires_at=payment.expires_at,
                home="http://127.0.0.1",
            )
            await provider.begin(asked)
            await provider.play(payment.id, "SUCCESS")

    asyncio.run(pay_everything())

    assert asyncio.run(world.room.hear(payments[-1].id)) == 1

    assert world.state(payments[-1]) is PaymentState.SUCCESS
    assert [world.state(one) for one in payments[:-1]] == [PaymentState.PENDING] * 59
    assert world.hear() == 59, "all at once: after a long stop, what is left for later may expire before its turn"
    assert {world.state(one) for one in payments} == {PaymentState.SUCCESS}


# -- over HTTP


def test_before_an_order_expires_its_provider_has_the_last_word(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paid in time, and nobody came round to ask: a provider that answers slowly must not cost its buyers their payments."""
    shop = linkaja(gateway)
    body = shop.body()
    invoice = body["order"]["invoice_number"]
    assert gateway.signed("POST", shop.path, body).status == 200
    payment_id = shop.record(invoice)["payments"][-1]["id"]
    provider = gateway.gateway.rooms["EMONEY_LINKAJA"].provider
    asked = provider.reports

    async def only_when_named(payment_id: str | None = None) -> Any:
        return await asked(payment_id) if payment_id else ()

    monkeypatch.setattr(provider, "reports", only_when_named)

    def pay(tx: Tx) -> None:
        order = find_simulated(tx, payment_id)
        assert order is not None
        decide(tx, order, Behaviour.SUCCESS, now=gateway.gateway.clock.now())

    gateway.database.transact_now(pay)
    gateway.control("POST", "/clock", {"advance_s": 3_700})

    record = shop.record(invoice)
    assert record["payments"][-1]["state"] == "SUCCESS"
    assert record["payments"][-1]["unexpected"] == []


def silent(answer: Answer) -> None:
    assert_error(answer, 503, "service_unavailable", "Service Unavailable", "api_error")


@pytest.mark.parametrize("room", ROOMS)
def test_when_the_provider_is_silent_the_same_request_later_goes_on_with_the_same_payment(
    gateway: RunningGateway, room: Callable[[RunningGateway], Shop]
) -> None:
    shop = room(gateway)
    body, request_id = shop.body(additional_info={"override_notification_url": NOBODY}), uuid.uuid4().hex
    invoice = body["order"]["invoice_number"]
    with pytest.MonkeyPatch.context() as patched:
        shop.does(patched, "begin", silence)
        silent(shop.post(body, request_id=request_id))
        silent(shop.post(body, request_id=request_id))
    waiting = shop.payment(invoice)
    assert waiting["state"] == "PENDING"

    answer = shop.post(body, request_id=request_id)

    assert answer.status == 200
    assert waiting["id"] in answer.body.decode()
    assert [one["id"] for one in shop.record(invoice)["payments"]] == [waiting["id"]]
    assert shop.post(body, request_id=request_id).status == 409  # answered now: a repeat
    assert shop.play(invoice, "SUCCESS")["payments"][0]["state"] == "SUCCESS"


def test_after_silence_other_requests_are_judged_as_ever(gateway: RunningGateway) -> None:
    """D-9: LinkAja makes a new attempt of it, Indodana refuses."""
    for shop, status in ((linkaja(gateway), 200), (indodana(gateway), 400)):
        body = shop.body()
        with pytest.MonkeyPatch.context() as patched:
            shop.does(patched, "begin", silence)
            silent(shop.post(body))

        assert shop.post(body).status == status


def test_a_provider_that_takes_too_long_counts_as_silent(tmp_path: Path) -> None:
    with served(tmp_path, provider_timeout_s=0.3, providers=("EMONEY_LINKAJA=support.own_provider:make",)) as running:
        shop = linkaja(running)
        provider: OwnProvider = shop.room.provider
        provider.takes_s = 30
        body, request_id = shop.body(), uuid.uuid4().hex
        silent(shop.post(body, request_id=request_id))

        provider.takes_s = 0
        assert shop.post(body, request_id=request_id).status == 200

        assert len({one.payment_id for one in provider.asked}) == 1, "the same question"
        assert len(provider.asked) == 2


def test_twenty_of_the_same_request_announce_one_payment(gateway: RunningGateway) -> None:
    shop = linkaja(gateway)
    body, request_id = shop.body(), uuid.uuid4().hex

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: shop.post(body, request_id=request_id), range(20)))

    assert {one.status for one in answers} <= {200, 409}
    assert [one.status for one in answers].count(200) == 1
    assert len(shop.record(body["order"]["invoice_number"])["payments"]) == 1


def test_of_ten_attempts_of_one_invoice_at_once_one_waits_to_be_paid(gateway: RunningGateway) -> None:
    """D-9."""
    shop = linkaja(gateway)
    body = shop.body()

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: shop.post(body), range(10)))

    assert [one.status for one in answers] == [200] * 10
    states = [one["state"] for one in shop.record(body["order"]["invoice_number"])["payments"]]
    assert sorted(states) == ["PENDING"] + ["REPLACED"] * 9
    assert states[-1] == "PENDING"


def test_an_invoice_paid_and_opened_again_at_the_same_moment_is_paid_once(gateway: RunningGateway) -> None:
    """D-9: either the new attempt is refused, or what was paid on the old page goes back."""
    shop = linkaja(gateway)
    for _ in range(6):
        body = shop.body(additional_info={"override_notification_url": NOBODY})
        invoice = body["order"]["invoice_number"]
        shop.post(body)
        page = f"/linkaja/pay/{shop.payment(invoice)['id']}"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        barrier = threading.Barrier(2)

        def pay(page: str = page, form: dict[str, str] = form, barrier: threading.Barrier = barrier) -> int:
            barrier.wait()
            return gateway.request("POST", page, b"action=pay", form).status

        def again(body: dict[str, Any] = body, barrier: threading.Barrier = barrier) -> int:
            barrier.wait()
            return shop.post(body).status

        with ThreadPoolExecutor(2) as pool:
            paid, opened = pool.submit(pay), pool.submit(again)
            assert (paid.result(30), opened.result(30) in (200, 400)) == (303, True)

        record = shop.record(invoice)
        states = [one["state"] for one in record["payments"]]
        if opened.result() == 400:
            assert states == ["SUCCESS"]
        else:
            assert states == ["REPLACED", "PENDING"]
        took = [transfer for one in record["payments"] for transfer in moved(one) if transfer[1].endswith(":payable")]
        assert len(took) == len(record["notifications"]) == states.count("SUCCESS")


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize(
    ("outcome", "state", "happens", "told"),
    [
        ("PAID_TWICE", "SUCCESS", "MONEY_RETURNED", ["SUCCESS"]),
        ("PAID_LATE", "EXPIRED", "MONEY_RETURNED", []),
        ("SLOW", "SUCCESS", "PAID", ["SUCCESS"]),
        ("NO_ANSWER", "EXPIRED", "TIMED_OUT", []),
    ],
)
def test_the_pretend_provider_plays_what_goes_wrong(
    gateway: RunningGateway, room: Callable[[RunningGateway], Shop], outcome: str, state: str, happens: str, told: list[str]
) -> None:
    shop = room(gateway)
    invoice = shop.opened()
    shop.play(invoice, outcome)
    if outcome != "PAID_TWICE":
        assert shop.said(invoice) == "PENDING"

    gateway.control("POST", "/clock", {"advance_s": 30 if outcome == "SLOW" else 3_800})

    shop.until(invoice, happens)
    record = shop.record(invoice)
    assert record["payments"][0]["state"] == state
    assert [json.loads(one["body"])["transaction"]["status"] for one in record["notifications"]] == told
    assert moved(record["payments"][0])[:1] == (
        [(f"provider:{shop.code}", f"merchant:{DEMO_CLIENT_ID}:payable", 150_000)] if state == "SUCCESS" else []
    )
    assert gateway.control("GET", "/verify") == {"ok": True, "problems": []}


def test_a_channel_taken_away_from_a_merchant_is_inactive(gateway: RunningGateway) -> None:
    shop = linkaja(gateway)
    shop.options(enabled=False)
    refused = shop.order()
    assert_error(refused, 400, "CHANNEL_NOT_ENABLED", "Payment Channel Is Inactive", "Invalid Parameter")

    shop.options(enabled=True)

    assert shop.order().status == 200
    assert indodana(gateway).order().status == 200


def test_the_merchant_discount_is_booked_with_the_payment(gateway: RunningGateway) -> None:
    shop = indodana(gateway)
    shop.options(fee_bp=155, fee_flat=500)

    invoice = shop.opened()
    shop.play(invoice, "SUCCESS")

    assert moved(shop.payment(invoice)) == [
        ("provider:PEER_TO_PEER_INDODANA", f"merchant:{DEMO_CLIENT_ID}:payable", 150_000),
        (f"merchant:{DEMO_CLIENT_ID}:payable", "fee:PEER_TO_PEER_INDODANA", 2_325 + 500),
    ]


def test_the_discount_is_never_more_than_the_payment(gateway: RunningGateway) -> None:
    shop = linkaja(gateway)
    shop.options(fee_bp=10_000, fee_flat=500)

    invoice = shop.opened()
    shop.play(invoice, "SUCCESS")

    assert moved(shop.payment(invoice))[1][2] == 150_000


def test_a_merchants_own_expiry_holds_where_the_order_names_none(gateway: RunningGateway) -> None:
    def minutes(shop: Shop, **changes: Any) -> float:
        payment = shop.payment(shop.opened(**changes))
        made, until = [datetime.fromisoformat(payment[name]) for name in ("created_at", "expires_at")]
        return (until - made).total_seconds() / 60

    for shop in (linkaja(gateway), indodana(gateway)):
        assert minutes(shop) == 60
        shop.options(expiry_min=15)
        assert minutes(shop) == 15
    named = {"merchant_unique_reference": "60123", "expired_time": 7}
    assert minutes(indodana(gateway), peer_to_peer_info=named) == 7


# -- an operator's own provider


def test_an_operators_own_provider_is_asked_and_believed(tmp_path: Path) -> None:
    with served(tmp_path, providers=("EMONEY_LINKAJA=support.own_provider:make",)) as running:
        shop = linkaja(running)
        provider: OwnProvider = shop.room.provider

        answer = shop.order(
            additional_info={"override_notification_url": NOBODY},
            customer={"phone": "081112345678"},
        )
        invoice = answer.json["order"]["invoice_number"]
        payment = shop.payment(invoice)

        [asked] = provider.asked
        assert (asked.payment_id, asked.invoice_number, asked.amount) == (payment["id"], invoice, 150_000)
        assert (asked.channel, asked.merchant_id, asked.payer) == ("EMONEY_LINKAJA", DEMO_CLIENT_ID, "081112345678")
        assert asked.return_url == "https://merchant.com/return-url"
        assert [(one.name, one.price, one.quantity) for one in asked.items] == [("Roti", 150_000, 1)]
        assert answer.json["emoney_payment"]["redirect_url_http"] == f"https://linkaja.example/pay/{payment['id']}"
        assert answer.json["emoney_payment"]["parameter"] == f"OWN-{payment['id']}"

        now = running.gateway.clock.now()
        provider.took(payment["id"], 150_000, at=now, receipt="r-1")
        provider.took(payment["id"], 150_000, at=now, receipt="r-2")
        shop.until(invoice, "MONEY_RETURNED")

        assert shop.said(invoice) == "SUCCESS"
        assert shop.payment(invoice)["approval_code"] == "771122"
        assert [receipt for _, receipt, _ in provider.given_back] == ["r-2"]
        # The others are pretend ones; the pretend LinkAja's page is nowhere.
        assert running.request("GET", f"/linkaja/pay/{payment['id']}").status == 404
        assert indodana(running).order().status == 200


@pytest.mark.parametrize("named", ["support.nowhere:make", "support.own_provider:nothing"])
def test_a_provider_that_cannot_be_loaded_is_said_at_the_start(tmp_path: Path, named: str) -> None:
    settings = load_settings(env={}, given={"data": str(tmp_path / "gerbang.db"), "providers": (f"EMONEY_LINKAJA={named}",)})

    with pytest.raises(BadSettings, match="EMONEY_LINKAJA cannot be loaded"):
        Gateway(settings)


def test_production_offers_only_the_channels_whose_provider_the_operator_brings(tmp_path: Path) -> None:
    settings = load_settings(
        env={},
        given={
            "mode": "production",
            "encryption_key": "a key of this installation alone, 32+",
            "public_url": "https://pay.example.id",
            "data": str(tmp_path / "gerbang.db"),
            "providers": ("EMONEY_LINKAJA=support.own_provider:make",),
        },
    )
    running = RunningGateway(settings)
    try:
        running.database.transact_now(
            lambda tx: create(tx, name="Toko", client_id=MERCHANT, secret_key="SK-1", now=running.gateway.clock.now())
        )
        shop, other = linkaja(running), indodana(running)

        there = running.signed("POST", shop.path, shop.body(), client_id=MERCHANT, secret_key="SK-1")
        absent = running.signed("POST", other.path, other.body(), client_id=MERCHANT, secret_key="SK-1")

        assert there.status == 200
        assert (absent.status, absent.json) == (404, {"message": f"No static resource {other.path.removeprefix('/')}"})
        assert running.request("GET", "/simulators").status == 404
        with_parties = {code for code, channel in all_channels().items() if channel.party is not None}
        assert {code for code in running.gateway.rooms if code in with_parties} == {"EMONEY_LINKAJA"}
    finally:
        running.stop()


# -- kill -9


class KilledServer(RunningGateway):
    """`gerbang serve` in a process of its own whose LinkAja pauses, on the same port and data each time."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.pauses = directory / "pauses"
        self.pauses.mkdir()
        self._log = directory / "server.log"
        self.data = str(directory / "gerbang.db")
        self._command = [sys.executable, "-m", "gerbang", "serve", "--data", self.data, "--port", str(self.port)]
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent),
            PAUSES: str(self.pauses),
            "GERBANG_PROVIDERS": "EMONEY_LINKAJA=support.own_provider:make_slow",
            "GERBANG_PROVIDER_TIMEOUT_S": "100",
            "GERBANG_POLL_INTERVAL_S": "0.05",
        }
        self._child: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._environment)
        eventually(self._answers, timeout_s=60)

    def _answers(self) -> bool:
        assert self._child is not None
        assert self._child.poll() is None, self._log.read_text()[-3_000:]
        try:
            return self.request("GET", "/healthz").status == 200
        except OSError:
            return False

    def hold(self, *points: str) -> None:
        """From now on whoever comes to these points stays there."""
        for point in points:
            (self.pauses / point).touch()

    def await_held(self, *points: str) -> None:
        eventually(lambda: all((self.pauses / f"at:{point}").exists() for point in points), timeout_s=30)

    def kill(self) -> None:
        """What a power cut leaves of a process; what was slow is not slow any more afterwards."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None
        for pause in self.pauses.iterdir():
            pause.unlink()

    def stop(self) -> None:
        self.kill()


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[KilledServer]:
    server = KilledServer(tmp_path)
    yield server
    server.stop()


def test_a_kill_between_two_steps_loses_no_order_and_pays_nothing_twice(killed: KilledServer) -> None:
    """Before and after the provider heard of an order, after its report was acted on, after it gave money back."""
    shop = linkaja(killed)
    told = {"additional_info": {"override_notification_url": NOBODY}}

    def body(amount: int) -> dict[str, Any]:
        return shop.body(order__amount=amount, **told)

    unasked, unanswered, twice = body(10_001), body(10_002), body(10_003)
    unacknowledged = body(10_004)
    assert shop.post(twice).status == shop.post(unacknowledged).status == 200
    killed.hold("before:begin:10001", "after:begin:10002", "after:give_back:10003")
    shop.play(twice["order"]["invoice_number"], "PAID_TWICE")
    requests = {one["order"]["invoice_number"]: uuid.uuid4().hex for one in (unasked, unanswered)}

    def post(one: dict[str, Any]) -> Answer | None:
        try:
            return shop.post(one, request_id=requests[one["order"]["invoice_number"]])
        except OSError:
            return None

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(post, one) for one in (unasked, unanswered)]
        killed.await_held("before:begin:10001", "after:begin:10002", "after:give_back:10003")
        killed.hold("before:heard")
        pool.submit(shop.play, unacknowledged["order"]["invoice_number"], "SUCCESS")  # never answered
        killed.await_held("before:heard")
        before = {number: shop.payment(number)["id"] for number in requests}
        killed.kill()
        assert [one.result(30) for one in waiting] == [None, None]
    killed.start()

    for one in (unasked, unanswered):
        number = one["order"]["invoice_number"]
        again = shop.post(one, request_id=requests[number])
        assert again.status == 200
        assert before[number] in again.body.decode()
        assert [payment["id"] for payment in shop.record(number)["payments"]] == [before[number]]
        assert shop.play(number, "SUCCESS")["payments"][0]["state"] == "SUCCESS"
    shop.until(unacknowledged["order"]["invoice_number"], "PAID")
    with contextlib.closing(open_database(killed.data, connections=1)) as beside:
        beside.transact_now(make_due)
    shop.until(twice["order"]["invoice_number"], "MONEY_RETURNED")
    for one in (unasked, unanswered, unacknowledged, twice):
        record = shop.record(one["order"]["invoice_number"])
        [payment] = record["payments"]
        assert payment["state"] == "SUCCESS"
        assert moved(payment)[0][2] == one["order"]["amount"]
        assert [event["event"] for event in payment["events"]].count("PAID") == 1
        assert len(record["notifications"]) == 1
    happened = [one["event"] for one in shop.payment(twice["order"]["invoice_number"])["events"]]
    assert (happened.count("PAID_AGAIN"), happened.count("MONEY_RETURNED")) == (1, 1)
    assert killed.control("GET", "/verify") == {"ok": True, "problems": []}
    # What the provider says it gave back is what our books say.
    with contextlib.closing(open_database(killed.data, connections=1)) as beside:
        returned = beside.read_now(lambda tx: tx.all("select given_back from simulated_report where given_back > 0", {}))
    assert [row["given_back"] for row in returned] == [10_003]
