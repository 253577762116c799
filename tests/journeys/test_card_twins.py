"""The same request in two processes at once: one charge, one capture, one refund, and no word that the merchant did wrong."""

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import pytest

from gerbang.channels.credit_card import actions, host_to_host
from gerbang.protocols.nonsnap import service
from support.card_calls import APPROVED, APPROVED_MASTER, CAPTURE, DECLINED_05, CardMerchant
from support.gateway import Answer, lent_gateway
from support.postgres import Postgres


@pytest.fixture
def shop(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[CardMerchant]:
    """On PostgreSQL, where two may look before either writes; no request waits for its twin, as in two processes."""

    async def go_on(_self: object, _alike: object, **_how: object) -> None:
        return

    monkeypatch.setattr(service.NonSnap, "_await_twin", go_on)
    with lent_gateway(postgres=postgres) as running:
        yield CardMerchant(running)


def meeting(monkeypatch: pytest.MonkeyPatch, where: str, look: Callable[..., Any], *, before: bool = False) -> None:
    """Two that look there have both looked, or come there, before either goes on."""
    both = threading.Barrier(2)

    def meet() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):  # the other one is held up elsewhere, or one looks again
            both.wait(0.3)

    def together(*args: Any, **named: Any) -> Any:
        if before:
            meet()
        found = look(*args, **named)
        if not before:
            meet()
        return found

    monkeypatch.setattr(where, together)


def twice(call: Callable[[], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(2) as threads:
        return [one.result() for one in [threads.submit(call) for _ in range(2)]]


def assert_one_was_done(answers: list[Answer]) -> None:
    """The other was given the same answer, or told that the first is still going on."""
    first, second = sorted(answers, key=lambda answer: answer.status)
    assert first.status == 200, first.body
    assert second.status == 409, second.body
    assert second.body == first.body or second.json["error"]["code"] == "idempotent_request", second.body


def asked(shop: CardMerchant, kind: str) -> int:
    row = shop.gateway.database.read_now(
        lambda tx: tx.one(
            "select count(*) as n from card_question where kind = :kind and merchant_id = :id",
            {"kind": kind, "id": shop.client_id},
        )
    )
    assert row is not None
    return int(row["n"])


def charge(shop: CardMerchant, request_id: str, number: str = APPROVED) -> Answer:
    """With no authentication to use up: nothing but the invoice keeps two apart."""
    card = {"number": number, "expiry": shop.expiry}
    return shop.charge(invoice="INV-TWIN", request_id=request_id, payment={"type": "MOTO"}, card=card)


@pytest.mark.parametrize("number", [APPROVED, DECLINED_05])
def test_a_charge(shop: CardMerchant, monkeypatch: pytest.MonkeyPatch, number: str):
    meeting(monkeypatch, "gerbang.channels.credit_card.host_to_host._own_charge", host_to_host._own_charge)
    request_id = uuid.uuid4().hex

    assert_one_was_done(twice(lambda: charge(shop, request_id, number)))

    assert asked(shop, "AUTHORISE") == 1
    assert shop.balance() == (90_000 if number == APPROVED else 0)


def test_two_charges_of_one_invoice(shop: CardMerchant, monkeypatch: pytest.MonkeyPatch):
    """Of two requests, at that: the card of the first is at the acquirer when the second would replace its payment."""
    shop.save_card()  # the shop has its vault key
    meeting(monkeypatch, "gerbang.channels.credit_card.actions.open_order", actions.open_order, before=True)
    held = shop.gateway.gateway.rooms["CREDIT_CARD"].acquirer
    went, go_on = threading.Event(), threading.Event()
    authorise = held.authorise

    async def slow(question: object) -> object:
        went.set()
        while not go_on.is_set():
            await asyncio.sleep(0.005)
        return await authorise(question)

    monkeypatch.setattr(held, "authorise", slow)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(charge, shop, uuid.uuid4().hex, number) for number in (APPROVED, APPROVED_MASTER)]
        assert went.wait(10)
        second = next(as_completed(both)).result()
        go_on.set()
        answers = [one.result() for one in both]

    assert (second.status, second.json["error"]["message"]) == (409, "Payment Is Being Processed")
    assert sorted(one.status for one in answers) == [200, 409]
    assert asked(shop, "AUTHORISE") == 2, "that of the saved card, and one"
    assert shop.balance() == 2 * 90_000


def test_a_capture(shop: CardMerchant, monkeypatch: pytest.MonkeyPatch):
    page, authorize_id = shop.authorised()
    meeting(monkeypatch, "gerbang.channels.credit_card.actions._own_question", actions._own_question)
    request_id = uuid.uuid4().hex
    body = {"payment": {"authorize_id": authorize_id, "capture_amount": 90_000}}

    assert_one_was_done(twice(lambda: shop.call(CAPTURE, body, request_id=request_id)))

    assert (asked(shop, "CAPTURE"), shop.taken(page)) == (1, 90_000)


@pytest.mark.parametrize("amount", [90_000, 30_000])
def test_a_refund(shop: CardMerchant, monkeypatch: pytest.MonkeyPatch, amount: int):
    page = shop.paid()
    shop.gateway.control("POST", "/clock", {"advance_s": 86_400})
    meeting(monkeypatch, "gerbang.channels.credit_card.actions.refunds_of", actions.refunds_of)
    request_id = uuid.uuid4().hex

    assert_one_was_done(twice(lambda: shop.refund(page, amount, request_id=request_id)))

    assert (asked(shop, "REFUND"), shop.taken(page)) == (1, 90_000 - amount)
