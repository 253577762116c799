"""Filling a database with payments that were paid, as the gateway itself would have left them."""

import sqlite3
import sys
from itertools import islice

import msgspec

from benchmarks import CLIENT_ID
from gerbang.app import Gateway
from gerbang.ids import new_id
from gerbang.settings import load_settings

_DETAILS = msgspec.json.encode(
    {
        "success_url": "http://127.0.0.1:9/ok",
        "notify_url": "http://127.0.0.1:9/notify",
        "line_items": [{"name": "Kopi Gayo, 250 g", "price": 30_000, "quantity": 2}],
    }
).decode()


def fill(path: str, count: int) -> None:
    """Write `count` orders with a paid payment, two events and a kept answer each (the journal is left out: creates do not touch it)."""
    Gateway(load_settings(given={"data": path}), background=False).close()
    if not count:
        return
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma synchronous = off")
    rows = (row for row in _rows(count))
    while batch := list(islice(rows, 20_000)):
        connection.execute("begin")
        connection.executemany(
            "insert into orders (id, merchant_id, invoice_number, amount, state, request_id, details, created_at)"
            " values (:order, :merchant, :invoice, 60000, 'PAID', :request, :details, :at)",
            batch,
        )
        connection.executemany(
            "insert into payment (id, order_id, merchant_id, channel, amount, state, payer, approval_code, created_at, expires_at, finished_at)"
            " values (:payment, :order, :merchant, 'EMONEY_DOKU', 60000, 'SUCCESS', '1140340010', '123456', :at, :at + 3600000, :at + 9000)",
            batch,
        )
        connection.executemany(
            "insert into event (subject, merchant_id, event, state, at) values (:payment, :merchant, 'CREATED', 'PENDING', :at)",
            batch,
        )
        connection.executemany(
            "insert into event (subject, merchant_id, event, state, at) values (:payment, :merchant, 'PAID', 'SUCCESS', :at + 9000)",
            batch,
        )
        connection.execute("commit")
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()


def _rows(count: int):
    for index in range(count):
        yield {
            "order": new_id("ord"),
            "payment": new_id("pay"),
            "merchant": CLIENT_ID,
            "invoice": f"OLD-{index:x}-{index * 2654435761 % 2**32:08x}",
            "request": f"{index * 2246822519 % 2**32:08x}-{index}",
            "details": _DETAILS,
            "at": 1_780_000_000_000 + index * 50,
        }


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
