"""`kill -9` at each step of a card payment: afterwards it ends in a documented state, nobody is charged twice, and the acquirer's
books are ours.

Everything is prepared, then many payments are brought to their steps and held there by a slow acquirer (support/slow_cards.py),
each told from the others by its amount; one kill meets them all.
"""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gerbang.clock import Clock
from gerbang.payments import get_payment
from gerbang.sandbox.time import read_offset
from support.card_calls import (
    APPROVED,
    APPROVED_MASTER,
    CHALLENGED,
    CVV,
    SILENT,
    CardMerchant,
    CardPage,
    a_card_merchants_listener,
    answer_bank,
    body_of,
    to_noon,
)
from support.gateway import Answer, RunningGateway, assert_clean
from support.listener import Listener
from support.nonsnap import served
from support.notifying import eventually
from support.secrets import find_in_bytes, find_in_database, find_in_files
from support.server import Server
from support.slow_cards import PAUSES

pytestmark = pytest.mark.kills

NUMBERS = [APPROVED, APPROVED_MASTER, CHALLENGED, SILENT]


class CardServer(Server):
    """Its acquirer is slow."""

    def __init__(self, data: str, directory: Path, **settings: str) -> None:
        super().__init__(data, directory, card_provider="support.slow_cards:make", poll_interval_s="0.05", **settings)
        self.start()
        # What `CardMerchant` wants of a gateway in this process: its time, and that it notices new options.
        clock = Clock()
        clock.offset = self.database.read_now(read_offset)
        self.gateway: Any = SimpleNamespace(clock=clock, directory=SimpleNamespace(forget=lambda: None))

    def kill(self) -> None:
        """What was slow is not slow any more afterwards."""
        super().kill()
        self.release()


@dataclass
class Case:
    """One payment that was under way when the server died. `again` repeats the merchant's very request."""

    page: CardPage
    amount: int
    again: Callable[[], Answer] | None = None
    go_on: Callable[[], Answer] | None = None


@dataclass
class World:
    server: CardServer
    shop: CardMerchant
    cases: dict[str, Case]
    browser: str = "the-browsers-own-key"

    def state(self, name: str) -> str:
        return self.shop.state(self.cases[name].page)

    def charges(self, name: str) -> list[tuple[str, str]]:
        """(state, response code) of every attempt."""
        page = self.cases[name].page
        rows = self.server.database.read_now(
            lambda tx: tx.all(
                "select state, response_code from card_charge where payment_id = :id order by id", {"id": page.payment_id}
            )
        )
        return [(row["state"], row["response_code"]) for row in rows]

    def assert_books_agree(self, name: str, taken: int) -> None:
        """What the acquirer has is what our ledger says it has: gross less what went back, and nothing held any more."""
        page = self.cases[name].page
        assert (self.shop.taken(page), self.shop.reserved(page)) == (taken, 0)

        def booked(tx: Any) -> int:
            row = tx.one(
                "select coalesce(sum(case when t.entry <> 'gross' then 0 when t.cause = :id then t.amount else -t.amount end), 0)"
                " as n from transfer t where t.cause = :id or t.cause in (select r.id from refund r where r.payment_id = :id)",
                {"id": page.payment_id},
            )
            return int(row["n"])

        assert self.server.database.read_now(booked) == taken


def settings(timeout_s: str) -> dict[str, str]:
    # A payment counts as settled at once, so that there are refunds beside voids.
    return {"card_answer_timeout_s": timeout_s, "card_settles_after_min": "1"}


def page_of(shop: CardMerchant, invoice: str) -> CardPage:
    """A host-to-host order, which has no page, by the id of its payment."""
    shown = shop.gateway.control("GET", f"/payments?client_id={shop.client_id}&invoice_number={invoice}")
    return CardPage(invoice, shown["request_id"], "/credit-card/pay/" + shown["payments"][0]["id"])


