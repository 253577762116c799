"""Text messages to customers are sent once, offered again when they were not taken, and forgotten."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from gerbang.clock import Clock, real_now, to_ms
from gerbang.errors import Reason
from gerbang.settings import Settings
from gerbang.storage import Database
from gerbang.wallet.messages import MessageSender, MessageState, SandboxMessages, purge_messages
from gerbang.wallet.otp import CODE_LIFE, MAX_SENDS, send_code
from support.customers import CANONICAL, MS, PRODUCTION, SANDBOX, at_once, enter, last_code, messages, send
from support.gateway import NOON


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


def test_a_message_is_sent_once_and_its_text_forgotten(database: Database) -> None:
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


def test_senders_at_once_send_each_message_once(database: Database) -> None:
    for number in range(MAX_SENDS):
        queue(database, subject=f"reg_{number}")
    provider = Provider()
    senders = [a_sender(database, provider) for _ in range(4)]

    claims = at_once(database, *[sender._claim for sender in senders])
    asyncio.run(senders[0].sweep())

    claimed = [message.id for claim in claims if not isinstance(claim, Reason) for message in claim[0]]
    assert len(claimed) == len(set(claimed)) == MAX_SENDS
    assert provider.sent == []  # each has its sender, who may still live


def test_two_sweeps_side_by_side_send_each_message_once(database: Database) -> None:
    for number in range(MAX_SENDS):
        queue(database, subject=f"reg_{number}")
    provider = Provider()

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*[a_sender(database, provider).sweep() for _ in range(4)])

    asyncio.run(all_of_them())

    assert len(provider.sent) == len({key for *_, key in provider.sent}) == MAX_SENDS


def test_a_message_the_provider_did_not_take_is_offered_again(database: Database) -> None:
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


class HangingProvider(Provider):
    """Hangs over the first message."""

    async def send(self, phone: str, text: str, *, key: str) -> None:
        self.fails += 1
        if self.fails == 1:
            await asyncio.sleep(3_600)
        self.sent.append((phone, text, key))


def test_a_message_that_hangs_keeps_nobody_else_waiting_for_a_password(database: Database) -> None:
    provider = HangingProvider()
    sender = a_sender(database, provider)

    async def two_sweeps() -> None:
        async with asyncio.timeout(10):  # less than a provider may take
            queue(database)
            await sender.sweep()
            queue(database, subject="reg_2")
            await sender.sweep()

    asyncio.run(two_sweeps())

    assert len(provider.sent) == 1
    assert [state for state, *_ in message_rows(database)] == ["QUEUED", "SENT"]


def test_a_message_is_given_up_and_forgotten_after_eight_tries(database: Database) -> None:
    queue(database)
    provider = Provider(fails=1000)
    for _ in range(20):
        pretend_later(database)
        asyncio.run(a_sender(database, provider).sweep())

    assert provider.fails == 1000 - 8
    assert message_rows(database) == [("FAILED", 8, False, False)]


def test_a_password_that_counts_no_more_is_not_sent(database: Database) -> None:
    queue(database)
    provider = Provider()

    asyncio.run(a_sender(database, provider, at=NOON + CODE_LIFE).sweep())

    assert provider.sent == []
    assert message_rows(database) == [("FAILED", 0, False, False)]


def test_a_message_whose_sender_died_is_sent_by_another(database: Database) -> None:
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


def test_a_message_sealed_under_a_lost_key_is_given_up(database: Database) -> None:
    queue(database)
    provider = Provider()
    changed = Settings(mode="production", encryption_key="the key of another installation, 32+")

    asyncio.run(a_sender(database, provider, settings=changed).sweep())

    assert provider.sent == []
    assert message_rows(database) == [("FAILED", 0, False, False)]
    assert messages(database, changed) == []


def test_what_goes_wrong_is_logged_without_number_and_text(database: Database, caplog: pytest.LogCaptureFixture) -> None:
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


def test_the_sandbox_inbox_keeps_what_was_sent_and_says_what_became_of_it(database: Database) -> None:
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


def test_messages_are_dropped_after_a_month_unless_they_are_still_to_be_sent(database: Database) -> None:
    month = timedelta(days=30)
    queue(database)
    assert database.transact_now(lambda tx: purge_messages(tx, now=NOON + month + MS)) == 0
    asyncio.run(a_sender(database, Provider()).sweep())

    assert database.transact_now(lambda tx: purge_messages(tx, now=NOON + month)) == 0
    assert database.transact_now(lambda tx: purge_messages(tx, now=NOON + month + MS)) == 1
