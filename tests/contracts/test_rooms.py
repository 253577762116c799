"""Promises that every channel keeps, written once and run over all rooms found.

A room takes part by being there and by having `transcripts/` with a successful conversation for each endpoint: the requests
sent here are those, with an invoice number of their own.
"""

import copy
import json
import math
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gerbang.channel import Channel, all_channels
from gerbang.endpoint import Endpoint
from gerbang.payments import PaymentState
from gerbang.protocols.nonsnap.notification import STATUS_WORD
from gerbang.protocols.nonsnap.status import StatusResponse
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import assert_genuine
from support.rooms import Rooms, renew, send
from support.snap import SnapCaller

EVERY_ROOM = [pytest.param(channel, id=code) for code, channel in all_channels().items()]
# Rooms of the Client-Id style. SNAP has rules of its own, tested in tests/test_snap_*.py and in its rooms.
ROOMS = [
    pytest.param(channel, id=code)
    for code, channel in all_channels().items()
    if any(endpoint.family == "nonsnap" for endpoint in channel.endpoints)
]
ENDPOINTS = [
    pytest.param(channel, endpoint, id=f"{endpoint.method} {endpoint.path}")
    for channel in all_channels().values()
    for endpoint in channel.endpoints
    if endpoint.family == "nonsnap"
]
SNAP_ENDPOINTS = [
    pytest.param(channel, endpoint, id=f"{endpoint.method} {endpoint.path}")
    for channel in all_channels().values()
    for endpoint in channel.endpoints
    if endpoint.family == "snap"
]
PLAYED = [
    pytest.param(channel, outcome, id=f"{code}-{outcome}")
    for code, channel in all_channels().items()
    if any(endpoint.family == "nonsnap" for endpoint in channel.endpoints)
    for outcome in channel.outcomes
]
GIVING_BACK = [
    pytest.param(channel, endpoint, id=endpoint.path)
    for channel in all_channels().values()
    for endpoint in channel.endpoints
    if endpoint.family == "nonsnap" and endpoint.path.rpartition("/")[2] in ("refund", "cancel")
]
# What an outcome ends as, where that is another word, and what does not end at once.
ENDS_AS = {
    "NOT_ENOUGH": "FAILED",
    "NO_ANSWER": "EXPIRED",
    "SLOW": "SUCCESS",
    "PAID_TWICE": "SUCCESS",
    "PAID_LATE": "EXPIRED",
}
LASTS = ("NO_ANSWER", "SLOW", "PAID_LATE")
# Contract §3.2: code → statuses and types. Whatever a room refuses, it refuses in these words.
DOCUMENTED = {
    "invalid_header_request": ({400}, "invalid_request_error"),
    "request_time_out_of_range": ({400}, "invalid_request_error"),
    "invalid_client_id": ({400}, "invalid_request_error"),
    "invalid_signature": ({400}, "invalid_request_error"),
    "idempotent_request": ({409}, "invalid_request_error"),
    "data_not_found": ({404}, "invalid_request_error"),
    "INVALID_PARAMETER": ({400, 413}, "Invalid Parameter"),
    "CHANNEL_NOT_ENABLED": ({400}, "Invalid Parameter"),
}
COMMON_BLOCKS = {"service", "acquirer", "channel", "order", "transaction", "additional_info"}
FUZZED = 200  # requests at each endpoint
ODD: list[Any] = [None, "", " ", "\x00", "x" * 5000, 0, -1, 1.5, 10**30, True, [], {}, [[]], {"a": 1}, "www.doku.com", "é"]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(ovo_timeout_s=0.05) as one:
        yield one


@pytest.fixture(scope="module")
def rooms(running: RunningGateway) -> Rooms:
    return Rooms(running)


def paths_in(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value inside a body, the body itself left out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, child in inner for path in ((*at, key), *paths_in(child, (*at, key)))]


