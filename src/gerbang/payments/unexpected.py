"""Money that came in and that no payment waited for: paid twice, paid too late, another amount.

It is the buyer's. It never reaches the merchant, who is not told of it: it is held on an account of its own until whoever
took it has given it back.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from gerbang.clock import from_ms, real_now, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.ledger import Problem, Transfer, account, post
from gerbang.money import Rupiah
from gerbang.payments.model import Payment
from gerbang.payments.moves import hold_payment, record_event
from gerbang.storage import Row, Tx
from gerbang.storage.due import due_moments, is_due


class Unawaited(StrEnum):
    """Why nobody waited for it."""

    PAID_AGAIN = "PAID_AGAIN"
    PAID_LATE = "PAID_LATE"
    PAID_AFTER_END = "PAID_AFTER_END"
    PAID_OTHER_AMOUNT = "PAID_OTHER_AMOUNT"


class HeldState(StrEnum):
    """HELD until whoever took it was asked; RETURNED by them, or KEPT here for a person to send back."""

    HELD = "HELD"
    RETURNED = "RETURNED"
    KEPT = "KEPT"


@dataclass(frozen=True, slots=True)
class UnexpectedMoney:
    """One such amount. `receipt` is the number of whoever took it, once for each time somebody paid."""

    id: str
    payment_id: str
    merchant_id: str
    channel: str
    receipt: str
    reason: Unawaited
    amount: Rupiah
    state: HeldState
    created_at: datetime
    ended_at: datetime | None


def hold_unexpected(
    tx: Tx, payment: Payment, *, source: str, receipt: str, amount: Rupiah, reason: Unawaited, now: datetime
) -> UnexpectedMoney | None:
    """Book it on the account of what is not ours. None when this receipt was booked before.

    source  the ledger account of who took it, e.g. provider:EMONEY_LINKAJA
    """
    held = UnexpectedMoney(
        new_id("ump"),
        payment.id,
        payment.merchant_id,
        payment.channel,
        receipt,
        reason,
        amount,
        HeldState.HELD,
        now,
        None,
    )
    written = tx.execute(
        "insert into unexpected_money"
        " (id, payment_id, merchant_id, channel, receipt, reason, amount, state, created_at, ask_again_real_at)"
        " values (:id, :payment_id, :merchant_id, :channel, :receipt, :reason, :amount, 'HELD', :created_at, :real_at)"
        " on conflict do nothing",
        {
            "id": held.id,
            "payment_id": payment.id,
            "merchant_id": payment.merchant_id,
            "channel": payment.channel,
            "receipt": receipt,
            "reason": reason.value,
            "amount": amount,
            "created_at": to_ms(now),
            "real_at": to_ms(real_now()),
        },
    )
    if written != 1:
        return None
    post(tx, [Transfer(source, _held_for(payment.merchant_id), amount, "unexpected")], cause=held.id, now=now)
    facts: dict[str, object] = {"amount": amount, "receipt": receipt}
    record_event(tx, payment.id, payment.merchant_id, reason.value, payment.state, now=now, facts=facts)
    return held


def claim_unexpected(tx: Tx, channel: str, *, again_in_s: float, limit: int) -> list[UnexpectedMoney]:
    """What is to be given back now; nobody else gets it for a while."""
    real = real_now()
    rows = tx.all(
        f"select * from unexpected_money where channel = :channel and {is_due('ask_again_real_at')}"  # noqa: S608 - fixed texts
        " order by ask_again_real_at, id limit :limit",
        {"channel": channel, **due_moments(real), "limit": limit},
    )
    return [
        _from_row(row)
        for row in rows
        if tx.execute(
            "update unexpected_money set ask_again_real_at = :again where id = :id and ask_again_real_at = :before",
            {"id": row["id"], "before": row["ask_again_real_at"], "again": to_ms(real + timedelta(seconds=again_in_s))},
        )
        == 1
    ]


def end_unexpected(
    tx: Tx, held: UnexpectedMoney, payment: Payment, *, source: str, returned: bool, now: datetime
) -> UnexpectedMoney:
    """It went back, or it cannot be sent back from there and a person has to. Raises Refused(PAYMENT_MOVED_ON) when it ended before."""
    state = HeldState.RETURNED if returned else HeldState.KEPT
    _, payment = hold_payment(tx, payment.id)  # so that the history keeps its order beside a payment or an end of this moment
    won = tx.execute(
        "update unexpected_money set state = :state, ended_at = :now, ask_again_real_at = null where id = :id and state = 'HELD'",
        {"id": held.id, "state": state.value, "now": to_ms(now)},
    )
    if won != 1:
        raise Refused(Reason.PAYMENT_MOVED_ON, unexpected=held.id)
    if returned:
        post(tx, [Transfer(_held_for(held.merchant_id), source, held.amount, "returned")], cause=held.id, now=now)
    facts: dict[str, object] = {"amount": held.amount, "receipt": held.receipt}
    event = "MONEY_RETURNED" if returned else "MONEY_KEPT"
    record_event(tx, payment.id, payment.merchant_id, event, payment.state, now=now, facts=facts)
    return replace(held, state=state, ended_at=now)


def unexpected_of(tx: Tx, payment_id: str) -> list[UnexpectedMoney]:
    """What came in about a payment and belongs to its buyer, oldest first."""
    rows = tx.all("select * from unexpected_money where payment_id = :payment_id order by id", {"payment_id": payment_id})
    return [_from_row(row) for row in rows]


def list_unexpected(tx: Tx, *, all_of_it: bool = False, limit: int = 200) -> list[UnexpectedMoney]:
    """What waits for a person, oldest first; `all_of_it`: also what is being given back and what went back."""
    where = "" if all_of_it else " where state = 'KEPT'"
    return [_from_row(row) for row in tx.all(f"select * from unexpected_money{where} order by id limit :limit", {"limit": limit})]  # noqa: S608


def return_by_hand(tx: Tx, unexpected_id: str, *, source_of: Callable[[str], str], now: datetime) -> UnexpectedMoney:
    """A person sent it back to who paid it. Raises Refused: UNEXPECTED_NOT_FOUND, PAYMENT_MOVED_ON (nobody waits for that)."""
    row = tx.one("select * from unexpected_money where id = :id", {"id": unexpected_id})
    if row is None:
        raise Refused(Reason.UNEXPECTED_NOT_FOUND, unexpected=unexpected_id)
    kept = _from_row(row)
    _, payment = hold_payment(tx, kept.payment_id)
    won = tx.execute(
        "update unexpected_money set state = 'RETURNED', ended_at = :now where id = :id and state = 'KEPT'",
        {"id": kept.id, "now": to_ms(now)},
    )
    if won != 1:
        raise Refused(Reason.PAYMENT_MOVED_ON, unexpected=kept.id, state=kept.state)
    post(tx, [Transfer(_held_for(kept.merchant_id), source_of(kept.channel), kept.amount, "returned")], cause=kept.id, now=now)
    facts: dict[str, object] = {"amount": kept.amount, "receipt": kept.receipt}
    record_event(tx, payment.id, payment.merchant_id, "MONEY_RETURNED", payment.state, now=now, facts=facts)
    return replace(kept, state=HeldState.RETURNED, ended_at=now)


def verify_unexpected(tx: Tx) -> list[Problem]:
    """Every amount was booked once, and back once if it went back."""
    rows = tx.all(
        "select id, state, amount, came, went from (select u.id as id, u.state as state, u.amount as amount,"
        " coalesce((select sum(t.amount) from transfer t where t.cause = u.id and t.entry = 'unexpected'), 0) as came,"
        " coalesce((select sum(t.amount) from transfer t where t.cause = u.id and t.entry = 'returned'), 0) as went"
        " from unexpected_money u) told"
        " where came <> amount or went <> case state when 'RETURNED' then amount else 0 end"
    )
    return [
        Problem(
            "unexpected",
            row["id"],
            "unexpected money {id} is {state} over {amount}, but {came} came in and {went} went back".format_map(row),
        )
        for row in rows
    ]


def _held_for(merchant_id: str) -> str:
    # The merchant's by name only, so that it is in a hash chain: it is never paid out to the merchant.
    return account("merchant", merchant_id, "unexpected")


def _from_row(row: Row) -> UnexpectedMoney:
    return UnexpectedMoney(
        id=row["id"],
        payment_id=row["payment_id"],
        merchant_id=row["merchant_id"],
        channel=row["channel"],
        receipt=row["receipt"],
        reason=Unawaited(row["reason"]),
        amount=Rupiah(row["amount"]),
        state=HeldState(row["state"]),
        created_at=from_ms(row["created_at"]),
        ended_at=None if row["ended_at"] is None else from_ms(row["ended_at"]),
    )
