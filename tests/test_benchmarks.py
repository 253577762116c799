"""The measured server answers both what is measured and what it is measured against: a floor that fails measures nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks import CREATE_PATH, FLOOR_PATH
from benchmarks.__main__ import load, server

from support.ports import free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    chosen = free_port()
    with server(str(tmp_path_factory.mktemp("bench") / "bench.db"), chosen):
        yield chosen


@pytest.mark.parametrize("path", [CREATE_PATH, FLOOR_PATH])
def test_the_measured_server_answers(port: int, path: str) -> None:
    assert load(path, 2, 0.2, port) > 0


@pytest.mark.parametrize("accounts", [1, 2])
def test_purchases_in_the_books_are_counted(tmp_path: Path, accounts: int) -> None:
    command = [sys.executable, "-m", "benchmarks.wallet", "--data", str(tmp_path / "wallet.db"), "--callers", "2"]
    command += ["--accounts", str(accounts), "--seconds", "0.2"]

    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    assert json.loads(said)["per_second"] > 0
