"""Who the customers are: passwords cannot be guessed or used twice, a phone has one customer, a partner has the consents it was given.

S1-16, S1-29, S1-40, S1-58, D-5.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import pytest

from gerbang.clock import Clock, real_now, to_ms
from gerbang.errors import Reason, Refused
from gerbang.settings import Settings
from gerbang.storage import Database, Tx
from gerbang.storage.database import Params, Row
from gerbang.wallet import Account, AccountStatus, Level, create_account, get_account, registrations
from gerbang.wallet import bindings as bindings_
from gerbang.wallet.bindings import (
    AUTH_CODE_LIFE,
    Binding,
    BindingRequest,
    BindingState,
    RequestState,
    bind,
    exchange_auth_code,
    get_binding,
    new_auth_code,
    request_binding,
    request_by_id,
    request_unbinding,
    unbind,
    verify_unbinding,
)
from gerbang.wallet.kyc import Identity, KycState, decide, find_kyc, identity_of, submit, upgrade, waiting
from gerbang.wallet.messages import InboxMessage, MessageSender, MessageState, SandboxMessages, inbox, purge_messages
from gerbang.wallet.otp import CODE_LIFE, MAX_SENDS, MAX_WRONG_CODES, CodeOutcome, check_code, purge_codes, send_code
from gerbang.wallet.registrations import PAGE_LIFE, Registration, RegistrationState, Verification, purge_registrations
from support.gateway import NOON

T = TypeVar("T")

SANDBOX = Settings(fixed_otp="")
PRODUCTION = Settings(mode="production", encryption_key="a key of an installation of its own")
PHONE = "081212340010"
CANONICAL = "6281212340010"
PARTNER, OTHER = "BRN-0001-1", "BRN-0002-2"
PIN_HASH = "$argon2id$ of a PIN"
MS = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)


class Dawdling(Tx):
    """A transaction that waits before each write, so that everybody has read what they decide by before anybody writes."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def execute(self, sql: str, params: Params | None = None) -> int:
        time.sleep(0.03)
        return self._tx.execute(sql, params)

    def one(self, sql: str, params: Params | None = None) -> Row | None:
        return self._tx.one(sql, params)

    def all(self, sql: str, params: Params | None = None) -> list[Row]:
        return self._tx.all(sql, params)

    def has_table(self, name: str) -> bool:
        return self._tx.has_table(name)

    def signal(self, topic: str) -> None:
        self._tx.signal(topic)


def at_once(database: Database, *works: Callable[[Tx], T]) -> list[T | Reason]:
    """Each in a transaction of its own, side by side: what it returned, or why it was refused."""
    # SQLite has one writer, who would only be slow.
    slow: Callable[[Tx], Tx] = Dawdling if database.engine == "postgresql" else lambda tx: tx

    async def one(work: Callable[[Tx], T]) -> T | Reason:
        try:
            return await database.transact(lambda tx: work(slow(tx)))
        except Refused as refused:
            return refused.reason

    async def all_of_them() -> list[T | Reason]:
        return await asyncio.gather(*[one(work) for work in works])

    return asyncio.run(all_of_them())


def refusal(database: Database, work: Callable[[Tx], object]) -> Reason:
    with pytest.raises(Refused) as refused:
        database.transact_now(work)
    return refused.value.reason


def messages(database: Database, settings: Settings = SANDBOX, *, now: datetime = NOON, **only: Any) -> list[InboxMessage]:
    return database.read_now(lambda tx: inbox(tx, settings=settings, now=now, **only))


def last_code(database: Database, settings: Settings = SANDBOX) -> str:
    code = messages(database, settings)[0].code
    assert len(code) == 6
    assert code.isdigit()
    return code


def another(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 1_000_000:06d}"


# -- one-time passwords


def send(database: Database, subject: str = "reg_1", *, phone: str = CANONICAL, now: datetime = NOON) -> str:
    database.transact_now(lambda tx: send_code(tx, subject=subject, phone=phone, settings=SANDBOX, now=now))
    return last_code(database)


def enter(database: Database, entered: str, subject: str = "reg_1", *, now: datetime = NOON) -> CodeOutcome:
    return database.transact_now(lambda tx: check_code(tx, subject=subject, entered=entered, settings=SANDBOX, now=now))


def test_the_password_sent_opens_once(database: Database):
    code = send(database)

    assert [enter(database, code), enter(database, code)] == [CodeOutcome.RIGHT, CodeOutcome.USED]


def test_the_message_says_how_long_it_counts_and_to_keep_it_secret(database: Database):
    code = send(database)

    (message,) = messages(database)
    assert message.text == (
        f"Kode Anda {code[:3]} {code[3:]}. Berlaku 5 menit. Jangan berikan kepada siapa pun, termasuk petugas."
    )
    assert (message.phone, message.code_used, message.code_over) == (CANONICAL, False, False)


def test_the_fifth_wrong_password_blocks_even_the_right_one_until_a_new_one_is_sent(database: Database):
    code = send(database)
    tries = [another(code, by) for by in range(1, MAX_WRONG_CODES + 1)]

    outcomes = [enter(database, one) for one in tries]

    assert outcomes == [CodeOutcome.WRONG] * 4 + [CodeOutcome.BLOCKED]
    assert enter(database, code) is CodeOutcome.BLOCKED
    assert enter(database, code, now=NOON + CODE_LIFE) is CodeOutcome.BLOCKED
    assert enter(database, send(database)) is CodeOutcome.RIGHT


def test_four_wrong_passwords_leave_a_fifth_try(database: Database):
    code = send(database)

    outcomes = [enter(database, another(code, by)) for by in range(1, MAX_WRONG_CODES)] + [enter(database, code)]

    assert outcomes == [CodeOutcome.WRONG] * 4 + [CodeOutcome.RIGHT]


def test_a_password_lives_300_seconds(database: Database):
    first, second = send(database), ""

    assert enter(database, first, now=NOON + CODE_LIFE) is CodeOutcome.EXPIRED
    second = send(database)
    assert enter(database, second, now=NOON + timedelta(seconds=300) - MS) is CodeOutcome.RIGHT


