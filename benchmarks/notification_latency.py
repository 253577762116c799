"""How long after a payment is committed its notification starts, and arrives: python -m benchmarks.notification_latency

200 payments through a served gateway, to a merchant's receiver in a process of its own. The commit's time is taken where the
outbox is told of it, so *start* is what the gateway adds: looking, claiming (one commit), signing.
"""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from gerbang.notifications.delivery import Deliverer
from gerbang.notifications.outbox import TOPIC
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import load_settings
from support.gateway import RunningGateway
from support.listener import Listener

PAYMENTS = 200


def measure(gateway: RunningGateway, merchant: Listener, *, at_once: bool) -> tuple[list[float], list[float]]:
    """Milliseconds from commit to start, and from commit to arrival."""
    database, deliverer = gateway.database, gateway.gateway.deliverer
    started: dict[str, float] = {}
    committed: list[float] = []
    tell = database._listeners[TOPIC]
    attempt = Deliverer._attempt

    def told() -> None:
        committed.append(time.time())
        tell()

    async def noting(self, notification, merchant):  # type: ignore[no-untyped-def]
        started[notification.request_id] = time.time()
        return await attempt(self, notification, merchant)

    database.listen(TOPIC, told)
    Deliverer._attempt = noting  # type: ignore[method-assign]
    merchant.forget()
    try:
        prefix = f"INV-{time.time_ns()}"
        for number in range(PAYMENTS):
            gateway.create_order(f"{prefix}-{number}", notify_url=merchant.url("/notify"))
        paying = [threading.Thread(target=pay, args=(gateway, f"{prefix}-{number}")) for number in range(PAYMENTS)]
        for number, payment in enumerate(paying, 1):
            payment.start()
            if not at_once:
                payment.join()
                merchant.wait_for(number)
        for payment in paying:
            payment.join()
        received = merchant.wait_for(PAYMENTS, timeout_s=30)
    finally:
        Deliverer._attempt = attempt  # type: ignore[method-assign]
        database.listen(TOPIC, tell)
    assert deliverer is gateway.gateway.deliverer
    # Group commit tells once for several payments: each start belongs to the last commit before it.
    starts, arrivals = [], []
    for call in received:
        start = started[call.header("Request-Id") or ""]
        commit = max(at for at in committed if at <= start)
        starts.append((start - commit) * 1_000)
        arrivals.append((call.at - commit) * 1_000)
    return starts, arrivals


def pay(gateway: RunningGateway, invoice: str) -> None:
    wanted = {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, "outcome": "SUCCESS"}
    gateway.control("POST", "/payments/outcome", wanted)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notification_latency")
    parser.add_argument("--data", help="postgresql:// address of an empty database (default: a new SQLite file)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gerbang-latency-") as directory, Listener.start() as merchant:
        data = chosen.data or str(Path(directory) / "gerbang.db")
        gateway = RunningGateway(load_settings(env={}, given={"data": data, "log_level": "error"}))
        measure(gateway, merchant, at_once=False)  # warm
        print(f"{PAYMENTS} payments, {gateway.database.engine}; milliseconds after the commit: min / median / max")
        for title, at_once in (("one after another", False), ("all at once", True)):
            starts, arrivals = measure(gateway, merchant, at_once=at_once)
            for what, values in (("first attempt starts", starts), ("merchant has it", arrivals)):
                print(f"  {title:<18} {what:<22} {min(values):6.1f} / {median(values):6.1f} / {max(values):6.1f}")
        gateway.stop()


if __name__ == "__main__":
    main()
