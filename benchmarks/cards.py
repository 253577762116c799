"""Whole card payments: create the page, pay it with a frictionless card, be notified; as many buyers at once as asked.

python -m benchmarks.cards --port 8080 --buyers 16 --seconds 5
prints one JSON line: completed lifecycles per second and how long one took.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import sys
import time
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

from benchmarks import CLIENT_ID, SECRET_KEY

CREATE_PATH = "/credit-card/v1/payment-page"
CARD = {"choice": "new", "number": "4111111111111111", "expiry": "12/35", "cvv": "123", "action": "pay", "lang": "en"}


class Shop:
    """The merchant's receiver: whoever waits for an invoice is told when its notification came."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def expect(self, invoice: str) -> "asyncio.Future[None]":
        self._waiting[invoice] = asyncio.get_running_loop().create_future()
        return self._waiting[invoice]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                _, body = await read_message(reader)
                told = json.loads(body)
                assert told["transaction"]["status"] == "SUCCESS", told
                future = self._waiting.pop(told["order"]["invoice_number"], None)
                if future is not None and not future.done():
                    future.set_result(None)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def read_message(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The first line and the body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lengths = [line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
    return head.split("\r\n")[0], await reader.readexactly(int(lengths[0]) if lengths else 0)


def signed_create(invoice: str, notify: str) -> bytes:
    """The request of a page for this invoice."""
    body = json.dumps(
        {
            "order": {"invoice_number": invoice, "amount": 90_000},
            "customer": {"id": "CUST-1", "name": "Anton", "email": "anton@example.com"},
            "additional_info": {"override_notification_url": notify},
        }
    ).encode()
    timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = (
        f"Client-Id:{CLIENT_ID}\nRequest-Id:{invoice}\nRequest-Timestamp:{timestamp}\nRequest-Target:{CREATE_PATH}\nDigest:"
        + base64.b64encode(hashlib.sha256(body).digest()).decode()
    )
    signature = base64.b64encode(hmac.digest(SECRET_KEY.encode(), text.encode(), "sha256")).decode()
    return (
        f"POST {CREATE_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nClient-Id: {CLIENT_ID}\r\nRequest-Id: {invoice}\r\n"
        f"Request-Timestamp: {timestamp}\r\nSignature: HMACSHA256={signature}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def buy(port: int, shop: Shop, notify: str, until: float, took: list[float]) -> None:
    """One buyer after another on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        began = time.perf_counter()
        invoice = f"CARD-{secrets.token_hex(6)}"
        notified = shop.expect(invoice)
        writer.write(signed_create(invoice, notify))
        status, body = await read_message(reader)
        assert " 200 " in status, (status, body)
        page = urlsplit(json.loads(body)["credit_card_payment_page"]["url"]).path
        form = urlencode(CARD | {"form": secrets.token_hex(16)}).encode()
        writer.write(
            f"POST {page} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form)}\r\n\r\n".encode()
            + form
        )
        status, body = await read_message(reader)
        assert " 303 " in status, (status, body[:300])
        await asyncio.wait_for(notified, 30)
        took.append(time.perf_counter() - began)
    writer.close()


async def run(port: int, buyers: int, seconds: float) -> dict[str, float]:
    shop = Shop()
    receiver = await asyncio.start_server(shop.serve, "127.0.0.1", 0)
    notify = f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}/notify"
    took: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(buy(port, shop, notify, began + seconds, took) for _ in range(buyers)))
    spent = time.perf_counter() - began
    receiver.close()
    took.sort()
    return {"per_second": len(took) / spent, "p50_ms": took[len(took) // 2] * 1000}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--buyers", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    json.dump(asyncio.run(run(args.port, args.buyers, args.seconds)), sys.stdout)


if __name__ == "__main__":
    main()