def test_what_is_entered_too_late_is_not_counted(database: Database):
    code = send(database)
    for _ in range(MAX_WRONG_CODES + 1):
        assert enter(database, another(code), now=NOON + CODE_LIFE) is CodeOutcome.EXPIRED

    assert enter(database, code) is CodeOutcome.RIGHT


def test_only_the_newest_password_of_a_subject_counts(database: Database):
    older = send(database)
    newer = send(database)
    while older == newer:
        newer = send(database)

    assert [enter(database, older), enter(database, newer)] == [CodeOutcome.WRONG, CodeOutcome.RIGHT]


def test_a_password_opens_nothing_else(database: Database):
    mine, theirs = send(database, "reg_mine"), send(database, "reg_theirs", phone="6281200000009")
    while mine == theirs:
        theirs = send(database, "reg_theirs", phone="6281200000009")

    assert enter(database, mine, "reg_theirs") is CodeOutcome.WRONG
    assert enter(database, theirs, "reg_mine") is CodeOutcome.WRONG


def test_what_was_never_sent_is_over(database: Database):
    assert enter(database, "123456", "reg_unknown") is CodeOutcome.EXPIRED


@pytest.mark.parametrize("entered", ["", " ", "12345", "1234567", "١٢٣٤٥٦", "\ud800", "123 456", "x" * 1000])
def test_odd_entries_are_wrong_entries(database: Database, entered: str):
    code = send(database)

    assert enter(database, entered) is (CodeOutcome.RIGHT if entered == code else CodeOutcome.WRONG)
    assert enter(database, f" {code} ") is CodeOutcome.RIGHT


def test_a_phone_gets_five_passwords_an_hour(database: Database):
    for minute in range(MAX_SENDS):
        send(database, f"reg_{minute}", now=NOON + timedelta(minutes=minute))

    def sixth(now: datetime, phone: str = CANONICAL) -> Callable[[Tx], object]:
        return lambda tx: send_code(tx, subject="reg_6", phone=phone, settings=SANDBOX, now=now)

    assert refusal(database, sixth(NOON + timedelta(minutes=30))) is Reason.TOO_MANY_REQUESTS
    assert refusal(database, sixth(NOON + HOUR - MS)) is Reason.TOO_MANY_REQUESTS
    database.transact_now(sixth(NOON + timedelta(minutes=30), "6281200000009"))
    database.transact_now(sixth(NOON + HOUR))
    assert refusal(database, sixth(NOON + HOUR)) is Reason.TOO_MANY_REQUESTS


def test_a_refused_send_leaves_the_password_before_it_alive(database: Database):
    for _ in range(MAX_SENDS):
        code = send(database)

    assert refusal(database, lambda tx: send_code(tx, subject="reg_1", phone=CANONICAL, settings=SANDBOX, now=NOON)) is (
        Reason.TOO_MANY_REQUESTS
    )
    assert len(messages(database)) == MAX_SENDS
    assert enter(database, code) is CodeOutcome.RIGHT


def test_what_was_sent_before_the_clock_was_set_back_does_not_count(database: Database):
    for _ in range(MAX_SENDS):
        send(database, now=NOON + timedelta(days=300))

    code = send(database)

    assert enter(database, code) is CodeOutcome.RIGHT


def test_twelve_passwords_asked_for_at_once_are_five(database: Database):
    def ask(number: int) -> Callable[[Tx], datetime]:
        return lambda tx: send_code(tx, subject=f"reg_{number}", phone=CANONICAL, settings=SANDBOX, now=NOON)

    outcomes = at_once(database, *[ask(number) for number in range(12)])

    assert Counter(outcomes) == {NOON + CODE_LIFE: MAX_SENDS, Reason.TOO_MANY_REQUESTS: 12 - MAX_SENDS}
    assert len(messages(database)) == MAX_SENDS


def test_of_the_right_password_entered_many_times_at_once_one_opens(database: Database):
    code = send(database)

    outcomes = at_once(
        database,
        *[lambda tx: check_code(tx, subject="reg_1", entered=code, settings=SANDBOX, now=NOON) for _ in range(8)],
    )

    assert Counter(outcomes) == {CodeOutcome.RIGHT: 1, CodeOutcome.USED: 7}


def test_guessing_side_by_side_gains_no_guess(database: Database):
    code = send(database)

    def guess(by: int) -> Callable[[Tx], CodeOutcome]:
        return lambda tx: check_code(tx, subject="reg_1", entered=another(code, by), settings=SANDBOX, now=NOON)

    outcomes = at_once(database, *[guess(by) for by in range(1, 25)])

    assert Counter(outcomes) == {CodeOutcome.WRONG: 4, CodeOutcome.BLOCKED: 20}
    assert enter(database, code) is CodeOutcome.BLOCKED


def test_the_sandbox_may_send_the_same_password_always_and_production_never_does(database: Database):
    fixed = Settings(fixed_otp="123456")
    careless = Settings(mode="production", encryption_key=PRODUCTION.encryption_key, fixed_otp="123456")
    phones = [f"62812000000{number:02d}" for number in range(20)]

    def sent(settings: Settings) -> set[str]:
        for phone in phones:
            database.transact_now(lambda tx, to=phone: send_code(tx, subject="x", phone=to, settings=settings, now=NOON))  # type: ignore[misc]
        return {message.code for message in messages(database, settings)}

    assert sent(fixed) == {"123456"}
    assert len(sent(careless)) > 10


def everything(database: Database) -> bytes:
    """Every value of every row of what this part of the house writes."""
    tables = ("one_time_code", "message", "wallet_registration", "binding", "binding_request", "auth_code", "kyc")

    def look(tx: Tx) -> bytes:
        found = []
        for table in tables:
            for row in tx.all(f"select * from {table}"):
                found += [
                    bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode() for value in dict(row).values()
                ]  # type: ignore[call-overload]
        return b"\n".join(found)

    return database.read_now(look)


