"""There are two ways to the newest schema, the snapshot and the migrations, and they lead to the same place."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from gerbang.clock import to_ms
from gerbang.ledger import Transfer, account, post, statement, verify
from gerbang.money import Rupiah
from gerbang.payments import PaymentState, RefundType, complete_refund, get_payment, open_refund, verify_payments
from gerbang.protocols.nonsnap.signature import check_sum
from gerbang.protocols.nonsnap.signed_bodies import SignedBody, keep_signed_body, meaning_of
from gerbang.storage import StorageTooNew, Tx, migrating, open_database
from gerbang.storage.head import HEAD
from gerbang.storage.migrating import engine_for, snapshot, upgrade
from gerbang.storage.tables import metadata
from support.gateway import NOON, SCHEMA, write_schema

NEXT = f'''
"""A table of the next version."""

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{HEAD}"


def upgrade() -> None:
    op.create_table("next_thing", sa.Column("id", sa.Text(), primary_key=True))
    with op.batch_alter_table("merchant") as merchant:
        merchant.add_column(sa.Column("rate_bp", sa.Integer(), nullable=False, server_default="290"))
'''


@pytest.fixture
def empty_address(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without any schema."""
    return str(tmp_path / "empty.db") if engine == "sqlite" else str(request.getfixturevalue("postgres_dsn"))


