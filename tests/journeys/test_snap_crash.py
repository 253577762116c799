"""`kill -9` while partners move a wallet's money over SNAP: what was acknowledged is there, nothing moved twice, every transfer to a bank
has one end, and the bank's books are ours.

The moments come from a seed that is printed; GERBANG_CRASH_SEED=… repeats a run (as far as the machine's scheduling allows).
"""

import contextlib
import html
import http.client
import os
import queue
import random
import re
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import pytest

from gerbang.channels.doku_wallet_snap.simulator import moved
from gerbang.client import BankAccount, DokuError, DokuUnreachable, SnapClient, SnapCustomer
from gerbang.clock import real_now
from gerbang.storage import Tx
from gerbang.wallet.bindings import bind
from support.gateway import assert_clean
from support.notifying import RudeReceiver, eventually
from support.server import Server
from support.snap import PRIVATE_PEM, PUBLIC_PEM

pytestmark = pytest.mark.kills

CLIENT_ID, SECRET_KEY = "BRN-0332-1711843200000", "SK-kasir-kilat-0332"
PIN = "135790"
BACK = "https://partner.example/return"
CUSTOMERS, CALLERS, FRESH = 4, 10, 40
CUSTOMERS_START, CORPORATE_START, SETTLED = 5_000_000, 50_000_000, 400_000
DUPLICATE = "01"  # the case of 409: this partnerReferenceNo was used before

# How a transfer to an account with this end of its number ends.
ENDS = {"1234": "SUCCESS", "0001": "SUCCESS", "0002": "FAILED", "0003": "SUCCESS", "0004": "FAILED", "0005": "SUCCESS"}


class WalletServer(Server):
    """Its bank is slow."""

    def __init__(self, data: str, directory: Path) -> None:
        super().__init__(data, directory, bank_provider="support.slow_bank:make", poll_interval_s="0.05")

    def let_patience_end(self) -> None:
        """As if the longest that a bank may take had gone by: the sweeper asks what became of every open transfer, now."""
        self.database.transact_now(
            lambda tx: tx.execute("update wallet_operation set due_real_at = 0 where due_real_at is not null")
        )

    def let_a_minute_pass(self) -> None:
        """As if whoever holds a reference had held it that long."""
        past = "update partner_reference set subject = 'hold:0' || substr(subject, 19) where subject like 'hold:%'"
        assert self.database.transact_now(lambda tx: tx.execute(past)) > 0

    def await_ends(self) -> None:
        """Until every transfer has its end."""

        def ended() -> bool:
            self.let_patience_end()
            return not self.rows("select id from wallet_operation where state in ('ASKED', 'PENDING')")

        eventually(ended, timeout_s=60)

    def rows(self, sql: str, **values: Any) -> list[Any]:
        return list(self.database.read_now(lambda tx: tx.all(sql, values)))


@dataclass
class Customer:
    """A bound customer with a PIN. One PIN is typed at a time: an attempt that a kill interrupted stays counted as wrong."""

    server: WalletServer
    id: str
    api: SnapCustomer
    bank_accounts: dict[str, BankAccount]
    settled: str  # a purchase that may be refunded
    typing: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Partner:
    """The partner's application, which outlives the server."""

    server: WalletServer
    client: SnapClient
    customers: list[Customer]


def prepare(server: WalletServer) -> Partner:
    """Customers with money, a consent, bank accounts and one settled purchase each."""
    merchant = {"name": "Kasir Kilat", "client_id": CLIENT_ID, "secret_key": SECRET_KEY, "snap_public_key": PUBLIC_PEM}
    server.control("POST", "/merchants", merchant)
    server.control("POST", f"/merchants/{CLIENT_ID}/balance", {"amount": CORPORATE_START})
    client = SnapClient(server.url, CLIENT_ID, SECRET_KEY, PRIVATE_PEM)
    partner = Partner(server, client, [])
    for number in range(CUSTOMERS):
        account = {"phone": f"0814{number:08d}", "name": "Rina Kusuma", "pin": PIN, "level": "PREMIUM"}
        account_id = server.control("POST", "/accounts", account | {"balance": CUSTOMERS_START})["account_id"]
        server.database.transact_now(
            lambda tx, one=account_id: bind(tx, merchant_id=CLIENT_ID, account_id=one, now=real_now())  # type: ignore[misc]
        )
        api = client.customer(account_id=account_id)
        found = {end: api.find_bank_account(payer=account_id, bank_code="014", account_number=f"777{end}") for end in ENDS}
        settled = f"SETTLED-{number}"
        api.purchase(reference=settled, amount=SETTLED)
        server.control("POST", "/payments/outcome", {"client_id": CLIENT_ID, "invoice_number": settled, "outcome": "SUCCESS"})
        partner.customers.append(Customer(server, account_id, api, found, settled))
    server.control("POST", "/clock", {"advance_s": 86_400})
    return partner


