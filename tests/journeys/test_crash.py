"""`kill -9` at any moment loses nothing that was acknowledged, books nothing twice, and every committed payment is told.

The moments come from a seed that is printed; GERBANG_CRASH_SEED=… repeats a run (as far as the machine's scheduling allows).
"""

import asyncio
import base64
import contextlib
import hashlib
import http.client
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from gerbang.storage import open_database
from support.gateway import assert_clean, independent_signature
from support.listener import Listener
from support.notifying import a_merchant, eventually
from support.server import Server

pytestmark = pytest.mark.kills

AMOUNT = 1_000
CONCURRENT = 200
CREATE_PATH = "/dokuwallet-emoney/v1/payment"
BUYERS = 4
PIN = "135790"


@dataclass
class Sale:
    """One order as its merchant and its buyer remember it. None means: no answer came, so nobody knows."""

    invoice: str
    request_id: str
    body: bytes
    way: str
    page: str | None = None
    repeated: list[tuple[int, str]] = field(default_factory=list)
    paid: bool = False


@pytest.fixture
def merchant() -> Iterator[Listener]:
    with a_merchant() as receiver:
        yield receiver


def new_sale(number: int, merchant: Listener, chance: random.Random) -> Sale:
    invoice = f"INV-{number:05d}"
    order = {"invoice_number": invoice, "amount": AMOUNT, "notify_url": merchant.url("/notify")}
    way = chance.choices(["outcome", "page", "unpaid"], weights=[65, 15, 20])[0]
    return Sale(invoice, f"req-{number:05d}", json.dumps({"order": order}).encode(), way)


async def create(http_client: aiohttp.ClientSession, url: str, sale: Sale) -> None:
    """The signed call. Asked again after a crash, it must give the first answer, or do it now."""
    timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = base64.b64encode(hashlib.sha256(sale.body).digest()).decode()
    text = (
        f"Client-Id:{DEMO_CLIENT_ID}\nRequest-Id:{sale.request_id}\nRequest-Timestamp:{timestamp}\n"
        f"Request-Target:{CREATE_PATH}\nDigest:{digest}"
    )
    headers = {
        "Client-Id": DEMO_CLIENT_ID,
        "Request-Id": sale.request_id,
        "Request-Timestamp": timestamp,
        "Signature": independent_signature(text, SANDBOX_SECRET_KEY),
        "Content-Type": "application/json",
    }
    async with http_client.post(url + CREATE_PATH, data=sale.body, headers=headers) as answer:
        raw = await answer.read()
    assert answer.status in (200, 409), raw
    page = json.loads(raw)["payment"]["url"]
    sale.repeated.append((answer.status, page))
    sale.page = page


async def pay_by_control(http_client: aiohttp.ClientSession, url: str, sale: Sale) -> None:
    wanted = {"client_id": DEMO_CLIENT_ID, "invoice_number": sale.invoice, "outcome": "SUCCESS"}
    async with http_client.post(f"{url}/sandbox/v1/payments/outcome", json=wanted) as answer:
        raw = await answer.read()
    if answer.status == 409:
        return  # paid by the call that the kill left without an answer
    assert answer.status == 200, raw
    sale.paid = True


@dataclass
class Buyer:
    """Somebody with a wallet account, who pays for one thing at a time."""

    phone: str
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)


def new_buyers(server: Server, first: int) -> list[Buyer]:
    """New ones for every life of the server: a PIN whose check a crash interrupted stays counted as wrong (safe side)."""
    buyers = [Buyer(f"0813{first + n:08d}") for n in range(BUYERS)]
    for buyer in buyers:
        account = {"phone": buyer.phone, "name": "Pembeli", "pin": PIN, "level": "PREMIUM", "balance": 1_000_000}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
            connection.request("POST", "/sandbox/v1/accounts", json.dumps(account), {"Content-Type": "application/json"})
            assert connection.getresponse().status == 200
    return buyers


async def pay_on_page(http_client: aiohttp.ClientSession, sale: Sale, buyer: Buyer) -> None:
    """What a browser posts: sign in, then pay."""
    assert sale.page is not None
    async with http_client.post(
        sale.page, data={"action": "login", "phone": buyer.phone, "pin": PIN}, allow_redirects=False
    ) as answer:
        html = await answer.text()
    if answer.status == 303:
        return  # likewise
    assert answer.status == 200, html
    session = re.search(r'name="session"\s+value="([^"]+)"', html)
    assert session is not None, html
    form = {"action": "pay", "session": unescape(session[1])}
    async with http_client.post(sale.page, data=form, allow_redirects=False) as answer:
        raw = await answer.read()
    assert answer.status == 303, raw
    sale.paid = True


