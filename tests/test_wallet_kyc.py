"""Who customers say they are is sealed, believed in the sandbox and decided by the operator in production."""

from collections import Counter
from datetime import date
from typing import Any

import pytest

from gerbang.errors import Reason, Refused
from gerbang.storage import Database
from gerbang.wallet import Account, AccountStatus, Level, get_account
from gerbang.wallet.kyc import Identity, KycState, decide, find_kyc, identity_of, upgrade, waiting
from support.customers import GIVEN, HOUR, PRODUCTION, SANDBOX, a_customer, at_once, everything, given, refusal
from support.gateway import NOON


@pytest.fixture
def siti(database: Database) -> Account:
    return database.transact_now(a_customer)


def level(database: Database, customer: Account) -> Level:
    return database.read_now(lambda tx: get_account(tx, customer.id)).level


def test_the_sandbox_believes_at_once(database: Database, siti: Account) -> None:
    assert database.transact_now(given(siti, SANDBOX)) is KycState.APPROVED
    assert level(database, siti) is Level.PREMIUM


def test_production_waits_for_a_decision(database: Database, siti: Account) -> None:
    assert database.transact_now(given(siti)) is KycState.SUBMITTED
    assert level(database, siti) is Level.BASIC
    assert [one.account_id for one in database.read_now(waiting)] == [siti.id]

    decided = database.transact_now(lambda tx: decide(tx, siti.id, approve=True, now=NOON + HOUR))

    assert (decided.state, decided.decided_at) == (KycState.APPROVED, NOON + HOUR)
    assert level(database, siti) is Level.PREMIUM
    assert database.read_now(waiting) == []
    assert refusal(database, lambda tx: decide(tx, siti.id, approve=False, now=NOON)) is Reason.KYC_NOT_FOUND


def test_who_was_rejected_may_try_again_and_nobody_else(database: Database, siti: Account) -> None:
    database.transact_now(given(siti))
    assert refusal(database, given(siti)) is Reason.KYC_DECIDED
    database.transact_now(lambda tx: decide(tx, siti.id, approve=False, now=NOON))
    assert level(database, siti) is Level.BASIC

    moved = Identity(GIVEN.nik, GIVEN.name, GIVEN.birth_place, GIVEN.birth_date, "Jl. Baru 2")
    assert database.transact_now(given(siti, identity=moved)) is KycState.SUBMITTED
    assert database.read_now(lambda tx: identity_of(tx, siti.id, settings=PRODUCTION)) == moved
    database.transact_now(lambda tx: decide(tx, siti.id, approve=True, now=NOON))
    assert refusal(database, given(siti)) is Reason.KYC_DECIDED


def test_an_identity_given_twice_at_once_is_taken_once(database: Database, siti: Account) -> None:
    outcomes = at_once(database, *[given(siti) for _ in range(6)])

    assert Counter(outcomes) == {KycState.SUBMITTED: 1, Reason.KYC_DECIDED: 5}


def test_an_identity_is_sealed_for_its_account(database: Database, siti: Account) -> None:
    database.transact_now(given(siti))
    stored = everything(database)

    for secret in (GIVEN.nik, GIVEN.name, GIVEN.address, GIVEN.birth_place, "1990"):
        assert secret.encode() not in stored
    assert GIVEN.nik not in repr(GIVEN) + str(GIVEN)
    assert database.read_now(lambda tx: identity_of(tx, siti.id, settings=PRODUCTION)) == GIVEN


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"nik": ""}, "nik", Reason.FIELD_MISSING),
        ({"nik": "317123456789000"}, "nik", Reason.FIELD_INVALID),
        ({"nik": "31712345678900011"}, "nik", Reason.FIELD_INVALID),
        ({"nik": "317123456789000x"}, "nik", Reason.FIELD_INVALID),
        ({"nik": "٣١٧١٢٣٤٥٦٧٨٩٠٠٠١"}, "nik", Reason.FIELD_INVALID),
        ({"name": " "}, "name", Reason.FIELD_MISSING),
        ({"name": "x" * 101}, "name", Reason.FIELD_INVALID),
        ({"name": "Si\x00ti"}, "name", Reason.FIELD_INVALID),
        ({"birth_place": ""}, "birth_place", Reason.FIELD_MISSING),
        ({"address": ""}, "address", Reason.FIELD_MISSING),
        ({"address": "x" * 301}, "address", Reason.FIELD_INVALID),
        ({"birth_date": date(2026, 5, 19)}, "birth_date", Reason.FIELD_INVALID),
        ({"birth_date": date(1899, 12, 31)}, "birth_date", Reason.FIELD_INVALID),
    ],
)
def test_what_is_missing_or_malformed_is_named(
    database: Database, siti: Account, changes: dict[str, Any], field: str, reason: Reason
) -> None:
    faulty = Identity(**{name: changes.get(name, getattr(GIVEN, name)) for name in Identity.__struct_fields__})

    with pytest.raises(Refused) as refused:
        database.transact_now(given(siti, identity=faulty))

    assert (refused.value.reason, refused.value.facts) == (reason, {"field": field})
    assert database.read_now(lambda tx: find_kyc(tx, siti.id)) is None


def test_blanks_in_what_people_type_do_not_matter(database: Database, siti: Account) -> None:
    typed = Identity("3171 2345-6789 0001", "  Siti   Rahmawati ", "Bandung", GIVEN.birth_date, " Jl. Merdeka 1,\n Bandung ")
    database.transact_now(given(siti, identity=typed))

    assert database.read_now(lambda tx: identity_of(tx, siti.id, settings=PRODUCTION)) == GIVEN


@pytest.mark.parametrize(
    ("status", "reason"), [(AccountStatus.LOCKED, Reason.ACCOUNT_LOCKED), (AccountStatus.CLOSED, Reason.ACCOUNT_CLOSED)]
)
def test_an_account_that_is_not_active_gives_no_identity(
    database: Database, siti: Account, status: AccountStatus, reason: Reason
) -> None:
    database.transact_now(lambda tx: tx.execute("update wallet_account set status = :status", {"status": status.value}))

    assert refusal(database, given(siti)) is reason


def test_the_operator_upgrades_any_account_that_is_not_closed(database: Database, siti: Account) -> None:
    database.transact_now(lambda tx: tx.execute("update wallet_account set status = 'LOCKED'"))
    assert database.transact_now(lambda tx: upgrade(tx, siti.id)).level is Level.PREMIUM

    database.transact_now(lambda tx: tx.execute("update wallet_account set status = 'CLOSED', level = 'BASIC'"))

    assert refusal(database, lambda tx: upgrade(tx, siti.id)) is Reason.ACCOUNT_CLOSED
    assert refusal(database, lambda tx: upgrade(tx, "1999999999")) is Reason.ACCOUNT_NOT_FOUND
    assert level(database, siti) is Level.BASIC