def changed(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed_body = copy.deepcopy(body)
    place: Any = changed_body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed_body


def assert_documented(answer: Answer) -> None:
    error = answer.json["error"]
    statuses, kind = DOCUMENTED[error["code"]]
    assert answer.status in statuses
    assert error["type"] == kind
    assert set(answer.json) == {"error"}
    assert set(error) == {"code", "message", "type"}
    assert "{" not in error["message"]
    assert "SUCCESS" not in error["message"]


def test_rooms_were_found() -> None:
    assert "EMONEY_DOKU" in all_channels()


@pytest.mark.parametrize("channel", EVERY_ROOM)
def test_a_room_says_what_it_is(channel: Channel) -> None:
    assert channel.title
    assert channel.service_id in {
        "VIRTUAL_ACCOUNT",
        "ONLINE_TO_OFFLINE",
        "EMONEY",
        "PEER_TO_PEER",
        "DIGITAL_BANKING",
        "CREDIT_CARD",
        "DIRECT_DEBIT",
        "QRIS",
    }
    assert channel.acquirer_id
    assert channel.endpoints
    for endpoint in channel.endpoints:
        assert endpoint.summary
        assert endpoint.source
        # D-12: only LinkAja's documents (and one client) sign without the Digest line.
        assert not endpoint.digestless_signature or endpoint.path.startswith("/linkaja-emoney/")


def test_no_two_rooms_answer_the_same_call() -> None:
    calls = [(endpoint.method, endpoint.path) for channel in all_channels().values() for endpoint in channel.endpoints]

    assert len(calls) == len(set(calls))


@pytest.mark.parametrize(("channel", "endpoint"), ENDPOINTS)
def test_the_wire_structs_describe_themselves(channel: Channel, endpoint: Endpoint) -> None:
    """What the published description is made from; a type that has no schema would be missing there."""
    for struct in filter(None, (endpoint.request, endpoint.response)):
        schema = msgspec.json.schema(struct)
        described = schema["$defs"][struct.__name__]
        assert described["type"] == "object"
        assert described["properties"]
    assert (endpoint.request is None) is (endpoint.method == "GET")


@pytest.mark.parametrize(("channel", "endpoint"), ENDPOINTS)
def test_an_answer_is_what_its_struct_says_and_nothing_else(rooms: Rooms, channel: Channel, endpoint: Endpoint) -> None:
    answer = send(rooms.running, endpoint, rooms.sample(channel, endpoint))

    assert answer.status == 200, answer.body
    read = msgspec.json.decode(answer.body, type=endpoint.response)
    assert msgspec.json.decode(msgspec.json.encode(read)) == answer.json
    assert_genuine(answer, endpoint.method, endpoint.path)


@pytest.mark.parametrize(("channel", "endpoint"), ENDPOINTS)
def test_a_repeat_gets_the_same_bytes(rooms: Rooms, channel: Channel, endpoint: Endpoint) -> None:
    """D-3."""
    body, request_id = rooms.sample(channel, endpoint), uuid.uuid4().hex

    first, repeat = [send(rooms.running, endpoint, body, request_id=request_id) for _ in range(2)]

    assert (first.status, repeat.status) == (200, 409)
    assert repeat.body == first.body


@pytest.mark.parametrize(("channel", "endpoint"), ENDPOINTS)
def test_refusals_use_documented_codes_only(rooms: Rooms, channel: Channel, endpoint: Endpoint) -> None:
    """The values of a good request replaced by odd ones: refused as documented, or accepted; nothing else.

    Where that would be more than `FUZZED` requests each value meets only some of the odd ones, its neighbour the others.
    """
    refused = 0
    whole = rooms.sample(channel, endpoint)
    opens_an_order = not rooms.follows(channel, endpoint)
    paths = paths_in(whole)
    every = math.ceil(len(paths) * len(ODD) / FUZZED)
    for number, path in enumerate(paths):
        for odd in ODD[number % every :: every]:
            body = changed(whole, path, odd)
            if opens_an_order and isinstance(body.get("order"), dict):
                renew(body, path)

            answer = send(rooms.running, endpoint, body)

            assert answer.status in (200, 400), (path, odd, answer.body)
            if answer.status == 400:
                refused += 1
                assert_documented(answer)
    assert refused > len(ODD)


@pytest.mark.parametrize(("channel", "endpoint"), ENDPOINTS)
@pytest.mark.parametrize(
    "spoil",
    [
        {"Client-Id": ""},
        {"Client-Id": "BRN-NOBODY"},
        {"Request-Id": "x" * 129},
        {"Request-Timestamp": "now"},
        {"Request-Timestamp": "2020-01-01T00:00:00Z"},
        {"Signature": "HMACSHA256=AAAA"},
    ],
    ids=["no client", "unknown client", "long id", "no time", "old", "signature"],
)
def test_the_guard_stands_before_every_endpoint(
    rooms: Rooms, channel: Channel, endpoint: Endpoint, spoil: dict[str, str]
) -> None:
    """D-4."""
    answer = send(rooms.running, endpoint, rooms.sample(channel, endpoint), headers=spoil)

    assert_documented(answer)
    assert answer.json["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(("channel", "endpoint"), SNAP_ENDPOINTS)
@pytest.mark.parametrize("spoil", ["no token", "signature", "stranger"])
def test_the_guard_stands_before_every_snap_endpoint(rooms: Rooms, channel: Channel, endpoint: Endpoint, spoil: str) -> None:
    """Refused before anything in the body is looked at; the code says which service refused."""
    caller = SnapCaller(rooms.running)
    wrong = {
        "no token": {"Authorization": ""},
        "signature": {"X-SIGNATURE": "AAAA"},
        "stranger": {"X-PARTNER-ID": "BRN-NOBODY"},
    }[spoil]

    answer = caller.call(endpoint.path, {}, headers=wrong)

    assert set(answer.json) == {"responseCode", "responseMessage"}
    assert answer.json["responseCode"][:5] in (f"400{endpoint.service_code}", f"401{endpoint.service_code}")
    assert answer.json["responseCode"][:3] == str(answer.status)


@pytest.mark.parametrize("channel", EVERY_ROOM)
def test_the_published_description_lists_every_endpoint(rooms: Rooms, channel: Channel) -> None:
    described = rooms.running.request("GET", "/openapi.json").json["paths"]

    for endpoint in channel.endpoints:
        call = described[endpoint.path][endpoint.method.lower()]
        assert call["summary"] == endpoint.summary
        assert call["tags"] == ["snap" if endpoint.family == "snap" else "signed"]
        assert "requestBody" in call


@pytest.mark.parametrize(("channel", "outcome"), PLAYED)
def test_every_outcome_can_be_played_and_all_tell_the_same_story(rooms: Rooms, channel: Channel, outcome: str) -> None:
    """D-7, D-8: the record, check status and the notification agree; the room's own blocks stand beside the common ones.

    Where a buyer may try another card (decision D-9) one that was declined leaves the payment open, and can be declined again.
    """
    order = rooms.order(channel)
    stays_open = channel.many_attempts and outcome == "FAILED"

    played = order.play(outcome)
    assert played.status == 200, played.body
    if outcome in LASTS:
        assert order.payment["state"] == "PENDING"
        assert order.status["transaction"]["status"] in ("PENDING", "TIMEOUT")
        assert order.record["notifications"] == []
        order.later(21) if outcome == "SLOW" else order.over()
    again = order.play(outcome)

    ends_as = ENDS_AS.get(outcome, outcome)
    payment, status = order.payment, order.status
    told = [json.loads(one["body"]) for one in order.record["notifications"]]
    assert payment["state"] == ("PENDING" if stays_open else ends_as)
    assert again.status == (200 if stays_open else 409)
    assert status["transaction"]["status"] == STATUS_WORD[PaymentState(ends_as)]
    assert status["channel"]["id"] == channel.code
    assert COMMON_BLOCKS - {"additional_info"} <= set(status)
    if stays_open:
        told = told[-1:]  # told again when it was declined again, perhaps in another second: check status speaks of the last
    if channel.status is None:
        read = msgspec.convert(status, StatusResponse)
        assert msgspec.json.decode(msgspec.json.encode(read)) == status
        assert told == ([] if ends_as == "EXPIRED" else [status])
    else:
        assert [common(one) for one in told] == ([] if ends_as == "EXPIRED" else [common(status)])


def common(body: dict[str, Any]) -> dict[str, Any]:
    """What check status and a notification say in the same words, whatever a room's documents add to either."""
    return {
        "order": {name: body["order"][name] for name in ("invoice_number", "amount")},
        "transaction": {name: body["transaction"][name] for name in ("status", "date", "original_request_id")},
        **{name: body[name]["id"] for name in ("service", "acquirer", "channel")},
        "additional_info": body.get("additional_info"),
    }


@pytest.mark.parametrize(("channel", "endpoint"), GIVING_BACK)
def test_what_is_taken_back_is_said_by_check_status(rooms: Rooms, channel: Channel, endpoint: Endpoint) -> None:
    """D-7: REFUNDED or VOIDED once money went back; an order that was never paid is FAILED."""
    body = rooms.sample(channel, endpoint)

    answer = send(rooms.running, endpoint, body)

    assert answer.status == 200, answer.body
    invoice = body["order"]["invoice_number"]
    payment = rooms.running.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={invoice}")["payments"][-1]
    said = rooms.running.status(invoice).json["transaction"]["status"]
    assert said == STATUS_WORD[PaymentState(payment["state"])]
    if payment["charged"]:
        whole = payment["refunded"] == payment["charged"]
        assert payment["refunded"] > 0
        assert payment["state"] in (("REFUNDED", "VOIDED") if whole else ("SUCCESS", "AUTHORISED"))
        assert [refund["state"] for refund in payment["refunds"]] == ["SUCCESS"]
        assert payment["refunds"][0]["transfers"]
    else:
        assert payment["state"] in ("CANCELLED", "VOIDED")
        assert not payment["transfers"]


@pytest.mark.parametrize("channel", ROOMS)
def test_a_rooms_blocks_hide_no_common_one(rooms: Rooms, channel: Channel) -> None:
    """What `blocks` returns is merged over the common keys."""
    from gerbang.payments import find_order, payments_of
    from gerbang.storage import Tx

    opened = rooms.order(channel)

    def blocks(tx: Tx) -> set[str]:
        order = find_order(tx, DEMO_CLIENT_ID, opened.invoice)
        assert order is not None
        return set(channel.blocks(order, payments_of(tx, order.id)[-1]))

    waiting = rooms.running.database.read_now(blocks)
    assert opened.play("SUCCESS").status == 200
    paid = rooms.running.database.read_now(blocks)

    assert not (waiting | paid) & COMMON_BLOCKS
