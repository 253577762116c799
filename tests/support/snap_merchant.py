"""A partner's server as its engineer writes it from DOKU's pages: it hands the gateway a token and checks what comes with it.

Nothing here comes from gerbang: signatures are checked with the standard library and `cryptography`.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from support.snap import opened

TOKEN_PATH = "/authorization/v1/access-token/b2b"
NOTIFY_PATH = "/v1.0/debit/notify"


@dataclass(frozen=True)
class Call:
    """One call received; header names as sent."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for sent, value in self.headers if sent.lower() == name.lower()), "")


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt_of(claims: Mapping[str, object], private_pem: str) -> str:
    """A JWT, RS256."""
    key = opened(private_pem)
    text = f"{_segment(json.dumps({'alg': 'RS256', 'typ': 'JWT'}).encode())}.{_segment(json.dumps(dict(claims)).encode())}"
    return f"{text}.{_segment(key.sign(text.encode(), PKCS1v15(), SHA256()))}"


def is_signed_by(token: str, public_pem: str) -> bool:
    """Whether a JWT is one of this key's."""
    text, _, signature = token.rpartition(".")
    return _verifies(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)), text, public_pem)


def _verifies(signature: bytes, text: str, public_pem: str) -> bool:
    key = load_pem_public_key(public_pem.encode())
    assert isinstance(key, RSAPublicKey)
    try:
        key.verify(signature, text.encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


class SnapMerchant:
    """Listens on a loopback port.

    token_answer         (token) → (status, body) of leg 1; the default is DOKU's body with 900 s
    notification_answer  → (status, body) of leg 2
    """

    def __init__(self, *, client_id: str, secret_key: str, private_pem: str) -> None:
        self.client_id, self.secret_key, self.private_pem = client_id, secret_key, private_pem
        self.token_answer: Callable[[str], tuple[int, object]] = lambda token: (200, token_body(token))
        self.notification_answer: Callable[[], tuple[int, object]] = lambda: (
            200,
            {"responseCode": "2005600", "responseMessage": "Request has been processed successfully"},
        )
        self.token_delay_s = 0.0
        self.calls: list[Call] = []
        self.tokens: list[str] = []
        self._changed = threading.Condition()
        merchant = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                call = Call(self.path, tuple(self.headers.items()), body)
                status, answer = merchant._take(call)
                raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                if 300 <= status < 400:
                    self.send_header("Location", TOKEN_PATH)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.token_url, self.notification_url = self.base + TOKEN_PATH, self.base + NOTIFY_PATH
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def _take(self, call: Call) -> tuple[int, object]:
        if call.path != TOKEN_PATH:
            with self._changed:
                self.calls.append(call)
                self._changed.notify_all()
            return self.notification_answer()
        with self._changed:
            self.calls.append(call)
            number = sum(one.path == TOKEN_PATH for one in self.calls)
            token = jwt_of(
                {"exp": int(time.time()) + 900, "issuer": "partner", "clientId": self.client_id, "n": number}, self.private_pem
            )
            self.tokens.append(token)
            self._changed.notify_all()
        time.sleep(self.token_delay_s)
        return self.token_answer(token)

    def wait_for(self, count: int, timeout_s: float = 15) -> list[Call]:
        """All calls, once there are that many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, timeout_s), [one.path for one in self.calls]
            return list(self.calls)

    @property
    def token_calls(self) -> list[Call]:
        return [call for call in self.calls if call.path == TOKEN_PATH]

    @property
    def notifications(self) -> list[Call]:
        return [call for call in self.calls if call.path != TOKEN_PATH]

    def asked_rightly(self, call: Call, gateway_public_pem: str) -> bool:
        """Whether a token request is the gateway's."""
        text = f"{self.client_id}|{call.header('X-TIMESTAMP')}"
        right = call.header("X-CLIENT-KEY") == self.client_id and json.loads(call.body) == {"grantType": "client_credentials"}
        return right and _verifies(base64.b64decode(call.header("X-SIGNATURE")), text, gateway_public_pem)

    def signed_rightly(self, call: Call, token: str) -> bool:
        """Whether a notification carries this token and is signed with it and our secret over the path we were called at."""
        if call.header("Authorization") != f"Bearer {token}":
            return False
        digest = hashlib.sha256(call.body).hexdigest()
        text = f"POST:{call.path}:{token}:{digest}:{call.header('X-TIMESTAMP')}"
        mac = hmac.new(self.secret_key.encode(), text.encode(), hashlib.sha512).digest()
        return hmac.compare_digest(base64.b64encode(mac).decode(), call.header("X-SIGNATURE"))

    def __enter__(self) -> "SnapMerchant":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def token_body(token: str, expires_in: object = 900) -> dict[str, object]:
    """Leg 1's answer as DOKU prints it."""
    return {
        "responseCode": "2007300",
        "responseMessage": "Successful",
        "accessToken": token,
        "tokenType": "Bearer",
        "expiresIn": expires_in,
        "additionalInfo": "",
    }
