"""PINs: hashed with argon2id over a keyed hash; three wrong ones block the phone number's PIN for half an hour.

Wrong ones are counted by phone number, whether it has an account or not, with the same statements and the same slow hash: what
is answered, and how soon, tells nobody who has an account.

Checking takes three steps, because argon2 is slow on purpose and must not hold the writer: a try is reserved in a transaction
before the PIN is looked at, the hash is computed outside, and the answer is counted in another. Tries reserved and wrong ones
together are never more than three, so guessing in parallel gains nothing; whoever finds none left waits for those under way, so
that pressing a button six times with the right PIN is no guessing. A try whose process died counts as a wrong one.
"""

import asyncio
import contextlib
import hashlib
import hmac
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gerbang.clock import from_ms, real_now, to_ms
from gerbang.errors import Reason, Refused
from gerbang.phones import normalise_phone
from gerbang.settings import Settings
from gerbang.storage import Database, Row, StorageBusy, Tx
from gerbang.wallet.accounts import Account, AccountStatus, find_account, get_account
from gerbang.wallet.otp import CodeOutcome, check_code, send_code

MAX_WRONG_PINS = 3
PIN_BLOCK = timedelta(minutes=30)

_DEAD_AFTER = timedelta(seconds=20)  # no hash takes that long: whoever reserved the try is gone
_LONGEST_WAIT = timedelta(seconds=5)
_LOOK_AGAIN = timedelta(milliseconds=20)
_FORGOTTEN_AFTER = timedelta(days=1)
_LONGEST_NAME = 64


class PinOutcome(StrEnum):
    """What became of one PIN entered."""

    RIGHT = "RIGHT"
    WRONG = "WRONG"
    """Or no such account, or none with a PIN."""
    BLOCKED = "BLOCKED"
    LOCKED = "LOCKED"
    """The right one, of an account that the operator has locked."""


@dataclass(frozen=True, slots=True)
class PinCheck:
    """The outcome, and how many wrong PINs are left before they block it.

    account        whose PIN it is; None unless it was right
    blocked_now    this very PIN was the last wrong one
    blocked_until  no PIN opens anything until then
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
    database: Database, hasher: PinHasher, phone_or_id: str, pin: str, *, now: datetime | None = None
) -> PinCheck:
    """Check a customer's PIN and remember the attempt. Runs two transactions with the slow hash between them.

    now  business time; the machine's when not given

    Raises StorageBusy when tries under way do not end.
    """
    at = now or real_now()
    deadline = time.monotonic() + _LONGEST_WAIT.total_seconds()
    while (begun := await database.transact(lambda tx: _begin(tx, phone_or_id, at))) is None:
        if time.monotonic() > deadline:
            raise StorageBusy("checks of this PIN are under way")
        await asyncio.sleep(_LOOK_AGAIN.total_seconds())
    if isinstance(begun, PinCheck):
        return begun
    right = await asyncio.get_running_loop().run_in_executor(None, hasher.verify, begun.pin_hash, pin)
    return await database.transact(lambda tx: _end(tx, begun, at, right=right))


@dataclass(frozen=True, slots=True)
class _Try:
    """One that is under way. Without an account it cannot be right."""

    phone: str
    account_id: str | None
    pin_hash: str | None


def _begin(tx: Tx, phone_or_id: str, now: datetime) -> _Try | PinCheck | None:
    """Reserve a try; None while others hold all there are."""
    customer = find_account(tx, phone_or_id)
    phone = _as_counted(customer, phone_or_id)
    real = real_now()
    count = _hold_count(tx, phone)
    wrong, under_way, until = count["wrong"], count["under_way"], count["blocked_until"]
    if until is not None and until <= to_ms(now):
        wrong, until = 0, None
    if under_way and not to_ms(real - _DEAD_AFTER) <= count["touched_real_at"] <= to_ms(real + _DEAD_AFTER):
        wrong, under_way = wrong + under_way, 0
    if wrong >= MAX_WRONG_PINS and until is None:
        until = to_ms(now + PIN_BLOCK)
    is_free = until is None and wrong + under_way < MAX_WRONG_PINS
    # Only a try touches the count: who waits for tries that are dead must not keep them alive.
    touched = to_ms(real) if is_free else count["touched_real_at"]
    _keep_count(tx, phone, wrong=wrong, under_way=under_way + is_free, blocked_until=until, touched=touched)
    if until is not None:
        return PinCheck(PinOutcome.BLOCKED, None, 0, blocked_until=from_ms(until))
    if not is_free:
        return None
    opens = customer is not None and customer.status is not AccountStatus.CLOSED
    return _Try(phone, customer.id if customer else None, customer.pin_hash if customer and opens else None)


def _end(tx: Tx, begun: _Try, now: datetime, *, right: bool) -> PinCheck:
    count = _hold_count(tx, begun.phone)
    # Meanwhile the account may have been closed, or got another PIN: then this one opens nothing.
    customer = get_account(tx, begun.account_id) if right and begun.account_id else None
    if customer is not None and (customer.pin_hash != begun.pin_hash or customer.status is AccountStatus.CLOSED):
        customer = None
    wrong, until = count["wrong"], count["blocked_until"]
    if customer is None:
        wrong += 1
    elif until is None:
        wrong = 0
    blocked_now = wrong >= MAX_WRONG_PINS and until is None
    if blocked_now:
        until = to_ms(now + PIN_BLOCK)
    under_way = max(0, count["under_way"] - 1)
    _keep_count(tx, begun.phone, wrong=wrong, under_way=under_way, blocked_until=until, touched=to_ms(real_now()))
    if customer is not None and until is None:
        outcome = PinOutcome.LOCKED if customer.status is AccountStatus.LOCKED else PinOutcome.RIGHT
        return PinCheck(outcome, customer, MAX_WRONG_PINS)
    if until is not None:
        return PinCheck(PinOutcome.BLOCKED, None, 0, blocked_now=blocked_now, blocked_until=from_ms(until))
    return PinCheck(PinOutcome.WRONG, None, MAX_WRONG_PINS - wrong)


def _as_counted(customer: Account | None, phone_or_id: str) -> str:
    """The number that a guess is counted against, whether it has an account or not."""
    if customer is not None:
        return customer.phone
    try:
        return normalise_phone(phone_or_id)
    except Refused:
        return phone_or_id.strip()[:_LONGEST_NAME]


def _hold_count(tx: Tx, phone: str) -> Row:
    tx.execute("insert into pin_count (phone, touched_real_at) values (:phone, 0) on conflict do nothing", {"phone": phone})
    count = tx.one("update pin_count set wrong = wrong where phone = :phone returning *", {"phone": phone})
    assert count is not None, phone
    return count


def _keep_count(tx: Tx, phone: str, *, wrong: int, under_way: int, blocked_until: int | None, touched: int) -> None:
    tx.execute(
        "update pin_count set wrong = :wrong, under_way = :under_way, blocked_until = :until, touched_real_at = :real"
        " where phone = :phone",
        {"phone": phone, "wrong": wrong, "under_way": under_way, "until": blocked_until, "real": touched},
    )


def pin_blocked_until(tx: Tx, account_id: str) -> datetime | None:
    """Until when the account's PIN opens nothing, or None."""
    row = tx.one(
        "select c.blocked_until as until from wallet_account a join pin_count c on c.phone = a.phone where a.id = :id",
        {"id": account_id},
    )
    return None if row is None or row["until"] is None else from_ms(row["until"])


