"""Taking due notifications from the outbox and putting the outcome back, safely with any number of processes."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from gerbang.clock import to_ms
from gerbang.merchants import Merchant, find
from gerbang.notifications.outbox import Attempt, Notification, NotificationState, notification_from
from gerbang.storage import Tx

# Whoever delivers holds a lease in real time and renews it while the merchant's endpoint thinks. A process that dies
# leaves a lease that ends soon, and another (or its successor) delivers.
LEASE_S = 6.0


def claim(
    tx: Tx, *, now: datetime, real: datetime, limit: int, saturated: Collection[str] = ()
) -> list[tuple[Notification, Merchant]]:
    """Lease due notifications. Of one payment only the oldest unfinished one is ever due: they arrive in order.

    saturated  endpoints that have as many deliveries under way as they may; a slow one never holds back the others
    """
    params: dict[str, object] = {"now": to_ms(now), "real": to_ms(real), "limit": limit}
    skip = ""
    if saturated:
        names = {f"skip{index}": endpoint for index, endpoint in enumerate(sorted(saturated))}
        params |= names
        skip = f" and n.endpoint not in ({', '.join(':' + name for name in names)})"
    rows = tx.all(
        "select n.* from notification n where n.due_at <= :now and n.lease_real_until < :real"
        " and not exists (select 1 from notification e where e.payment_id = n.payment_id and e.id < n.id and e.due_at is not null)"
        + skip
        + " order by n.due_at, n.id limit :limit",
        params,
    )
    claimed: list[tuple[Notification, Merchant]] = []
    until = to_ms(real + timedelta(seconds=LEASE_S))
    for row in rows:
        merchant = find(tx, row["merchant_id"])
        won = tx.execute(
            "update notification set lease_real_until = :until where id = :id and lease_real_until = :held",
            {"id": row["id"], "until": until, "held": row["lease_real_until"]},
        )
        if won == 1 and merchant is not None:
            claimed.append((notification_from(row), merchant))
    return claimed


def renew(tx: Tx, notification_ids: Sequence[str], *, real: datetime) -> None:
    """Hold the leases of deliveries still under way."""
    for notification_id in notification_ids:
        tx.execute(
            "update notification set lease_real_until = :until where id = :id",
            {"id": notification_id, "until": to_ms(real + timedelta(seconds=LEASE_S))},
        )


def any_due(tx: Tx, *, now: datetime) -> bool:
    """Whether something waits for delivery now, leased or not."""
    return tx.one("select 1 as found from notification where due_at <= :now limit 1", {"now": to_ms(now)}) is not None


def release(tx: Tx, notification_ids: Sequence[str]) -> None:
    """Give leases back undelivered (shutting down)."""
    for notification_id in notification_ids:
        tx.execute("update notification set lease_real_until = 0 where id = :id", {"id": notification_id})


def record(tx: Tx, notification: Notification, attempt: Attempt, *, retry_delays_s: Sequence[int]) -> NotificationState:
    """Write down an attempt and what follows: delivered, again later, or given up.

    Retries count from when the notification was made. A resend that fails changes nothing about the plan; if the plan was
    over, it stays over.
    """
    row = tx.one("select * from notification where id = :id", {"id": notification.id})
    if row is None:
        return NotificationState.GAVE_UP  # the sandbox was reset while this was under way
    before = tx.one("select max(number) as number from attempt where notification_id = :id", {"id": notification.id})
    number = 1 + ((before["number"] if before else None) or 0)
    tx.execute(
        "insert into attempt (notification_id, number, at, started_real_at, duration_ms, url, request_headers, string_to_sign,"
        " status, answer_headers, answer_body, error) values (:notification_id, :number, :at, :started_real_at, :duration_ms, :url,"
        " :request_headers, :string_to_sign, :status, :answer_headers, :answer_body, :error)",
        {
            "notification_id": notification.id,
            "number": number,
            "at": to_ms(attempt.at),
            "started_real_at": to_ms(attempt.started_real_at),
            "duration_ms": attempt.duration_ms,
            "url": attempt.url,
            "request_headers": json.dumps(attempt.request_headers),
            "string_to_sign": attempt.string_to_sign,
            "status": attempt.status,
            "answer_headers": json.dumps(attempt.answer_headers),
            "answer_body": attempt.answer_body,
            "error": attempt.error,
        },
    )
    was, attempts = NotificationState(row["state"]), row["attempts"]
    # A resend asked for while this attempt was under way is still owed.
    resend_owed = bool(row["resend"]) and not notification.resend
    if not notification.resend:
        attempts += 1
    due_at: int | None
    if attempt.succeeded:
        state, due_at = NotificationState.DELIVERED, None
    elif notification.resend and was in (NotificationState.DELIVERED, NotificationState.GAVE_UP):
        state, due_at = was, None
    elif attempts <= len(retry_delays_s):
        state = NotificationState.RETRYING if attempts else was
        due_at = row["created_at"] + (retry_delays_s[attempts - 1] * 1000 if attempts else 0)
    else:
        state, due_at = NotificationState.GAVE_UP, None
    if resend_owed:
        due_at = row["due_at"]
    tx.execute(
        "update notification set state = :state, attempts = :attempts, due_at = :due_at, resend = :resend, lease_real_until = 0"
        " where id = :id",
        {"id": notification.id, "state": state.value, "attempts": attempts, "due_at": due_at, "resend": int(resend_owed)},
    )
    return state