def crash(server: CardServer, merchant: Listener) -> World:
    """Prepare, hold everything at its step, kill, start again."""
    shop = CardMerchant(server, merchant)
    world = World(server, shop, {})
    started: list[tuple[str, Callable[[], object]]] = []
    h2h: list[tuple[str, str]] = []
    amounts = iter(range(90_001, 90_100))

    settled = {f"{point} REFUND": shop.paid(amount=50_000) for point in ("before", "after")}
    server.control("POST", "/clock", {"advance_s": 120})
    server.gateway.clock.offset = server.database.read_now(read_offset)

    for point in ("before", "after"):
        # A host-to-host charge at the acquirer.
        amount = next(amounts)
        authentication_id = shop.authentication(amount=amount)
        invoice, request_id = f"INV-H2H-{point}", f"charge-{point}"

        def charge(
            authentication_id: str = authentication_id, invoice: str = invoice, amount: int = amount, request_id: str = request_id
        ) -> Answer:
            return shop.charge(authentication_id, invoice=invoice, amount=amount, request_id=request_id)

        started.append((f"{point}:AUTHORISE:{amount}", charge))
        h2h.append((f"{point} AUTHORISE", invoice))
        world.cases[f"{point} AUTHORISE"] = Case(CardPage(invoice, request_id, ""), amount, again=charge)

        # A page's card at the 3-D Secure server, and one back from the bank and at the acquirer.
        amount = next(amounts)
        page = shop.page(amount=amount)
        started.append((f"{point}:AUTHENTICATE:{amount}", lambda page=page: shop.submit(page, APPROVED)))  # type: ignore[misc]
        world.cases[f"{point} AUTHENTICATE"] = Case(page, amount, go_on=lambda page=page: shop.submit(page, APPROVED))  # type: ignore[misc]

        amount = next(amounts)
        page = shop.page(amount=amount)
        opener = shop.submit(page, CHALLENGED, form=world.browser)
        started.append(
            (
                f"{point}:AUTHORISE:{amount}",
                lambda opener=opener: answer_bank(server, opener, session=world.browser),  # type: ignore[misc]
            )
        )
        world.cases[f"{point} AUTHORISE of a page"] = Case(
            page,
            amount,
            go_on=lambda page=page: shop.submit(page, CHALLENGED, form=world.browser),  # type: ignore[misc]
        )

        # A capture, a void, a refund.
        amount = next(amounts)
        page, authorize_id = shop.authorised(amount=95_000)

        def capture(authorize_id: str = authorize_id, amount: int = amount, point: str = point) -> Answer:
            return shop.capture(authorize_id, amount, request_id=f"capture-{point}")

        started.append((f"{point}:CAPTURE:{amount}", capture))
        world.cases[f"{point} CAPTURE"] = Case(page, amount, again=capture)

        amount = next(amounts)
        page = shop.paid(amount=amount)

        def void(page: CardPage = page, amount: int = amount, point: str = point) -> Answer:
            return shop.refund(page, amount, request_id=f"void-{point}")

        started.append((f"{point}:VOID:{amount}", void))
        world.cases[f"{point} VOID"] = Case(page, amount, again=void)

        amount = next(amounts) - 60_000
        page = settled[f"{point} REFUND"]

        def refund(page: CardPage = page, amount: int = amount, point: str = point) -> Answer:
            return shop.refund(page, amount, request_id=f"refund-{point}")

        started.append((f"{point}:REFUND:{amount}", refund))
        world.cases[f"{point} REFUND"] = Case(page, amount, again=refund)

    # At the bank, with nothing going on here.
    page = shop.page(amount=next(amounts), card={"save": True})
    opener = shop.submit(page, CHALLENGED, form=world.browser)
    world.cases["at the bank"] = Case(
        page,
        0,
        go_on=lambda: answer_bank(server, opener, session=world.browser),
    )

    def run(call: Callable[[], object]) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            call()

    points = [point for point, _ in started]
    for point in points:
        server.hold(point)
    threads = [threading.Thread(target=run, args=(call,), daemon=True) for _, call in started]
    for thread in threads:
        thread.start()
    server.await_held(points)
    for name, invoice in h2h:
        world.cases[name].page = page_of(shop, invoice)
    server.kill()
    for thread in threads:
        thread.join(10)
    server.start()
    return world


