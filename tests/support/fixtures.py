"""Fixtures for every test, those that sit in the rooms (src/gerbang/**/test_*.py) included.

pytest loads this because pyproject.toml says `-p support.fixtures`. A conftest.py in tests/ reaches only tests/, and is not
read at all when someone runs one room's tests.

    browser                           support/browser.py
    windows                           support/windows.py
    postgres, postgres_dsn            support/postgres.py
    listener                          support/listener.py
    engine, data_address, database, gateway, sqlite_gateway   support/gateway.py
"""

import pytest

pytest_plugins = ("support.disk", "support.browser", "support.windows", "support.postgres", "support.listener", "support.gateway")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a test needs says what it costs: `make quick` leaves browsers, PostgreSQL and kills out."""
    for item in items:
        assert isinstance(item, pytest.Function)
        needs = set(item.fixturenames)
        callspec = getattr(item, "callspec", None)
        if "browser" in needs:
            item.add_marker("browser")
        if needs & {"postgres", "postgres_dsn"} or (callspec is not None and callspec.params.get("engine") == "postgresql"):
            item.add_marker("postgres")
