"""A payment code's page in a real browser, for every chain of shops: it can be read, and leads to the till and back.

GERBANG_SCREENSHOTS=DIR keeps a picture of every state, to be looked at.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from gerbang.channel import all_channels
from gerbang.web.views import Lang
from support.browser import each_in_a_view, violations
from support.gateway import RunningGateway, lent_gateway
from support.provider_orders import Shop
from support.windows import Windows, assert_fits

pytestmark = pytest.mark.browser

STORES = [code for code, channel in all_channels().items() if channel.party is not None and channel.party.kind == "cashier"]
SAMPLE: dict[str, Any] = {
    "order": {"invoice_number": "INV-1", "amount": 1_150_000},
    "online_to_offline_info": {"expired_time": 60, "reusable_status": False},
    "customer": {"name": "Anton Budiman"},
}
VIEWS: list[tuple[str, Lang]] = [("phone", "id"), ("desktop", "en")]
if os.environ.get("GERBANG_SCREENSHOTS"):
    VIEWS += [("phone", "en"), ("desktop", "id")]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


@pytest.fixture(params=STORES)
def shop(request: pytest.FixtureRequest, running: RunningGateway) -> Iterator[Shop]:
    channel = all_channels()[request.param]
    yield Shop(running, channel.code, channel.endpoints[0].path, SAMPLE)
    running.control("POST", "/clock", {"reset": True})


def prepared(shop: Shop, state: str) -> str:
    """The address of a code's page in this state."""
    answer = shop.order(online_to_offline_info__reusable_status=state == "reusable").json
    invoice = answer["order"]["invoice_number"]
    if state in ("paid", "expired"):
        shop.play(invoice, {"paid": "SUCCESS", "expired": "EXPIRED"}[state])
    return str(answer["online_to_offline_info"]["how_to_pay_page"])


@pytest.mark.parametrize(("state", "device", "lang"), each_in_a_view(("waiting", "reusable", "paid", "expired"), VIEWS))
def test_a_codes_page_is_accessible_and_fits_every_window(
    windows: Windows, shop: Shop, state: str, device: str, lang: Lang
) -> None:
    page = windows.open(device)
    page.goto(f"{prepared(shop, state)}?lang={lang}")
    if directory := os.environ.get("GERBANG_SCREENSHOTS"):
        Path(directory).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{directory}/how-to-pay-{shop.code}-{state}-{device}-{lang}.png", full_page=True)

    assert violations(page) == []
    assert_fits(page, device)


@pytest.mark.parametrize("script", [True, False])
def test_from_the_codes_page_to_the_till_and_paid(windows: Windows, shop: Shop, *, script: bool) -> None:
    """With a script the code's page says so by itself; without one when it is loaded again."""
    page = windows.open("desktop", script=script, locale="en-US")
    address = prepared(shop, "waiting")
    page.goto(address)
    code = page.locator(".paycode .digits").inner_text().replace("\n", "").replace(" ", "")

    till = till_beside(page)
    expect(till.get_by_text(code)).to_be_visible()
    till.get_by_role("button", name="Take Rp\u00a01.150.000").click()

    expect(till.get_by_role("heading", name="Money taken")).to_be_attached()
    if not script:
        page.goto(address)
    expect(page.get_by_role("heading", name="Payment")).to_be_visible(timeout=15_000)
    expect(page.get_by_text(code)).to_be_visible()


def till_beside(page: Page) -> Page:
    """The pretend till in a tab of its own, opened where the page leads."""
    till = page.context.new_page()
    link = page.get_by_role("link", name="Pay at the simulated till").get_attribute("href")
    till.goto(page.url.split("/how-to-pay")[0] + str(link))
    return till
