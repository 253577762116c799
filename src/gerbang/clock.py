"""Time. Two kinds, never mixed.

*Business time* (`Clock.now`) is real time plus an offset that the sandbox can move; states, dates in bodies, expiry and
retries use it. *Real time* (`real_now`) is for headers we sign and for checking other people's timestamps: otherwise
moving the sandbox clock would make every honest client stale (decision D-11).
"""

from datetime import UTC, datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A date read from outside lies between these, so that whatever is added to it, or whatever zone it is shown in, is still a date.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)

WIB = timezone(timedelta(hours=7), "WIB")


def real_now() -> datetime:
    """The machine's time, aware, UTC."""
    return datetime.now(UTC)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970, as stored. The moment must be aware."""
    assert moment.tzinfo is not None, moment
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def from_ms(ms: int) -> datetime:
    """The aware UTC moment of a stored number."""
    return _EPOCH + timedelta(milliseconds=ms)


def iso_z(moment: datetime) -> str:
    """`2026-01-02T03:05:00Z`: UTC, seconds, as the non-SNAP API writes time."""
    return moment.astimezone(UTC).isoformat()[:19] + "Z"


def wib_digits(moment: datetime) -> str:
    """`20220217222048`: `created_date` and its like are written in Jakarta's time."""
    return moment.astimezone(WIB).strftime("%Y%m%d%H%M%S")


def next_midnight(now: datetime) -> datetime:
    """The coming 00:00 in Jakarta, UTC: when the money of a payment made now is settled."""
    return (now.astimezone(WIB) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


class Clock:
    """Business time. `offset` is kept in the database and refreshed by whoever reads it from there.

    Production never moves it, so a `Clock()` there is real time.
    """

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def now(self) -> datetime:
        """Aware UTC business time, whole milliseconds (so that a stored time reads back equal)."""
        moment = datetime.now(UTC) + self.offset
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
