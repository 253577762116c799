"""A customer's whole life with a partner of the DOKU Wallet: the partner with `SnapClient`, the customer in a real browser.

Nothing is reached into: the partner is registered and the clock moved as a tester does it, over the control API. One-time passwords are
random and read from the sandbox's inbox. GERBANG_SCREENSHOTS=DIR keeps a picture of every page.
"""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from gerbang.client import DokuError, SnapClient, SnapCustomer, verify_snap_notification, verify_token_request
from gerbang.web import i18n
from gerbang.web.views import Lang
from support.gateway import RunningGateway, lent_gateway
from support.listener import Listener
from support.notifying import eventually
from support.snap import PRIVATE_PEM, PUBLIC_PEM
from support.snap_merchant import NOTIFY_PATH, SnapMerchant
from support.windows import Windows

pytestmark = pytest.mark.browser

CLIENT_ID, SECRET_KEY = "BRN-0331-1711843200000", "SK-pasar-senja-0331"
SHOP = "Pasar Senja"
NAME, PIN, WRONG_PIN = "Rina Kusuma", "274913", "918273"
DAY_S = 86_400
VIEWS: tuple[tuple[str, Lang], ...] = (("phone", "id"), ("desktop", "en"))


@dataclass
class Browsing:
    """The customer's browser. Every page it comes to has to be accessible, in the customer's language, and fit the window."""

    page: Page
    lang: Lang
    device: str
    seen: list[str] = field(default_factory=list)

    def open(self, url: str, name: str) -> None:
        answer = self.page.goto(f"{url}{'&' if '?' in url else '?'}lang={self.lang}")
        assert answer is not None
        assert answer.status == 200, url
        self.look(name)

    def look(self, name: str) -> None:
        expect(self.page.locator("html")).to_have_attribute("lang", self.lang)
        if name in self.seen:
            return  # looking costs seconds
        violations = Axe().run(self.page)["violations"]
        assert violations == [], (name, [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations])
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} scrolls sideways by {wide} px"
        self.seen.append(name)
        directory = os.environ.get("GERBANG_SCREENSHOTS")
        if directory:
            Path(directory).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{directory}/life-{name}-{self.device}-{self.lang}.png", full_page=True)

    def says(self, key: str, **values: object) -> None:
        expect(self.page.locator("main")).to_contain_text(i18n.text(self.lang, key, **values))

    def press(self, action: str, **typed: str) -> None:
        for name, value in typed.items():
            self.page.locator(f"[name={name}]").fill(value)
        self.page.locator(f"button[name=action][value={action}]").click()

    def sent_back(self, to: str) -> dict[str, str]:
        """What the address says that the browser was sent to, once it is there."""
        self.page.wait_for_url(lambda url: url.startswith(to))
        query = parse_qs(urlsplit(self.page.url).query, strict_parsing=True)
        assert all(len(values) == 1 for values in query.values()), self.page.url
        return {name: values[0] for name, values in query.items() if name != "screen"}

    def one_time_password(self, gateway: RunningGateway, phone: str) -> str:
        """Read from the newest message on the customer's phone, which is the sandbox's inbox."""
        self.open(f"{gateway.url}/simulators/sms?phone={phone}", "inbox")
        return str(self.page.locator(".message [data-copies]").first.get_attribute("data-copies"))


@pytest.fixture(
    params=[VIEWS[0], *[pytest.param(view, marks=pytest.mark.proof) for view in VIEWS[1:]]], ids=lambda view: "-".join(view)
)
def browsing(windows: Windows, request: pytest.FixtureRequest) -> Browsing:
    device, lang = request.param
    return Browsing(windows.open(device), lang, device)


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    """A sandbox whose one-time passwords are random, as in production; verified at the end."""
    with lent_gateway(fixed_otp="", poll_interval_s=0.05) as running:
        yield running


@pytest.fixture
def partner() -> Iterator[SnapMerchant]:
    """The partner's server, which checks what it is told with code of its own."""
    with SnapMerchant(client_id=CLIENT_ID, secret_key=SECRET_KEY, private_pem=PRIVATE_PEM) as running:
        yield running


@dataclass
class World:
    """The partner's application."""

    gateway: RunningGateway
    partner: SnapMerchant
    client: SnapClient
    gateway_key: str
    back: str
    phone: str

    def account(self, account_id: str) -> Any:
        """A wallet account as the tester sees it."""
        return self.gateway.control("GET", f"/accounts/{account_id}")


@pytest.fixture
def world(gateway: RunningGateway, partner: SnapMerchant, listener: Listener) -> World:
    keys = gateway.control(
        "POST",
        "/merchants",
        {
            "name": SHOP,
            "client_id": CLIENT_ID,
            "secret_key": SECRET_KEY,
            "snap_public_key": PUBLIC_PEM,
            "snap_token_url": partner.token_url,
            "notification_url": partner.notification_url,
        },
    )
    gateway.control("POST", f"/merchants/{CLIENT_ID}/balance", {"amount": 5_000_000})
    client = SnapClient(gateway.url, CLIENT_ID, SECRET_KEY, PRIVATE_PEM)
    phone = f"0813{uuid.uuid4().int % 10**8:08d}"
    return World(gateway, partner, client, keys["gateway_public_key"], listener.url("/kembali?screen=wallet"), phone)


