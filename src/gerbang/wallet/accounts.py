"""Customer accounts."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gerbang.clock import from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_digits
from gerbang.ledger import account
from gerbang.phones import normalise_phone
from gerbang.storage import Retry, Row, Tx


class Level(StrEnum):
    """How far Bank Indonesia lets an account go: BASIC unregistered, PREMIUM registered (KYC done)."""

    BASIC = "BASIC"
    PREMIUM = "PREMIUM"


class AccountStatus(StrEnum):
    """Whether the account may be used."""

    ACTIVE = "ACTIVE"
    LOCKED = "LOCKED"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True)
class Account:
    """A customer's wallet account.

    id            the DOKU ID: 10 digits
    phone         canonical, 62…; unique
    phone_as_sent as the partner or customer wrote it, for echoes
    pin_hash      argon2id, None until a PIN is set
    """

    id: str
    phone: str
    phone_as_sent: str
    name: str
    email: str | None
    pin_hash: str | None = field(repr=False)
    level: Level
    status: AccountStatus
    created_at: datetime


def wallet_ledger_account(account_id: str) -> str:
    """The ledger account that holds a customer's money."""
    return account("wallet", account_id)


def create_account(
    tx: Tx,
    *,
    phone: str,
    name: str,
    now: datetime,
    email: str | None = None,
    level: Level = Level.BASIC,
    pin_hash: str | None = None,
    account_id: str | None = None,
    status: AccountStatus = AccountStatus.ACTIVE,
) -> Account:
    """Open an account. Raises Refused: FIELD_MISSING (name), FIELD_INVALID (phone), ACCOUNT_EXISTS (same phone or id)."""
    if not name.strip():
        raise Refused(Reason.FIELD_MISSING, field="name")
    canonical = normalise_phone(phone)
    if tx.one("select 1 as found from wallet_account where phone = :phone", {"phone": canonical}):
        raise Refused(Reason.ACCOUNT_EXISTS, phone=canonical)
    if account_id and tx.one("select 1 as found from wallet_account where id = :id", {"id": account_id}):
        raise Refused(Reason.ACCOUNT_EXISTS, account_id=account_id)
    row = {
        # The 1 keeps DOKU IDs apart from phone numbers, which begin with 0, 8 or a country's code: both are used to log in.
        "id": account_id or "1" + new_digits(9),
        "phone": canonical,
        "phone_as_sent": phone,
        "name": name.strip(),
        "email": email,
        "pin_hash": pin_hash,
        "level": level.value,
        "status": status.value,
        "created_at": to_ms(now),
    }
    written = tx.execute(
        "insert into wallet_account (id, phone, phone_as_sent, name, email, pin_hash, level, status, created_at)"
        " values (:id, :phone, :phone_as_sent, :name, :email, :pin_hash, :level, :status, :created_at)"
        " on conflict do nothing",
        row,
    )
    if written != 1:
        raise Retry  # the drawn id was taken (draw another), or the phone just was (which the next run refuses)
    return _account(row)


def find_account(tx: Tx, phone_or_id: str) -> Account | None:
    """The account with this DOKU ID or phone number, in any written form; None when there is none."""
    row = None
    text = phone_or_id.strip()
    if len(text) == 10 and text.isascii() and text.isdigit():
        row = tx.one("select * from wallet_account where id = :id", {"id": text})
    if row is None:
        try:
            phone = normalise_phone(text)
        except Refused:
            return None
        row = tx.one("select * from wallet_account where phone = :phone", {"phone": phone})
    return None if row is None else _account(row)


def get_account(tx: Tx, account_id: str) -> Account:
    """The account by its DOKU ID; raises Refused(ACCOUNT_NOT_FOUND)."""
    row = tx.one("select * from wallet_account where id = :id", {"id": account_id})
    if row is None:
        raise Refused(Reason.ACCOUNT_NOT_FOUND, account_id=account_id)
    return _account(row)


def list_accounts(tx: Tx, *, limit: int = 1000) -> list[Account]:
    """Accounts, oldest first."""
    return [
        _account(row) for row in tx.all("select * from wallet_account order by created_at, id limit :limit", {"limit": limit})
    ]


def _account(row: "Row | dict[str, object]") -> Account:
    return Account(
        id=str(row["id"]),
        phone=str(row["phone"]),
        phone_as_sent=str(row["phone_as_sent"]),
        name=str(row["name"]),
        email=row["email"],  # type: ignore[arg-type]
        pin_hash=row["pin_hash"],  # type: ignore[arg-type]
        level=Level(str(row["level"])),
        status=AccountStatus(str(row["status"])),
        created_at=from_ms(row["created_at"]),  # type: ignore[arg-type]
    )
