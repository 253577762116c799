"""docs/add-a-channel.md, done: what it says is written into a copy of this tree, and the promises of every channel are run there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "tests" / "example_channel"
DOCUMENT = ROOT / "docs" / "add-a-channel.md"
ROOM = Path("src/gerbang/channels/contoh")
# A code block under the line that says which file it is.
_BLOCK = re.compile(r"^`(src/[^`]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of_the_document() -> dict[str, str]:
    """Path → text, as a reader would type it."""
    return dict(_BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")))


def run(tree: Path, *command: str) -> str:
    """A command of the document in the copy; what it said."""
    result = subprocess.run(
        [sys.executable, *command],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-4000:]
    return result.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with the room of the document in it, its transcript recorded."""
    copied = tmp_path_factory.mktemp("copy")
    for name in ("src", "tests", "scripts", "docs"):
        shutil.copytree(ROOT / name, copied / name, ignore=shutil.ignore_patterns("__pycache__", "*.db*"))
    shutil.copy(ROOT / "pyproject.toml", copied)
    shutil.rmtree(copied / "tests" / "example_channel")
    for path, text in files_of_the_document().items():
        (copied / path).parent.mkdir(parents=True, exist_ok=True)
        (copied / path).write_text(text, encoding="utf-8")
    (copied / ROOM / "__init__.py").touch()
    run(copied, "scripts/record_transcript.py", str(ROOM / "transcripts" / "paid.json"))
    return copied


def test_the_document_shows_the_files_of_the_example() -> None:
    shown = files_of_the_document()

    draft = shown.pop(str(ROOM / "transcripts" / "paid.json"))
    assert draft == (EXAMPLE / "paid.draft.json").read_text(encoding="utf-8")
    written = {path.name: path.read_text(encoding="utf-8") for path in (EXAMPLE / "contoh").glob("*.py") if path.stat().st_size}
    assert {Path(path).name: text for path, text in shown.items()} == written


def test_the_draft_is_recorded_as_the_example_has_it(tree: Path) -> None:
    recorded = json.loads((tree / ROOM / "transcripts" / "paid.json").read_text(encoding="utf-8"))

    assert recorded == json.loads((EXAMPLE / "contoh" / "transcripts" / "paid.json").read_text(encoding="utf-8"))


def test_the_room_of_the_document_keeps_every_promise(tree: Path) -> None:
    """Its own tests, and those that are run over all rooms found."""
    said = run(tree, "-m", "pytest", "-v", "-k", "contoh", "tests/contracts", str(ROOM))

    passed = re.search(r"(\d+) passed", said)
    assert passed is not None, said
    assert int(passed[1]) > 40, said
    assert "skipped" not in said


def test_the_room_of_the_document_is_described_without_more_work(tree: Path) -> None:
    shown = run(tree, "-m", "gerbang", "channels", "EMONEY_CONTOH")
    run(tree, "-m", "gerbang.snapshots")

    assert "POST /contoh-emoney/v1/payment" in shown
    assert "customer.phone ending 0000" in shown
    assert "/contoh-emoney/v1/payment" in json.loads((tree / "openapi.json").read_text(encoding="utf-8"))["paths"]
    assert "## EMONEY_CONTOH" in (tree / "docs" / "channels.md").read_text(encoding="utf-8")
