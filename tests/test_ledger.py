"""The ledger: every movement has two sides, no floor is broken, and nothing booked can be changed unseen."""

import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from gerbang.errors import Reason, Refused
from gerbang.ledger import Transfer, account, balance_of, entries, hold, keeps_balance, post, statement, verify
from gerbang.ledger.journal import genesis_hash, link_hash
from gerbang.money import Rupiah
from gerbang.storage import ConstraintBroken, Database, Tx, open_database
from support.gateway import NOON

SITI = account("wallet", "siti")
BUDI = account("wallet", "budi")
SHOP = account("merchant", "shop", "payable")
CASH = account("cash", "topup")
FEES = account("income", "mdr")


def book(text: str) -> dict[str, tuple[int, int]]:
    """A statement as a table: account, debit, credit."""
    lines = [line.split() for line in text.strip().splitlines()[1:]]
    return {name: (int(debit), int(credit)) for name, debit, credit in lines}


def moved(database: Database, debit: str, credit: str, amount: int, cause: str, entry: str = "gross") -> None:
    database.transact_now(lambda tx: post(tx, [Transfer(debit, credit, Rupiah(amount), entry)], cause=cause, now=NOON))


def holds(database: Database, name: str) -> int:
    return database.read_now(lambda tx: balance_of(tx, name))


# -- booking


def test_a_payment_with_its_fee_is_booked_on_both_sides(database: Database) -> None:
    moved(database, CASH, SITI, 150_000, "top_1")

    database.transact_now(
        lambda tx: post(
            tx,
            [Transfer(SITI, SHOP, Rupiah(100_000)), Transfer(SHOP, FEES, Rupiah(2_900), "fee")],
            cause="pay_1",
            now=NOON,
        )
    )

    assert database.read_now(statement) == book("""
        account                 debit    credit
        cash:topup             150000         0
        income:mdr                  0      2900
        merchant:shop:payable    2900    100000
        wallet:siti            100000    150000
    """)
    assert (holds(database, SITI), holds(database, SHOP)) == (50_000, 97_100)


def test_debits_and_credits_are_equal_because_a_transfer_cannot_be_one_sided(database: Database) -> None:
    transfer = Transfer(CASH, SITI, Rupiah(1))

    with pytest.raises(FrozenInstanceError):
        transfer.credit = ""  # type: ignore[misc]
    for wrong in (Transfer(CASH, SITI, Rupiah(0)), Transfer(CASH, SITI, Rupiah(-5)), Transfer(SITI, SITI, Rupiah(5))):
        with pytest.raises(AssertionError):
            database.transact_now(lambda tx, wrong=wrong: post(tx, [wrong], cause="c", now=NOON))  # type: ignore[misc]


def test_the_schema_refuses_what_the_code_would_never_write(database: Database) -> None:
    row = {"id": "t", "debit": "a", "credit": "b", "amount": 1, "chain": "a", "hash": b""}
    insert = (
        "insert into transfer (id, debit, credit, amount, cause, entry, at, chain, seq, prev_hash, hash)"
        " values (:id, :debit, :credit, :amount, 'c', 'e', 0, :chain, 1, :hash, :hash)"
    )

    for wrong in ({"amount": 0}, {"amount": -1}, {"credit": "a"}):
        with pytest.raises(ConstraintBroken):
            database.transact_now(lambda tx, wrong=wrong: tx.execute(insert, row | wrong))  # type: ignore[misc]
    with pytest.raises(ConstraintBroken):
        database.transact_now(
            lambda tx: tx.execute(
                "insert into balance (account, amount, floor, seq, hash) values ('wallet:x', -1, 0, 0, :h)", {"h": b""}
            )
        )


def test_a_transfer_between_two_accounts_of_the_system_cannot_be_booked(database: Database) -> None:
    with pytest.raises(AssertionError):
        moved(database, CASH, FEES, 5, "c")


def test_a_debit_below_the_floor_is_refused_and_books_nothing(database: Database) -> None:
    moved(database, CASH, SITI, 1_000, "top_1")

    def pay_twice_in_one_go(tx: Tx) -> None:
        post(tx, [Transfer(SITI, SHOP, Rupiah(600)), Transfer(SITI, FEES, Rupiah(401), "fee")], cause="pay_1", now=NOON)

    with pytest.raises(Refused) as refused:
        database.transact_now(pay_twice_in_one_go)

    assert refused.value.reason is Reason.BALANCE_TOO_SMALL
    assert refused.value.facts == {"account": SITI, "balance": 400, "needed": 401}
    assert holds(database, SITI) == 1_000
    assert database.read_now(lambda tx: entries(tx, cause="pay_1")) == []