def test_passwords_tokens_and_auth_codes_cannot_be_read_from_the_tables(database: Database):
    registration, code = registered(database)
    token = verified(database, registration, code).page_token
    auth_code = database.transact_now(lambda tx: new_auth_code(tx, bound(tx), now=NOON))

    stored = everything(database)

    assert registration.id.encode() in stored
    for secret in (code, f"{code[:3]} {code[3:]}", token, auth_code, "Kode Anda"):
        assert secret.encode() not in stored


def test_passwords_are_forgotten_after_a_day_and_then_count_as_over(database: Database):
    code = send(database)

    assert database.transact_now(lambda tx: purge_codes(tx, now=NOON + CODE_LIFE + timedelta(days=1))) == 0
    assert database.transact_now(lambda tx: purge_codes(tx, now=NOON + CODE_LIFE + timedelta(days=1) + MS)) == 1
    assert enter(database, code) is CodeOutcome.EXPIRED


# -- messages


class Provider:
    """Whoever sends messages. Fails as often as told."""

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails
        self.sent: list[tuple[str, str, str]] = []

    async def send(self, phone: str, text: str, *, key: str) -> None:
        await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise ConnectionError("a provider's trouble")
        self.sent.append((phone, text, key))


class FixedClock(Clock):
    """Business time that stands still."""

    def __init__(self, at: datetime = NOON) -> None:
        super().__init__()
        self.at = at

    def now(self) -> datetime:
        return self.at


def a_sender(database: Database, provider: Any, *, at: datetime = NOON, settings: Settings = PRODUCTION) -> MessageSender:
    return MessageSender(database, FixedClock(at), settings, provider, keep_texts=settings.is_sandbox)


def queue(database: Database, settings: Settings = PRODUCTION, subject: str = "reg_1") -> None:
    database.transact_now(lambda tx: send_code(tx, subject=subject, phone=CANONICAL, settings=settings, now=NOON))


def message_rows(database: Database) -> list[tuple[str, int, bool, bool]]:
    """(state, attempts, whether its text is kept, whether it is still to be sent)"""
    rows = database.read_now(lambda tx: tx.all("select * from message order by id"))
    return [(row["state"], row["attempts"], row["sealed"] is not None, row["due_real_at"] is not None) for row in rows]


def pretend_later(database: Database) -> None:
    """As if leases and pauses were over."""
    database.transact_now(
        lambda tx: tx.execute(
            "update message set due_real_at = :past where due_real_at is not null", {"past": to_ms(real_now()) - 1}
        )
    )


def test_a_message_is_sent_once_and_its_text_forgotten(database: Database):
    queue(database)
    text = messages(database, PRODUCTION)[0].text
    provider = Provider()
    sender = a_sender(database, provider)

    first, second = asyncio.run(sender.sweep()), asyncio.run(sender.sweep())

    assert (first, second) == (1, 0)
    ((phone, sent, key),) = provider.sent
    assert (phone, sent) == (CANONICAL, text)
    assert key.startswith("msg_")
    assert message_rows(database) == [("SENT", 1, False, False)]


def test_senders_at_once_send_each_message_once(database: Database):
    for number in range(MAX_SENDS):
        queue(database, subject=f"reg_{number}")
    provider = Provider()
    senders = [a_sender(database, provider) for _ in range(4)]

    claims = at_once(database, *[sender._claim for sender in senders])
    asyncio.run(senders[0].sweep())

    claimed = [message.id for claim in claims if not isinstance(claim, Reason) for message in claim[0]]
    assert len(claimed) == len(set(claimed)) == MAX_SENDS
    assert provider.sent == []  # each has its sender, who may still live


def test_two_sweeps_side_by_side_send_each_message_once(database: Database):
    for number in range(MAX_SENDS):
        queue(database, subject=f"reg_{number}")
    provider = Provider()

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*[a_sender(database, provider).sweep() for _ in range(4)])

    asyncio.run(all_of_them())

    assert len(provider.sent) == len({key for *_, key in provider.sent}) == MAX_SENDS


def test_a_message_the_provider_did_not_take_is_offered_again(database: Database):
    queue(database)
    provider = Provider(fails=2)
    sender = a_sender(database, provider)

    asyncio.run(sender.sweep())
    assert asyncio.run(sender.sweep()) == 0  # not at once
    for _ in range(2):
        pretend_later(database)
        asyncio.run(sender.sweep())

    assert len(provider.sent) == 1
    assert message_rows(database) == [("SENT", 3, False, False)]


def test_a_message_is_given_up_and_forgotten_after_eight_tries(database: Database):
    queue(database)
    provider = Provider(fails=1000)
    for _ in range(20):
        pretend_later(database)
        asyncio.run(a_sender(database, provider).sweep())

    assert provider.fails == 1000 - 8
    assert message_rows(database) == [("FAILED", 8, False, False)]


def test_a_password_that_counts_no_more_is_not_sent(database: Database):
    queue(database)
    provider = Provider()

    asyncio.run(a_sender(database, provider, at=NOON + CODE_LIFE).sweep())

    assert provider.sent == []
    assert message_rows(database) == [("FAILED", 0, False, False)]


def test_a_message_whose_sender_died_is_sent_by_another(database: Database):
    queue(database)
    provider = Provider()

    async def die() -> None:
        class Hangs:
            async def send(self, phone: str, text: str, *, key: str) -> None:
                await asyncio.sleep(60)

        task = asyncio.create_task(a_sender(database, Hangs()).sweep())
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(die())
    assert asyncio.run(a_sender(database, provider).sweep()) == 0  # while it may still live
    pretend_later(database)
    asyncio.run(a_sender(database, provider).sweep())

    assert len(provider.sent) == 1


def test_a_message_sealed_under_a_lost_key_is_given_up(database: Database):
    queue(database)
    provider = Provider()
    changed = Settings(mode="production", encryption_key="the key of another installation, 32+")

    asyncio.run(a_sender(database, provider, settings=changed).sweep())

    assert provider.sent == []
    assert message_rows(database) == [("FAILED", 0, False, False)]
    assert messages(database, changed) == []


