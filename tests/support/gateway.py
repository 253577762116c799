"""Gateways and databases for tests, on both engines, verified after every test that used one.

Starting a gateway, stopping it, and making a database cost more than most tests do. So each test process keeps those it has
(`lent_gateway`, `lent_database`) and empties them between two that use them.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import uvloop

from gerbang import audit
from gerbang.app import Gateway
from gerbang.merchants import gateway_key
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.serving import bind, make_server
from gerbang.settings import SANDBOX_SECRET_KEY, Settings, load_settings
from gerbang.storage import Database, open_database
from support.postgres import Postgres

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
        self._server = make_server(self.gateway.asgi, settings)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert self._thread.is_alive(), "the gateway did not start"
            assert time.monotonic() < deadline, "the gateway takes long to start"
            time.sleep(0.002)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            self._loop = runner.get_loop()
            runner.run(self._server.serve(sockets=[self._socket]))

    def rest(self) -> None:
        """No background work until `start_over`."""
        asyncio.run_coroutine_threadsafe(self.gateway.end_work(), self._loop).result(30)

    def start_over(self) -> None:
        """As freshly started, on an empty database; but for the RSA key, which takes longer to make than most tests."""
        key = {"name": gateway_key._NAME}
        kept = self.database.read_now(lambda tx: tx.one("select value from instance where name = :name", key))
        self.gateway.start_over()
        if kept is not None:
            row = key | {"value": kept["value"]}
            self.database.transact_now(lambda tx: tx.execute("insert into instance (name, value) values (:name, :value)", row))
        self._loop.call_soon_threadsafe(self.gateway.begin_work)

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive() and not self._server.should_exit

    @property
    def database(self) -> Database:
        return self.gateway.database

    def request(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One plain HTTP request; what the control API is sent is JSON unless headers are given."""
        if headers is None and body is not None and path.startswith("/sandbox/"):
            headers = {"Content-Type": "application/json"}
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


_Key = tuple[object, ...]
_MOST_IDLE = 6
_idle: OrderedDict[_Key, RunningGateway] = OrderedDict()  # gateways at rest, by what they were made with
_directory: Path | None = None  # of what this process keeps


def _kept_in() -> Path:
    global _directory
    if _directory is None:
        _directory = Path(tempfile.mkdtemp(prefix="gerbang-kept-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    return _directory


@contextlib.contextmanager
def lent_gateway(
    *,
    postgres: Postgres | None = None,
    demo: bool = False,
    equip: Callable[[RunningGateway], object] | None = None,
    **given: Any,
) -> Iterator[RunningGateway]:
    """A sandbox as freshly started, with these settings; verified at the end, and kept for the next who wants one like it.

    postgres  where its database is; None: in a SQLite file
    equip     what is done to it once, when it is made: endpoints of a test's own, for one
    """
    key = (postgres, demo, equip, *sorted(given.items()))
    running = _idle.pop(key, None)
    if running is None:
        data = str(_kept_in() / f"{uuid.uuid4().hex}.db") if postgres is None else postgres.create(SCHEMA, write_schema)
        running = RunningGateway(load_settings(env={}, given={"data": data, "database_connections": 8, **given}), demo=demo)
        if equip is not None:
            equip(running)
    else:
        running.start_over()
    try:
        yield running
        assert_clean(running.database)
    finally:
        if running.is_running:
            running.rest()
            if key in _idle:  # two were lent at once
                _idle.pop(key).stop()
            _idle[key] = running
            while len(_idle) > _MOST_IDLE:
                _idle.popitem(last=False)[1].stop()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    while _idle:
        _idle.popitem()[1].stop()
    if _directory is not None:
        shutil.rmtree(_directory, ignore_errors=True)


SCHEMA = "schema"


def write_schema(url: str) -> None:
    """Fill a database that others are copied from."""
    open_database(url, connections=1).close()


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
    with request.getfixturevalue("postgres").lent(SCHEMA, write_schema) as url:
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
def shared_postgres(engine: str, request: pytest.FixtureRequest) -> Postgres | None:
    """For `lent_gateway`: the server when the engine is PostgreSQL."""
    return request.getfixturevalue("postgres") if engine == "postgresql" else None


@pytest.fixture
def gateway(shared_postgres: Postgres | None) -> Iterator[RunningGateway]:
    """A served sandbox with its demo data; verified when the test is over."""
    with lent_gateway(postgres=shared_postgres) as running:
        yield running


@pytest.fixture
def sqlite_gateway() -> Iterator[RunningGateway]:
    """The same on SQLite only, for what does not depend on the engine (pages, for one)."""
    with lent_gateway(demo=True) as running:
        yield running
