"""Fixtures of the journeys through the card pages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from support.card_tab import Tabs
from support.listener import Listener


@pytest.fixture
def merchant() -> Iterator[Listener]:
    """The demo merchant's endpoint, which checks signatures with code of its own."""
    with Listener.start({DEMO_CLIENT_ID: SANDBOX_SECRET_KEY}) as listening:
        yield listening


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tabs]:
    """Windows of buyers whose consoles have nothing to complain about in the end."""
    tabs = Tabs(browser)
    yield tabs
    tabs.close()
