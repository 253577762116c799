"""A phone becomes one customer: registering, the page for the PIN, the account in the end. S1-16, S1-29."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from gerbang.errors import Reason, Refused
from gerbang.storage import Database, Tx
from gerbang.wallet import Account, AccountStatus, Level, create_account, registrations
from gerbang.wallet.otp import CODE_LIFE, MAX_SENDS, CodeOutcome, purge_codes
from gerbang.wallet.registrations import PAGE_LIFE, Registration, RegistrationState, Verification, purge_registrations
from support.customers import (
    CANONICAL,
    MS,
    OTHER,
    PHONE,
    PIN_HASH,
    SANDBOX,
    another,
    at_once,
    messages,
    refusal,
    registered,
    start,
    verified,
)
from support.gateway import NOON


def finished(database: Database, token: str, *, now: datetime = NOON) -> Account:
    return database.transact_now(finish_by(token, now=now))


def finish_by(token: str, *, now: datetime = NOON) -> Callable[[Tx], Account]:
    def finish(tx: Tx) -> Account:
        found = registrations.by_page_token(tx, token)
        assert found is not None
        return registrations.finish(tx, found, pin_hash=PIN_HASH, now=now)

    return finish


def test_a_registration_becomes_an_account_with_a_doku_id_of_its_own(database: Database) -> None:
    registration, code = registered(database)
    verification = verified(database, registration, code)

    customer = finished(database, verification.page_token)

    assert verification.outcome is CodeOutcome.RIGHT
    assert len(customer.id) == 10
    assert (customer.phone, customer.phone_as_sent, customer.name, customer.email, customer.pin_hash) == (
        CANONICAL,
        PHONE,
        "Siti Rahmawati",
        "siti@example.com",
        PIN_HASH,
    )
    assert (customer.level, customer.status) == (Level.BASIC, AccountStatus.ACTIVE)
    done = database.read_now(lambda tx: registrations.by_page_token(tx, verification.page_token))
    assert done is not None
    assert (done.state, done.account_id) == (RegistrationState.DONE, customer.id)
    assert registrations.return_url(done, customer) == (
        f"https://shop.example/back?x=1&accountId={customer.id}&partnerReferenceNo=ref-1&status=SUCCESS"
    )
    assert registrations.return_url(done, done.account_id) == registrations.return_url(done, customer)
    assert registrations.return_url(done, None) == "https://shop.example/back?x=1&partnerReferenceNo=ref-1&status=FAILED"


def test_there_is_no_account_before_the_pin_is_set(database: Database) -> None:
    registration, code = registered(database)
    verified(database, registration, code)

    assert database.read_now(lambda tx: tx.all("select * from wallet_account")) == []


def test_a_wrong_password_opens_no_page_and_is_counted(database: Database) -> None:
    registration, code = registered(database)

    wrong = [verified(database, registration, another(code, by)) for by in range(1, 6)]

    assert [one.outcome for one in wrong] == [CodeOutcome.WRONG] * 4 + [CodeOutcome.BLOCKED]
    assert {one.page_token for one in wrong} == {""}
    assert verified(database, registration, code).outcome is CodeOutcome.BLOCKED


def test_a_verified_registration_cannot_be_verified_again_however_long_ago_it_was(database: Database) -> None:
    registration, code = registered(database)
    verified(database, registration, code)
    database.transact_now(lambda tx: purge_codes(tx, now=NOON + timedelta(days=9)))

    again = verified(database, registration, code)

    assert (again.outcome, again.page_token) == (CodeOutcome.USED, "")


def test_registering_a_phone_again_replaces_the_registration_before(database: Database) -> None:
    """S1-25: the same number however it is written, and by whichever partner."""
    first, first_code = registered(database)
    second, second_code = registered(database, phone="+62 812-1234-0010", merchant_id=OTHER, reference="ref-2")

    with pytest.raises(Refused) as refused:
        verified(database, first, first_code)

    assert refused.value.reason is Reason.REFERENCE_NOT_FOUND
    assert verified(database, second, second_code).outcome is CodeOutcome.RIGHT


def test_registering_again_closes_the_page_of_a_verified_registration(database: Database) -> None:
    registration, code = registered(database)
    token = verified(database, registration, code).page_token

    registered(database, reference="ref-2")

    assert database.read_now(lambda tx: registrations.by_page_token(tx, token)) is None


def test_a_registration_that_may_not_send_leaves_the_one_before_alive(database: Database) -> None:
    for number in range(MAX_SENDS):
        registration, code = registered(database, reference=f"ref-{number}")

    assert refusal(database, start(reference="ref-6")) is Reason.TOO_MANY_REQUESTS
    assert verified(database, registration, code).outcome is CodeOutcome.RIGHT


def test_a_phone_that_has_an_account_is_not_registered_again(database: Database) -> None:
    database.transact_now(lambda tx: create_account(tx, phone="+6281212340010", name="Siti", now=NOON))

    assert refusal(database, start()) is Reason.ACCOUNT_EXISTS
    assert messages(database) == []


def test_a_password_can_be_sent_again_for_the_same_registration(database: Database) -> None:
    registration, first = registered(database)

    def again(tx: Tx) -> None:
        current = registrations.get_registration(tx, registration.id)
        assert current is not None
        registrations.send_again(tx, current, settings=SANDBOX, now=NOON + CODE_LIFE)

    database.transact_now(again)
    second = messages(database)[0].code

    assert verified(database, registration, second, now=NOON + 2 * CODE_LIFE - MS).outcome is CodeOutcome.RIGHT
    assert refusal(database, again) is Reason.OTP_ALREADY_VERIFIED
    registered(database, reference="ref-2")
    assert refusal(database, again) is Reason.REFERENCE_NOT_FOUND
    assert first


def test_the_page_can_be_used_for_fifteen_minutes(database: Database) -> None:
    registration, code = registered(database)
    token = verified(database, registration, code, now=NOON).page_token

    assert refusal(database, finish_by(token, now=NOON + PAGE_LIFE)) is Reason.LINK_OVER
    assert finished(database, token, now=NOON + PAGE_LIFE - MS).phone == CANONICAL


@pytest.mark.parametrize("token", ["", "x", "None", "\ud800", "' or 1=1 --"])
def test_an_invented_token_opens_no_page(database: Database, token: str) -> None:
    registered(database)

    assert database.read_now(lambda tx: registrations.by_page_token(tx, token)) is None


def test_a_phone_that_became_a_customer_meanwhile_keeps_that_account(database: Database) -> None:
    registration, code = registered(database)
    token = verified(database, registration, code).page_token
    database.transact_now(lambda tx: create_account(tx, phone=PHONE, name="Siti", now=NOON))

    assert refusal(database, finish_by(token)) is Reason.ACCOUNT_EXISTS
    assert len(database.read_now(lambda tx: tx.all("select * from wallet_account"))) == 1


def test_a_pin_set_many_times_at_once_opens_one_account(database: Database) -> None:
    registration, code = registered(database)
    token = verified(database, registration, code).page_token

    outcomes = at_once(database, *[finish_by(token) for _ in range(8)])

    assert Counter(isinstance(one, Account) for one in outcomes) == {True: 1, False: 7}
    assert {one for one in outcomes if isinstance(one, Reason)} == {Reason.LINK_OVER}
    assert len(database.read_now(lambda tx: tx.all("select * from wallet_account"))) == 1


def test_of_registrations_of_one_phone_at_once_one_stays_open(database: Database) -> None:
    outcomes = at_once(database, *[start(reference=f"ref-{number}") for number in range(8)])

    made = [one for one in outcomes if isinstance(one, Registration)]
    assert Counter(one for one in outcomes if isinstance(one, Reason)) == {Reason.TOO_MANY_REQUESTS: 3}
    states = [database.read_now(lambda tx, of=one: registrations.get_registration(tx, of.id)).state for one in made]  # type: ignore[misc,union-attr]
    assert Counter(states) == {RegistrationState.OTP_SENT: 1, RegistrationState.REPLACED: 4}


def test_a_password_and_the_next_registration_at_once_leave_one_of_them(database: Database) -> None:
    registration, code = registered(database)

    def check(tx: Tx) -> Verification | Registration:
        current = registrations.get_registration(tx, registration.id)
        assert current is not None
        return registrations.verify(tx, current, entered=code, settings=SANDBOX, now=NOON)

    def again(tx: Tx) -> Verification | Registration:
        return start(reference="ref-2")(tx)

    checked, replaced = at_once(database, check, again)

    assert isinstance(replaced, Registration)
    if isinstance(checked, Verification):  # it came first: then its page is closed
        assert database.read_now(lambda tx: registrations.by_page_token(tx, checked.page_token)) is None
    else:
        assert checked is Reason.REFERENCE_NOT_FOUND
    row = database.read_now(lambda tx: tx.all("select id from wallet_registration where state in ('OTP_SENT', 'VERIFIED')"))
    assert [one["id"] for one in row] == [replaced.id]


def test_who_did_not_become_a_customer_is_forgotten_after_a_month(database: Database) -> None:
    registration, code = registered(database)
    finished(database, verified(database, registration, code).page_token)
    registered(database, phone="081200000009", reference="ref-2")
    month = timedelta(days=30)

    assert database.transact_now(lambda tx: purge_registrations(tx, now=NOON + month)) == 0
    assert database.transact_now(lambda tx: purge_registrations(tx, now=NOON + month + CODE_LIFE + MS)) == 1
    (kept,) = database.read_now(lambda tx: tx.all("select state from wallet_registration"))
    assert kept["state"] == "DONE"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://doku.com", "https://doku.com?a=1%202"),
        ("https://doku.com/", "https://doku.com/?a=1%202"),
        ("https://doku.com/x?", "https://doku.com/x?a=1%202"),
        ("https://doku.com/x?b=%2F", "https://doku.com/x?b=%2F&a=1%202"),
        ("https://doku.com/x?b=1#there", "https://doku.com/x?b=1&a=1%202#there"),
    ],
)
def test_parameters_go_behind_those_an_address_has(url: str, expected: str) -> None:
    assert registrations.with_query(url, {"a": "1 2"}) == expected
