"""`make bench`: interleaved runs, medians, ratios. Absolute numbers say something about this machine; ratios about the code.

python -m benchmarks                  everything (about 6 minutes)
python -m benchmarks --quick          shorter runs, 10 thousand payments instead of 1 million
python -m benchmarks --only create    create | stored | cards | start
"""

import argparse
import contextlib
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks import CREATE_PATH, FLOOR_PATH
from benchmarks.fill import fill

PORT = 18_080


@contextlib.contextmanager
def server(data: str, port: int = PORT) -> Iterator[None]:
    """The measured server in a process of its own."""
    child = subprocess.Popen([sys.executable, "-m", "benchmarks.server", data, str(port)])
    try:
        wait_for(port)
        yield
    finally:
        child.terminate()
        child.wait(20)


def wait_for(port: int, within_s: float = 20) -> None:
    """Until the server answers."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)


def load(path: str, connections: int, seconds: float, port: int = PORT) -> float:
    """Requests answered per second."""
    command = [sys.executable, "-m", "benchmarks.load", "--port", str(port), "--path", path]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["per_second"])


def raw_sqlite(directory: Path, seconds: float) -> float:
    """Four inserts and a durable commit, one after the other, nothing else: payments per second of bare SQLite."""
    connection = sqlite3.connect(directory / f"raw-{time.monotonic_ns()}.db", isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    for n in range(4):
        connection.execute(f"create table raw_{n} (id text primary key, merchant_id text, body text, at bigint)")
    count, until = 0, time.perf_counter() + seconds
    began = time.perf_counter()
    while time.perf_counter() < until:
        connection.execute("begin immediate")
        for n in range(4):
            connection.execute(
                f"insert into raw_{n} values (?, ?, ?, ?)", (f"{time.time_ns()}-{count}", "BRN-1", "x" * 200, count)
            )
        connection.execute("commit")
        count += 1
    rate = count / (time.perf_counter() - began)
    connection.close()
    return rate


def bench_create(directory: Path, *, seconds: float, rounds: int) -> None:
    """Signed creates against the floor and against raw SQLite, interleaved."""
    print(f"\nSigned creates, SQLite, durable; medians of {rounds} interleaved runs of {seconds:g} s")
    print(f"{'connections':>12} {'create/s':>10} {'floor/s':>10} {'raw/s':>8} {'of floor':>9} {'of raw':>8}")
    with server(str(directory / "create.db")):
        load(CREATE_PATH, 16, 1)  # warm
        for connections in (1, 16, 64):
            creates, floors, raws = [], [], []
            for _ in range(rounds):
                creates.append(load(CREATE_PATH, connections, seconds))
                floors.append(load(FLOOR_PATH, connections, seconds))
                raws.append(raw_sqlite(directory, seconds / 2))
            create, floor, raw = median(creates), median(floors), median(raws)
            print(f"{connections:>12} {create:>10.0f} {floor:>10.0f} {raw:>8.0f} {create / floor:>8.0%} {create / raw:>7.2f}x")


def bench_stored(directory: Path, *, seconds: float, rounds: int, sizes: tuple[int, ...]) -> None:
    """The create rate with payments already stored."""
    print(f"\nCreates at 64 connections with payments stored; medians of {rounds} interleaved runs of {seconds:g} s")
    with contextlib.ExitStack() as stack:
        ports: dict[int, int] = {}
        for index, size in enumerate(sizes):
            path = str(directory / f"stored-{size}.db")
            began = time.perf_counter()
            fill(path, size)
            print(f"  filled {size:,} in {time.perf_counter() - began:.0f} s")
            ports[size] = PORT + 1 + index
            stack.enter_context(server(path, ports[size]))
        rates: dict[int, list[float]] = {size: [] for size in sizes}
        for size in sizes:
            load(CREATE_PATH, 16, 1, ports[size])
        for _ in range(rounds):
            for size in sizes:
                rates[size].append(load(CREATE_PATH, 64, seconds, ports[size]))
        empty = median(rates[sizes[0]])
        for size in sizes:
            print(f"{size:>12,} stored {median(rates[size]):>10.0f}/s  {median(rates[size]) / empty:>6.0%} of empty")


def bench_cards(directory: Path, *, seconds: float, rounds: int) -> None:
    """Complete card payments (create, pay frictionless, notified), against the floor of one create."""
    print(
        f"\nCard lifecycles (create, pay, 3-D Secure frictionless, notified); medians of {rounds} interleaved runs of {seconds:g} s"
    )
    print(f"{'buyers':>12} {'cards/s':>10} {'one takes':>10} {'floor/s':>10} {'of floor':>9}")
    with server(str(directory / "cards.db")):
        cards(4, 1)  # warm
        for buyers in (1, 16):
            rates, times, floors = [], [], []
            for _ in range(rounds):
                result = cards(buyers, seconds)
                rates.append(result["per_second"])
                times.append(result["p50_ms"])
                floors.append(load(FLOOR_PATH, buyers, seconds))
            rate, floor = median(rates), median(floors)
            print(f"{buyers:>12} {rate:>10.0f} {median(times):>7.1f} ms {floor:>10.0f} {rate / floor:>8.0%}")


def cards(buyers: int, seconds: float, port: int = PORT) -> dict[str, float]:
    """Card lifecycles per second and the median length of one."""
    command = [sys.executable, "-m", "benchmarks.cards", "--port", str(port)]
    command += ["--buyers", str(buyers), "--seconds", str(seconds)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def bench_start(directory: Path, *, rounds: int) -> None:
    """From starting the process to its first answer, and what it holds when idle."""
    import psutil

    first, again, idle = [], [], []
    for index in range(rounds):
        data = str(directory / f"start-{index}.db")
        for times in (first, again):
            began = time.perf_counter()
            child = subprocess.Popen(
                [sys.executable, "-m", "gerbang", "serve", "--data", data, "--port", str(PORT + 50)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            wait_for(PORT + 50)
            times.append(time.perf_counter() - began)
            if times is again:
                time.sleep(4)
                idle.append(psutil.Process(child.pid).memory_info().rss / 1_000_000)
            child.terminate()
            child.wait(10)
    print(
        f"\nStart to first answer: {median(again):.2f} s (with a new database {median(first):.2f} s); idle memory {median(idle):.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("create", "stored", "cards", "start"))
    args = parser.parse_args()
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} processors, load generator beside the server"
    )
    seconds, rounds = (2.0, 3) if args.quick else (4.0, 5)
    sizes = (0, 10_000) if args.quick else (0, 10_000, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="gerbang-bench-") as name:
        directory = Path(name)
        if args.only in (None, "start"):
            bench_start(directory, rounds=rounds)
        if args.only in (None, "create"):
            bench_create(directory, seconds=seconds, rounds=rounds)
        if args.only in (None, "cards"):
            bench_cards(directory, seconds=seconds, rounds=rounds)
        if args.only in (None, "stored"):
            bench_stored(directory, seconds=seconds, rounds=rounds, sizes=sizes)


if __name__ == "__main__":
    main()
