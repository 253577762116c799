"""The scanner finds card numbers and CVVs however they are written, and the vault leaves none for it to find."""

import base64
import contextlib
import json
import logging
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from gerbang.storage import Database, Tx, open_database
from gerbang.vault import KeyRing, Vault, deactivate, issue, rotate
from support.gateway import NOON
from support.secrets import find_in_bytes, find_in_database, find_in_files

NUMBER = "4811111111111114"
AMEX = "371449635398431"
CVV = "839"

HIDDEN: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "with blanks": lambda n: f"{n[:4]} {n[4:8]} {n[8:12]} {n[12:]}".encode(),
    "with dashes": lambda n: "-".join(n).encode(),
    "in a form": lambda n: f"number={n[:4]}%20{n[4:8]}+{n[8:]}&x=1".encode(),
    "with narrow blanks": lambda n: f"{n[:4]}\u00a0{n[4:]}".encode(),
    "in JSON": lambda n: json.dumps({"number": f"{n[:6]}\u00a0{n[6:]}"}).encode(),
    "in UTF-16": lambda n: n.encode("utf-16"),
    "in UTF-16 the other way round": lambda n: f"{n[:4]} {n[4:]}".encode("utf-16-be"),
    "in hex": lambda n: n.encode().hex().upper().encode(),
    "as an integer": lambda n: int(n).to_bytes(8, "big"),
    "as an integer the other way round": lambda n: int(n).to_bytes(8, "little"),
    **{f"in base64 behind {before} bytes": lambda n, k=before: base64.b64encode(b"x" * k + n.encode() + b"y") for before in range(4)},  # type: ignore[misc]
    "in base64, with blanks": lambda n: base64.b64encode(f"a{n[:4]} {n[4:8]} {n[8:12]} {n[12:]}".encode()),
    "in base64 for addresses": lambda n: base64.urlsafe_b64encode(b"\xff\xfe" + n.encode()),
    "in base64 of UTF-16": lambda n: base64.b64encode(n.encode("utf-16")),
}  # fmt: skip


# -- the scanner


@pytest.mark.parametrize("how", HIDDEN)
@pytest.mark.parametrize("number", [NUMBER, AMEX])
def test_a_number_is_found_however_it_is_written(how: str, number: str) -> None:
    content = bytes(range(256)) * 3 + HIDDEN[how](number) + b"\0rest"

    found = find_in_bytes(content, numbers=[number])

    assert found
    assert all(number not in str(one) for one in found)


@pytest.mark.parametrize("how", HIDDEN)
def test_another_number_is_not_taken_for_it(how: str) -> None:
    assert find_in_bytes(HIDDEN[how]("4811111111111122"), numbers=[NUMBER, AMEX]) == []


@pytest.mark.parametrize("masked", ["481111******1114", "4811 11•• •••• 1114", "48111111****1114"])
def test_a_masked_number_is_no_finding(masked: str) -> None:
    assert find_in_bytes(masked, numbers=[NUMBER]) == []


@pytest.mark.parametrize(
    "text", ["cvv=839&x", '{"cvv2": "839"}', "CVV 839", "security_code:839", "a 839 b", "839", '["839"]', "x\n839\n"]
)
def test_a_cvv_is_found_where_it_is_named_or_stands_alone(text: str) -> None:
    assert find_in_bytes(text, cvvs=[CVV])
    assert find_in_bytes(text.replace(CVV, "838"), cvvs=[CVV]) == []


@pytest.mark.parametrize("text", ["05:00:01.839Z", "Rp 10.839", "pay_839X", "28390", "0.839 s", "port 8390", "18:39"])
def test_digits_that_only_look_like_a_cvv_are_no_finding(text: str) -> None:
    assert find_in_bytes(text, cvvs=[CVV]) == []


def test_a_number_in_a_database_file_is_found_in_the_file_or_its_wal_even_when_it_was_deleted(tmp_path: Path) -> None:
    path = tmp_path / "leaky.db"
    with contextlib.closing(open_database(str(path))) as database:
        database.transact_now(lambda tx: tx.execute("insert into instance (name, value) values ('card', :n)", {"n": NUMBER}))
        assert find_in_files([path], numbers=[NUMBER])
        database.transact_now(lambda tx: tx.execute("delete from instance"))
        assert {found.where for found in find_in_files([path], numbers=[NUMBER])} == {"leaky.db-wal"}


def test_a_number_stored_as_an_integer_is_found_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "leaky.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table t (a integer)")
        connection.execute("insert into t values (?)", (int(NUMBER),))
        connection.commit()

    assert {found.form for found in find_in_files([path], numbers=[NUMBER])} == {"integer"}


def test_numbers_and_cvvs_in_rows_are_found_with_table_and_column(database: Database) -> None:
    def leak(tx: Tx) -> None:
        for name, value in (("a", f'{{"card": "{NUMBER}"}}'), ("b", CVV)):
            tx.execute("insert into instance (name, value) values (:name, :value)", {"name": name, "value": value})

    database.transact_now(leak)

    assert [found.where for found in find_in_database(database, numbers=[NUMBER])] == ["instance.value"]
    assert [found.form for found in find_in_database(database, cvvs=[CVV])] == ["alone"]


# -- the vault


def test_the_vault_leaves_no_number_in_rows_files_or_logs(
    database: Database, data_address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vault = Vault(KeyRing(b"k" * 32))

    def use(tx: Tx, number: str, customer_id: str) -> str:
        card = vault.keep(
            tx,
            merchant_id="BRN-1",
            number=number,
            masked=f"{number[:6]}{'*' * (len(number) - 10)}{number[-4:]}",
            bin=number[:6],
            last4=number[-4:],
            expiry="3012",
            brand="VISA",
            card_type="CREDIT",
            issuer="BCA",
            holder="SITI",
            keep_until=NOON + timedelta(days=1),
            now=NOON,
        )
        token = issue(tx, vault, merchant_id="BRN-1", customer_id=customer_id, card=card, now=NOON)
        assert vault.number(tx, card, purpose="test", now=NOON) == number
        return token.id

    tokens = [database.transact_now(lambda tx, n=n: use(tx, n, "SITI")) for n in (NUMBER, AMEX)]  # type: ignore[misc]
    rotate(database, vault.keyring)
    database.transact_now(lambda tx: deactivate(tx, merchant_id="BRN-1", token_id=tokens[0], now=NOON))

    assert find_in_database(database, numbers=[NUMBER, AMEX]) == []
    if database.engine == "sqlite":
        assert Path(data_address + "-wal").stat().st_size > 0
        assert find_in_files([data_address], numbers=[NUMBER, AMEX]) == []
    assert find_in_bytes(caplog.text, numbers=[NUMBER, AMEX]) == []
