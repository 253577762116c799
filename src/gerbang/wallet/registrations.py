"""How a partner's customer becomes ours: name and phone from the partner, a one-time password, a PIN on our page.

OTP_SENT ─ right password → VERIFIED ─ PIN set → DONE. A phone number has one open registration; the next one replaces it, whoever
asks. The account exists from DONE on.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from gerbang.clock import from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.phones import normalise_phone
from gerbang.settings import Settings
from gerbang.storage import Retry, Row, Tx
from gerbang.wallet.accounts import Account, create_account
from gerbang.wallet.otp import CodeOutcome, check_code, send_code

PAGE_LIFE = timedelta(minutes=15)
# How long the data of somebody who did not become a customer is kept.
_KEPT = timedelta(days=30)


class RegistrationState(StrEnum):
    """How far a registration has come."""

    OTP_SENT = "OTP_SENT"
    VERIFIED = "VERIFIED"
    DONE = "DONE"
    REPLACED = "REPLACED"


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration. The id is the wire's referenceNo.

    phone       canonical; phone_as_sent for echoes
    account_id  the account it became, from DONE on
    expires_at  until when its password, then its page, can be used
    """

    id: str
    merchant_id: str
    partner_reference: str
    phone: str
    phone_as_sent: str = field(repr=False)
    name: str = field(repr=False)
    email: str = field(repr=False)
    redirect_url: str
    state: RegistrationState
    account_id: str | None
    created_at: datetime
    expires_at: datetime

    def awaits_pin(self, now: datetime) -> bool:
        """Whether its page can still set a PIN."""
        return self.state is RegistrationState.VERIFIED and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a password; with the right one, the token of the page that sets the PIN."""

    outcome: CodeOutcome
    registration: Registration
    page_token: str = field(default="", repr=False)


def begin(
    tx: Tx,
    *,
    merchant_id: str,
    partner_reference: str,
    phone: str,
    name: str,
    email: str,
    redirect_url: str,
    settings: Settings,
    now: datetime,
) -> Registration:
    """Write a registration down and send its password. An open one of the same phone number is replaced.

    Raises Refused: FIELD_INVALID (phone), ACCOUNT_EXISTS, TOO_MANY_REQUESTS.
    """
    canonical = normalise_phone(phone)
    if tx.one("select 1 as found from wallet_account where phone = :phone", {"phone": canonical}):
        raise Refused(Reason.ACCOUNT_EXISTS)
    tx.execute(
        "update wallet_registration set state = 'REPLACED', page_token = null"
        " where phone = :phone and state in ('OTP_SENT', 'VERIFIED')",
        {"phone": canonical},
    )
    registration_id = new_id("reg")
    expires_at = send_code(tx, subject=registration_id, phone=canonical, settings=settings, now=now)
    made = Registration(
        id=registration_id,
        merchant_id=merchant_id,
        partner_reference=partner_reference,
        phone=canonical,
        phone_as_sent=phone,
        name=name.strip(),
        email=email,
        redirect_url=redirect_url,
        state=RegistrationState.OTP_SENT,
        account_id=None,
        created_at=now,
        expires_at=expires_at,
    )
    written = tx.execute(
        "insert into wallet_registration (id, merchant_id, partner_reference, phone, phone_as_sent, name, email, redirect_url,"
        " state, created_at, expires_at) values (:id, :merchant, :partner_reference, :phone, :phone_as_sent, :name, :email,"
        " :redirect_url, :state, :created_at, :expires_at) on conflict do nothing",
        {
            "id": made.id,
            "merchant": merchant_id,
            "partner_reference": partner_reference,
            "phone": canonical,
            "phone_as_sent": phone,
            "name": made.name,
            "email": email,
            "redirect_url": redirect_url,
            "state": made.state.value,
            "created_at": to_ms(now),
            "expires_at": to_ms(expires_at),
        },
    )
    if written != 1:
        raise Retry  # another one of this phone came first: replace that
    return made


def get_registration(tx: Tx, registration_id: str) -> Registration | None:
    """The registration, or None."""
    row = tx.one("select * from wallet_registration where id = :id", {"id": registration_id})
    return None if row is None else _registration(row)


def by_page_token(tx: Tx, token: str) -> Registration | None:
    """The registration whose page this opens: awaiting its PIN, over, or DONE. None for a token that was never given, or replaced."""
    row = tx.one("select * from wallet_registration where page_token = :token", {"token": _hash(token)})
    return None if row is None else _registration(row)


def send_again(tx: Tx, registration: Registration, *, settings: Settings, now: datetime) -> None:
    """A new password for a registration that waits for one.

    Raises Refused: OTP_ALREADY_VERIFIED, REFERENCE_NOT_FOUND (replaced), TOO_MANY_REQUESTS.
    """
    _refuse_unless_waiting(registration)
    expires_at = send_code(tx, subject=registration.id, phone=registration.phone, settings=settings, now=now)
    waiting = tx.execute(
        "update wallet_registration set expires_at = :expires_at where id = :id and state = 'OTP_SENT'",
        {"id": registration.id, "expires_at": to_ms(expires_at)},
    )
    if waiting != 1:
        raise Refused(Reason.REFERENCE_NOT_FOUND)


def verify(tx: Tx, registration: Registration, *, entered: str, settings: Settings, now: datetime) -> Verification:
    """Check the password entered. The caller commits whatever came out: a wrong one counts.

    Raises Refused(REFERENCE_NOT_FOUND) when the registration was replaced.
    """
    if registration.state in (RegistrationState.VERIFIED, RegistrationState.DONE):
        return Verification(CodeOutcome.USED, registration)
    _refuse_unless_waiting(registration)
    outcome = check_code(tx, subject=registration.id, entered=entered, settings=settings, now=now)
    if outcome is not CodeOutcome.RIGHT:
        return Verification(outcome, registration)
    token = secrets.token_urlsafe(32)
    moved = tx.execute(
        "update wallet_registration set state = 'VERIFIED', page_token = :token, expires_at = :expires_at"
        " where id = :id and state = 'OTP_SENT'",
        {"id": registration.id, "token": _hash(token), "expires_at": to_ms(now + PAGE_LIFE)},
    )
    verified = get_registration(tx, registration.id)
    if moved != 1 or verified is None:
        raise Refused(Reason.REFERENCE_NOT_FOUND)  # replaced this very moment
    return Verification(outcome, verified, token)


def finish(tx: Tx, registration: Registration, *, pin_hash: str, now: datetime) -> Account:
    """Open the account: the PIN (hashed outside the transaction) was set on our page.

    Raises Refused: LINK_OVER (too late, replaced, or done before), ACCOUNT_EXISTS (the phone has become a customer another way).
    """
    if not registration.awaits_pin(now):
        raise Refused(Reason.LINK_OVER)
    moved = tx.execute(
        "update wallet_registration set state = 'DONE' where id = :id and state = 'VERIFIED'", {"id": registration.id}
    )
    if moved != 1:
        raise Refused(Reason.LINK_OVER)
    customer = create_account(
        tx, phone=registration.phone_as_sent, name=registration.name, email=registration.email, pin_hash=pin_hash, now=now
    )
    tx.execute(
        "update wallet_registration set account_id = :account where id = :id", {"id": registration.id, "account": customer.id}
    )
    return customer


def return_url(registration: Registration, account: Account | str | None) -> str:
    """Where the customer goes from the page: the partner's address with the DOKU ID, or with status=FAILED."""
    account_id = account.id if isinstance(account, Account) else account
    answer = {"accountId": account_id} if account_id else {}
    status = "SUCCESS" if account_id else "FAILED"
    return with_query(
        registration.redirect_url, answer | {"partnerReferenceNo": registration.partner_reference, "status": status}
    )


