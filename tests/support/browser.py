"""A real Chromium, driven by Playwright."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Frame, Page, sync_playwright

NAMES = ("chromium", "google-chrome", "chromium-browser", "google-chrome-stable")
MAC_APPS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# Tests run as root in containers (no sandbox there) and must not wait for a GPU or talk to anybody.
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_browser() -> str | None:
    """The path of a Chromium or Chrome that starts, or None. GERBANG_TEST_BROWSER goes before all others."""
    chosen = os.environ.get("GERBANG_TEST_BROWSER")
    if chosen:
        return chosen if starts(chosen) else None
    on_path = [found for name in NAMES if (found := shutil.which(name))]
    home_apps = [str(Path.home()) + app for app in MAC_APPS] if sys.platform == "darwin" else []
    installed: list[str] = [*on_path, *(MAC_APPS if sys.platform == "darwin" else ()), *home_apps]
    for path in installed:
        if starts(path):
            return path
    downloaded = downloaded_by_playwright()
    return downloaded if downloaded and starts(downloaded) else None


def starts(path: str) -> bool:
    """Whether it can tell its version. A download without its shared libraries, or a snap's stub, cannot."""
    if not Path(path).is_file():
        return False
    try:
        asked = subprocess.run([path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def downloaded_by_playwright() -> str | None:
    # In a process of its own: Playwright's event loop would otherwise count as running in ours.
    ask = "from playwright.sync_api import sync_playwright\nwith sync_playwright() as p: print(p.chromium.executable_path)"
    try:
        asked = subprocess.run([sys.executable, "-c", ask], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.decode().strip() or None


@cache
def _found() -> str | None:
    return find_browser()


@contextmanager
def launched_browser(*more: str) -> Iterator[Browser]:
    """A headless Chromium for the length of the block; `more` are further words for its command line."""
    path = _found()
    if path is None:
        raise RuntimeError("no Chromium was found: run `make browser`, or set GERBANG_TEST_BROWSER to the path of one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGS, *more])
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium per test module.

    Not per session: while Playwright's synchronous API is open, its event loop counts as the running one of this
    thread, and `asyncio.run` in any later test would fail. In a module that uses the browser, don't call it.
    """
    with launched_browser() as chromium:
        yield chromium


def violations(place: Page | Frame, *, only_seen: bool = False) -> list[tuple[str, list[str]]]:
    """What axe finds wrong: each rule with the markup that breaks it.

    only_seen  leave out what is folded away, and frames inside
    """
    context = {"exclude": [["details:not([open]) > :not(summary)"]]} if only_seen else None
    # Without this axe describes everything that is right, too, which takes it twice as long.
    options = f"{{resultTypes: ['violations'], iframes: {'false' if only_seen else 'true'}}}"
    found = Axe().run(place, context=context, options=options)["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


def each_in_a_view(states: Iterable[str], views: Sequence[tuple[str, str]]) -> list[ParameterSet]:
    """Each state of a page in one view, the views taking turns; with GERBANG_SCREENSHOTS each state in all of them.

    A look costs a second, and what breaks in one view nearly always breaks in the next state of the other, too. States share their
    template, so every run looks at a third of them, and `make proof` at the others.
    """
    chosen = list(states)
    if os.environ.get("GERBANG_SCREENSHOTS"):
        return [pytest.param(state, *view) for state in chosen for view in views]
    return [
        pytest.param(state, *views[index % len(views)], marks=() if index % 3 == 0 else pytest.mark.proof)
        for index, state in enumerate(chosen)
    ]


def in_view(view: str) -> pytest.MarkDecorator:
    """A journey in one view ("phone-id", "desktop-en"), for neighbours to take turns; with GERBANG_SCREENSHOTS in all four.

    The reason is that of `each_in_a_view`. The journey gets the view as its argument.
    """
    views = ("phone-id", "desktop-en", "phone-en", "desktop-id") if os.environ.get("GERBANG_SCREENSHOTS") else (view,)
    return pytest.mark.parametrize("view", views)
