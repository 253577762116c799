"""Posting transfers and reading them back."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gerbang.clock import from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.ledger.accounts import FLOOR, chain_of, keeps_balance
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


@dataclass(slots=True)
class _Head:
    """A balance row as read, and as the transfers of one `post` change it."""

    amount: int
    floor: int
    seq: int
    hash: bytes


def post(tx: Tx, transfers: Sequence[Transfer], *, cause: str, now: datetime) -> None:
    """Book the transfers of one cause (a payment, a top-up) in `tx`, all or none.

    Raises Refused(BALANCE_TOO_SMALL) when a debit would take an account below its floor.
    Every transfer must touch an account with a balance row: its hash chain lives there (decision 0003).
    """
    at = to_ms(now)
    names = [name for transfer in transfers for name in (transfer.debit, transfer.credit) if keeps_balance(name)]
    heads = _hold(tx, names)
    before = {name: replace(head) for name, head in heads.items()}
    rows = []
    for transfer in transfers:
        assert transfer.amount > 0, transfer
        assert transfer.debit != transfer.credit, transfer
        name = chain_of(transfer.debit, transfer.credit)
        assert name is not None, transfer
        chain = heads[name]
        if transfer.debit in heads:
            if chain.amount - transfer.amount < chain.floor:
                raise Refused(Reason.BALANCE_TOO_SMALL, account=name, balance=chain.amount, needed=transfer.amount)
            chain.amount -= transfer.amount
        if transfer.credit in heads:
            heads[transfer.credit].amount += transfer.amount  # no floor can refuse what comes in
        row: dict[str, object] = {
            "id": new_id("trf"),
            "debit": transfer.debit,
            "credit": transfer.credit,
            "amount": transfer.amount,
            "cause": cause,
            "entry": transfer.entry,
            "at": at,
            "chain": name,
            "seq": chain.seq + 1,
            "prev_hash": chain.hash,
        }
        chain.seq, chain.hash = chain.seq + 1, link_hash(row)
        rows.append({**row, "hash": chain.hash})
    for name, head in heads.items():
        # The values read decide. Holding the row makes losing impossible; should it ever be possible, nothing is overwritten.
        moved = tx.execute(
            "update balance set amount = :amount, seq = :seq, hash = :hash"
            " where account = :account and seq = :old_seq and amount = :old_amount",
            {
                "account": name,
                "amount": head.amount,
                "seq": head.seq,
                "hash": head.hash,
                "old_seq": before[name].seq,
                "old_amount": before[name].amount,
            },
        )
        if moved != 1:
            raise Retry
    for row in rows:
        tx.execute(
            "insert into transfer (id, debit, credit, amount, cause, entry, at, chain, seq, prev_hash, hash)"
            " values (:id, :debit, :credit, :amount, :cause, :entry, :at, :chain, :seq, :prev_hash, :hash)",
            row,
        )


def hold(tx: Tx, account_name: str) -> Rupiah:
    """What the account holds, and nobody else moves it until the transaction ends: for rules about a balance to come."""
    return Rupiah(_hold(tx, [account_name])[account_name].amount)


def _hold(tx: Tx, names: Iterable[str]) -> dict[str, _Head]:
    """The balance rows, made where missing, and held until the transaction ends.

    Writing a row as it is makes others wait for it, on both engines. Comparing and setting alone would also be right, but with
    many payments of one merchant at once nearly all of them lose and run again: measured on PostgreSQL, 64 callers on one
    account gave up in one case of nine. Always in the same order, so that two transactions never wait for each other; in the
    reverse one, because that takes a merchant's row, which many want, after the wallet's.
    """
    heads = {}
    for name in sorted(set(names), reverse=True):
        query = "update balance set seq = seq where account = :account returning amount, floor, seq, hash"
        row = tx.one(query, {"account": name})
        if row is None:
            tx.execute(
                "insert into balance (account, amount, floor, seq, hash) values (:account, 0, :floor, 0, :hash) on conflict do nothing",
                {"account": name, "floor": FLOOR, "hash": genesis_hash(name)},
            )
            row = tx.one(query, {"account": name})
            assert row is not None
        heads[name] = _Head(row["amount"], row["floor"], row["seq"], bytes(row["hash"]))
    return heads


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
        Line(row["id"], row["debit"], row["credit"], row["amount"], row["cause"], row["entry"], from_ms(row["at"]))
        for row in rows
    ]


def statement(tx: Tx) -> dict[str, tuple[Rupiah, Rupiah]]:
    """Debit and credit totals of every account."""
    rows = tx.all(
        "select name, sum(debit) as debit, sum(credit) as credit from ("
        " select debit as name, amount as debit, 0 as credit from transfer"
        " union all select credit as name, 0 as debit, amount as credit from transfer) lines group by name order by name"
    )
    return {row["name"]: (Rupiah(int(row["debit"])), Rupiah(int(row["credit"]))) for row in rows}
