"""First answers, kept for repeats of the same request (decisions D-3 and 0002).

The key is client, method, path, Request-Id and the hash of the raw body: ids alone repeat honestly in the field.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from gerbang.clock import to_ms
from gerbang.storage import Tx


@dataclass(frozen=True, slots=True)
class ReplyKey:
    """What makes a request a repeat of another."""

    merchant_id: str
    scope: bytes
    body_hash: bytes


def reply_key(*, merchant_id: str, method: str, path: str, request_id: str, body: bytes) -> ReplyKey:
    """The key of a request. Hashes, because a client may choose long ids and paths."""
    scope = "\n".join((merchant_id, method, path, request_id)).encode()
    return ReplyKey(merchant_id, hashlib.blake2b(scope, digest_size=16).digest(), hashlib.sha256(body).digest()[:16])


def first_reply(tx: Tx, key: ReplyKey, *, since: datetime) -> bytes | None:
    """The body answered the first time, or None when this is the first time."""
    row = tx.one(
        "select body from reply where scope = :scope and body_hash = :body_hash and stored_real_at >= :since",
        {"scope": key.scope, "body_hash": key.body_hash, "since": to_ms(since)},
    )
    return None if row is None else bytes(row["body"])


def request_id_was_used(tx: Tx, key: ReplyKey, *, since: datetime) -> bool:
    """Whether the Request-Id came before, whatever the body."""
    return (
        tx.one(
            "select 1 as found from reply where scope = :scope and stored_real_at >= :since limit 1",
            {"scope": key.scope, "since": to_ms(since)},
        )
        is not None
    )


def keep_reply(tx: Tx, key: ReplyKey, *, status: int, body: bytes, real: datetime, since: datetime) -> bool:
    """Store the first answer; False when another transaction stored one meanwhile."""
    return (
        tx.execute(
            # A row past its retention may not have been purged yet; a new first answer takes its place.
            "insert into reply (scope, body_hash, merchant_id, status, body, stored_real_at)"
            " values (:scope, :body_hash, :merchant_id, :status, :body, :at)"
            " on conflict (scope, body_hash) do update set status = excluded.status, body = excluded.body,"
            " stored_real_at = excluded.stored_real_at where reply.stored_real_at < :since",
            {
                "scope": key.scope,
                "body_hash": key.body_hash,
                "merchant_id": key.merchant_id,
                "status": status,
                "body": body,
                "at": to_ms(real),
                "since": to_ms(since),
            },
        )
        == 1
    )


def purge_replies(tx: Tx, *, real: datetime, retention_s: int, limit: int = 1_000) -> int:
    """Drop answers that are past their retention; how many."""
    return tx.execute(
        "delete from reply where (scope, body_hash) in"
        " (select scope, body_hash from reply where stored_real_at < :before order by stored_real_at limit :limit)",
        {"before": to_ms(real - timedelta(seconds=retention_s)), "limit": limit},
    )
