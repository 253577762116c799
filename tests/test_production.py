"""Production mode: what must not be there is not there, and what protects a buyer's PIN and money holds."""

import html
import logging
import re
import sys
import types
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from gerbang.app import Gateway
from gerbang.channel import all_channels
from gerbang.errors import Reason, Refused
from gerbang.merchants import MerchantOptions, create, list_all, update
from gerbang.money import Rupiah
from gerbang.sandbox.api import control_endpoints
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.sandbox.time import move, write_offset
from gerbang.settings import SANDBOX_SECRET_KEY, BadSettings, Settings, load_settings
from gerbang.wallet import Account, Level, PinHasher, balance, create_account, list_accounts, top_up
from gerbang.wallet.demo import DEMO_ACCOUNTS, DEMO_PIN
from support.gateway import NOON, Answer, RunningGateway, assert_clean
from support.listener import Listener
from support.notifying import a_merchant, eventually

pytestmark = pytest.mark.slow


CLIENT, SECRET = "BRN-0002-1", "SK-ofThisMerchantAlone"
PHONE, PIN = "081311112222", "904817"
PAYMENT = "/dokuwallet-emoney/v1/payment"


def production(directory: Path, **given: Any) -> Settings:
    """Settings that production starts with."""
    safe = {
        "mode": "production",
        "encryption_key": "a key of this installation alone, 32+",
        "public_url": "https://pay.example.id",
    }
    return load_settings(env={}, given={**safe, "data": str(directory / "gerbang.db"), **given})


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway in production with one merchant and one customer, who has Rp 100.000."""
    settings = production(tmp_path, notification_connect_timeout_s=2)
    served = RunningGateway(settings)
    pin_hash = PinHasher(settings.key("pin")).hash(PIN)

    def fill(tx: Any) -> None:
        create(tx, name="Toko Pagi", client_id=CLIENT, secret_key=SECRET, now=NOON)
        customer = create_account(tx, phone=PHONE, name="Rini", level=Level.BASIC, pin_hash=pin_hash, now=NOON)
        top_up(tx, customer, Rupiah(100_000), limits=served.gateway.limits, now=NOON)

    served.database.transact_now(fill)
    yield served
    try:
        assert_clean(served.database)
    finally:
        served.stop()


def customer_of(running: RunningGateway) -> Account:
    [found] = running.database.read_now(list_accounts)
    return found


def an_order(running: RunningGateway, amount: int = 60_000, **order: Any) -> str:
    """The path of the payment page of a new order."""
    body = {"order": {"invoice_number": uuid.uuid4().hex, "amount": amount, **order}}
    answer = running.signed("POST", PAYMENT, body, client_id=CLIENT, secret_key=SECRET)
    assert answer.status == 200, answer.body
    url = answer.json["payment"]["url"]
    assert url.startswith("https://pay.example.id/wallet/pay/"), "wherever the call came to"
    return urlsplit(url).path


def press(running: RunningGateway, page: str, action: str, **form: str) -> Answer:
    body = urlencode({"action": action, **form}).encode()
    return running.request("POST", page, body, {"Content-Type": "application/x-www-form-urlencoded"})


def session_of(answer: Answer) -> str:
    found = re.search(r'name="session" value="([^"]+)"', answer.body.decode())
    assert found is not None, answer.body
    return html.unescape(found[1])


# -- what is not there


@pytest.mark.parametrize("endpoint", control_endpoints(), ids=lambda one: f"{one.method} {one.path}")
def test_the_control_api_is_absent(running: RunningGateway, endpoint: Any) -> None:
    answer = running.request(endpoint.method, re.sub(r"\{.*?\}", "x", endpoint.path), b"{}")

    assert answer.status == 404
    assert answer.json["message"].startswith("No static resource sandbox/v1")


@pytest.mark.parametrize("path", ["/openapi.json", "/demo", "/demo/", "/demo/notifications", "/docs", "/metrics"])
def test_nothing_else_of_the_sandbox_is_served(running: RunningGateway, path: str) -> None:
    assert running.request("GET", path).status == 404


def test_no_address_is_built_from_what_a_caller_calls_us(running: RunningGateway) -> None:
    """Host, and what proxies add to it, are a stranger's word: no redirect, page or answer of the API repeats them."""
    strange = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "gopher",
        "Forwarded": "host=evil.example",
    }
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    page = an_order(running, auto_redirect=True)
    paths = [page, "/healthz", "/help", "/favicon.ico", "/how-to-pay/x", "/credit-card/pay/x", "/", "/nothing", PAYMENT]

    answers = [
        running.request("GET", spelt, headers=strange) for path in paths for spelt in (path, path + "/", "/" + path, path + "//")
    ]
    answers += [
        running.request("POST", page, urlencode({"action": what}).encode(), form | strange) for what in ("lang", "cancel", "")
    ]
    body = {"order": {"invoice_number": uuid.uuid4().hex, "amount": 60_000}}
    answers.append(running.signed("POST", PAYMENT, body, client_id=CLIENT, secret_key=SECRET, headers=strange))

    assert answers[-1].status == 200
    for answer in answers:
        assert b"evil" not in answer.body
        assert not any("evil" in value or "gopher" in value for value in answer.headers.values())


