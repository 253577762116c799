"""The sandbox's pretend provider: books of its own, the same answers as a real one, reports until they are heard.

What it does with an order is decided by its buyer's press of a button, by what a tester chose beforehand, or by a magic value
(`party.py`). It goes on by itself after `kill -9`: what it has to report is on its own pages of the database.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from gerbang.channel import Parts
from gerbang.clock import from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_digits, new_id
from gerbang.money import Rupiah
from gerbang.providers.party import Behaviour, Party
from gerbang.providers.questions import Asked, Begun, Report, TurnedDown
from gerbang.storage import Row, Tx

SLOW = timedelta(seconds=20)
LATE = timedelta(minutes=1)

_PAYING = (Behaviour.SUCCESS, Behaviour.SLOW, Behaviour.PAID_TWICE, Behaviour.PAID_LATE)

_WAITING, _DECIDED, _SILENT, _WITHDRAWN, _TURNED_DOWN = "WAITING", "DECIDED", "SILENT", "WITHDRAWN", "TURNED_DOWN"


@dataclass(frozen=True, slots=True)
class SimulatedOrder:
    """An order in the pretend provider's books.

    state    WAITING for its buyer; DECIDED; SILENT: it will never say anything; WITHDRAWN by us; TURNED_DOWN by it
    chosen   what a tester wants to happen when the buyer presses Pay
    details  what the pretend provider remembers of its buyer (a plan, a card)
    """

    payment_id: str
    reference: str
    asked: Asked
    state: str
    chosen: Behaviour | None
    details: dict[str, Any]
    expires_at: datetime

    @property
    def is_waiting(self) -> bool:
        return self.state == _WAITING

    @property
    def is_silent(self) -> bool:
        return self.state == _SILENT

    @property
    def is_withdrawn(self) -> bool:
        return self.state == _WITHDRAWN

    @property
    def is_reusable(self) -> bool:
        """Paid, it goes on waiting: its code can be paid again."""
        return self.asked.facts.get("reusable") is True


def find_simulated(tx: Tx, payment_id: str) -> SimulatedOrder | None:
    """What the pretend provider knows of an order."""
    row = tx.one("select * from simulated_order where payment_id = :payment_id", {"payment_id": payment_id})
    return None if row is None else _order_from(row)


def find_by_code(tx: Tx, channel: str, code: str) -> SimulatedOrder | None:
    """The order that a payment code stands for: the newest that was given it."""
    row = tx.one("select * from simulated_order where channel = :channel and code = :code", {"channel": channel, "code": code})
    return None if row is None else _order_from(row)


def hold_simulated(tx: Tx, payment_id: str) -> None:
    """Whoever else does something with this order waits until the transaction ends."""
    tx.execute("update simulated_order set state = state where payment_id = :payment_id", {"payment_id": payment_id})


def waiting(tx: Tx, channel: str, *, now: datetime, limit: int = 20) -> list[SimulatedOrder]:
    """Orders whose buyer is expected, the newest first."""
    rows = tx.all(
        "select * from simulated_order where channel = :channel and state = 'WAITING' and expires_at > :now"
        " order by payment_id desc limit :limit",
        {"channel": channel, "now": to_ms(now), "limit": limit},
    )
    return [_order_from(row) for row in rows]


def choose(tx: Tx, payment_id: str, outcome: str | None) -> None:
    """Decide what Pay will do, whatever the magic values say; None leaves it to them.

    Raises Refused: FIELD_INVALID (outcome), PAYMENT_MOVED_ON.
    """
    if outcome is not None and outcome not in Behaviour.__members__:
        raise Refused(Reason.FIELD_INVALID, field="outcome")
    won = tx.execute(
        "update simulated_order set chosen = :chosen where payment_id = :payment_id and state = 'WAITING'",
        {"payment_id": payment_id, "chosen": outcome},
    )
    if won != 1:
        raise Refused(Reason.PAYMENT_MOVED_ON, payment=payment_id)


def decide(
    tx: Tx,
    order: SimulatedOrder,
    behaviour: Behaviour,
    *,
    now: datetime,
    reason: str | None = None,
    payer: str | None = None,
    facts: dict[str, Any] | None = None,
    receipt: str | None = None,
    tells: Callable[[Asked, str], dict[str, Any]] = lambda _asked, _receipt: {},
) -> None:
    """The buyer, or whoever plays the buyer, did something: what has to be reported is written down.

    receipt  the number of what is reported, where it is known before
    tells    (asked, receipt) → what each report of money says besides

    Raises Refused: PROVIDER_SILENT when nobody there answers any more (a magic number, amount or outcome), PAYMENT_MOVED_ON when the
    order is decided, withdrawn or over.
    """
    if now >= order.expires_at:
        raise Refused(Reason.PAYMENT_MOVED_ON, payment=order.payment_id)
    if order.state == _SILENT:
        raise Refused(Reason.PROVIDER_SILENT, payment=order.payment_id)
    state = _SILENT if behaviour is Behaviour.NO_ANSWER else _DECIDED
    chosen: str | None = behaviour.value
    if order.is_reusable and behaviour in _PAYING:
        state, chosen = _WAITING, None
    won = tx.execute(
        "update simulated_order set state = :state, chosen = :chosen where payment_id = :payment_id and state = 'WAITING'",
        {"payment_id": order.payment_id, "state": state, "chosen": chosen},
    )
    if won != 1:
        raise Refused(Reason.PAYMENT_MOVED_ON, payment=order.payment_id)

    numbers = iter((receipt,) if receipt else ())

    def report(outcome: Any, at: datetime, due: datetime, why: str | None = None) -> None:
        paid = outcome == "PAID"
        number = next(numbers, None) or new_id("rcp")
        _write_report(
            tx,
            order.asked.channel,
            Report(
                receipt=number,
                payment_id=order.payment_id,
                outcome=outcome,
                at=at,
                amount=order.asked.amount if paid else 0,
                approval_code=new_digits(6) if paid else None,
                payer=payer,
                reason=why,
                facts={**(tells(order.asked, number) if paid else {}), **(facts or {})},
            ),
            due,
        )

    match behaviour:
        case Behaviour.SUCCESS:
            report("PAID", now, now)
        case Behaviour.PAID_TWICE:
            report("PAID", now, now)
            report("PAID", now, now)
        case Behaviour.SLOW:
            report("PAID", now, now + SLOW)
        case Behaviour.PAID_LATE:
            late = order.expires_at + LATE
            report("PAID", late, late)
        case Behaviour.FAILED:
            report("REFUSED", now, now, reason or "REFUSED")
        case Behaviour.NOT_ENOUGH:
            report("REFUSED", now, now, reason or "NOT_ENOUGH")
        case Behaviour.CANCELLED:
            report("CANCELLED", now, now, reason or "CANCELLED_BY_BUYER")
        case Behaviour.EXPIRED:
            report("EXPIRED", now, now, reason or "EXPIRED")
        case Behaviour.NO_ANSWER:
            pass


class SimulatedProvider:
    """Answers as a real provider would."""

    def __init__(self, parts: Parts, party: Party) -> None:
        self._database = parts.database
        self._clock = parts.clock
        self._party = party

    async def begin(self, asked: Asked) -> Begun | TurnedDown:
        """An order it has heard of before keeps its reference."""
        return await self._database.transact(lambda tx: self._begin(tx, asked))

    def _begin(self, tx: Tx, asked: Asked) -> Begun | TurnedDown:
        refused = self._party.refuses(asked)
        code = asked.facts.get("code")
        if code is not None:
            # From now on it stands for this order; which of two is newer could not be told afterwards.
            tx.execute(
                "update simulated_order set code = null where channel = :channel and code = :code and payment_id <> :payment_id",
                {"channel": asked.channel, "code": code, "payment_id": asked.payment_id},
            )
        new = tx.execute(
            "insert into simulated_order (payment_id, channel, reference, asked, state, expires_at, code)"
            " values (:payment_id, :channel, :reference, :asked, :state, :expires_at, :code) on conflict do nothing",
            {
                "payment_id": asked.payment_id,
                "channel": asked.channel,
                "reference": new_id("sim").removeprefix("sim_"),
                "asked": msgspec.json.encode(asked).decode(),
                "state": _TURNED_DOWN if refused else _WAITING,
                "expires_at": to_ms(asked.expires_at),
                "code": code,
            },
        )
        order = find_simulated(tx, asked.payment_id)
        assert order is not None, asked.payment_id
        if order.state == _TURNED_DOWN:
            return TurnedDown(refused or "REFUSED")
        at_once = self._party.at_once(asked) if new else None
        if at_once is not None:
            decide(tx, order, at_once, now=self._clock.now(), tells=self._party.tells)
        url = None if self._party.kind == "cashier" else f"{asked.home}{self._party.page_path}/{asked.payment_id}"
        return Begun(order.reference, url, self._party.facts(asked))

    async def reports(self, payment_id: str | None = None) -> Sequence[Report]:
        """Those that are due by the sandbox's clock."""
        now = to_ms(self._clock.now())

        def look(tx: Tx) -> list[Report]:
            of_one = "" if payment_id is None else " and payment_id = :payment_id"
            rows = tx.all(
                f"select body from simulated_report where channel = :channel and due_at <= :now{of_one}"  # noqa: S608 - made above
                " order by due_at, receipt limit 50",
                {"channel": self._party.code, "now": now} | ({} if payment_id is None else {"payment_id": payment_id}),
            )
            return [msgspec.json.decode(row["body"], type=Report) for row in rows]

        return await self._database.read(look)

    async def heard(self, receipt: str) -> None:
        """It need not be said again."""
        await self._database.transact(
            lambda tx: tx.execute("update simulated_report set due_at = null where receipt = :receipt", {"receipt": receipt})
        )

    async def withdraw(self, payment_id: str) -> bool:
        """Only what nobody has paid; asked again, the answer is the same."""
        won = await self._database.transact(
            lambda tx: tx.execute(
                "update simulated_order set state = 'WITHDRAWN' where payment_id = :payment_id and state in ('WAITING', 'SILENT', 'WITHDRAWN')",
                {"payment_id": payment_id},
            )
        )
        return won == 1

    async def give_back(self, question_id: str, receipt: str, amount: Rupiah) -> bool:
        """A shop's till has paid nobody back yet; everybody else returns no more than was paid, and each question once."""
        if self._party.kind == "cashier":
            return False
        return await self._database.transact(lambda tx: _give_back(tx, question_id, receipt, amount))

    async def play(self, payment_id: str, outcome: str, *, reason: str | None = None, payer: str | None = None) -> None:
        """Do what a buyer would. Raises Refused: FIELD_INVALID (outcome), PAYMENT_MOVED_ON, PAYMENT_BUSY (not announced yet)."""
        if outcome not in self._party.behaviours:
            raise Refused(Reason.FIELD_INVALID, field="outcome")

        def act(tx: Tx) -> None:
            order = find_simulated(tx, payment_id)
            if order is None:
                raise Refused(Reason.PAYMENT_BUSY, payment=payment_id)
            now, tells = self._clock.now(), self._party.tells
            decide(tx, order, Behaviour(outcome), now=now, reason=reason, payer=payer, tells=tells)

        await self._database.transact(act)