def test_what_goes_wrong_is_logged_without_number_and_text(database: Database, caplog: pytest.LogCaptureFixture):
    queue(database)
    code = last_code(database, PRODUCTION)

    class Chatty:
        async def send(self, phone: str, text: str, *, key: str) -> None:
            raise ValueError(f"cannot send {text} to {phone}")

    with caplog.at_level("DEBUG"):
        asyncio.run(a_sender(database, Chatty()).sweep())

    assert "was not sent" in caplog.text
    for secret in (code[:3], code[3:], CANONICAL):
        assert f" {secret}" not in caplog.text


def test_the_sandbox_inbox_keeps_what_was_sent_and_says_what_became_of_it(database: Database):
    used = send(database, "reg_used")
    enter(database, used, "reg_used")
    send(database, "reg_old", phone="6281200000009", now=NOON - CODE_LIFE)
    fresh = send(database, "reg_fresh", now=NOON + MS)

    asyncio.run(a_sender(database, SandboxMessages(), settings=SANDBOX).sweep())

    shown = messages(database, now=NOON + MS)
    assert [(one.code, one.code_used, one.code_over) for one in shown if one.phone == CANONICAL] == [
        (fresh, False, False),
        (used, True, True),
    ]
    (old,) = messages(database, phone="6281200000009")
    assert (old.code_used, old.code_over) == (False, True)
    assert len(messages(database, limit=2)) == 2
    assert {one.state for one in shown if one.phone == CANONICAL} == {MessageState.SENT}


def test_messages_are_dropped_after_a_month_unless_they_are_still_to_be_sent(database: Database):
    month = timedelta(days=30)
    queue(database)
    assert database.transact_now(lambda tx: purge_messages(tx, now=NOON + month + MS)) == 0
    asyncio.run(a_sender(database, Provider()).sweep())

    assert database.transact_now(lambda tx: purge_messages(tx, now=NOON + month)) == 0
    assert database.transact_now(lambda tx: purge_messages(tx, now=NOON + month + MS)) == 1


# -- registrations


def start(
    *, phone: str = PHONE, merchant_id: str = PARTNER, reference: str = "ref-1", now: datetime = NOON
) -> Callable[[Tx], Registration]:
    return lambda tx: registrations.begin(
        tx,
        merchant_id=merchant_id,
        partner_reference=reference,
        phone=phone,
        name="Siti Rahmawati",
        email="siti@example.com",
        redirect_url="https://shop.example/back?x=1",
        settings=SANDBOX,
        now=now,
    )


def registered(database: Database, **how: Any) -> tuple[Registration, str]:
    """A registration whose password was sent, and the password."""
    made = database.transact_now(start(**how))
    return made, last_code(database)


def verified(database: Database, registration: Registration, code: str, *, now: datetime = NOON) -> Verification:
    """The registration as it stands now, with a password entered."""

    def check(tx: Tx) -> Verification:
        current = registrations.get_registration(tx, registration.id)
        assert current is not None
        return registrations.verify(tx, current, entered=code, settings=SANDBOX, now=now)

    return database.transact_now(check)


def finished(database: Database, token: str, *, now: datetime = NOON) -> Account:
    return database.transact_now(finish_by(token, now=now))


def finish_by(token: str, *, now: datetime = NOON) -> Callable[[Tx], Account]:
    def finish(tx: Tx) -> Account:
        found = registrations.by_page_token(tx, token)
        assert found is not None
        return registrations.finish(tx, found, pin_hash=PIN_HASH, now=now)

    return finish


def test_a_registration_becomes_an_account_with_a_doku_id_of_its_own(database: Database):
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


def test_there_is_no_account_before_the_pin_is_set(database: Database):
    registration, code = registered(database)
    verified(database, registration, code)

    assert database.read_now(lambda tx: tx.all("select * from wallet_account")) == []


def test_a_wrong_password_opens_no_page_and_is_counted(database: Database):
    registration, code = registered(database)

    wrong = [verified(database, registration, another(code, by)) for by in range(1, 6)]

    assert [one.outcome for one in wrong] == [CodeOutcome.WRONG] * 4 + [CodeOutcome.BLOCKED]
    assert {one.page_token for one in wrong} == {""}
    assert verified(database, registration, code).outcome is CodeOutcome.BLOCKED


def test_a_verified_registration_cannot_be_verified_again_however_long_ago_it_was(database: Database):
    registration, code = registered(database)
    verified(database, registration, code)
    database.transact_now(lambda tx: purge_codes(tx, now=NOON + timedelta(days=9)))

    again = verified(database, registration, code)

    assert (again.outcome, again.page_token) == (CodeOutcome.USED, "")


def test_registering_a_phone_again_replaces_the_registration_before(database: Database):
    """S1-25: the same number however it is written, and by whichever partner."""
    first, first_code = registered(database)
    second, second_code = registered(database, phone="+62 812-1234-0010", merchant_id=OTHER, reference="ref-2")

    with pytest.raises(Refused) as refused:
        verified(database, first, first_code)

    assert refused.value.reason is Reason.REFERENCE_NOT_FOUND
    assert verified(database, second, second_code).outcome is CodeOutcome.RIGHT


def test_registering_again_closes_the_page_of_a_verified_registration(database: Database):
    registration, code = registered(database)
    token = verified(database, registration, code).page_token

    registered(database, reference="ref-2")

    assert database.read_now(lambda tx: registrations.by_page_token(tx, token)) is None


def test_a_registration_that_may_not_send_leaves_the_one_before_alive(database: Database):
    for number in range(MAX_SENDS):
        registration, code = registered(database, reference=f"ref-{number}")

    assert refusal(database, start(reference="ref-6")) is Reason.TOO_MANY_REQUESTS
    assert verified(database, registration, code).outcome is CodeOutcome.RIGHT


def test_a_phone_that_has_an_account_is_not_registered_again(database: Database):
    database.transact_now(lambda tx: create_account(tx, phone="+6281212340010", name="Siti", now=NOON))

    assert refusal(database, start()) is Reason.ACCOUNT_EXISTS
    assert messages(database) == []


def test_a_password_can_be_sent_again_for_the_same_registration(database: Database):
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