def test_money_that_comes_in_first_can_go_out_in_the_same_booking(database: Database) -> None:
    database.transact_now(
        lambda tx: post(
            tx, [Transfer(CASH, SITI, Rupiah(700), "topup"), Transfer(SITI, SHOP, Rupiah(700))], cause="pay_1", now=NOON
        )
    )

    assert (holds(database, SITI), holds(database, SHOP)) == (0, 700)


def test_one_cause_cannot_be_booked_twice(database: Database) -> None:
    moved(database, CASH, SITI, 5_000, "top_1")
    moved(database, SITI, SHOP, 2_000, "pay_1")

    with pytest.raises(ConstraintBroken):
        moved(database, SITI, SHOP, 2_000, "pay_1")
    with pytest.raises(ConstraintBroken):  # not from another account either
        moved(database, CASH, BUDI, 2_000, "pay_1")

    assert holds(database, SHOP) == 2_000


def test_one_cause_booked_by_32_threads_at_once_is_booked_once(database: Database) -> None:
    moved(database, CASH, SITI, 100_000, "top_1")

    def try_to_pay(_: int) -> str:
        try:
            moved(database, SITI, SHOP, 1_000, "pay_1")
        except ConstraintBroken:
            return "refused"
        return "booked"

    with ThreadPoolExecutor(32) as threads:
        outcomes = Counter(threads.map(try_to_pay, range(32)))

    assert outcomes == {"booked": 1, "refused": 31}
    assert holds(database, SITI) == 99_000


def test_a_balance_that_pays_for_ten_pays_for_exactly_ten_of_64_at_once(database: Database) -> None:
    moved(database, CASH, SITI, 10 * 7_000 + 6_999, "top_1")
    all_ready = threading.Barrier(64)

    def try_to_pay(n: int) -> str:
        all_ready.wait(10)
        try:
            moved(database, SITI, SHOP, 7_000, f"pay_{n}")
        except Refused as refused:
            return refused.reason.name
        return "paid"

    with ThreadPoolExecutor(64) as threads:
        outcomes = Counter(threads.map(try_to_pay, range(64)))

    assert outcomes == {"paid": 10, "BALANCE_TOO_SMALL": 54}
    assert (holds(database, SITI), holds(database, SHOP)) == (6_999, 70_000)


def test_nobody_gives_up_when_64_callers_move_one_account(database: Database) -> None:
    with ThreadPoolExecutor(64) as threads:
        list(threads.map(lambda n: moved(database, CASH, SHOP, 10, f"c{n}"), range(200)))

    assert holds(database, SHOP) == 2_000


def test_transfers_back_and_forth_between_two_accounts_do_not_block_each_other(database: Database) -> None:
    moved(database, CASH, SITI, 1_000, "top_1")
    moved(database, CASH, BUDI, 1_000, "top_2")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: moved(database, *((SITI, BUDI) if n % 2 else (BUDI, SITI)), 10, f"p{n}"), range(80)))  # type: ignore[arg-type, misc]

    assert (holds(database, SITI), holds(database, BUDI)) == (1_000, 1_000)


def test_a_held_account_is_not_moved_by_others_until_the_transaction_ends(database: Database) -> None:
    moved(database, CASH, SITI, 1_000, "top_1")
    other = threading.Thread(target=moved, args=(database, SITI, SHOP, 1_000, "pay_1"))

    def look_twice(tx: Tx) -> tuple[int, int]:
        before = hold(tx, SITI)
        other.start()
        other.join(0.3)
        return before, balance_of(tx, SITI)

    assert database.transact_now(look_twice) == (1_000, 1_000)
    other.join(5)
    assert holds(database, SITI) == 0


# -- reading


