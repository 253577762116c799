"""The SNAP API as a partner's engineer knows it: an independent signing caller, and the vectors."""

import base64
import hashlib
import hmac
import itertools
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gerbang.merchants import update
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from gerbang.wallet import find_account
from gerbang.wallet.bindings import Binding, bind, new_auth_code
from support.gateway import Answer, RunningGateway

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "snap-signatures.json").read_text())
PRIVATE_PEM: str = VECTORS["keys"]["merchant_private_pkcs8_pem"]
PUBLIC_PEM: str = VECTORS["keys"]["merchant_public_spki_pem"]

B2B = "/authorization/v1/access-token/b2b"
B2B2C = "/authorization/v1/access-token/b2b2c"

_WIB = timezone(timedelta(hours=7))
_numbers = itertools.count(int(datetime.now(UTC).timestamp()) * 100_000)


def now_text(**delta: float) -> str:
    """An X-TIMESTAMP of now, by the machine's clock, or of some time later."""
    return (datetime.now(_WIB) + timedelta(**delta)).isoformat(timespec="seconds")


def compact(body: object) -> bytes:
    """A body as most clients write it."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


@cache
def opened(private_pem: str) -> RSAPrivateKey:
    """The key; opening one takes as long as signing thirty times."""
    key = load_pem_private_key(private_pem.encode(), password=None)
    assert isinstance(key, RSAPrivateKey)
    return key


def rsa_signature(text: str, private_pem: str = PRIVATE_PEM) -> str:
    """Written apart from the product's, so that one cannot excuse the other."""
    key = opened(private_pem)
    return base64.b64encode(key.sign(text.encode(), PKCS1v15(), SHA256())).decode()


def symmetric_signature(text: str, secret_key: str) -> str:
    """The same for the other signature."""
    return base64.b64encode(hmac.new(secret_key.encode(), text.encode(), hashlib.sha512).digest()).decode()


def claims_of(token: str) -> dict[str, Any]:
    """What a JWT says, unverified."""
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


class SnapCaller:
    """A partner. Its public key is registered when it is made; `customer` everywhere is a customer's access token."""

    def __init__(
        self,
        running: RunningGateway,
        *,
        client_id: str = DEMO_CLIENT_ID,
        secret_key: str = SANDBOX_SECRET_KEY,
        private_pem: str = PRIVATE_PEM,
        public_pem: str | None = PUBLIC_PEM,
    ) -> None:
        self.running = running
        self.client_id = client_id
        self.secret_key = secret_key
        self.private_pem = private_pem
        self._token = ""
        if public_pem is not None:
            running.database.transact_now(lambda tx: update(tx, client_id, snap_public_key=public_pem))

    def ask_token(
        self, path: str = B2B, body: object = None, *, timestamp: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One token request. `headers` override; an empty value leaves one out."""
        stamp = timestamp or now_text()
        sent = {
            "X-CLIENT-KEY": self.client_id,
            "X-TIMESTAMP": stamp,
            "X-SIGNATURE": rsa_signature(f"{self.client_id}|{stamp}", self.private_pem),
            "Content-Type": "application/json",
        } | dict(headers or {})
        raw = body if isinstance(body, bytes) else compact({"grantType": "client_credentials"} if body is None else body)
        return self.running.request("POST", path, raw, {name: value for name, value in sent.items() if value})

    def b2b(self) -> str:
        """A new B2B token."""
        answer = self.ask_token()
        assert answer.status == 200, answer.body
        token: str = answer.json["accessToken"]
        return token

    def customer(self, auth_code: str) -> dict[str, Any]:
        """A customer's tokens for an auth code: the whole answer."""
        answer = self.ask_token(B2B2C, {"grantType": "authorization_code", "authCode": auth_code})
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    def bind(self, account: str) -> tuple[Binding, str]:
        """Bind a wallet account without a page: the binding and an auth code."""

        def write(tx: Any) -> tuple[Binding, str]:
            found = find_account(tx, account)
            assert found is not None, account
            now = self.running.gateway.clock.now()
            binding = bind(tx, merchant_id=self.client_id, account_id=found.id, now=now)
            return binding, new_auth_code(tx, binding, now=now)

        return self.running.database.transact_now(write)

    def customer_token(self, account: str) -> str:
        """A customer's access token, from nothing but the account."""
        token: str = self.customer(self.bind(account)[1])["accessToken"]
        return token

    def call(
        self,
        path: str,
        body: object = None,
        *,
        customer: str | None = None,
        token: str | None = None,
        external_id: str | None = None,
        method: str = "POST",
        timestamp: str | None = None,
        hashed: bytes | None = None,
        signed_path: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One signed call. `body` is bytes as they are, or anything JSON.

        token       a B2B token; without it, one that this caller keeps
        hashed      what goes into the signature instead of the body
        headers     override; an empty value leaves one out
        """
        if token is None:
            token = self._token = self._token or self.b2b()
        raw = b"" if body is None else body if isinstance(body, bytes) else compact(body)
        stamp = timestamp or now_text()
        digest = hashlib.sha256(raw if hashed is None else hashed).hexdigest()
        text = f"{method}:{signed_path or path}:{token}:{digest}:{stamp}"
        sent = {
            "X-TIMESTAMP": stamp,
            "X-PARTNER-ID": self.client_id,
            "X-EXTERNAL-ID": external_id or str(next(_numbers)),
            "X-SIGNATURE": symmetric_signature(text, self.secret_key),
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        if customer is not None:
            sent["Authorization-Customer"] = f"Bearer {customer}"
        sent |= dict(headers or {})
        return self.running.request(method, path, raw, {name: value for name, value in sent.items() if value})


def reference() -> str:
    """A partnerReferenceNo."""
    return str(uuid.uuid4())


def assert_snap_error(answer: Answer, code: str, message: str) -> None:
    """Exactly responseCode and responseMessage, as texts; HTTP says the same; never signed."""
    assert (answer.status, answer.json) == (int(code[:3]), {"responseCode": code, "responseMessage": message})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-timestamp"].endswith("+07:00")
    assert "x-signature" not in answer.headers


def assert_snap_ok(answer: Answer, service_code: str) -> dict[str, Any]:
    """A success; its JSON."""
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    assert (found["responseCode"], found["responseMessage"]) == (f"200{service_code}00", "Successful")
    assert list(found)[:2] == ["responseCode", "responseMessage"]
    return found
