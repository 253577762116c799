"""One-time passwords: six digits by SMS, good for five minutes, dead after five wrong tries, five an hour for each phone.

A subject is what the password opens (a registration, an unbinding). Its newest password counts, and no other.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

from gerbang.clock import to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.settings import Settings
from gerbang.storage import Retry, Tx
from gerbang.wallet.messages import queue_message

CODE_LIFE = timedelta(minutes=5)
MAX_WRONG_CODES = 5
MAX_SENDS = 5
SENDS_WITHIN = timedelta(hours=1)

# Two processes' clocks differ a little; what lies further ahead was sent before the sandbox clock was set back.
_CLOCKS_DIFFER = timedelta(minutes=1)
_KEPT = timedelta(days=1)


class CodeOutcome(StrEnum):
    """What became of one password entered."""

    RIGHT = "RIGHT"
    WRONG = "WRONG"
    BLOCKED = "BLOCKED"
    """The fifth wrong one, and whatever is entered afterwards, until a new one is sent."""
    EXPIRED = "EXPIRED"
    USED = "USED"


def send_code(tx: Tx, *, subject: str, phone: str, settings: Settings, now: datetime, is_told: bool = True) -> datetime:
    """Send a new password to the phone (canonical); until when it counts. The subject's earlier ones count no more.

    is_told  False: all is done but the sending, for a number that must not be told from others

    Raises Refused(TOO_MANY_REQUESTS).
    """
    last = tx.one("select max(number) as number from one_time_code where phone = :phone", {"phone": phone})
    number = 1 + ((last["number"] if last else None) or 0)
    sent = tx.one(
        "select count(*) as n from one_time_code where phone = :phone and created_at > :since and created_at <= :until",
        {"phone": phone, "since": to_ms(now - SENDS_WITHIN), "until": to_ms(now + _CLOCKS_DIFFER)},
    )
    assert sent is not None
    if sent["n"] >= MAX_SENDS:
        raise Refused(Reason.TOO_MANY_REQUESTS)
    tx.execute("update one_time_code set state = 'REPLACED' where subject = :subject and state = 'ACTIVE'", {"subject": subject})
    code_id, code, expires_at = new_id("msg"), _new_code(settings), now + CODE_LIFE
    written = tx.execute(
        "insert into one_time_code (id, subject, phone, number, code_hash, wrong, state, created_at, expires_at)"
        " values (:id, :subject, :phone, :number, :code_hash, 0, 'ACTIVE', :created_at, :expires_at) on conflict do nothing",
        {
            "id": code_id,
            "subject": subject,
            "phone": phone,
            "number": number,
            "code_hash": _hash(settings, code_id, code),
            "created_at": to_ms(now),
            "expires_at": to_ms(expires_at),
        },
    )
    if written != 1:
        raise Retry  # another one went to this phone this very moment: count again
    text = (
        f"Kode Anda {code[:3]} {code[3:]}. Berlaku {CODE_LIFE.seconds // 60} menit."
        " Jangan berikan kepada siapa pun, termasuk petugas."
    )
    if is_told:
        queue_message(tx, message_id=code_id, phone=phone, text=text, settings=settings, now=now)
    return expires_at


def check_code(tx: Tx, *, subject: str, entered: str, settings: Settings, now: datetime) -> CodeOutcome:
    """Compare what a customer entered with the subject's newest password, and remember that. The caller commits, whatever it was."""
    row = tx.one("select * from one_time_code where subject = :subject order by number desc limit 1", {"subject": subject})
    if row is None:
        return CodeOutcome.EXPIRED  # so long ago that it is forgotten
    if row["state"] == "VERIFIED":
        return CodeOutcome.USED
    if row["state"] == "BLOCKED":
        return CodeOutcome.BLOCKED
    if to_ms(now) >= row["expires_at"]:
        return CodeOutcome.EXPIRED
    right = hmac.compare_digest(bytes(row["code_hash"]), _hash(settings, row["id"], entered.strip()))
    blocked = not right and row["wrong"] + 1 >= MAX_WRONG_CODES
    # The count as read stands in the condition: of tries made side by side each is counted, or made again.
    counted = tx.execute(
        "update one_time_code set state = :state, wrong = :wrong where id = :id and state = 'ACTIVE' and wrong = :was",
        {
            "id": row["id"],
            "state": "VERIFIED" if right else "BLOCKED" if blocked else "ACTIVE",
            "wrong": row["wrong"] + (not right),
            "was": row["wrong"],
        },
    )
    if counted != 1:
        raise Retry
    if right:
        return CodeOutcome.RIGHT
    return CodeOutcome.BLOCKED if blocked else CodeOutcome.WRONG


def purge_codes(tx: Tx, *, now: datetime, limit: int = 1_000) -> int:
    """Drop what was over a day ago; how many."""
    return tx.execute(
        "delete from one_time_code where id in"
        " (select id from one_time_code where expires_at < :before order by expires_at limit :limit)",
        {"before": to_ms(now - _KEPT), "limit": limit},
    )


def _new_code(settings: Settings) -> str:
    if settings.is_sandbox and settings.fixed_otp:
        return settings.fixed_otp
    return f"{secrets.randbelow(1_000_000):06d}"


def _hash(settings: Settings, code_id: str, code: str) -> bytes:
    # Keyed: a million possibilities are searched in no time by whoever reads the table.
    return hmac.digest(settings.key("one-time passwords"), f"{code_id}\0{code}".encode("utf-8", "replace"), "sha256")
