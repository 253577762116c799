"""Promises of every channel whose buyer pays elsewhere: the pretend provider's pages, its silence, money that nobody waited for."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from gerbang.channel import Channel, all_channels
from gerbang.payments.unexpected import HeldState, unexpected_of
from gerbang.providers.party import Behaviour
from gerbang.providers.simulator import find_simulated
from support.gateway import Answer, RunningGateway, assert_clean, lent_gateway
from support.nonsnap import assert_genuine
from support.rooms import Opened, Rooms, send

OUTSIDE = [channel for channel in all_channels().values() if channel.party is not None]
ROOMS = [pytest.param(channel, id=channel.code) for channel in OUTSIDE]
PRESSED = [pytest.param(channel, one, id=f"{channel.code}-{one}") for channel in OUTSIDE for one in channel.party.behaviours]
ENDS_AS = {
    "SUCCESS": "SUCCESS",
    "FAILED": "FAILED",
    "NOT_ENOUGH": "FAILED",
    "CANCELLED": "CANCELLED",
    "EXPIRED": "EXPIRED",
    "NO_ANSWER": "PENDING",
    "SLOW": "PENDING",
    "PAID_TWICE": "SUCCESS",
    "PAID_LATE": "PENDING",
}
UNANSWERED = Answer(0, {}, b"")


class Killed(BaseException):
    """The process ends here: nothing that would come after is done."""


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(ovo_timeout_s=0.05) as one:
        yield one


@pytest.fixture(scope="module")
def rooms(running: RunningGateway) -> Rooms:
    return Rooms(running)


def page_of(order: Opened) -> str:
    """Where the buyer goes."""
    party = order.channel.party
    return party.page_path if party.kind == "cashier" else f"{party.page_path}/{order.payment['id']}"


def press(order: Opened, action: str) -> Answer:
    """One press of a button, as a browser without JavaScript sends it."""
    fields = {"action": action, "lang": "en"}
    party = order.channel.party
    if party.kind == "cashier":
        payment_id = order.payment["id"]
        found = order.rooms.running.database.read_now(lambda tx: find_simulated(tx, payment_id))
        assert found is not None
        fields["code"] = found.asked.facts["code"]
    if party.kind == "lender" and action == "pay":
        fields |= {"plan": str(party.plans[-1].months), "consent": "1"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = order.rooms.running.request("POST", page_of(order), urlencode(fields).encode(), form)
    assert answer.status in (200, 303), answer.body
    return answer


def shown(order: Opened, answer: Answer | None = None) -> str:
    """The page that an answer leads to, ours only; without one, the buyer's page."""
    path = page_of(order)
    if answer is not None:
        path = answer.headers.get("location", path)
        if not path.startswith("/"):
            return ""  # back at the shop
    page = order.rooms.running.request("GET", path)
    assert page.status == 200, path
    return page.body.decode()


@pytest.mark.parametrize("channel", ROOMS)
def test_a_party_is_described_in_full(channel: Channel) -> None:
    party = channel.party

    assert party.code == channel.code
    assert re.fullmatch(r"[a-z0-9-]+", party.slug)
    assert party.theme.button
    assert channel.outcomes == tuple(one.value for one in party.behaviours)
    assert Behaviour.SUCCESS in party.behaviours
    assert (party.kind == "lender") is bool(party.plans)
    assert channel.magic_values, "a tester has something to enter"


def test_no_two_parties_share_an_address() -> None:
    slugs = [channel.party.slug for channel in OUTSIDE]
    pages = [channel.party.page_path for channel in OUTSIDE]

    assert len(set(slugs)) == len(set(pages)) == len(slugs)


@pytest.mark.parametrize(("channel", "outcome"), PRESSED)
def test_every_button_of_the_page_does_what_it_says(rooms: Rooms, channel: Channel, outcome: Behaviour) -> None:
    """Create, look, press, be told, ask: pay and cancel by the buyer's own buttons, the rest by the sandbox's."""
    order = rooms.order(channel)
    before = shown(order)

    after = press(order, {"SUCCESS": "pay", "CANCELLED": "cancel"}.get(outcome, outcome.value))

    assert before
    assert order.payment["state"] == ENDS_AS[outcome]
    assert shown(order, after) != before
    told = [json.loads(one["body"]) for one in order.record["notifications"]]
    if outcome in (Behaviour.SUCCESS, Behaviour.PAID_TWICE):
        assert [one["transaction"]["status"] for one in told] == ["SUCCESS"]
        assert order.status["transaction"] == told[0]["transaction"]
    elif ENDS_AS[outcome] in ("FAILED", "CANCELLED"):
        assert [one["transaction"]["status"] for one in told] == ["FAILED"]
        assert not order.payment["transfers"]
    else:
        assert told == []


