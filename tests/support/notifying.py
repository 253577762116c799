"""What tests of notifications share: payments that end, a delivery process of one's own, receivers that behave badly."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlencode

from gerbang.clock import Clock
from gerbang.merchants import find, records
from gerbang.merchants.gateway_key import GatewayKey
from gerbang.notifications.delivery import Deliverer
from gerbang.notifications.outbox import Attempt, Notification, attempts_of, enqueue, get_notification
from gerbang.protocols.preparing import preparers
from gerbang.protocols.snap.notification import SnapNotifications
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY, load_settings
from gerbang.storage import Database, open_database
from support.gateway import RunningGateway
from support.listener import Listener

T = TypeVar("T")

SECRETS = {DEMO_CLIENT_ID: SANDBOX_SECRET_KEY}


def eventually(look: Callable[[], T], timeout_s: float = 20.0) -> T:
    """The first truthy answer of `look`; fails with the last one."""
    deadline = time.monotonic() + timeout_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {timeout_s} s"
        time.sleep(0.01)
    return seen


def a_merchant() -> Listener:
    """A receiver that knows the demo merchant's secret key."""
    return Listener.start(secrets=SECRETS)


def end_payment(gateway: RunningGateway, invoice: str, outcome: str = "SUCCESS", **order: Any) -> None:
    """An order of the demo merchant whose payment ends at once."""
    answer = gateway.create_order(invoice, **order)
    assert answer.status == 200, answer.body
    gateway.control("POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, "outcome": outcome})


def notifications(gateway: RunningGateway, invoice: str) -> list[dict[str, Any]]:
    """The notifications of an order, with their attempts, as the control API tells them."""
    query = urlencode({"client_id": DEMO_CLIENT_ID, "invoice_number": invoice})
    found: list[dict[str, Any]] = gateway.control("GET", f"/notifications?{query}")["notifications"]
    return found


def the_notification(gateway: RunningGateway, invoice: str, *, attempts: int) -> dict[str, Any]:
    """The order's only notification, once it has that many attempts."""

    def look() -> dict[str, Any] | None:
        [found] = notifications(gateway, invoice)
        return found if len(found["attempts"]) >= attempts else None

    return eventually(look)


def moment(text: str) -> datetime:
    """A `2026-01-02T03:05:00Z` of the wire."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


# -- without a gateway around


def queue_one(database: Database, url: str, *, payment_id: str, order_id: str = "ord_1", now: datetime | None = None) -> str:
    """A notification in the outbox, of the demo merchant, which is made when it is not there; its id."""

    def put(tx: Any) -> str:
        at = now or Clock().now()
        if find(tx, DEMO_CLIENT_ID) is None:
            records.create(tx, name="Pasar Pagi", client_id=DEMO_CLIENT_ID, secret_key=SANDBOX_SECRET_KEY, now=at)
        return enqueue(
            tx,
            merchant_id=DEMO_CLIENT_ID,
            order_id=order_id,
            payment_id=payment_id,
            kind="nonsnap",
            url=url,
            body={"order": {"invoice_number": payment_id, "amount": 60_000}},
            now=at,
        )

    return database.transact_now(put)


def as_stored(database: Database, notification_id: str) -> tuple[Notification, list[Attempt]]:
    """A notification and its attempts."""
    return database.read_now(lambda tx: (get_notification(tx, notification_id), attempts_of(tx, notification_id)))


class Delivering:
    """What one process does about deliveries: a Deliverer with a database connection and an event loop of its own."""

    def __init__(self, address: str, **given: Any) -> None:
        self.database = open_database(address, connections=4)
        self.clock = Clock()
        settings = load_settings(env={}, given={"data": address, **given})
        snap = SnapNotifications(GatewayKey(self.database, settings).private_key)
        self.deliverer = Deliverer(self.database, self.clock, settings, preparers(snap))
        self._loop = asyncio.new_event_loop()
        self._running: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self._running = self._loop.create_task(self.deliverer.run())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._running)

    def __enter__(self) -> "Delivering":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def advance(self, **by: float) -> None:
        """Move business time."""
        self.clock.offset += timedelta(**by)

    def stop(self) -> None:
        if self._running is None:
            return
        self._loop.call_soon_threadsafe(self._running.cancel)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the deliverer did not stop"
        self._running = None
        self._loop.close()
        self.database.close()


class RudeReceiver:
    """A TCP server that reads one request per connection and then does with the connection what the test says."""

    def __init__(self, behave: Callable[[socket.socket], None], *, host: str = "127.0.0.1", wrap: Any = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._behave = behave
        self._wrap = wrap
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, 0), family=family, dualstack_ipv6=host == "::")
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(self._wrap(connection) if self._wrap else connection) as wrapped:
            self.requests.append(_read_request(wrapped))
            self._behave(wrapped)

    def __enter__(self) -> "RudeReceiver":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def _read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    chunk = connection.recv(65_536)
    if not chunk:
        raise OSError("the caller went away")
    return chunk
