"""PINs: hashed with argon2id over a keyed hash, three wrong ones lock the account, or where asked for block the PIN for a while.

Checking takes three steps, because argon2 is slow on purpose and must not hold the writer: the attempt is counted in a
transaction before the PIN is looked at, the hash is computed outside, and a right PIN takes the count back. Guessing in
parallel therefore gains nothing, and a crash in the middle leaves a counted attempt, never a free one.
"""

import asyncio
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gerbang.clock import from_ms, real_now, to_ms
from gerbang.errors import Reason, Refused
from gerbang.storage import Database, Tx
from gerbang.wallet.accounts import Account, AccountStatus, find_account, get_account

MAX_WRONG_PINS = 3


class PinOutcome(StrEnum):
    """What became of one PIN entered."""

    RIGHT = "RIGHT"
    WRONG = "WRONG"
    LOCKED = "LOCKED"
    UNKNOWN = "UNKNOWN"
    """No such account, or none with a PIN: told to the customer exactly as WRONG is."""


@dataclass(frozen=True, slots=True)
class PinCheck:
    """The outcome, the account when there is one, and how many wrong PINs are left before it locks.

    blocked_now    this very PIN was the last wrong one
    blocked_until  the account stays open, its PIN opens nothing until then
    """

    outcome: PinOutcome
    account: Account | None
    attempts_left: int
    blocked_now: bool = False
    blocked_until: datetime | None = None