def _give_back(tx: Tx, question_id: str, receipt: str, amount: Rupiah) -> bool:
    # The row itself is the record of what went back; a question asked twice finds its own name in the body.
    row = tx.one(
        "update simulated_report set given_back = given_back where receipt = :receipt returning body, given_back",
        {"receipt": receipt},
    )
    if row is None:
        return False
    report = msgspec.json.decode(row["body"], type=Report)
    done = dict(report.facts.get("given_back", {}))
    if question_id in done:
        return True
    if row["given_back"] + amount > report.amount:
        return False
    facts = {**report.facts, "given_back": {**done, question_id: amount}}
    tx.execute(
        "update simulated_report set given_back = given_back + :amount, body = :body where receipt = :receipt",
        {
            "amount": amount,
            "receipt": receipt,
            "body": msgspec.json.encode(msgspec.structs.replace(report, facts=facts)).decode(),
        },
    )
    return True


def _write_report(tx: Tx, channel: str, report: Report, due: datetime) -> None:
    tx.execute(
        "insert into simulated_report (receipt, channel, payment_id, body, due_at)"
        " values (:receipt, :channel, :payment_id, :body, :due_at)",
        {
            "receipt": report.receipt,
            "channel": channel,
            "payment_id": report.payment_id,
            "body": msgspec.json.encode(report).decode(),
            "due_at": to_ms(due),
        },
    )