@pytest.fixture(scope="module")
def merchant() -> Iterator[Listener]:
    with a_card_merchants_listener() as listener:
        yield listener


@contextlib.contextmanager
def crashed(data: str, directory: Path, merchant: Listener, timeout_s: str) -> Iterator[World]:
    server = CardServer(data, directory, **settings(timeout_s))
    try:
        world = crash(server, merchant)
        yield world
        assert_clean(server.database)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, merchant: Listener) -> Iterator[World]:
    """After the restart nobody asks again: the sweeper has ended everything it can."""
    directory = tmp_path_factory.mktemp("swept")
    with crashed(str(directory / "gerbang.db"), directory, merchant, "10") as world:
        asked = "select kind from card_question where state = 'ASKED'"
        eventually(lambda: not world.server.database.read_now(lambda tx: tx.all(asked)), timeout_s=60)
        yield world


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory, merchant: Listener) -> Iterator[World]:
    """After the restart the merchant repeats its requests at once, long before the sweeper would look."""
    directory = tmp_path_factory.mktemp("repeated")
    with crashed(str(directory / "gerbang.db"), directory, merchant, "600") as world:
        yield world


# -- the sweeper


def test_a_charge_the_acquirer_never_heard_of_is_failed_and_nothing_is_taken(swept: World):
    """Cards §22: TO is reversed, then FAILED."""
    for name in ("before AUTHORISE", "before AUTHORISE of a page"):
        assert swept.charges(name) == [("DECLINED", "TO")]
        swept.assert_books_agree(name, 0)
    assert swept.state("before AUTHORISE") == "FAILED"
    assert swept.state("before AUTHORISE of a page") == "PENDING", "the buyer may try again"


def test_a_charge_the_acquirer_had_answered_is_paid(swept: World):
    for name in ("after AUTHORISE", "after AUTHORISE of a page"):
        assert swept.state(name) == "SUCCESS"
        assert swept.charges(name) == [("APPROVED", "00")]
        swept.assert_books_agree(name, swept.cases[name].amount)


def test_a_capture_is_finished_whether_the_acquirer_had_heard_of_it_or_not(swept: World):
    for name in ("before CAPTURE", "after CAPTURE"):
        assert swept.state(name) == "SUCCESS"
        swept.assert_books_agree(name, swept.cases[name].amount)


def test_a_void_and_a_refund_are_finished(swept: World):
    for name in ("before VOID", "after VOID"):
        assert swept.state(name) == "VOIDED"
        swept.assert_books_agree(name, 0)
    for name in ("before REFUND", "after REFUND"):
        assert swept.state(name) == "PARTIALLY_REFUNDED"
        swept.assert_books_agree(name, 50_000 - swept.cases[name].amount)
    assert swept.shop.balance("refunding") == 0


def test_what_the_sweeper_ended_answers_the_merchants_repeat(swept: World):
    """The first answer was never given, so the repeat is answered 200 with how it ended."""
    ends = {
        "before AUTHORISE": ("FAILED", "TO"),
        "after AUTHORISE": ("SUCCESS", "00"),
        "before CAPTURE": ("SUCCESS", "00"),
        "after CAPTURE": ("SUCCESS", "00"),
    }
    for name, end in ends.items():
        again = swept.cases[name].again
        assert again is not None
        answer = again()
        assert answer.status == 200, (name, answer.body)
        assert (answer.json["payment"]["status"], answer.json["payment"]["response_code"]) == end, name
    for name in ("before VOID", "after VOID", "before REFUND", "after REFUND"):
        again = swept.cases[name].again
        assert again is not None
        answer = again()
        assert (answer.status, answer.json["refund"]["status"]) == (200, "SUCCESS"), name
        assert answer.json["refund"]["approval_code"]
    for name in ("before CAPTURE", "after CAPTURE", "after AUTHORISE"):
        swept.assert_books_agree(name, swept.cases[name].amount)
    for name in ("before REFUND", "after REFUND"):
        swept.assert_books_agree(name, 50_000 - swept.cases[name].amount)


