"""Promises that every channel keeps, written once and run over all rooms found.

A room takes part by being there and by having `transcripts/` with a successful conversation for each endpoint: the requests
sent here are those, with an invoice number of their own.
"""

import copy
import json
import re
import uuid
from collections.abc import Iterator
from importlib import resources
from typing import Any

import msgspec
import pytest

from gerbang.channel import OUTCOMES, Channel, all_channels
from gerbang.endpoint import Endpoint
from gerbang.payments import PaymentState
from gerbang.protocols.nonsnap.notification import STATUS_WORD
from gerbang.protocols.nonsnap.status import StatusResponse
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from support.gateway import Answer, RunningGateway
from support.nonsnap import assert_genuine, served

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
NOBODY = "http://127.0.0.1:9/notify"  # nothing listens there, and nothing leaves this machine
PLACEHOLDER = re.compile(r"\{[a-z]+\}")
COMMON_BLOCKS = {"service", "acquirer", "channel", "order", "transaction", "additional_info"}
ODD = [None, "", " ", "\x00", "x" * 5000, 0, -1, 1.5, 10**30, True, [], {}, [[]], {"a": 1}, "www.doku.com", "é"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with served(tmp_path_factory.mktemp("rooms")) as one:
        yield one


def transcripts(channel: Channel) -> list[dict[str, Any]]:
    """A room's own, found beside its code."""
    package = channel.endpoints[0].action.__module__.rpartition(".")[0]
    folder = resources.files(package) / "transcripts"
    return [json.loads(path.read_text(encoding="utf-8")) for path in folder.iterdir() if path.name.endswith(".json")]


def sample(running: RunningGateway, channel: Channel, endpoint: Endpoint) -> dict[str, Any]:
    """The fullest body of the transcripts that this endpoint answered with 200, told nobody, under new invoice numbers.

    A body that names what earlier answers gave (`{authorize}`, `{token}`) is taken to where it can succeed: the conversation is
    held up to there, by the demo merchant.
    """
    found = [
        (transcript["steps"], index)
        for transcript in transcripts(channel)
        for index, step in enumerate(transcript["steps"])
        if "request" in step and step["request"]["target"] == endpoint.path and step["response"]["status"] == 200
    ]
    assert found, f"{endpoint.path} has no successful conversation in the room's transcripts"
    steps, index = max(found, key=lambda one: len(one[0][one[1]]["request"]["body"]))
    fresh: dict[str, str] = {}
    words: dict[str, str] = {}
    if depends(steps[index]["request"]["body"]):
        for step in steps[:index]:
            hold(running, step, fresh, words)
    return told_nobody(steps[index]["request"]["body"], fresh, words)


def depends(text: str) -> bool:
    """Whether something in it was learnt from an earlier answer, or whether it follows an order opened before."""
    return PLACEHOLDER.search(text) is not None or "original_request_id" in text


def hold(running: RunningGateway, step: dict[str, Any], fresh: dict[str, str], words: dict[str, str]) -> None:
    """One step of a conversation, by the demo merchant; what a placeholder stands for is learnt."""
    if "play" in step:
        played = renamed(json.dumps(step["play"]), fresh, words)
        ended = running.control("POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, **json.loads(played)})
        for written, said in zip(step["notifications"], ended["notifications"], strict=True):
            learn(json.loads(written["body"]), json.loads(said["body"]), words)
        return
    request = step["request"]
    if request["method"] == "GET":
        return
    body = told_nobody(request["body"], fresh, words)
    body.setdefault("additional_info", {})["override_notification_url"] = NOBODY  # so that there are notifications to learn from
    said = running.signed(request["method"], request["target"], body, request_id=fresh.get(request["headers"]["Request-Id"]))
    assert said.status == step["response"]["status"], said.body
    learn(json.loads(step["response"]["body"]), said.json, words)
    fresh[request["headers"]["Request-Id"]] = said.headers["request-id"]


def renamed(text: str, fresh: dict[str, str], words: dict[str, str]) -> str:
    """Text with the invoice numbers and Request-Ids of this run, and with what was learnt."""
    for old, new in fresh.items():
        text = text.replace(json.dumps(old), json.dumps(new))
    return PLACEHOLDER.sub(lambda word: words[word[0]], text)


def told_nobody(text: str, fresh: dict[str, str], words: dict[str, str]) -> dict[str, Any]:
    for number in re.findall(r'"invoice_number":"([^"]+)"', text):
        fresh.setdefault(number, uuid.uuid4().hex[:20])
    body: dict[str, Any] = json.loads(renamed(text, fresh, words))
    if "notify_url" in body.get("order", {}):
        body["order"]["notify_url"] = NOBODY
    if "override_notification_url" in body.get("additional_info", {}):
        body["additional_info"]["override_notification_url"] = NOBODY
    return body


def learn(written: Any, said: Any, words: dict[str, str]) -> None:
    """What the placeholders of a transcript are in this run."""
    if isinstance(written, dict) and isinstance(said, dict):
        for name in written.keys() & said.keys():
            learn(written[name], said[name], words)
    elif isinstance(written, list) and isinstance(said, list):
        for one, other in zip(written, said, strict=False):
            learn(one, other, words)
    elif isinstance(written, str) and PLACEHOLDER.fullmatch(written):
        words[written] = said


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


def test_rooms_were_found():
    assert "EMONEY_DOKU" in all_channels()


@pytest.mark.parametrize("channel", EVERY_ROOM)
def test_a_room_says_what_it_is(channel: Channel):
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


def test_no_two_rooms_answer_the_same_call():
    calls = [(endpoint.method, endpoint.path) for channel in all_channels().values() for endpoint in channel.endpoints]

    assert len(calls) == len(set(calls))


@pytest.mark.parametrize(("channel", "endpoint"), ENDPOINTS)
def test_the_wire_structs_describe_themselves(channel: Channel, endpoint: Endpoint):
    """What the published description is made from; a type that has no schema would be missing there."""
    for struct in filter(None, (endpoint.request, endpoint.response)):
        schema = msgspec.json.schema(struct)
        described = schema["$defs"][struct.__name__]
        assert described["type"] == "object"
        assert described["properties"]
    assert (endpoint.request is None) is (endpoint.method == "GET")


@pytest.mark.parametrize(("channel", "endpoint"), ENDPOINTS)
def test_an_answer_is_what_its_struct_says_and_nothing_else(running: RunningGateway, channel: Channel, endpoint: Endpoint):
    answer = running.signed(endpoint.method, endpoint.path, sample(running, channel, endpoint))

    assert answer.status == 200, answer.body
    read = msgspec.json.decode(answer.body, type=endpoint.response)
    assert msgspec.json.decode(msgspec.json.encode(read)) == answer.json
    assert_genuine(answer, endpoint.method, endpoint.path)


@pytest.mark.parametrize(("channel", "endpoint"), ENDPOINTS)
def test_a_repeat_gets_the_same_bytes(running: RunningGateway, channel: Channel, endpoint: Endpoint):
    """D-3."""
    body, request_id = sample(running, channel, endpoint), uuid.uuid4().hex

    first, repeat = [running.signed(endpoint.method, endpoint.path, body, request_id=request_id) for _ in range(2)]

    assert (first.status, repeat.status) == (200, 409)
    assert repeat.body == first.body


@pytest.mark.parametrize(("channel", "endpoint"), ENDPOINTS)
def test_refusals_use_documented_codes_only(running: RunningGateway, channel: Channel, endpoint: Endpoint):
    """Every value of a good request replaced by every odd one: refused as documented, or accepted; nothing else."""
    refused = 0
    whole = sample(running, channel, endpoint)
    opens_an_order = not depends(json.dumps(whole))
    for path in paths_in(whole):
        for odd in ODD:
            body = changed(whole, path, odd)
            if opens_an_order and path != ("order", "invoice_number") and isinstance(body.get("order"), dict):
                body["order"]["invoice_number"] = uuid.uuid4().hex[:20]

            answer = running.signed(endpoint.method, endpoint.path, body)

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
    running: RunningGateway, channel: Channel, endpoint: Endpoint, spoil: dict[str, str]
):
    """D-4."""
    answer = running.signed(endpoint.method, endpoint.path, sample(running, channel, endpoint), headers=spoil)

    assert_documented(answer)
    assert answer.json["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("channel", ROOMS)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_can_be_played_and_all_tell_the_same_story(running: RunningGateway, channel: Channel, outcome: str):
    """D-7, D-8: the record, check status and the notification agree; the room's own blocks stand beside the common ones.

    Where a buyer may try another card (decision D-9) one that was declined leaves the payment open, and can be declined again.
    """
    endpoint = channel.endpoints[0]
    body = sample(running, channel, endpoint)
    invoice = body["order"]["invoice_number"]
    stays_open = channel.drive is not None and outcome == "FAILED"
    assert running.signed(endpoint.method, endpoint.path, body).status == 200

    ended = running.control(
        "POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, "outcome": outcome}
    )
    status = running.status(invoice)
    again = running.request(
        "POST",
        "/sandbox/v1/payments/outcome",
        json.dumps({"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, "outcome": outcome}).encode(),
    )

    assert ended["payments"][-1]["state"] == ("PENDING" if stays_open else outcome)
    assert again.status == (200 if stays_open else 409)
    assert status.json["transaction"]["status"] == STATUS_WORD[PaymentState(outcome)]
    assert status.json["channel"]["id"] == channel.code
    read = msgspec.json.decode(status.body, type=StatusResponse)
    told = [json.loads(one["body"]) for one in ended["notifications"]]
    assert COMMON_BLOCKS - {"additional_info"} <= set(status.json)
    if channel.status is None:
        assert msgspec.json.decode(msgspec.json.encode(read)) == status.json
        assert told == ([] if outcome == "EXPIRED" else [status.json])
    else:
        assert [common(one) for one in told] == ([] if outcome == "EXPIRED" else [common(status.json)])


def common(body: dict[str, Any]) -> dict[str, Any]:
    """What check status and a notification say in the same words, whatever a room's documents add to either."""
    return {
        "order": {name: body["order"][name] for name in ("invoice_number", "amount")},
        "transaction": {name: body["transaction"][name] for name in ("status", "date", "original_request_id")},
        **{name: body[name]["id"] for name in ("service", "acquirer", "channel")},
        "additional_info": body.get("additional_info"),
    }


@pytest.mark.parametrize("channel", ROOMS)
def test_a_rooms_blocks_hide_no_common_one(running: RunningGateway, channel: Channel):
    """What `blocks` returns is merged over the common keys."""
    from gerbang.payments import find_order, payments_of
    from gerbang.storage import Tx

    endpoint = channel.endpoints[0]
    body = sample(running, channel, endpoint)
    running.signed(endpoint.method, endpoint.path, body)
    invoice = body["order"]["invoice_number"]

    def blocks(tx: Tx) -> set[str]:
        order = find_order(tx, DEMO_CLIENT_ID, invoice)
        assert order is not None
        return set(channel.blocks(order, payments_of(tx, order.id)[-1]))

    waiting = running.database.read_now(blocks)
    running.control("POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, "outcome": "SUCCESS"})
    paid = running.database.read_now(blocks)

    assert not (waiting | paid) & COMMON_BLOCKS
