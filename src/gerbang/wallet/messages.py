"""Text messages to customers: written down sealed in the transaction that causes them, sent later, forgotten when they are sent.

Everything we send is a one-time password, so a message that could not be sent while its password counts is not sent at all. The
sandbox's inbox keeps what it sent, to be read by people and by test suites.
"""

import asyncio
import logging
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Protocol

from gerbang.clock import Clock, from_ms, real_now, to_ms
from gerbang.settings import Settings
from gerbang.storage import Database, Row, Tx
from gerbang.storage.due import due_moments, is_due
from gerbang.stragglers import Stragglers
from gerbang.vault.sealing import SealBroken, context, open_sealed, seal

log = logging.getLogger(__name__)

MESSAGE_LIFE = timedelta(minutes=5)

# Longer than a provider may take, so that no two processes send the same message while both live.
_LEASE = timedelta(seconds=30)
_PATIENCE_S = 15
_RETRY_DELAYS_S = (1, 3, 10, 20, 40, 80, 120)
_BATCH = 20
_KEPT = timedelta(days=30)


class MessageState(StrEnum):
    """What became of a message. FAILED: it was given up."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    FAILED = "FAILED"


class Messages(Protocol):
    """Whoever sends text messages for this installation."""

    async def send(self, phone: str, text: str, *, key: str) -> None:
        """Hand a message over. Raising anything means that it was not taken; it is offered again.

        phone  canonical, 62…
        key    the same each time that this message is offered, for providers that can tell repeats
        """
        ...


class SandboxMessages:
    """Sends nothing: the sandbox's inbox reads what was written down."""

    async def send(self, phone: str, text: str, *, key: str) -> None:
        """Done."""


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """A message as the sandbox's inbox shows it.

    code      the digits in it, for a copy button; empty when there are none
    code_used, code_over  what became of the one-time password it told
    """

    id: str
    phone: str
    text: str = field(repr=False)
    code: str = field(repr=False)
    state: MessageState
    code_used: bool
    code_over: bool
    at: datetime


def queue_message(tx: Tx, *, message_id: str, phone: str, text: str, settings: Settings, now: datetime) -> None:
    """Write a message down, to be sent as soon as this transaction is on disk."""
    tx.execute(
        "insert into message (id, phone, sealed, state, attempts, created_at, due_real_at)"
        " values (:id, :phone, :sealed, :state, 0, :created_at, :due)",
        {
            "id": message_id,
            "phone": phone,
            "sealed": seal(_key(settings), text.encode(), context=context("message", message_id, phone)),
            "state": MessageState.QUEUED.value,
            "created_at": to_ms(now),
            "due": to_ms(real_now()),
        },
    )


