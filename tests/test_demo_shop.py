"""The demo shop, called as an ASGI application, against a fake gateway that checks and makes signatures by itself."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from gerbang.channels.credit_card.installments import Acquirer, InstallmentOptions, plan_id
from gerbang.demo import demo_shop
from gerbang.demo.goods import METHODS, PRODUCTS, read_cart, write_cart
from gerbang.demo.orders import NEXT, OrderBook, State
from gerbang.demo.words import EVENTS, LANGUAGES, STATES, TEXT
from gerbang.payments import find_payment
from support.card_calls import BCA_CARD as BCA
from support.card_calls import answer_bank, post_form
from support.gateway import RunningGateway
from support.notifying import eventually

CLIENT_ID = "BRN-0217-1707978997886"
SECRET = "SK-demo"
PUBLIC = "http://shop.example/demo"
NOW = datetime(2026, 5, 19, 7, 32, 40, tzinfo=UTC)


def signature(lines: list[str], secret: str = SECRET) -> str:
    mac = hmac.new(secret.encode(), "\n".join(lines).encode(), hashlib.sha256).digest()
    return "HMACSHA256=" + base64.b64encode(mac).decode()


def digest_line(body: bytes) -> str:
    return "Digest:" + base64.b64encode(hashlib.sha256(body).digest()).decode()


@dataclass
class FakeGateway:
    url: str = ""
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: str = "PENDING"
    card: dict[str, Any] | None = None
    date: str = "2026-05-19T07:32:40Z"
    bodies: list[dict[str, Any]] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    refuse: bool = False
    wrong_signatures: int = 0
    status_calls: int = 0


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    fake = FakeGateway()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            lines = [f"{name}:{self.headers[name]}" for name in ("Client-Id", "Request-Id", "Request-Timestamp")]
            lines.append(f"Request-Target:{self.path}")
            if self.command == "POST":
                lines.append(digest_line(body))
            fake.wrong_signatures += self.headers["Signature"] != signature(lines)

            code, answer = 200, self.answer(body)
            if fake.refuse:
                code, answer = 400, {"error": {"code": "invalid_client_id", "message": "Invalid Client-Id", "type": "x"}}
            sent = json.dumps(answer).encode()
            lines[2] = "Response-Timestamp:2026-05-19T07:32:41Z"
            if self.command == "POST":
                lines[4] = digest_line(sent)
            self.send_response(code)
            self.send_header("Response-Timestamp", "2026-05-19T07:32:41Z")
            self.send_header("Signature", signature(lines))
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def answer(self, body: bytes) -> dict[str, Any]:
            if self.command == "POST":
                fake.bodies.append(json.loads(body))
                fake.targets.append(self.path)
                order = fake.bodies[-1]["order"]
                fake.orders[order["invoice_number"]] = order
                if self.path == "/credit-card/v1/payment-page":
                    return {
                        "order": order,
                        "credit_card_payment_page": {"url": f"https://pay.example/c/{order['invoice_number']}"},
                    }
                return {"order": order, "payment": {"url": f"https://pay.example/w/{order['invoice_number']}"}}
            fake.status_calls += 1
            order = fake.orders[unquote(self.path.rsplit("/", 1)[1])]
            return {
                "order": {"invoice_number": order["invoice_number"], "amount": order["amount"]},
                "transaction": {"status": fake.status, "date": fake.date},
            } | ({"card_payment": fake.card} if fake.card else {})

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield fake
    server.shutdown()
    server.server_close()


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Browser:
    """Calls the application in this thread; cookies are kept. A call ends when its background task has ended."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}

    def get(self, target: str, **headers: str) -> Reply:
        return asyncio.run(self._call("GET", target, b"", headers))

    def post(self, target: str, form: dict[str, str] | bytes, **headers: str) -> Reply:
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        return asyncio.run(self._call("POST", target, body, headers))

    async def _call(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Reply:
        parts = urlsplit(target)
        sent = {"host": "shop.example", **{name.replace("_", "-").lower(): value for name, value in headers.items()}}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "server": ("shop.example", 80),
            "client": ("127.0.0.1", 1),
        }
        messages: list[Any] = []
        received = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            return next(received)

        async def send(message: Any) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        answered = [(name.decode().lower(), value.decode()) for name, value in messages[0]["headers"]]
        for name, value in answered:
            if name == "set-cookie":
                self.cookies |= {key: morsel.value for key, morsel in SimpleCookie(value).items()}
        body = b"".join(message.get("body", b"") for message in messages[1:])
        return Reply(messages[0]["status"], dict(answered), body)


