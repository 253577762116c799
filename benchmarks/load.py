"""A load generator in a process of its own: keep-alive connections that send requests signed beforehand, as fast as answered.

python -m benchmarks.load --port 8080 --connections 64 --seconds 4 --path /dokuwallet-emoney/v1/payment
prints one JSON line: requests answered per second and latency percentiles.
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

from benchmarks import CLIENT_ID, SECRET_KEY


def request_bytes(path: str, number: str, timestamp: str) -> bytes:
    """One signed order."""
    body = json.dumps(
        {
            "order": {
                "invoice_number": f"INV-{number}",
                "amount": 60_000,
                "line_items": [{"name": "Kopi Gayo, 250 g", "price": 30_000, "quantity": 2}],
                "success_url": "http://127.0.0.1:9/ok",
                "notify_url": "http://127.0.0.1:9/notify",
                "auto_redirect": False,
            }
        },
        separators=(",", ":"),
    ).encode()
    text = (
        f"Client-Id:{CLIENT_ID}\nRequest-Id:{number}\nRequest-Timestamp:{timestamp}\nRequest-Target:{path}\nDigest:"
        + base64.b64encode(hashlib.sha256(body).digest()).decode()
    )
    signature = base64.b64encode(hmac.digest(SECRET_KEY.encode(), text.encode(), "sha256")).decode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nClient-Id: {CLIENT_ID}\r\nRequest-Id: {number}\r\n"
        f"Request-Timestamp: {timestamp}\r\nSignature: HMACSHA256={signature}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Connection(asyncio.Protocol):
    """One keep-alive connection: send, wait for the whole answer, send the next."""

    def __init__(self, requests: list[bytes], latencies: list[float], until: float, done: "asyncio.Future[None]") -> None:
        self._requests = requests
        self._latencies = latencies
        self._until = until
        self._done = done
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        now = time.perf_counter()
        if now >= self._until or not self._requests:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        self._sent_at = now
        self._transport.write(self._requests.pop())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        start = lowered.index(b"content-length:") + 15
        length = int(lowered[start : lowered.index(b"\r\n", start) if b"\r\n" in lowered[start:] else None])
        if len(rest) < length:
            return
        assert head.startswith(b"HTTP/1.1 200"), self._buffer[:600]
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._buffer = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the server hung up"))


async def run(port: int, path: str, connections: int, seconds: float, rate_guess: int) -> dict[str, float]:
    timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    run_id = secrets.token_hex(4)
    requests = [request_bytes(path, f"{run_id}-{index}", timestamp) for index in range(int(rate_guess * seconds))]
    made = len(requests)
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    ends = []
    for _ in range(connections):
        done = loop.create_future()
        ends.append(done)
        await loop.create_connection(lambda done=done: Connection(requests, latencies, began + seconds, done), "127.0.0.1", port)
    await asyncio.gather(*ends)
    took = time.perf_counter() - began
    assert requests, f"ran out of {made} prepared requests"
    latencies.sort()
    return {
        "per_second": len(latencies) / took,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate-guess", type=int, default=12_000)
    args = parser.parse_args()
    import uvloop

    result = uvloop.run(run(args.port, args.path, args.connections, args.seconds, args.rate_guess))
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