class Countdown:
    """Reached after so many acknowledgements (`only` of one kind): the moment of the kill, whatever the machine's speed."""

    def __init__(self, acknowledgements: int, only: str | None = None) -> None:
        self._left = acknowledgements
        self._only = only
        self.reached = asyncio.Event()

    def tick(self, kind: str) -> None:
        if self._only not in (None, kind):
            return
        self._left -= 1
        if self._left <= 0:
            self.reached.set()


async def sell(http_client: aiohttp.ClientSession, url: str, sale: Sale, buyer: Buyer, countdown: Countdown) -> None:
    """Create and pay, until the server is gone."""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        if sale.page is None:
            await create(http_client, url, sale)
            countdown.tick("create")
        if sale.way == "outcome":
            await pay_by_control(http_client, url, sale)
        elif sale.way == "page":
            async with buyer.busy:
                await pay_on_page(http_client, sale, buyer)
        countdown.tick(sale.way)


async def sell_until_killed(server: Server, sales: list[Sale], buyers: list[Buyer], countdown: Countdown, delay_s: float) -> None:
    """Everything at once; somewhere in between, the end."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONCURRENT), timeout=aiohttp.ClientTimeout(total=30)
    ) as http_client:
        selling = asyncio.gather(
            *(sell(http_client, server.url, sale, buyers[number % BUYERS], countdown) for number, sale in enumerate(sales))
        )
        reached = asyncio.create_task(countdown.reached.wait())
        await asyncio.wait([selling, reached], return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        await asyncio.sleep(delay_s)
        server.kill()
        await selling


def this_round(sales: list[Sale], merchant: Listener, chance: random.Random) -> list[Sale]:
    """200 at a time: creates without an answer, asked again; payments that are still to be made; and new sales."""
    lost = [sale for sale in sales if sale.page is None][-CONCURRENT // 4 :]
    unpaid = [sale for sale in sales if sale.page is not None and not sale.paid and sale.way != "unpaid"][-CONCURRENT // 4 :]
    fresh = [new_sale(len(sales) + n, merchant, chance) for n in range(CONCURRENT - len(lost) - len(unpaid))]
    sales += fresh
    together = [*lost, *unpaid, *fresh]
    chance.shuffle(together)
    return together


def crash_and_check(data: str, merchant: Listener, tmp_path: Path, *, kills: int) -> None:
    seed = int(os.environ.get("GERBANG_CRASH_SEED") or random.randrange(10**6))
    print(f"GERBANG_CRASH_SEED={seed}")
    chance = random.Random(seed)
    server = Server(data, tmp_path)
    sales: list[Sale] = []
    try:
        for life in range(kills):
            server.start()
            buyers = new_buyers(server, len(sales))
            together = this_round(sales, merchant, chance)
            # Pages are slow, because a PIN is; every fourth life, and the last, lasts until some were paid.
            paged = life % 4 == 3 or life == kills - 1
            countdown = (
                Countdown(chance.randrange(1, 8), "page") if paged else Countdown(chance.randrange(1, CONCURRENT * 3 // 2))
            )
            asyncio.run(sell_until_killed(server, together, buyers, countdown, chance.uniform(0, 0.01)))
        server.start()
        await_deliveries(data)
        server.end()
    finally:
        server.kill()

    assert {sale.way for sale in sales if sale.paid} == {"outcome", "page"}, "both ways of paying were acknowledged"
    answers = Counter(status for sale in sales for status, _ in sale.repeated)
    print(f"{len(sales)} sales, answers {dict(answers)}, {sum(sale.paid for sale in sales)} acknowledged payments")
    assert_nothing_was_lost(data, sales)
    assert_all_was_told(data, merchant)
    verified = subprocess.run([sys.executable, "-m", "gerbang", "verify", "--data", data], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def await_deliveries(data: str) -> None:
    """Until nothing is due. Leases of the last process killed run out within seconds."""
    with contextlib.closing(open_database(data, connections=1)) as database:
        unsent = "select count(*) as n from notification where state <> 'DELIVERED'"
        eventually(lambda: database.read_now(lambda tx: tx.all(unsent))[0]["n"] == 0, timeout_s=60)


def assert_nothing_was_lost(data: str, sales: list[Sale]) -> None:
    with contextlib.closing(open_database(data, connections=1)) as database:
        assert_clean(database)
        rows = database.read_now(
            lambda tx: tx.all(
                "select o.invoice_number as invoice, p.id as payment, p.state as state,"
                " (select count(*) from transfer t where t.cause = p.id) as booked"
                " from orders o left join payment p on p.order_id = o.id"
            )
        )
        [moved] = database.read_now(
            lambda tx: tx.all("select coalesce(sum(amount), 0) as rupiah from transfer where entry = 'gross'")
        )
    stored = {row["invoice"]: row for row in rows}
    assert len(stored) == len(rows), "an invoice has one order, and that has one payment"
    assert {sale.invoice for sale in sales if sale.page} <= set(stored), "every acknowledged create is there"
    for sale in sales:
        assert len({page for _, page in sale.repeated}) <= 1, f"two answers for {sale.invoice}"
        if sale.page:
            assert urlsplit(sale.page).path.rpartition("/")[2] == stored[sale.invoice]["payment"]
        if sale.paid:
            assert stored[sale.invoice]["state"] == "SUCCESS", f"{sale.invoice} was acknowledged as paid"
    paid = [row for row in rows if row["state"] == "SUCCESS"]
    assert moved["rupiah"] == AMOUNT * len(paid), "money moved once for each"
    assert all((row["booked"] > 0) == (row["state"] == "SUCCESS") for row in rows)


def assert_all_was_told(data: str, merchant: Listener) -> None:
    with contextlib.closing(open_database(data, connections=1)) as database:
        rows = database.read_now(
            lambda tx: tx.all(
                "select o.invoice_number as invoice from orders o join payment p on p.order_id = o.id where p.state = 'SUCCESS'"
            )
        )
    received = merchant.received()
    assert {call.signature for call in received} == {"valid"}
    told = Counter(call.json()["order"]["invoice_number"] for call in received)
    assert set(told) == {row["invoice"] for row in rows}, "all that was paid was told, and nothing else"
    print(f"{len(rows)} payments told in {len(received)} calls")
    # At least once; the repeats are those that a kill caught between the merchant's answer and our note of it.
    by_request = {(call.json()["order"]["invoice_number"], call.header("Request-Id")) for call in received}
    assert len(by_request) == len(told), "a repeat has the Request-Id of the first"


KILLS = [3, pytest.param(20, marks=pytest.mark.proof)]


@pytest.mark.parametrize("kills", KILLS)
def test_kills_lose_nothing_that_was_acknowledged_on_sqlite(tmp_path: Path, merchant: Listener, kills: int):
    crash_and_check(str(tmp_path / "gerbang.db"), merchant, tmp_path, kills=kills)


@pytest.mark.parametrize("kills", KILLS)
def test_kills_lose_nothing_that_was_acknowledged_on_postgresql(
    tmp_path: Path, merchant: Listener, postgres_dsn: str, kills: int
):
    crash_and_check(postgres_dsn, merchant, tmp_path, kills=kills)


def test_a_create_whose_answer_was_lost_may_simply_be_repeated(tmp_path: Path, merchant: Listener):
    """The order was committed, the merchant never heard of it: the repeat gives the first answer, not a second order."""
    server = Server(str(tmp_path / "gerbang.db"), tmp_path)
    sale = new_sale(1, merchant, random.Random(1))

    async def once() -> None:
        async with aiohttp.ClientSession() as http_client:
            await create(http_client, server.url, sale)

    try:
        server.start()
        asyncio.run(once())
        server.kill()
        server.start()
        asyncio.run(once())
    finally:
        server.kill()

    (first, page), (again, same_page) = sale.repeated
    assert (first, again) == (200, 409)
    assert page == same_page


def test_a_restart_after_a_kill_is_quick_and_needs_no_repair(tmp_path: Path, merchant: Listener):
    server = Server(str(tmp_path / "gerbang.db"), tmp_path)
    sales = [new_sale(n, merchant, random.Random(n)) for n in range(50)]
    try:
        server.start()
        asyncio.run(sell_until_killed(server, sales, new_buyers(server, 0), Countdown(60), 0))
        began = time.monotonic()
        server.start()
        assert time.monotonic() - began < 10
        server.end()
    finally:
        server.kill()
