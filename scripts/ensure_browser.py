"""Print the path of a Chromium that starts, getting one when there is none. `make test` runs this first.

In this order: one that is installed, Playwright's own download, Debian's `chromium` package when we are root.
Nothing is written into the project.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.browser import find_browser

DOWNLOAD_TIMEOUT_S = 180
PACKAGE_TIMEOUT_S = 600


def main() -> int:
    for get in (None, download, install_package):
        if get is not None:
            get()
        path = find_browser()
        if path is not None:
            print(path)
            return 0
    print(
        "The tests drive a browser and none was found.\n"
        "Install Chromium or Google Chrome, or set GERBANG_TEST_BROWSER to the path of one.",
        file=sys.stderr,
    )
    return 1


def download() -> None:
    run([sys.executable, "-m", "playwright", "install", "chromium"], timeout_s=DOWNLOAD_TIMEOUT_S)


def install_package() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    run(["apt-get", "update", "-qq"], timeout_s=PACKAGE_TIMEOUT_S)
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], timeout_s=PACKAGE_TIMEOUT_S)


def run(command: list[str], *, timeout_s: float) -> None:
    """Run it in a session of its own, so that a timeout ends its children as well. Failing is not an error here."""
    print("+", *command, file=sys.stderr, flush=True)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        start_new_session=True,
    )
    try:
        child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        print(f"no end after {timeout_s} s, going on without it", file=sys.stderr)
    finally:
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


if __name__ == "__main__":
    sys.exit(main())