def test_entries_of_a_cause_come_as_booked_and_those_of_an_account_newest_first(database: Database) -> None:
    transfers = [Transfer(CASH, SITI, Rupiah(n), f"e{n:02d}") for n in (5, 3, 9, 1, 7, 2, 8, 4, 6)]

    database.transact_now(lambda tx: post(tx, transfers, cause="c", now=NOON))

    booked = [f"e{n:02d}" for n in (5, 3, 9, 1, 7, 2, 8, 4, 6)]
    assert [line.entry for line in database.read_now(lambda tx: entries(tx, cause="c"))] == booked
    assert [line.entry for line in database.read_now(lambda tx: entries(tx, account_name=SITI))] == booked[::-1]
    assert [line.entry for line in database.read_now(lambda tx: entries(tx, account_name=SITI, limit=2))] == booked[:-3:-1]


def test_an_account_that_nobody_used_holds_nothing(database: Database) -> None:
    assert holds(database, account("wallet", "nobody")) == 0
    assert database.read_now(lambda tx: entries(tx, account_name=account("wallet", "nobody"))) == []


def test_only_what_belongs_to_somebody_keeps_a_balance() -> None:
    assert [name for name in (SITI, SHOP, CASH, FEES, "walletx:1", "wallet") if keeps_balance(name)] == [SITI, SHOP, "wallet"]


# -- verification: each of these is done behind the program's back

FIELDS: dict[str, object] = {
    "id": "trf_other",
    "debit": "cash:elsewhere",
    "credit": BUDI,
    "amount": 999,
    "cause": "pay_other",
    "entry": "other",
    "at": 5,
    "chain": "wallet:nobody",
    "seq": 77,
    "prev_hash": b"x" * 32,
    "hash": b"y" * 32,
}


@pytest.fixture
def booked(data_address: str) -> Any:
    """A database with two chains of three transfers, not verified at the end: the tests forge it."""
    database = open_database(data_address, connections=4)
    for n in range(3):
        moved(database, CASH, SITI, 1_000 + n, f"top_{n}")
        moved(database, CASH, SHOP, 10 + n, f"sale_{n}")
    moved(database, CASH, BUDI, 5, "top_budi")
    assert database.read_now(verify) == []
    yield database
    database.close()


def ids_of(database: Database, chain: str) -> list[str]:
    return [
        row["id"]
        for row in database.read_now(lambda tx: tx.all("select id from transfer where chain = :c order by seq", {"c": chain}))
    ]


def forge(database: Database, sql: str, **values: object) -> None:
    assert database.transact_now(lambda tx: tx.execute(sql, values)) >= 1


def subjects(database: Database) -> set[str]:
    return {problem.subject for problem in database.read_now(verify)}


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("field", FIELDS)
def test_altering_any_field_of_any_transfer_is_found_and_the_row_named(booked: Database, field: str, number: int) -> None:
    victim = ids_of(booked, SITI)[number]

    forge(booked, f"update transfer set {field} = :value where id = :id", value=FIELDS[field], id=victim)

    assert (FIELDS["id"] if field == "id" else victim) in subjects(booked)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_deleted_transfer_is_found_and_its_place_named(booked: Database, number: int) -> None:
    victim = ids_of(booked, SITI)[number]

    forge(booked, "delete from transfer where id = :id", id=victim)

    texts = " ".join(problem.text for problem in booked.read_now(verify) if problem.check == "chain")
    if number == 2:
        assert f"the journal of {SITI} ends at number 2, its balance row says 3" in texts
    else:
        assert f"number {number + 1} is missing" in texts


def test_a_deleted_chain_is_found(booked: Database) -> None:
    forge(booked, "delete from transfer where chain = :chain", chain=SITI)

    assert SITI in subjects(booked)


def insert_forged(database: Database, row: dict[str, object]) -> None:
    row = {"id": "trf_forged", "entry": "gross", "cause": "pay_forged", "at": 0, "amount": 1, **row}
    row["hash"] = link_hash(row)  # as good as a forger can make it
    columns = list(row)
    forge(database, f"insert into transfer ({', '.join(columns)}) values ({', '.join(':' + name for name in columns)})", **row)


def test_a_forged_transfer_at_the_end_of_a_chain_is_found_and_named(booked: Database) -> None:
    head = booked.read_now(lambda tx: tx.one("select seq, hash from balance where account = :a", {"a": SITI}))
    assert head is not None

    insert_forged(
        booked, {"debit": SITI, "credit": "cash:pocket", "chain": SITI, "seq": head["seq"] + 1, "prev_hash": bytes(head["hash"])}
    )

    assert "trf_forged" in subjects(booked)


