"""What asks for no password answers programs and its own pages, and no page of anybody else."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from gerbang.sandbox.guard import Guard
from gerbang.settings import load_settings
from support.browser import launched_browser
from support.gateway import RunningGateway, lent_gateway

RESET = "/sandbox/v1/reset"
JSON = {"Content-Type": "application/json"}


def count(running: RunningGateway) -> int:
    row = running.database.read_now(lambda tx: tx.one("select count(*) as n from orders"))
    assert row is not None
    return int(row["n"])


@pytest.mark.parametrize(
    ("host", "settings", "known"),
    [
        *[(host, {}, True) for host in ("localhost", "localhost:8080", "LOCALHOST", "shop.localhost:80", "127.0.0.1:1", "127.9.9.9", "[::1]:8080")],
        *[(host, {}, False) for host in ("", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.4:8080")],
        *[(host, {}, False) for host in ("0.0.0.0:8080", "[::ffff:192.168.1.4]", "localhost@evil.example", "localhost/", "gerbang")],
        ("gerbang:8080", {"allowed_hosts": ["gerbang", "Pay"]}, True),
        ("pay", {"allowed_hosts": ["gerbang", "Pay"]}, True),
        ("pay.example.id", {"public_url": "https://pay.example.id"}, True),
        ("192.168.1.4:8080", {"host": "0.0.0.0"}, True),
        ("evil.example", {"host": "0.0.0.0"}, False),
        ("box.lan", {"host": "box.lan"}, True),
    ],
)  # fmt: skip
def test_only_names_of_this_server_are_known(host: str, settings: dict[str, object], known: bool) -> None:
    async def nothing(*_: object) -> None: ...

    assert Guard(nothing, load_settings(env={}, given=settings)).knows(host) is known


@pytest.mark.parametrize("path", [RESET, "/sandbox/v1/merchants", "/simulators/linkaja/x", "/simulators/messages", "/demo/cart"])
def test_pages_of_others_can_do_nothing(sqlite_gateway: RunningGateway, path: str) -> None:
    own = urlsplit(sqlite_gateway.url).netloc
    sqlite_gateway.create_order()
    foreign: list[dict[str, str]] = [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": f"http://evil.example@{own}"},
        {"Origin": f"http://{own}", "Host": "evil.example"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": f"http://{own}"},
    ]

    for headers in foreign:
        answer = sqlite_gateway.request("POST", path, b"{}", JSON | headers)
        assert (answer.status, answer.json["error"]["code"] in ("foreign_page", "unknown_host")) == (403, True), headers

    assert count(sqlite_gateway) == 1


@pytest.mark.parametrize("path", ["/sandbox/v1/messages", "/sandbox/v1/clock", "/simulators", "/openapi.json", "/demo/"])
def test_a_name_that_was_rebound_reads_nothing(sqlite_gateway: RunningGateway, path: str) -> None:
    answer = sqlite_gateway.request("GET", path, headers={"Host": "evil.example"})

    assert (answer.status, answer.json["error"]["code"]) == (403, "unknown_host")
    assert "GERBANG_ALLOWED_HOSTS" in answer.json["error"]["message"]


def test_the_control_api_takes_json_that_says_so(sqlite_gateway: RunningGateway) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None):
        answer = sqlite_gateway.request(
            "POST", "/sandbox/v1/clock", b'{"advance_s": 1}', {} if kind is None else {"Content-Type": kind}
        )
        assert (answer.status, answer.json["error"]["code"]) == (415, "not_json"), kind

    assert (
        sqlite_gateway.request(
            "POST", "/sandbox/v1/clock", b'{"advance_s": 1}', {"Content-Type": "application/json; charset=utf-8"}
        ).status
        == 200
    )
    assert sqlite_gateway.request("POST", RESET).status == 200, "nothing to send needs no type"


def test_no_redirect_is_built_from_a_header(sqlite_gateway: RunningGateway) -> None:
    for path in ("/wallet/pay/x/", "/how-to-pay/x/", "/card/x/", "/healthz/", "/demo", "/"):
        answer = sqlite_gateway.request("GET", path, headers={"Host": "evil.example"})
        assert "evil" not in answer.headers.get("location", ""), path


class _EvilSite:
    """A page that tries every way a browser has to reach the sandbox."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<!doctype html><title>evil</title>")

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def evil() -> Iterator[_EvilSite]:
    site = _EvilSite()
    yield site
    site.server.shutdown()
    site.server.server_close()


TRY = """async ([base, form]) => {
  const tried = []
  const send = async (path, how) => {
    try { const answer = await fetch(base + path, how); tried.push(answer.type === 'opaque' ? 'opaque' : [answer.status, (await answer.text()).slice(0, 300)]) }
    catch (error) { tried.push('refused') }
  }
  await send('/sandbox/v1/reset', {method: 'POST', mode: 'no-cors'})
  await send('/sandbox/v1/reset', {method: 'POST', mode: 'no-cors', body: '{}', headers: {'Content-Type': 'text/plain'}, referrerPolicy: 'no-referrer'})
  await send('/sandbox/v1/messages', {})
  await send('/sandbox/v1/messages', {mode: 'no-cors'})
  if (form) {
    const it = document.createElement('form')
    Object.assign(it, {method: 'post', action: base + '/sandbox/v1/reset', target: 'frame'})
    const frame = document.createElement('iframe')
    frame.name = 'frame'
    document.body.append(frame, it)
    const loaded = new Promise(done => frame.addEventListener('load', done, {once: true}))
    it.submit()
    await Promise.race([loaded, new Promise(done => setTimeout(done, 2000))])
  }
  return tried
}"""


@pytest.mark.browser
def test_a_page_of_somebody_else_in_a_real_browser_neither_acts_nor_reads(evil: _EvilSite) -> None:
    """Under every name that leads to this machine; rebinding is a name that first led to its own server and now leads to ours."""
    with lent_gateway() as running, launched_browser("--host-resolver-rules=MAP *.example 127.0.0.1") as chromium:
        running.create_order()
        port = urlsplit(running.url).port
        page = chromium.new_page()
        page.goto(f"http://evil.example:{evil.port}/")
        for host in ("evil.example", "other.example", "0.0.0.0", "[::ffff:127.0.0.1]", "127.0.0.1", "localhost"):
            for told in page.evaluate(TRY, [f"http://{host}:{port}", True]):
                assert told in ("opaque", "refused") or told[0] == 403, (host, told)
            assert count(running) == 1, host

        # The same origin as the sandbox's own address: scheme, name and port are what the browser goes by.
        page.goto(f"http://rebound.example:{port}/healthz")
        for told in page.evaluate(TRY, ["", True]):
            assert told == "opaque" or json.loads(told[1])["error"]["code"] == "unknown_host", told
        assert count(running) == 1

        page.goto(f"http://localhost:{evil.port}/")
        for told in page.evaluate(TRY, [f"http://localhost:{port}", True]):
            assert told in ("opaque", "refused") or told[0] == 403, told
        assert count(running) == 1
