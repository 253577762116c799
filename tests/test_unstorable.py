"""Dates at the ends of the calendar, and texts with a NUL or half a surrogate pair: refused as documented, on both engines."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from gerbang.channel import Channel
from gerbang.cli import main
from gerbang.endpoint import Endpoint
from gerbang.protocols.snap.times import parse_time
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import BadSettings, load_settings
from gerbang.urls import is_absolute_url
from gerbang.wallet.demo import DEMO_ACCOUNTS
from support.gateway import RunningGateway, lent_gateway
from support.rooms import Rooms, send
from support.snap import SnapCaller, assert_snap_error
from support.wire import Way, fields, is_address, named, put, snap_body

PAYER = DEMO_ACCOUNTS[0].phone
ENDS = (
    "9999-12-31T23:59:59Z", "9999-12-31T23:59:59+07:00", "3000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "99991231T23:59:59.000+07:00",
)  # fmt: skip


def test_a_time_at_the_ends_of_the_calendar_is_no_time() -> None:
    for text in ENDS:
        with pytest.raises(ValueError, match=r"range|year"):
            parse_time(text)


def customer_token(running: RunningGateway) -> tuple[SnapCaller, str]:
    caller = SnapCaller(running)
    return caller, caller.customer_token(PAYER)


def endpoints(running: RunningGateway, family: str) -> Iterator[tuple[Channel, Endpoint]]:
    for channel in running.gateway.channels.values():
        yield from ((channel, one) for one in channel.endpoints if one.family == family and one.request is not None)


# Read by nobody, so that any text of the right length may stand there.
NOT_READ = {"transactionDate"}


def test_a_time_at_the_ends_of_the_calendar_is_refused_in_every_field_that_is_read(gateway: RunningGateway) -> None:
    caller, token = customer_token(gateway)
    read = set()
    for _, endpoint in endpoints(gateway, "snap"):
        for way, _, meta in fields(endpoint.request):
            if not any("ISO 8601" in (one.description or "") for one in meta):
                continue
            for text in ENDS:
                body = put(snap_body(endpoint, PAYER), way, text)
                answer = caller.call(endpoint.path, body, customer=token if endpoint.needs_customer else None)
                if way[-1] in NOT_READ:
                    assert answer.status < 500, (endpoint.path, answer.body)
                    continue
                read.add(way[-1])
                assert_snap_error(answer, f"400{endpoint.service_code}01", f"Invalid Field Format {{{way[-1]}}}")
    assert read == {"validUpTo", "fromDateTime", "toDateTime"}


@pytest.mark.parametrize("window_s", [0, 900])
def test_a_time_at_the_ends_of_the_calendar_in_a_header_is_refused_as_any_other(window_s: int) -> None:
    with lent_gateway(request_timestamp_window_s=window_s, snap_timestamp_window_s=window_s) as running:
        caller = SnapCaller(running)
        for text in (*ENDS, "9999-12-31T23:59:59.999999999Z"):
            answer = running.signed("GET", "/orders/v1/status/none", headers={"Request-Timestamp": text})
            assert answer.status == (404 if window_s == 0 and is_utc_second(text) else 400), (text, answer.body)
            assert caller.ask_token(timestamp=text).status == 400
            assert caller.call("/snap-adapter/b2b/v1.0/emoney/topup", {}, token="none", timestamp=text).status == 400


def is_utc_second(text: str) -> bool:
    """Whether the header is well formed, so that a window of 0 lets it pass: what is signed is the text."""
    return re.fullmatch(r"(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", text) is not None


def test_a_time_at_the_ends_of_the_calendar_is_told_as_such_on_the_command_line(tmp_path: Path) -> None:
    sign = ["sign", "GET", "/orders/v1/status/INV-1", "--secret-key", "SK-1", "--request-id", "R1", "--timestamp"]
    wrong, snap = ["--compare", "HMACSHA256=" + base64.b64encode(bytes(32)).decode()], ["--snap", "--access-token", "T"]
    for text in (*ENDS, "0001-01-01T00:00:00", "9999-12-31"):
        for args in (
            ["clock", "set", text],
            [*sign, text, *wrong],
            [*sign, text, *snap, "--compare", base64.b64encode(bytes(64)).decode()],
        ):
            ended = CliRunner().invoke(main, ["--data", str(tmp_path / "none.db"), *args])
            assert isinstance(ended.exception, SystemExit), (args, ended.exception)


def test_the_longest_time_to_pay_still_has_a_page_and_a_longer_one_is_refused(gateway: RunningGateway) -> None:
    rooms, tried = Rooms(gateway), set()
    gateway.control("POST", "/clock", {"advance_s": 49 * 365 * 86_400})
    for channel, endpoint in endpoints(gateway, "nonsnap"):
        for way, kind, meta in fields(endpoint.request):
            most = next((one.le for one in meta if one.le is not None), None)
            if kind is not int or way[-1] != "expired_time":
                continue
            assert most is not None, (endpoint.path, way)
            tried.add(endpoint.path)
            for minutes in (most + 1, 10**18, 10**30, "9" * 30, -1, 0):
                answer = send(gateway, endpoint, put(rooms.sample(channel, endpoint), way, minutes))
                assert (answer.status, named(way) in answer.json["error"]["message"]) == (400, True), (endpoint.path, answer.body)
            body = put(rooms.sample(channel, endpoint), way, most)
            assert send(gateway, endpoint, body).status == 200, endpoint.path
            invoice = body["order"]["invoice_number"]
            record = gateway.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={invoice}")
            pages = [url for url in texts(record) if url.startswith(gateway.url)]
            assert all(gateway.request("GET", url.removeprefix(gateway.url)).status == 200 for url in pages), pages
    assert len(tried) >= 7
    gateway.control("POST", "/clock", {"reset": True})


def texts(value: Any) -> Iterator[str]:
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(inner)
    if isinstance(value, str):
        yield value


UNSTORABLE = ("a\x00b", "\ud800", "a\udfffb")


def places(value: Any, way: Way = ()) -> Iterator[Way]:
    """Where texts stand in a body."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*way, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*way, index))
    elif isinstance(value, str):
        yield way