@pytest.mark.parametrize("chain", ["cash:a", "", "wallet:ghost"])
@pytest.mark.parametrize("seq", [1, 0, -(2**63)])
def test_a_forged_transfer_in_a_chain_of_its_own_is_found_and_named(booked: Database, chain: str, seq: int) -> None:
    insert_forged(booked, {"debit": chain, "credit": "cash:b", "chain": chain, "seq": seq, "prev_hash": genesis_hash(chain)})

    assert "trf_forged" in subjects(booked)


def test_a_forged_transfer_that_takes_the_place_of_a_deleted_one_is_found_and_named(booked: Database) -> None:
    old = booked.read_now(lambda tx: tx.one("select * from transfer where chain = :c and seq = 2", {"c": SITI}))
    assert old is not None
    forge(booked, "delete from transfer where id = :id", id=old["id"])

    insert_forged(
        booked, {"debit": CASH, "credit": SITI, "amount": 1, "chain": SITI, "seq": 2, "prev_hash": bytes(old["prev_hash"])}
    )

    assert ids_of(booked, SITI)[2] in subjects(booked)  # it does not follow from the forged one


@pytest.mark.parametrize("fields", [("seq",), ("seq", "prev_hash"), ("amount",), ("id",), ("hash",), ("cause",)])
def test_two_swapped_transfers_are_found_and_both_named(booked: Database, fields: tuple[str, ...]) -> None:
    first, second, _ = ids_of(booked, SITI)

    def swap(tx: Tx) -> None:
        rows = {row["id"]: as_dict(row) for row in tx.all("select * from transfer")}
        a, b = rows[first], rows[second]
        tx.execute("delete from transfer where id in (:a, :b)", {"a": first, "b": second})
        for name in fields:
            a[name], b[name] = b[name], a[name]
        for row in (a, b):
            tx.execute(f"insert into transfer ({', '.join(row)}) values ({', '.join(':' + name for name in row)})", row)

    booked.transact_now(swap)

    assert {first, second} <= subjects(booked)


def as_dict(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in row.keys()}  # noqa: SIM118 - a sqlite3.Row iterates over values


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", "wallet:thief"),
        ("amount", 10**9),
        ("amount", 0),
        ("floor", -(10**9)),
        ("seq", 2),
        ("seq", 4),
        ("hash", b"z" * 32),
    ],
)
def test_altering_any_field_of_a_balance_row_is_found_and_the_account_named(booked: Database, field: str, value: object) -> None:
    forge(booked, f"update balance set {field} = :value where account = :account", value=value, account=SITI)

    assert SITI in subjects(booked)


def test_a_deleted_balance_row_is_found(booked: Database) -> None:
    forge(booked, "delete from balance where account = :account", account=SITI)

    assert SITI in subjects(booked)


@pytest.mark.parametrize("name", ["wallet:ghost", "cash:topup"])
def test_an_invented_balance_row_is_found(booked: Database, name: str) -> None:
    forge(
        booked,
        "insert into balance (account, amount, floor, seq, hash) values (:name, 5, 0, 0, :hash)",
        name=name,
        hash=genesis_hash(name),
    )

    assert name in subjects(booked)


def test_what_was_forged_in_one_chain_accuses_no_other(booked: Database) -> None:
    victim = ids_of(booked, SHOP)[1]

    forge(booked, "update transfer set at = 7 where id = :id", id=victim)

    assert subjects(booked) == {victim}


def test_verifying_20_000_transfers_goes_in_pages_and_needs_little_memory(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def many(part: int) -> Callable[[Tx], None]:
        return lambda tx: post(
            tx,
            [Transfer(CASH, account("wallet", str(n % 20)), Rupiah(1), f"e{n}") for n in range(2_000)],
            cause=f"c{part}",
            now=NOON,
        )

    for part in range(10):
        database.transact_now(many(part))
    monkeypatch.setattr("gerbang.ledger.verification._PAGE", 500)
    tracemalloc.start()

    problems = database.read_now(verify)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert problems == []
    assert peak < 5_000_000, peak  # all rows at once would need more than 10 MB
