"""Taking due notifications from the outbox and putting the outcome back, safely with any number of processes."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from gerbang.clock import to_ms
from gerbang.merchants import Merchant, find
from gerbang.notifications import mischief
from gerbang.notifications.outbox import Attempt, Notification, NotificationState, notification_from
from gerbang.storage import Retry, Row, Tx

# Whoever delivers holds a lease in real time and renews it while the merchant's endpoint thinks. A process that dies
# leaves a lease that ends soon, and another (or its successor) delivers. The moment a lease ends also says whose it is.
LEASE_S = 6.0
# A lease that ends later than any process could have written: the machine's clock was set back. Nobody holds it.
_IMPOSSIBLE_LEASE_S = 60.0

# Of one payment only the oldest unfinished one is due, so they arrive in order. A person who asks for one gets it at once.
_DUE = (
    "n.due_at <= :now and (n.resend = 1 or not exists (select 1 from notification e"
    " where e.payment_id = n.payment_id and e.id < n.id and e.due_at is not null and e.state <> 'HELD'))"
)
_FREE = "(n.lease_real_until < :real or n.lease_real_until > :impossible)"


def waiting(
    tx: Tx, *, now: datetime, real: datetime, limit: int, saturated: Collection[str] = (), crowded: Collection[str] = ()
) -> list[Row]:
    """The `id`, `endpoint` and `merchant_id` of notifications that are due and that nobody delivers, longest due first.

    saturated  endpoints that have as many deliveries under way as they may; a slow one never holds back the others
    crowded    merchants of whom the same is true
    """
    skip = ""
    skipped: dict[str, str] = {}
    for column, named in (("endpoint", saturated), ("merchant_id", crowded)):
        names = {f"{column}{index}": one for index, one in enumerate(sorted(named))}
        skip += f" and n.{column} not in ({', '.join(':' + name for name in names)})" if names else ""
        skipped |= names
    return tx.all(
        f"select n.id, n.endpoint, n.merchant_id from notification n where {_DUE} and {_FREE}{skip}"  # noqa: S608 - fixed texts only
        " order by n.due_at, n.id limit :limit",
        {**_moments(now, real), "limit": limit, **skipped},
    )


def claim(
    tx: Tx, notification_ids: Sequence[str], *, now: datetime, real: datetime, until: int, sandbox: bool = False
) -> list[tuple[Notification, Merchant]]:
    """Lease those of the notifications that are still waiting. `until` is when the leases end, in ms of real time.

    sandbox  hold back what a plan of mischief says
    """
    claimed: list[tuple[Notification, Merchant]] = []
    planned = sandbox and mischief.is_planned(tx)
    for notification_id in sorted(notification_ids):  # in one order everywhere, so that nobody waits in a circle
        row = tx.one(
            f"select n.* from notification n where n.id = :id and {_DUE} and {_FREE}",  # noqa: S608 - fixed texts only
            {**_moments(now, real), "id": notification_id},
        )
        if row is None:
            continue
        merchant = find(tx, row["merchant_id"])
        if merchant is None:
            # Removed: there is no key left to sign with.
            _move(tx, row, state=NotificationState.GAVE_UP, attempts=row["attempts"], due_at=None, resend=False, lease=0)
        elif planned and (held := mischief.holds_back(tx, row, now=now)) is not None:
            state = NotificationState(held.state)
            if _move(tx, row, state=state, attempts=row["attempts"], due_at=held.due_at, resend=False, lease=0):
                mischief.note_held(tx, row, held, now=now)
        elif _take(tx, row, until):
            claimed.append((notification_from(row), merchant))
    return claimed


def _take(tx: Tx, row: Row, until: int) -> bool:
    if row["state"] == NotificationState.HELD and not row["resend"]:
        # Nobody overtakes it any more.
        return _move(
            tx, row, lease=until, state=NotificationState.QUEUED, attempts=row["attempts"], due_at=row["due_at"], resend=False
        )
    return _move(tx, row, lease=until)


def renew(tx: Tx, held: Mapping[str, int], *, until: int) -> list[str]:
    """Hold the leases of deliveries under way until later; the ids that were still ours."""
    return [
        notification_id
        for notification_id, ends in sorted(held.items())
        if tx.execute(
            "update notification set lease_real_until = :until where id = :id and lease_real_until = :ends",
            {"id": notification_id, "until": until, "ends": ends},
        )
    ]


def release(tx: Tx, held: Mapping[str, int]) -> None:
    """Give leases back undelivered (shutting down)."""
    renew(tx, held, until=0)


def any_due(tx: Tx, *, now: datetime) -> bool:
    """Whether something could be delivered now, leased or not."""
    return tx.one(f"select 1 as found from notification n where {_DUE} limit 1", {"now": to_ms(now)}) is not None  # noqa: S608


def has_untried(tx: Tx, payment_id: str, *, now: datetime) -> bool:
    """Whether a payment has something due that was never tried."""
    row = tx.one(
        "select 1 as found from notification n where n.payment_id = :payment and n.due_at <= :now"
        " and not exists (select 1 from attempt a where a.notification_id = n.id) limit 1",
        {"payment": payment_id, "now": to_ms(now)},
    )
    return row is not None


def count_due(tx: Tx, *, now: datetime, real: datetime) -> tuple[int, int]:
    """How many are due, as (nobody has taken them up, being delivered). What waits for an earlier one counts as well."""
    row = tx.one(
        f"select count(*) as n, coalesce(sum(case when {_FREE} then 1 else 0 end), 0) as free"  # noqa: S608 - fixed texts only
        " from notification n where n.due_at <= :now",
        _moments(now, real),
    )
    assert row is not None
    return int(row["free"]), int(row["n"]) - int(row["free"])


def is_under_way(tx: Tx, notification_id: str, *, real: datetime) -> bool:
    """Whether somebody is delivering it at this moment."""
    row = tx.one(
        f"select 1 as found from notification n where n.id = :id and not {_FREE}",  # noqa: S608 - fixed texts only
        {name: value for name, value in _moments(real, real).items() if name != "now"} | {"id": notification_id},
    )
    return row is not None


def bring_forward(tx: Tx, *, now: datetime) -> None:
    """After the sandbox clock was set back: what was due at once is due at once still. What was held back goes on waiting."""
    tx.execute(
        "update notification set due_at = :now"
        " where due_at > :now and ((state = 'QUEUED' and due_at <= created_at) or resend = 1)",
        {"now": to_ms(now)},
    )


def record(
    tx: Tx,
    notification: Notification,
    attempt: Attempt,
    *,
    lease: int,
    retry_delays_s: Sequence[int],
    least_gap_s: int = 0,
    sandbox: bool = False,
) -> NotificationState:
    """Write down an attempt and what follows: delivered, again later, or given up.

    Retries count from when the notification was made. A resend that fails changes nothing about the plan; if the plan was
    over, it stays over. In a sandbox a plan of mischief has its say.

    lease        when our lease ends; whether it is still ours decides who may plan what comes next
    least_gap_s  the shortest wait before a retry: after the gateway itself was down for hours, the whole plan is in the past
    """
    row = tx.one("select * from notification where id = :id", {"id": notification.id})
    if row is None:
        return NotificationState.GAVE_UP  # the sandbox was reset while this was under way
    was, attempts, due_at = NotificationState(row["state"]), row["attempts"], row["due_at"]
    planned = sandbox and mischief.is_planned(tx)
    counts_from = mischief.counts_from(tx, row) if planned else row["created_at"]
    if not notification.resend:
        attempts += 1
    if attempt.succeeded:
        state, due_at = NotificationState.DELIVERED, None
    elif row["lease_real_until"] != lease:
        state = was  # we were taken for dead; what follows is planned by whoever took over
    elif was in (NotificationState.DELIVERED, NotificationState.GAVE_UP):
        state, due_at = was, None
    elif attempts > len(retry_delays_s):
        state, due_at = NotificationState.GAVE_UP, None
    elif attempts:
        state = NotificationState.RETRYING
        due_at = counts_from + retry_delays_s[attempts - 1] * 1000
        if not notification.resend:
            due_at = max(due_at, to_ms(attempt.at) + least_gap_s * 1000)
    else:
        state, due_at = was, counts_from  # a failed resend before the first attempt of its own
    # A resend asked for while this attempt was under way is still owed.
    resend_owed = bool(row["resend"]) and (not notification.resend or row["due_at"] != _ms(notification.due_at))
    if resend_owed:
        due_at = row["due_at"]
    again = planned and not resend_owed and attempt.succeeded and mischief.wants_twice(tx, row)
    if again:
        resend_owed, due_at = True, to_ms(attempt.at)
    lease_after = 0 if row["lease_real_until"] == lease else row["lease_real_until"]
    # First the row, then its attempt: whoever changes the row meanwhile makes us look again.
    if not _move(tx, row, state=state, attempts=attempts, due_at=due_at, resend=resend_owed, lease=lease_after):
        raise Retry
    _write_attempt(tx, attempt, notification.id)
    if again:
        mischief.note(tx, notification.id, notification.merchant_id, mischief.Kind.TWICE, now=attempt.at)
    if planned and state in (NotificationState.DELIVERED, NotificationState.GAVE_UP):
        mischief.let_go_held(tx, row, now=attempt.at)
    return state


def _moments(now: datetime, real: datetime) -> dict[str, object]:
    impossible = real + timedelta(seconds=_IMPOSSIBLE_LEASE_S)
    return {"now": to_ms(now), "real": to_ms(real), "impossible": to_ms(impossible)}


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def _move(
    tx: Tx,
    row: Row,
    *,
    lease: int,
    state: NotificationState | None = None,
    attempts: int | None = None,
    due_at: int | None = None,
    resend: bool | None = None,
) -> bool:
    """Change a notification unless it has changed since `row` was read. Without a state, only its lease."""
    changes = "lease_real_until = :lease"
    if state is not None:
        changes += ", state = :state, attempts = :attempts, due_at = :due_at, resend = :resend"
    # Lease and state alone could be as before though somebody delivered in between.
    won = tx.execute(
        f"update notification set {changes} where id = :id and lease_real_until = :old_lease and state = :old_state"  # noqa: S608 - fixed texts only
        " and attempts = :old_attempts and coalesce(due_at, -1) = :old_due and resend = :old_resend",
        {
            "id": row["id"],
            "lease": lease,
            "old_lease": row["lease_real_until"],
            "old_state": row["state"],
            "old_attempts": row["attempts"],
            "old_due": -1 if row["due_at"] is None else row["due_at"],
            "old_resend": row["resend"],
        }
        | ({} if state is None else {"state": state.value, "attempts": attempts, "due_at": due_at, "resend": int(bool(resend))}),
    )
    return won == 1


def _write_attempt(tx: Tx, attempt: Attempt, notification_id: str) -> None:
    before = tx.one("select max(number) as number from attempt where notification_id = :id", {"id": notification_id})
    tx.execute(
        "insert into attempt (notification_id, number, at, started_real_at, duration_ms, url, request_headers, string_to_sign,"
        " status, answer_headers, answer_body, error, call_before) values (:notification_id, :number, :at, :started_real_at,"
        " :duration_ms, :url, :request_headers, :string_to_sign, :status, :answer_headers, :answer_body, :error, :call_before)",
        {
            "notification_id": notification_id,
            "number": 1 + ((before["number"] if before else None) or 0),
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
            "call_before": None if attempt.before is None else json.dumps(asdict(attempt.before)),
        },
    )
