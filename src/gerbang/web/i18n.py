"""The words of the hosted pages in Indonesian and English, and how both write time.

Shared words are in `words.py`, the long texts of help, privacy and terms in `info_words.py`, what pretend providers show in
`gerbang/providers/words.py`, and what one room shows in that room's own `words.py`: a dict `ID` and a dict `EN` with the same
keys. Indonesian is the source. Texts are plain; templates escape them. `{name}` is filled in by `text`.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal

from gerbang.clock import WIB
from gerbang.web import words
from gerbang.web.views import Lang

LANGUAGES: tuple[Lang, Lang] = ("id", "en")


def rooms_words() -> Iterator[tuple[str, Mapping[str, str], Mapping[str, str]]]:
    """The name of each room that has words of its own, and those words in Indonesian and English."""
    # By name, so that nothing up here depends on a room; only the words, so that the rooms themselves are not loaded.
    rooms = importlib.import_module("gerbang.channels")
    for room in pkgutil.iter_modules(rooms.__path__):
        module = f"{rooms.__name__}.{room.name}.words"
        if room.ispkg and importlib.util.find_spec(module) is not None:
            own = importlib.import_module(module)
            yield room.name, own.ID, own.EN
    shared = importlib.import_module("gerbang.providers.words")
    yield "providers", shared.ID, shared.EN


def merge_words(parts: Iterable[tuple[str, Mapping[str, str], Mapping[str, str]]]) -> dict[Lang, dict[str, str]]:
    """All words by language. Raises ValueError for a key that two define, or that has one language only."""
    merged: dict[Lang, dict[str, str]] = {"id": {}, "en": {}}
    for owner, indonesian, english in parts:
        if lonely := indonesian.keys() ^ english.keys():
            raise ValueError(f"words of {owner} in one language only: {', '.join(sorted(lonely))}")
        if twice := merged["id"].keys() & indonesian.keys():
            raise ValueError(f"words of {owner} that exist already: {', '.join(sorted(twice))}")
        merged["id"].update(indonesian)
        merged["en"].update(english)
    return merged


STRINGS = merge_words([("web", words.ID, words.EN), *rooms_words()])

_MONTHS: dict[Lang, tuple[str, ...]] = {
    "id": (
        "Januari",
        "Februari",
        "Maret",
        "April",
        "Mei",
        "Juni",
        "Juli",
        "Agustus",
        "September",
        "Oktober",
        "November",
        "Desember",
    ),
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
}


def text(lang: Lang, key: str, **values: object) -> str:
    """One string with its blanks filled in. A key that does not exist is our mistake: KeyError."""
    return STRINGS[lang][key].format_map(values)


def demo_note(note: str, lang: Lang) -> str:
    """What a demo account is for; unknown notes are shown as they are."""
    return STRINGS[lang].get(f"note_{note}", note)


def choose_language(query_value: str | None, accept_language: str | None) -> Literal["id", "en"]:
    """The language asked for in the address, else the browser's best of ours, else Indonesian."""
    for known in LANGUAGES:
        if query_value == known:
            return known
    best: tuple[float, Lang] = (0.0, "id")
    for offer in (accept_language or "").split(","):
        tag, _, parameter = offer.partition(";")
        primary = tag.strip().lower().split("-")[0]
        weight = _weight(parameter)
        # "in" is what old Android and Java still send for Indonesian
        lang: Lang | None = "id" if primary in ("id", "in") else "en" if primary == "en" else None
        if lang is not None and weight > best[0]:
            best = (weight, lang)
    return best[1]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def clock_time(dt: datetime, lang: Lang) -> str:
    """`15.20 WIB` or `15:20 WIB`, whatever zone `dt` is in."""
    local = dt.astimezone(WIB)
    return f"{local.hour:02}{'.' if lang == 'id' else ':'}{local.minute:02} WIB"


def date_time(dt: datetime, lang: Lang) -> str:
    """`19 Mei 2026, 14.33 WIB` or `19 May 2026, 14:33 WIB`."""
    local = dt.astimezone(WIB)
    return f"{local.day} {_MONTHS[lang][local.month - 1]} {local.year}, {clock_time(dt, lang)}"


def minutes_left(expires_at: datetime, now: datetime) -> int:
    """Whole minutes until the deadline, rounded down; never negative."""
    return max(timedelta(0), expires_at - now) // timedelta(minutes=1)


def time_left(expires_at: datetime, now: datetime, lang: Lang) -> str:
    """`sisa 28 menit`, `2 h 5 min left`: what the server can say truthfully without a script that ticks."""
    minutes = minutes_left(expires_at, now)
    if minutes == 0:
        return text(lang, "moments_left")
    if minutes == 1:
        return text(lang, "minute_left")
    if minutes < 60:
        return text(lang, "minutes_left", minutes=minutes)
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        return text(lang, "days_left", days=hours // 24)
    if rest == 0:
        return text(lang, "hours_left", hours=hours)
    return text(lang, "hours_minutes_left", hours=hours, minutes=rest)
