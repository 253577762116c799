"""Card payments without a browser: a merchant with options of its own, and a buyer who posts the page's forms.

Business time starts at noon in Jakarta, so that a payment is not settled before a test says so.
"""

import contextlib
import itertools
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import unescape
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from gerbang.channels.credit_card import simulator
from gerbang.channels.credit_card.options import read_options
from gerbang.clock import WIB
from gerbang.ledger import Transfer, account, balance_of, post, statement
from gerbang.merchants import MerchantOptions, create, update
from gerbang.money import Rupiah
from gerbang.payments import get_payment
from gerbang.storage import Tx
from support.gateway import Answer, RunningGateway, lent_gateway
from support.listener import Listener, Received

T = TypeVar("T")

KEY = "SK-cardTests0123456789"
PAGE = "/credit-card/v1/payment-page"
CAPTURE = "/credit-card/capture"
REFUND = "/cancellation/credit-card/refund"
CHECK_3DS = "/credit-card/check-three-d-secure"
CHARGE = "/credit-card/charge"

APPROVED = "4111111111111111"  # the bank knows the buyer: no challenge
APPROVED_MASTER = "5120910000000012"
CHALLENGED = "5573381011111101"  # Mandiri; OTP 123456
NO_3DS = "4509198934905332"
DECLINED_05 = "4509198934905340"  # after a challenge
SILENT = "4555550000300009"
UNVERIFIED = "5200000000000015"  # any OTP is refused
FOREIGN = "4555552100000018"  # Singapore; frictionless
BCA_CARD = "4555551100000010"
HSBC_CARD = "4555551900000012"  # installments off us
CVV = "739"  # no year, port or duration, so that it can be looked for

_CLIENTS = 400
_numbers = itertools.count()


def _client_id(number: int) -> str:
    return f"BRN-0900-{number:013}"


def a_card_merchants_listener() -> Listener:
    """A receiver that knows the secret keys of every `CardMerchant`."""
    return Listener.start(secrets={_client_id(number): KEY for number in range(_CLIENTS)})


@contextlib.contextmanager
def cards_served(**given: Any) -> Iterator[RunningGateway]:
    """A sandbox for a module to share; verified at the end."""
    with lent_gateway(**given) as gateway:
        to_noon(gateway)
        yield gateway


def together(*calls: Callable[[], T]) -> list[T]:
    """The answers of calls made at the same moment, in order."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def by_day(gateway: RunningGateway) -> None:
    """Move business time out of the hours in which a test could run into midnight."""
    if not 8 <= gateway.gateway.clock.now().astimezone(WIB).hour < 22:
        to_noon(gateway)


def to_noon(gateway: RunningGateway) -> datetime:
    """Move business time on to the next noon in Jakarta."""
    now = gateway.gateway.clock.now().astimezone(WIB)
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    return _move(gateway, noon if noon > now else noon + timedelta(days=1))


def to_midnight(gateway: RunningGateway) -> datetime:
    """Move business time to the first second of Jakarta's next day, when what was paid today counts as settled."""
    now = gateway.gateway.clock.now().astimezone(WIB)
    return _move(gateway, (now + timedelta(days=1)).replace(hour=0, minute=0, second=1, microsecond=0))


def _move(gateway: RunningGateway, moment: datetime) -> datetime:
    gateway.control("POST", "/clock", {"set": moment.isoformat()})
    return moment


@dataclass(frozen=True)
class CardPage:
    """A page as the merchant remembers it. `path` is where its buyer goes, without the host."""

    invoice: str
    request_id: str
    path: str

    @property
    def payment_id(self) -> str:
        return self.path.rpartition("/")[2]


