"""gerbang clock …"""

import asyncio
import re
from datetime import datetime

import click
import msgspec

from gerbang.cli.data import Data, open_data
from gerbang.cli.options import json_option, parsed_by, reads_settings
from gerbang.cli.outstanding import Outstanding, outstanding, wait_until_done
from gerbang.cli.show import counted, print_facts, print_json, wib
from gerbang.clock import EARLIEST, LATEST, WIB, iso_z
from gerbang.sandbox.time import move

_UNIT_S = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_MOST_S = 50 * 365 * 86_400
_PART = re.compile(r"(\d+)([wdhms])")


class ClockRecord(msgspec.Struct, omit_defaults=True):
    """Business time for programs; after a move, what is still due."""

    now: str
    offset_s: float
    overdue_payments: int | None = None
    due_notifications: int | None = None


def read_duration(text: str) -> int:
    """Seconds. Raises ValueError."""
    plain = text.replace(" ", "").lower()
    if not re.fullmatch(rf"(?:{_PART.pattern})+", plain):
        raise ValueError(f"{text!r} is no duration; write 90s, 30m, 12h, 1h30m, 2d or 1w")
    seconds = sum(int(count) * _UNIT_S[unit] for count, unit in _PART.findall(plain))
    if seconds > _MOST_S:
        raise ValueError(f"{text!r} is too far; time moves at most 50 years")
    return seconds


def read_moment(text: str) -> datetime:
    """An aware moment; Jakarta time when the text names no zone. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no moment; write 2026-12-01, '2026-12-01 09:00' or 2026-12-01T09:00:00+07:00") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=WIB)
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f"{text!r} is too far; time moves at most 50 years")
    return moment


@click.group()
@reads_settings
def clock() -> None:
    """Show or move the sandbox's time.

    Payments, expiry and retries follow it; signatures and headers keep the machine's time.
    """


@clock.command("show")
@json_option
@reads_settings
def show(as_json: bool) -> None:
    """Show business time and how far it was moved."""
    with open_data() as data:
        _print(data, as_json=as_json)


@clock.command("advance")
@click.argument("duration", callback=parsed_by(read_duration))
@json_option
@reads_settings
def advance(duration: int, as_json: bool) -> None:
    """Move time forward by DURATION: 90s, 30m, 12h, 1h30m, 2d, 1w."""
    _move(advance_s=duration, as_json=as_json)


@clock.command("set")
@click.argument("moment", callback=parsed_by(read_moment))
@json_option
@reads_settings
def set_to(moment: datetime, as_json: bool) -> None:
    """Set time to MOMENT (ISO 8601; Jakarta time when it names no zone)."""
    _move(set_to=moment, as_json=as_json)


@clock.command("reset")
@json_option
@reads_settings
def reset(as_json: bool) -> None:
    """Back to the machine's time."""
    _move(as_json=as_json)


def _move(*, advance_s: int | None = None, set_to: datetime | None = None, as_json: bool) -> None:
    with open_data() as data:
        data.clock.offset = data.write(lambda tx: move(tx, data.settings, advance_s=advance_s, set_to=set_to))
        before = outstanding(data)
        after = wait_until_done(data)
        closed_here = _close_overdue(data) if after.overdue else 0
        if closed_here:
            after = outstanding(data)
        _print(data, as_json=as_json, left=after)
        if not as_json:
            _tell(before, after, closed_here=closed_here)


def _close_overdue(data: Data) -> int:
    """Nobody else did: close what expired. Whoever comes first wins, so doing it beside a slow server is safe."""
    from gerbang.channel import Parts, all_channels, open_rooms
    from gerbang.notifications.delivery import Deliverer
    from gerbang.vault import Vault
    from gerbang.worker import Worker

    channels = all_channels()
    vault = Vault.of(data.settings) if data.settings.is_sandbox or data.settings.card_provider else None
    rooms = open_rooms(channels, Parts(data.database, data.clock, data.settings, vault))
    deliverer = Deliverer(data.database, data.clock, data.settings, {})  # it has nothing to deliver here
    worker = Worker(data.database, data.clock, data.settings, channels, deliverer, rooms)

    async def close() -> int:
        swept = 0
        while done := await worker.sweep_rooms():
            swept += done
        return swept + await worker.expire_due()

    return asyncio.run(close())


def _print(data: Data, *, as_json: bool, left: Outstanding | None = None) -> None:
    now, offset = data.now(), data.clock.offset
    if as_json:
        record = ClockRecord(iso_z(now), offset.total_seconds())
        if left is not None:
            record.overdue_payments, record.due_notifications = left.overdue, left.waiting + left.under_way
        print_json(record)
        return
    print_facts([("Now", wib(now)), ("", iso_z(now)), ("Moved", _difference(offset.total_seconds()))])


def _difference(seconds: float) -> str:
    left, words = abs(round(seconds)), []
    for unit in "dhms":
        count, left = divmod(left, _UNIT_S[unit])
        if count:
            words.append(f"{count}{unit}")
    if not words:
        return "not at all: the machine's time"
    return f"{' '.join(words)} {'ahead of' if seconds > 0 else 'behind'} the machine's time"


def _tell(before: Outstanding, after: Outstanding, *, closed_here: int) -> None:
    """What the move brought."""
    if closed_here:
        click.echo(f"Closed {counted(closed_here, 'payment')} that expired.")
    elif before.overdue > after.overdue:
        click.echo(f"The server closed {counted(before.overdue - after.overdue, 'payment')} that expired.")
    if after.overdue:
        click.echo(f"{counted(after.overdue, 'payment')} that expired could not be closed; try `gerbang worker`.", err=True)
    if after.under_way:
        click.echo(f"{counted(after.under_way, 'notification')} under way: the merchant has not answered yet.", err=True)
    if after.waiting:
        click.echo(
            f"{counted(after.waiting, 'notification')} due and nobody delivers; start `gerbang serve` or `gerbang worker`.",
            err=True,
        )