def test_there_is_no_demo_data(tmp_path: Path) -> None:
    gateway = Gateway(production(tmp_path))
    try:
        assert gateway.database.read_now(list_all) == []
        assert gateway.database.read_now(list_accounts) == []
    finally:
        gateway.close()


def test_the_page_shows_no_demo_accounts_and_fills_in_no_pin(running: RunningGateway) -> None:
    page = an_order(running)

    for path in (page, page + "?as=siti", page + "?as=siti&lang=en", "/help", page + "x"):
        shown = running.request("GET", path).body.decode()
        assert "Sandbox" not in shown
        assert DEMO_PIN not in shown
        assert not any(demo.phone in shown or demo.name in shown for demo in DEMO_ACCOUNTS)


def test_a_demo_account_opens_nothing(running: RunningGateway) -> None:
    answer = press(running, an_order(running), "login", phone=DEMO_ACCOUNTS[0].phone, pin=DEMO_PIN)

    assert answer.status == 422
    assert b'name="session"' not in answer.body


def test_the_page_makes_no_money(running: RunningGateway) -> None:
    page = an_order(running, 150_000)
    short = press(running, page, "login", phone=PHONE, pin=PIN)
    assert short.status == 200
    assert b'value="topup"' not in short.body
    assert b'value="pay"' not in short.body

    answer = press(running, page, "topup", session=session_of(short))

    assert answer.status == 303
    assert running.database.read_now(lambda tx: balance(tx, customer_of(running).id)) == 100_000


def test_the_clock_stands_still_whatever_the_database_says(running: RunningGateway, tmp_path: Path) -> None:
    def ask(tx: Any) -> None:
        move(tx, running.gateway.settings, advance_s=3_600)

    with pytest.raises(Refused) as refused:
        running.database.transact_now(ask)
    assert refused.value.reason is Reason.CLOCK_NOT_MOVABLE

    running.database.transact_now(lambda tx: write_offset(tx, timedelta(days=1)))
    second = Gateway(running.gateway.settings, background=False)
    try:
        for gateway in (running.gateway, second):
            assert gateway.clock.offset == timedelta(0)
    finally:
        second.close()


# -- what it refuses to start with


def test_it_does_not_start_on_the_data_of_a_sandbox(tmp_path: Path) -> None:
    """Its accounts have a PIN that everybody knows and money that nobody paid in, whatever became of its merchant's key."""
    sandbox = Gateway(load_settings(env={}, given={"data": str(tmp_path / "gerbang.db")}))
    sandbox.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, secret_key="SK-changed"))
    sandbox.close()

    with pytest.raises(BadSettings, match="sandbox"):
        Gateway(production(tmp_path))


def test_it_does_not_start_with_the_sandboxs_secret_key(tmp_path: Path) -> None:
    gateway = Gateway(production(tmp_path))
    gateway.database.transact_now(lambda tx: create(tx, name="Toko", secret_key=SANDBOX_SECRET_KEY, now=NOON))
    gateway.close()

    with pytest.raises(BadSettings, match="secret key"):
        Gateway(production(tmp_path))


def test_it_does_not_serve_the_demo_shop(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="demo shop"):
        Gateway(production(tmp_path), demo_base_url="http://127.0.0.1:8080")


# -- cards

VAULT_KEY = "a vault key of this installation, 32+"


def provider(_parts: Any) -> tuple[Any, Any]:
    """An operator's card provider that nothing is asked of."""
    return object(), object()


@pytest.fixture
def card_provider(monkeypatch: pytest.MonkeyPatch) -> str:
    """A `card_provider` that can be loaded."""
    module = types.ModuleType("an_operators_cards")
    module.make = provider  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return "an_operators_cards:make"


def test_without_a_card_provider_there_are_no_cards(running: RunningGateway) -> None:
    body = {"order": {"invoice_number": "INV-1", "amount": 1_000}, "customer": {"email": "a@example.com"}}

    for endpoint in all_channels()["CREDIT_CARD"].endpoints:
        answer = running.signed("POST", endpoint.path, body, client_id=CLIENT, secret_key=SECRET)
        assert (answer.status, answer.json) == (404, {"message": f"No static resource {endpoint.path.lstrip('/')}"})
    for path in ("/credit-card/pay/pay_x", "/credit-card/3ds/x", "/simulators/bank/x"):
        assert running.request("GET", path).status == 404
    assert "CREDIT_CARD" not in running.gateway.rooms
    assert running.gateway.vault is None