class CardMerchant:
    """One merchant at a running gateway."""

    def __init__(self, gateway: RunningGateway, listener: Listener | None = None, **options: Any) -> None:
        self.gateway = gateway
        self.listener = listener
        number = next(_numbers)
        assert number < _CLIENTS
        self.client_id = _client_id(number)
        url = listener.url(f"/notify/{number}") if listener else None
        now = gateway.gateway.clock.now()
        gateway.database.transact_now(
            lambda tx: create(tx, name="Toko Kartu", client_id=self.client_id, secret_key=KEY, notification_url=url, now=now)
        )
        self.choose_options(**options)

    def choose_options(self, **options: Any) -> None:
        """Set the merchant's card options, as the command line would."""
        read_options(options)
        kept = MerchantOptions(channels={"CREDIT_CARD": options})
        self.gateway.database.transact_now(lambda tx: update(tx, self.client_id, options=kept))
        self.gateway.gateway.directory.forget()

    def call(self, path: str, body: object, *, request_id: str | None = None, method: str = "POST") -> Answer:
        """A signed call."""
        return self.gateway.signed(
            method, path, body, client_id=self.client_id, secret_key=KEY, request_id=request_id or str(uuid.uuid4())
        )

    def status(self, invoice_or_request_id: str) -> Any:
        """Check status; its JSON."""
        answer = self.call("/orders/v1/status/" + quote(invoice_or_request_id, safe=""), None, method="GET")
        assert answer.status == 200, answer.body
        return answer.json

    # -- by page

    def page(self, *, invoice: str | None = None, amount: int = 90_000, **body: Any) -> CardPage:
        """Open a payment page."""
        number = invoice or f"INV-{uuid.uuid4().hex[:16]}"
        request_id = str(uuid.uuid4())
        sent = {
            "order": {"invoice_number": number, "amount": amount},
            "customer": {"id": "CUST-1", "name": "Anton Budiman", "email": "anton@example.com"},
        } | body
        answer = self.call(PAGE, sent, request_id=request_id)
        assert answer.status == 200, answer.body
        return CardPage(number, request_id, urlsplit(answer.json["credit_card_payment_page"]["url"]).path)

    def submit(self, page: CardPage, number: str = APPROVED, *, cvv: str | None = None, form: str = "", **fields: str) -> Answer:
        """Press Pay with a new card."""
        year = self.gateway.gateway.clock.now().year + 2
        sent = {
            "action": "pay",
            "choice": "new",
            "number": number,
            "expiry": f"12/{year % 100:02}",
            "cvv": cvv or CVV,
            "form": form or uuid.uuid4().hex,
        } | fields
        return post_form(self.gateway, page.path, **sent)

    def paid(self, number: str = APPROVED, *, amount: int = 90_000, **body: Any) -> CardPage:
        """An order whose card was charged without a question."""
        page = self.page(amount=amount, **body)
        answer = self.submit(page, number)
        assert answer.status == 303, answer.body
        return page

    def authorised(self, number: str = APPROVED, *, amount: int = 90_000, **body: Any) -> tuple[CardPage, str]:
        """An order whose money is reserved, and its authorize_id."""
        page = self.paid(number, amount=amount, payment={"type": "AUTHORIZE"}, **body)
        return page, self.status(page.invoice)["card_payment"]["authorize_id"]

    def capture(self, authorize_id: str, amount: Any = None, *, request_id: str | None = None) -> Answer:
        """Take what was reserved; the field is left out when there is no amount."""
        payment = {"authorize_id": authorize_id} | ({} if amount is None else {"capture_amount": amount})
        return self.call(CAPTURE, {"payment": payment}, request_id=request_id)

    def refund(self, page: CardPage, amount: Any, *, request_id: str | None = None) -> Answer:
        """Void or refund."""
        return self.call(REFUND, refund_body(page, amount), request_id=request_id)

    # -- looking behind it

    def state(self, page: CardPage) -> str:
        """Where the payment stands inside."""
        return self.gateway.database.read_now(lambda tx: get_payment(tx, page.payment_id)[1].state.value)

    def taken(self, page: CardPage) -> int:
        """What the pretend acquirer has of the buyer's money, by its own books."""
        return self.gateway.database.read_now(lambda tx: simulator.taken(tx, page.payment_id))

    def reserved(self, page: CardPage) -> int:
        """What it holds back on the buyer's card."""
        return self.gateway.database.read_now(lambda tx: simulator.reserved(tx, page.payment_id))

    def choose(
        self, page: CardPage, *, three_ds: str | None = None, response_code: str | None = None, follow_up_code: str | None = None
    ) -> None:
        """Decide beforehand what bank and acquirer will say about the payment."""
        self.gateway.database.transact_now(
            lambda tx: simulator.choose(
                tx, page.payment_id, three_ds=three_ds, response_code=response_code, follow_up_code=follow_up_code
            )
        )

    def balance(self, name: str = "payable") -> int:
        """What one of the merchant's ledger accounts holds."""
        return self.gateway.database.read_now(lambda tx: balance_of(tx, account("merchant", self.client_id, name)))

    def fees(self) -> int:
        """What this installation has earned with cards: credits less debits of the fee account."""

        def look(tx: Tx) -> int:
            debits, credits = statement(tx).get(account("fee", "CREDIT_CARD"), (0, 0))
            return credits - debits

        return self.gateway.database.read_now(look)

    def spend(self, amount: int) -> None:
        """Take money out of the merchant's account, as a payout would."""
        now = self.gateway.gateway.clock.now()
        transfer = Transfer(account("merchant", self.client_id, "payable"), account("bank", "payout"), Rupiah(amount), "payout")
        self.gateway.database.transact_now(lambda tx: post(tx, [transfer], cause=f"out_{uuid.uuid4().hex}", now=now))

    def told(self, count: int, timeout_s: float = 10.0) -> list[Received]:
        """This merchant's notifications, once there are so many; fails when there are more."""
        assert self.listener is not None
        deadline = time.monotonic() + timeout_s
        while True:
            mine = [one for one in self.listener.received() if one.header("Client-Id") == self.client_id]
            if len(mine) >= count or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        assert len(mine) == count, [one.json()["transaction"] for one in mine]
        assert {one.signature for one in mine} <= {"valid"}
        return mine

    # -- host-to-host

    def authenticate(self, number: str = APPROVED, *, amount: int = 90_000, path: str = CHECK_3DS, **body: Any) -> Answer:
        """Start 3-D Secure."""
        sent = {
            "order": {"amount": amount},
            "card": {"number": number, "expiry": self.expiry},
            "three_dsecure": {
                "callback_url_success": "https://toko.test/ok?a=1",
                "callback_url_failed": "https://toko.test/no?b=2",
            },
        } | body
        return self.call(path, sent)

    def authentication(self, number: str = APPROVED, *, amount: int = 90_000) -> str:
        """An authentication that went through; its id."""
        answer = self.authenticate(number, amount=amount)
        assert answer.status == 200, answer.body
        started = answer.json["three_dsecure"]
        location = walk_bank(self.gateway, started["authentication_url"])
        assert location.startswith("https://toko.test/ok"), location
        return str(started["authentication_id"])

    def charge(
        self,
        authentication_id: str | None = None,
        *,
        invoice: str | None = None,
        amount: int = 90_000,
        request_id: str | None = None,
        **body: Any,
    ) -> Answer:
        """Charge a card; by default the authenticated one, with its CVV alone."""
        sent: dict[str, Any] = {"order": {"invoice_number": invoice or f"INV-{uuid.uuid4().hex[:16]}", "amount": amount}}
        if authentication_id is not None:
            sent |= {"three_dsecure": {"authentication_id": authentication_id}, "card": {"cvv": CVV}}
        return self.call(CHARGE, sent | body, request_id=request_id)

    def save_card(self, number: str = APPROVED, *, customer: str = "CUST-1", **form: str) -> str:
        """A token, from a payment with card.save."""
        page = self.page(customer={"id": customer, "email": "a@example.com"}, card={"save": True})
        answer = self.submit(page, number, **form)
        assert answer.status == 303, answer.body
        return str(self.status(page.invoice)["card_payment"]["token_id"])

    @property
    def expiry(self) -> str:
        """MMYY, in two years."""
        return f"12{(self.gateway.gateway.clock.now().year + 2) % 100:02}"


