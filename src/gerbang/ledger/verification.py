"""Recomputing everything: does the journal stand, and do the balances follow from it?"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from gerbang.ledger.accounts import FLOOR, chain_of, keeps_balance
from gerbang.ledger.journal import genesis_hash, link_hash
from gerbang.storage import Row, Tx

_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be: the check that found it, the row it is about, and what is wrong."""

    check: str
    subject: str
    text: str


@dataclass(slots=True)
class _End:
    """How far a chain was walked."""

    seq: int
    hash: bytes


def verify(tx: Tx) -> list[Problem]:
    """Recompute the journal and the balances; an empty list means every invariant holds.

    Checks: every hash chain link by link (an altered, missing or inserted transfer is named), each chain's end against the
    balance row that keeps its head, balances equal the replay, no account below its floor, no floor moved.
    """
    problems: list[Problem] = []
    heads = {
        row["account"]: (row["amount"], row["floor"], row["seq"], bytes(row["hash"]))
        for row in tx.all("select account, amount, floor, seq, hash from balance")
    }
    totals: dict[str, int] = defaultdict(int)
    ends: dict[str, _End] = {}

    def say(check: str, subject: str, text: str) -> None:
        problems.append(Problem(check, subject, text))

    for row in _journal(tx):
        name, chain, seq = f"transfer {row['id']}", row["chain"], row["seq"]
        totals[row["debit"]] -= row["amount"]
        totals[row["credit"]] += row["amount"]
        end = ends.get(chain) or ends.setdefault(chain, _End(0, genesis_hash(chain)))
        if chain != chain_of(row["debit"], row["credit"]):
            say("chain", row["id"], f"{name} stands in the chain of {chain}, where it does not belong")
        elif chain not in heads:
            say("chain", row["id"], f"{name} is booked on {chain}, which has no balance row")
        elif seq > heads[chain][2]:
            say("chain", row["id"], f"{name} is number {seq} of {chain}, whose balance row ends at {heads[chain][2]}")
        if seq != end.seq + 1:
            say("chain", row["id"], f"before {name} of {chain}, number {end.seq + 1} is missing")
        elif bytes(row["prev_hash"]) != end.hash:
            say("chain", row["id"], f"{name} of {chain} does not follow from the one before it")
        if link_hash(row) != bytes(row["hash"]):
            say("chain", row["id"], f"{name} of {chain} was altered after it was booked")
        end.seq, end.hash = seq, bytes(row["hash"])

    for name, (amount, floor, head_seq, head_hash) in sorted(heads.items()):
        end = ends.get(name) or _End(0, genesis_hash(name))
        if not keeps_balance(name):
            say("balance", name, f"{name} has a balance row, which its kind does not have")
        if head_seq != end.seq:
            say("chain", name, f"the journal of {name} ends at number {end.seq}, its balance row says {head_seq}")
        elif head_hash != end.hash:
            say("chain", name, f"the balance row of {name} does not point to its last transfer")
        if amount != totals[name]:
            say("balance", name, f"{name} holds {amount}, its transfers give {totals[name]}")
        if floor != FLOOR:
            say("floor", name, f"{name} may fall to {floor}, which nobody granted")
        if amount < floor:
            say("floor", name, f"{name} holds {amount}, less than its floor {floor}")
    for name in sorted(totals):
        if keeps_balance(name) and name not in heads:
            say("balance", name, f"{name} has transfers but no balance row")
    return problems


def extent(tx: Tx) -> tuple[int, int]:
    """How much there is to verify: transfers, and accounts with a balance row."""
    row = tx.one("select (select count(*) from transfer) as transfers, (select count(*) from balance) as accounts")
    assert row is not None
    return int(row["transfers"]), int(row["accounts"])


def _journal(tx: Tx) -> Iterator[Row]:
    """Every transfer, chain by chain, in pages: the journal may be larger than the memory."""
    page = tx.all("select * from transfer order by chain, seq limit :limit", {"limit": _PAGE})
    while page:
        yield from page
        last = page[-1]
        page = tx.all(
            "select * from transfer where (chain, seq) > (:chain, :seq) order by chain, seq limit :limit",
            {"chain": last["chain"], "seq": last["seq"], "limit": _PAGE},
        )