def reports_about(tx: Tx, payment_id: str) -> list[tuple[Report, datetime | None]]:
    """Everything the pretend provider said or has to say about an order, and when it will (None: it was heard)."""
    rows = tx.all(
        "select body, due_at from simulated_report where payment_id = :payment_id order by receipt", {"payment_id": payment_id}
    )
    return [
        (msgspec.json.decode(row["body"], type=Report), None if row["due_at"] is None else from_ms(row["due_at"])) for row in rows
    ]


def find_report(tx: Tx, channel: str, receipt: str) -> Report | None:
    """What was reported under this number."""
    row = tx.one(
        "select body from simulated_report where channel = :channel and receipt = :receipt",
        {"channel": channel, "receipt": receipt},
    )
    return None if row is None else msgspec.json.decode(row["body"], type=Report)


def keep_of_buyer(tx: Tx, payment_id: str, details: dict[str, Any]) -> None:
    """What the pretend provider remembers of an order's buyer."""
    tx.execute(
        "update simulated_order set details = :details where payment_id = :payment_id",
        {"payment_id": payment_id, "details": msgspec.json.encode(details).decode()},
    )


def _order_from(row: Row) -> SimulatedOrder:
    return SimulatedOrder(
        payment_id=row["payment_id"],
        reference=row["reference"],
        asked=msgspec.json.decode(row["asked"], type=Asked),
        state=row["state"],
        chosen=None if row["chosen"] is None else Behaviour(row["chosen"]),
        details=msgspec.json.decode(row["details"]),
        expires_at=from_ms(row["expires_at"]),
    )
