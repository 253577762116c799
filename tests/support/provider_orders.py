"""Orders of channels with a provider outside: a whole request to start from, one thing changed, one thing played."""

import asyncio
import copy
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest

from gerbang.sandbox.seed import DEMO_CLIENT_ID
from support.gateway import Answer, RunningGateway
from support.nonsnap import assert_error, assert_genuine

NOBODY = "http://127.0.0.1:9/notify"  # nothing listens there, and nothing leaves this machine


class Gone(Enum):
    """As a value: the field is not sent. An Enum, so that a parallel run names its tests everywhere the same."""

    GONE = "gone"


GONE = Gone.GONE


@dataclass(frozen=True)
class Shop:
    """The demo merchant on one channel. `sample` is a whole request as documented."""

    running: RunningGateway
    code: str
    path: str
    sample: Mapping[str, Any]

    def body(self, **changes: Any) -> dict[str, Any]:
        """The sample under an invoice number of its own; a change is named by its path: `order__line_items__0__name`."""
        body = copy.deepcopy(dict(self.sample))
        body["order"]["invoice_number"] = uuid.uuid4().hex[:20]
        for path, value in changes.items():
            *way, last = [int(step) if step.isdigit() else step for step in path.split("__")]
            place: Any = body
            for step in way:
                place = place[step]
            if value is GONE:
                del place[last]
            else:
                place[last] = value
        return body

    def order(self, **changes: Any) -> Answer:
        """An order with these changes; the answer is signed whatever it says."""
        return self.post(self.body(**changes))

    def post(self, body: object, *, path: str = "", request_id: str | None = None) -> Answer:
        """Any call of the channel."""
        answer = self.running.signed("POST", path or self.path, body, request_id=request_id)
        assert_genuine(answer, "POST", path or self.path)
        return answer

    def opened(self, **changes: Any) -> str:
        """The invoice number of an order that was accepted, whose notifications reach nobody."""
        changes.setdefault("additional_info", {"override_notification_url": NOBODY})
        answer = self.order(**changes)
        assert answer.status == 200, answer.body
        return str(answer.json["order"]["invoice_number"])

    def record(self, invoice_number: str) -> dict[str, Any]:
        """What the gateway wrote down about an order."""
        return dict(self.running.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={invoice_number}"))

    def payment(self, invoice_number: str) -> dict[str, Any]:
        """Its newest payment."""
        return dict(self.record(invoice_number)["payments"][-1])

    def play(self, invoice_number: str, outcome: str) -> dict[str, Any]:
        """The buyer's part without a browser."""
        wanted = {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice_number, "outcome": outcome}
        return dict(self.running.control("POST", "/payments/outcome", wanted))

    def said(self, invoice_number: str) -> str:
        """`transaction.status` of check status."""
        return str(self.running.status(invoice_number).json["transaction"]["status"])

    def until(self, invoice_number: str, event: str) -> list[str]:
        """The events of its newest payment, as soon as this one is among them."""
        deadline = time.monotonic() + 15
        while event not in (seen := [one["event"] for one in self.payment(invoice_number)["events"]]):
            assert time.monotonic() < deadline, seen
            time.sleep(0.02)
        return seen

    def options(self, **options: Any) -> None:
        """The merchant's own options on the channel, in the place of all it had."""
        self.running.control("PUT", f"/merchants/{DEMO_CLIENT_ID}/channels/{self.code}", {"options": options})

    @property
    def room(self) -> Any:
        """The room's running parts."""
        return self.running.gateway.rooms[self.code]

    def does(self, monkeypatch: pytest.MonkeyPatch, question: str, what: Callable[..., Any]) -> None:
        """From now on the provider answers a question so: what is returned, or silence for what is raised."""

        async def answer(*args: Any) -> Any:
            await asyncio.sleep(0)
            return what(*args)

        monkeypatch.setattr(self.room.provider, question, answer)


def silence(*_: Any) -> Any:
    """No answer."""
    raise ConnectionError("nobody there")


def assert_refused(answer: Answer, message: str) -> None:
    """A body error with this message."""
    assert_error(answer, 400, "INVALID_PARAMETER", message, "Invalid Parameter")


def moved(payment: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """(debit, credit, rupiah) of every transfer about a payment, its refunds included."""
    refunds = [transfer for refund in payment.get("refunds", ()) for transfer in refund["transfers"]]
    return [(one["debit"], one["credit"], one["amount"]) for one in [*payment["transfers"], *refunds]]
