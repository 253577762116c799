"""The control API takes nothing it does not understand: a misspelt word must not make a merchant's tests green."""

import json
from typing import Any

import msgspec
import pytest

from gerbang.sandbox.api import ControlEndpoint, control_endpoints
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from support.gateway import RunningGateway, lent_gateway
from support.rooms import Rooms

ENDPOINTS = control_endpoints()


def path_of(endpoint: ControlEndpoint) -> str:
    return "/".join("x" if part.startswith("{") else part for part in endpoint.path.split("/"))


def refusal(running: RunningGateway, endpoint: ControlEndpoint, body: bytes | None, query: str = "") -> str:
    answer = running.request(endpoint.method, path_of(endpoint) + query, body)
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_request"), (endpoint.path, answer.body)
    return str(answer.json["error"]["message"])


def test_every_call_refuses_a_field_and_a_query_parameter_it_does_not_know_and_lists_those_it_does(
    sqlite_gateway: RunningGateway,
) -> None:
    for endpoint in ENDPOINTS:
        if endpoint.request is not None:
            said = refusal(sqlite_gateway, endpoint, b'{"no_such_field": 1}')
            assert all(field.encode_name in said for field in msgspec.structs.fields(endpoint.request)), said
        elif endpoint.method != "GET":
            refusal(sqlite_gateway, endpoint, b'{"no_such_field": 1}')
        said = refusal(sqlite_gateway, endpoint, None, "?no_such_parameter=1")
        assert all(name.rstrip("?") in said for name in endpoint.query), said


def test_every_call_refuses_a_nul_wherever_it_stands(sqlite_gateway: RunningGateway) -> None:
    for endpoint in ENDPOINTS:
        if "{" in endpoint.path:
            answer = sqlite_gateway.request(endpoint.method, path_of(endpoint).replace("/x", "/%00"))
            assert answer.status in (400, 404), (endpoint.path, answer.body)
        for name in endpoint.query:
            refusal(sqlite_gateway, endpoint, None, f"?{name.rstrip('?')}=a%00b")
        for field in msgspec.structs.fields(endpoint.request) if endpoint.request is not None else ():
            refusal(sqlite_gateway, endpoint, json.dumps({field.encode_name: "a\x00b"}).encode())


def test_every_call_refuses_what_is_no_json_object_and_says_what_it_takes(sqlite_gateway: RunningGateway) -> None:
    deep = b'{"x":' + b"[" * 5_000 + b'"\\u0000"' + b"]" * 5_000 + b"}"
    for endpoint in ENDPOINTS:
        for raw in (
            b'{"u0000',
            b"u0000",
            b'{"a":"\\u0000"',
            b"[]",
            b"null",
            b"\xff\xfe",
            b'{"a":"\\ud800"}',
            b'{"\\u0000":1}',
            b'{"a":1',
            deep,
        ):
            if endpoint.method != "GET":
                refusal(sqlite_gateway, endpoint, raw)


@pytest.mark.parametrize(
    "move",
    [
        b'{"advance_s": "nan"}', b'{"advance_s": NaN}', b'{"advance_s": "60"}', b'{"advance_s": 1e18}', b'{"advance_s": -1e10}',
        b'{"advance_s": 3e9}', b'{"set": 1}', b'{"set": "2026-12-01T09:00:00"}', b'{"set": "9999-12-31T23:59:59Z"}',
        b'{"set": "0001-01-01T00:00:00+14:00"}', b'{"set": "0001-01-01T00:00:00Z"}', b'{"reset": "true"}', b"{}", b'{"advance_s": 1, "reset": true}',
    ],
)  # fmt: skip
def test_a_clock_move_that_cannot_be_is_refused_and_moves_nothing(sqlite_gateway: RunningGateway, move: bytes) -> None:
    answer = sqlite_gateway.request("POST", "/sandbox/v1/clock", move)

    assert (answer.status, answer.json["error"]["code"] in ("bad_request", "field_invalid")) == (400, True), answer.body
    assert sqlite_gateway.control("GET", "/clock")["offset_s"] == 0


CARDS = {"three_ds": "challenge_failed", "response_code": "51", "follow_up_code": "TO"}


def test_what_the_simulators_shall_say_exists_and_means_something_on_the_channel(sqlite_gateway: RunningGateway) -> None:
    channels, rooms = sqlite_gateway.gateway.channels, Rooms(sqlite_gateway)

    def choose(invoice: str, **wanted: Any) -> tuple[int, str]:
        body = {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, **wanted}
        answer = sqlite_gateway.request("POST", "/sandbox/v1/payments/next", json.dumps(body).encode())
        return answer.status, answer.json.get("error", {}).get("message", "")

    card = rooms.order(channels["CREDIT_CARD"]).invoice
    linkaja = rooms.order(channels["EMONEY_LINKAJA"]).invoice
    wallet = rooms.order(channels["EMONEY_DOKU"]).invoice

    assert choose(card, **CARDS)[0] == choose(linkaja, outcome="NOT_ENOUGH")[0] == 200
    for invoice, wanted, right in (
        (card, {"response_code": "ZZ"}, "51"),
        (card, {"follow_up_code": "ZZ"}, "51"),
        (card, {"three_ds": "maybe"}, "challenge_failed"),
        (card, {"outcome": "NONSENSE"}, "response_code"),
        (card, {"outcome": "SUCCESS"}, "response_code"),
        (linkaja, {"outcome": "NONSENSE"}, "NOT_ENOUGH"),
        (linkaja, {"outcome": "SUCCESS", "response_code": "51"}, "outcome"),
        (wallet, {"outcome": "SUCCESS"}, "at once"),
    ):
        status, said = choose(invoice, **wanted)
        assert (status, right in said) == (400, True), (wanted, said)


def test_a_code_says_why_a_payment_failed_and_is_refused_with_every_other_outcome() -> None:
    with lent_gateway(ovo_timeout_s=0.05) as running:
        rooms = Rooms(running)
        for channel in running.gateway.channels.values():
            if not any(endpoint.family == "nonsnap" for endpoint in channel.endpoints):
                continue
            order = rooms.order(channel)
            for outcome in set(channel.outcomes) - {"FAILED"}:
                body = {"client_id": DEMO_CLIENT_ID, "invoice_number": order.invoice, "outcome": outcome, "code": "51"}
                answer = running.request("POST", "/sandbox/v1/payments/outcome", json.dumps(body).encode())
                said = answer.json["error"]["message"]
                assert (answer.status, "FAILED" in said) == (400, True), (channel.code, outcome, said)
            assert order.payment["state"] == "PENDING"


def test_an_outcome_of_a_number_that_never_answers_is_refused_for_that(sqlite_gateway: RunningGateway) -> None:
    linkaja = Rooms(sqlite_gateway).order(sqlite_gateway.gateway.channels["EMONEY_LINKAJA"])
    assert linkaja.play("NO_ANSWER").status == 200

    said = linkaja.play("SUCCESS")

    assert (said.status, said.json["error"]["code"]) == (409, "provider_silent")
