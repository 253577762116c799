"""Moving the sandbox clock. The offset lives in the database, so that every process and the command line share it."""

from datetime import datetime, timedelta

from gerbang.clock import real_now
from gerbang.errors import Reason, Refused
from gerbang.notifications.queue import bring_forward
from gerbang.settings import Settings
from gerbang.storage import Tx

_NAME = "clock_offset_ms"
# Years, not ages: stored moments must stay within what dates can hold.
_LIMIT = timedelta(days=365 * 50)
MOST_S = 2 * _LIMIT.total_seconds()


def read_offset(tx: Tx) -> timedelta:
    """How far business time is ahead of the machine's."""
    row = tx.one("select value from instance where name = :name", {"name": _NAME})
    return timedelta(milliseconds=int(row["value"])) if row is not None else timedelta(0)


def write_offset(tx: Tx, offset: timedelta) -> None:
    """Move business time."""
    tx.execute(
        "insert into instance (name, value) values (:name, :value) on conflict (name) do update set value = excluded.value",
        {"name": _NAME, "value": str(offset // timedelta(milliseconds=1))},
    )


def move(tx: Tx, settings: Settings, *, advance_s: float | None = None, set_to: datetime | None = None) -> timedelta:
    """Advance, set, or (neither given) reset the clock; the new offset, as stored.

    Raises Refused: CLOCK_NOT_MOVABLE in production, FIELD_INVALID further than 50 years from the machine's time.
    """
    if not settings.is_sandbox:
        raise Refused(Reason.CLOCK_NOT_MOVABLE)
    before = read_offset(tx)
    if set_to is not None:
        # Kept in whole milliseconds, rounded down: one more, so that the time set is not still to come.
        offset = set_to - real_now() + timedelta(milliseconds=1)
    elif advance_s is not None:
        offset = before + timedelta(seconds=max(-MOST_S, min(MOST_S, advance_s)))
    else:
        offset = timedelta(0)
    if abs(offset) > _LIMIT:
        field = "set" if set_to is not None else "advance_s"
        raise Refused(Reason.FIELD_INVALID, field=field, known="up to 50 years from the machine's time")
    write_offset(tx, offset)
    stored = read_offset(tx)  # whole milliseconds, as every other process will see it
    if stored < before:
        bring_forward(tx, now=real_now() + stored)
    return stored