class PinHasher:
    """Hashes PINs. Six digits alone could be searched in minutes, so the installation's key goes in first."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        # OWASP's argon2id minimum for interactive use: 19 MiB, 2 passes.
        self._argon2 = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._absent: str | None = None

    def hash(self, pin: str) -> str:
        """The text to store. Raises Refused(FIELD_INVALID) unless the PIN is six digits."""
        if not (len(pin) == 6 and pin.isascii() and pin.isdigit()):
            raise Refused(Reason.FIELD_INVALID, field="pin")
        return self._argon2.hash(self._keyed(pin))

    def verify(self, pin_hash: str | None, pin: str) -> bool:
        """Whether this is the PIN. Without a hash it takes as long and says no, so that accounts cannot be listed by time."""
        if self._absent is None:
            self._absent = self._argon2.hash("no account has this PIN")
        try:
            self._argon2.verify(pin_hash or self._absent, self._keyed(pin))
        except (VerificationError, InvalidHashError):
            return False
        return pin_hash is not None

    def _keyed(self, pin: str) -> str:
        return hmac.new(self._key, b"pin " + pin.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


async def confirm_pin(
    database: Database,
    hasher: PinHasher,
    phone_or_id: str,
    pin: str,
    *,
    now: datetime | None = None,
    block_for: timedelta | None = None,
) -> PinCheck:
    """Check a customer's PIN and remember the attempt. Runs two transactions with the slow hash between them.

    now        business time; the machine's when not given
    block_for  the last wrong PIN blocks the PIN this long; when not given it locks the account until somebody opens it
    """
    at = now or real_now()
    until = at + block_for if block_for else None
    check = await database.transact(lambda tx: _count_attempt(tx, phone_or_id, at, until))
    if check.outcome is PinOutcome.LOCKED:
        return check
    stored = check.account.pin_hash if check.account else None
    right = await asyncio.get_running_loop().run_in_executor(None, hasher.verify, stored, pin)
    account_id = check.account.id if check.account else None
    return await database.transact(lambda tx: _settle_attempt(tx, account_id, stored, right=right, block_until=until))


def _count_attempt(tx: Tx, phone_or_id: str, now: datetime, block_until: datetime | None = None) -> PinCheck:
    customer = find_account(tx, phone_or_id)
    if customer is None or customer.status is AccountStatus.CLOSED or customer.pin_hash is None:
        return PinCheck(PinOutcome.UNKNOWN, None, 0)
    tx.execute(
        "update wallet_account set wrong_pins = 0, pin_blocked_until = null where id = :id and pin_blocked_until <= :now",
        {"id": customer.id, "now": to_ms(now)},
    )
    counted = tx.execute(
        "update wallet_account set wrong_pins = wrong_pins + 1 where id = :id and status = 'ACTIVE' and wrong_pins < :most",
        {"id": customer.id, "most": MAX_WRONG_PINS},
    )
    if counted != 1 and block_until is not None:
        # Counted to the last, and never ended: the process died over each. Blocked like any other, so that the block ends.
        tx.execute(
            "update wallet_account set pin_blocked_until = :until"
            " where id = :id and status = 'ACTIVE' and pin_blocked_until is null",
            {"id": customer.id, "until": to_ms(block_until)},
        )
    if counted != 1:
        return PinCheck(PinOutcome.LOCKED, get_account(tx, customer.id), 0, blocked_until=pin_blocked_until(tx, customer.id))
    return PinCheck(PinOutcome.WRONG, customer, 0)


def _settle_attempt(
    tx: Tx, account_id: str | None, stored: str | None, *, right: bool, block_until: datetime | None = None
) -> PinCheck:
    if account_id is None:
        return PinCheck(PinOutcome.UNKNOWN, None, 0)
    if right:
        # Meanwhile the account may have been locked or closed, or got another PIN: then this one opens nothing.
        opened = tx.execute(
            "update wallet_account set wrong_pins = 0, pin_blocked_until = null"
            " where id = :id and status = 'ACTIVE' and pin_hash = :stored",
            {"id": account_id, "stored": stored},
        )
        if opened == 1:
            return PinCheck(PinOutcome.RIGHT, get_account(tx, account_id), MAX_WRONG_PINS)
    customer = get_account(tx, account_id)
    left = max(0, MAX_WRONG_PINS - customer.wrong_pins)
    if left == 0 and block_until is not None:
        blocked = tx.execute(
            "update wallet_account set pin_blocked_until = :until"
            " where id = :id and status = 'ACTIVE' and pin_blocked_until is null",
            {"id": account_id, "until": to_ms(block_until)},
        )
        until = pin_blocked_until(tx, account_id)
        return PinCheck(PinOutcome.LOCKED, customer, 0, blocked_now=blocked == 1, blocked_until=until)
    if left == 0:
        tx.execute("update wallet_account set status = 'LOCKED' where id = :id and status = 'ACTIVE'", {"id": account_id})
    if left == 0 or customer.status is not AccountStatus.ACTIVE:
        return PinCheck(PinOutcome.LOCKED, get_account(tx, account_id), 0, blocked_now=left == 0)
    return PinCheck(PinOutcome.WRONG, customer, left)


def pin_blocked_until(tx: Tx, account_id: str) -> datetime | None:
    """Until when the PIN opens nothing, or None."""
    row = tx.one("select pin_blocked_until from wallet_account where id = :id", {"id": account_id})
    return None if row is None or row["pin_blocked_until"] is None else from_ms(row["pin_blocked_until"])


def set_pin(tx: Tx, account_id: str, pin_hash: str) -> None:
    """Give an account a new PIN (already hashed)."""
    get_account(tx, account_id)
    tx.execute(
        "update wallet_account set pin_hash = :pin_hash, wrong_pins = 0, pin_blocked_until = null where id = :id",
        {"id": account_id, "pin_hash": pin_hash},
    )


def unlock(tx: Tx, account_id: str) -> None:
    """Let a locked account in again. Raises Refused: ACCOUNT_NOT_FOUND, ACCOUNT_CLOSED (it stays closed)."""
    get_account(tx, account_id)
    opened = tx.execute(
        "update wallet_account set status = 'ACTIVE', wrong_pins = 0, pin_blocked_until = null"
        " where id = :id and status <> 'CLOSED'",
        {"id": account_id},
    )
    if opened != 1:
        raise Refused(Reason.ACCOUNT_CLOSED, account_id=account_id)