def test_a_buyer_who_was_at_the_bank_comes_back_and_pays(swept: World):
    """The CVV waited under the key that only the browser has; the restarted server opens it."""
    case = swept.cases["at the bank"]
    assert case.go_on is not None

    case.go_on()

    assert swept.state("at the bank") == "SUCCESS"
    swept.assert_books_agree("at the bank", swept.shop.status(case.page.invoice)["order"]["amount"])


def test_a_card_that_was_at_the_3ds_server_may_be_sent_again_and_is_charged_once(swept: World):
    case = swept.cases["before AUTHENTICATE"]
    assert case.go_on is not None

    answer = case.go_on()

    assert answer.status == 303
    assert swept.state("before AUTHENTICATE") == "SUCCESS"
    assert [state for state, _ in swept.charges("before AUTHENTICATE")] == ["DECLINED", "APPROVED"]
    swept.assert_books_agree("before AUTHENTICATE", case.amount)


def test_a_browser_that_sends_the_same_form_again_charges_nothing_more(swept: World):
    case = swept.cases["after AUTHORISE of a page"]
    assert case.go_on is not None

    case.go_on()

    assert swept.charges("after AUTHORISE of a page") == [("APPROVED", "00")]
    swept.assert_books_agree("after AUTHORISE of a page", case.amount)


def test_a_buyer_who_never_comes_back_has_paid_nothing(swept: World):
    """Runs last but one: it moves the clock past the bank's time."""
    swept.server.control("POST", "/clock", {"advance_s": 7 * 60})

    assert swept.charges("after AUTHENTICATE") == [("DECLINED", "DA")]
    swept.assert_books_agree("after AUTHENTICATE", 0)


def test_every_end_was_told_once_and_truly(swept: World):
    """Each payment's notifications, in order; at-least-once repeats keep their Request-Id."""
    expected = {
        "before AUTHORISE": ["FAILED"],
        "after AUTHORISE": ["SUCCESS"],
        "before AUTHORISE of a page": ["FAILED"],
        "after AUTHORISE of a page": ["SUCCESS"],
        "before CAPTURE": ["PENDING", "SUCCESS"],
        "after CAPTURE": ["PENDING", "SUCCESS"],
        "before VOID": ["SUCCESS", "VOIDED"],
        "after VOID": ["SUCCESS", "VOIDED"],
        "before REFUND": ["SUCCESS", "SUCCESS"],
        "after REFUND": ["SUCCESS", "SUCCESS"],
    }
    receiver = swept.shop.listener
    assert receiver is not None

    def told() -> dict[str, list[str]]:
        found: dict[str, dict[str | None, str]] = {}
        for one in receiver.received():
            if one.header("Client-Id") == swept.shop.client_id:
                assert one.signature == "valid"
                body = body_of(one)
                of_order = found.setdefault(body["order"]["invoice_number"], {})
                of_order.setdefault(one.header("Request-Id"), body["transaction"]["status"])
        return {name: list(found.get(swept.cases[name].page.invoice, {}).values()) for name in expected}

    with contextlib.suppress(AssertionError):
        eventually(lambda: told() == expected, timeout_s=20)
    assert told() == expected


def test_neither_the_data_nor_the_log_holds_a_card_number_or_a_cvv(swept: World):
    """S2-57 and PCI DSS 3.3, 3.5: file, WAL and log of a server that was killed in the middle of everything."""
    data = Path(swept.server.log.parent / "gerbang.db")

    assert swept.charges("after AUTHORISE"), "there is something to look at"
    assert find_in_files([data, swept.server.log], numbers=NUMBERS) == []
    assert find_in_database(swept.server.database, numbers=NUMBERS, cvvs=[CVV]) == []
    assert find_in_bytes(swept.server.log.read_bytes(), cvvs=[CVV], where="log") == []