@pytest.fixture
def browser(gateway: FakeGateway) -> Browser:
    shop = demo_shop(gateway_url=gateway.url, public_url=PUBLIC, client_id=CLIENT_ID, secret_key=SECRET)
    return Browser(Starlette(routes=[Mount("/demo", shop)]))


def buy(browser: Browser, cart: str = "kopi.1-sambal.2", key: str = "", method: str = "wallet") -> str:
    """Place an order; the invoice number."""
    reply = browser.post("/demo/orders", {"cart": cart, "method": method, "key": key})
    assert reply.status == 303
    return reply.headers["location"].rsplit("/", 1)[1]


def notify(
    browser: Browser,
    invoice_number: str,
    *,
    amount: int = 179_000,
    status: str = "SUCCESS",
    request_id: str = "n-1",
    secret: str = SECRET,
    target: str = "/demo/notifications",
) -> Reply:
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    transaction = {"status": status, "date": date, "original_request_id": "r"}
    body = json.dumps({"order": {"invoice_number": invoice_number, "amount": amount}, "transaction": transaction}).encode()
    values = {"Client-Id": CLIENT_ID, "Request-Id": request_id, "Request-Timestamp": date}
    lines = [*(f"{name}:{value}" for name, value in values.items()), f"Request-Target:{target}", digest_line(body)]
    headers = {name.replace("-", "_"): value for name, value in values.items()}
    return browser.post(target, body, Signature=signature(lines, secret), **headers)


def test_an_order_is_signed_and_sends_the_buyer_to_pay(gateway: FakeGateway, browser: Browser) -> None:
    reply = browser.post("/demo/orders", {"cart": "kopi.1-sambal.2", "method": "wallet"})

    [order] = gateway.orders.values()
    invoice_number = order["invoice_number"]
    assert reply.status == 303
    assert reply.headers["location"] == f"https://pay.example/w/{invoice_number}"
    assert gateway.wrong_signatures == 0
    assert re.fullmatch(r"PP-\d{8}-0001-[2-9A-Z]{4}", invoice_number)
    assert order["amount"] == 179_000
    assert order["line_items"] == [
        {"name": "Kopi Gayo, 250 g", "price": 89_000, "quantity": 1},
        {"name": "Sambal roa", "price": 45_000, "quantity": 2},
    ]
    assert order["notify_url"] == f"{PUBLIC}/notifications"
    assert order["success_url"] == order["failed_url"] == f"{PUBLIC}/orders/{invoice_number}?from=gateway"


APPROVED = {"card_masked": "557338******1101", "brand": "MASTER", "issuer": "PT BANK MANDIRI (PERSERO) Tbk", "token_id": "t"}


def test_a_card_order_names_its_customer_so_that_saved_cards_are_offered(gateway: FakeGateway, browser: Browser) -> None:
    first, second = buy(browser, method="card"), buy(browser, method="card")
    browser.cookies.clear()
    stranger = buy(browser, method="card")

    assert gateway.targets == ["/credit-card/v1/payment-page"] * 3
    assert gateway.wrong_signatures == 0
    customers = [body["customer"]["id"] for body in gateway.bodies]
    assert customers[0] == customers[1] != customers[2], (first, second, stranger)
    order, info = gateway.bodies[0]["order"], gateway.bodies[0]["additional_info"]
    assert order["amount"] == sum(item["price"] * item["quantity"] for item in order["line_items"]) == 179_000
    assert order["callback_url"] == f"{PUBLIC}/orders/{first}?from=gateway"
    assert info == {"override_notification_url": f"{PUBLIC}/notifications"}