def inbox(tx: Tx, *, settings: Settings, now: datetime, phone: str | None = None, limit: int = 50) -> list[InboxMessage]:
    """Messages whose text is still there, newest first; of one phone number (canonical) or of all."""
    only = " and m.phone = :phone" if phone is not None else ""
    rows = tx.all(
        "select m.*, c.state as code_state, c.expires_at as code_expires_at"  # noqa: S608 - fixed texts only
        " from message m left join one_time_code c on c.id = m.id"
        f" where m.sealed is not null{only} order by m.id desc limit :limit",
        {"limit": limit} | ({"phone": phone} if phone is not None else {}),
    )
    found = []
    for row in rows:
        try:
            text = _text(row, settings)
        except SealBroken:
            continue  # written under another key: nobody can read it any more
        digits = re.search(r"\b\d{3} \d{3}\b", text)
        found.append(
            InboxMessage(
                id=row["id"],
                phone=row["phone"],
                text=text,
                code=digits[0].replace(" ", "") if digits else "",
                state=MessageState(row["state"]),
                code_used=row["code_state"] == "VERIFIED",
                code_over=row["code_state"] != "ACTIVE" or row["code_expires_at"] <= to_ms(now),
                at=from_ms(row["created_at"]),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Claimed:
    id: str
    phone: str
    text: str = field(repr=False)
    attempts: int
    lease: int


class MessageSender:
    """Sends what is due. Any number of processes may: each message is leased to one."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, provider: Messages, *, keep_texts: bool = False
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._provider = provider
        self._keep_texts = keep_texts
        self._sending = Stragglers(patience_s=2)

    async def sweep(self) -> int:
        """Offer what is due to the provider; how many messages that were."""
        if not await self._database.read(_any_due):
            return 0
        claimed, given_up = await self._database.transact(self._claim)
        # One that hangs must not keep somebody else waiting for a password.
        await self._sending.run({one.id: partial(self._send, one) for one in claimed})
        return len(claimed) + given_up

    def _claim(self, tx: Tx) -> tuple[list[_Claimed], int]:
        now, real = self._clock.now(), real_now()
        lease = to_ms(real + _LEASE)
        rows = tx.all(
            f"select * from message where {is_due('due_real_at')} order by due_real_at limit :limit",  # noqa: S608 - fixed texts
            {**due_moments(real), "limit": _BATCH},
        )
        claimed, given_up = [], 0
        for row in rows:
            try:
                text = _text(row, self._settings)
            except SealBroken:
                text = ""
            if not text or now >= from_ms(row["created_at"]) + MESSAGE_LIFE:
                given_up += self._settle(tx, row["id"], row["due_real_at"], MessageState.FAILED)
                continue
            leased = tx.execute(
                "update message set due_real_at = :lease, attempts = attempts + 1 where id = :id and due_real_at = :due",
                {"id": row["id"], "due": row["due_real_at"], "lease": lease},
            )
            if leased == 1:
                claimed.append(_Claimed(row["id"], row["phone"], text, row["attempts"] + 1, lease))
        return claimed, given_up

    async def _send(self, message: _Claimed) -> int:
        try:
            await asyncio.wait_for(self._provider.send(message.phone, message.text, key=message.id), _PATIENCE_S)
        except Exception as error:
            # The text, the number and what a provider says of them stay out of the log.
            log.warning("message %s was not sent, attempt %d: %s", message.id, message.attempts, type(error).__name__)
            await self._database.transact(lambda tx: self._put_off(tx, message))
            return 0
        return await self._database.transact(lambda tx: self._settle(tx, message.id, message.lease, MessageState.SENT))

    def _put_off(self, tx: Tx, message: _Claimed) -> None:
        if message.attempts > len(_RETRY_DELAYS_S):
            self._settle(tx, message.id, message.lease, MessageState.FAILED)
            return
        again = real_now() + timedelta(seconds=_RETRY_DELAYS_S[message.attempts - 1])
        tx.execute(
            "update message set due_real_at = :again where id = :id and due_real_at = :lease",
            {"id": message.id, "lease": message.lease, "again": to_ms(again)},
        )

    def _settle(self, tx: Tx, message_id: str, due: int, state: MessageState) -> int:
        forget = "" if self._keep_texts else ", sealed = null"
        return tx.execute(
            f"update message set state = :state, due_real_at = null{forget} where id = :id and due_real_at = :due",  # noqa: S608 - fixed texts only
            {"id": message_id, "due": due, "state": state.value},
        )


def purge_messages(tx: Tx, *, now: datetime, limit: int = 1_000) -> int:
    """Drop what was sent or given up a month ago; how many."""
    return tx.execute(
        "delete from message where id in (select id from message where created_at < :before and due_real_at is null"
        " order by created_at limit :limit)",
        {"before": to_ms(now - _KEPT), "limit": limit},
    )


def _any_due(tx: Tx) -> bool:
    due = tx.one(f"select 1 as found from message where {is_due('due_real_at')} limit 1", due_moments(real_now()))  # noqa: S608
    return due is not None


def _text(row: Row, settings: Settings) -> str:
    sealed = bytes(row["sealed"] or b"")
    return open_sealed(_key(settings), sealed, context=context("message", row["id"], row["phone"])).decode()


def _key(settings: Settings) -> bytes:
    return settings.key("messages")