def test_a_card_provider_brings_the_pages_and_no_pretend_bank(tmp_path: Path, card_provider: str) -> None:
    served = RunningGateway(production(tmp_path, card_provider=card_provider, vault_key=VAULT_KEY))
    try:
        served.database.transact_now(lambda tx: create(tx, name="Toko", client_id=CLIENT, secret_key=SECRET, now=NOON))
        body = {"order": {"invoice_number": "INV-1", "amount": 1_000}, "customer": {"email": "a@example.com"}}
        opened = served.signed("POST", "/credit-card/v1/payment-page", body, client_id=CLIENT, secret_key=SECRET)
        page = urlsplit(opened.json["credit_card_payment_page"]["url"]).path
        shown = served.request("GET", page)

        assert shown.status == 200
        assert b"andbox" not in shown.body, "no bar with test cards, no hint of one"
        assert b"4111" not in shown.body
        assert served.request("GET", "/simulators/bank/x").status == 404
        form = {
            "choice": "new",
            "number": "4111111111111111",
            "expiry": f"12/{NOON.year % 100 + 4}",
            "cvv": "739",
            "form": "f" * 32,
        }
        refused = press(served, page, "pay", **form)
        assert refused.status == 422
        assert served.database.read_now(lambda tx: tx.all("select 1 as one from vault_card")) == [], "a test card is kept nowhere"
    finally:
        served.stop()


def test_cards_need_a_vault_key_and_the_refusal_says_how_to_make_one(tmp_path: Path, card_provider: str) -> None:
    with pytest.raises(BadSettings, match="vault_key or vault_key_file; try: openssl rand -base64 32"):
        Gateway(production(tmp_path, card_provider=card_provider))


@pytest.mark.parametrize("key", ["short", "c2hvcnQ="])
def test_a_vault_key_that_is_too_short_is_refused_without_being_quoted(tmp_path: Path, card_provider: str, key: str) -> None:
    with pytest.raises(BadSettings, match="vault_key") as refused:
        Gateway(production(tmp_path, card_provider=card_provider, vault_key=key))

    assert key not in str(refused.value)


def test_another_vault_key_than_the_cards_were_stored_with_is_noticed_at_the_start(tmp_path: Path, card_provider: str) -> None:
    Gateway(production(tmp_path, card_provider=card_provider, vault_key=VAULT_KEY)).close()

    with pytest.raises(BadSettings, match="does not open"):
        Gateway(production(tmp_path, card_provider=card_provider, vault_key="another vault key of 32 characters+"))


@pytest.mark.parametrize("named", ["no_such_module_here:make", "sys:make", "an_operators_cards", "an_operators_cards:"])
def test_a_card_provider_that_cannot_be_loaded_is_named(tmp_path: Path, card_provider: str, named: str) -> None:
    with pytest.raises(BadSettings, match=re.escape(f"card_provider {named!r} cannot be loaded")):
        Gateway(production(tmp_path, card_provider=named, vault_key=VAULT_KEY))


# -- the buyer's page


def test_who_may_frame_the_page_is_whom_the_merchant_names(running: RunningGateway) -> None:
    page = an_order(running)

    alone = running.request("GET", page).headers
    assert "frame-ancestors 'none'" in alone["content-security-policy"]
    assert alone["x-frame-options"] == "DENY"

    options = MerchantOptions(frame_ancestors="https://toko.example")
    running.database.transact_now(lambda tx: update(tx, CLIENT, options=options))
    framed = running.request("GET", page).headers
    assert framed["content-security-policy"].endswith("frame-ancestors https://toko.example")
    assert "x-frame-options" not in framed


def test_a_pin_and_a_session_are_never_echoed_logged_or_stored(
    running: RunningGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    page = an_order(running)

    answers = [
        press(running, page, "login", phone="", pin=PIN),
        press(running, page, "login", phone="12", pin=PIN),
        press(running, page, "login", phone="081399998888", pin=PIN),
        press(running, page, "login", phone=PHONE, pin="314159"),
        press(running, page, "login", phone=PHONE, pin=PIN),
    ]
    session = session_of(answers[-1])
    paid = press(running, page, "pay", session=session)

    assert [answer.status for answer in answers] == [422, 422, 422, 422, 200]
    assert paid.status == 303
    shown = b"".join([*(answer.body for answer in answers), running.request("GET", page).body])
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("gerbang.db*"))
    for pin in (PIN, "314159"):
        assert pin.encode() not in shown
        assert pin not in caplog.text
        # Six digits alone may stand in an id or a hash by chance.
        assert not re.search(rb"(?<![0-9A-Za-z+/$])" + pin.encode() + rb"(?![0-9A-Za-z+/$])", stored)
    assert session not in caplog.text
    assert session.encode() not in stored
    assert session not in paid.headers["location"]


