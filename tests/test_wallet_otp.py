"""One-time passwords cannot be guessed, used twice or read from the tables. S1-29."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from gerbang.errors import Reason
from gerbang.settings import Settings
from gerbang.storage import Database, Tx
from gerbang.wallet.bindings import new_auth_code
from gerbang.wallet.otp import CODE_LIFE, MAX_SENDS, MAX_WRONG_CODES, CodeOutcome, check_code, purge_codes, send_code
from support.customers import (
    CANONICAL,
    HOUR,
    MS,
    PRODUCTION,
    SANDBOX,
    another,
    at_once,
    bound,
    enter,
    everything,
    messages,
    refusal,
    registered,
    send,
    verified,
)
from support.gateway import NOON


def test_the_password_sent_opens_once(database: Database) -> None:
    code = send(database)

    assert [enter(database, code), enter(database, code)] == [CodeOutcome.RIGHT, CodeOutcome.USED]


def test_the_message_says_how_long_it_counts_and_to_keep_it_secret(database: Database) -> None:
    code = send(database)

    (message,) = messages(database)
    assert message.text == (
        f"Kode Anda {code[:3]} {code[3:]}. Berlaku 5 menit. Jangan berikan kepada siapa pun, termasuk petugas."
    )
    assert (message.phone, message.code_used, message.code_over) == (CANONICAL, False, False)


def test_the_fifth_wrong_password_blocks_even_the_right_one_until_a_new_one_is_sent(database: Database) -> None:
    code = send(database)
    tries = [another(code, by) for by in range(1, MAX_WRONG_CODES + 1)]

    outcomes = [enter(database, one) for one in tries]

    assert outcomes == [CodeOutcome.WRONG] * 4 + [CodeOutcome.BLOCKED]
    assert enter(database, code) is CodeOutcome.BLOCKED
    assert enter(database, code, now=NOON + CODE_LIFE) is CodeOutcome.BLOCKED
    assert enter(database, send(database)) is CodeOutcome.RIGHT


def test_four_wrong_passwords_leave_a_fifth_try(database: Database) -> None:
    code = send(database)

    outcomes = [enter(database, another(code, by)) for by in range(1, MAX_WRONG_CODES)] + [enter(database, code)]

    assert outcomes == [CodeOutcome.WRONG] * 4 + [CodeOutcome.RIGHT]


def test_a_password_lives_300_seconds(database: Database) -> None:
    first, second = send(database), ""

    assert enter(database, first, now=NOON + CODE_LIFE) is CodeOutcome.EXPIRED
    second = send(database)
    assert enter(database, second, now=NOON + timedelta(seconds=300) - MS) is CodeOutcome.RIGHT


def test_what_is_entered_too_late_is_not_counted(database: Database) -> None:
    code = send(database)
    for _ in range(MAX_WRONG_CODES + 1):
        assert enter(database, another(code), now=NOON + CODE_LIFE) is CodeOutcome.EXPIRED

    assert enter(database, code) is CodeOutcome.RIGHT


def test_only_the_newest_password_of_a_subject_counts(database: Database) -> None:
    older = send(database)
    newer = send(database)
    while older == newer:
        newer = send(database)

    assert [enter(database, older), enter(database, newer)] == [CodeOutcome.WRONG, CodeOutcome.RIGHT]


def test_a_password_opens_nothing_else(database: Database) -> None:
    mine, theirs = send(database, "reg_mine"), send(database, "reg_theirs", phone="6281200000009")
    while mine == theirs:
        theirs = send(database, "reg_theirs", phone="6281200000009")

    assert enter(database, mine, "reg_theirs") is CodeOutcome.WRONG
    assert enter(database, theirs, "reg_mine") is CodeOutcome.WRONG


def test_what_was_never_sent_is_over(database: Database) -> None:
    assert enter(database, "123456", "reg_unknown") is CodeOutcome.EXPIRED


@pytest.mark.parametrize("entered", ["", " ", "12345", "1234567", "١٢٣٤٥٦", "\ud800", "123 456", "x" * 1000])
def test_odd_entries_are_wrong_entries(database: Database, entered: str) -> None:
    code = send(database)

    assert enter(database, entered) is (CodeOutcome.RIGHT if entered == code else CodeOutcome.WRONG)
    assert enter(database, f" {code} ") is CodeOutcome.RIGHT


def test_a_phone_gets_five_passwords_an_hour(database: Database) -> None:
    for minute in range(MAX_SENDS):
        send(database, f"reg_{minute}", now=NOON + timedelta(minutes=minute))

    def sixth(now: datetime, phone: str = CANONICAL) -> Callable[[Tx], object]:
        return lambda tx: send_code(tx, subject="reg_6", phone=phone, settings=SANDBOX, now=now)

    assert refusal(database, sixth(NOON + timedelta(minutes=30))) is Reason.TOO_MANY_REQUESTS
    assert refusal(database, sixth(NOON + HOUR - MS)) is Reason.TOO_MANY_REQUESTS
    database.transact_now(sixth(NOON + timedelta(minutes=30), "6281200000009"))
    database.transact_now(sixth(NOON + HOUR))
    assert refusal(database, sixth(NOON + HOUR)) is Reason.TOO_MANY_REQUESTS


def test_a_refused_send_leaves_the_password_before_it_alive(database: Database) -> None:
    for _ in range(MAX_SENDS):
        code = send(database)

    assert refusal(database, lambda tx: send_code(tx, subject="reg_1", phone=CANONICAL, settings=SANDBOX, now=NOON)) is (
        Reason.TOO_MANY_REQUESTS
    )
    assert len(messages(database)) == MAX_SENDS
    assert enter(database, code) is CodeOutcome.RIGHT


def test_what_was_sent_before_the_clock_was_set_back_does_not_count(database: Database) -> None:
    for _ in range(MAX_SENDS):
        send(database, now=NOON + timedelta(days=300))

    code = send(database)

    assert enter(database, code) is CodeOutcome.RIGHT


def test_twelve_passwords_asked_for_at_once_are_five(database: Database) -> None:
    def ask(number: int) -> Callable[[Tx], datetime]:
        return lambda tx: send_code(tx, subject=f"reg_{number}", phone=CANONICAL, settings=SANDBOX, now=NOON)

    outcomes = at_once(database, *[ask(number) for number in range(12)])

    assert Counter(outcomes) == {NOON + CODE_LIFE: MAX_SENDS, Reason.TOO_MANY_REQUESTS: 12 - MAX_SENDS}
    assert len(messages(database)) == MAX_SENDS


def test_of_the_right_password_entered_many_times_at_once_one_opens(database: Database) -> None:
    code = send(database)

    outcomes = at_once(
        database,
        *[lambda tx: check_code(tx, subject="reg_1", entered=code, settings=SANDBOX, now=NOON) for _ in range(8)],
    )

    assert Counter(outcomes) == {CodeOutcome.RIGHT: 1, CodeOutcome.USED: 7}


def test_guessing_side_by_side_gains_no_guess(database: Database) -> None:
    code = send(database)

    def guess(by: int) -> Callable[[Tx], CodeOutcome]:
        return lambda tx: check_code(tx, subject="reg_1", entered=another(code, by), settings=SANDBOX, now=NOON)

    outcomes = at_once(database, *[guess(by) for by in range(1, 25)])

    assert Counter(outcomes) == {CodeOutcome.WRONG: 4, CodeOutcome.BLOCKED: 20}
    assert enter(database, code) is CodeOutcome.BLOCKED


def test_the_sandbox_may_send_the_same_password_always_and_production_never_does(database: Database) -> None:
    fixed = Settings(fixed_otp="123456")
    careless = Settings(mode="production", encryption_key=PRODUCTION.encryption_key, fixed_otp="123456")
    phones = [f"62812000000{number:02d}" for number in range(20)]

    def sent(settings: Settings) -> set[str]:
        for phone in phones:
            database.transact_now(lambda tx, to=phone: send_code(tx, subject="x", phone=to, settings=settings, now=NOON))  # type: ignore[misc]
        return {message.code for message in messages(database, settings)}

    assert sent(fixed) == {"123456"}
    assert len(sent(careless)) > 10


def test_passwords_tokens_and_auth_codes_cannot_be_read_from_the_tables(database: Database) -> None:
    registration, code = registered(database)
    token = verified(database, registration, code).page_token
    auth_code = database.transact_now(lambda tx: new_auth_code(tx, bound(tx), now=NOON))

    stored = everything(database)

    assert registration.id.encode() in stored
    for secret in (code, f"{code[:3]} {code[3:]}", token, auth_code, "Kode Anda"):
        assert secret.encode() not in stored


def test_passwords_are_forgotten_after_a_day_and_then_count_as_over(database: Database) -> None:
    code = send(database)

    assert database.transact_now(lambda tx: purge_codes(tx, now=NOON + CODE_LIFE + timedelta(days=1))) == 0
    assert database.transact_now(lambda tx: purge_codes(tx, now=NOON + CODE_LIFE + timedelta(days=1) + MS)) == 1
    assert enter(database, code) is CodeOutcome.EXPIRED
