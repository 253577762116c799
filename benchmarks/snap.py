"""A partner of the DOKU Wallet under load: balance inquiries, purchases opened, or whole purchases (opened, page, PIN).

python -m benchmarks.snap --port 8080 --what purchase --callers 16 --seconds 5 --server 4711
prints one JSON line: how many per second, how long one took, and what one cost the server in processor time. Every caller is a customer with a binding and tokens of its own, made
before the clock starts.
"""

import argparse
import asyncio
import hashlib
import hmac
import html
import json
import re
import secrets
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from benchmarks import processor_s
from benchmarks.cards import read_message
from gerbang.client import SnapClient
from gerbang.clock import WIB

B2B2C = "/snap-adapter/b2b2c/v1.0/"
PIN, BACK = "274913", "https://partner.example/return"
BALANCE = 20_000_000


@dataclass(frozen=True)
class Partner:
    client_id: str
    secret_key: str
    token: str


@dataclass(frozen=True)
class Caller:
    """One customer on one connection."""

    partner: Partner
    customer_token: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def call(self, name: str, sent: object) -> dict[str, str]:
        """A signed call that must succeed."""
        path, body = B2B2C + name, json.dumps(sent, separators=(",", ":")).encode()
        timestamp = datetime.now(WIB).isoformat(timespec="seconds")
        text = f"POST:{path}:{self.partner.token}:{hashlib.sha256(body).hexdigest()}:{timestamp}"
        signature = b64encode(hmac.digest(self.partner.secret_key.encode(), text.encode(), "sha512")).decode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-PARTNER-ID: {self.partner.client_id}\r\n"
            f"X-EXTERNAL-ID: {secrets.randbelow(10**18)}\r\nX-TIMESTAMP: {timestamp}\r\nX-SIGNATURE: {signature}\r\n"
            f"Authorization: Bearer {self.partner.token}\r\nAuthorization-Customer: Bearer {self.customer_token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        status, answer = await read_message(self.reader)
        assert " 200 " in status, (status, answer)
        found: dict[str, str] = json.loads(answer)
        return found

    async def balance(self) -> None:
        await self.call("balance-inquiry", {"partnerReferenceNo": secrets.token_hex(8)})

    async def open(self) -> str:
        """Open a purchase; the path of its page."""
        sent = {
            "partnerReferenceNo": secrets.token_hex(8),
            "amount": {"value": "1000.00", "currency": "IDR"},
            "urlParam": [{"url": BACK, "type": "PAY_RETURN", "isDeepLink": "N"}],
        }
        return urlsplit((await self.call("debit/payment-host-to-host", sent))["webRedirectUrl"]).path

    async def purchase(self) -> None:
        """What partner and browser do together."""
        page = await self.open()
        self.writer.write(f"GET {page} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        status, body = await read_message(self.reader)
        shown = re.search(r'name="form" value="([^"]+)"', body.decode())
        assert shown is not None, (status, body[:300])
        form = urlencode({"action": "pay", "pin": PIN, "form": html.unescape(shown[1])}).encode()
        head = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length:"
        self.writer.write(f"POST {page} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head} {len(form)}\r\n\r\n".encode() + form)
        status, body = await read_message(self.reader)
        assert " 303 " in status, (status, body[:300])


def control(url: str, path: str, sent: object) -> dict[str, str]:
    """A call of the sandbox's control API."""
    request = urllib.request.Request(
        f"{url}/sandbox/v1{path}", json.dumps(sent).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, str] = json.load(answer)
    return found


class _Stay(urllib.request.HTTPRedirectHandler):
    """The partner's address is not there; what counts is where the browser was sent."""

    def redirect_request(self, *_: object) -> None:
        return None


def auth_code_of(page: str) -> str:
    """Consent as a browser does."""
    browser = urllib.request.build_opener(_Stay)
    with browser.open(page, timeout=30) as shown:
        form = re.search(r'name="form" value="([^"]+)"', shown.read().decode())
    assert form is not None
    sent = urlencode({"action": "bind", "pin": PIN, "form": html.unescape(form[1])}).encode()
    try:
        browser.open(page, sent, timeout=30)
    except urllib.error.HTTPError as answer:
        return parse_qs(urlsplit(answer.headers["Location"]).query)["authCode"][0]
    raise AssertionError("the consent page did not send the browser back")


def prepare(url: str, customers: int) -> tuple[Partner, list[str]]:
    """A new partner, and a token for each of its new customers."""
    key = generate_private_key(public_exponent=65_537, key_size=2_048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    keys = control(url, "/merchants", {"name": "Warung Ukur", "snap_public_key": public})
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    client = SnapClient(url, keys["client_id"], keys["secret_key"], private)
    tokens = []
    for _ in range(customers):
        phone = f"0815{secrets.randbelow(10**8):08d}"
        account = {"phone": phone, "name": "Rina Kusuma", "pin": PIN, "level": "PREMIUM", "balance": BALANCE}
        account_id = control(url, "/accounts", account)["account_id"]
        page = client.bind_account(reference=secrets.token_hex(8), redirect_url=BACK, account_id=account_id).url
        tokens.append(client.exchange_auth_code(auth_code_of(page)).access_token)
    return Partner(keys["client_id"], keys["secret_key"], client.token()), tokens


async def repeat(what: Callable[[], Awaitable[object]], until: float, took: list[float]) -> None:
    """One after another."""
    while time.perf_counter() < until:
        began = time.perf_counter()
        await what()
        took.append(time.perf_counter() - began)


async def run(port: int, what: str, partner: Partner, tokens: list[str], seconds: float, server: int) -> dict[str, float]:
    callers = [Caller(partner, token, *await asyncio.open_connection("127.0.0.1", port)) for token in tokens]
    took: list[float] = []
    used, began = processor_s(server), time.perf_counter()
    await asyncio.gather(*(repeat(getattr(caller, what), began + seconds, took) for caller in callers))
    spent, used = time.perf_counter() - began, processor_s(server) - used
    for caller in callers:
        caller.writer.close()
    took.sort()
    return {"per_second": len(took) / spent, "p50_ms": took[len(took) // 2] * 1000, "server_ms": used * 1000 / len(took)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--what", choices=("balance", "open", "purchase"), required=True)
    parser.add_argument("--callers", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--server", type=int, required=True, help="the server's process id")
    args = parser.parse_args()
    partner, tokens = prepare(f"http://127.0.0.1:{args.port}", args.callers)
    json.dump(asyncio.run(run(args.port, args.what, partner, tokens, args.seconds, args.server)), sys.stdout)


if __name__ == "__main__":
    main()
