"""Knowing the customer: who gives their identity becomes a registered (PREMIUM) customer, with higher limits and transfers.

What was given is kept sealed. In the sandbox it is believed at once; in production somebody decides.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import msgspec

from gerbang.clock import WIB, from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.settings import Settings
from gerbang.storage import Retry, Tx
from gerbang.vault.sealing import context, open_sealed, seal
from gerbang.wallet.accounts import Account, AccountStatus, Level, get_account

_OLDEST = date(1900, 1, 1)


class Identity(msgspec.Struct, frozen=True):
    """What stands on an identity card (KTP). `nik` has 16 digits."""

    nik: str
    name: str
    birth_place: str
    birth_date: date
    address: str

    def __repr__(self) -> str:
        return "Identity(…)"

    __str__ = __repr__


class KycState(StrEnum):
    """Whether it was believed."""

    SUBMITTED = "SUBMITTED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class Kyc:
    """A customer's request to be upgraded, without what they gave."""

    account_id: str
    state: KycState
    created_at: datetime
    decided_at: datetime | None


def find_kyc(tx: Tx, account_id: str) -> Kyc | None:
    """The account's request, or None."""
    row = tx.one("select account_id, state, created_at, decided_at from kyc where account_id = :id", {"id": account_id})
    if row is None:
        return None
    decided_at = from_ms(row["decided_at"]) if row["decided_at"] is not None else None
    return Kyc(row["account_id"], KycState(row["state"]), from_ms(row["created_at"]), decided_at)


def submit(tx: Tx, customer: Account, identity: Identity, *, settings: Settings, now: datetime) -> Kyc:
    """Write down what a customer gave. Again after a rejection.

    Raises Refused: FIELD_MISSING, FIELD_INVALID (field: nik, name, birth_place, birth_date, address), KYC_DECIDED (waiting for a
    decision or upgraded already), ACCOUNT_LOCKED, ACCOUNT_CLOSED.
    """
    given = _checked(identity, now=now)
    current = get_account(tx, customer.id)
    if current.status is not AccountStatus.ACTIVE:
        locked = current.status is AccountStatus.LOCKED
        raise Refused(Reason.ACCOUNT_LOCKED if locked else Reason.ACCOUNT_CLOSED, account_id=current.id)
    before = find_kyc(tx, current.id)
    if current.level is Level.PREMIUM or (before is not None and before.state is not KycState.REJECTED):
        raise Refused(Reason.KYC_DECIDED, account_id=current.id)
    written = tx.execute(
        "insert into kyc (account_id, sealed, state, created_at) values (:id, :sealed, 'SUBMITTED', :now)"
        " on conflict (account_id) do update set sealed = excluded.sealed, state = excluded.state,"
        " created_at = excluded.created_at, decided_at = null where kyc.state = 'REJECTED'",
        {
            "id": current.id,
            "sealed": seal(settings.key("kyc"), msgspec.json.encode(given), context=context("kyc", current.id)),
            "now": to_ms(now),
        },
    )
    if written != 1:
        raise Retry  # given twice this very moment
    if settings.is_sandbox:
        return decide(tx, current.id, approve=True, now=now)
    return Kyc(current.id, KycState.SUBMITTED, now, None)


def decide(tx: Tx, account_id: str, *, approve: bool, now: datetime) -> Kyc:
    """Believe what a customer gave, which makes the account PREMIUM, or not.

    Raises Refused: ACCOUNT_NOT_FOUND, ACCOUNT_CLOSED, KYC_NOT_FOUND (nothing waits for a decision).
    """
    customer = get_account(tx, account_id)
    if customer.status is AccountStatus.CLOSED:
        raise Refused(Reason.ACCOUNT_CLOSED, account_id=account_id)
    state = KycState.APPROVED if approve else KycState.REJECTED
    decided = tx.execute(
        "update kyc set state = :state, decided_at = :now where account_id = :id and state = 'SUBMITTED'",
        {"id": account_id, "state": state.value, "now": to_ms(now)},
    )
    if decided != 1:
        raise Refused(Reason.KYC_NOT_FOUND, account_id=account_id)
    if approve:
        upgrade(tx, account_id)
    found = find_kyc(tx, account_id)
    assert found is not None
    return found


def upgrade(tx: Tx, account_id: str) -> Account:
    """Make an account PREMIUM on the operator's word. Raises Refused: ACCOUNT_NOT_FOUND, ACCOUNT_CLOSED."""
    customer = get_account(tx, account_id)
    changed = tx.execute(
        "update wallet_account set level = :level where id = :id and status <> 'CLOSED'",
        {"id": customer.id, "level": Level.PREMIUM.value},
    )
    if changed != 1:
        raise Refused(Reason.ACCOUNT_CLOSED, account_id=account_id)
    return get_account(tx, account_id)


def waiting(tx: Tx, *, limit: int = 100) -> list[Kyc]:
    """Requests that nobody has decided, oldest first."""
    rows = tx.all("select * from kyc where state = 'SUBMITTED' order by created_at, account_id limit :limit", {"limit": limit})
    return [Kyc(row["account_id"], KycState(row["state"]), from_ms(row["created_at"]), None) for row in rows]


def identity_of(tx: Tx, account_id: str, *, settings: Settings) -> Identity:
    """What the customer gave, for whoever decides. Raises Refused(KYC_NOT_FOUND), SealBroken."""
    row = tx.one("select sealed from kyc where account_id = :id", {"id": account_id})
    if row is None:
        raise Refused(Reason.KYC_NOT_FOUND, account_id=account_id)
    plain = open_sealed(settings.key("kyc"), bytes(row["sealed"]), context=context("kyc", account_id))
    return msgspec.json.decode(plain, type=Identity)


_NIK = re.compile(r"\d{16}", re.ASCII)
_LONGEST = {"name": 100, "birth_place": 100, "address": 300}


def _checked(identity: Identity, *, now: datetime) -> Identity:
    """The same without blanks around it."""
    nik = re.sub(r"[\s.\-]", "", identity.nik)
    if not nik:
        raise Refused(Reason.FIELD_MISSING, field="nik")
    if not _NIK.fullmatch(nik):
        raise Refused(Reason.FIELD_INVALID, field="nik")
    texts = {"name": identity.name, "birth_place": identity.birth_place, "address": identity.address}
    for name, text in texts.items():
        texts[name] = " ".join(text.split())
        if not texts[name]:
            raise Refused(Reason.FIELD_MISSING, field=name)
        if len(texts[name]) > _LONGEST[name] or not texts[name].isprintable():
            raise Refused(Reason.FIELD_INVALID, field=name)
    if not _OLDEST <= identity.birth_date < now.astimezone(WIB).date():
        raise Refused(Reason.FIELD_INVALID, field="birth_date")
    return Identity(nik, texts["name"], texts["birth_place"], identity.birth_date, texts["address"])
