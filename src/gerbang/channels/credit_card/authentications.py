"""3-D Secure authentications: of a page's charge, or made host-to-host before the charge that uses it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from gerbang.channels.credit_card.authentication import new_authentication_id
from gerbang.clock import from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.money import Rupiah
from gerbang.storage import Row, Tx


class AuthenticationDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """Host-to-host: where the buyer goes afterwards, what was asked, and where the issuer's page is."""

    callback_success: str = ""
    callback_failed: str = ""
    invoice_number: str | None = None
    payment_type: str = "SALE"
    acs_url: str | None = None
    acs_trans_id: str | None = None


@dataclass(frozen=True, slots=True)
class Authentication:
    """One authentication. STARTED until the schemes answered; DONE with a trans_status; USED by a host-to-host charge."""

    id: str
    merchant_id: str
    charge_id: str | None
    card_id: str
    amount: Rupiah
    state: str
    trans_status: str | None
    details: AuthenticationDetails
    created_at: datetime
    expires_at: datetime


def start_authentication(
    tx: Tx,
    *,
    merchant_id: str,
    charge_id: str | None,
    card_id: str,
    amount: Rupiah,
    now: datetime,
    minutes: int,
    details: AuthenticationDetails | None = None,
) -> Authentication:
    """Write one down before the schemes are asked."""
    told = details or AuthenticationDetails()
    made = Authentication(
        new_authentication_id(),
        merchant_id,
        charge_id,
        card_id,
        amount,
        "STARTED",
        None,
        told,
        now,
        now + timedelta(minutes=minutes),
    )
    tx.execute(
        "insert into card_authentication (id, merchant_id, charge_id, card_id, amount, state, details, created_at, expires_at)"
        " values (:id, :merchant_id, :charge_id, :card_id, :amount, 'STARTED', :details, :now, :expires_at)",
        {
            "id": made.id,
            "merchant_id": merchant_id,
            "charge_id": charge_id,
            "card_id": card_id,
            "amount": amount,
            "details": msgspec.json.encode(told).decode(),
            "now": to_ms(now),
            "expires_at": to_ms(made.expires_at),
        },
    )
    return made


def get_authentication(tx: Tx, authentication_id: str, *, merchant_id: str | None = None) -> Authentication | None:
    """The authentication, if it is this merchant's (or anybody's)."""
    row = tx.one("select * from card_authentication where id = :id", {"id": authentication_id})
    if row is None or merchant_id not in (None, row["merchant_id"]):
        return None
    return _authentication(row)


def send_to_issuer(tx: Tx, authentication: Authentication, *, acs_url: str | None, acs_trans_id: str | None) -> None:
    """The buyer has to visit the issuer's page."""
    details = msgspec.structs.replace(authentication.details, acs_url=acs_url, acs_trans_id=acs_trans_id)
    tx.execute(
        "update card_authentication set details = :details where id = :id",
        {"id": authentication.id, "details": msgspec.json.encode(details).decode()},
    )


def finish_authentication(tx: Tx, authentication_id: str, trans_status: str | None) -> None:
    """How it ended; the first answer stands."""
    tx.execute(
        "update card_authentication set state = 'DONE', trans_status = :trans_status where id = :id and state = 'STARTED'",
        {"id": authentication_id, "trans_status": trans_status},
    )


def use_authentication(tx: Tx, authentication: Authentication, charge_id: str) -> None:
    """One authentication, one charge. Raises Refused(AUTHENTICATION_NOT_FOUND) when it was used before."""
    used = tx.execute(
        "update card_authentication set state = 'USED', charge_id = :charge_id where id = :id and state = 'DONE'",
        {"id": authentication.id, "charge_id": charge_id},
    )
    if used != 1:
        raise Refused(Reason.AUTHENTICATION_NOT_FOUND, authentication=authentication.id)


def _authentication(row: Row) -> Authentication:
    return Authentication(
        id=row["id"],
        merchant_id=row["merchant_id"],
        charge_id=row["charge_id"],
        card_id=row["card_id"],
        amount=Rupiah(row["amount"]),
        state=row["state"],
        trans_status=row["trans_status"],
        details=msgspec.json.decode(row["details"], type=AuthenticationDetails),
        created_at=from_ms(row["created_at"]),
        expires_at=from_ms(row["expires_at"]),
    )
