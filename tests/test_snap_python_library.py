"""DOKU's own Python library (PyPI: doku-python-library), unchanged but for its host, against our running gateway.

Its tokens come from us, its signatures are ours to accept, and a Flask shop built on its notification helpers, as it is meant to be
used, takes what we send. The library imports Flask, xmltodict and pycryptodome without saying so in its metadata.
"""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from doku_python_library.src.commons import config
from doku_python_library.src.model.direct_debit.check_status_response import CheckStatusResponse
from doku_python_library.src.model.direct_debit.payment_response import PaymentResponse
from doku_python_library.src.model.token.token_b2b_response import TokenB2BResponse
from doku_python_library.src.services.token_service import TokenService
from doku_python_library.src.snap import DokuSNAP
from flask import Flask, jsonify, request
from werkzeug.serving import make_server

from gerbang.merchants import MerchantOptions, update
from gerbang.merchants.gateway_key import gateway_public_key_now
from gerbang.notifications.outbox import NotificationState, list_notifications
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from support.gateway import RunningGateway
from support.notifying import eventually
from support.snap import PRIVATE_PEM, PUBLIC_PEM, SnapCaller, reference
from support.snap_money import Customer, Partner, rupiah

PURCHASE = "/snap-adapter/b2b2c/v1.0/debit/payment-host-to-host"
STATUS = "/snap-adapter/b2b2c/v1.0/debit/status"


@pytest.fixture
def partner(sqlite_gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> Partner:
    """A partner whose public key we know; the library calls us instead of DOKU's sandbox."""
    monkeypatch.setattr(config._Development, "BASE_URL", sqlite_gateway.url)
    return Partner(sqlite_gateway)


def library(partner: Partner, *, private_key: str = PRIVATE_PEM, gateway_key: str | None = None) -> DokuSNAP:
    settings = partner.running.gateway.settings
    return DokuSNAP(
        private_key=private_key,
        client_id=DEMO_CLIENT_ID,
        is_production=False,
        public_key=gateway_key or gateway_public_key_now(partner.database, settings),
        issuer="Pasar Pagi",
        secret_key=SANDBOX_SECRET_KEY,
        merchant_public_key=PUBLIC_PEM,
    )


def call(snap: DokuSNAP, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """A call as the library makes its own: signed over compact JSON, sent by requests with blanks, customer token bare."""
    stamp = TokenService.get_timestamp()
    headers = {
        "X-TIMESTAMP": stamp,
        "X-SIGNATURE": TokenService.generate_symmetric_signature("POST", path, snap.token, body, stamp, SANDBOX_SECRET_KEY),
        "X-PARTNER-ID": DEMO_CLIENT_ID,
        "X-EXTERNAL-ID": reference(),
        "CHANNEL-ID": "DH",
        "Authorization": f"Bearer {snap.token}",
        "Authorization-Customer": snap.token_b2b2c,
    }
    answer = requests.post(config.Config.get_base_url(is_production=False) + path, json=body, headers=headers, timeout=10)
    found: dict[str, Any] = answer.json()
    return found


# -- asking us


def test_its_b2b_token_comes_from_us(partner: Partner) -> None:
    snap = library(partner)

    assert snap.token_b2b.response_code == "2007300"
    assert snap.token_expires_in == 890  # it calculates with our number
    assert snap.token.count(".") == 2


def test_it_reads_our_refusal(partner: Partner) -> None:
    """Its classes take no key they do not know, so an error has exactly the two they do."""
    partner.running.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, snap_public_key=other_public_pem()))

    answer = library(partner).token_b2b

    assert isinstance(answer, TokenB2BResponse)
    assert answer.response_code == "4017300"
    assert answer.access_token is None


def other_public_pem() -> str:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = generate_private_key(public_exponent=65_537, key_size=2_048).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_its_customer_token_comes_from_an_auth_code_of_ours(partner: Partner) -> None:
    customer = partner.customer()
    _, auth_code = partner.caller.bind(customer.id)
    snap = library(partner)

    tokens = snap.get_token_b2b2c(auth_code)
    again = snap.get_token_b2b2c(auth_code)

    assert tokens.response_code == "2007400"
    assert snap.token_b2b2c == tokens.access_token
    assert again.response_code == "4017400"
    assert again.response_message == "Unauthorized. Invalid authCode"


def signed_in(partner: Partner, customer: Customer) -> DokuSNAP:
    snap = library(partner)
    assert snap.get_token_b2b2c(partner.caller.bind(customer.id)[1]).response_code == "2007400"
    return snap


