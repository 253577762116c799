"""The Python client over SNAP, against a running gateway: every operation, tokens, refusals; and the receiving side."""

import hashlib
import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gerbang.client import (
    ClientError,
    DokuError,
    DokuUnreachable,
    NotificationUnreadable,
    SignatureMismatch,
    SnapClient,
    SnapCustomer,
    acknowledgement,
    issue_token,
    token_refusal,
    verify_snap_notification,
    verify_token_request,
)
from gerbang.clock import real_now
from gerbang.ledger import account
from gerbang.merchants import MerchantOptions, update
from gerbang.merchants.gateway_key import gateway_public_key_now
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY, load_settings
from gerbang.wallet import bindings, get_account, registrations
from gerbang.wallet.kyc import upgrade
from support.gateway import RunningGateway, assert_clean
from support.notifying import eventually
from support.snap import PRIVATE_PEM, PUBLIC_PEM, now_text, rsa_signature, symmetric_signature
from support.snap_merchant import jwt_of
from support.snap_money import give

OTP = "123456"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One gateway for the module: every test brings customers of its own."""
    data = tmp_path_factory.mktemp("client") / "gerbang.db"
    gateway = RunningGateway(load_settings(env={}, given={"data": str(data)}))
    try:
        gateway.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, snap_public_key=PUBLIC_PEM))
        yield gateway
        assert_clean(gateway.database)
    finally:
        gateway.stop()


@pytest.fixture
def client(running: RunningGateway) -> SnapClient:
    return SnapClient(running.url, DEMO_CLIENT_ID, SANDBOX_SECRET_KEY, PRIVATE_PEM)


def new_reference() -> str:
    return str(uuid.uuid4())


def phone() -> str:
    return f"0813{uuid.uuid4().int % 10**8:08d}"


def set_pin(running: RunningGateway, page_url: str) -> str:
    """What the customer does on the page behind Verify OTP; where the browser goes then."""
    [token] = parse_qs(urlsplit(page_url).query)["token"]

    def write(tx: Any) -> str:
        registration = registrations.by_page_token(tx, token)
        assert registration is not None
        made = registrations.finish(tx, registration, pin_hash="unused", now=running.gateway.clock.now())
        return registrations.return_url(registration, made)

    return running.database.transact_now(write)


def consent(running: RunningGateway, page_url: str, account_id: str) -> str:
    """What the customer does on the consent page; where the browser goes then."""

    def write(tx: Any) -> str:
        request = bindings.request_by_id(tx, urlsplit(page_url).path.rsplit("/", 1)[1])
        assert request is not None
        _, auth_code = bindings.confirm(tx, request, get_account(tx, account_id), now=running.gateway.clock.now())
        return bindings.return_url(request, auth_code)

    return running.database.transact_now(write)


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def a_customer(running: RunningGateway, client: SnapClient, money: int = 0) -> SnapCustomer:
    """Registered, bound, upgraded and with money, all over the client as a partner would."""
    opening = client.create_account(
        reference=new_reference(),
        name="Rina Kusuma",
        phone=phone(),
        email="rina@example.id",
        redirect_url="https://app.example/r",
    )
    verified = client.verify_otp(opening, OTP)
    assert verified.page_url is not None
    account_id = query(set_pin(running, verified.page_url))["accountId"]
    page = client.bind_account(reference=new_reference(), redirect_url="https://app.example/r", account_id=account_id)
    back = query(consent(running, page.url, account_id))

    def endow(tx: Any) -> None:
        upgrade(tx, account_id)
        if money:
            give(tx, f"wallet:{account_id}", money, now=running.gateway.clock.now())

    running.database.transact_now(endow)
    return client.customer(account_id=account_id, auth_code=back["authCode"])


# -- the life of a customer


def test_registration_consent_and_end_of_a_binding(running: RunningGateway, client: SnapClient) -> None:
    number = phone()
    opening = client.create_account(
        reference=new_reference(), name="Rina Kusuma", phone=number, email="rina@example.id", redirect_url="https://app.example/r"
    )
    with pytest.raises(DokuError, match="Invalid OTP") as wrong:
        client.verify_otp(opening, "999999")
    assert (wrong.value.code, wrong.value.http_status) == ("4040415", 404)
    client.request_otp(opening)
    verified = client.verify_otp(opening, OTP, device_id="phone-1")
    assert (verified.phone, verified.email) == (number, "rina@example.id")
    assert verified.page_url is not None
    returned = query(set_pin(running, verified.page_url))
    assert (returned["status"], returned["partnerReferenceNo"]) == ("SUCCESS", opening.reference)

    page = client.bind_account(reference=new_reference(), redirect_url="https://app.example/r", account_id=returned["accountId"])
    assert page.url.startswith(running.url)
    assert page.public_user_id
    auth_code = query(consent(running, page.url, returned["accountId"]))["authCode"]
    tokens = client.exchange_auth_code(auth_code)
    assert tokens.access_expires_at is not None
    assert tokens.refresh_expires_at is not None
    assert tokens.refresh_expires_at - tokens.access_expires_at > timedelta(days=14)
    assert tokens.access_token not in repr(tokens)
    with pytest.raises(DokuError, match="Invalid authCode"):
        client.exchange_auth_code(auth_code)

    found = client.find_binding(account_id=returned["accountId"])
    assert found.link_id == page.link_id
    assert found.auth_code not in repr(found)
    unbinding = client.unbind_account(reference=new_reference(), link_id=found.link_id)
    assert client.verify_otp(unbinding, OTP).page_url is None
    with pytest.raises(DokuError) as gone:
        client.find_binding(account_id=returned["accountId"])
    assert gone.value.code == "4040811"


def test_purchase_status_cancel_refund_and_history(running: RunningGateway, client: SnapClient) -> None:
    customer = a_customer(running, client, 500_000)
    first, second = new_reference(), new_reference()

    opened = customer.purchase(
        reference=first,
        amount=120_000,
        return_url="https://shop.example/done?x=1",
        valid_until=running.gateway.clock.now() + timedelta(minutes=5),
    )
    assert opened.url.startswith(running.url)
    assert not customer.purchase_status(first).is_paid
    running.control("POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": first, "outcome": "SUCCESS"})
    paid = customer.purchase_status(first)
    assert paid.is_paid
    assert (paid.reference_no, paid.amount, paid.refunds) == (opened.reference_no, 120_000, ())
    assert paid.paid_at is not None
    assert customer.balance().available == 380_000

    with pytest.raises(DokuError) as early:
        customer.refund_purchase(first, refund_reference=new_reference(), reason="too early")
    assert early.value.code == "4045800"
    assert customer.cancel_purchase(first, reason="changed my mind").at is not None
    assert customer.balance().available == 500_000

    customer.purchase(reference=second, amount=50_000)
    running.control("POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": second, "outcome": "SUCCESS"})
    running.control("POST", "/clock", {"advance_s": 86_400})
    refund_reference = new_reference()
    refund = customer.refund_purchase(second, refund_reference=refund_reference, reason="broken", amount=20_000)
    assert refund.amount == 20_000
    rest = customer.refund_purchase(second, refund_reference=new_reference(), reason="broken")
    assert rest.amount == 30_000
    refunds = customer.purchase_status(second).refunds
    assert next((one.reference, one.amount, one.status) for one in refunds) == (refund_reference, 20_000, "00")

    lines = customer.history(page_size=20)
    assert sum(line.amount if line.type in ("TOP_UP", "REFUND") else -line.amount for line in lines) == 500_000
    detail = customer.history_detail(second)
    assert (detail.amount, detail.type) == (50_000, "PAYMENT")
    since = running.gateway.clock.now() - timedelta(hours=1)
    assert len(customer.history(since=since, until=running.gateway.clock.now() + timedelta(hours=1))) == 2


def test_reserving_capturing_and_letting_go(running: RunningGateway, client: SnapClient) -> None:
    customer = a_customer(running, client, 300_000)
    first, second = new_reference(), new_reference()

    held = customer.authorise(reference=first, amount=100_000)
    assert held.amount == 100_000
    assert customer.balance().available == 200_000
    assert customer.balance().held == 100_000
    assert customer.capture(first, capture_reference=new_reference(), amount=60_000).amount == 60_000
    assert customer.balance().available == 240_000
    customer.authorise(reference=second, amount=40_000)
    assert customer.void(second, void_reference=new_reference(), reason="sold out").amount == 40_000
    assert customer.balance().available == 240_000


def test_top_up_and_transfer_to_a_bank(running: RunningGateway, client: SnapClient) -> None:
    customer = a_customer(running, client)
    assert customer.account_id is not None
    running.database.transact_now(
        lambda tx: give(tx, account("merchant", DEMO_CLIENT_ID, "corporate"), 1_000_000, now=running.gateway.clock.now())
    )
    reference = new_reference()

    offer = customer.inquire_top_up(receiver=customer.account_id, amount=250_000)
    assert offer.name == "Rina Kusuma"
    assert offer.minimum <= 250_000 <= offer.maximum
    done = customer.top_up(
        reference=reference, receiver=customer.account_id, amount=250_000, session_id=offer.session_id, notes="June"
    )
    assert done.amount == 250_000
    status = customer.top_up_status(reference)
    assert status.is_done
    assert status.amount == 250_000
    with pytest.raises(DokuError) as unknown:
        customer.top_up_status(new_reference())
    assert unknown.value.code == "4043901"

    to = customer.find_bank_account(payer=customer.account_id, bank_code="014", account_number="1234567890", amount=100_000)
    assert to.name
    sent = customer.transfer_to_bank(reference=new_reference(), payer=customer.account_id, amount=100_000, to=to)
    assert not sent.in_progress
    assert sent.bank_reference
    assert customer.balance().available == 150_000

    slow = customer.find_bank_account(payer=customer.account_id, bank_code="014", account_number="1234560001")
    assert customer.transfer_to_bank(reference=new_reference(), payer=customer.account_id, amount=50_000, to=slow).in_progress


# -- tokens


def counted(client: SnapClient, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths called from now on."""
    paths: list[str] = []
    exchange = client._host.exchange

    def note(method: str, target: str, *args: Any, **more: Any) -> Any:
        paths.append(target)
        return exchange(method, target, *args, **more)

    monkeypatch.setattr(client._host, "exchange", note)
    return paths


