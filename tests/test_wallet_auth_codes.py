"""An auth code is exchanged once, by the partner it was made for. S1-40, D-5."""

from collections import Counter

import pytest

from gerbang.errors import Reason
from gerbang.storage import Database
from gerbang.wallet import Account
from gerbang.wallet import bindings as bindings_
from gerbang.wallet.bindings import AUTH_CODE_LIFE, new_auth_code
from support.customers import MS, OTHER, a_customer, at_once, bound, exchange, refusal
from support.gateway import NOON


@pytest.fixture
def siti(database: Database) -> Account:
    return database.transact_now(a_customer)


def test_an_auth_code_is_exchanged_once(database: Database, siti: Account) -> None:
    """D-5."""
    binding = database.transact_now(lambda tx: bound(tx, siti))
    code = database.transact_now(lambda tx: new_auth_code(tx, binding, now=NOON))

    assert database.transact_now(exchange(code)) == binding
    assert refusal(database, exchange(code)) is Reason.AUTH_CODE_INVALID


def test_an_auth_code_is_a_uuid_and_is_taken_in_capitals(database: Database, siti: Account) -> None:
    """S1-14."""
    code = database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    assert [len(part) for part in code.split("-")] == [8, 4, 4, 4, 12]
    assert database.transact_now(exchange(code.upper())).account_id == siti.id


def test_an_auth_code_lives_ten_minutes(database: Database, siti: Account) -> None:
    """D-5."""
    code = database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    assert refusal(database, exchange(code, now=NOON + AUTH_CODE_LIFE)) is Reason.AUTH_CODE_INVALID
    assert database.transact_now(exchange(code, now=NOON + AUTH_CODE_LIFE - MS)).account_id == siti.id


def test_an_auth_code_is_of_no_use_to_another_partner_and_not_used_up_by_it(database: Database, siti: Account) -> None:
    code = database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    assert refusal(database, exchange(code, merchant_id=OTHER)) is Reason.AUTH_CODE_INVALID
    assert database.transact_now(exchange(code)).account_id == siti.id


@pytest.mark.parametrize("code", ["", "x", "cfb5de1a-6a40-40e0-8549-0634bcaed8ed", "\ud800"])
def test_an_invented_auth_code_is_refused(database: Database, siti: Account, code: str) -> None:
    database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    assert refusal(database, exchange(code)) is Reason.AUTH_CODE_INVALID


def test_every_inquiry_gives_a_code_and_each_can_be_exchanged(database: Database, siti: Account) -> None:
    binding = database.transact_now(lambda tx: bound(tx, siti))
    codes = [database.transact_now(lambda tx: new_auth_code(tx, binding, now=NOON)) for _ in range(3)]

    assert [database.transact_now(exchange(code)) for code in reversed(codes)] == [binding] * 3


def test_of_exchanges_of_one_code_at_once_one_succeeds(database: Database, siti: Account) -> None:
    code = database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    outcomes = at_once(database, *[exchange(code) for _ in range(12)])

    assert Counter(one if isinstance(one, Reason) else "exchanged" for one in outcomes) == {
        "exchanged": 1,
        Reason.AUTH_CODE_INVALID: 11,
    }


def test_auth_codes_are_forgotten_when_they_are_over(database: Database, siti: Account) -> None:
    database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    assert database.transact_now(lambda tx: bindings_.purge_auth_codes(tx, now=NOON + AUTH_CODE_LIFE)) == 0
    assert database.transact_now(lambda tx: bindings_.purge_auth_codes(tx, now=NOON + AUTH_CODE_LIFE + MS)) == 1
