"""A shop that handles notifications as it should, except for the faults it is told to have.

Written from DOKU's pages with the standard library, as a merchant would; nothing here comes from gerbang.
"""

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, urlsplit

# Each is a mistake that real shops make.
FAULTS = {
    "answers_500": "does its work and crashes before it answers",
    "is_slow": "works before it answers",
    "buys_again": "keeps no Request-Ids and fulfils each SUCCESS",
    "refuses_repeats": "answers a repeat with 409",
    "refuses_failed": "knows SUCCESS only",
    "failed_undoes": "cancels a paid order when FAILED comes",
    "checks_no_signature": "believes whoever knows the address",
    "trusts_digest_header": "takes the digest from a header",
    "shrugs_at_strangers": "answers 200 to Client-Ids it does not know, unread",
    "hashes_rewritten_json": "hashes the JSON as it would write it",
    "rejects_new_fields": "parses strictly",
    "believes_any_amount": "does not compare the amount",
    "stores_after_the_call": "knows an order when its creation was answered",
    "never_asks": "waits for notifications only",
    "counts_nothing": "does not say how often an order was bought",
}
_KNOWN_FIELDS = {"service", "acquirer", "channel", "order", "transaction", "emoney_payment", "additional_info", "customer"}


@dataclass
class Order:
    amount: int
    state: str = "waiting"
    fulfilled: int = 0
    seen: set[str] = field(default_factory=set)


class BrokenShop:
    """Serves POST /notify, POST /orders (checkout) and GET /orders/{invoice} (state) on a free port."""

    def __init__(self, gateway: str, client_id: str, secret_key: str, faults: Iterable[str] = (), *, slow_s: float = 2.5) -> None:
        self.faults = set(faults)
        assert self.faults <= set(FAULTS), self.faults
        self.client_id, self.secret_key, self.gateway = client_id, secret_key, gateway
        self.slow_s = slow_s
        self.orders: dict[str, Order] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/orders":
                    self._answer(*shop.checkout())
                elif self.path == "/notify":
                    self._answer(*shop.notify(self.path, self.headers, body))
                else:
                    self._answer(404, "no such page")

            def do_GET(self) -> None:
                self._answer(*shop.state(self.path.removeprefix("/orders/")))

            def _answer(self, status: int, said: object) -> None:
                text = (said if isinstance(said, str) else json.dumps(said)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> "BrokenShop":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    # -- what a shop does

    def checkout(self) -> tuple[int, object]:
        invoice, order = f"BS-{next(self._numbers)}-{uuid.uuid4().hex[:6]}", Order(75_000)
        if "stores_after_the_call" not in self.faults:
            self.orders[invoice] = order
        sent = {"order": {"invoice_number": invoice, "amount": order.amount, "notify_url": f"{self.url}/notify"}}
        status, _ = self._call("POST", "/dokuwallet-emoney/v1/payment", json.dumps(sent).encode())
        self.orders[invoice] = order
        return (201, {"order": {"invoice_number": invoice}}) if status == 200 else (502, "the gateway refused")

    def notify(self, target: str, headers: Any, body: bytes) -> tuple[int, object]:
        if "shrugs_at_strangers" in self.faults and headers["Client-Id"] != self.client_id:
            return 200, "not ours"
        if "checks_no_signature" not in self.faults and not self._is_genuine(target, headers, body):
            return 401, "wrong signature"
        told = json.loads(body)
        if "rejects_new_fields" in self.faults and not set(told) <= _KNOWN_FIELDS:
            return 400, "unknown field"
        order = self.orders.get(told["order"]["invoice_number"])
        if order is None:
            return 404, "no such order"
        if told["order"]["amount"] != order.amount and "believes_any_amount" not in self.faults:
            return 400, "another amount"
        if "is_slow" in self.faults and self.slow_s:
            wait_s, self.slow_s = self.slow_s, 0.0
            time.sleep(wait_s)
        status = told["transaction"]["status"]
        with self._lock:
            repeated = headers["Request-Id"] in order.seen
            order.seen.add(headers["Request-Id"])
            if repeated and "refuses_repeats" in self.faults:
                return 409, "seen before"
            if status == "SUCCESS":
                self._paid(order)
            elif "refuses_failed" in self.faults:
                return 422, "not a success"
            elif order.state == "waiting" or "failed_undoes" in self.faults:
                order.state = "failed"
        return (500, "Traceback") if "answers_500" in self.faults else (200, "OK")

    def state(self, invoice: str) -> tuple[int, object]:
        order = self.orders.get(invoice)
        if order is None:
            return 404, "no such order"
        if order.state == "waiting" and "never_asks" not in self.faults:
            status, told = self._call("GET", f"/orders/v1/status/{quote(invoice)}", None)
            if status == 200 and told["transaction"]["status"] == "SUCCESS" and told["order"]["amount"] == order.amount:
                with self._lock:
                    if order.state == "waiting":
                        self._paid(order)
        said: dict[str, object] = {"state": order.state}
        return 200, said if "counts_nothing" in self.faults else said | {"fulfilled": order.fulfilled}

    def _paid(self, order: Order) -> None:
        if order.state != "paid" or "buys_again" in self.faults:
            order.fulfilled += 1
        order.state = "paid"

    # -- what it knows of signatures

    def _is_genuine(self, target: str, headers: Any, body: bytes) -> bool:
        if headers["Client-Id"] != self.client_id:
            return False
        hashed = body
        if "hashes_rewritten_json" in self.faults:
            hashed = json.dumps(json.loads(body), separators=(",", ":")).encode()
        digest = base64.b64encode(hashlib.sha256(hashed).digest()).decode()
        if "trusts_digest_header" in self.faults and headers["Digest"]:
            digest = headers["Digest"]
        expected = self._signature(headers["Request-Id"], headers["Request-Timestamp"], target, digest)
        return hmac.compare_digest(expected, headers["Signature"] or "")

    def _signature(self, request_id: str, timestamp: str, target: str, digest: str | None) -> str:
        lines = [f"Client-Id:{self.client_id}", f"Request-Id:{request_id}"]
        lines += [f"Request-Timestamp:{timestamp}", f"Request-Target:{target}"]
        if digest is not None:
            lines.append(f"Digest:{digest}")
        mac = hmac.new(self.secret_key.encode(), "\n".join(lines).encode(), hashlib.sha256).digest()
        return "HMACSHA256=" + base64.b64encode(mac).decode()

    def _call(self, method: str, path: str, body: bytes | None) -> tuple[int, Any]:
        parts = urlsplit(self.gateway)
        request_id, timestamp = str(uuid.uuid4()), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        digest = None if body is None else base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers = {
            "Client-Id": self.client_id,
            "Request-Id": request_id,
            "Request-Timestamp": timestamp,
            "Signature": self._signature(request_id, timestamp, path, digest),
            "Content-Type": "application/json",
        }
        with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
