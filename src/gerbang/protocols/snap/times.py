"""Times as SNAP writes them."""

import re
from datetime import UTC, datetime, timedelta, timezone

from gerbang.clock import EARLIEST, LATEST, WIB
from gerbang.errors import Reason, Refused

_FORM = re.compile(r"(\d{4})(?:-(\d\d)-(\d\d)|(\d\d)(\d\d))T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?( ?)(Z|[+-]\d\d:?\d\d)", re.ASCII)


def snap_time(moment: datetime) -> str:
    """`2026-01-02T10:05:00+07:00`: Jakarta's time, seconds."""
    return moment.astimezone(WIB).isoformat(timespec="seconds")


def parse_time(text: str) -> datetime:
    """The aware UTC moment. Takes `…Z`, `±hh:mm`, `±hhmm`, up to nine digits of a fraction, and the compact date of DOKU's page
    (`20260102T10:05:00.000 +07:00`, the blank may be left out). Raises ValueError.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("no time with seconds and zone")
    year, month, day, compact_month, compact_day, hour, minute, second, fraction, blank, zone = found.groups()
    if blank and not compact_month:
        raise ValueError("a blank before the zone")
    offset = timedelta(0)
    if zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        if hours > 23 or minutes > 59:
            raise ValueError("no such zone")
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        moment = datetime(
            int(year),
            int(month or compact_month),
            int(day or compact_day),
            int(hour),
            int(minute),
            int(second),
            microsecond,
            tzinfo=timezone(offset),
        )
        moment = moment.astimezone(UTC)
    except OverflowError:  # the first hours of the year 1, the last of 9999
        raise ValueError("a time out of range") from None
    if not EARLIEST <= moment < LATEST:
        raise ValueError("a time out of range")
    return moment


def read_snap_time(text: str, field: str) -> datetime:
    """The same for a field of a body; raises Refused(FIELD_INVALID)."""
    try:
        return parse_time(text)
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, field=field) from None
