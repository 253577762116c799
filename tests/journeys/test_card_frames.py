"""The card page in a frame of another site, sending buyers back by itself, and without JavaScript."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.card_tab import BCA, CHALLENGED, DISCLAIMER, KNOWN, Buyer, assert_accessible
from support.gateway import RunningGateway
from support.listener import Listener
from support.windows import Windows

pytestmark = pytest.mark.browser


EMBED = """([url, width, height]) => {
  window.told = [];
  addEventListener("message", (event) => window.told.push([event.origin, event.data]));
  document.documentElement.lang = "id";
  document.title = "Toko";
  const frame = document.createElement("iframe");
  Object.assign(frame, { src: url, width, height, title: "Pembayaran" });
  frame.style.border = "0";
  document.body.append(frame);
}"""


@pytest.mark.parametrize("size", [(800, 500), (320, 400)], ids=["800x500", "320x400"])
def test_in_a_frame_of_another_site_the_buyer_pays_and_comes_back_in_the_whole_window(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, size: tuple[int, int]
) -> None:
    width, height = size
    page = windows.open((width + 40, height + 40))
    page.goto(merchant.url("/shop").replace("127.0.0.1", "localhost"))  # another site: no cookie of ours would survive
    embedded = page.frame_locator("iframe[title=Pembayaran]")
    buyer = Buyer(sqlite_gateway, merchant, embedded)
    page.evaluate(EMBED, [f"{buyer.url}?lang=id", width, height])

    expect(buyer.go).to_be_visible()
    for frame in page.frames[1:]:
        assert_accessible(frame, "embedded form")
    picture(page, f"embedded-form-{width}")
    buyer.pay(CHALLENGED)
    expect(buyer.bank.locator("#code")).to_be_visible()
    for frame in page.frames[1:]:
        assert_accessible(frame, "embedded bank")
    picture(page, f"embedded-bank-{width}")
    buyer.enter_code()

    buyer.sees("paid")
    for frame in page.frames[1:]:
        assert_accessible(frame, "embedded result")
    picture(page, f"embedded-paid-{width}")
    page.wait_for_function("told.length > 0")
    hint = {"source": "doku-card", "status": "SUCCESS", "invoice_number": buyer.invoice}
    assert page.evaluate("told") == [[sqlite_gateway.url, hint]]
    embedded.locator("main a.ink").click()
    page.wait_for_url(merchant.url("/thanks"))  # the whole window, not the frame
    assert page.frames == [page.main_frame]


def picture(page: Page, name: str) -> None:
    if directory := os.environ.get("GERBANG_SCREENSHOTS"):
        Path(directory).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{directory}/{name}.png")


def test_with_auto_redirect_a_frame_gives_the_window_back_by_itself(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page = windows.open("desktop")
    page.goto(merchant.url("/shop").replace("127.0.0.1", "localhost"))
    buyer = Buyer(sqlite_gateway, merchant, page.frame_locator("iframe[title=Pembayaran]"), order={"auto_redirect": True})
    page.evaluate(EMBED, [f"{buyer.url}?lang=id", 800, 500])

    buyer.pay(KNOWN)

    page.wait_for_url(merchant.url("/thanks"))
    assert page.frames == [page.main_frame]


def test_with_auto_redirect_the_buyer_goes_to_the_merchant_at_once(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page = windows.open()
    paid = Buyer(sqlite_gateway, merchant, page, order={"auto_redirect": True}).open()
    paid.pay(CHALLENGED)
    paid.enter_code()
    page.wait_for_url(merchant.url("/thanks"))

    cancelled = Buyer(sqlite_gateway, merchant, page, order={"auto_redirect": True}).open()
    page.locator("button[value=cancel]").click()
    page.wait_for_url(merchant.url("/sorry"))
    assert cancelled.status == "FAILED"


def test_everything_works_without_javascript_at_320_pixels(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page = windows.open((320, 640), script=False)
    buyer = Buyer(sqlite_gateway, merchant, page, additional_info={"disclaimer": DISCLAIMER}).open()

    page.locator("summary", has_text="Kartu uji").click()
    page.get_by_role("link", name="Disetujui", exact=True).click()  # the sandbox bar fills the form in
    expect(page.locator("#number")).to_have_value(re.compile("5573"))
    page.locator("#cvv").fill("123")
    buyer.go.click()
    expect(page.locator("#consent-error")).to_be_visible()
    picture(page, "plain-errors-320")
    page.locator("#consent").check()
    page.locator("#number").fill(CHALLENGED)  # a number never comes back
    page.locator("#cvv").fill("123")
    buyer.go.click()
    picture(page, "plain-bank-closed-320")
    page.locator("form[data-opens] button").click()
    expect(buyer.bank.locator("#code")).to_be_visible()
    picture(page, "plain-bank-320")
    buyer.enter_code("000000")
    expect(buyer.bank.locator("#code-error")).to_be_visible()
    buyer.enter_code()
    buyer.bank.locator("button.go").click()  # what a script would have pressed
    buyer.bank.locator("a.ink").click()

    buyer.sees("paid")
    picture(page, "plain-paid-320")
    assert buyer.status == "SUCCESS"


def test_installments_without_javascript_are_asked_for_after_the_card(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page = windows.open((320, 640), script=False)
    buyer = Buyer(sqlite_gateway, merchant, page, amount=1_200_000).open()

    buyer.pay(BCA)
    six = page.get_by_role("radio", name=re.compile(r"6 × Rp\s200\.000"))
    six.check()
    page.locator("#number").fill(BCA)  # a number never comes back
    page.locator("#cvv").fill("123")
    buyer.go.click()
    page.locator("form[data-opens] button").click()
    buyer.enter_code()
    buyer.bank.locator("button.go").click()
    buyer.bank.locator("a.ink").click()

    expect(page.locator("main")).to_contain_text(re.compile(r"6 × Rp\s200\.000"))
