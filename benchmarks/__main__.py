"""`make bench`: interleaved runs, medians, ratios. Absolute numbers say something about this machine; ratios about the code.

python -m benchmarks                  everything (about 6 minutes)
python -m benchmarks --quick          shorter runs, 10 thousand payments instead of 1 million
python -m benchmarks --only create    create | stored | cards | snap | wallet | start
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

from benchmarks import CREATE_PATH, FLOOR_PATH, processor_s
from benchmarks.fill import fill

PORT = 18_080


@contextlib.contextmanager
def server(data: str, port: int = PORT) -> Iterator[int]:
    """The measured server in a process of its own, whose id this is."""
    child = subprocess.Popen([sys.executable, "-m", "benchmarks.server", data, str(port)])
    try:
        wait_for(port)
        yield child.pid
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


def bench_snap(directory: Path, *, seconds: float, rounds: int) -> None:
    """Balance inquiries, purchases opened and whole purchases (opened, page, PIN), against the floor of one create."""
    print(f"\nDOKU Wallet over SNAP; medians of {rounds} interleaved runs of {seconds:g} s; in brackets: of the floor")
    print(f"{'callers':>12} {'balance/s':>16} {'opened/s':>16} {'purchases/s':>16} {'one takes':>10} {'floor/s':>10}")
    costs: dict[str, list[float]] = {"balance": [], "open": [], "purchase": [], "floor": []}
    with server(str(directory / "snap.db")) as pid:
        snap("purchase", 4, 1, pid)  # warm
        for callers in (1, 16):
            rates: dict[str, list[float]] = {"balance": [], "open": [], "purchase": []}
            times, floors = [], []
            for _ in range(rounds):
                for what, found in rates.items():
                    result = snap(what, callers, seconds, pid)
                    found.append(result["per_second"])
                    costs[what].append(result["server_ms"])
                times.append(result["p50_ms"])  # of the whole purchase, which came last
                before = processor_s(pid)
                floors.append(load(FLOOR_PATH, callers, seconds))
                costs["floor"].append((processor_s(pid) - before) * 1000 / (floors[-1] * seconds))
            floor = median(floors)
            shown = " ".join(f"{median(found):>9.0f} {f'({median(found) / floor:.0%})':>6}" for found in rates.values())
            print(f"{callers:>12} {shown} {median(times):>7.1f} ms {floor:>10.0f}")
    of_floor = ", ".join(
        f"{what} {median(one):.2f} ms ({median(one) / median(costs['floor']):.1f}x)" for what, one in costs.items()
    )
    print(f"processor time of the server for one, which other work on the machine does not change much: {of_floor}")


def snap(what: str, callers: int, seconds: float, pid: int, port: int = PORT) -> dict[str, float]:
    """How many per second, the median length of one, and what one costs the server in processor time."""
    command = [sys.executable, "-m", "benchmarks.snap", "--port", str(port), "--what", what]
    command += ["--callers", str(callers), "--seconds", str(seconds), "--server", str(pid)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def bench_wallet(directory: Path, *, seconds: float, rounds: int) -> None:
    """Purchases in the books (order, payment, two transfers), all on one pair of balance rows or each on its own, against bare SQLite."""
    print(f"\nWallet purchases in the books, SQLite, durable; medians of {rounds} interleaved runs of {seconds:g} s")
    print(f"{'callers':>12} {'one pair/s':>11} {'own pairs/s':>12} {'raw/s':>8} {'of raw':>8} {'own of one':>11}")
    for callers in (1, 16, 64):
        one: list[float] = []
        own: list[float] = []
        raws: list[float] = []
        for turn in range(rounds):
            for accounts, rates in ((1, one), (callers, own)):
                rates.append(wallet(str(directory / f"wallet-{callers}-{accounts}-{turn}.db"), callers, accounts, seconds))
            raws.append(raw_sqlite(directory, seconds / 2))
        same, apart, raw = median(one), median(own), median(raws)
        print(f"{callers:>12} {same:>11.0f} {apart:>12.0f} {raw:>8.0f} {same / raw:>7.2f}x {apart / same:>10.0%}")


def wallet(data: str, callers: int, accounts: int, seconds: float) -> float:
    """Purchases per second."""
    command = [sys.executable, "-m", "benchmarks.wallet", "--data", data]
    command += ["--callers", str(callers), "--accounts", str(accounts), "--seconds", str(seconds)]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["per_second"])


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
    parser.add_argument("--only", choices=("create", "stored", "cards", "snap", "wallet", "start"))
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
        if args.only in (None, "snap"):
            bench_snap(directory, seconds=seconds, rounds=rounds)
        if args.only in (None, "wallet"):
            bench_wallet(directory, seconds=seconds, rounds=rounds)
        if args.only in (None, "stored"):
            bench_stored(directory, seconds=seconds, rounds=rounds, sizes=sizes)


if __name__ == "__main__":
    main()