def test_the_page_can_be_used_for_fifteen_minutes(database: Database):
    registration, code = registered(database)
    token = verified(database, registration, code, now=NOON).page_token

    assert refusal(database, finish_by(token, now=NOON + PAGE_LIFE)) is Reason.LINK_OVER
    assert finished(database, token, now=NOON + PAGE_LIFE - MS).phone == CANONICAL


@pytest.mark.parametrize("token", ["", "x", "None", "\ud800", "' or 1=1 --"])
def test_an_invented_token_opens_no_page(database: Database, token: str):
    registered(database)

    assert database.read_now(lambda tx: registrations.by_page_token(tx, token)) is None


def test_a_phone_that_became_a_customer_meanwhile_keeps_that_account(database: Database):
    registration, code = registered(database)
    token = verified(database, registration, code).page_token
    database.transact_now(lambda tx: create_account(tx, phone=PHONE, name="Siti", now=NOON))

    assert refusal(database, finish_by(token)) is Reason.ACCOUNT_EXISTS
    assert len(database.read_now(lambda tx: tx.all("select * from wallet_account"))) == 1


def test_a_pin_set_many_times_at_once_opens_one_account(database: Database):
    registration, code = registered(database)
    token = verified(database, registration, code).page_token

    outcomes = at_once(database, *[finish_by(token) for _ in range(8)])

    assert Counter(isinstance(one, Account) for one in outcomes) == {True: 1, False: 7}
    assert {one for one in outcomes if isinstance(one, Reason)} == {Reason.LINK_OVER}
    assert len(database.read_now(lambda tx: tx.all("select * from wallet_account"))) == 1


def test_of_registrations_of_one_phone_at_once_one_stays_open(database: Database):
    outcomes = at_once(database, *[start(reference=f"ref-{number}") for number in range(8)])

    made = [one for one in outcomes if isinstance(one, Registration)]
    assert Counter(one for one in outcomes if isinstance(one, Reason)) == {Reason.TOO_MANY_REQUESTS: 3}
    states = [database.read_now(lambda tx, of=one: registrations.get_registration(tx, of.id)).state for one in made]  # type: ignore[misc,union-attr]
    assert Counter(states) == {RegistrationState.OTP_SENT: 1, RegistrationState.REPLACED: 4}


def test_a_password_and_the_next_registration_at_once_leave_one_of_them(database: Database):
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


def test_who_did_not_become_a_customer_is_forgotten_after_a_month(database: Database):
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
def test_parameters_go_behind_those_an_address_has(url: str, expected: str):
    assert registrations.with_query(url, {"a": "1 2"}) == expected


# -- bindings


def a_customer(tx: Tx, phone: str = PHONE, **other: Any) -> Account:
    return create_account(tx, **{"phone": phone, "name": "Siti Rahmawati", "pin_hash": PIN_HASH, "now": NOON, **other})


@pytest.fixture
def siti(database: Database) -> Account:
    return database.transact_now(a_customer)


def bound(tx: Tx, customer: Account | None = None, merchant_id: str = PARTNER) -> Binding:
    account_id = customer.id if customer else a_customer(tx, "081200000008").id
    return bind(tx, merchant_id=merchant_id, account_id=account_id, now=NOON)


def asked(
    database: Database, account_id: str | None, *, merchant_id: str = PARTNER, reference: str = "bind-1", now: datetime = NOON
) -> tuple[BindingRequest, Binding | None]:
    return database.transact_now(
        lambda tx: request_binding(
            tx,
            merchant_id=merchant_id,
            partner_reference=reference,
            account_id=account_id,
            redirect_url="https://app.example/return",
            now=now,
        )
    )


def consent(request: BindingRequest, customer: Account, *, now: datetime = NOON) -> Callable[[Tx], tuple[Binding, str]]:
    def confirm(tx: Tx) -> tuple[Binding, str]:
        current = request_by_id(tx, request.id)
        assert current is not None
        return bindings_.confirm(tx, current, customer, now=now)

    return confirm


def state_of(database: Database, request: BindingRequest) -> RequestState:
    found = database.read_now(lambda tx: request_by_id(tx, request.id))
    assert found is not None
    return found.state


def test_consent_makes_the_link_that_the_partner_was_told(database: Database, siti: Account):
    """S1-40."""
    request, promised = asked(database, siti.id)
    assert promised is not None
    assert promised.state is BindingState.PENDING

    binding, code = database.transact_now(consent(request, siti, now=NOON + MS))

    assert (binding.id, binding.public_user_id, binding.account_id, binding.merchant_id) == (
        promised.id,
        promised.public_user_id,
        siti.id,
        PARTNER,
    )
    assert (binding.state, binding.created_at) == (BindingState.ACTIVE, NOON + MS)
    assert state_of(database, request) is RequestState.CONFIRMED
    assert bindings_.return_url(request, code) == f"https://app.example/return?authCode={code}&partnerReferenceNo=bind-1"
    assert bindings_.return_url(request, None) == "https://app.example/return?status=FAILED&partnerReferenceNo=bind-1"
    assert database.transact_now(lambda tx: exchange_auth_code(tx, merchant_id=PARTNER, code=code, now=NOON)) == binding


def test_before_the_customer_consents_there_is_no_binding(database: Database, siti: Account):
    _, promised = asked(database, siti.id)
    assert promised is not None

    assert database.read_now(lambda tx: bindings_.find_binding(tx, merchant_id=PARTNER, account_id=siti.id)) is None
    assert refusal(database, unbinding(promised.id)) is Reason.BINDING_NOT_FOUND


def test_an_account_may_be_given_as_its_phone_number_too(database: Database, siti: Account):
    request, _ = asked(database, PHONE)

    assert request.account_id == siti.id


def test_who_is_asked_may_be_left_to_the_page(database: Database, siti: Account):
    request, promised = asked(database, None)
    assert (request.account_id, promised) == (None, None)

    binding, _ = database.transact_now(consent(request, siti))

    assert binding.account_id == siti.id
    known = database.read_now(lambda tx: request_by_id(tx, request.id))
    assert known is not None
    assert (known.account_id, known.binding_id) == (siti.id, binding.id)