def with_query(url: str, parameters: dict[str, str]) -> str:
    """The address with parameters behind those it has."""
    parts = urlsplit(url)
    # %20, not +: not every mobile client reads a plus as a blank.
    query = "&".join(part for part in (parts.query, urlencode(parameters, quote_via=quote)) if part)
    return urlunsplit(parts._replace(query=query))


def purge_registrations(tx: Tx, *, now: datetime, limit: int = 1_000) -> int:
    """Drop what was not finished and has been over for a month; how many."""
    return tx.execute(
        "delete from wallet_registration where id in (select id from wallet_registration where state <> 'DONE'"
        " and expires_at < :before order by expires_at limit :limit) and state <> 'DONE'",
        {"before": to_ms(now - _KEPT), "limit": limit},
    )


def _refuse_unless_waiting(registration: Registration) -> None:
    if registration.state is RegistrationState.REPLACED:
        raise Refused(Reason.REFERENCE_NOT_FOUND)
    if registration.state is not RegistrationState.OTP_SENT:
        raise Refused(Reason.OTP_ALREADY_VERIFIED)


def _hash(token: str) -> str:
    # 256 random bits need no salt.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _registration(row: Row) -> Registration:
    return Registration(
        id=row["id"],
        merchant_id=row["merchant_id"],
        partner_reference=row["partner_reference"],
        phone=row["phone"],
        phone_as_sent=row["phone_as_sent"],
        name=row["name"],
        email=row["email"],
        redirect_url=row["redirect_url"],
        state=RegistrationState(row["state"]),
        account_id=row["account_id"],
        created_at=from_ms(row["created_at"]),
        expires_at=from_ms(row["expires_at"]),
    )