def test_every_phone_number_of_every_call_is_read_as_one(sqlite_gateway: RunningGateway) -> None:
    """Decision D-6: where a number is read, not in each action, so that no call forgets it."""
    found = set()
    for family in ("nonsnap", "snap"):
        for _, endpoint in endpoints(sqlite_gateway, family):
            for way, _, meta in fields(endpoint.request):
                if way[-1] in ("phone", "phoneNo", "ovo_id"):
                    assert any((one.extra_json_schema or {}).get("format") == "phone" for one in meta), (endpoint.path, way)
                    found.add(named(way))
    assert found == {"customer.phone", "billing_address.phone", "shipping_address.phone", "phoneNo", "ovo_info.ovo_id"}


def test_a_text_that_could_not_be_stored_is_refused_in_every_field_of_every_call_known_or_not(gateway: RunningGateway) -> None:
    rooms = Rooms(gateway)
    for channel, endpoint in endpoints(gateway, "nonsnap"):
        if rooms.follows(channel, endpoint):
            continue
        body = rooms.sample(channel, endpoint)
        body.setdefault("additional_info", {}) if isinstance(body.get("additional_info", {}), dict) else None
        body["no_such_field"] = {"deep": ["text"]}
        for number, way in enumerate(places(body)):
            if way[:1] in (("client",), ("security",)):
                continue  # who calls is read before anything else
            text = UNSTORABLE[0 if endpoint.body_signature else number % 3]  # half a pair has no check sum
            answer = send(gateway, endpoint, put(body, way, text))
            assert (answer.status, answer.json["error"]["type"]) == (400, "Invalid Parameter"), (endpoint.path, way, answer.body)
    caller, token = customer_token(gateway)
    for _, endpoint in endpoints(gateway, "snap"):
        body = {**snap_body(endpoint, PAYER), "additionalInfo": {"no": {"such": ["field"]}}, "noSuchField": ["text"]}
        for number, way in enumerate(places(body)):
            text = UNSTORABLE[number % 3]
            raw = json.dumps(put(body, way, text)).encode()
            answer = caller.call(endpoint.path, raw, customer=token if endpoint.needs_customer else None)
            if "\x00" in text:
                assert_snap_error(answer, f"400{endpoint.service_code}01", f"Invalid Field Format {{{named(way)}}}")
            else:  # half a pair is no text in JSON
                assert_snap_error(answer, f"400{endpoint.service_code}00", "Bad Request")


