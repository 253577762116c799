"""The client against a stub gateway that knows nothing of gerbang: it checks and makes signatures with its own code."""

import base64
import hashlib
import hmac
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gerbang.client import (
    CardFacts,
    CardToken,
    DokuClient,
    DokuError,
    DokuUnreachable,
    LineItem,
    NotificationUnreadable,
    PageTheme,
    Promo,
    SignatureMismatch,
    signed_headers,
    verify_notification,
)
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from support.card_calls import APPROVED, CHALLENGED, CVV, DECLINED_05, post_form, walk_bank
from support.gateway import RunningGateway

CLIENT_ID = "MCH-0001-10791114622547"
SECRET = "SK-TestVector-0123456789"
VECTORS = json.loads((Path(__file__).parent / "vectors" / "nonsnap-signatures.json").read_text(encoding="utf-8"))


def by_kind(*kinds: str) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in VECTORS["vectors"] if vector["kind"] in kinds]


def signature(*lines: str) -> str:
    mac = hmac.new(SECRET.encode(), "\n".join(lines).encode(), hashlib.sha256).digest()
    return "HMACSHA256=" + base64.b64encode(mac).decode()


def digest_line(body: bytes) -> str:
    return "Digest:" + base64.b64encode(hashlib.sha256(body).digest()).decode()


@dataclass
class Reply:
    status: int
    body: Any
    signed: bool = True
    break_signature: bool = False
    sign_request_timestamp: bool = False


@dataclass
class StubGateway:
    """Answers what it is told to, and remembers what it heard."""

    reply: Reply = field(default_factory=lambda: Reply(200, {}))
    heard: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        lines = [
            f"Client-Id:{headers['Client-Id']}",
            f"Request-Id:{headers['Request-Id']}",
            f"Request-Timestamp:{headers['Request-Timestamp']}",
            f"Request-Target:{target}",
        ]
        if method == "POST":
            lines.append(digest_line(body))
        right = headers["Signature"] == signature(*lines)
        self.heard.append({"method": method, "target": target, "headers": headers, "body": body, "signature_right": right})

        reply = self.reply
        sent = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        answered = {"Content-Type": "application/json"}
        if reply.signed:
            name = "Request-Timestamp" if reply.sign_request_timestamp else "Response-Timestamp"
            lines[2] = f"{name}:2026-01-02T03:04:06Z"
            if method == "POST":
                lines[4] = digest_line(sent)
            answered |= {name: "2026-01-02T03:04:06Z", "Request-Id": headers["Request-Id"], "Client-Id": headers["Client-Id"]}
            answered["Signature"] = signature(*lines, *(["extra"] if reply.break_signature else []))
        return reply.status, answered, sent