@pytest.mark.parametrize("sent", ["PP-1", "C-somebody", "PP-" + "x" * 200, "PP-aaaaaaaaaaaaaaa;"])
def test_a_customer_that_the_shop_did_not_name_is_not_taken_over(gateway: FakeGateway, browser: Browser, sent: str) -> None:
    browser.cookies["pasar_pagi_customer"] = sent

    buy(browser, method="card")

    assert gateway.bodies[0]["customer"]["id"] != sent


def test_the_order_page_tells_the_card_that_paid(gateway: FakeGateway, browser: Browser) -> None:
    invoice_number = buy(browser, method="card")
    gateway.status, gateway.card = "SUCCESS", APPROVED | {"response_code": "00", "approval_code": "482913"}

    notify(browser, invoice_number)

    page = browser.get(f"/demo/orders/{invoice_number}").text
    assert "Terima kasih" in page
    for told in ("557338******1101 MASTER", "PT BANK MANDIRI", "482913", "Disimpan untuk lain kali"):
        assert told in page


def test_a_declined_card_is_told_once_and_leaves_the_order_open_for_another(gateway: FakeGateway, browser: Browser) -> None:
    invoice_number = buy(browser, method="card")
    gateway.status, gateway.card = "FAILED", APPROVED | {"response_code": "51", "response_message": "NOT ENOUGH"}
    notify(browser, invoice_number, status="FAILED", request_id="n-1")
    notify(browser, invoice_number, status="FAILED", request_id="n-2")

    page = browser.get(f"/demo/orders/{invoice_number}").text
    assert page.count("Kartu ditolak") == 1
    assert "51 NOT ENOUGH" in page
    assert "Lanjutkan pembayaran" in page
    assert "Dibatalkan" not in page

    gateway.date = "2026-05-19T07:33:40Z"
    notify(browser, invoice_number, status="FAILED", request_id="n-3")
    assert browser.get(f"/demo/orders/{invoice_number}").text.count("Kartu ditolak") == 2

    gateway.status, gateway.card = "SUCCESS", APPROVED | {"response_code": "00", "approval_code": "482913"}
    notify(browser, invoice_number, request_id="n-4")
    page = browser.get(f"/demo/orders/{invoice_number}").text
    assert "Terima kasih" in page
    assert "482913" in page


def test_something_on_the_shelf_can_be_paid_in_installments() -> None:
    assert max(product.price for product in PRODUCTS) >= InstallmentOptions().bank(Acquirer.BCA).minimum


def test_a_good_notification_marks_the_order_paid_after_asking_for_its_status(gateway: FakeGateway, browser: Browser) -> None:
    invoice_number = buy(browser)
    gateway.status = "SUCCESS"

    reply = notify(browser, invoice_number)

    page = browser.get(f"/demo/orders/{invoice_number}").text
    assert reply.status == 200
    assert gateway.status_calls == 1
    assert "Notifikasi diterima, tanda tangan benar" in page
    assert "detik setelah pembayaran" in page
    assert "Status dicek ulang: SUCCESS" in page
    assert 'http-equiv="refresh"' not in page


def test_a_notification_alone_does_not_make_an_order_paid(gateway: FakeGateway, browser: Browser) -> None:
    invoice_number = buy(browser)
    gateway.status = "PENDING"

    notify(browser, invoice_number)

    assert "Lunas" not in browser.get(f"/demo/orders/{invoice_number}").text


def test_a_status_for_another_amount_does_not_make_an_order_paid(gateway: FakeGateway, browser: Browser) -> None:
    invoice_number = buy(browser)
    gateway.status = "SUCCESS"
    gateway.orders[invoice_number]["amount"] = 1

    notify(browser, invoice_number)

    page = browser.get(f"/demo/orders/{invoice_number}").text
    assert "Jumlah berbeda" in page
    assert "Terima kasih" not in page


def test_a_query_is_part_of_the_signed_target(gateway: FakeGateway, browser: Browser) -> None:
    assert notify(browser, buy(browser), target="/demo/notifications?shop=1").status == 200


