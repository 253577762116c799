"""docs/requirements.md names tests; a name that no test has any more is a promise nobody keeps."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_ROW = re.compile(r"\| ((?:S[0-4]|D)-\d+) \|.*\| (open|done|partly: [^|]+) \| ([^|]+) \|")


def lines() -> list[str]:
    """The document."""
    return (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8").splitlines()


def rows() -> dict[str, tuple[str, str]]:
    """Id → (state, tests)."""
    return {found[1]: (found[2], found[3]) for line in lines() if (found := _ROW.fullmatch(line))}


def written_tests() -> set[str]:
    """The name of every test function there is."""
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "src").rglob("test_*.py")]
    return {
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_row_of_the_requirements_is_read() -> None:
    wallet = [f"S0-{number:02}" for number in range(1, 40)]
    snap_wallet = [f"S1-{number:02}" for number in range(1, 207)]
    cards = [f"S2-{number:02}" for number in range(1, 127)]
    indodana = [f"S3-{number:02}" for number in range(1, 62)]
    linkaja = [f"S4-{number:02}" for number in range(1, 35)]
    decisions = [f"D-{number}" for number in range(1, 21)]

    assert list(rows()) == [*wallet, *snap_wallet, *cards, *indodana, *linkaja, *decisions]
    assert len(rows()) == sum(bool(re.match(r"\| \w+-\d+ ", line)) for line in lines()), "a row twice, or one nobody can read"


def test_the_tests_that_requirements_name_exist() -> None:
    existing = written_tests()
    for row, (state, tests) in rows().items():
        names = re.findall(r"`(test_\w+)`", tests)
        files = re.findall(r"(?:tests|src)/[\w/]+\.py", tests)
        assert (state == "open") is (tests == "open"), row
        assert state == "open" or names or files, row
        for name in names:
            assert name in existing, (row, name)
        for file in files:
            assert (ROOT / file).exists(), (row, file)