@dataclass
class Deed(ABC):
    """Something the partner wants done once. `known`: the gateway has said that it has it, in whatever words."""

    kind: ClassVar[str]
    reference: str
    customer: Customer
    amount: int
    sent: int = 0
    known: bool = False
    repeated: bool = False  # asked again, and told that it was there already

    def do(self) -> None:
        """Ask for it, again if need be under the same reference. Raises DokuUnreachable when nobody knows."""
        self.sent += 1
        try:
            self.ask()
        except DokuError as refused:
            if refused.http_status != 409 or (refused.code or "")[5:] != DUPLICATE:
                raise
            assert self.sent > 1, "the first to use a reference may"
            self.repeated = True
        self.known = True

    @property
    def is_over(self) -> bool:
        return self.known

    @abstractmethod
    def ask(self) -> None: ...


class TopUp(Deed):
    kind = "top-up"

    def ask(self) -> None:
        done = self.customer.api.top_up(reference=self.reference, receiver=self.customer.id, amount=self.amount)
        assert done.amount == self.amount


class Refund(Deed):
    kind = "refund"

    def ask(self) -> None:
        done = self.customer.api.refund_purchase(
            self.customer.settled, refund_reference=self.reference, reason="pecah", amount=self.amount
        )
        assert done.amount == self.amount


@dataclass
class Transfer(Deed):
    kind = "transfer"
    end: str = "1234"
    told: str | None = None  # the end that the partner was told of; None: not yet, or not told
    inquired: bool = True

    def ask(self) -> None:
        api, to = self.customer.api, self.customer.bank_accounts[self.end]
        if not self.inquired:
            to = replace(to, reference_no="")
        try:
            answer = api.transfer_to_bank(reference=self.reference, payer=self.customer.id, amount=self.amount, to=to)
        except DokuError as refused:
            if refused.http_status == 409 or ENDS[self.end] != "FAILED":
                raise
            self.told = "FAILED"
        else:
            self.told = None if answer.in_progress else "SUCCESS"


@dataclass
class Purchase(Deed):
    kind = "purchase"
    paid: bool = False

    @property
    def is_over(self) -> bool:
        return self.paid

    def do(self) -> None:
        if not self.known:
            super().do()
        # After a crash the partner looks up where its customer pays.
        status = self.customer.api.purchase_status(self.reference)
        assert (status.amount, status.reference_no != "") == (self.amount, True)
        if not status.is_paid:
            assert status.status == "01", status
            with self.customer.typing:
                if not self._pay(f"/wallet/purchase/{status.reference_no}"):
                    return
        self.paid = True

    def ask(self) -> None:
        self.customer.api.purchase(reference=self.reference, amount=self.amount, return_url=BACK)

    def _pay(self, page: str) -> bool:
        """What the browser does. False: the PIN is blocked, after attempts that kills interrupted, or they still count as under way."""
        server = self.customer.server
        try:
            shown = server.request("GET", page).body.decode()
            form = re.search(r'name="form" value="([^"]+)"', shown)
            if form is None or 'name="pin"' not in shown:
                return False
            sent = urlencode({"action": "pay", "pin": PIN, "form": html.unescape(form[1])}).encode()
            answer = server.request("POST", page, sent, {"Content-Type": "application/x-www-form-urlencoded"})
        except (OSError, http.client.HTTPException) as gone:
            raise DokuUnreachable(str(gone), request_id=self.reference) from gone
        if answer.status == 503 or (answer.status == 422 and b'name="pin"' not in answer.body):
            return False
        assert answer.status == 303, answer.body
        assert answer.headers["location"].startswith(BACK + "?")
        assert "status=SUCCESS" in answer.headers["location"]
        return True


KINDS: list[type[Deed]] = [TopUp, Transfer, Purchase, Refund]


class Countdown:
    """Reached after so many acknowledgements (`only` of one kind): the moment of the kill, whatever the machine's speed."""

    def __init__(self, acknowledgements: int, only: str | None = None) -> None:
        self._left = acknowledgements
        self._only = only
        self._lock = threading.Lock()
        self.reached = threading.Event()

    def tick(self, kind: str) -> None:
        with self._lock:
            if self._only in (None, kind):
                self._left -= 1
            if self._left <= 0:
                self.reached.set()