# -- the merchant


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_charge_repeated_after_the_crash_is_the_same_charge(repeated: World, point: str):
    """With the question still open it is asked again, under its old id: approved, once."""
    name = f"{point} AUTHORISE"
    case = repeated.cases[name]
    assert case.again is not None

    first, second = case.again(), case.again()

    assert (first.status, first.json["payment"]["status"]) == (200, "SUCCESS")
    assert (second.status, second.body) == (409, first.body)
    assert repeated.charges(name) == [("APPROVED", "00")]
    repeated.assert_books_agree(name, case.amount)


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_capture_repeated_after_the_crash_is_the_same_capture(repeated: World, point: str):
    case = repeated.cases[f"{point} CAPTURE"]
    assert case.again is not None

    first, second = case.again(), case.again()

    assert (first.status, first.json["payment"]["status"], first.json["order"]["amount"]) == (200, "SUCCESS", case.amount)
    assert (second.status, second.body) == (409, first.body)
    repeated.assert_books_agree(f"{point} CAPTURE", case.amount)


@pytest.mark.parametrize("kind", ["VOID", "REFUND"])
@pytest.mark.parametrize("point", ["before", "after"])
def test_a_refund_repeated_after_the_crash_is_the_same_refund(repeated: World, point: str, kind: str):
    case = repeated.cases[f"{point} {kind}"]
    assert case.again is not None

    first, second = case.again(), case.again()

    assert (first.status, first.json["refund"]["status"], first.json["refund"]["amount"]) == (200, "SUCCESS", case.amount)
    assert first.json["refund"]["approval_code"]
    assert (second.status, second.body) == (409, first.body)
    repeated.assert_books_agree(f"{point} {kind}", 0 if kind == "VOID" else 50_000 - case.amount)


def test_while_the_outcome_is_unknown_another_page_cannot_be_opened(repeated: World):
    """The buyer might pay twice: the card of the first page is at the acquirer."""
    case = repeated.cases["before AUTHORISE of a page"]

    answer = repeated.shop.call(
        "/credit-card/v1/payment-page",
        {"order": {"invoice_number": case.page.invoice, "amount": 90_000}, "customer": {"email": "a@example.com"}},
    )

    assert (answer.status, answer.json["error"]["message"]) == (409, "Payment Is Being Processed")


def test_the_same_on_postgresql(tmp_path: Path, merchant: Listener, postgres_dsn: str):
    with crashed(postgres_dsn, tmp_path, merchant, "600") as world:
        for name in ("before AUTHORISE", "after AUTHORISE", "before CAPTURE", "after CAPTURE"):
            again = world.cases[name].again
            assert again is not None
            assert again().json["payment"]["status"] == "SUCCESS"
            world.assert_books_agree(name, world.cases[name].amount)
        for name in ("before VOID", "after VOID", "before REFUND", "after REFUND"):
            again = world.cases[name].again
            assert again is not None
            assert again().json["refund"]["status"] == "SUCCESS"
            left = 0 if name.endswith("VOID") else 50_000 - world.cases[name].amount
            world.assert_books_agree(name, left)
        assert find_in_database(world.server.database, numbers=NUMBERS, cvvs=[CVV]) == []


# -- the sweeper itself


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_reversal_under_way_at_the_crash_is_finished_and_only_then_told(tmp_path: Path, merchant: Listener, point: str):
    server = CardServer(str(tmp_path / "gerbang.db"), tmp_path, card_answer_timeout_s="2")
    try:
        shop = CardMerchant(server, merchant)
        page = shop.page(amount=90_001)
        shop.choose(page, three_ds="frictionless")
        server.hold(f"{point}:REVERSE:90001")
        shop.submit(page, SILENT)
        server.await_held([f"{point}:REVERSE:90001"])
        before = [one for one in merchant.received() if one.header("Client-Id") == shop.client_id]

        server.kill()
        server.start()

        assert before == []
        told = body_of(shop.told(1, timeout_s=20)[0])
        assert (told["transaction"]["status"], told["card_payment"]["response_code"]) == ("FAILED", "TO")
        assert (shop.taken(page), shop.reserved(page)) == (0, 0)
        assert_clean(server.database)
    finally:
        server.stop()