def test_one_token_serves_many_calls_and_threads(
    running: RunningGateway, client: SnapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = a_customer(running, client, 10_000)
    paths = counted(client, monkeypatch)
    client._token_over = 0
    found: list[int] = []

    threads = [threading.Thread(target=lambda: found.append(customer.balance().available)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [10_000] * 16
    assert paths.count("/authorization/v1/access-token/b2b") == 1
    assert paths.count("/authorization/v1/access-token/b2b2c") == 0


def test_a_token_that_ended_early_is_replaced_and_the_call_made(
    running: RunningGateway, client: SnapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B2B and customer tokens alike: 15 minutes of silence on the gateway's clock, which the client does not know."""
    customer = a_customer(running, client, 10_000)
    customer.balance()
    old = customer.tokens()
    running.control("POST", "/clock", {"advance_s": 1_000})
    paths = counted(client, monkeypatch)

    assert customer.balance().available == 10_000

    assert paths.count("/authorization/v1/access-token/b2b") == 1
    assert paths.count("/authorization/v1/access-token/b2b2c") == 1
    assert customer.tokens().access_token != old.access_token
    assert customer.tokens().refresh_token != old.refresh_token


def test_when_the_refresh_token_is_over_too_the_account_is_enough(running: RunningGateway, client: SnapClient) -> None:
    customer = a_customer(running, client, 10_000)
    old = customer.tokens()
    running.control("POST", "/clock", {"advance_s": 86_400 * 16})

    assert customer.balance().available == 10_000
    with pytest.raises(DokuError) as over:
        client.customer(tokens=old).balance()
    assert over.value.code == "4011102"


def test_a_customer_known_by_account_only_gets_tokens_when_needed(running: RunningGateway, client: SnapClient) -> None:
    account_id = a_customer(running, client, 5_000).account_id

    assert client.customer(account_id=account_id).balance().available == 5_000


def test_many_threads_renew_a_dead_customer_token_once(
    running: RunningGateway, client: SnapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = a_customer(running, client, 5_000)
    running.control("POST", "/clock", {"advance_s": 1_000})
    paths = counted(client, monkeypatch)
    found: list[int] = []

    threads = [threading.Thread(target=lambda: found.append(customer.balance().available)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [5_000] * 8
    assert paths.count("/authorization/v1/access-token/b2b2c") == 1


# -- refusals


def test_a_refusal_says_code_and_message(client: SnapClient) -> None:
    with pytest.raises(DokuError) as refused:
        client.create_account(reference=new_reference(), name="", phone="08", email="x", redirect_url="https://a.example")

    assert refused.value.code == "4000602"
    assert refused.value.http_status == 400
    assert refused.value.message == "Invalid Mandatory Field {name}"
    assert refused.value.request_id
    assert refused.value.raw["responseCode"] == "4000602"


def test_a_duplicate_reference_is_a_refusal(running: RunningGateway, client: SnapClient) -> None:
    customer = a_customer(running, client, 50_000)
    reference = new_reference()
    customer.purchase(reference=reference, amount=10_000)

    with pytest.raises(DokuError) as refused:
        customer.purchase(reference=reference, amount=10_000)

    assert refused.value.code == "4095401"


def test_wrong_keys_are_told(running: RunningGateway) -> None:
    with pytest.raises(DokuError, match="Signature Not Match") as refused:
        SnapClient(running.url, DEMO_CLIENT_ID, "SK-other", PRIVATE_PEM).find_binding(account_id="1")
    assert refused.value.code == "4010800"
    with pytest.raises(DokuError) as unknown:
        SnapClient(running.url, "BRN-nobody", SANDBOX_SECRET_KEY, PRIVATE_PEM).token()
    assert unknown.value.code == "4017300"
    with pytest.raises(ValueError, match=r"private key|deserialize"):
        SnapClient(running.url, DEMO_CLIENT_ID, SANDBOX_SECRET_KEY, PUBLIC_PEM)
    with pytest.raises(ValueError, match="base_url"):
        SnapClient("127.0.0.1", DEMO_CLIENT_ID, SANDBOX_SECRET_KEY, PRIVATE_PEM)
    with pytest.raises(ValueError, match="account_id"):
        SnapClient(running.url, DEMO_CLIENT_ID, SANDBOX_SECRET_KEY, PRIVATE_PEM).customer()


def test_nobody_listening_is_unreachable() -> None:
    client = SnapClient("http://127.0.0.1:1", DEMO_CLIENT_ID, SANDBOX_SECRET_KEY, PRIVATE_PEM)

    with pytest.raises(DokuUnreachable):
        client.token()


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (502, b"<html>Bad Gateway</html>", None),
        (200, b"[]", None),
        (200, b'{"responseCode":"4017300","responseMessage":"Unauthorized. Signature Not Match"}', "4017300"),
        (500, b'{"responseCode":"2007300","accessToken":"x"}', "2007300"),
        (200, b'{"responseCode":"2007300"}', "2007300"),
    ],
)
def test_what_is_no_success_is_never_taken_for_one(status: int, answer: bytes, code: str | None) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        client = SnapClient(f"http://127.0.0.1:{server.server_address[1]}", DEMO_CLIENT_ID, "SK-1", PRIVATE_PEM)

        with pytest.raises(DokuError) as refused:
            client.token()
        server.shutdown()

    assert (refused.value.http_status, refused.value.code) == (status, code)


def test_importing_the_client_needs_no_cryptography() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['cryptography'] = None\n"
            "from gerbang.client import SnapClient, verify_notification, ClientError\n"
            "try: SnapClient('http://x', 'a', 'b', 'c')\n"
            "except ClientError as e: print(e)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "pip install cryptography" in told.stdout


# -- the receiving side


def test_a_partner_written_with_the_client_is_told_of_a_purchase(running: RunningGateway, client: SnapClient) -> None:
    """Both legs, from a real purchase: token URL and Notification URL answered by the client's functions alone."""
    gateway_key = gateway_public_key_now(running.database, running.gateway.settings)
    seen: list[object] = []

    class Partner(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = 200, acknowledgement()
            try:
                if self.path == "/token":
                    verify_token_request(dict(self.headers.items()), client_id=DEMO_CLIENT_ID, gateway_public_key=gateway_key)
                    answer = issue_token(DEMO_CLIENT_ID, PRIVATE_PEM)
                else:
                    seen.append(
                        verify_snap_notification(
                            dict(self.headers.items()),
                            body,
                            SANDBOX_SECRET_KEY,
                            target=self.path,
                            client_id=DEMO_CLIENT_ID,
                            token_key=PRIVATE_PEM,
                        )
                    )
            except SignatureMismatch as problem:
                seen.append(problem)
                status, answer = 401, token_refusal()
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    customer = a_customer(running, client, 100_000)
    reference = new_reference()
    with ThreadingHTTPServer(("127.0.0.1", 0), Partner) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        options = MerchantOptions(snap_token_url=f"{base}/token")
        running.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, options=options))
        try:
            opened = customer.purchase(reference=reference, amount=70_000, notify_url=f"{base}/notify?shop=1")
            running.control(
                "POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": reference, "outcome": "SUCCESS"}
            )
            eventually(lambda: seen)
        finally:
            running.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, options=MerchantOptions()))
            server.shutdown()

    [told] = seen
    assert not isinstance(told, Exception), told
    assert told.is_paid  # type: ignore[attr-defined]
    assert (told.reference, told.reference_no, told.amount) == (reference, opened.reference_no, 70_000)  # type: ignore[attr-defined]
    assert (told.account_id, told.channel) == (customer.account_id, "EMONEY_DOKU_SNAP")  # type: ignore[attr-defined]


def token_request(**changes: str) -> dict[str, str]:
    """The gateway's headers of leg 1, where the vectors' merchant key plays the gateway's."""
    stamp = changes.pop("stamp", now_text())
    headers = {
        "x-client-key": DEMO_CLIENT_ID,
        "X-Timestamp": stamp,
        "X-SIGNATURE": rsa_signature(f"{DEMO_CLIENT_ID}|{stamp}"),
    }
    return headers | changes


def test_the_gateways_token_request_is_recognised() -> None:
    verify_token_request(token_request(), client_id=DEMO_CLIENT_ID, gateway_public_key=PUBLIC_PEM)


@pytest.mark.parametrize(
    "changes",
    [
        {"X-SIGNATURE": ""},
        {"X-SIGNATURE": "AAAA"},
        {"X-SIGNATURE": rsa_signature(f"BRN-other|{now_text()}")},
        {"x-client-key": "BRN-other"},
        {"stamp": "2020-01-01T00:00:00+07:00"},
        {"stamp": "soon"},
        {"stamp": "2026-01-01T00:00:00"},
    ],
)
def test_somebody_else_gets_no_token(changes: dict[str, str]) -> None:
    with pytest.raises(SignatureMismatch):
        verify_token_request(token_request(**changes), client_id=DEMO_CLIENT_ID, gateway_public_key=PUBLIC_PEM)


BODY: dict[str, Any] = {
    "originalPartnerReferenceNo": "INV-1",
    "originalReferenceNo": "pay_1",
    "originalExternalId": "1",
    "latestTransactionStatus": "00",
    "transactionStatusDesc": "Success",
    "amount": {"value": "10000.00", "currency": "IDR"},
    "additionalInfo": {"channelId": "EMONEY_DOKU_SNAP", "custIdMerchant": "1140340010"},
}


def told(
    body: bytes | None = None,
    *,
    claims: dict[str, object] | None = None,
    target: str = "/n",
    secret_key: str = "SK-1",
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[dict[str, str], bytes]:
    """A notification as it arrives; `headers` override."""
    raw = json.dumps(BODY).encode() if body is None else body
    good: dict[str, object] = {"exp": int(real_now().timestamp()) + 900, "clientId": DEMO_CLIENT_ID}
    token = token or jwt_of(good | (claims or {}), PRIVATE_PEM)
    stamp = now_text()
    text = f"POST:{target}:{token}:{hashlib.sha256(raw).hexdigest()}:{stamp}"
    sent = {
        "authorization": f"Bearer {token}",
        "X-TIMESTAMP": stamp,
        "X-Partner-Id": DEMO_CLIENT_ID,
        "x-signature": symmetric_signature(text, secret_key),
    }
    return sent | (headers or {}), raw


def read(sent: tuple[dict[str, str], bytes], key: str = PUBLIC_PEM) -> Any:
    return verify_snap_notification(sent[0], sent[1], "SK-1", target="/n", client_id=DEMO_CLIENT_ID, token_key=key)


@pytest.mark.parametrize("key", [PUBLIC_PEM, PRIVATE_PEM])
def test_a_genuine_notification_is_read(key: str) -> None:
    found = read(told(), key)

    assert (found.status, found.is_paid, found.reference, found.amount) == ("00", True, "INV-1", 10_000)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: told(secret_key="SK-2"), id="another secret"),
        pytest.param(lambda: told(target="/other"), id="another path"),
        pytest.param(lambda: (told()[0], json.dumps(BODY | {"latestTransactionStatus": "06"}).encode()), id="another body"),
        pytest.param(lambda: told(headers={"X-Partner-Id": "BRN-other"}), id="another partner"),
        pytest.param(lambda: told(headers={"X-TIMESTAMP": now_text(seconds=5)}), id="another time"),
        pytest.param(lambda: told(headers={"authorization": "Basic abc"}), id="no bearer"),
        pytest.param(lambda: told(headers={"authorization": ""}), id="no token"),
        pytest.param(lambda: told(claims={"exp": 1_700_000_000}), id="a token that is over"),
        pytest.param(lambda: told(claims={"exp": None}), id="a token without end"),
        pytest.param(lambda: told(claims={"clientId": "BRN-other"}), id="another partner's token"),
        pytest.param(lambda: told(token="made-up"), id="no JWT"),
        pytest.param(
            lambda: told(token="eyJhbGciOiJub25lIn0." + jwt_of({"clientId": DEMO_CLIENT_ID}, PRIVATE_PEM).split(".")[1] + "."),
            id="an unsigned JWT",
        ),
        pytest.param(lambda: told(body=b'{"a":1,"a":2}'), id="no notification"),
    ],
)
def test_anything_else_is_refused(make: Callable[[], tuple[dict[str, str], bytes]]) -> None:
    with pytest.raises((SignatureMismatch, NotificationUnreadable)):
        read(make())


