"""The Client-Id style API as a merchant's engineer knows it: vectors, error bodies, and checking the gateway's signatures."""

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY, load_settings
from support.gateway import Answer, RunningGateway, assert_clean, independent_signature

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "nonsnap-signatures.json").read_text())
PAYMENT = "/dokuwallet-emoney/v1/payment"
HEADER = "invalid_request_error"
BODY = "Invalid Parameter"


@contextlib.contextmanager
def served(directory: Path, **given: Any) -> Iterator[RunningGateway]:
    """A sandbox on SQLite with these settings, for a module to share; verified at the end."""
    running = RunningGateway(load_settings(env={}, given={"data": str(directory / "gerbang.db"), **given}))
    try:
        yield running
        assert_clean(running.database)
    finally:
        running.stop()


def import_merchant(running: RunningGateway, client_id: str, secret_key: str, **more: Any) -> None:
    """Register a merchant with credentials it has already."""
    running.control("POST", "/merchants", {"name": "Toko Uji", "client_id": client_id, "secret_key": secret_key, **more})


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(**delta: float) -> str:
    """A Request-Timestamp of some time ago, by the machine's clock."""
    return iso(datetime.now(UTC) - timedelta(**delta))


def digest(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def request_text(client_id: str, request_id: str, timestamp: str, target: str, body: bytes | None) -> str:
    """What a merchant signs."""
    lines = [f"Client-Id:{client_id}", f"Request-Id:{request_id}", f"Request-Timestamp:{timestamp}", f"Request-Target:{target}"]
    return "\n".join(lines if body is None else [*lines, f"Digest:{digest(body)}"])


def assert_genuine(
    answer: Answer, method: str, path: str, *, secret_key: str = SANDBOX_SECRET_KEY, client_id: str = DEMO_CLIENT_ID
) -> None:
    """The answer has every header of the document and its signature is right: D-2, S0-25, S0-26, S0-27."""
    sent = answer.headers
    assert sent["content-type"] == "application/json"
    assert sent["client-id"] == client_id
    assert sent["response-timestamp"] == sent["request-timestamp"]
    moment = datetime.strptime(sent["response-timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 15
    lines = [
        f"Client-Id:{client_id}",
        f"Request-Id:{sent['request-id']}",
        f"Response-Timestamp:{sent['response-timestamp']}",
        f"Request-Target:{path}",
    ]
    if method != "GET":
        lines.append(f"Digest:{digest(answer.body)}")
    assert sent["signature"] == independent_signature("\n".join(lines), secret_key)


def assert_error(answer: Answer, status: int, code: str, message: str, kind: str) -> None:
    """Error family A, exactly."""
    assert (answer.status, answer.json) == (status, {"error": {"code": code, "message": message, "type": kind}})


def assert_invalid(answer: Answer, message: str) -> None:
    """A body error, signed."""
    assert_error(answer, 400, "INVALID_PARAMETER", message, BODY)
    assert_genuine(answer, "POST", PAYMENT)