# -- an acquirer that is merely slow


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RunningGateway, Path]]:
    """The sweeper loses patience after 0.3 s; nobody dies."""
    pauses = tmp_path / "pauses"
    pauses.mkdir()
    monkeypatch.setenv(PAUSES, str(pauses))
    given = {"card_provider": "support.slow_cards:make", "card_answer_timeout_s": 0.3, "poll_interval_s": 0.05}
    with served(tmp_path, **given) as gateway:
        to_noon(gateway)
        yield gateway, pauses


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("seconds", ["0.8", "3.5"], ids=["before the reversal", "after the reversal"])
def test_an_answer_that_comes_after_the_sweeper_gave_up_changes_nothing(
    slow: tuple[RunningGateway, Path], point: str, seconds: str
):
    """Before: the acquirer had not heard it, so it is reversed, and the latecomer's money goes back. After: the sweeper found it paid."""
    gateway, pauses = slow
    shop = CardMerchant(gateway)
    page = shop.page(amount=90_001)
    (pauses / f"{point}:AUTHORISE:90001").write_text(seconds)

    shop.submit(page, APPROVED)

    expected = "PENDING" if point == "before" else "SUCCESS"
    ended = "select id from card_question where state = 'ASKED'"
    eventually(lambda: not gateway.database.read_now(lambda tx: tx.all(ended)), timeout_s=10)
    taken = 0 if point == "before" else 90_001
    eventually(lambda: (shop.taken(page), shop.reserved(page)) == (taken, 0), timeout_s=10)
    assert shop.state(page) == expected
    assert shop.balance() == taken


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_slow_capture_that_the_sweeper_finished_is_captured_once(slow: tuple[RunningGateway, Path], point: str):
    gateway, pauses = slow
    shop = CardMerchant(gateway)
    page, authorize_id = shop.authorised(amount=90_001)
    (pauses / f"{point}:CAPTURE:90001").write_text("1.2")

    answer = shop.capture(authorize_id)

    assert (answer.status, answer.json["payment"]["status"]) == (200, "SUCCESS")
    assert (shop.state(page), shop.taken(page), shop.balance()) == ("SUCCESS", 90_001, 90_001)
    assert gateway.database.read_now(lambda tx: get_payment(tx, page.payment_id)[1].charged) == 90_001


def test_an_acquirer_that_hangs_holds_up_neither_other_questions_nor_expiry(slow: tuple[RunningGateway, Path]):
    """The sweeper asks all at once, and none of them for longer than an answer may take."""
    gateway, pauses = slow
    shop = CardMerchant(gateway)
    hanging, hanging_id = shop.authorised(amount=90_001)
    lost, lost_id = shop.authorised(amount=90_002)
    unpaid = shop.page()
    (pauses / "before:CAPTURE:90001").write_text("6")
    shop.choose(lost, follow_up_code="TO")
    caller = threading.Thread(target=lambda: shop.capture(hanging_id), daemon=True)
    caller.start()
    eventually(lambda: (pauses / "at:before:CAPTURE:90001").exists())
    time.sleep(0.5)  # the sweeper is asking too, by now

    shop.capture(lost_id)
    began = time.monotonic()
    gateway.control("POST", "/clock", {"advance_s": 3_601})

    eventually(lambda: (shop.state(lost), shop.state(unpaid)) == ("SUCCESS", "EXPIRED"), timeout_s=3)
    assert time.monotonic() - began < 4, "moving the clock does not wait for the one that hangs"
    assert shop.state(hanging) == "AUTHORISED"
    (pauses / "before:CAPTURE:90001").unlink()
    eventually(lambda: shop.state(hanging) == "SUCCESS", timeout_s=10)
    caller.join(10)
    assert shop.taken(hanging) == 90_001
