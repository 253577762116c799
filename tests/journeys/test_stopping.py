"""SIGTERM under load: what was received is answered, what was not is refused, and nobody's request is cut off in the middle."""

import http.client
import json
import threading
import time
import uuid
from pathlib import Path

import pytest

from support.gateway import assert_clean
from support.server import Server

CLIENTS = 64


@pytest.mark.kills
def test_sigterm_under_64_busy_connections_answers_what_was_received(tmp_path: Path) -> None:
    server = Server(str(tmp_path / "gerbang.db"), tmp_path)
    server.start()
    answered: list[str] = []
    reset: list[str] = []
    refused: list[str] = []

    def busy(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        while True:
            invoice = f"INV-{number}-{uuid.uuid4().hex[:12]}"
            body = json.dumps({"order": {"invoice_number": invoice, "amount": 1_000}}).encode()
            try:
                connection.request(
                    "POST", "/dokuwallet-emoney/v1/payment", body, server.headers_for("/dokuwallet-emoney/v1/payment", body)
                )
            except OSError:
                return  # not sent
            try:
                answer = connection.getresponse()
                answer.read()
            except http.client.RemoteDisconnected:
                refused.append(invoice)
                return
            except ConnectionError:
                reset.append(invoice)
                return
            assert answer.status == 200
            answered.append(invoice)
            if answer.will_close:
                connection.close()
                return

    threads = [threading.Thread(target=busy, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    while len(answered) < 4 * CLIENTS:
        time.sleep(0.01)

    server.end()
    for thread in threads:
        thread.join(15)

    try:
        stored = {
            row["invoice_number"] for row in server.database.read_now(lambda tx: tx.all("select invoice_number from orders"))
        }
        assert reset == []
        assert set(refused) & stored == set(), "refused, and done all the same"
        assert stored == set(answered)
        assert_clean(server.database)
    finally:
        server.stop()
