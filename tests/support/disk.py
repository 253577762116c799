"""Where tests write: into memory, where there is enough of it. Most of them make a database, and those wait for their disk.

PYTEST_DEBUG_TEMPROOT or --basetemp name another place.
"""

import os

from support.postgres_server import memory_disk


def pytest_configure() -> None:
    memory = memory_disk()
    if memory is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
