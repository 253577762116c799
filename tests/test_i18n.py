"""The words of the pages: each belongs to one place, exists in both languages, and somebody shows it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import gerbang
from gerbang.web import i18n, words

SOURCE = Path(gerbang.__file__).parent
OWN = {name: frozenset(indonesian) for name, indonesian, _ in i18n.rooms_words()}  # of rooms, and of what they share
SHARED = frozenset(words.ID) | OWN["providers"]

# `t("key"` in a template, `i18n.text(lang, "key"` in code
_SAID = re.compile(r"""\bt\(\s*["'](\w+)["']\s*[,)]|\bi18n\.text\(\s*[\w.]+,\s*["'](\w+)["']\s*[,)]""")
_LITERAL = re.compile(r"""["'](\w+)["']""")
# Keys put together of a part that is written and one that is known later only: "sms_" ~ fate, kind ~ "_title", f"{key}_text"
_COMPOSED = (
    re.compile(r"""["'](?P<head>\w+_)["']\s*~\s*[\w.]+(?:\s*~\s*["'](?P<tail>_\w+)["'])?"""),
    re.compile(r"""[\w.]+\s*~\s*["'](?P<tail>_\w+)["']"""),
    re.compile(r"""f["'](?P<head>\w*_)?\{[\w.()]+\}(?P<tail>_\w+)?["']"""),
)


def sources() -> Iterator[tuple[Path, str]]:
    for path in sorted(SOURCE.rglob("*")):
        if path.suffix not in (".html", ".py") or path.name.startswith("test_") or path.name in ("words.py", "info_words.py"):
            continue
        if not path.is_relative_to(SOURCE / "demo"):  # a shop of its own, with words of its own
            yield path, path.read_text(encoding="utf-8")


def showing() -> Iterator[tuple[Path, str]]:
    """Templates, and the code that hands keys to them."""
    for path, text in sources():
        if path.suffix == ".html" or path.name == "i18n.py" or "i18n" in text or "FieldError" in text:
            yield path, text


def sayable(path: Path) -> frozenset[str]:
    """What a file may say."""
    match path.relative_to(SOURCE).parts:
        case ("channels", room, *_):
            return SHARED | OWN.get(room, frozenset())
        case ("providers", *_):
            return SHARED
        case _:
            return frozenset(words.ID)


def test_every_room_with_words_is_found() -> None:
    assert set(OWN) == {path.parent.name for path in SOURCE.glob("channels/*/words.py")} | {"providers"}
    assert "credit_card" in OWN
    for name, keys in OWN.items():
        assert keys, name
        assert keys <= i18n.STRINGS["id"].keys(), name


def test_a_key_that_exists_already_is_refused() -> None:
    with pytest.raises(ValueError, match="words of second that exist already: pay"):
        i18n.merge_words([("first", {"pay": "Bayar"}, {"pay": "Pay"}), ("second", {"pay": "Lunasi"}, {"pay": "Settle"})])


@pytest.mark.parametrize(("indonesian", "english"), [({"pay": "Bayar"}, {}), ({}, {"pay": "Pay"})])
def test_a_key_in_one_language_only_is_refused(indonesian: dict[str, str], english: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="words of room in one language only: pay"):
        i18n.merge_words([("room", indonesian, english)])


def test_pages_say_shared_words_and_their_own_rooms() -> None:
    """A room can be taken out with all it says, and no page asks for words that do not exist."""
    foreign = [
        (path.name, key)
        for path, text in showing()
        for key in (found[1] or found[2] for found in _SAID.finditer(text))
        if key not in sayable(path)
    ]

    assert foreign == []


def unused() -> list[str]:
    """Keys that no template names and no code that has to do with pages; the parts of composed ones may come from anywhere."""
    texts = [text for _, text in showing()]
    named = {literal for text in texts for literal in _LITERAL.findall(text)}
    parts = {literal.lower() for _, text in sources() for literal in _LITERAL.findall(text)}
    frames = {
        (found.groupdict().get("head") or "", found.groupdict().get("tail") or "")
        for text in texts
        for pattern in _COMPOSED
        for found in pattern.finditer(text)
    } - {("", "")}

    def is_shown(key: str) -> bool:
        return key in named or any(
            key.startswith(head) and key.endswith(tail) and key[len(head) : len(key) - len(tail)].lower() in parts
            for head, tail in frames
        )

    return [key for key in i18n.STRINGS["id"] if not is_shown(key)]


def test_every_word_is_shown_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unused() == []

    monkeypatch.setitem(i18n.STRINGS["id"], "nobody_says_this", "Tidak dipakai")
    monkeypatch.setitem(i18n.STRINGS["id"], "decline_nobody_next", "Tidak dipakai")
    assert unused() == ["nobody_says_this", "decline_nobody_next"]
