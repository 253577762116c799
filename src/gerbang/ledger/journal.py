"""Posting transfers and reading them back."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gerbang.clock import from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.ledger.accounts import keeps_balance
from gerbang.money import Rupiah
from gerbang.storage import Retry, Row, Tx


@dataclass(frozen=True, slots=True)
class Transfer:
    """One movement: from one account (debit) to one account (credit). An unbalanced one cannot be written down.

    entry  what this movement is within its cause ("gross", "fee"); (cause, entry) is booked at most once
    """

    debit: str
    credit: str
    amount: Rupiah
    entry: str = "gross"


@dataclass(frozen=True, slots=True)
class Line:
    """A booked transfer."""

    id: str
    debit: str
    credit: str
    amount: Rupiah
    cause: str
    entry: str
    at: datetime


def post(tx: Tx, transfers: Sequence[Transfer], *, cause: str, now: datetime) -> None:
    """Book the transfers of one cause (a payment, a top-up) in `tx`, all or none.

    Raises Refused(BALANCE_TOO_SMALL) when a debit would take an account below its floor.
    Every transfer must touch an account with a balance row: its hash chain lives there (decision 0003).
    """
    at = to_ms(now)
    for transfer in transfers:
        assert transfer.amount > 0, transfer
        assert transfer.debit != transfer.credit, transfer
        chain = transfer.debit if keeps_balance(transfer.debit) else transfer.credit
        assert keeps_balance(chain), transfer
        head = _head(tx, chain)
        balance: int = head["amount"]
        after = balance + (-transfer.amount if chain == transfer.debit else transfer.amount)
        if after < head["floor"]:
            raise Refused(Reason.BALANCE_TOO_SMALL, account=chain, balance=balance, needed=transfer.amount)
        row = {
            "id": new_id("trf"),
            "debit": transfer.debit,
            "credit": transfer.credit,
            "amount": transfer.amount,
            "cause": cause,
            "entry": transfer.entry,
            "at": at,
            "chain": chain,
            "seq": head["seq"] + 1,
            "prev_hash": bytes(head["hash"]),
        }
        row["hash"] = link_hash(row)
        # The values read decide, not a lock: whoever moved this account meanwhile makes us run again.
        moved = tx.execute(
            "update balance set amount = :after, seq = :seq, hash = :hash"
            " where account = :account and seq = :seq - 1 and amount = :balance",
            {"account": chain, "after": after, "balance": balance, "seq": row["seq"], "hash": row["hash"]},
        )
        if moved != 1:
            raise Retry
        other = transfer.credit if chain == transfer.debit else transfer.debit
        if keeps_balance(other):
            # Only a debit chooses the chain, so the other side is always a credit, which no floor can refuse.
            _ensure(tx, other)
            tx.execute("update balance set amount = amount + :amount where account = :account", {"account": other, **_amount(row)})
        tx.execute(
            "insert into transfer (id, debit, credit, amount, cause, entry, at, chain, seq, prev_hash, hash)"
            " values (:id, :debit, :credit, :amount, :cause, :entry, :at, :chain, :seq, :prev_hash, :hash)",
            row,
        )


def _amount(row: dict[str, object]) -> dict[str, object]:
    return {"amount": row["amount"]}


def genesis_hash(account_name: str) -> bytes:
    """What the first transfer of an account's chain points back to."""
    return hashlib.sha256(b"gerbang ledger " + account_name.encode()).digest()


def link_hash(row: "Row | dict[str, object]") -> bytes:
    """The hash of one transfer over its own fields and its predecessor's hash."""
    names = ("id", "debit", "credit", "amount", "cause", "entry", "at", "chain", "seq")
    # Lengths are written so that no two different rows give the same text.
    text = "".join([f"{len(str(row[name]))}:{row[name]};" for name in names])
    previous: bytes = bytes(row["prev_hash"])  # type: ignore[arg-type]
    return hashlib.sha256(previous + text.encode()).digest()


def _head(tx: Tx, account_name: str) -> Row:
    query = "select amount, floor, seq, hash from balance where account = :account"
    head = tx.one(query, {"account": account_name})
    if head is None:
        _ensure(tx, account_name)
        head = tx.one(query, {"account": account_name})
        assert head is not None
    return head


def _ensure(tx: Tx, account_name: str) -> None:
    tx.execute(
        "insert into balance (account, amount, floor, seq, hash) values (:account, 0, 0, 0, :hash) on conflict do nothing",
        {"account": account_name, "hash": genesis_hash(account_name)},
    )


def balance_of(tx: Tx, account_name: str) -> Rupiah:
    """What the account holds: credits less debits. Only for accounts that keep a balance."""
    assert keeps_balance(account_name), account_name
    row = tx.one("select amount from balance where account = :account", {"account": account_name})
    return Rupiah(0 if row is None else row["amount"])


def entries(tx: Tx, *, account_name: str | None = None, cause: str | None = None, limit: int = 100) -> list[Line]:
    """Booked transfers of an account (newest first) or of a cause (as booked)."""
    if cause is not None:
        rows = tx.all("select * from transfer where cause = :cause order by id", {"cause": cause})
    else:
        # Two index scans; `or` over two columns would read the whole journal on a table that has grown.
        rows = tx.all(
            "select * from (select * from (select * from transfer where debit = :account order by at desc, id desc limit :limit) d"
            " union all select * from (select * from transfer where credit = :account order by at desc, id desc limit :limit) c) lines"
            " order by at desc, id desc limit :limit",
            {"account": account_name, "limit": limit},
        )
    return [
        Line(row["id"], row["debit"], row["credit"], row["amount"], row["cause"], row["entry"], from_ms(row["at"])) for row in rows
    ]


def statement(tx: Tx) -> dict[str, tuple[Rupiah, Rupiah]]:
    """Debit and credit totals of every account."""
    rows = tx.all(
        "select name, sum(debit) as debit, sum(credit) as credit from ("
        " select debit as name, amount as debit, 0 as credit from transfer"
        " union all select credit as name, 0 as debit, amount as credit from transfer) lines group by name order by name"
    )
    return {row["name"]: (Rupiah(int(row["debit"])), Rupiah(int(row["credit"]))) for row in rows}
