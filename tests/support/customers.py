"""Customers who register, consent and leave, and what the tests of these look at."""

import asyncio
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import pytest

from gerbang.errors import Reason, Refused
from gerbang.settings import Settings
from gerbang.storage import Database, Tx
from gerbang.storage.database import Params, Row
from gerbang.wallet import Account, create_account, registrations
from gerbang.wallet.bindings import Binding, bind, exchange_auth_code
from gerbang.wallet.kyc import Identity, KycState, submit
from gerbang.wallet.messages import InboxMessage, inbox
from gerbang.wallet.otp import CodeOutcome, check_code, send_code
from gerbang.wallet.registrations import Registration, Verification
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


def send(database: Database, subject: str = "reg_1", *, phone: str = CANONICAL, now: datetime = NOON) -> str:
    database.transact_now(lambda tx: send_code(tx, subject=subject, phone=phone, settings=SANDBOX, now=now))
    return last_code(database)


def enter(database: Database, entered: str, subject: str = "reg_1", *, now: datetime = NOON) -> CodeOutcome:
    return database.transact_now(lambda tx: check_code(tx, subject=subject, entered=entered, settings=SANDBOX, now=now))


def everything(database: Database) -> bytes:
    """Every value of every row of what this part of the house writes."""
    tables = ("one_time_code", "message", "wallet_registration", "binding", "binding_request", "auth_code", "kyc")

    def look(tx: Tx) -> bytes:
        found = []
        for table in tables:
            for row in tx.all(f"select * from {table}"):
                values = dict(row).values()  # type: ignore[call-overload]
                found += [bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode() for value in values]
        return b"\n".join(found)

    return database.read_now(look)


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


def a_customer(tx: Tx, phone: str = PHONE, **other: Any) -> Account:
    return create_account(tx, **{"phone": phone, "name": "Siti Rahmawati", "pin_hash": PIN_HASH, "now": NOON, **other})


def bound(tx: Tx, customer: Account | None = None, merchant_id: str = PARTNER) -> Binding:
    account_id = customer.id if customer else a_customer(tx, "081200000008").id
    return bind(tx, merchant_id=merchant_id, account_id=account_id, now=NOON)


def exchange(code: str, *, merchant_id: str = PARTNER, now: datetime = NOON) -> Callable[[Tx], Binding]:
    return lambda tx: exchange_auth_code(tx, merchant_id=merchant_id, code=code, now=now)


GIVEN = Identity("3171234567890001", "Siti Rahmawati", "Bandung", date(1990, 5, 17), "Jl. Merdeka 1, Bandung")


def given(customer: Account, settings: Settings = PRODUCTION, identity: Identity = GIVEN) -> Callable[[Tx], KycState]:
    return lambda tx: submit(tx, customer, identity, settings=settings, now=NOON).state
