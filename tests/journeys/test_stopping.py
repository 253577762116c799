"""SIGTERM while 64 callers are busy: what was sent has its answer, what was answered is on disk, and the rest was never heard."""

import http.client
import threading
import uuid
from collections import Counter
from pathlib import Path

import pytest

from gerbang.sandbox.seed import DEMO_CLIENT_ID
from support.gateway import RunningGateway, assert_clean
from support.notifying import eventually
from support.server import Server


class _Caller(RunningGateway):
    """A merchant who keeps a connection open and signs one create after the other on it."""

    def __init__(self, server: Server, told: Counter[str], taken: set[str]) -> None:
        self.url = server.url
        self._told, self._taken = told, taken
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

    def call_on(self) -> None:
        while True:
            if self._connection.sock is None:
                try:
                    self._connection.connect()
                except ConnectionRefusedError:
                    return
            invoice = uuid.uuid4().hex
            try:
                self.create_order(invoice)
            except (OSError, http.client.HTTPException) as error:
                self._told[repr(error)] += 1
                return
            self._taken.add(invoice)

    def request(self, method, path, body=None, headers=None):  # type: ignore[no-untyped-def]
        self._connection.request(method, path, body, dict(headers or {}))
        answer = self._connection.getresponse()
        answer.read()
        self._told[str(answer.status)] += 1


@pytest.mark.kills
def test_a_stop_answers_64_busy_callers(tmp_path: Path):
    server = Server(str(tmp_path / "gerbang.db"), tmp_path)
    told: Counter[str] = Counter()
    taken: set[str] = set()
    try:
        server.start()
        callers = [threading.Thread(target=_Caller(server, told, taken).call_on, daemon=True) for _ in range(64)]
        for one in callers:
            one.start()
        eventually(lambda: told["200"] > 300, timeout_s=30)
        server.end()
        for one in callers:
            one.join(20)

        assert set(told) == {"200"}, told
        kept = server.database.read_now(
            lambda tx: tx.all("select invoice_number from orders where merchant_id = :id", {"id": DEMO_CLIENT_ID})
        )
        assert {row["invoice_number"] for row in kept} == taken
        assert_clean(server.database)
    finally:
        server.stop()