def test_its_signature_and_its_way_to_send_json_are_accepted_and_its_classes_take_our_answers(partner: Partner) -> None:
    snap = signed_in(partner, partner.customer(100_000))
    body = {
        "partnerReferenceNo": reference(),
        "amount": rupiah(10_000),
        "urlParam": [{"url": "https://toko.example/selesai?nama=Kopi-é/ü", "type": "PAY_RETURN", "isDeepLink": "N"}],
        "chargeToken": None,
    }

    opened = call(snap, PURCHASE, body)
    status = call(snap, STATUS, {"originalPartnerReferenceNo": body["partnerReferenceNo"], "serviceCode": "17"})

    assert opened["responseCode"] == "2005400"
    assert PaymentResponse(**opened).web_redirect_url == opened["webRedirectUrl"]
    assert status["responseCode"] == "2005500"
    assert CheckStatusResponse(**status).response_code == "2005500"


# -- told by us


class Shop:
    """A Flask shop on the library's helpers."""

    def __init__(self, snap: DokuSNAP) -> None:
        app = Flask("shop")
        self.answers: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []
        self.signatures: list[bool] = []

        @app.post("/v1.0/access-token")
        def give_token() -> Any:
            made = snap.validate_signature_and_generate_token()
            # The library returns a wrapper, and its samples hand it on.
            return jsonify({"header": made.header.json(), "body": made.body.json()})

        @app.post("/v1.0/debit/notify")
        def notified() -> Any:
            token = request.headers["Authorization"].removeprefix("Bearer ")
            customers = request.headers["Authorization-Customer"].removeprefix("Bearer ")
            # What the library hashes is its own JSON of the decoded body.
            self.signatures.append(
                TokenService.generate_symmetric_signature(
                    "POST", request.path, token, request.get_json(), request.headers["X-TIMESTAMP"], SANDBOX_SECRET_KEY
                )
                == request.headers["X-SIGNATURE"]
            )
            self.bodies.append(request.get_json())
            answer = snap.direct_debit_payment_notification(request_token_b2b2c=customers).json()
            self.answers.append(answer)
            return jsonify(answer)

        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def pay(partner: Partner, snap: DokuSNAP, shop: Shop) -> str:
    """A purchase of the library's, paid."""
    number = reference()
    opened = call(
        snap,
        PURCHASE,
        {
            "partnerReferenceNo": number,
            "amount": rupiah(25_000),
            "urlParam": [{"url": f"{shop.base}/v1.0/debit/notify", "type": "PAY_NOTIFY", "isDeepLink": "N"}],
        },
    )
    assert opened["responseCode"] == "2005400"
    outcome = {"client_id": DEMO_CLIENT_ID, "invoice_number": number, "outcome": "SUCCESS"}
    partner.running.control("POST", "/payments/outcome", outcome)
    return number


@pytest.fixture
def shop(partner: Partner) -> Iterator[Shop]:
    running = Shop(library(partner))
    options = MerchantOptions(snap_token_url=f"{running.base}/v1.0/access-token")
    partner.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, options=options))
    yield running
    running.stop()


def test_a_shop_on_its_helpers_gives_us_a_token_and_takes_our_notification(partner: Partner, shop: Shop) -> None:
    snap = signed_in(partner, partner.customer(100_000))

    number = pay(partner, snap, shop)

    eventually(lambda: shop.answers)
    assert shop.answers[0]["responseCode"] == "2005600"
    assert shop.signatures == [True]
    assert shop.bodies[0]["originalPartnerReferenceNo"] == number
    assert shop.bodies[0]["latestTransactionStatus"] == "00"
    eventually(lambda: delivered(partner))


def delivered(partner: Partner) -> bool:
    [one] = partner.database.read_now(lambda tx: list_notifications(tx, merchant_id=DEMO_CLIENT_ID))
    return one.state is NotificationState.DELIVERED


def test_its_refusal_of_a_token_request_with_http_200_is_a_failure(partner: Partner) -> None:
    """A shop that has another key for the gateway: the library says 4017300, Flask says 200."""
    running = Shop(library(partner, gateway_key=other_public_pem()))
    options = MerchantOptions(snap_token_url=f"{running.base}/v1.0/access-token")
    partner.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, options=options))
    snap = signed_in(partner, partner.customer(100_000))

    number = pay(partner, snap, running)

    def first() -> Any:
        query = f"/notifications?client_id={DEMO_CLIENT_ID}&invoice_number={number}"
        [found] = partner.running.control("GET", query)["notifications"]
        return found if found["attempts"] else None

    found = eventually(first)
    running.stop()
    assert found["state"] == "RETRYING"
    assert found["attempts"][0]["error"].endswith("refused: 4017300 Unauthorized.Invalid Signature")
    assert json.loads(found["attempts"][0]["before"]["answer_body"])["body"]["responseCode"] == "4017300"
    assert running.answers == []


def test_a_caller_of_ours_and_the_library_sign_alike(partner: Partner) -> None:
    """Two independent writings of DOKU's page."""
    caller = SnapCaller(partner.running)
    text = f"{DEMO_CLIENT_ID}|2026-01-02T03:04:05Z"

    from support.snap import rsa_signature

    assert TokenService.create_signature(PRIVATE_PEM, text) == rsa_signature(text, caller.private_pem)