def test_nobody_else_can_consent(database: Database, siti: Account):
    budi = database.transact_now(lambda tx: a_customer(tx, "081200000009"))
    request, _ = asked(database, siti.id)

    assert refusal(database, consent(request, budi)) is Reason.NOT_THIS_CUSTOMER
    assert state_of(database, request) is RequestState.PENDING


def test_a_page_is_answered_once(database: Database, siti: Account):
    request, _ = asked(database, siti.id)
    database.transact_now(consent(request, siti))

    assert refusal(database, consent(request, siti)) is Reason.LINK_OVER
    assert refusal(database, lambda tx: bindings_.refuse(tx, request, now=NOON)) is Reason.LINK_OVER


def test_who_refuses_is_not_bound_and_cannot_consent_afterwards(database: Database, siti: Account):
    request, _ = asked(database, siti.id)
    database.transact_now(lambda tx: bindings_.refuse(tx, request, now=NOON))

    assert state_of(database, request) is RequestState.REFUSED
    assert refusal(database, consent(request, siti)) is Reason.LINK_OVER
    assert database.read_now(lambda tx: bindings_.bindings_of(tx, siti.id)) == []


def test_a_page_lives_fifteen_minutes(database: Database, siti: Account):
    request, _ = asked(database, siti.id)

    assert refusal(database, consent(request, siti, now=NOON + bindings_.PAGE_LIFE)) is Reason.LINK_OVER
    assert refusal(database, lambda tx: bindings_.refuse(tx, request, now=NOON + bindings_.PAGE_LIFE)) is Reason.LINK_OVER
    database.transact_now(consent(request, siti, now=NOON + bindings_.PAGE_LIFE - MS))


def test_binding_again_keeps_the_link(database: Database, siti: Account):
    first, _ = asked(database, siti.id)
    binding, _ = database.transact_now(consent(first, siti))

    second, promised = asked(database, siti.id, reference="bind-2")
    again, _ = database.transact_now(consent(second, siti, now=NOON))

    assert promised is not None
    assert promised.id == binding.id
    assert again == binding


def test_each_partner_has_a_link_and_a_name_of_its_own_for_the_same_customer(database: Database, siti: Account):
    ours, theirs = database.transact_now(lambda tx: (bound(tx, siti), bound(tx, siti, OTHER)))

    assert ours.id != theirs.id
    assert ours.public_user_id != theirs.public_user_id
    assert database.read_now(lambda tx: {one.id for one in bindings_.bindings_of(tx, siti.id)}) == {ours.id, theirs.id}


@pytest.mark.parametrize(
    ("status", "reason"), [(AccountStatus.LOCKED, Reason.ACCOUNT_LOCKED), (AccountStatus.CLOSED, Reason.ACCOUNT_CLOSED)]
)
def test_an_account_that_is_not_active_is_not_bound(database: Database, siti: Account, status: AccountStatus, reason: Reason):
    request, _ = asked(database, siti.id)
    database.transact_now(lambda tx: tx.execute("update wallet_account set status = :status", {"status": status.value}))

    assert refusal(database, consent(request, siti)) is reason
    with pytest.raises(Refused) as refused:
        asked(database, siti.id, reference="bind-2")
    assert refused.value.reason is reason


def test_an_unknown_account_is_not_bound(database: Database):
    with pytest.raises(Refused) as refused:
        asked(database, "1999999999")

    assert refused.value.reason is Reason.ACCOUNT_NOT_FOUND


def test_consent_given_many_times_at_once_binds_once(database: Database, siti: Account):
    requests = [asked(database, siti.id, reference=f"bind-{number}")[0] for number in range(3)]

    outcomes = at_once(database, *[consent(request, siti) for request in requests for _ in range(4)])

    given = [one for one in outcomes if not isinstance(one, Reason)]
    assert Counter(one for one in outcomes if isinstance(one, Reason)) == {Reason.LINK_OVER: 9}
    assert len(given) == 3
    assert len({binding.id for binding, _ in given}) == 1
    assert len({code for _, code in given}) == 3


def test_asking_many_times_at_once_promises_one_link(database: Database, siti: Account):
    def ask(number: int) -> Callable[[Tx], tuple[BindingRequest, Binding | None]]:
        return lambda tx: request_binding(
            tx,
            merchant_id=PARTNER,
            partner_reference=f"b{number}",
            account_id=siti.id,
            redirect_url="https://a.example",
            now=NOON,
        )

    outcomes = at_once(database, *[ask(number) for number in range(8)])

    promised = {one[1].id for one in outcomes if not isinstance(one, Reason) and one[1] is not None}
    assert len(promised) == 1
    assert len(outcomes) == 8


# -- auth codes


def exchange(code: str, *, merchant_id: str = PARTNER, now: datetime = NOON) -> Callable[[Tx], Binding]:
    return lambda tx: exchange_auth_code(tx, merchant_id=merchant_id, code=code, now=now)


def test_an_auth_code_is_exchanged_once(database: Database, siti: Account):
    """D-5."""
    binding = database.transact_now(lambda tx: bound(tx, siti))
    code = database.transact_now(lambda tx: new_auth_code(tx, binding, now=NOON))

    assert database.transact_now(exchange(code)) == binding
    assert refusal(database, exchange(code)) is Reason.AUTH_CODE_INVALID


def test_an_auth_code_is_a_uuid_and_is_taken_in_capitals(database: Database, siti: Account):
    """S1-14."""
    code = database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    assert [len(part) for part in code.split("-")] == [8, 4, 4, 4, 12]
    assert database.transact_now(exchange(code.upper())).account_id == siti.id


def test_an_auth_code_lives_ten_minutes(database: Database, siti: Account):
    """D-5."""
    code = database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    assert refusal(database, exchange(code, now=NOON + AUTH_CODE_LIFE)) is Reason.AUTH_CODE_INVALID
    assert database.transact_now(exchange(code, now=NOON + AUTH_CODE_LIFE - MS)).account_id == siti.id


