"""B2B, B2B2C and refresh tokens (decisions D-1 and D-5): JWTs that partners treat as opaque, and rows that decide.

A token goes on living while it is used: it lapses `snap_token_life_s` after it was issued or last used, and ends
`snap_token_longest_h` after it was issued. Kept is only a hash of it together with the partner's secret and public key: when one of
these changes, no token of before is found any more.
"""

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from gerbang.clock import from_ms, to_ms
from gerbang.merchants import Merchant
from gerbang.protocols.snap.signature import make_jwt
from gerbang.settings import Settings
from gerbang.storage import Tx

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ISSUER = "DOKU"
REFRESH_TOKEN_LIFE = timedelta(days=15)
# A refresh token that was used goes on so long, for a partner whose first answer was lost.
REFRESH_TOKEN_GRACE = timedelta(seconds=60)

_WRITE_EVERY_MS = 30_000
_MAX_REMEMBERED = 20_000


class TokenKind(StrEnum):
    """What a token is for."""

    B2B = "B2B"
    B2B2C = "B2B2C"
    REFRESH = "REFRESH"


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was issued; whether it lives, `TokenUse` knows."""

    hash: bytes
    kind: TokenKind
    binding_id: str
    lapses_ms: int
    ends_ms: int


def b2b_claims(merchant: Merchant, *, now: datetime, life_s: int) -> dict[str, object]:
    """What a B2B token says."""
    issued = int(now.timestamp())
    return {
        "exp": issued + life_s,
        "nbf": issued,
        "iss": ISSUER,
        "iat": issued,
        "jti": str(uuid.uuid4()),
        "clientId": merchant.client_id,
    }


def customer_claims(merchant: Merchant, account_id: str, *, now: datetime, life_s: int) -> dict[str, object]:
    """What a customer's token says. `additionalData` is a text that holds JSON."""
    return {
        "exp": int(now.timestamp()) + life_s,
        "iss": ISSUER,
        "clientId": merchant.client_id,
        "additionalData": json.dumps({"accountId": account_id}, separators=(",", ":")),
        # RSA is deterministic: without it two tokens of one second would be one.
        "jti": str(uuid.uuid4()),
    }


def refresh_claims(merchant: Merchant, *, now: datetime) -> dict[str, object]:
    """What a refresh token says."""
    return {
        "exp": int((now + REFRESH_TOKEN_LIFE).timestamp()),
        "iss": ISSUER,
        "clientId": merchant.client_id,
        "additionalData": str(uuid.uuid4()),
    }


def keep_b2b_token(tx: Tx, merchant: Merchant, token: str, *, settings: Settings, now: datetime) -> None:
    """Let a B2B token be used from now on."""
    if merchant.latest_token_only(settings):
        _end_older(tx, merchant, TokenKind.B2B, "", settings=settings, now=now)
    _keep(tx, merchant, TokenKind.B2B, token, binding_id="", settings=settings, now=now)


@dataclass(frozen=True, slots=True)
class CustomerTokens:
    """An access token and the refresh token that came with it."""

    access: str
    access_lapses_at: datetime
    refresh: str
    refresh_lapses_at: datetime


def issue_customer_tokens(
    tx: Tx,
    merchant: Merchant,
    *,
    binding_id: str,
    account_id: str,
    key: "RSAPrivateKey",
    settings: Settings,
    now: datetime,
) -> CustomerTokens:
    """A new pair for a binding. The caller has made sure that binding and account are active."""
    if merchant.latest_token_only(settings):
        _end_older(tx, merchant, TokenKind.B2B2C, binding_id, settings=settings, now=now)
    life_s = settings.snap_token_life_s
    access = make_jwt(customer_claims(merchant, account_id, now=now, life_s=life_s), key)
    refresh = make_jwt(refresh_claims(merchant, now=now), key)
    for kind, token in ((TokenKind.B2B2C, access), (TokenKind.REFRESH, refresh)):
        _keep(tx, merchant, kind, token, binding_id=binding_id, settings=settings, now=now)
    return CustomerTokens(access, now + timedelta(seconds=life_s), refresh, now + REFRESH_TOKEN_LIFE)


def retire_refresh_token(tx: Tx, token: Token, *, now: datetime) -> None:
    """It was used: it lapses in a minute."""
    tx.execute(
        "update snap_token set ends_at = :ends_at where hash = :hash and ends_at > :ends_at",
        {"hash": token.hash, "ends_at": to_ms(now + REFRESH_TOKEN_GRACE)},
    )


