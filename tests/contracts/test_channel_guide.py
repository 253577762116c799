"""What `gerbang channels` and docs/channels.md say of a channel is what the channel does."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gerbang.channel import Channel, all_channels
from gerbang.channel_guide import as_markdown, guide_of
from gerbang.cli import main
from gerbang.endpoint import Endpoint
from support.gateway import RunningGateway
from support.nonsnap import served
from support.rooms import Rooms, renew, send

CHANNELS = [pytest.param(channel, id=code) for code, channel in all_channels().items()]
ENDPOINTS = [
    pytest.param(channel, endpoint, id=endpoint.path)
    for channel in all_channels().values()
    for endpoint in channel.endpoints
    if endpoint.family == "nonsnap"
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guide")


@pytest.fixture(scope="module")
def running(data: Path) -> Iterator[RunningGateway]:
    with served(data, ovo_timeout_s=0.05) as one:
        yield one


@pytest.fixture(scope="module")
def rooms(running: RunningGateway) -> Rooms:
    return Rooms(running)


def gerbang(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def without(body: Any, path: str) -> Any | None:
    """The body without a field, lists by their first; None where it does not have it."""
    body = copy.deepcopy(body)
    place = body
    *way, last = path.replace("[]", ".0").split(".")
    for step in way:
        place = place[0] if step.isdigit() and place else place.get(step) if isinstance(place, dict) else None
        if place is None:
            return None
    if last not in place:
        return None
    del place[last]
    return body


@pytest.mark.parametrize(("channel", "endpoint"), ENDPOINTS)
def test_a_request_without_a_mandatory_field_is_refused_and_the_field_is_named(
    rooms: Rooms, channel: Channel, endpoint: Endpoint
) -> None:
    (call,) = [one for one in guide_of(channel).calls if one.path == endpoint.path]
    whole = rooms.sample(channel, endpoint)
    tried = 0
    for field in call.fields:
        body = without(whole, field.name) if field.mandatory != "no" else None
        if body is None:
            continue
        if not rooms.follows(channel, endpoint) and isinstance(body.get("order"), dict):
            renew(body, ("order", "invoice_number"))

        if field.name.startswith("security"):  # what `send` would put right
            answer = rooms.running.signed(endpoint.method, endpoint.path, body)
        else:
            answer = send(rooms.running, endpoint, body)

        tried += 1
        assert answer.status == 400, (field.name, answer.body)
        if endpoint.body_signature is None:
            assert field.name.rpartition(".")[2] in answer.json["error"]["message"], (field.name, answer.body)
    assert tried or not any(field.mandatory == "yes" for field in call.fields)


@pytest.mark.parametrize(("channel", "endpoint"), ENDPOINTS)
def test_the_guide_names_every_field_that_is_sent(rooms: Rooms, channel: Channel, endpoint: Endpoint) -> None:
    (call,) = [one for one in guide_of(channel).calls if one.path == endpoint.path]
    names = {field.name for field in call.fields}

    def unnamed(value: Any, at: str) -> Iterator[str]:
        if at in names and not any(name.startswith((f"{at}.", f"{at}[]")) for name in names):
            return  # taken as it comes
        if isinstance(value, dict) and at != "additional_info":  # whose extras are anybody's
            for name, inner in value.items():
                yield from unnamed(inner, f"{at}.{name}" if at else name)
        elif isinstance(value, list):
            for inner in value:
                yield from unnamed(inner, f"{at}[]")
        elif at not in names:
            yield at

    assert list(unnamed(rooms.sample(channel, endpoint), "")) == []


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_channel_is_shown_in_a_terminal_for_programs_and_in_the_document(channel: Channel) -> None:
    text = gerbang("channels", channel.code.lower())
    told = json.loads(gerbang("channels", channel.code, "--json").output)
    document = as_markdown()

    assert text.exit_code == 0, text.output
    for endpoint in channel.endpoints:
        assert f"{endpoint.method} {endpoint.path}" in text.output
        assert f"### `{endpoint.method} {endpoint.path}`" in document
    assert told["code"] == channel.code
    assert [(one["path"], one["signed"]) for one in told["calls"]] == [
        (one.path, "SNAP" if one.family == "snap" else "body" if one.body_signature else "headers") for one in channel.endpoints
    ]
    assert list(told["outcomes"]) == list(channel.outcomes)
    assert all(told["outcomes"].values())
    assert told["magic_values"] == dict(channel.magic_values)
    assert {one["name"] for one in told["options"]} >= set(channel.options.__struct_fields__ if channel.options else ())


def test_a_channel_that_does_not_exist_is_refused() -> None:
    result = gerbang("channels", "EMONEY_NOBODY")

    assert result.exit_code == 2
    assert "there is no channel EMONEY_NOBODY" in result.output


def test_what_happens_at_a_provider_is_chosen_on_the_command_line(rooms: Rooms, data: Path) -> None:
    """`gerbang outcome --outcome`: what Pay will do, until it is taken back."""
    channel = all_channels()["EMONEY_LINKAJA"]
    order, other = rooms.order(channel), rooms.order(channel)

    chosen = gerbang("--data", str(data / "gerbang.db"), "outcome", order.invoice, "--outcome", "NOT_ENOUGH")
    gerbang("--data", str(data / "gerbang.db"), "outcome", other.invoice, "--outcome", "NOT_ENOUGH")
    cleared = gerbang("--data", str(data / "gerbang.db"), "outcome", other.invoice, "--clear")
    for one in (order, other):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        rooms.running.request("POST", f"/linkaja/pay/{one.payment['id']}", b"action=pay", form)

    assert chosen.output == f"{order.invoice}: outcome NOT_ENOUGH\n"
    assert cleared.exit_code == 0
    assert (order.payment["state"], order.payment["failure"]) == ("FAILED", "NOT_ENOUGH")
    assert other.payment["state"] == "SUCCESS"


@pytest.mark.parametrize(
    ("code", "args", "told"),
    [
        ("EMONEY_LINKAJA", ("--outcome", "MAYBE"), "--outcome MAYBE does not exist"),
        ("ONLINE_TO_OFFLINE_ALFA", ("--outcome", "FAILED"), "--outcome FAILED does not exist"),
        ("EMONEY_LINKAJA", ("--three-ds", "challenge"), "--three-ds means nothing on channel EMONEY_LINKAJA"),
        ("CREDIT_CARD", ("--outcome", "SLOW"), "--outcome means nothing on channel CREDIT_CARD"),
    ],
)
def test_an_outcome_that_a_channel_does_not_have_is_refused(
    rooms: Rooms, data: Path, code: str, args: tuple[str, ...], told: str
) -> None:
    order = rooms.order(all_channels()[code])

    result = gerbang("--data", str(data / "gerbang.db"), "outcome", order.invoice, *args)

    assert result.exit_code == 2
    assert told in result.output