def test_a_session_is_good_for_its_own_payment_and_cannot_be_made_up(running: RunningGateway) -> None:
    page, other = an_order(running), an_order(running)
    session = session_of(press(running, page, "login", phone=PHONE, pin=PIN))
    forged = [session[:-2] + ("AA" if session[-2:] != "AA" else "BB"), session[4:], "A" * len(session), "", "é", "|", "===="]

    for target, sent in [(other, session), *((page, one) for one in forged)]:
        answer = press(running, target, "pay", session=sent)
        assert answer.status == 422, sent
        assert b'name="session"' not in answer.body

    assert press(running, page, "pay", session=session).status == 303
    again = press(running, page, "pay", session=session)
    assert again.status == 303, "to the result: nothing is paid twice"
    assert running.database.read_now(lambda tx: balance(tx, customer_of(running).id)) == 40_000


def test_what_a_merchant_sends_is_shown_as_text(running: RunningGateway) -> None:
    script = "\"'><script>alert(1)</script>"
    running.database.transact_now(lambda tx: update(tx, CLIENT, name=script))
    url = "https://toko.example/?a='><b>"
    for wrong in (url, "javascript:alert(1)", "data:text/html,x", "//toko.example", "https://toko.example\\@evil.example"):
        body = {"order": {"invoice_number": uuid.uuid4().hex, "amount": 1_000, "success_url": wrong}}
        assert running.signed("POST", PAYMENT, body, client_id=CLIENT, secret_key=SECRET).status == 400

    page = an_order(running, invoice_number=script, line_items=[{"name": script, "price": 60_000, "quantity": 1}])
    login = running.request("GET", page)
    confirm = press(running, page, "login", phone=PHONE, pin=PIN)
    press(running, page, "pay", session=session_of(confirm))
    for answer in (
        login,
        confirm,
        running.request("GET", page),
        running.request("GET", page + "?lang=%22%3E%3Cscript%3E&as=%3Cb"),
    ):
        assert answer.status == 200
        assert b"<script>" not in answer.body
        assert b"&lt;script&gt;" in answer.body


@pytest.mark.parametrize(
    "path", ["/wallet/pay/%00", "/wallet/pay/%ff", "/wallet/pay/" + "x" * 5_000, "/wallet/pay/%2e%2e%2fhelp"]
)
def test_a_page_that_cannot_be_is_not_found(running: RunningGateway, path: str) -> None:
    answer = running.request("GET", path)

    assert answer.status == 404
    assert b"<h1>" in answer.body or "x-content-type-options" not in answer.headers


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_a_form_that_is_too_large_is_not_taken_in(running: RunningGateway, kind: str, chunked: bool) -> None:
    if "multipart" in kind:
        part = b'--b\r\nContent-Disposition: form-data; name="action"; filename="x"\r\n\r\n' + b"x" * 4_000 + b"\r\n"
    else:
        part = b"action=" + b"x" * 4_000 + b"&"
    parts = [part] * (running.gateway.settings.max_body_bytes // 4_000 + 1)
    body: Any = iter(parts) if chunked else b"".join(parts)  # http.client sends chunks of what it cannot measure

    assert running.request("POST", an_order(running), body, {"Content-Type": kind}).status == 413


def test_a_page_that_breaks_says_so_with_a_number_that_the_log_has_and_nothing_else(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    page = an_order(running)

    async def broken(_fn: object) -> object:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(running.database, "read", broken)
    answer = running.request("GET", page + "?lang=en")
    monkeypatch.undo()

    assert answer.status == 500
    assert "Something went wrong on our side" in answer.body.decode()
    assert b"hunter2" not in answer.body
    assert b"Traceback" not in answer.body
    number = re.search(r"<code>(req_\w+)</code>", answer.body.decode())
    assert number is not None
    eventually(lambda: number[1] in caplog.text)


# -- the outside


def test_a_notification_does_not_reach_our_own_network(running: RunningGateway) -> None:
    with a_merchant() as inside:
        assert isinstance(inside, Listener)
        page = an_order(running, notify_url=inside.url("/notify"))
        press(running, page, "cancel")

        def tried() -> list[str]:
            return running.database.read_now(lambda tx: [row["error"] for row in tx.all("select error from attempt")])

        assert "is not a public address" in eventually(tried)[0]
        assert inside.received() == []