def test_a_wrong_signature_is_refused_and_shown(gateway: FakeGateway, browser: Browser) -> None:
    invoice_number = buy(browser)
    gateway.status = "SUCCESS"

    reply = notify(browser, invoice_number, secret="SK-guess")

    page = browser.get(f"/demo/orders/{invoice_number}").text
    assert reply.status == 401
    assert gateway.status_calls == 0
    assert "Notifikasi ditolak, tanda tangan salah" in page
    assert "Menunggu" in page


def test_strangers_cannot_fill_the_memory_with_refusals(gateway: FakeGateway, browser: Browser) -> None:
    invoice_number = buy(browser)
    for _ in range(60):
        notify(browser, invoice_number, secret="SK-guess")
    gateway.status = "SUCCESS"

    notify(browser, invoice_number)

    page = browser.get(f"/demo/orders/{invoice_number}").text
    assert page.count("tanda tangan salah") < 45
    assert "Terima kasih" in page


def test_the_same_notification_twice_changes_nothing(gateway: FakeGateway, browser: Browser) -> None:
    invoice_number = buy(browser)
    gateway.status = "SUCCESS"

    replies = [notify(browser, invoice_number), notify(browser, invoice_number)]

    page = browser.get(f"/demo/orders/{invoice_number}").text
    assert [reply.status for reply in replies] == [200, 200]
    assert gateway.status_calls == 1
    assert page.count("Notifikasi diterima, tanda tangan benar") == 1
    assert "Notifikasi yang sama diterima lagi" in page


def test_another_amount_is_refused(gateway: FakeGateway, browser: Browser) -> None:
    invoice_number = buy(browser)
    gateway.status = "SUCCESS"

    reply = notify(browser, invoice_number, amount=1)

    page = browser.get(f"/demo/orders/{invoice_number}").text
    assert reply.status == 400
    assert gateway.status_calls == 0
    assert "Tertulis Rp\u00a01, seharusnya Rp\u00a0179.000" in page


def test_an_unknown_order_is_404(browser: Browser) -> None:
    assert notify(browser, "PP-20260519-0001-XXXX").status == 404
    assert browser.get("/demo/orders/PP-20260519-0001-XXXX").status == 404
    assert browser.get("/demo/orders/PP-20260519-0001-XXXX/state").status == 404


def test_an_order_made_from_a_terminal_gets_a_page(gateway: FakeGateway, browser: Browser) -> None:
    gateway.orders["INV-1"] = {"invoice_number": "INV-1", "amount": 50_000}
    gateway.status = "SUCCESS"

    reply = notify(browser, "INV-1", amount=50_000)

    page = browser.get("/demo/orders/INV-1?lang=en").text
    assert reply.status == 200
    assert "Order made outside the shop" in page
    assert "Rp\u00a050.000, with this shop" in page
    assert "Status checked again: SUCCESS" in page


def test_an_order_made_from_a_terminal_cannot_be_bought_again_here(gateway: FakeGateway, browser: Browser) -> None:
    gateway.orders["INV-1"] = {"invoice_number": "INV-1", "amount": 50_000}
    gateway.status = "FAILED"
    notify(browser, "INV-1", status="FAILED", amount=50_000)

    again = browser.post("/demo/orders/INV-1/again", {"key": "k"})

    assert "/again" not in browser.get("/demo/orders/INV-1").text
    assert again.headers["location"] == "/demo/orders/INV-1"


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"order":[]}', b"[" * 50_000])
def test_nonsense_is_refused_quietly(browser: Browser, body: bytes) -> None:
    assert browser.post("/demo/notifications", body).status == 401


def test_a_huge_body_is_refused(browser: Browser) -> None:
    assert browser.post("/demo/notifications", b"x" * 70_000).status == 413


