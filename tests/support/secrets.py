"""Looks for card numbers and CVVs where none may be: database files with what was deleted, their WAL, logs, bodies, rows.

A number is found as text, with blanks, dashes or other marks between its digits, in UTF-16, in base64 (wherever it begins), in
hex, and as an integer in binary. Three or four digits occur by chance everywhere, so a CVV is found only where it stands alone,
or behind a name such as `cvv`; give tests a CVV that is no year, port or duration.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gerbang.storage import Database


@dataclass(frozen=True)
class Found:
    """Where a secret is. It names the secret by its end only, because it is printed when a test fails."""

    where: str
    offset: int
    form: str
    secret: str


def find_in_bytes(
    content: bytes | str, *, numbers: Iterable[str] = (), cvvs: Iterable[str] = (), where: str = "content"
) -> list[Found]:
    """Every place in these bytes."""
    raw = content.encode() if isinstance(content, str) else content
    wanted = [(_number_patterns(number), f"…{number[-4:]}") for number in numbers]
    wanted += [(_cvv_patterns(cvv), f"CVV of {len(cvv)} digits") for cvv in cvvs]
    return [
        Found(where, match.start(), form, shown)
        for patterns, shown in wanted
        for form, pattern in patterns
        for match in pattern.finditer(raw)
    ]


def find_in_files(paths: Iterable[Path | str], *, numbers: Iterable[str] = (), cvvs: Iterable[str] = ()) -> list[Found]:
    """Every place in these files; of a database `x.db`, its `x.db-wal` and `x.db-journal` are looked at too."""
    numbers, cvvs = list(numbers), list(cvvs)
    files = [Path(f"{path}{side}") for path in paths for side in ("", "-wal", "-journal")]
    return [
        found
        for file in files
        if file.exists()
        for found in find_in_bytes(file.read_bytes(), numbers=numbers, cvvs=cvvs, where=file.name)
    ]


def find_in_database(database: Database, *, numbers: Iterable[str] = (), cvvs: Iterable[str] = ()) -> list[Found]:
    """Every value of every table, on both engines: in a file, neighbouring columns hide that a CVV stands alone."""
    numbers, cvvs = list(numbers), list(cvvs)
    return [
        found for where, value in _values(database) for found in find_in_bytes(value, numbers=numbers, cvvs=cvvs, where=where)
    ]


def _values(database: Database) -> Iterator[tuple[str, bytes]]:
    from gerbang.storage.tables import metadata

    for table in metadata.tables.values():
        columns = [column.name for column in table.columns]
        rows = database.read_now(lambda tx, name=table.name: tx.all(f"select * from {name}"))  # type: ignore[misc]
        for row in rows:
            for column in columns:
                value = row[column]
                if value is not None:
                    yield f"{table.name}.{column}", bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


# What people and programs put between digits, as bytes; %20 and + are blanks in forms and addresses.
_BETWEEN = rb"(?:[ \-._+/\t]|%20|%2D|\xc2\xa0|\xe2\x80[\x90-\x95]|\\u00a0)?"
_BETWEEN_WIDE = {"UTF-16LE": rb"(?:[ \-._]\x00|\xa0\x00)?", "UTF-16BE": rb"(?:\x00[ \-._]|\x00\xa0)?"}
_WRITTEN = (lambda digits: digits, lambda digits: _grouped(digits, " "), lambda digits: _grouped(digits, "-"))


@lru_cache
def _number_patterns(number: str) -> list[tuple[str, "re.Pattern[bytes]"]]:
    assert len(number) >= 8, "too short to be told from what is there by chance; give it as a CVV"
    digits = [digit.encode() for digit in number]
    patterns = [("digits", re.compile(_BETWEEN.join(digits)))]
    for encoding, between in _BETWEEN_WIDE.items():
        wide = [re.escape(digit.encode(encoding)) for digit in number]
        patterns.append((encoding, re.compile(between.join(wide))))
    for plain in {write(number) for write in _WRITTEN}:
        for encoding in ("ascii", "utf-16-le"):
            patterns += [("base64", re.compile(re.escape(form))) for form in _base64_forms(plain.encode(encoding))]
        patterns.append(("hex", re.compile(re.escape(plain.encode().hex().encode()), re.IGNORECASE)))
    value = int(number)
    patterns.append(("integer", re.compile(re.escape(value.to_bytes(8, "big").lstrip(b"\0")))))
    patterns.append(("integer", re.compile(re.escape(value.to_bytes(8, "little").rstrip(b"\0")))))
    if len(number) % 2 == 0:
        patterns.append(("packed digits", re.compile(re.escape(bytes.fromhex(number)))))
    return patterns


def _base64_forms(plain: bytes) -> set[bytes]:
    """What of `plain` is the same in every base64 text that holds it, for each of the three places it may begin at."""
    forms = set()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + plain)
        first = (before * 8 + 5) // 6  # characters that `before` has bits in
        last = (before + len(plain)) * 8 // 6  # characters that are full
        forms |= {text[first:last], text[first:last].replace(b"+", b"-").replace(b"/", b"_")}
    return forms


_CVV_NAMES = rb"(?:cvv2?|cvc2?|cvn|csc|cid|cav2?|security[ _-]?code|kode[ _-]?keamanan)"


@lru_cache
def _cvv_patterns(cvv: str) -> list[tuple[str, "re.Pattern[bytes]"]]:
    assert len(cvv) in (3, 4), "a CVV has three or four digits"
    digits = cvv.encode()
    wide = cvv.encode("utf-16-le")
    return [
        ("named", re.compile(_CVV_NAMES + rb"[^0-9A-Za-z]{0,12}" + digits + rb"(?![0-9])", re.IGNORECASE)),
        # Not part of a longer word or number, nor the thousandths of a time or an amount.
        ("alone", re.compile(rb"(?<![0-9A-Za-z_])(?<![0-9][.,:])" + digits + rb"(?![0-9A-Za-z_])(?![.,:][0-9])")),
        ("UTF-16LE", re.compile(rb"(?<![0-9A-Za-z]\x00)" + re.escape(wide) + rb"(?![0-9A-Za-z]\x00)")),
    ]


def _grouped(digits: str, mark: str) -> str:
    return mark.join(digits[at : at + 4] for at in range(0, len(digits), 4))