def call_until_killed(server: WalletServer, deeds: list[Deed], countdown: Countdown | None) -> None:
    """Everything at once, by several threads of the partner's; somewhere in between, the end. Without a countdown there is none."""
    waiting: queue.SimpleQueue[Deed] = queue.SimpleQueue()
    for deed in deeds:
        waiting.put(deed)
    mistakes: list[BaseException] = []

    def work() -> None:
        with contextlib.suppress(queue.Empty, DokuUnreachable):
            try:
                while not (countdown and countdown.reached.is_set()):
                    deed = waiting.get_nowait()
                    deed.do()
                    if countdown:
                        countdown.tick(deed.kind)
            except (queue.Empty, DokuUnreachable):
                raise
            except BaseException as mistake:
                mistakes.append(mistake)

    callers = [threading.Thread(target=work, daemon=True) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    if countdown:
        while any(caller.is_alive() for caller in callers) and not countdown.reached.wait(0.01):
            pass
        server.kill()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive()
    if mistakes:
        raise mistakes[0]


def new_deeds(partner: Partner, first: int, chance: random.Random) -> list[Deed]:
    """Of every kind."""
    deeds: list[Deed] = []
    for number in range(first, first + FRESH):
        [make] = chance.choices(KINDS, weights=[25, 40, 15, 20])
        customer = chance.choice(partner.customers)
        more: dict[str, Any] = {"end": chance.choice(list(ENDS))} if make is Transfer else {}
        deeds.append(make(f"{number:04d}-{make.kind}", customer, chance.randrange(1, 100) * 10, **more))
    return deeds


def crash_and_check(data: str, directory: Path, *, kills: int) -> None:
    seed = int(os.environ.get("GERBANG_CRASH_SEED") or random.randrange(10**6))
    print(f"GERBANG_CRASH_SEED={seed}")
    chance = random.Random(seed)
    server = WalletServer(data, directory)
    deeds: list[Deed] = []
    left_behind: set[str] = set()
    try:
        server.start()
        partner = prepare(server)
        (server.pauses / "jitter").write_text("0.04")
        for life in range(kills):
            if life:
                server.start()
                server.let_patience_end()  # the sweeper takes up what the last kill left, and may be killed over it
            unsure = [deed for deed in deeds if deed.sent and not deed.is_over]
            fresh = new_deeds(partner, len(deeds), chance)
            deeds += fresh
            together = [*unsure, *fresh]
            chance.shuffle(together)
            only = (None, "transfer", None, "purchase")[life % 4]
            call_until_killed(server, together, Countdown(chance.randrange(2, 5 if only else 40), only))
            asked = {row["r"] for row in server.rows("select partner_reference as r from wallet_operation where state = 'ASKED'")}
            left_behind |= asked & {deed.reference for deed in deeds if not deed.known}
        server.start()
        deeds = [deed for deed in deeds if deed.sent]
        call_until_killed(server, [deed for deed in deeds if not deed.is_over], None)
        server.await_ends()

        repeated = Counter(deed.kind for deed in deeds if deed.repeated)
        print(
            f"{Counter(deed.kind for deed in deeds)}, there already when asked again {repeated}, {len(left_behind)} transfers left behind"
        )
        assert all(deed.known for deed in deeds)
        assert {deed.kind for deed in deeds} == {"top-up", "transfer", "purchase", "refund"}
        assert left_behind, "kills met transfers under way"
        assert_everything_is_there_once(server, deeds)
        assert_money_adds_up(partner, deeds)
        assert_told_as_it_is(deeds)
        assert server.control("GET", "/verify") == {"ok": True, "problems": []}
        assert_clean(server.database)
    finally:
        server.stop()
    verified = subprocess.run([sys.executable, "-m", "gerbang", "verify", "--data", data], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def of(kind: type[Deed], deeds: list[Deed]) -> dict[str, Any]:
    """The deeds of a kind by reference."""
    return {deed.reference: deed for deed in deeds if isinstance(deed, kind)}


def assert_everything_is_there_once(server: WalletServer, deeds: list[Deed]) -> None:
    """Each reference has one row and one movement of money, of the amount asked for; and nobody else's are there."""
    movements = "(select count(*) from transfer t where t.cause = o.id) as movements"
    operations = server.rows(
        f"select kind, partner_reference as reference, amount, state, account_id, {movements} from wallet_operation o"
        " where kind in ('TOP_UP', 'BANK_TRANSFER')"
    )
    assert sorted(row["reference"] for row in operations) == sorted([*of(TopUp, deeds), *of(Transfer, deeds)])
    every = {deed.reference: deed for deed in deeds}
    for row in operations:
        deed = every[row["reference"]]
        assert (row["amount"], row["account_id"]) == (deed.amount, deed.customer.id), row
        end, moves = (ENDS[deed.end], 2) if isinstance(deed, Transfer) else ("SUCCESS", 1)
        assert (row["state"], row["movements"]) == (end, moves), row

    refunds = server.rows("select request_id as reference, amount, state from refund")
    assert sorted(row["reference"] for row in refunds) == sorted(of(Refund, deeds))
    for row in refunds:
        assert (row["amount"], row["state"]) == (every[row["reference"]].amount, "SUCCESS"), row

    payments = server.rows(
        "select o.invoice_number as reference, p.amount, p.state,"
        " (select count(*) from transfer t where t.cause = p.id and t.entry = 'gross') as movements"
        " from orders o join payment p on p.order_id = o.id where o.invoice_number not like 'SETTLED%'"
    )
    assert sorted(row["reference"] for row in payments) == sorted(of(Purchase, deeds))
    for row in payments:
        deed = every[row["reference"]]
        assert isinstance(deed, Purchase)
        assert row["amount"] == deed.amount
        assert row["movements"] == (row["state"] == "SUCCESS"), row
        if deed.paid:
            assert row["state"] == "SUCCESS", f"{deed.reference} was acknowledged as paid"


def assert_money_adds_up(partner: Partner, deeds: list[Deed]) -> None:
    """Balances are what the partner can work out from its own list; the bank has what we say it has."""
    server = partner.server
    for customer in partner.customers:
        expected = CUSTOMERS_START - SETTLED
        for deed in deeds:
            if deed.customer is not customer:
                continue
            if isinstance(deed, TopUp | Refund):
                expected += deed.amount
            elif isinstance(deed, Transfer):
                expected -= deed.amount if ENDS[deed.end] == "SUCCESS" else 0
            elif customer.api.purchase_status(deed.reference).is_paid:
                expected -= deed.amount
        balance = customer.api.balance()
        assert (balance.available, balance.held) == (expected, 0), customer.id
    topped_up = sum(deed.amount for deed in of(TopUp, deeds).values())
    assert server.control("POST", f"/merchants/{CLIENT_ID}/balance", {"amount": 1})["balance"] == CORPORATE_START - topped_up + 1

    def booked(tx: Tx) -> int:
        row = tx.one("select coalesce(sum(amount), 0) as n from transfer where credit = 'bank:014'")
        assert row is not None
        return int(row["n"])

    sent = sum(deed.amount for deed in of(Transfer, deeds).values() if ENDS[deed.end] == "SUCCESS")
    assert server.database.read_now(lambda tx: (booked(tx), moved(tx))) == (sent, sent)


def assert_told_as_it_is(deeds: list[Deed]) -> None:
    """What the partner was told at the time is still so, and what it asks now agrees."""
    for deed in deeds:
        api = deed.customer.api
        if isinstance(deed, TopUp):
            assert api.top_up_status(deed.reference).is_done
        elif isinstance(deed, Transfer):
            assert deed.told in (None, ENDS[deed.end])
            found = api.history_detail(deed.reference)
            assert (found.amount, found.status == "SUCCESS") == (deed.amount, ENDS[deed.end] == "SUCCESS"), found


def test_kills_lose_nothing_and_move_nothing_twice_on_sqlite(tmp_path: Path) -> None:
    crash_and_check(str(tmp_path / "gerbang.db"), tmp_path, kills=4)


def test_kills_lose_nothing_and_move_nothing_twice_on_postgresql(tmp_path: Path, postgres_dsn: str) -> None:
    crash_and_check(postgres_dsn, tmp_path, kills=2)


def test_transfers_that_were_at_the_bank_when_the_server_died_end_as_the_bank_has_them(tmp_path: Path) -> None:
    """S1-91 … S1-105: until then the money is neither the customer's nor the bank's, and a repeat is a duplicate."""
    server = WalletServer(str(tmp_path / "gerbang.db"), tmp_path)
    try:
        server.start()
        partner = prepare(server)
        [customer, *_] = partner.customers
        start = customer.api.balance().available
        cases = {
            "before:66001": Transfer("never-heard", customer, 66_001),
            "after:66002": Transfer("answer-lost", customer, 66_002),
            "before:66003": Transfer("never-heard-refused", customer, 66_003, end="0004"),
            "after:66004": Transfer("refusal-lost", customer, 66_004, end="0004"),
        }
        for point in cases:
            server.hold(point)

        callers = [begun(deed) for deed in cases.values()]
        server.await_held(list(cases))
        server.kill()
        for caller in callers:
            caller.join(20)
        server.release()
        server.start()

        between = customer.api.balance()
        assert (between.available, between.held) == (start - 264_010, 264_010)
        for deed in cases.values():
            assert not deed.known
            deed.do()
            assert deed.repeated
            assert customer.api.history_detail(deed.reference).status == "PENDING"
        server.await_ends()

        after = customer.api.balance()
        assert (after.available, after.held) == (start - 66_001 - 66_002, 0)
        assert_everything_is_there_once(server, list(cases.values()))
        assert server.database.read_now(moved) == 66_001 + 66_002
        assert_told_as_it_is(list(cases.values()))
        assert_clean(server.database)
    finally:
        server.stop()


def begun(deed: Deed) -> threading.Thread:
    """The partner's call, in a thread of its own, with an end that nobody may hear of."""

    def unheard() -> None:
        with contextlib.suppress(DokuUnreachable):
            deed.do()

    caller = threading.Thread(target=unheard, daemon=True)
    caller.start()
    return caller


def test_a_transfer_that_died_over_whose_account_it_is_may_be_sent_again(tmp_path: Path, data_address: str) -> None:
    """S1-91 … S1-105: nothing had moved. Until it is certain that nobody comes back, a minute, the reference is in use."""
    server = WalletServer(data_address, tmp_path)
    try:
        server.start()
        partner = prepare(server)
        [customer, *_] = partner.customers
        start = customer.api.balance().available
        deed = Transfer("died-asking", customer, 66_005, inquired=False)
        server.hold("inquire:7771234")
        caller = begun(deed)
        server.await_held(["inquire:7771234"])
        server.kill()
        caller.join(20)
        server.release()
        server.start()

        deed.do()
        assert deed.repeated, "the minute is not over"
        assert (customer.api.balance().available, customer.api.balance().held) == (start, 0)
        server.let_a_minute_pass()
        deed.repeated = False
        deed.do()

        assert not deed.repeated
        assert deed.told == "SUCCESS"
        deed.do()
        assert deed.repeated, "used for ever"
        assert customer.api.balance().available == start - 66_005
        assert_everything_is_there_once(server, [deed])
        assert_clean(server.database)
    finally:
        server.stop()


def test_of_two_transfers_under_one_reference_the_one_that_was_given_up_moves_nothing(tmp_path: Path, data_address: str) -> None:
    """The process was not dead, but slower than anybody waits: its reference belongs to the second call by now."""
    server = WalletServer(data_address, tmp_path)
    try:
        server.start()
        partner = prepare(server)
        [customer, *_] = partner.customers
        start = customer.api.balance().available
        slow = Transfer("given-up", customer, 66_006, inquired=False, sent=1)
        server.hold("inquire:7771234")
        caller = begun(slow)
        server.await_held(["inquire:7771234"])
        server.let_a_minute_pass()
        second = Transfer("given-up", customer, 66_006)

        second.do()
        server.release()
        caller.join(20)

        assert (second.told, second.repeated) == ("SUCCESS", False)
        assert (slow.told, slow.repeated) == (None, True)
        assert customer.api.balance().available == start - 66_006
        assert_everything_is_there_once(server, [second])
        assert_clean(server.database)
    finally:
        server.stop()


@pytest.mark.parametrize(
    "arrived", [b"", b'{"responseCode": "2005400", "webRedirectUrl": "https://'], ids=["the head only", "half a body"]
)
def test_an_answer_that_broke_off_is_no_answer(arrived: bytes) -> None:
    """A server that dies while it answers: whoever took that for a refusal would ask again under another reference."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 120\r\n\r\n"
    with RudeReceiver(lambda connection: connection.sendall(head + arrived)) as dying:
        client = SnapClient(dying.url().rstrip("/"), CLIENT_ID, SECRET_KEY, PRIVATE_PEM, timeout_s=5)

        with pytest.raises(DokuUnreachable, match="broke off"):
            client.token()
