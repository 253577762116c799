"""Every channel whose buyer pays elsewhere, from the testers' desk: created, paid in a real browser, told, asked for, and the books clean."""

import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from gerbang.channel import Channel, all_channels
from support.card_tab import seen
from support.gateway import RunningGateway, lent_gateway
from support.listener import Listener, Received
from support.notifying import eventually
from support.rooms import Opened, Rooms, send
from support.windows import Windows

pytestmark = pytest.mark.browser

ROOMS = [pytest.param(channel, id=code) for code, channel in all_channels().items() if channel.party is not None]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    # OVO's call is answered when its buyer has decided, or then: TIMEOUT, and the order can be paid still.
    with lent_gateway(ovo_timeout_s=0.05) as one:
        yield one


@pytest.fixture(scope="module")
def rooms(running: RunningGateway) -> Rooms:
    return Rooms(running)


def an_order(rooms: Rooms, channel: Channel, merchant: Listener) -> Opened:
    """An order that waits for its buyer, its notifications going to the merchant."""
    first = rooms.order(channel)
    body = first.again()
    body.setdefault("additional_info", {})["override_notification_url"] = merchant.url("/notify")
    if "notify_url" in body["order"]:
        body["order"]["notify_url"] = merchant.url("/notify")
    for name in ("callback_url", "callback_url_cancel"):
        if name in body["order"]:
            body["order"][name] = merchant.url("/thanks")
    if "redirect_url" in body:
        body["redirect_url"] = merchant.url("/thanks")
    request_id = uuid.uuid4().hex
    answer = send(rooms.running, first.endpoint, body, request_id=request_id)
    assert answer.status == 200, answer.body
    return Opened(rooms, channel, first.endpoint, body, request_id, answer)


def told(merchant: Listener) -> list[Received]:
    return [call for call in merchant.received() if call.target == "/notify"]


def find_at_the_desk(page: Page, order: Opened) -> None:
    page.goto(f"{order.rooms.running.url}/simulators?lang=id")
    page.locator("li[data-order] a", has_text=order.invoice).click()
    expect(page.locator("button[value=pay]")).to_be_visible()


@pytest.mark.parametrize("channel", ROOMS)
def test_a_buyer_found_at_the_desk_pays_and_the_merchant_hears_of_it(
    rooms: Rooms, channel: Channel, merchant: Listener, windows: Windows
) -> None:
    """S3-52 … S3-56, S4-29 … S4-31, D-8."""
    order, page = an_order(rooms, channel, merchant), windows.open("phone")

    find_at_the_desk(page, order)
    expect(page.locator("main")).to_contain_text(f"{order.payment['amount']:,}".replace(",", "."))
    seen(page, f"{channel.party.slug}-pay-phone-id")
    if channel.party.kind == "lender":
        page.locator("input[name=consent]").check()
    page.locator("button[value=pay]").click()

    [call] = eventually(lambda: told(merchant))
    note = call.json()
    assert call.signature == "valid"
    assert note["channel"]["id"] == channel.code
    assert note["order"]["invoice_number"] == order.invoice
    assert note["transaction"]["status"] == order.status["transaction"]["status"] == "SUCCESS"
    expect(page.locator("button[value=pay]")).to_have_count(0)
    page.wait_for_load_state("load")
    assert rooms.running.control("GET", "/verify") == {"ok": True, "problems": []}


@pytest.mark.parametrize("channel", ROOMS)
def test_a_buyer_who_lets_the_time_pass_finds_it_over_and_nobody_paid(
    rooms: Rooms, channel: Channel, merchant: Listener, windows: Windows
) -> None:
    order, page = an_order(rooms, channel, merchant), windows.open("phone")
    find_at_the_desk(page, order)

    order.over()
    if channel.party.kind == "lender":
        page.locator("input[name=consent]").check()
    page.locator("button[value=pay]").click()

    eventually(lambda: order.payment["state"] == "EXPIRED")
    expect(page.locator("button[value=pay]")).to_have_count(0)
    assert order.status["transaction"]["status"] == "EXPIRED"
    assert told(merchant) == []
    assert rooms.running.control("GET", "/verify") == {"ok": True, "problems": []}
    rooms.running.control("POST", "/clock", {"reset": True})


def test_the_desk_lists_each_of_them(rooms: Rooms, windows: Windows) -> None:
    page = windows.open("desktop")
    page.goto(f"{rooms.running.url}/simulators?lang=en")

    for channel in all_channels().values():
        if channel.party is not None:
            expect(page.locator("main h3", has_text=channel.party.name).first).to_be_visible()
    seen(page, "desk-desktop-en")
