"""Fixtures of the journeys through the card pages."""

from collections.abc import Iterator

import pytest

from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from support.listener import Listener


@pytest.fixture
def merchant() -> Iterator[Listener]:
    """The demo merchant's endpoint, which checks signatures with code of its own."""
    with Listener.start({DEMO_CLIENT_ID: SANDBOX_SECRET_KEY}) as listening:
        yield listening