def ref() -> str:
    return str(uuid.uuid4())


def refusal(call: Any) -> str:
    """The response code of a call that must be refused."""
    with pytest.raises(DokuError) as refused:
        call()
    return str(refused.value.code)


# -- the chapters, in order


def registers(world: World, browsing: Browsing) -> str:
    """S1-16 … S1-39: account creation, OTP, the PIN page. The DOKU ID."""
    own = ref()
    opening = world.client.create_account(
        reference=own, name=NAME, phone=world.phone, email="rina@example.id", redirect_url=world.back
    )
    otp = browsing.one_time_password(world.gateway, world.phone)
    wrong = f"{(int(otp) + 1) % 1_000_000:06d}"
    assert refusal(lambda: world.client.verify_otp(opening, wrong)) == "4040415"
    verified = world.client.verify_otp(opening, otp)
    assert verified.page_url is not None

    browsing.open(verified.page_url, "create-pin")
    browsing.press("save", pin="123456", repeat="123456")
    browsing.says("pin_weak")
    browsing.look("create-pin-weak")
    browsing.press("save", pin=PIN, repeat=PIN)

    back = browsing.sent_back(world.back)
    assert (back["partnerReferenceNo"], back["status"]) == (own, "SUCCESS")
    opened = world.account(back["accountId"])
    assert (opened["level"], opened["balance"]) == ("BASIC", 0)
    return back["accountId"]


def consents(world: World, browsing: Browsing, account_id: str) -> tuple[SnapCustomer, str]:
    """S1-40 … S1-57: binding page, auth code, B2B2C token. The customer, and the link's id."""
    assert refusal(lambda: world.client.find_binding(account_id=account_id)) == "4040811"
    own = ref()
    asked = world.client.bind_account(reference=own, redirect_url=world.back, account_id=account_id)
    browsing.open(asked.url, "bind")
    browsing.says("bind_title", partner=SHOP)
    browsing.press("bind", pin=PIN)

    back = browsing.sent_back(world.back)
    assert back["partnerReferenceNo"] == own
    customer = world.client.customer(account_id=account_id, auth_code=back["authCode"])
    assert refusal(lambda: world.client.exchange_auth_code(back["authCode"])) == "4017400", "a code is good once"
    browsing.open(asked.url, "bound")
    browsing.says("bound", partner=SHOP)
    link_id = world.client.find_binding(account_id=account_id).link_id
    assert link_id == asked.link_id
    return customer, link_id


def is_topped_up(customer: SnapCustomer, account_id: str, amount: int) -> str:
    """S1-69 … S1-78, S1-106 … S1-132: balance, top-up inquiry, top-up, its status. The partner's reference."""
    assert customer.balance().available == 0
    offer = customer.inquire_top_up(receiver=account_id, amount=amount)
    assert offer.name == NAME
    own = ref()
    done = customer.top_up(reference=own, receiver=account_id, amount=amount, session_id=offer.session_id)
    assert done.amount == amount
    assert customer.top_up_status(own).is_done
    balance = customer.balance()
    assert (balance.account_id, balance.name, balance.available, balance.held) == (account_id, NAME, amount, 0)
    return own


def buys(world: World, browsing: Browsing, customer: SnapCustomer, amount: int) -> str:
    """S1-133 … S1-156: purchase, the PIN on its page, query payment. The partner's reference."""
    own = ref()
    opened = customer.purchase(reference=own, amount=amount, return_url=world.back)
    assert customer.purchase_status(own).status == "01"
    browsing.open(opened.url, "purchase")
    browsing.says("pay_with_pin")
    browsing.press("pay", pin=WRONG_PIN)
    browsing.says("pin_wrong")
    browsing.look("purchase-wrong-pin")
    assert not customer.purchase_status(own).is_paid
    browsing.press("pay", pin=PIN)

    back = browsing.sent_back(world.back)
    assert back == {"partnerReferenceNo": own, "referenceNo": opened.reference_no, "status": "SUCCESS"}
    paid = customer.purchase_status(own)
    assert (paid.is_paid, paid.amount, paid.reference_no) == (True, amount, opened.reference_no)
    assert paid.paid_at is not None
    return own


def is_told(world: World, purchase: str, amount: int, account_id: str) -> None:
    """Service 73 the other way round, then 56: both calls are genuine, by the partner's own check and by the client's."""
    asked, told = world.partner.wait_for(2, timeout_s=30)
    assert world.partner.asked_rightly(asked, world.gateway_key)
    assert world.partner.signed_rightly(told, world.partner.tokens[0])
    verify_token_request(dict(asked.headers), client_id=CLIENT_ID, gateway_public_key=world.gateway_key)
    note = verify_snap_notification(
        dict(told.headers), told.body, SECRET_KEY, target=NOTIFY_PATH, client_id=CLIENT_ID, token_key=PRIVATE_PEM
    )
    assert (note.reference, note.is_paid, note.amount, note.account_id) == (purchase, True, amount, account_id)
    kept = f"/notifications?client_id={CLIENT_ID}&invoice_number={purchase}"
    eventually(lambda: [one["state"] for one in world.gateway.control("GET", kept)["notifications"]] == ["DELIVERED"])


