"""Recomputing everything: does the journal stand, and do the balances follow from it?"""

from collections import defaultdict
from dataclasses import dataclass

from gerbang.ledger.accounts import keeps_balance
from gerbang.ledger.journal import genesis_hash, link_hash
from gerbang.storage import Tx

_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be: the check that found it, the row it is about, and what is wrong."""

    check: str
    subject: str
    text: str


def verify(tx: Tx) -> list[Problem]:
    """Recompute the journal and the balances; an empty list means every invariant holds.

    Checks: every hash chain link by link (an altered, missing or inserted transfer is named), each chain's end against the
    balance row that keeps its head, debits equal credits, balances equal the replay, no account below its floor.
    """
    problems: list[Problem] = []
    heads = {
        row["account"]: (row["amount"], row["floor"], row["seq"], bytes(row["hash"]))
        for row in tx.all("select account, amount, floor, seq, hash from balance")
    }
    totals: dict[str, int] = defaultdict(int)
    ends: dict[str, tuple[int, bytes]] = {}
    chain, seq = "", 0
    while True:
        page = tx.all(
            "select * from transfer where (chain, seq) > (:chain, :seq) order by chain, seq limit :limit",
            {"chain": chain, "seq": seq, "limit": _PAGE},
        )
        if not page:
            break
        for row in page:
            chain, seq = row["chain"], row["seq"]
            totals[row["debit"]] -= row["amount"]
            totals[row["credit"]] += row["amount"]
            last_seq, last_hash = ends.get(chain, (0, genesis_hash(chain)))
            ends[chain] = (seq, bytes(row["hash"]))
            if chain not in (row["debit"], row["credit"]):
                problems.append(Problem("chain", row["id"], f"transfer {row['id']} stands in the chain of {chain}, which it does not touch"))
            if seq != last_seq + 1:
                problems.append(
                    Problem("chain", row["id"], f"before transfer {row['id']} of {chain}, number {last_seq + 1} is missing")
                )
            elif bytes(row["prev_hash"]) != last_hash:
                problems.append(Problem("chain", row["id"], f"transfer {row['id']} of {chain} does not follow from the one before it"))
            if link_hash(row) != bytes(row["hash"]):
                problems.append(Problem("chain", row["id"], f"transfer {row['id']} of {chain} was altered after it was booked"))

    for name, (amount, floor, head_seq, head_hash) in sorted(heads.items()):
        end_seq, end_hash = ends.get(name, (0, genesis_hash(name)))
        if head_seq != end_seq:
            problems.append(
                Problem("chain", name, f"the journal of {name} ends at number {end_seq}, its balance row says {head_seq}")
            )
        elif head_hash != end_hash:
            problems.append(Problem("chain", name, f"the balance row of {name} does not point to its last transfer"))
        if amount != totals[name]:
            problems.append(Problem("balance", name, f"{name} holds {amount}, its transfers give {totals[name]}"))
        if amount < floor:
            problems.append(Problem("floor", name, f"{name} holds {amount}, less than its floor {floor}"))
    problems += [
        Problem("balance", name, f"{name} has transfers but no balance row")
        for name in sorted(totals)
        if keeps_balance(name) and name not in heads
    ]
    if sum(totals.values()) != 0:
        problems.append(Problem("balance", "journal", f"debits and credits differ by {sum(totals.values())}"))
    return problems