@pytest.fixture
def gateway() -> Iterator[StubGateway]:
    stub = StubGateway()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, sent = stub.answer(self.command, self.path, dict(self.headers.items()), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield stub
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(gateway: StubGateway) -> DokuClient:
    return DokuClient(CLIENT_ID, SECRET, gateway.url, timeout_s=5)


PAGE = {
    "order": {"invoice_number": "INV-EW-1", "amount": 60000},
    "doku_wallet_payment_page": {"url": "https://pay.gerbang.example/w/abc"},
    "payment": {"url": "https://pay.gerbang.example/w/abc"},
}


def test_a_wallet_payment_is_signed_over_the_bytes_sent(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(200, PAGE)

    payment = client.wallet_payment(
        invoice_number="INV-EW-1",
        amount=60_000,
        line_items=[LineItem("Kaus merah é", 30_000, 2)],
        success_url="https://merchant.example/ok",
        failed_url="https://merchant.example/ko",
        notify_url="https://merchant.example/notify",
        auto_redirect=True,
        override_notification_url="https://another.example/n",
        request_id="5f1d0f1c",
    )

    [call] = gateway.heard
    assert call["signature_right"]
    assert (call["method"], call["target"]) == ("POST", "/dokuwallet-emoney/v1/payment")
    assert call["headers"]["Content-Type"] == "application/json"
    assert json.loads(call["body"]) == {
        "order": {
            "invoice_number": "INV-EW-1",
            "amount": 60_000,
            "line_items": [{"name": "Kaus merah é", "price": 30_000, "quantity": 2}],
            "success_url": "https://merchant.example/ok",
            "failed_url": "https://merchant.example/ko",
            "notify_url": "https://merchant.example/notify",
            "auto_redirect": True,
        },
        "additional_info": {"override_notification_url": "https://another.example/n"},
    }
    assert payment.url == "https://pay.gerbang.example/w/abc"
    assert (payment.invoice_number, payment.amount, payment.request_id) == ("INV-EW-1", 60_000, "5f1d0f1c")
    assert not payment.replayed
    assert payment.raw == PAGE


def test_only_what_was_given_is_sent(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(200, {"payment": {"url": "https://pay.example/x"}})

    payment = client.wallet_payment(invoice_number="INV-1", amount=1)

    assert json.loads(gateway.heard[0]["body"]) == {"order": {"invoice_number": "INV-1", "amount": 1, "auto_redirect": False}}
    assert (payment.invoice_number, payment.amount, payment.url) == ("INV-1", 1, "https://pay.example/x")


def test_a_replayed_answer_is_a_success(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(409, PAGE)

    payment = client.wallet_payment(invoice_number="INV-EW-1", amount=60_000, request_id="again")

    assert payment.replayed
    assert payment.url == "https://pay.gerbang.example/w/abc"


def test_a_conflict_that_is_an_error_stays_an_error(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(409, {"error": {"code": "idempotent_request", "message": "Idempotent Request"}})

    with pytest.raises(DokuError) as refused:
        client.wallet_payment(invoice_number="INV-EW-1", amount=60_000)

    assert (refused.value.http_status, refused.value.code) == (409, "idempotent_request")


def test_status_is_asked_without_digest_and_with_an_encoded_invoice(gateway: StubGateway, client: DokuClient) -> None:
    answer = (
        b'{"order":{"invoice_number":"INV A/1","amount":120000.0},"channel":{"id":"EMONEY_DOKU"},'
        b'"transaction":{"status":"SUCCESS","date":"2025-07-10T03:00:48Z","original_request_id":"76392"}}'
    )
    gateway.reply = Reply(200, answer)

    status = client.status("INV A/1")

    assert gateway.heard[0]["target"] == "/orders/v1/status/INV%20A%2F1"
    assert gateway.heard[0]["signature_right"]
    assert "Content-Type" not in gateway.heard[0]["headers"]
    assert (status.status, status.amount, status.channel) == ("SUCCESS", 120_000, "EMONEY_DOKU")
    assert (status.date, status.original_request_id) == ("2025-07-10T03:00:48Z", "76392")


def test_status_before_a_channel_is_chosen_has_blanks(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(200, {"order": {"status": "ORDER_GENERATED"}, "channel": {"id": None}})

    status = client.status("INV-1")

    assert (status.invoice_number, status.status, status.amount, status.channel) == ("INV-1", "", None, None)


def test_a_base_url_with_a_path_is_part_of_the_target(gateway: StubGateway) -> None:
    DokuClient(CLIENT_ID, SECRET, gateway.url + "/api/").get("/orders/v1/status/INV-1")

    assert gateway.heard[0]["target"] == "/api/orders/v1/status/INV-1"
    assert gateway.heard[0]["signature_right"]


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (
            400,
            {"error": {"code": "invalid_signature", "message": "Invalid Header Signature", "type": "invalid_request_error"}},
            "invalid_signature",
            "Invalid Header Signature",
        ),
        (400, {"message": ["PAYMENT CHANNEL IS INACTIVE"]}, None, "PAYMENT CHANNEL IS INACTIVE"),
        (400, {"error_messages": ["a must be filled", "b must be filled"]}, None, "a must be filled; b must be filled"),
        (404, {"message": "No static resource x"}, None, "No static resource x"),
        (500, {}, None, "refused without a reason"),
        (502, b"<html>Bad gateway</html>", None, "the answer is not a JSON object"),
        (200, b"[]", None, "the answer is not a JSON object"),
        (302, {}, None, "refused without a reason"),
    ],
)
def test_refusals_of_every_family_are_read(
    gateway: StubGateway, client: DokuClient, status: int, body: object, code: str | None, message: str
) -> None:
    gateway.reply = Reply(status, body)

    with pytest.raises(DokuError) as refused:
        client.post("/checkout/v1/payment", {}, request_id="r-1")

    assert (refused.value.http_status, refused.value.code, refused.value.message) == (status, code, message)
    assert refused.value.request_id == "r-1"


@pytest.mark.parametrize("call", [lambda c: c.post("/x", {}), lambda c: c.get("/x")], ids=["post", "get"])
def test_an_answer_with_a_wrong_signature_is_refused(
    gateway: StubGateway, client: DokuClient, call: Callable[[DokuClient], object]
) -> None:
    gateway.reply = Reply(200, PAGE, break_signature=True)

    with pytest.raises(SignatureMismatch):
        call(client)


def test_an_answer_without_a_signature_passes(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(200, {"a": 1}, signed=False)

    assert client.post("/x", {}).raw == {"a": 1}


def test_an_answer_signed_with_the_other_documented_header_passes(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(200, {"a": 1}, sign_request_timestamp=True)

    assert client.post("/x", {}).raw == {"a": 1}


def test_an_answer_without_a_page_is_an_error(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(200, {"payment": {"url": ""}})

    with pytest.raises(DokuError, match="no payment page"):
        client.wallet_payment(invoice_number="INV-1", amount=1)


def test_nobody_listening_is_unreachable_and_names_the_request() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        client = DokuClient(CLIENT_ID, SECRET, f"http://127.0.0.1:{taken.getsockname()[1]}", timeout_s=1)

        with pytest.raises(DokuUnreachable) as unreachable:
            client.get("/x", request_id="r-2")

    assert unreachable.value.request_id == "r-2"


def test_a_silent_server_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = DokuClient(CLIENT_ID, SECRET, f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1)

        with pytest.raises(DokuUnreachable):
            client.post("/x", {})


def test_one_client_serves_many_threads(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(200, {})

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: client.get(f"/orders/v1/status/{n}").request_id, range(40)))

    assert len(set(answers)) == 40
    assert all(call["signature_right"] for call in gateway.heard)


@pytest.mark.parametrize("url", ["", "api.doku.com", "ftp://api.doku.com", "https://", "https://x/?a=1"])
def test_a_base_url_that_is_not_one_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        DokuClient(CLIENT_ID, SECRET, url)


@pytest.mark.parametrize("vector", by_kind("request", "request_no_digest", "get"))
def test_the_published_request_vectors(vector: dict[str, Any]) -> None:
    headers = signed_headers(
        client_id=vector["client_id"],
        secret_key=vector["secret"],
        target=vector["request_target"],
        body=None if vector["body_utf8"] is None else vector["body_utf8"].encode(),
        request_id=vector["request_id"],
        timestamp=vector["timestamp"],
    )

    assert headers == {
        "Client-Id": vector["client_id"],
        "Request-Id": vector["request_id"],
        "Request-Timestamp": vector["timestamp"],
        "Signature": vector["signature"],
    }


@pytest.mark.parametrize("vector", by_kind("response"))
@pytest.mark.parametrize("change", [b"", b" "], ids=["as-sent", "changed"])
def test_the_published_response_vectors(vector: dict[str, Any], change: bytes) -> None:
    client = DokuClient(vector["client_id"], vector["secret"])
    headers = {"RESPONSE-TIMESTAMP": vector["timestamp"], "signature": vector["signature"]}
    body = vector["body_utf8"].encode() + change

    def check() -> None:
        client._check_signature(
            headers, body, target=vector["request_target"], request_id=vector["request_id"], method=vector["method"]
        )

    if change:
        with pytest.raises(SignatureMismatch):
            check()
    else:
        check()


def notification_headers(vector: dict[str, Any]) -> dict[str, str]:
    return {
        "Client-Id": vector["client_id"],
        "Request-Id": vector["request_id"],
        "Request-Timestamp": vector["timestamp"],
        "Signature": vector["signature"],
        "Content-Type": "application/json",
    }


@pytest.mark.parametrize("vector", by_kind("notification"))
@pytest.mark.parametrize("spelling", [str, str.lower, str.upper])
def test_the_published_notification_vectors(vector: dict[str, Any], spelling: Callable[[str], str]) -> None:
    headers = {spelling(name): value for name, value in notification_headers(vector).items()}
    sent = json.loads(vector["body_utf8"])

    note = verify_notification(
        headers, vector["body_utf8"].encode(), vector["secret"], target=vector["request_target"], client_id=vector["client_id"]
    )

    assert note.status == sent["transaction"]["status"]
    assert note.invoice_number == sent["order"]["invoice_number"]
    assert note.amount == sent["order"]["amount"]
    assert note.channel == sent["channel"]["id"]
    assert note.request_id == vector["request_id"]
    assert note.original_request_id == sent["transaction"]["original_request_id"]
    assert note.raw == sent


VECTOR = next(vector for vector in VECTORS["vectors"] if vector["name"] == "notification-va")


def test_the_date_of_a_notification_is_aware_utc() -> None:
    note = verify_notification(
        notification_headers(VECTOR), VECTOR["body_utf8"].encode(), SECRET, target=VECTOR["request_target"]
    )

    assert note.date == datetime(2021, 1, 27, 3, 24, 23, tzinfo=UTC)


def test_a_notification_with_a_date_at_the_ends_of_the_calendar_can_be_read() -> None:
    told = json.loads(VECTOR["body_utf8"])
    for text in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-07:00", "0000-01-01T00:00:00Z"):
        told["transaction"]["date"] = text
        body = json.dumps(told).encode()
        headers, target = notification_headers(VECTOR), VECTOR["request_target"]
        lines = [f"{name}:{headers[name]}" for name in ("Client-Id", "Request-Id", "Request-Timestamp")]
        headers["Signature"] = signature(*lines, f"Request-Target:{target}", digest_line(body))
        assert verify_notification(headers, body, SECRET, target=target).date is None


@pytest.mark.parametrize(
    "changes",
    [
        {"body": VECTOR["body_utf8"].replace("150000", "1")},
        {"body": VECTOR["body_utf8"] + "\n"},
        {"target": "/payments/notifications/"},
        {"target": "/payments/notifications?shop=1"},
        {"secret": SECRET + "x"},
        {"headers": {"Request-Id": "479b663f-5c9d-400d-8e80-3e548a8f7630"}},
        {"headers": {"Request-Timestamp": "2020-08-11T08:45:43Z"}},
        {"headers": {"Client-Id": "MCH-0002"}},
        {"headers": {"Signature": ""}},
        {"headers": {"Signature": VECTOR["signature"].removeprefix("HMACSHA256=")}},
        {"headers": {"Signature": VECTOR["signature"].replace("HMACSHA256", "SHA256")}},
        {"headers": {"Request-Id": "1\nRequest-Timestamp:2"}},
        {"client_id": "MCH-0002"},
    ],
    ids=lambda changes: "-".join(str(value)[:24] for value in changes.values()),
)
def test_a_tampered_notification_is_refused(changes: dict[str, Any]) -> None:
    headers = notification_headers(VECTOR) | changes.get("headers", {})

    with pytest.raises(SignatureMismatch):
        verify_notification(
            headers,
            changes.get("body", VECTOR["body_utf8"]).encode(),
            changes.get("secret", SECRET),
            target=changes.get("target", VECTOR["request_target"]),
            client_id=changes.get("client_id"),
        )


@pytest.mark.parametrize("name", ["Client-Id", "Request-Id", "Request-Timestamp", "Signature"])
def test_a_notification_without_one_of_its_headers_is_refused(name: str) -> None:
    headers = notification_headers(VECTOR)
    del headers[name]

    with pytest.raises(SignatureMismatch, match=name):
        verify_notification(headers, VECTOR["body_utf8"].encode(), SECRET, target=VECTOR["request_target"])


def signed_notification(body: bytes) -> dict[str, str]:
    return signed_headers(client_id=CLIENT_ID, secret_key=SECRET, target="/n", body=body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"order":{"invoice_number":"A","amount":10},"transaction":{}}',
        b'{"order":{"invoice_number":"A","amount":10.5},"transaction":{"status":"SUCCESS"}}',
        b'{"order":{"amount":10},"transaction":{"status":"SUCCESS"}}',
        b'{"order":{"invoice_number":"A"},"transaction":{"status":"SUCCESS"}}',
    ],
)
def test_a_signed_body_that_is_no_notification_is_unreadable(body: bytes) -> None:
    with pytest.raises(NotificationUnreadable):
        verify_notification(signed_notification(body), body, SECRET, target="/n")


@pytest.mark.parametrize("amount", [b"20000", b"20000.00", b'"20000"', b'"20000.00"'])
def test_amounts_are_read_in_every_form_that_was_seen(amount: bytes) -> None:
    body = b'{"order":{"invoice_number":"A","amount":%s},"transaction":{"status":"SUCCESS","date":"soon"}}' % amount

    note = verify_notification(signed_notification(body), body, SECRET, target="/n")

    assert (note.amount, note.date, note.channel) == (20_000, None, None)


# -- cards


CARD_PAGE = {"order": {"invoice_number": "INV-1"}, "credit_card_payment_page": {"url": "https://pay.example/c/abc"}}


def test_a_card_payment_sends_every_field_where_the_guide_has_it(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(200, CARD_PAGE)

    payment = client.card_payment(
        invoice_number="INV-1",
        amount=90_000,
        customer_id="C-1",
        customer_name="Anton",
        email="anton@example.com",
        phone="6281122334455",
        address="Jl. Merdeka 1",
        country="ID",
        line_items=[LineItem("Kaus", 45_000, 2)],
        callback_url="https://shop.example/back",
        failed_url="https://shop.example/failed",
        auto_redirect=True,
        descriptor="PASAR PAGI",
        session_id="s-1",
        token="tok-1",
        save_card=True,
        payment_type="INSTALLMENT",
        acquirer="BCA",
        tenor=6,
        theme=PageTheme(language="EN", button_background_color="FF0000"),
        promos=[Promo("411111", 10_000)],
        allow_bins=["411111"],
        allow_tenors=[3, 6],
        disclaimer_id="Saya setuju",
        disclaimer_en="I agree",
        override_notification_url="https://shop.example/n",
        request_id="r-1",
    )

    [call] = gateway.heard
    assert call["signature_right"]
    assert (call["method"], call["target"]) == ("POST", "/credit-card/v1/payment-page")
    assert json.loads(call["body"]) == {
        "order": {
            "invoice_number": "INV-1",
            "amount": 90_000,
            "line_items": [{"name": "Kaus", "price": 45_000, "quantity": 2}],
            "callback_url": "https://shop.example/back",
            "failed_url": "https://shop.example/failed",
            "auto_redirect": True,
            "descriptor": "PASAR PAGI",
            "session_id": "s-1",
        },
        "card": {"token": "tok-1", "save": True},
        "customer": {
            "id": "C-1",
            "name": "Anton",
            "email": "anton@example.com",
            "phone": "6281122334455",
            "address": "Jl. Merdeka 1",
            "country": "ID",
        },
        "payment": {"type": "INSTALLMENT", "acquirer": "BCA", "tenor": 6},
        "override_configuration": {
            "themes": {"language": "EN", "button_background_color": "FF0000"},
            "promo": [{"bin": "411111", "discount_amount": 10_000}],
            "allow_bin": ["411111"],
            "allow_tenor": [3, 6],
        },
        "additional_info": {
            "override_notification_url": "https://shop.example/n",
            "disclaimer": {"id": "Saya setuju", "en": "I agree"},
        },
    }
    assert (payment.url, payment.request_id, payment.replayed) == ("https://pay.example/c/abc", "r-1", False)


def test_of_a_card_payment_only_what_was_given_is_sent(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(200, CARD_PAGE)

    client.card_payment(invoice_number="INV-1", amount=90_000, email="a@example.com")

    assert json.loads(gateway.heard[0]["body"]) == {
        "order": {"invoice_number": "INV-1", "amount": 90_000},
        "customer": {"email": "a@example.com"},
    }


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.card_payment(invoice_number="INV-1", amount=1, email="a@example.com"),
        lambda c: c.capture("1"),
        lambda c: c.refund(invoice_number="INV-1", original_request_id="r", amount=1),
        lambda c: c.card_tokens("C-1"),
        lambda c: c.check_three_d_secure(amount=1, success_url="https://a.id", failed_url="https://a.id", token="t"),
        lambda c: c.charge(invoice_number="INV-1", amount=1, token="t", payment_type="RECURRING"),
    ],
    ids=["page", "capture", "refund", "tokens", "authentication", "charge"],
)
def test_a_card_answer_that_lacks_what_it_is_about_is_an_error(
    gateway: StubGateway, client: DokuClient, call: Callable[[DokuClient], object]
) -> None:
    gateway.reply = Reply(200, {"order": {"invoice_number": "INV-1", "amount": 1}})

    with pytest.raises(DokuError, match="the answer has no"):
        call(client)


def test_the_card_of_a_notification_is_read() -> None:
    body = json.dumps(
        {
            "order": {"invoice_number": "INV-1", "amount": 600_000, "discount_amount": 50_000},
            "transaction": {"status": "SUCCESS", "date": "2025-07-10T03:00:48Z", "original_request_id": "r"},
            "channel": {"id": "CREDIT_CARD"},
            "payment": {"acquirer": "BCA", "tenor": 6, "authorize_id": "77"},
            "card_payment": {
                "masked_card_number": "557338******1101",
                "approval_code": "123456",
                "response_code": "00",
                "response_message": "Approved",
                "issuer": "PT BANK MANDIRI (PERSERO) Tbk",
                "brand": "MASTER",
                "token_id": "tok",
                "charged_amount": "550000",
            },
            "authorize_id": "77",
        }
    ).encode()

    note = verify_notification(signed_notification(body), body, SECRET, target="/n")

    assert note.card == CardFacts(
        masked="557338******1101",
        brand="MASTER",
        issuer="PT BANK MANDIRI (PERSERO) Tbk",
        response_code="00",
        response_message="Approved",
        approval_code="123456",
        authorize_id="77",
        token="tok",
        charged_amount=550_000,
        tenor=6,
    )


def test_what_has_no_card_says_so(gateway: StubGateway, client: DokuClient) -> None:
    gateway.reply = Reply(200, {"order": {"invoice_number": "I", "amount": 1}, "transaction": {"status": "PENDING"}})

    assert client.status("I").card is None


# Against the gateway itself: what the stub was told above may be wrong in the same way as the client.


@pytest.fixture
def shop(sqlite_gateway: RunningGateway) -> DokuClient:
    sqlite_gateway.control("POST", "/clock", {"set": "2030-05-20T12:00:00+07:00"})  # noon: nothing is settled yet
    return DokuClient(DEMO_CLIENT_ID, SANDBOX_SECRET_KEY, sqlite_gateway.url)


def pay_on_page(running: RunningGateway, url: str, number: str = APPROVED) -> int:
    """As a buyer with a new card; the status of the answer."""
    sent = {"action": "pay", "choice": "new", "number": number, "expiry": "12/31", "cvv": CVV, "form": "f" * 32}
    return post_form(running, urlsplit(url).path, **sent).status


def test_an_authorisation_is_captured_in_part_and_given_back_through_the_client(
    sqlite_gateway: RunningGateway, shop: DokuClient
) -> None:
    page = shop.card_payment(invoice_number="INV-1", amount=90_000, email="a@example.com", payment_type="AUTHORIZE")
    assert pay_on_page(sqlite_gateway, page.url) == 303
    held = shop.status("INV-1")
    assert held.status == "PENDING"
    assert held.card is not None
    assert held.card.authorize_id is not None

    taken = shop.capture(held.card.authorize_id, 50_000)
    with pytest.raises(DokuError, match="Authorization Already Captured"):
        shop.capture(held.card.authorize_id)
    refused = shop.refund(invoice_number="INV-1", original_request_id=page.request_id, amount=20_000)
    voided = shop.refund(invoice_number="INV-1", original_request_id=page.request_id, amount=50_000)

    assert (taken.succeeded, taken.amount, taken.response_code, taken.masked_card) == (True, 50_000, "00", "411111******1111")
    assert (refused.accepted, refused.type) == (False, "VOID")
    assert refused.message
    assert (voided.accepted, voided.is_done, voided.type, voided.amount) == (True, True, "VOID", 50_000)
    assert shop.status("INV-1").status == "VOIDED"


def test_a_declined_card_is_told_by_the_status(sqlite_gateway: RunningGateway, shop: DokuClient) -> None:
    page = shop.card_payment(invoice_number="INV-1", amount=90_000, email="a@example.com")
    sqlite_gateway.control(
        "POST",
        "/payments/next",
        {"client_id": DEMO_CLIENT_ID, "invoice_number": "INV-1", "three_ds": "frictionless", "response_code": "51"},
    )

    pay_on_page(sqlite_gateway, page.url)

    card = shop.status("INV-1").card
    assert card is not None
    assert (card.response_code, card.approval_code, card.masked) == ("51", None, "411111******1111")


def test_a_saved_card_is_listed_charged_and_forgotten_through_the_client(
    sqlite_gateway: RunningGateway, shop: DokuClient
) -> None:
    page = shop.card_payment(invoice_number="INV-1", amount=90_000, customer_id="C-1", email="a@example.com", save_card=True)
    pay_on_page(sqlite_gateway, page.url)

    [saved] = shop.card_tokens("C-1")
    charged = shop.charge(invoice_number="INV-2", amount=10_000, token=saved.id, payment_type="RECURRING", email="a@example.com")
    again = shop.charge(
        invoice_number="INV-2",
        amount=10_000,
        token=saved.id,
        payment_type="RECURRING",
        email="a@example.com",
        request_id=charged.request_id,
    )

    assert isinstance(saved, CardToken)
    assert (saved.masked, saved.expiry) == ("********1111", "31/12")
    assert shop.card_tokens("C-1", bank="HSBC") == []
    assert charged.succeeded
    assert (again.replayed, again.approval_code) == (True, charged.approval_code)
    assert shop.status("INV-2").status == "SUCCESS"
    assert shop.unbind_token(saved.id, customer_id="C-1")
    assert not shop.unbind_token(saved.id)
    assert shop.card_tokens("C-1") == []


def test_a_card_is_authenticated_and_charged_host_to_host_through_the_client(
    sqlite_gateway: RunningGateway, shop: DokuClient
) -> None:
    def authenticated(number: str) -> str:
        started = shop.check_three_d_secure(
            amount=90_000, number=number, expiry="1231", success_url="https://toko.test/ok", failed_url="https://toko.test/no"
        )
        assert started.enrolled
        assert walk_bank(sqlite_gateway, started.url).startswith("https://toko.test/ok")
        return started.authentication_id

    paid = shop.charge(invoice_number="INV-1", amount=90_000, authentication_id=authenticated(CHALLENGED), cvv=CVV)
    declined = shop.charge(invoice_number="INV-2", amount=90_000, authentication_id=authenticated(DECLINED_05), cvv=CVV)

    assert (paid.succeeded, paid.amount, paid.invoice_number) == (True, 90_000, "INV-1")
    assert (declined.succeeded, declined.is_pending, declined.response_code) == (False, False, "05")
    for said in (paid, declined):
        assert not re.search(r"[0-9]{13,}", repr(said).replace(said.request_id, ""))