@pytest.fixture
def data_address(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database whose schema may be changed: it is used once."""
    if engine == "sqlite":
        yield str(tmp_path / "gerbang.db")
        return
    with request.getfixturevalue("postgres").database(SCHEMA, write_schema) as url:
        yield url


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This program as its next version will be: one migration more."""
    folder = tmp_path / "next_version"
    shutil.copytree(Path(migrating.__file__).parent / "migrations", folder / "migrations")
    (folder / "migrations" / "versions" / "next.py").write_text(NEXT)
    monkeypatch.setattr(migrating, "_HERE", folder)
    monkeypatch.setattr("gerbang.storage.opening.HEAD", "next")
    return folder


def index_of(found: Any) -> dict[str, object]:
    return {**found, "dialect_options": {name: str(value) for name, value in found.get("dialect_options", {}).items()}}


def described(address: str) -> dict[str, Any]:
    """Everything SQLAlchemy can find out about a schema."""
    engine = engine_for(address)
    with engine.connect() as connection:
        found = inspect(connection)
        schema = {
            table: {
                "columns": [
                    {**column, "type": str(column["type"])}
                    for column in sorted(found.get_columns(table), key=lambda c: c["name"])
                ],
                "primary key": found.get_pk_constraint(table),
                "foreign keys": found.get_foreign_keys(table),
                "indexes": sorted((index_of(index) for index in found.get_indexes(table)), key=str),
                "uniques": sorted(found.get_unique_constraints(table), key=str),
                "checks": sorted(found.get_check_constraints(table), key=str),
                "options": found.get_table_options(table),
                "comment": found.get_table_comment(table) if connection.dialect.supports_comments else None,
            }
            for table in found.get_table_names()
        }
    engine.dispose()
    return schema


# -- the snapshot


@pytest.mark.parametrize("engine_name", ["sqlite", "postgresql"])
def test_the_schema_snapshot_is_what_tables_py_says(engine_name: str) -> None:
    stored = resources.files("gerbang.storage").joinpath(f"schema_{engine_name}.sql").read_text(encoding="utf-8")

    assert stored == snapshot(engine_name), "run `make snapshots` and look at the change"


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(migrating._config()).get_heads() == [HEAD]


def test_migrations_and_the_snapshot_give_the_same_schema(empty_address: str, data_address: str) -> None:
    upgrade(empty_address)
    open_database(data_address).close()

    migrated, fresh = described(empty_address), described(data_address)

    assert sorted(fresh) == sorted([*metadata.tables, "alembic_version"])
    assert migrated == fresh


def test_the_migrated_schema_is_what_tables_py_says(empty_address: str) -> None:
    upgrade(empty_address)

    engine = engine_for(empty_address)
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()

    assert differences == []


def test_both_engines_have_the_same_tables_columns_and_rules(tmp_path: Path, postgres_dsn: str) -> None:
    open_database(str(tmp_path / "one.db")).close()
    open_database(postgres_dsn).close()

    def rules(address: str) -> dict[str, tuple[object, ...]]:
        return {
            table: (
                [(column["name"], column["nullable"]) for column in about["columns"]],
                about["primary key"]["constrained_columns"],
                sorted(index["name"] for index in about["indexes"] if not index.get("duplicates_constraint")),
                sorted(tuple(unique["column_names"]) for unique in about["uniques"]),
                sorted(check["name"] for check in about["checks"]),
            )
            for table, about in described(address).items()
        }

    assert rules(str(tmp_path / "one.db")) == rules(postgres_dsn)


# -- older, newer, half done


def test_a_database_of_an_older_version_is_migrated_and_keeps_its_rows(data_address: str, next_version: Path) -> None:
    older = open_database(data_address, migrate=False)
    if older.revision() is None:
        older.run_script(snapshot("sqlite"))
    older.transact_now(
        lambda tx: tx.execute(
            "insert into merchant (client_id, name, secret_key, created_at) values ('BRN-1', 'Toko', 'SK-1', 0)"
        )
    )
    assert older.revision() == HEAD
    older.close()

    with contextlib.closing(open_database(data_address)) as database:
        row = database.read_now(lambda tx: tx.one("select name, rate_bp from merchant"))

        assert database.revision() == "next"
        assert row is not None
        assert (row["name"], row["rate_bp"]) == ("Toko", 290)
        assert database.read_now(lambda tx: tx.has_table("next_thing"))
        assert database.read_now(verify) == []


def test_what_was_paid_before_there_were_refunds_can_be_given_back(empty_address: str) -> None:
    """Migration 0002: a payment says what was charged, and the money of all older ones is settled."""
    upgrade(empty_address, "0001")
    ids = {state: f"pay_{state:0>26}" for state in ("SUCCESS", "PENDING", "FAILED")}
    shop, wallet = account("merchant", "BRN-1", "payable"), account("wallet", "siti")
    with contextlib.closing(open_database(empty_address, migrate=False)) as older:

        def write(tx: Tx) -> None:
            for state, order_state in {"SUCCESS": "PAID", "PENDING": "OPEN", "FAILED": "FAILED"}.items():
                tx.execute(
                    "insert into orders (id, merchant_id, invoice_number, amount, state, request_id, created_at)"
                    " values (:id, 'BRN-1', :id, 60000, :state, 'req-1', 0)",
                    {"id": f"ord_{state}", "state": order_state},
                )
                tx.execute(
                    "insert into payment (id, order_id, merchant_id, channel, amount, state, created_at, expires_at, finished_at)"
                    " values (:id, :order_id, 'BRN-1', 'EMONEY_DOKU', 60000, :state, 0, 1, :finished_at)",
                    {
                        "id": ids[state],
                        "order_id": f"ord_{state}",
                        "state": state,
                        "finished_at": None if state == "PENDING" else to_ms(NOON),
                    },
                )
                tx.execute(
                    "insert into event (subject, merchant_id, event, state, at) values (:id, 'BRN-1', :state, :state, 0)",
                    {"id": ids[state], "state": state},
                )
            post(tx, [Transfer("cash:topup", wallet, Rupiah(60_000), "topup")], cause="top_1", now=NOON)
            post(tx, [Transfer(wallet, shop, Rupiah(60_000))], cause=ids["SUCCESS"], now=NOON)

        older.transact_now(write)

    with contextlib.closing(open_database(empty_address)) as database:
        stored = {state: database.read_now(lambda tx, id=id: get_payment(tx, id)[1]) for state, id in ids.items()}  # type: ignore[misc]

        assert database.read_now(lambda tx: verify(tx) + verify_payments(tx)) == []
        assert {state: (one.charged, one.refunded, one.settles_at, one.capture_before) for state, one in stored.items()} == {
            "SUCCESS": (60_000, 0, NOON, None),
            "PENDING": (None, 0, None, None),
            "FAILED": (None, 0, None, None),
        }
        assert stored["SUCCESS"].is_settled(NOON)
        back = database.transact_now(
            lambda tx: open_refund(
                tx,
                stored["SUCCESS"],
                amount=Rupiah(60_000),
                type=RefundType.FULL_REFUND,
                request_id="req-r",
                now=NOON,
            )
        )
        _, after = database.transact_now(lambda tx: complete_refund(tx, back, approval_code=None, message=None, now=NOON))
        assert after.state is PaymentState.REFUNDED
        assert database.read_now(statement)[wallet] == (60_000, 120_000)
        assert database.read_now(lambda tx: verify(tx) + verify_payments(tx)) == []


def test_payments_of_an_older_version_are_numbered_as_their_ids_sort(empty_address: str) -> None:
    """Migration 0005."""
    upgrade(empty_address, "0004")
    with contextlib.closing(open_database(empty_address, migrate=False)) as older:

        def write(tx: Tx) -> None:
            for order, payments in {"ord_1": ("pay_A", "pay_B", "pay_C"), "ord_2": ("pay_D",)}.items():
                tx.execute(
                    "insert into orders (id, merchant_id, invoice_number, amount, state, request_id, created_at)"
                    " values (:id, 'BRN-1', :id, 60000, 'OPEN', 'req-1', 0)",
                    {"id": order},
                )
                for payment in reversed(payments):
                    tx.execute(
                        "insert into payment (id, order_id, merchant_id, channel, amount, state, created_at, expires_at)"
                        " values (:id, :order_id, 'BRN-1', 'CREDIT_CARD', 60000, 'PENDING', 0, 1)",
                        {"id": payment, "order_id": order},
                    )
            for payment in ("pay_A", "pay_B"):
                tx.execute(
                    "insert into simulated_order (payment_id, channel, reference, asked, state, expires_at, code)"
                    " values (:id, 'ALFA', :id, '{}', 'WAITING', 0, '8088')",
                    {"id": payment},
                )

        older.transact_now(write)

    with contextlib.closing(open_database(empty_address)) as database:
        payments = database.read_now(lambda tx: tx.all("select id, attempt from payment order by id"))
        orders = database.read_now(lambda tx: tx.all("select id, attempts from orders order by id"))
        codes = database.read_now(lambda tx: tx.all("select payment_id, code from simulated_order order by payment_id"))

    assert [(row["id"], row["attempt"]) for row in payments] == [("pay_A", 1), ("pay_B", 2), ("pay_C", 3), ("pay_D", 1)]
    assert [(row["id"], row["attempts"]) for row in orders] == [("ord_1", 3), ("ord_2", 1)]
    assert [(row["payment_id"], row["code"]) for row in codes] == [("pay_A", None), ("pay_B", "8088")]


def test_check_sums_of_pushes_before_the_upgrade_belong_to_the_bodies_they_came_with(empty_address: str) -> None:
    """Migration 0009."""
    upgrade(empty_address, "0008")
    by_headers, by_sum = ("INV-1", "0812112100000"), ("INV-2", "081211111111")
    odd = "f" * 64  # the sum of a body that wrote its amount otherwise
    with contextlib.closing(open_database(empty_address, migrate=False)) as older:

        def write(tx: Tx) -> None:
            tx.execute("insert into merchant (client_id, name, secret_key, created_at) values ('BRN-1', 'Toko', 'SK-1', 0)")
            for (invoice, phone), request_id in ((by_headers, "REQ-1"), (by_sum, odd)):
                tx.execute(
                    "insert into orders (id, merchant_id, invoice_number, amount, state, request_id, details, created_at)"
                    " values (:invoice, 'BRN-1', :invoice, 10000, 'OPEN', :request_id, :details, 0)",
                    {"invoice": invoice, "request_id": request_id, "details": json.dumps({"ovo_id": phone})},
                )
                tx.execute(
                    "insert into payment (id, order_id, merchant_id, channel, amount, state, created_at, expires_at)"
                    " values (:invoice, :invoice, 'BRN-1', 'EMONEY_OVO', 10000, 'PENDING', 0, 1)",
                    {"invoice": invoice},
                )

        older.transact_now(write)

    def kept(invoice: str, phone: str, sent_sum: str | None = None) -> bool:
        values = ("10000", "", "", "BRN-1", invoice, phone, "", "")
        body = SignedBody(sent_sum or check_sum("".join(values), "SK-1"), meaning_of(values))
        return database.transact_now(lambda tx: keep_signed_body(tx, "BRN-1", body))

    with contextlib.closing(open_database(empty_address)) as database:
        assert kept(*by_headers)
        assert kept(*by_sum)
        assert not kept("INV-10", "812112100000")
        assert not kept("INV-208", "1211111111")
        assert not kept("INV-208", "1211111111", odd)


def test_wallets_stored_under_another_form_of_their_number_get_the_one_form_where_it_is_free(empty_address: str) -> None:
    """Migration 0008."""
    upgrade(empty_address, "0007")
    stored = {
        "1000000001": "62081200000001",
        "1000000002": "62062812000002",
        "1000000003": "6262812000003",
        "1000000004": "62812000004",
        "1000000005": "620812000004",
        "1000000006": "626281234567",
        "1000000007": "620812000007",
        "1000000008": "6262812000007",
    }
    with contextlib.closing(open_database(empty_address, migrate=False)) as older:

        def write(tx: Tx) -> None:
            for account_id, phone in stored.items():
                tx.execute(
                    "insert into wallet_account (id, phone, phone_as_sent, name, level, status, created_at)"
                    " values (:id, :phone, :phone, 'Siti', 'BASIC', 'ACTIVE', 0)",
                    {"id": account_id, "phone": phone},
                )

        older.transact_now(write)

    with contextlib.closing(open_database(empty_address)) as database:
        rows = database.read_now(lambda tx: tx.all("select id, phone from wallet_account order by id"))

    assert {row["id"]: row["phone"] for row in rows} == stored | {
        "1000000001": "6281200000001",
        "1000000002": "62812000002",
        "1000000003": "62812000003",
        "1000000007": "62812000007",
    }


def test_processes_that_start_together_migrate_once(data_address: str, next_version: Path) -> None:
    database = open_database(data_address, migrate=False)
    if database.revision() is None:
        database.run_script(snapshot("sqlite"))
    database.close()
    troubles: list[Exception] = []

    def start() -> None:
        try:
            upgrade(data_address)
        except Exception as trouble:
            troubles.append(trouble)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert troubles == []
    assert described(data_address)["next_thing"]


def test_a_migration_that_fails_in_the_middle_leaves_the_schema_as_it_was(data_address: str, next_version: Path) -> None:
    open_database(data_address, migrate=False).close()
    upgrade(data_address, HEAD)
    before = described(data_address)
    broken = next_version / "migrations" / "versions" / "next.py"
    broken.write_text(NEXT + "    raise RuntimeError('power cut')\n")

    with pytest.raises(RuntimeError, match="power cut"):
        open_database(data_address)

    assert described(data_address) == before


def test_a_database_of_a_newer_version_is_refused_and_not_touched(data_address: str) -> None:
    database = open_database(data_address)
    database.transact_now(lambda tx: tx.execute("update alembic_version set version_num = '9999'"))
    database.close()

    with pytest.raises(StorageTooNew, match=r"revision 9999.*newer version"):
        open_database(data_address)

    looked_at = open_database(data_address, migrate=False)
    assert looked_at.revision() == "9999"
    looked_at.close()


def test_opening_a_fresh_database_imports_neither_sqlalchemy_nor_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from gerbang.storage import open_database; open_database(sys.argv[1]).close();"
        "print([name for name in ('sqlalchemy', 'alembic') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path / "new.db")], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear customer, " * 100)

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        open_database(str(letter))

    assert letter.read_text() == "Dear customer, " * 100


def test_a_path_with_strange_characters_can_be_migrated_too(tmp_path: Path, next_version: Path) -> None:
    folder = tmp_path / "50% off? #1 & more"
    folder.mkdir()
    path = str(folder / "gerbang.db")
    upgrade(path, "0001")

    with contextlib.closing(open_database(path)) as database:
        assert database.revision() == "next"