def test_a_token_signed_by_another_key_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    other = generate_private_key(public_exponent=65_537, key_size=2_048).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    with pytest.raises(SignatureMismatch, match="not signed with this key"):
        read(told(), pem)


@pytest.mark.parametrize("missing", ["originalPartnerReferenceNo", "originalReferenceNo", "latestTransactionStatus", "amount"])
def test_a_signed_body_that_is_no_notification_is_unreadable(missing: str) -> None:
    body = {name: value for name, value in BODY.items() if name != missing}

    with pytest.raises(NotificationUnreadable):
        read(told(json.dumps(body).encode()))


def test_a_token_that_we_give_out_is_good_for_15_minutes_by_our_own_key() -> None:
    answer = issue_token(DEMO_CLIENT_ID, PRIVATE_PEM)

    assert (answer["responseCode"], answer["expiresIn"]) == ("2007300", 900)
    assert read(told(token=answer["accessToken"])).is_paid
    sent = told(token=answer["accessToken"])
    with pytest.raises(SignatureMismatch, match="over"):
        verify_snap_notification(
            sent[0],
            sent[1],
            "SK-1",
            target="/n",
            client_id=DEMO_CLIENT_ID,
            token_key=PUBLIC_PEM,
            now=real_now() + timedelta(seconds=1_000),
        )


def test_errors_of_the_client_have_one_base() -> None:
    assert issubclass(DokuError, ClientError)
    assert issubclass(SignatureMismatch, ClientError)


def test_the_client_stands_outside() -> None:
    """It could be another program: of the server it has money, time and signing."""
    source = Path(sys.modules["gerbang.client.snap"].__file__ or "").parent
    imported = {
        line.split()[1]
        for path in source.glob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith("from gerbang.")
    }
    assert {name for name in imported if not name.startswith("gerbang.client")} == {
        "gerbang.clock",
        "gerbang.money",
        "gerbang.protocols.nonsnap.signature",
        "gerbang.protocols.snap.signature",
    }


def test_moments_have_a_zone(running: RunningGateway, client: SnapClient) -> None:
    tokens = a_customer(running, client).tokens()

    assert isinstance(tokens.access_expires_at, datetime)
    assert tokens.access_expires_at.utcoffset() == timedelta(hours=7)
