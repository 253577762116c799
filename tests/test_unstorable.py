"""Dates at the ends of the calendar, and texts with a NUL or half a surrogate pair: refused as documented, on both engines."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gerbang.merchants.records import is_absolute_url
from gerbang.protocols.snap.times import parse_time
from support.gateway import RunningGateway
from support.rooms import Rooms, send


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59+07:00", "3000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00",
             "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "99991231T23:59:59.000+07:00"]
)  # fmt: skip
def test_a_time_at_the_ends_of_the_calendar_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"range|year"):
        parse_time(text)


UNSTORABLE = ("a\x00b", "\ud800", "a\udfffb")


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where texts stand in a body."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*way, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*way, index))
    elif isinstance(value, str):
        yield way


def put(body: Any, way: tuple[Any, ...], text: str) -> Any:
    changed = copy.deepcopy(body)
    place = changed
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = text
    return changed


def test_a_text_that_could_not_be_stored_is_refused_in_every_field_of_every_call_known_or_not(gateway: RunningGateway) -> None:
    rooms = Rooms(gateway)
    for channel in gateway.gateway.channels.values():
        for endpoint in channel.endpoints:
            if endpoint.request is None or endpoint.family == "snap" or rooms.follows(channel, endpoint):
                continue
            body = rooms.sample(channel, endpoint)
            body.setdefault("additional_info", {}) if isinstance(body.get("additional_info", {}), dict) else None
            body["no_such_field"] = {"deep": ["text"]}
            for number, way in enumerate(places(body)):
                if way[:1] in (("client",), ("security",)):
                    continue  # who calls is read before anything else
                text = UNSTORABLE[0 if endpoint.body_signature else number % 3]  # half a pair has no check sum
                answer = send(gateway, endpoint, put(body, way, text))
                assert (answer.status, answer.json["error"]["type"]) == (400, "Invalid Parameter"), (
                    endpoint.path,
                    way,
                    answer.body,
                )


def test_names_in_paths_and_forms_may_hold_a_nul_and_are_not_found(gateway: RunningGateway) -> None:
    for path in ("/wallet/pay/%00", "/wallet/bind/%00", "/wallet/purchase/a%00", "/how-to-pay/alfa/%00", "/simulators/linkaja/%00",
                 "/simulators/bank/%00", "/credit-card/pay/%00", "/credit-card/3ds/%00", "/orders/v1/status/%00", "/assets/%00"):  # fmt: skip
        for method in ("GET", "POST"):
            answer = gateway.request(method, path, b"action=pay&pin=%00" if method == "POST" else None)
            assert answer.status < 500, (method, path, answer.body)


RIGHT = (
    "http://localhost:8000/n", "https://toko.example/n?x=%20", "http://[::1]:9/n", "https://xn--80ak6aa92e.com/", "https://tōkō.example/n",
    "http://my_host/n", "http://a-b.c/n", "http://127.0.0.1", "https://toko.example./n", "http://" + "a" * 63 + ".id/n", "http://u:p@toko.example/n",
)  # fmt: skip
WRONG = (
    "http://%/n", "http://./n", "http://-bad-.id/n", "http://bad-.id/n", "http://a..b/n", "http://" + "a" * 64 + ".id/n", "http:///n", "http://:80/n",
    "http://toko.example:0/n", "http://toko.example:99999/n", "http://toko.example:x/n", "http://[::1/n", "http://[fe80::1%25eth0]/n", "http://[zz]/n",
    "http://a b/n", "http://a\\b/n", "ftp://toko.example/n", "//toko.example/n", "toko.example/n", "http://" + "a." * 130 + "id/n", "http://*.id/n",
    "http://" + "ü" * 64 + ".id/n", "http://a,b/n",
)  # fmt: skip


def test_an_address_that_can_never_be_called_is_none() -> None:
    assert [url for url in RIGHT if not is_absolute_url(url)] == []
    assert [url for url in WRONG if is_absolute_url(url)] == []


CALLED = ("override_notification_url", "notify_url", "callback_url", "callback_url_cancel", "success_url", "failed_url")


def test_such_an_address_is_refused_wherever_one_is_taken(sqlite_gateway: RunningGateway) -> None:
    wrong = "http://-bad-.id/n"
    for field in ("notification_url", "snap_token_url"):
        answer = sqlite_gateway.request("POST", "/sandbox/v1/merchants", json.dumps({"name": "Toko", field: wrong}).encode())
        assert answer.status == 400, (field, answer.body)
    rooms = Rooms(sqlite_gateway)
    for channel in sqlite_gateway.gateway.channels.values():
        for endpoint in channel.endpoints:
            if endpoint.request is None or endpoint.family == "snap" or rooms.follows(channel, endpoint):
                continue
            body = rooms.sample(channel, endpoint)
            for way in places(body):
                if way[-1] in CALLED:
                    answer = send(sqlite_gateway, endpoint, put(body, way, wrong))
                    assert answer.status == 400, (endpoint.path, way, answer.body)
