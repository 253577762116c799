"""Windows of a browser, lent to one test after the other: a new one costs a third of a second, a cleared one a twentieth."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page

SIZES = {"phone": (360, 740), "desktop": (1280, 900)}

# Chromium says so of every answer that is not 2xx; what a buyer did wrong is answered so.
_ANSWERED = re.compile(r"Failed to load resource: the server responded with a status of 4")
_OURS = re.compile(r"(https?://(127\.0\.0\.1|localhost|[a-z.]+\.example)[:/]|about:|data:|blob:)")


class Windows:
    """Those of one test. `complaints` is what their consoles said, and whom they asked that is not us."""

    def __init__(self, browser: Browser, idle: dict[bool, list[Page]]) -> None:
        self._browser = browser
        self._idle = idle
        self._lent: list[tuple[Page, bool | None]] = []
        self.complaints: list[str] = []

    def open(self, size: str | tuple[int, int] = "phone", *, script: bool = True, fresh: bool = False, **more: Any) -> Page:
        """An empty window.

        size   by its name in `SIZES`, or (width, height) in pixels
        fresh  one that is thrown away afterwards: the test leaves something in it that cannot be cleared; so is one with `more`
        """
        width, height = SIZES[size] if isinstance(size, str) else size
        kept = not (fresh or more)
        if kept and self._idle[script]:
            page = self._idle[script].pop()
            page.set_viewport_size({"width": width, "height": height})
        else:
            settings = {"locale": "id-ID", "timezone_id": "Asia/Jakarta", "reduced_motion": "reduce", **more}
            context = self._browser.new_context(
                java_script_enabled=script, viewport={"width": width, "height": height}, **settings
            )
            context.set_default_timeout(10_000)
            page = context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", self._fail)
        page.on("request", self._ask)
        self._lent.append((page, script if kept else None))
        return page

    def close(self) -> None:
        """Give the windows back, cleared."""
        for page, script in self._lent:
            if script is None or not self._cleared(page):
                page.context.close()
            else:
                self._idle[script].append(page)
        self._lent = []

    def _cleared(self, page: Page) -> bool:
        context = page.context
        if page.is_closed() or len(context.pages) != 1:
            return False
        for event, listener in (("console", self._hear), ("pageerror", self._fail), ("request", self._ask)):
            page.remove_listener(event, listener)
        try:
            page.unroute_all(behavior="ignoreErrors")
            context.unroute_all(behavior="ignoreErrors")
            with contextlib.suppress(Error):  # a page without storage, or none at all
                page.evaluate("localStorage.clear(); sessionStorage.clear()")
            page.goto("about:blank")
            page.emulate_media(media="null", reduced_motion="reduce")
            context.clear_cookies()
        except Error:
            return False
        return True

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _ANSWERED.match(message.text):
            self.complaints.append(message.text)

    def _fail(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _ask(self, sent: Any) -> None:
        if not _OURS.match(sent.url):
            self.complaints.append(sent.url)


def assert_fits(page: Page, device: str) -> None:
    """Nobody has to scroll sideways, in a small window either."""
    for width, height in ((320, 400), (320, 640), SIZES[device], (800, 500)):
        page.set_viewport_size({"width": width, "height": height})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"scrolls sideways by {wide} px at {width}"


@pytest.fixture(scope="module")
def idle_windows(browser: Browser) -> dict[bool, list[Page]]:
    """Cleared ones, with JavaScript and without."""
    return {True: [], False: []}


@pytest.fixture
def windows(browser: Browser, idle_windows: dict[bool, list[Page]]) -> Iterator[Windows]:
    """Windows for this test. Ends with: no script error, nothing blocked by the policy, nobody else asked."""
    opened = Windows(browser, idle_windows)
    try:
        yield opened
    finally:
        opened.close()
    assert opened.complaints == []