def test_an_auth_code_is_of_no_use_to_another_partner_and_not_used_up_by_it(database: Database, siti: Account):
    code = database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    assert refusal(database, exchange(code, merchant_id=OTHER)) is Reason.AUTH_CODE_INVALID
    assert database.transact_now(exchange(code)).account_id == siti.id


@pytest.mark.parametrize("code", ["", "x", "cfb5de1a-6a40-40e0-8549-0634bcaed8ed", "\ud800"])
def test_an_invented_auth_code_is_refused(database: Database, siti: Account, code: str):
    database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    assert refusal(database, exchange(code)) is Reason.AUTH_CODE_INVALID


def test_every_inquiry_gives_a_code_and_each_can_be_exchanged(database: Database, siti: Account):
    binding = database.transact_now(lambda tx: bound(tx, siti))
    codes = [database.transact_now(lambda tx: new_auth_code(tx, binding, now=NOON)) for _ in range(3)]

    assert [database.transact_now(exchange(code)) for code in reversed(codes)] == [binding] * 3


def test_of_exchanges_of_one_code_at_once_one_succeeds(database: Database, siti: Account):
    code = database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    outcomes = at_once(database, *[exchange(code) for _ in range(12)])

    assert Counter(one if isinstance(one, Reason) else "exchanged" for one in outcomes) == {
        "exchanged": 1,
        Reason.AUTH_CODE_INVALID: 11,
    }


def test_auth_codes_are_forgotten_when_they_are_over(database: Database, siti: Account):
    database.transact_now(lambda tx: new_auth_code(tx, bound(tx, siti), now=NOON))

    assert database.transact_now(lambda tx: bindings_.purge_auth_codes(tx, now=NOON + AUTH_CODE_LIFE)) == 0
    assert database.transact_now(lambda tx: bindings_.purge_auth_codes(tx, now=NOON + AUTH_CODE_LIFE + MS)) == 1


# -- ending a binding


def unbinding(
    link_id: str, *, merchant_id: str = PARTNER, reference: str = "unbind-1", now: datetime = NOON
) -> Callable[[Tx], BindingRequest]:
    return lambda tx: request_unbinding(
        tx, merchant_id=merchant_id, partner_reference=reference, link_id=link_id, settings=SANDBOX, now=now
    )


def leave(database: Database, request: BindingRequest, code: str, *, now: datetime = NOON) -> CodeOutcome:
    def check(tx: Tx) -> CodeOutcome:
        current = request_by_id(tx, request.id)
        assert current is not None
        return verify_unbinding(tx, current, entered=code, settings=SANDBOX, now=now).outcome

    return database.transact_now(check)


def binding_state(database: Database, binding: Binding) -> BindingState:
    found = database.read_now(lambda tx: get_binding(tx, binding.id))
    assert found is not None
    return found.state


def test_a_binding_ends_with_the_right_password_and_not_before(database: Database, siti: Account):
    """S1-58."""
    binding = database.transact_now(lambda tx: bound(tx, siti))
    code = database.transact_now(lambda tx: new_auth_code(tx, binding, now=NOON))
    request = database.transact_now(unbinding(binding.id))
    password = last_code(database)

    assert leave(database, request, another(password)) is CodeOutcome.WRONG
    assert binding_state(database, binding) is BindingState.ACTIVE
    assert leave(database, request, password) is CodeOutcome.RIGHT

    assert binding_state(database, binding) is BindingState.UNBOUND
    assert refusal(database, exchange(code)) is Reason.AUTH_CODE_INVALID
    assert leave(database, request, password) is CodeOutcome.USED
    assert messages(database)[0].phone == siti.phone


def test_an_unbinding_is_blocked_and_expires_like_a_registration(database: Database, siti: Account):
    binding = database.transact_now(lambda tx: bound(tx, siti))
    request = database.transact_now(unbinding(binding.id))
    password = last_code(database)

    assert leave(database, request, password, now=NOON + CODE_LIFE) is CodeOutcome.EXPIRED
    wrong = [leave(database, request, another(password, by)) for by in range(1, 6)]

    assert wrong == [CodeOutcome.WRONG] * 4 + [CodeOutcome.BLOCKED]
    assert leave(database, request, password) is CodeOutcome.BLOCKED
    assert binding_state(database, binding) is BindingState.ACTIVE


def test_asking_again_to_unbind_replaces_the_first_request(database: Database, siti: Account):
    binding = database.transact_now(lambda tx: bound(tx, siti))
    first = database.transact_now(unbinding(binding.id))
    first_password = last_code(database)
    second = database.transact_now(unbinding(binding.id, reference="unbind-2"))

    with pytest.raises(Refused) as refused:
        leave(database, first, first_password)

    assert refused.value.reason is Reason.REFERENCE_NOT_FOUND
    assert leave(database, second, last_code(database)) is CodeOutcome.RIGHT


def test_a_password_can_be_sent_again_for_the_same_unbinding(database: Database, siti: Account):
    binding = database.transact_now(lambda tx: bound(tx, siti))
    request = database.transact_now(unbinding(binding.id))

    def again(tx: Tx) -> None:
        current = request_by_id(tx, request.id)
        assert current is not None
        bindings_.send_again(tx, current, settings=SANDBOX, now=NOON + CODE_LIFE)

    database.transact_now(again)

    assert leave(database, request, last_code(database), now=NOON + CODE_LIFE) is CodeOutcome.RIGHT
    assert refusal(database, again) is Reason.OTP_ALREADY_VERIFIED


def test_a_request_to_bind_waits_for_no_password(database: Database, siti: Account):
    request, _ = asked(database, siti.id)

    assert refusal(database, lambda tx: verify_unbinding(tx, request, entered="1", settings=SANDBOX, now=NOON)) is (
        Reason.REFERENCE_NOT_FOUND
    )
    assert refusal(database, lambda tx: bindings_.send_again(tx, request, settings=SANDBOX, now=NOON)) is (
        Reason.REFERENCE_NOT_FOUND
    )