def test_a_buyer_who_cancelled_sees_it_and_can_pay_again(gateway: FakeGateway, browser: Browser) -> None:
    invoice_number = buy(browser)
    gateway.status = "FAILED"

    back = browser.get(f"/demo/orders/{invoice_number}?from=gateway")
    notify(browser, invoice_number, status="FAILED")

    page = browser.get(f"/demo/orders/{invoice_number}").text
    assert (back.status, back.headers["location"]) == (303, f"/demo/orders/{invoice_number}")
    assert "Pembeli kembali" in page
    assert "Dibatalkan" in page
    assert "Bayar lagi Rp\u00a0179.000" in page
    first = browser.post(f"/demo/orders/{invoice_number}/again", {"key": "again"})
    second = browser.post(f"/demo/orders/{invoice_number}/again", {"key": "again"})
    assert first.headers["location"].startswith("https://pay.example/w/PP-")
    assert second.headers["location"].rsplit("/", 1)[1] == first.headers["location"].rsplit("/", 1)[1]
    assert len(gateway.orders) == 2


def test_without_a_notification_a_look_at_the_order_asks_for_the_status(
    gateway: FakeGateway, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice_number = buy(browser)
    browser.get(f"/demo/orders/{invoice_number}?from=gateway")
    browser.get(f"/demo/orders/{invoice_number}/state")
    assert gateway.status_calls == 0  # the notification gets a moment first
    gateway.status = "SUCCESS"
    later = datetime.now(UTC) + timedelta(seconds=4)
    monkeypatch.setattr("gerbang.demo.app.real_now", lambda: later)

    browser.get(f"/demo/orders/{invoice_number}/state")

    assert json.loads(browser.get(f"/demo/orders/{invoice_number}/state").body)["watch"] is False
    assert gateway.status_calls == 1


def test_a_refusing_gateway_is_shown_with_its_own_words(gateway: FakeGateway, browser: Browser) -> None:
    gateway.refuse = True

    reply = browser.post("/demo/orders", {"cart": "kopi.1", "method": "wallet"})

    page = browser.get(reply.headers["location"]).text
    assert "invalid_client_id: Invalid Client-Id" in page
    assert "Bayar lagi" in page


def test_pressing_pay_twice_buys_once(gateway: FakeGateway, browser: Browser) -> None:
    assert buy(browser, key="form-1") == buy(browser, key="form-1")
    assert len(gateway.orders) == 1


def test_forms_of_other_sites_are_turned_away(gateway: FakeGateway, browser: Browser) -> None:
    reply = browser.post("/demo/orders", {"cart": "kopi.1"}, Sec_Fetch_Site="cross-site")

    assert reply.status == 403
    assert not gateway.orders


def test_the_cart_is_filled_and_emptied_with_plain_forms(browser: Browser) -> None:
    for move in ("more", "more", "less"):
        reply = browser.post("/demo/cart", {"product": "kopi", "move": move})
        assert (reply.status, reply.headers["location"]) == (303, "/demo/#kopi")
    assert "Bayar Rp\u00a089.000" in browser.get("/demo/").text

    browser.post("/demo/cart", {"product": "kopi", "move": "less"})

    assert "Keranjang masih kosong" in browser.get("/demo/").text


def test_paying_empties_the_cart(browser: Browser) -> None:
    browser.post("/demo/cart", {"fill": "1"})

    buy(browser)

    assert "Keranjang masih kosong" in browser.get("/demo/").text


@pytest.mark.parametrize("sent", ["", "x", "kopi.0", "emas.1", "kopi.-1", "kopi.9999", "<script>", "kopi"])
def test_a_cart_is_never_an_error(sent: str) -> None:
    assert write_cart(read_cart(sent)) in ("", "kopi.20")


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_follow_the_language_and_a_strict_policy(gateway: FakeGateway, browser: Browser, language: str) -> None:
    browser.post("/demo/cart", {"fill": "1"})
    shop = browser.get(f"/demo/?lang={language}")
    order = browser.get(f"/demo/orders/{buy(browser)}")
    gone = browser.get("/demo/orders/none")

    assert TEXT[language]["headline"] in shop.text
    assert TEXT[language]["continue"] in order.text
    assert TEXT[language]["unknown_title"] in gone.text
    assert 'http-equiv="refresh" content="2"' in order.text
    for reply in (shop, order, gone):
        assert f'<html lang="{language}">' in reply.text
        assert "'unsafe-inline'" not in reply.headers["content-security-policy"]
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", reply.text)
        assert not re.search(r'(?:src|<link[^>]*href)="(?:https?:)?//', reply.text)
        assert reply.text.count("<h1") == 1


def test_the_page_shows_the_code_that_really_runs(browser: Browser) -> None:
    page = browser.get(f"/demo/orders/{buy(browser)}").text
    shown = re.sub(r"<[^>]+>", "", page[page.index("<code>") : page.index("</code>")])
    shown = shown.replace("&gt;", ">").replace("&#34;", '"').replace("&lt;", "<").replace("&amp;", "&")

    assert "async def receive_notification(" in shown
    assert shown in browser.get("/demo/source/app.py").text


def test_assets_are_immutable_and_begin_with_the_tokens(browser: Browser) -> None:
    page = browser.get("/demo/").text
    names = re.findall(r'(?:href|src)="(/demo/assets/[^"]+)"', page)

    replies = {name: browser.get(name) for name in names}

    assert len(replies) == 3
    assert all(reply.status == 200 and "immutable" in reply.headers["cache-control"] for reply in replies.values())
    css = next(reply.text for name, reply in replies.items() if name.endswith(".css"))
    assert css.startswith("/* Gerbang design tokens")
    assert browser.get("/demo/assets/shop-000000000000.css").status == 404


def test_every_sentence_exists_in_both_languages() -> None:
    assert TEXT["id"].keys() == TEXT["en"].keys()
    for _, _, by_language in (*EVENTS.values(), *STATES.values()):
        assert by_language.keys() == set(LANGUAGES)
    for thing in (*PRODUCTS, *METHODS):
        assert thing.name.keys() == thing.detail.keys() == set(LANGUAGES)
    assert STATES.keys() == set(State)
    assert {kind for _, kind in NEXT} <= EVENTS.keys()


def test_only_the_newest_orders_are_kept() -> None:
    book = OrderBook(keep=3)

    made = [book.make({}, METHODS[0], language="id", form_key=str(n), now=NOW).invoice_number for n in range(5)]

    assert [book.find(invoice) is not None for invoice in made] == [False, False, True, True, True]
    assert book.of_form("0") is None
    assert made[0].startswith("PP-20260519-0001-")


def test_the_shop_starts_without_jinja() -> None:
    code = "import sys, gerbang.demo; sys.exit('jinja2' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False).returncode == 0


def test_a_buyer_with_a_card_pays_the_shop_through_the_gateway_and_finds_it_saved(sqlite_gateway: RunningGateway) -> None:
    """The shop as it is mounted in the sandbox, whose notifications it gets."""
    cookie = ""

    def order_with_card() -> tuple[str, str]:
        nonlocal cookie
        form = {"Content-Type": "application/x-www-form-urlencoded"} | ({"Cookie": cookie} if cookie else {})
        reply = sqlite_gateway.request("POST", "/demo/orders", b"cart=lurik.1&method=card", form)
        page = urlsplit(reply.headers["location"]).path
        assert (reply.status, page.startswith("/credit-card/pay/")) == (303, True), reply.headers
        cookie = reply.headers["set-cookie"].partition(";")[0]
        found = sqlite_gateway.database.read_now(lambda tx: find_payment(tx, page.rpartition("/")[2]))
        assert found is not None
        return page, found[0].invoice_number

    page, invoice_number = order_with_card()
    sent = {"action": "pay", "choice": "new", "number": BCA, "expiry": "12/31", "cvv": "739", "save": "1", "form": "f" * 32}
    sent["plan"] = plan_id(Acquirer.BCA, 6)
    at_the_bank = post_form(sqlite_gateway, page, **sent)
    assert answer_bank(sqlite_gateway, at_the_bank, session=sent["form"]).status == 200

    def shown() -> str:
        return sqlite_gateway.request("GET", f"/demo/orders/{invoice_number}?lang=en").body.decode()

    eventually(lambda: "Thank you" in shown())
    assert "455555******0010" in shown()
    again, _ = order_with_card()
    assert "0010" in sqlite_gateway.request("GET", again).body.decode()