def find_token(tx: Tx, merchant: Merchant, kind: TokenKind, sent: str) -> Token | None:
    """The token of this partner, dead or alive; None when there never was one, or the partner's keys were others then."""
    row = tx.one(
        "select hash, kind, binding_id, lapses_at, ends_at from snap_token"
        " where hash = :hash and merchant_id = :merchant and kind = :kind",
        {"hash": _hash(merchant, sent), "merchant": merchant.client_id, "kind": kind.value},
    )
    if row is None:
        return None
    return Token(bytes(row["hash"]), TokenKind(row["kind"]), row["binding_id"] or "", row["lapses_at"], row["ends_at"])


def end_binding_tokens(tx: Tx, binding_id: str, *, merchant_id: str) -> None:
    """Forget every token of a binding. They are dead with the binding anyway: this is housekeeping."""
    for kind in (TokenKind.B2B2C, TokenKind.REFRESH):
        tx.execute(
            "delete from snap_token where merchant_id = :merchant and kind = :kind and binding_id = :binding",
            {"merchant": merchant_id, "kind": kind.value, "binding": binding_id},
        )


def purge_tokens(tx: Tx, *, now: datetime, limit: int = 1_000) -> int:
    """Drop tokens that lapsed; how many."""
    return tx.execute(
        "delete from snap_token where hash in"
        " (select hash from snap_token where lapses_at < :before order by lapses_at limit :limit)",
        # A last use may not be written down yet.
        {"before": to_ms(now) - 2 * _WRITE_EVERY_MS, "limit": limit},
    )


class TokenUse:
    """When tokens were last used in this process, so that each is written down every half minute only.

    Another process learns of a use half a minute late, at most: there a token may lapse that much early.
    """

    def __init__(self, settings: Settings) -> None:
        self._life_ms = settings.snap_token_life_s * 1_000
        # hash → (last used, lapse last written)
        self._seen: dict[bytes, tuple[int, int]] = {}

    def lives(self, token: Token, *, now: datetime) -> bool:
        """Whether it may be used."""
        now_ms = to_ms(now)
        used_ms, _ = self._seen.get(token.hash, (0, 0))
        return now_ms < token.ends_ms and now_ms < max(token.lapses_ms, used_ms + self._life_ms)

    def note(self, token: Token, *, now: datetime) -> datetime | None:
        """It was used. When it is time to write that down: the moment at which it lapses now."""
        now_ms = to_ms(now)
        _, written_ms = self._seen.get(token.hash, (0, token.lapses_ms))
        lapses_ms = min(now_ms + self._life_ms, token.ends_ms)
        due = lapses_ms - max(written_ms, token.lapses_ms) >= _WRITE_EVERY_MS
        if len(self._seen) >= _MAX_REMEMBERED:
            self._seen.clear()
        self._seen[token.hash] = (now_ms, lapses_ms if due else max(written_ms, token.lapses_ms))
        return from_ms(lapses_ms) if due else None


def prolong(tx: Tx, token: Token, lapses_at: datetime) -> None:
    """Write down that a token was used."""
    tx.execute(
        "update snap_token set lapses_at = :lapses_at where hash = :hash and lapses_at < :lapses_at",
        {"hash": token.hash, "lapses_at": to_ms(lapses_at)},
    )


def _hash(merchant: Merchant, token: str) -> bytes:
    credentials = f"{merchant.client_id}\0{merchant.secret_key}\0{(merchant.snap_public_key or '').strip()}"
    return hmac.digest(hashlib.sha256(credentials.encode()).digest(), token.encode("utf-8", "replace"), "sha256")


def _keep(tx: Tx, merchant: Merchant, kind: TokenKind, token: str, *, binding_id: str, settings: Settings, now: datetime) -> None:
    if kind is TokenKind.REFRESH:
        lapses_at = ends_at = now + REFRESH_TOKEN_LIFE
    else:
        ends_at = now + timedelta(hours=settings.snap_token_longest_h)
        lapses_at = min(now + timedelta(seconds=settings.snap_token_life_s), ends_at)
    tx.execute(
        "insert into snap_token (hash, merchant_id, kind, binding_id, issued_at, lapses_at, ends_at)"
        " values (:hash, :merchant, :kind, :binding, :issued_at, :lapses_at, :ends_at)",
        {
            "hash": _hash(merchant, token),
            "merchant": merchant.client_id,
            "kind": kind.value,
            "binding": binding_id,
            "issued_at": to_ms(now),
            "lapses_at": to_ms(lapses_at),
            "ends_at": to_ms(ends_at),
        },
    )


def _end_older(tx: Tx, merchant: Merchant, kind: TokenKind, binding_id: str, *, settings: Settings, now: datetime) -> None:
    tx.execute(
        "update snap_token set ends_at = :ends_at"
        " where merchant_id = :merchant and kind = :kind and binding_id = :binding and ends_at > :ends_at",
        {
            "merchant": merchant.client_id,
            "kind": kind.value,
            "binding": binding_id,
            "ends_at": to_ms(now + timedelta(seconds=settings.token_grace_s)),
        },
    )
