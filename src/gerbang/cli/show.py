"""What people see: tables, facts, money and time. What programs see: JSON."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from gerbang.clock import WIB

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_COLOURS = {
    "PAID": "green",
    "SUCCESS": "green",
    "DELIVERED": "green",
    "ACTIVE": "green",
    "APPROVED": "green",
    "AUTHORISED": "yellow",
    "OPEN": "yellow",
    "PENDING": "yellow",
    "QUEUED": "yellow",
    "RETRYING": "yellow",
    "FAILED": "red",
    "DECLINED": "red",
    "GAVE_UP": "red",
    "LOCKED": "red",
}
_WIDE = 100_000  # characters; a pipe has no width, and wrapped rows are no use to grep


def print_json(value: Any) -> None:
    """JSON and nothing else on stdout."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_json_line(value: Any) -> None:
    """JSON on one line, for whoever reads a command that goes on running."""
    click.echo(msgspec.json.encode(value).decode())
    sys.stdout.flush()


def wib(moment: datetime | None) -> str:
    """`2026-05-19 12:00:00 WIB`."""
    return f"{moment.astimezone(WIB):%Y-%m-%d %H:%M:%S} WIB" if moment else "–"


def masked(secret: str) -> str:
    """Enough of a secret to tell it from another."""
    return f"{secret[:5]}…{secret[-3:]}" if len(secret) >= 16 else "…"


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 payment`, `2 payments`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def heading(text: str) -> None:
    """A line over a part of a longer answer."""
    click.echo()
    click.secho(text, bold=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """A table; on a terminal too narrow for it, one block of lines a row, so that ids stay whole and can be copied.

    columns  `>Name` is aligned right, `Name~` may be broken over lines
    empty    what to say instead of an empty table, on stderr
    """
    from rich.measure import Measurement

    given = [tuple(row) for row in rows]
    if not given:
        click.echo(empty, err=True)
        return
    console, table = _console(), _table(columns, given)
    if Measurement.get(console, console.options.update(max_width=_WIDE), table).minimum > console.width:
        names = [column.strip(">~") for column in columns]
        for index, row in enumerate(given):
            if index:
                click.echo()
            print_facts(zip(names, row, strict=True))
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, column in enumerate(columns):
        folds = column.endswith("~")
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        width = None if folds else max(len(row[index]) for row in rows)
        table.add_column(column.strip(">~"), justify=justify, no_wrap=not folds, min_width=width, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(cell) for cell in row))
    return table


def print_facts(facts: Iterable[tuple[str, str | None]]) -> None:
    """Names and values, one a line; those without a value are left out."""
    given = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in given), default=0)
    for name, value in given:
        lines = value.splitlines() or [""]
        click.echo(f"{click.style(name.ljust(width), dim=True)}  {_coloured(lines[0])}")
        for line in lines[1:]:
            click.echo(f"{' ' * width}  {line}")


def indented(text: str, by: str = "    ") -> str:
    """A block of text, moved to the right."""
    return "\n".join(by + line for line in text.splitlines())


def _coloured(value: str) -> str:
    return click.style(value, fg=_COLOURS[value]) if value in _COLOURS else value


def _cell(value: str) -> "Text":
    from rich.text import Text

    return Text(value, style=_COLOURS.get(value, ""))


def _console() -> "Console":
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False, emoji=False, markup=False)
