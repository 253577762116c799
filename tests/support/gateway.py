"""Gateways and databases for tests, on both engines, verified after every test that used one."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from gerbang import audit
from gerbang.app import Gateway
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.serving import bind, make_server
from gerbang.settings import SANDBOX_SECRET_KEY, Settings, load_settings
from gerbang.storage import Database, open_database

NOON = datetime(2026, 5, 19, 5, 0, tzinfo=UTC)  # 12.00 in Jakarta

ENGINES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP. Header names as sent, lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def independent_signature(text: str, secret_key: str) -> str:
    """Written apart from the product's, so that one cannot excuse the other."""
    return "HMACSHA256=" + base64.b64encode(hmac.new(secret_key.encode(), text.encode(), hashlib.sha256).digest()).decode()


class RunningGateway:
    """A gateway served on a free loopback port by a thread of this process."""

    def __init__(self, settings: Settings, *, demo: bool = False, background: bool = True) -> None:
        self._socket = bind("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.gateway = Gateway(settings, demo_base_url=self.url if demo else None, background=background)
        self._server = make_server(self.gateway.asgi)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline, "the gateway did not start"
            time.sleep(0.005)

    @property
    def database(self) -> Database:
        return self.gateway.database

    def request(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One plain HTTP request."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def signed(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        client_id: str = DEMO_CLIENT_ID,
        secret_key: str = SANDBOX_SECRET_KEY,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A signed request as a merchant sends it. `body` is bytes as they are, or anything JSON; `headers` override."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {
            "Client-Id": client_id,
            "Request-Id": request_id or str(uuid.uuid4()),
            "Request-Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        } | dict(headers or {})
        text = "\n".join(
            [
                f"Client-Id:{sent['Client-Id']}",
                f"Request-Id:{sent['Request-Id']}",
                f"Request-Timestamp:{sent['Request-Timestamp']}",
                f"Request-Target:{path}",
            ]
        )
        if raw is not None:
            text += "\nDigest:" + base64.b64encode(hashlib.sha256(raw).digest()).decode()
            sent.setdefault("Content-Type", "application/json")
        sent.setdefault("Signature", independent_signature(text, secret_key))
        return self.request(method, path, raw, sent)

    def create_order(self, invoice_number: str | None = None, amount: int = 60_000, **order: Any) -> Answer:
        """A DOKU e-Wallet order of the demo merchant."""
        number = invoice_number or f"INV-{uuid.uuid4().hex[:12]}"
        return self.signed(
            "POST", "/dokuwallet-emoney/v1/payment", {"order": {"invoice_number": number, "amount": amount, **order}}
        )

    def status(self, invoice_or_request_id: str) -> Answer:
        """Check status as the demo merchant."""
        return self.signed("GET", "/orders/v1/status/" + quote(invoice_or_request_id, safe=""))

    def control(self, method: str, path: str, body: object = None) -> Any:
        """A call of the control API that must succeed; its JSON."""
        raw = None if body is None else json.dumps(body).encode()
        answer = self.request(method, "/sandbox/v1" + path, raw, {"Content-Type": "application/json"})
        assert answer.status == 200, answer.body
        return answer.json

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=15)
        self._socket.close()


def assert_clean(database: Database) -> None:
    """Every invariant of the ledger and the payments holds."""
    problems = database.read_now(audit.problems)
    assert problems == []


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Runs the test once on each engine."""
    return str(request.param)


@pytest.fixture
def data_address(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database of the engine."""
    if engine == "sqlite":
        yield str(tmp_path / "gerbang.db")
        return
    postgres = request.getfixturevalue("postgres")
    with postgres.database("schema", lambda url: open_database(url, connections=1).close()) as url:
        yield url


@pytest.fixture
def database(data_address: str) -> Iterator[Database]:
    """An open, empty database; verified when the test is over."""
    opened = open_database(data_address, connections=8)
    yield opened
    try:
        assert_clean(opened)
    finally:
        opened.close()


@pytest.fixture
def gateway(data_address: str) -> Iterator[RunningGateway]:
    """A served sandbox with its demo data; verified when the test is over."""
    running = RunningGateway(load_settings(env={}, given={"data": data_address, "database_connections": 8}))
    yield running
    try:
        assert_clean(running.database)
    finally:
        running.stop()


@pytest.fixture
def sqlite_gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    """The same on SQLite only, for what does not depend on the engine (pages, for one)."""
    running = RunningGateway(load_settings(env={}, given={"data": str(tmp_path / "gerbang.db")}), demo=True)
    yield running
    try:
        assert_clean(running.database)
    finally:
        running.stop()
