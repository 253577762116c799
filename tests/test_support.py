"""The test helpers are promises too."""

import base64
import hashlib
import hmac
import http.client
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import conninfo

from support import listener as listener_module
from support.browser import find_browser, starts, violations
from support.listener import Answer, Listener
from support.ports import free_port
from support.postgres import Postgres
from support.windows import Windows

pytestmark = pytest.mark.slow


CLIENT_ID = "BRN-0001-1700000000000"
SECRET_KEY = "SK-OnlyForThisTest0001"
BODY = b'{"order":{"invoice_number":"INV-1","amount":10000}}'


def call(merchant: Listener, body: bytes = BODY, path: str = "/notify", timeout_s: float = 10, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", merchant.port, timeout=timeout_s)
    try:
        connection.request("POST", path, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return connection.getresponse().status
    finally:
        connection.close()


def signed(body: bytes, target: str) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    text = (
        f"Client-Id:{CLIENT_ID}\nRequest-Id:req-1\nRequest-Timestamp:2026-01-02T03:05:00Z\n"
        f"Request-Target:{target}\nDigest:{digest}"
    )
    mac = hmac.new(SECRET_KEY.encode(), text.encode(), hashlib.sha256).digest()
    return {
        "Client_Id": CLIENT_ID,
        "Request_Id": "req-1",
        "Request_Timestamp": "2026-01-02T03:05:00Z",
        "Signature": "HMACSHA256=" + base64.b64encode(mac).decode(),
    }


def test_two_databases_know_nothing_of_each_other(postgres: Postgres):
    with postgres.database() as one, postgres.database() as other:
        with psycopg.connect(one) as connection:
            connection.execute("create table only_here (n int)")

        with psycopg.connect(other) as connection:
            seen = connection.execute("select to_regclass('only_here')").fetchone()

    assert seen == (None,)


def test_a_database_is_gone_after_its_block(postgres: Postgres, postgres_dsn: str):
    with postgres.database() as url:
        left_open = psycopg.connect(url)

    with psycopg.connect(postgres_dsn) as connection:
        names = [name for (name,) in connection.execute("select datname from pg_database")]
    assert conninfo.conninfo_to_dict(url)["dbname"] not in names
    with pytest.raises(psycopg.OperationalError):
        left_open.execute("select 1")


def test_a_template_is_prepared_once_and_copied(postgres: Postgres):
    prepared = []

    def prepare(url: str) -> None:
        prepared.append(url)
        with psycopg.connect(url) as connection:
            connection.execute("create table fruit (name text)")
            connection.execute("insert into fruit values ('salak')")

    template = f"fruit-{os.getpid()}"
    with postgres.database(template, prepare) as one, postgres.database(template, prepare) as other:
        with psycopg.connect(one) as connection:
            connection.execute("delete from fruit")
        with psycopg.connect(other) as connection:
            kept = connection.execute("select name from fruit").fetchall()

    assert len(prepared) == 1
    assert kept == [("salak",)]


def test_parallel_processes_share_one_server_and_leave_none_behind(tmp_path: Path):
    finished = run_pytest(tmp_path, "-n", "2", "--dist", "each")

    assert finished.returncode == 0, finished.stdout
    servers = (tmp_path / "servers").read_text().split()
    assert len(servers) == 2
    assert len(set(servers)) == 1
    assert not Path(servers[0]).exists()
    assert not processes_about(servers[0])


def test_a_killed_run_takes_its_server_along(tmp_path: Path):
    child = start_pytest(tmp_path, "-p", "no:xdist", hang=True)
    try:
        wait_until((tmp_path / "servers").exists, 60)
        [server] = (tmp_path / "servers").read_text().split()
        assert processes_about(server)
    finally:
        child.kill()
        child.communicate()

    wait_until(lambda: not processes_about(server) and not Path(server).exists(), 30)


def start_pytest(tmp_path: Path, *args: str, hang: bool = False) -> "subprocess.Popen[str]":
    """A pytest run of its own with one test that notes the directory of its PostgreSQL."""
    test = tmp_path / "test_inner.py"
    test.write_text(
        textwrap.dedent(f"""
            import time
            import psycopg

            def test_inner(postgres_dsn):
                with psycopg.connect(postgres_dsn) as connection:
                    [directory] = connection.execute("show data_directory").fetchone()
                with open({str(tmp_path / "servers")!r}, "a") as servers:
                    servers.write(directory + "\\n")
                time.sleep({600 if hang else 0})
        """)
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GERBANG_TEST_DSN"))}
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            os.devnull,
            "--rootdir",
            str(tmp_path),
            "-p",
            "support.postgres",
            *args,
            str(test),
        ],
        env={**environment, "PYTHONPATH": str(Path(__file__).parent)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_pytest(tmp_path: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    child = start_pytest(tmp_path, *args)
    try:
        output, _ = child.communicate(timeout=120)
    finally:
        child.kill()
    return subprocess.CompletedProcess(child.args, child.returncode, output)


def processes_about(word: str) -> list[str]:
    """The command lines of running processes in which the word occurs."""
    listed = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in listed if word in line]


def wait_until(holds, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.05)


def test_the_merchant_recognises_a_right_signature():
    with Listener.start({CLIENT_ID: SECRET_KEY}) as merchant:
        call(merchant, BODY, "/notify?shop=7", **signed(BODY, "/notify?shop=7"))

        [received] = merchant.wait_for(1)

    assert received.signature == "valid"
    assert (received.method, received.target, received.body, received.answered) == ("POST", "/notify?shop=7", BODY, 200)
    assert received.json()["order"]["amount"] == 10_000


@pytest.mark.parametrize(
    ("body", "path"),
    [(BODY.replace(b"10000", b"10001"), "/notify"), (BODY, "/elsewhere")],
    ids=["another amount", "another path"],
)
def test_the_merchant_notices_what_was_changed_after_signing(body: bytes, path: str):
    with Listener.start({CLIENT_ID: SECRET_KEY}) as merchant:
        call(merchant, body, path, **signed(BODY, "/notify"))

        [received] = merchant.wait_for(1)

    assert received.signature == "wrong"


def test_the_merchant_says_what_it_cannot_check(listener: Listener):
    call(listener)
    call(listener, **signed(BODY, "/notify"))

    assert [received.signature for received in listener.wait_for(2)] == ["missing", "unknown client"]


def test_header_names_keep_the_case_they_were_sent_in(listener: Listener):
    call(listener, **{"Client-Id": "a", "request-ID": "b"})

    [received] = listener.wait_for(1)
    assert received.header("Client-Id") == "a"
    assert received.header("request-ID") == "b"
    assert received.header("Request-Id") is None


def test_a_script_answers_in_order_and_then_200(listener: Listener):
    listener.script([500, Answer(302, headers={"Location": "/elsewhere"}), 200])

    statuses = [call(listener) for _ in range(4)]

    assert statuses == [500, 302, 200, 200]
    assert [received.answered for received in listener.received()] == statuses


def test_a_merchant_can_be_slow_or_never_answer(listener: Listener):
    listener.script([Answer(delay_s=0.3), Answer(hang=True)])

    before = time.monotonic()
    assert call(listener) == 200
    assert time.monotonic() - before >= 0.3
    with pytest.raises(TimeoutError):
        call(listener, timeout_s=0.3)

    assert [received.answered for received in listener.wait_for(2)] == [200, None]


def test_hanging_calls_can_be_let_go(listener: Listener):
    listener.script([Answer(hang=True)])
    ended = []

    def hanging_call() -> None:
        try:
            call(listener)
        except http.client.RemoteDisconnected:
            ended.append("disconnected")

    caller = threading.Thread(target=hanging_call)
    caller.start()
    listener.wait_for(1)
    listener.release()
    caller.join(10)

    assert ended == ["disconnected"]


def test_waiting_ends_when_nothing_comes(listener: Listener):
    with pytest.raises(TimeoutError, match="0 of 1"):
        listener.wait_for(1, timeout_s=0.1)


def test_a_merchant_can_go_away_and_come_back():
    with Listener.start() as merchant:
        port = merchant.port
        call(merchant)
    with pytest.raises(ConnectionRefusedError):
        call(merchant)

    with Listener.start(port=port) as merchant:
        assert call(merchant) == 200
        assert len(merchant.received()) == 1


def test_the_merchant_owes_nothing_to_gerbang():
    source = Path(listener_module.__file__).with_name("listener_process.py").read_text()

    assert not [line for line in source.splitlines() if line.startswith(("import gerbang", "from gerbang"))]


def test_a_free_port_can_be_listened_on():
    with Listener.start(port=free_port()) as merchant:
        assert call(merchant) == 200


def test_a_browser_that_does_not_start_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("GERBANG_TEST_BROWSER", str(broken))

    assert not starts(str(broken))
    assert find_browser() is None


@pytest.mark.browser
def test_a_page_opens_and_runs_no_script_it_was_not_given(windows: Windows) -> None:
    page = windows.open()
    page.set_content("<title>Gerbang</title><p id=p>Halo</p>")

    assert page.title() == "Gerbang"
    assert page.locator("#p").inner_text() == "Halo"


@pytest.mark.browser
def test_what_axe_finds_wrong_is_told_with_its_markup(windows: Windows) -> None:
    page = windows.open()
    page.set_content(
        "<html lang=id><title>Gerbang</title><main><h1>Bayar</h1><img id=seen src=a>"
        "<details><summary>Lagi</summary><img id=folded src=b></details></main>"
    )

    [(rule, [markup])] = violations(page, only_seen=True)
    assert (rule, 'id="seen"' in markup) == ("image-alt", True)
    page.evaluate("document.querySelector('details').open = true")
    [(rule, nodes)] = violations(page)
    assert (rule, len(nodes)) == ("image-alt", 2)
    page.evaluate("for (const image of document.images) image.alt = 'Kopi'")
    assert violations(page) == []