def is_refunded(customer: SnapCustomer, purchase: str, amount: int) -> str:
    """S1-168: part of a settled purchase. The partner's reference."""
    own = ref()
    assert customer.refund_purchase(purchase, refund_reference=own, reason="pecah", amount=amount).amount == amount
    status = customer.purchase_status(purchase)
    assert [(one.reference, one.amount, one.status) for one in status.refunds] == [(own, amount, "00")]
    assert status.is_paid, "a purchase refunded in part is still paid"
    return own


def is_upgraded(world: World, browsing: Browsing, account_id: str) -> None:
    """The identity that transfers ask for, given on the wallet's own page."""
    browsing.open(f"{world.gateway.url}/wallet/upgrade", "upgrade")
    browsing.press("login", phone=world.phone, pin=PIN)
    browsing.look("upgrade-identity")
    identity = {"nik": "3273014502950001", "birth_place": "Bandung", "birth_date": "1995-02-05", "address": "Jl. Merdeka 1"}
    browsing.press("submit", **identity)
    browsing.says("upgraded")
    browsing.look("upgraded")
    assert world.account(account_id)["level"] == "PREMIUM"


def sends_to_bank(customer: SnapCustomer, account_id: str, amount: int) -> str:
    """S1-79 … S1-105: whose account it is, then the transfer. The partner's reference."""
    to = customer.find_bank_account(payer=account_id, bank_code="014", account_number="8610123457", amount=amount)
    own = ref()
    sent = customer.transfer_to_bank(reference=own, payer=account_id, amount=amount, to=to)
    assert not sent.in_progress
    assert sent.bank_reference
    return own


def leaves(world: World, browsing: Browsing, customer: SnapCustomer, account_id: str, link_id: str) -> None:
    """S1-58 … S1-68: unbinding with an OTP; afterwards every token of the customer is dead."""
    tokens = customer.tokens()
    unbinding = world.client.unbind_account(reference=ref(), link_id=link_id)
    assert customer.balance().available > 0, "asking for it ends nothing yet"
    world.client.verify_otp(unbinding, browsing.one_time_password(world.gateway, world.phone))

    assert refusal(lambda: world.client.customer(tokens=tokens).balance()) == "4011102"
    assert refusal(lambda: world.client.refresh(tokens.refresh_token)) == "4017402"
    assert refusal(lambda: world.client.find_binding(account_id=account_id)) == "4040811"
    assert refusal(customer.balance) == "4040811", "neither does the client find another way in"


def test_a_customer_registers_pays_and_leaves_and_every_rupiah_is_accounted_for(world: World, browsing: Browsing) -> None:
    """S1-16 … S1-194."""
    gateway = world.gateway
    account_id = registers(world, browsing)
    customer, link_id = consents(world, browsing, account_id)
    topped_up = is_topped_up(customer, account_id, 500_000)
    purchase = buys(world, browsing, customer, 179_000)
    assert customer.balance().available == 321_000
    is_told(world, purchase, 179_000, account_id)

    early = ref()
    assert refusal(lambda: customer.refund_purchase(purchase, refund_reference=early, reason="pecah", amount=1_000)) == "4045800"
    gateway.control("POST", "/clock", {"advance_s": DAY_S})  # settled; every access token is over, and renewed by the client
    refund = is_refunded(customer, purchase, 45_000)
    assert refusal(lambda: sends_to_bank(customer, account_id, 66_000)).startswith("403"), "a basic account sends nothing"
    is_upgraded(world, browsing, account_id)
    transfer = sends_to_bank(customer, account_id, 66_000)
    assert customer.balance().available == 300_000

    lines = customer.history()
    assert [line.reference for line in lines] == [transfer, refund, purchase, topped_up], "newest first"
    assert {line.status for line in lines} == {"SUCCESS"}
    assert [line.amount for line in lines] == [66_000, 45_000, 179_000, 500_000]
    for line in lines:
        assert line.reference is not None
        detail = customer.history_detail(line.reference)
        assert (detail.amount, detail.type, detail.reference_no) == (line.amount, line.type, line.reference_no)
    leaves(world, browsing, customer, account_id, link_id)

    assert world.account(account_id)["balance"] == 300_000, "the wallet stays the customer's"
    assert gateway.control("GET", "/verify") == {"ok": True, "problems": []}
    assert len(world.partner.notifications) == 1, "the purchase was told once, and nothing else"
    assert set(browsing.seen) >= {"inbox", "create-pin", "bind", "bound", "purchase", "upgrade-identity", "upgraded"}