def free_pin(tx: Tx, account_id: str) -> None:
    """Forget wrong PINs and end the block, if there is one. Raises Refused(ACCOUNT_NOT_FOUND)."""
    _free_number(tx, get_account(tx, account_id).phone)


def _free_number(tx: Tx, phone: str) -> None:
    tx.execute("update pin_count set wrong = 0, blocked_until = null where phone = :phone", {"phone": phone})


def send_unblocking_code(tx: Tx, phone_or_id: str, *, settings: Settings, now: datetime) -> None:
    """Send the owner of a blocked PIN a one-time password that ends the block.

    For a number without an account one is written down as well, and sent to nobody: whether there is an owner, neither the answer
    nor its time tells.
    """
    customer = find_account(tx, phone_or_id)
    phone = _as_counted(customer, phone_or_id)
    if tx.one("select 1 as blocked from pin_count where phone = :phone and blocked_until is not null", {"phone": phone}) is None:
        return
    has_pin = customer is not None and customer.pin_hash is not None
    with contextlib.suppress(Refused):  # five an hour, as of every password; saying so would tell who has an account
        send_code(tx, subject=_unblocking(phone), phone=phone, settings=settings, now=now, is_told=has_pin)


def unblock(tx: Tx, phone_or_id: str, entered: str, *, settings: Settings, now: datetime) -> bool:
    """End the number's block if this is the one-time password for it. The caller commits, whatever it was."""
    phone = _as_counted(find_account(tx, phone_or_id), phone_or_id)
    right = check_code(tx, subject=_unblocking(phone), entered=entered, settings=settings, now=now) is CodeOutcome.RIGHT
    if right:
        _free_number(tx, phone)
    return right


def _unblocking(phone: str) -> str:
    return f"unblock:{phone}"


def purge_pin_counts(tx: Tx, *, now: datetime, limit: int = 1_000) -> int:
    """Forget wrong PINs that nobody added to for a day; how many numbers."""
    return tx.execute(
        "delete from pin_count where phone in (select phone from pin_count where touched_real_at < :before"
        " and (blocked_until is null or blocked_until <= :now) limit :limit)",
        {"before": to_ms(real_now() - _FORGOTTEN_AFTER), "now": to_ms(now), "limit": limit},
    )


def set_pin(tx: Tx, account_id: str, pin_hash: str) -> None:
    """Give an account a new PIN (already hashed)."""
    get_account(tx, account_id)
    tx.execute("update wallet_account set pin_hash = :pin_hash where id = :id", {"id": account_id, "pin_hash": pin_hash})
    free_pin(tx, account_id)


def unlock(tx: Tx, account_id: str) -> None:
    """Let a locked account in again. Raises Refused: ACCOUNT_NOT_FOUND, ACCOUNT_CLOSED (it stays closed)."""
    free_pin(tx, account_id)
    opened = tx.execute("update wallet_account set status = 'ACTIVE' where id = :id and status <> 'CLOSED'", {"id": account_id})
    if opened != 1:
        raise Refused(Reason.ACCOUNT_CLOSED, account_id=account_id)