def test_a_link_that_is_unknown_ended_or_anothers_cannot_be_ended(database: Database, siti: Account):
    ended, theirs = database.transact_now(lambda tx: (bound(tx, siti), bound(tx, siti, OTHER)))
    database.transact_now(lambda tx: unbind(tx, ended, now=NOON))

    for link in (ended.id, theirs.id, "lnk_unknown", ""):
        assert refusal(database, unbinding(link)) is Reason.BINDING_NOT_FOUND
    assert refusal(database, lambda tx: unbind(tx, ended, now=NOON)) is Reason.BINDING_NOT_FOUND
    assert messages(database) == []


def test_binding_after_unbinding_gives_a_new_link_and_the_same_public_id(database: Database, siti: Account):
    first = database.transact_now(lambda tx: bound(tx, siti))
    database.transact_now(lambda tx: unbind(tx, first, now=NOON))

    second = database.transact_now(lambda tx: bound(tx, siti))

    assert second.id != first.id
    assert second.public_user_id == first.public_user_id
    assert binding_state(database, first) is BindingState.UNBOUND


def test_a_customer_whose_account_is_locked_may_still_leave(database: Database, siti: Account):
    binding = database.transact_now(lambda tx: bound(tx, siti))
    database.transact_now(lambda tx: tx.execute("update wallet_account set status = 'LOCKED'"))

    request = database.transact_now(unbinding(binding.id))

    assert leave(database, request, last_code(database)) is CodeOutcome.RIGHT


# -- KYC

GIVEN = Identity("3171234567890001", "Siti Rahmawati", "Bandung", date(1990, 5, 17), "Jl. Merdeka 1, Bandung")


def given(customer: Account, settings: Settings = PRODUCTION, identity: Identity = GIVEN) -> Callable[[Tx], KycState]:
    return lambda tx: submit(tx, customer, identity, settings=settings, now=NOON).state


def level(database: Database, customer: Account) -> Level:
    return database.read_now(lambda tx: get_account(tx, customer.id)).level


def test_the_sandbox_believes_at_once(database: Database, siti: Account):
    assert database.transact_now(given(siti, SANDBOX)) is KycState.APPROVED
    assert level(database, siti) is Level.PREMIUM


def test_production_waits_for_a_decision(database: Database, siti: Account):
    assert database.transact_now(given(siti)) is KycState.SUBMITTED
    assert level(database, siti) is Level.BASIC
    assert [one.account_id for one in database.read_now(waiting)] == [siti.id]

    decided = database.transact_now(lambda tx: decide(tx, siti.id, approve=True, now=NOON + HOUR))

    assert (decided.state, decided.decided_at) == (KycState.APPROVED, NOON + HOUR)
    assert level(database, siti) is Level.PREMIUM
    assert database.read_now(waiting) == []
    assert refusal(database, lambda tx: decide(tx, siti.id, approve=False, now=NOON)) is Reason.KYC_NOT_FOUND


def test_who_was_rejected_may_try_again_and_nobody_else(database: Database, siti: Account):
    database.transact_now(given(siti))
    assert refusal(database, given(siti)) is Reason.KYC_DECIDED
    database.transact_now(lambda tx: decide(tx, siti.id, approve=False, now=NOON))
    assert level(database, siti) is Level.BASIC

    moved = Identity(GIVEN.nik, GIVEN.name, GIVEN.birth_place, GIVEN.birth_date, "Jl. Baru 2")
    assert database.transact_now(given(siti, identity=moved)) is KycState.SUBMITTED
    assert database.read_now(lambda tx: identity_of(tx, siti.id, settings=PRODUCTION)) == moved
    database.transact_now(lambda tx: decide(tx, siti.id, approve=True, now=NOON))
    assert refusal(database, given(siti)) is Reason.KYC_DECIDED


def test_an_identity_given_twice_at_once_is_taken_once(database: Database, siti: Account):
    outcomes = at_once(database, *[given(siti) for _ in range(6)])

    assert Counter(outcomes) == {KycState.SUBMITTED: 1, Reason.KYC_DECIDED: 5}


def test_an_identity_is_sealed_for_its_account(database: Database, siti: Account):
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
):
    faulty = Identity(**{name: changes.get(name, getattr(GIVEN, name)) for name in Identity.__struct_fields__})

    with pytest.raises(Refused) as refused:
        database.transact_now(given(siti, identity=faulty))

    assert (refused.value.reason, refused.value.facts) == (reason, {"field": field})
    assert database.read_now(lambda tx: find_kyc(tx, siti.id)) is None


def test_blanks_in_what_people_type_do_not_matter(database: Database, siti: Account):
    typed = Identity("3171 2345-6789 0001", "  Siti   Rahmawati ", "Bandung", GIVEN.birth_date, " Jl. Merdeka 1,\n Bandung ")
    database.transact_now(given(siti, identity=typed))

    assert database.read_now(lambda tx: identity_of(tx, siti.id, settings=PRODUCTION)) == GIVEN


@pytest.mark.parametrize(
    ("status", "reason"), [(AccountStatus.LOCKED, Reason.ACCOUNT_LOCKED), (AccountStatus.CLOSED, Reason.ACCOUNT_CLOSED)]
)
def test_an_account_that_is_not_active_gives_no_identity(
    database: Database, siti: Account, status: AccountStatus, reason: Reason
):
    database.transact_now(lambda tx: tx.execute("update wallet_account set status = :status", {"status": status.value}))

    assert refusal(database, given(siti)) is reason


def test_the_operator_upgrades_any_account_that_is_not_closed(database: Database, siti: Account):
    database.transact_now(lambda tx: tx.execute("update wallet_account set status = 'LOCKED'"))
    assert database.transact_now(lambda tx: upgrade(tx, siti.id)).level is Level.PREMIUM

    database.transact_now(lambda tx: tx.execute("update wallet_account set status = 'CLOSED', level = 'BASIC'"))

    assert refusal(database, lambda tx: upgrade(tx, siti.id)) is Reason.ACCOUNT_CLOSED
    assert refusal(database, lambda tx: upgrade(tx, "1999999999")) is Reason.ACCOUNT_NOT_FOUND
    assert level(database, siti) is Level.BASIC
