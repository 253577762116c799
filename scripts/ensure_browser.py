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
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.browser import find_browser

DOWNLOAD_TIMEOUT_S = 180
PACKAGE_TIMEOUT_S = 600
LOCK_TIMEOUT_S = 600


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
    apt_get("update", "-qq")
    apt_get("install", "-y", "-qq", "--no-install-recommends", "chromium")


def apt_get(*words: str) -> None:
    """Whoever else installs something at this moment (another `make`, the machine's own upgrades) is waited for."""
    # Its own option waits for dpkg's lock only, not for that of the package lists.
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT_S}", *words]
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while "Could not get lock" in run(command, timeout_s=PACKAGE_TIMEOUT_S) and time.monotonic() < deadline:
        time.sleep(2)


def run(command: list[str], *, timeout_s: float) -> str:
    """Run it in a session of its own, so that a timeout ends its children as well; what it said. Failing is not an error here."""
    print("+", *command, file=sys.stderr, flush=True)
    said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed below
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=subprocess.STDOUT,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
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
    with said:
        said.seek(0)
        text = said.read()
    sys.stderr.write(text)
    return text


if __name__ == "__main__":
    sys.exit(main())