@pytest.mark.parametrize("channel", ROOMS)
def test_a_second_press_changes_nothing(rooms: Rooms, channel: Channel) -> None:
    order = rooms.order(channel)
    press(order, "pay")
    first = order.record

    press(order, "pay")
    if Behaviour.CANCELLED in channel.party.behaviours:
        press(order, "cancel")

    assert order.payment["state"] == "SUCCESS"
    assert order.payment["transfers"] == first["payments"][-1]["transfers"]
    assert len(order.record["notifications"]) == 1


@pytest.mark.parametrize("channel", ROOMS)
@pytest.mark.parametrize("outcome", ["PAID_TWICE", "PAID_LATE"])
def test_money_nobody_waited_for_goes_back(rooms: Rooms, channel: Channel, outcome: str) -> None:
    """Never the merchant's, and never told: it returns to the buyer, or is kept for a person where no till pays out."""
    order = rooms.order(channel)

    assert order.play(outcome).status == 200
    order.over()

    payment = order.payment
    (held,) = rooms.running.database.read_now(lambda tx: unexpected_of(tx, payment["id"]))
    assert held.amount == payment["amount"]
    assert held.state is (HeldState.KEPT if channel.party.kind == "cashier" else HeldState.RETURNED)
    assert payment["state"] == ("SUCCESS" if outcome == "PAID_TWICE" else "EXPIRED")
    assert len(order.record["notifications"]) == (1 if outcome == "PAID_TWICE" else 0)
    assert_clean(rooms.running.database)


@pytest.mark.parametrize("channel", ROOMS)
@pytest.mark.parametrize("how", ["raises", "hangs"])
def test_a_silent_provider_is_said_and_the_same_request_goes_on_later(
    rooms: Rooms, channel: Channel, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that means "try again", never an order that is there and cannot be paid, or is there twice."""
    endpoint = channel.endpoints[0]
    room = rooms.running.gateway.rooms[channel.code]
    first = rooms.order(channel).again()
    silent = Silent(room, how, monkeypatch)

    answer = send(rooms.running, endpoint, first, request_id=f"silent-{how}-{channel.code}")
    silent.ends()
    again = send(rooms.running, endpoint, first, request_id=f"silent-{how}-{channel.code}")

    assert silent.asked == 1
    assert (answer.status, answer.json["error"]["code"]) == (503, "service_unavailable")
    assert_genuine(answer, endpoint.method, endpoint.path)
    assert again.status == 200, again.body
    order = Opened(rooms, channel, endpoint, first, "", again)
    assert len(order.record["payments"]) == 1
    assert order.is_waiting
    press(order, "pay")
    assert order.payment["state"] == "SUCCESS"


class Silent:
    """A provider that does not answer, until `ends`."""

    def __init__(self, room: Any, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self._patch = monkeypatch

        async def begin(_asked: Any) -> Any:
            self.asked += 1
            if how == "hangs":
                await asyncio.sleep(60)
            raise ConnectionError("nobody there")

        monkeypatch.setattr(room.provider, "begin", begin)
        monkeypatch.setattr(room, "settings", msgspec.structs.replace(room.settings, provider_timeout_s=0.1))

    def ends(self) -> None:
        """From now on it answers as before."""
        self._patch.undo()


@pytest.mark.parametrize("channel", ROOMS)
@pytest.mark.parametrize("provider_knows", [False, True], ids=["before the question", "before the answer"])
def test_an_order_goes_on_after_a_kill_between_question_and_answer(
    rooms: Rooms, channel: Channel, provider_knows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is on disk, the provider's answer is not: the same request announces the same payment again."""
    endpoint = channel.endpoints[0]
    room = rooms.running.gateway.rooms[channel.code]
    body = rooms.order(channel).again()
    request_id = f"killed-{provider_knows}-{channel.code}"
    real = room.provider.begin

    async def begin(asked: Any) -> Any:
        if provider_knows:
            await real(asked)
        raise Killed

    monkeypatch.setattr(room.provider, "begin", begin)
    with pytest.raises((ConnectionError, OSError, AssertionError)):
        assert send(rooms.running, endpoint, body, request_id=request_id).status == 200
    order = Opened(rooms, channel, endpoint, body, request_id, UNANSWERED)
    (left,) = order.record["payments"]
    monkeypatch.undo()

    again = send(rooms.running, endpoint, body, request_id=request_id)

    assert left["state"] == "PENDING"
    assert again.status == 200, again.body
    assert [one["id"] for one in order.record["payments"]] == [left["id"]]
    press(order, "pay")
    assert order.payment["state"] == "SUCCESS"
    assert len(order.record["notifications"]) == 1