def refund_body(page: CardPage, amount: Any) -> dict[str, Any]:
    return {
        "order": {"invoice_number": page.invoice},
        "payment": {"original_request_id": page.request_id},
        "refund": {"amount": amount},
    }


def post_form(gateway: RunningGateway, address: str, **fields: str) -> Answer:
    """A form as a browser without JavaScript posts it."""
    parts = urlsplit(address)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return gateway.request("POST", parts.path, urlencode(fields).encode(), headers)


def field_of(answer: Answer, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}"[^>]*value="([^"]*)"', answer.body.decode())
    assert found is not None, answer.body.decode()[-2_000:]
    return unescape(found[1])


def form_action(answer: Answer, part: str) -> str:
    """Where the form whose address contains `part` leads."""
    found = re.search(rf'<form[^>]*action="([^"]*{re.escape(part)}[^"]*)"', answer.body.decode())
    assert found is not None, answer.body.decode()[-2_000:]
    return unescape(found[1])


def answer_bank(gateway: RunningGateway, opener: Answer, *, session: str = "", code: str = "123456") -> Answer:
    """From a page that leads to the bank, through the bank's page, back to us: what our address answers."""
    acs_url = form_action(opener, "/simulators/bank/")
    asked = post_form(gateway, acs_url, threeDSSessionData=session, lang="en")
    assert asked.status == 200, asked.body
    ended = post_form(gateway, acs_url, session=session, action="verify", code=code, step=field_of(asked, "step"), lang="en")
    assert ended.status == 200, ended.body
    back = form_action(ended, "/credit-card/3ds/")
    return post_form(gateway, back, cres=field_of(ended, "cres"), threeDSSessionData=session)


def walk_bank(gateway: RunningGateway, authentication_url: str, *, code: str = "123456") -> str:
    """Where a host-to-host buyer ends up, sent to the authentication_url."""
    opened = gateway.request("GET", urlsplit(authentication_url).path)
    if opened.status != 303:
        opened = answer_bank(gateway, opened, code=code)
    assert opened.status == 303, (opened.status, opened.body)
    return str(opened.headers["location"])


def body_of(received: Received) -> dict[str, Any]:
    """A notification's body, with the order of its keys."""
    told: dict[str, Any] = json.loads(received.body)
    return told


def keys(block: Mapping[str, Any]) -> list[str]:
    return list(block)
