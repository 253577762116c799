"""OVO push as a merchant calls it: no headers needed, the body is signed by itself, the answer waits for the buyer."""

import copy
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from enum import Enum
from typing import Any

from gerbang.merchants import update
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from support.gateway import Answer, RunningGateway

PUSH = "/ovo-emoney/v1/payment"
VOID = "/ovo-emoney/v1/cancel"
NOBODY = "http://127.0.0.1:9/notify"  # nothing listens there, and nothing leaves this machine
REFUSES, PAYS, SILENT = "081211110000", "081211118888", "081211119999"
MERCHANT = DEMO_CLIENT_ID


class Gone(Enum):
    """As a value: the field is not sent."""

    GONE = "gone"


GONE = Gone.GONE

SAMPLE: Mapping[str, Any] = {
    "client": {"id": DEMO_CLIENT_ID},
    "order": {"invoice_number": "INV-20210115-0001", "amount": 10000},
    "ovo_info": {"ovo_id": "081211111111"},
}
_IN_THIS_ORDER = (
    "order.amount",
    "ovo_payment.approval_code",
    "ovo_payment.batch_number",
    "client.id",
    "order.invoice_number",
    "ovo_info.ovo_id",
    "ovo_payment.reference_number",
    "ovo_payment.trace_number",
)


def tell_somewhere(running: RunningGateway) -> None:
    """The demo merchant's notifications have an address of the merchant's own: one in a body without signed headers is not used."""
    running.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, notification_url=NOBODY))
    running.gateway.directory.forget()


def independent_sum(body: Mapping[str, Any], secret_key: str = SANDBOX_SECRET_KEY) -> str:
    """Written apart from the product's, so that one cannot excuse the other."""
    hashed = hashlib.sha256()
    for path in _IN_THIS_ORDER:
        block, name = path.split(".")
        value = (body.get(block) or {}).get(name)
        hashed.update(b"" if value is None else str(value).encode())
    hashed.update(secret_key.encode())
    return hashed.hexdigest()


def summed(body: Mapping[str, Any], secret_key: str = SANDBOX_SECRET_KEY) -> dict[str, Any]:
    """The body with its check sum."""
    return {**body, "security": {"check_sum": independent_sum(body, secret_key)}}


def push_body(secret_key: str = SANDBOX_SECRET_KEY, **changes: Any) -> dict[str, Any]:
    """The sample under an invoice number of its own, told to nobody, summed; a change is named `order__amount`."""
    body = copy.deepcopy(dict(SAMPLE))
    body["order"]["invoice_number"] = uuid.uuid4().hex[:20]
    body["additional_info"] = {"override_notification_url": NOBODY}
    return changed(body, secret_key, **changes)


def changed(body: Mapping[str, Any], secret_key: str = SANDBOX_SECRET_KEY, **changes: Any) -> dict[str, Any]:
    """The body with these changes, summed again; who changes the sum itself gets it as given."""
    new = copy.deepcopy(dict(body))
    new.pop("security", None)
    sums = {path: value for path, value in changes.items() if path.startswith("security")}
    for path, value in changes.items():
        if path not in sums:
            _change(new, path, value)
    new = summed(new, secret_key)
    for path, value in sums.items():
        _change(new, path, value)
    return new


def _change(body: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split("__")
    place = body
    for step in way:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value


def void_body(answer: Any, **changes: Any) -> dict[str, Any]:
    """The void of a payment, out of the answer to its push."""
    names = ("batch_number", "trace_number", "reference_number", "approval_code")
    body = {
        "client": answer["client"],
        "order": answer["order"],
        "ovo_info": {"ovo_id": answer["ovo_info"]["ovo_id"]},
        "ovo_payment": {name: answer["ovo_payment"][name] for name in names},
    }
    return changed(body, **changes)


def post(running: RunningGateway, body: object, path: str = PUSH) -> Answer:
    """Without any header but the content's type. `body` is bytes as they are, or anything JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return running.request("POST", path, raw, {"Content-Type": "application/json"})


def later(running: RunningGateway, body: object, *, headers: bool = False, request_id: str | None = None) -> "Future[Answer]":
    """The same beside the test: the answer comes when the buyer has decided."""
    coming: Future[Answer] = Future()

    def call() -> None:
        try:
            answer = running.signed("POST", PUSH, body, request_id=request_id) if headers else post(running, body)
            coming.set_result(answer)
        except BaseException as error:
            coming.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return coming


def record(running: RunningGateway, invoice_number: str) -> Any:
    """What the gateway wrote down about an order."""
    return running.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={invoice_number}")


def pushed(running: RunningGateway, invoice_number: str, *, within_s: float = 10.0) -> str:
    """The payment's id, as soon as OVO was told of it."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        rows = running.database.read_now(
            lambda tx: tx.all(
                "select s.payment_id as id from simulated_order s join payment p on p.id = s.payment_id"
                " join orders o on o.id = p.order_id where o.invoice_number = :number",
                {"number": invoice_number},
            )
        )
        if rows:
            return str(rows[0]["id"])
        time.sleep(0.02)
    raise AssertionError("OVO was never told")


def play(running: RunningGateway, invoice_number: str, outcome: str, **more: Any) -> Any:
    """The buyer's part without a browser."""
    wanted = {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice_number, "outcome": outcome, **more}
    return running.control("POST", "/payments/outcome", wanted)


def paid(running: RunningGateway, **changes: Any) -> Any:
    """The answer to a push that its buyer paid at once."""
    answer = post(running, push_body(**{"ovo_info__ovo_id": PAYS, **changes}))
    assert answer.status == 200, answer.body
    assert answer.json["ovo_payment"]["status"] == "SUCCESS", answer.body
    return answer.json
