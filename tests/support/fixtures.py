"""Fixtures for every test, those that sit in the rooms (src/gerbang/**/test_*.py) included.

pytest loads this because pyproject.toml says `-p support.fixtures`. A conftest.py in tests/ reaches only tests/, and is not
read at all when someone runs one room's tests.

    browser, browser_context, page    support/browser.py
    postgres, postgres_dsn            support/postgres.py
    listener                          support/listener.py
    engine, data_address, database, gateway, sqlite_gateway   support/gateway.py
"""

pytest_plugins = ("support.disk", "support.browser", "support.postgres", "support.listener", "support.gateway")