def test_names_in_paths_and_forms_may_hold_a_nul_and_are_not_found(gateway: RunningGateway) -> None:
    for path in ("/wallet/pay/%00", "/wallet/bind/%00", "/wallet/purchase/a%00", "/how-to-pay/alfa/%00", "/simulators/linkaja/%00",
                 "/simulators/bank/%00", "/credit-card/pay/%00", "/credit-card/3ds/%00", "/orders/v1/status/%00", "/assets/%00"):  # fmt: skip
        for method in ("GET", "POST"):
            answer = gateway.request(method, path, b"action=pay&pin=%00" if method == "POST" else None)
            assert answer.status < 500, (method, path, answer.body)


def test_a_form_with_a_text_that_could_not_be_stored_is_refused_on_every_page(gateway: RunningGateway) -> None:
    """A multipart form says itself how its texts are encoded."""
    channels, rooms = gateway.gateway.channels, Rooms(gateway)
    pages = {
        url for code in ("EMONEY_DOKU", "CREDIT_CARD", "EMONEY_LINKAJA") for url in texts(rooms.order(channels[code]).answer.json)
    }
    paths = [url.removeprefix(gateway.url) for url in pages if url.startswith(gateway.url)]
    paths += ["/wallet/upgrade", "/simulators/alfa", "/simulators/indomaret"]
    assert len(paths) >= 6
    for path in paths:
        for value, kind in (
            ("a\x00b", "application/x-www-form-urlencoded"),
            ("\\ud800", "multipart/form-data; boundary=B; charset=unicode_escape"),
            ("\\ud800", "multipart/form-data; boundary=B; charset=punycode"),
        ):
            shown = gateway.request("GET", path)
            names = {"phone", "pin", "code", "attempt", "action", "name", *re.findall(r'name="([^"]+)"', shown.body.decode())}
            typed = {name: "pay" if name == "action" else value for name in names}
            parts = [f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{one}\r\n' for name, one in typed.items()]
            body = "".join([*parts, "--B--\r\n"]) if "B" in kind else urlencode(typed)
            answer = gateway.request("POST", path, body.encode(), {"Content-Type": kind})
            assert answer.status in (400, 403), (path, kind, answer.status, answer.body)


RIGHT = (
    "http://localhost:8000/n", "https://toko.example/n?x=%20", "http://[::1]:9/n", "https://xn--80ak6aa92e.com/", "https://tōkō.example/n",
    "http://my_host/n", "http://a-b.c/n", "http://127.0.0.1", "https://toko.example./n", "http://" + "a" * 63 + ".id/n", "http://u:p@toko.example/n",
    "http://127.1/n", "http://0x7f.1/n", "http://2130706433/n", "http://a.id:/n", "HTTP://a.id/n", "http://a。id/n", "http://u@[::1]:80/n",
)  # fmt: skip
WRONG = (
    "http://%/n", "http://./n", "http://-bad-.id/n", "http://bad-.id/n", "http://a..b/n", "http://" + "a" * 64 + ".id/n", "http:///n", "http://:80/n",
    "http://toko.example:0/n", "http://toko.example:99999/n", "http://toko.example:x/n", "http://[::1/n", "http://[fe80::1%25eth0]/n", "http://[zz]/n",
    "http://a b/n", "http://a\\b/n", "ftp://toko.example/n", "//toko.example/n", "toko.example/n", "http://" + "a." * 130 + "id/n", "http://*.id/n",
    "http://" + "ü" * 64 + ".id/n", "http://a,b/n", "http://[::1]x/n", "http://x[::1]/n", "http://[v1.x]/n", "http://256.1.1.1/n", "http://1.2.3.4.5/n",
    "http://shop.0x/n", "http://u@/n", "http://a\nb/n", "http://a.id/\x7f", "http://a.id/\u202e", "http://a.id/" + "x" * 2048, "http://xn--/n",
)  # fmt: skip


def test_an_address_that_can_never_be_called_is_none() -> None:
    assert [url for url in RIGHT if not is_absolute_url(url)] == []
    assert [url for url in WRONG if is_absolute_url(url)] == []


def test_such_an_address_is_refused_wherever_one_is_taken(sqlite_gateway: RunningGateway) -> None:
    wrong, data = "http://bad-.id/n", sqlite_gateway.gateway.settings.data
    for field in ("notification_url", "snap_token_url"):
        answer = sqlite_gateway.request("POST", "/sandbox/v1/merchants", json.dumps({"name": "Toko", field: wrong}).encode())
        assert answer.status == 400, (field, answer.body)
        option = "--" + field.replace("_", "-")
        ended = CliRunner().invoke(main, ["--data", data, "merchant", "create", "--name", "Toko", option, wrong])
        assert (ended.exit_code in (1, 2), "http" in ended.output) == (True, True), ended.output
    for field in ("url", "checkout_url", "state_url"):
        told = {"url": "http://localhost/n", field: wrong + "/{invoice}"}
        answer = sqlite_gateway.request("POST", "/sandbox/v1/score", json.dumps(told).encode())
        assert (answer.status, "address" in answer.json["error"]["message"]) == (400, True), (field, answer.body)
    for field in ("public_url", "ewallet_default_success_url"):
        with pytest.raises(BadSettings, match=field):
            load_settings(env={}, given={field: "http://bad-.id"})
    rooms, tried = Rooms(sqlite_gateway), set()
    for channel, endpoint in endpoints(sqlite_gateway, "nonsnap"):
        ways = [way for way, _, meta in fields(endpoint.request) if is_address(meta)]
        body = rooms.sample(channel, endpoint) if ways else {}
        for way in ways:
            body = put(body, way, "http://localhost/right")
        for way in ways:
            tried.add(way[-1])
            answer = send(sqlite_gateway, endpoint, put(body, way, wrong))
            assert (answer.status, named(way) in answer.json["error"]["message"]) == (400, True), (way, answer.body)
    caller, token = customer_token(sqlite_gateway)
    for _, endpoint in endpoints(sqlite_gateway, "snap"):
        body = snap_body(endpoint, PAYER)
        changed = [(way, put(body, way, wrong)) for way, _, meta in fields(endpoint.request) if is_address(meta)]
        for kind in ("PAY_RETURN", "PAY_NOTIFY") if "urlParam" in body else ():
            changed.append((("urlParam", 0, "url"), put(body, ("urlParam", 0), {"url": wrong, "type": kind})))
        for way, sent in changed:
            tried.add(way[-1])
            answer = caller.call(endpoint.path, sent, customer=token if endpoint.needs_customer else None)
            assert_snap_error(answer, f"400{endpoint.service_code}01", f"Invalid Field Format {{{named(way)}}}")
    assert tried >= {
        "override_notification_url",
        "notify_url",
        "callback_url",
        "success_url",
        "redirect_url",
        "redirectUrl",
        "url",
    }
