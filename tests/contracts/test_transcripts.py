"""Every room's transcripts, held again: what is said is still what is written, byte for byte, but for what differs from run to run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gerbang.channel import Channel, all_channels
from support.gateway import RunningGateway, assert_clean, lent_gateway
from support.transcripts import SETTINGS, Conversation, read, record, transcripts_of

TRANSCRIPTS = [
    pytest.param(path, id=f"{code}-{path.stem}") for code, channel in all_channels().items() for path in transcripts_of(channel)
]
ROOMS = [
    pytest.param(channel, id=code)
    for code, channel in all_channels().items()
    if any(endpoint.family == "nonsnap" for endpoint in channel.endpoints)
]


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningGateway]:
    with lent_gateway(**SETTINGS) as one:
        yield one


@pytest.fixture
def fresh(shared: RunningGateway) -> Iterator[RunningGateway]:
    """A sandbox as it starts, its books verified before it is emptied again."""
    shared.control("POST", "/reset")
    yield shared
    assert_clean(shared.database)


@pytest.mark.parametrize("path", TRANSCRIPTS)
def test_a_transcript_is_still_what_is_said(fresh: RunningGateway, path: Path) -> None:
    """S0-01 … S0-32, S0-36, S2-03 … S2-124 and those of the other rooms as conversations; the requests with written signatures are
    those of the published vectors."""
    talk = Conversation(fresh)

    for index, step in enumerate(read(path)["steps"]):
        assert talk.hold(step) == step, f"step {index + 1}"


@pytest.mark.parametrize("channel", ROOMS)
def test_every_call_of_a_room_was_made_with_success(channel: Channel) -> None:
    conversations = [read(path) for path in transcripts_of(channel)]

    made = {
        (step["request"]["method"], step["request"]["target"])
        for one in conversations
        for step in one["steps"]
        if "request" in step and step["response"]["status"] == 200
    }
    assert {(one.method, one.path) for one in channel.endpoints if one.family == "nonsnap"} <= made
    assert all(one["title"] for one in conversations)
    assert len({one["title"] for one in conversations}) == len(conversations)


def test_a_draft_is_recorded_into_what_is_then_played(fresh: RunningGateway) -> None:
    """What scripts/record_transcript.py does for a contributor."""
    body = {"order": {"invoice_number": "INV-DRAFT-1", "amount": 60_000}}
    draft = {
        "title": "A draft",
        "steps": [
            {"request": {"target": "/dokuwallet-emoney/v1/payment", "body": body}},
            {"play": {"invoice_number": "INV-DRAFT-1", "outcome": "SUCCESS"}},
            {"advance_s": 60},
            {"request": {"target": "/orders/v1/status/INV-DRAFT-1"}},
        ],
    }

    recorded = record(fresh, draft)
    fresh.control("POST", "/reset")
    again = record(fresh, recorded)

    created, played, _, asked = recorded["steps"]
    assert created["response"]["status"] == asked["response"]["status"] == 200
    assert "{payment}" in created["response"]["body"]
    assert '"approval_code":"{code}"' in played["notifications"][0]["body"]
    assert '"status":"SUCCESS"' in asked["response"]["body"]
    assert again == recorded
