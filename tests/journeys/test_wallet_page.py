"""A buyer at the DOKU e-Wallet page, in a real browser. Every state, both languages, with and without JavaScript.

GERBANG_SCREENSHOTS=DIR keeps a picture of every state, to be looked at.
"""

import os
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.wallet.demo import DEMO_PIN
from support.browser import in_view, violations
from support.gateway import RunningGateway
from support.listener import Listener
from support.windows import Windows

pytestmark = pytest.mark.browser

SITI, BUDI, TONO = "0812 3456 7890", "081234567891", "+62 812-3456-7892"


class Buyer:
    """A buyer with one order in front of them."""

    def __init__(self, gateway: RunningGateway, merchant: Listener, page: Page, *, amount: int = 179_000, **order: Any) -> None:
        self.page = page
        self.invoice = f"INV-20260519-{uuid.uuid4().hex[:6]}"
        items = [
            {"name": "Kopi Gayo, 250 g", "price": amount - 90_000, "quantity": 1},
            {"name": "Sambal roa", "price": 45_000, "quantity": 2},
        ]
        answer = gateway.create_order(
            self.invoice,
            amount,
            line_items=items,
            success_url=merchant.url("/thanks"),
            failed_url=merchant.url("/sorry"),
            notify_url=merchant.url("/notify"),
            **order,
        )
        assert answer.status == 200, answer.body
        self.url: str = answer.json["payment"]["url"]

    def open(self, lang: str = "id") -> None:
        self.page.goto(f"{self.url}?lang={lang}")

    def sign_in(self, phone: str, pin: str = DEMO_PIN) -> None:
        self.page.locator("input[name=phone]").fill(phone)
        self.page.locator("input[name=pin]").fill(pin)
        self.press("login")

    def press(self, action: str) -> None:
        self.page.locator(f"button[name=action][value={action}]").click()


def seen(page: Page, name: str) -> None:
    """What every state promises: accessible, nothing wider than the window, nothing asked of third parties."""
    assert violations(page) == []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} scrolls sideways by {wide} px"
    directory = os.environ.get("GERBANG_SCREENSHOTS")
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{directory}/{name}.png", full_page=True)


@pytest.fixture
def buyer_page(windows: Windows, view: str) -> Page:
    return windows.open(view.split("-")[0])


@in_view("phone-id")
def test_a_buyer_signs_in_checks_pays_and_the_merchant_hears_of_it(
    sqlite_gateway: RunningGateway, merchant: Listener, buyer_page: Page, view: str
) -> None:
    lang = view.split("-")[1]
    buyer = Buyer(sqlite_gateway, merchant, buyer_page)

    buyer.open(lang)
    expect(buyer_page.locator("html")).to_have_attribute("lang", lang)
    expect(buyer_page.locator("body")).to_contain_text("179.000")
    seen(buyer_page, f"login-{view}")
    buyer.sign_in(SITI)
    expect(buyer_page.locator("body")).to_contain_text("Siti Rahmawati")
    expect(buyer_page.locator("body")).to_contain_text("0812 •••• 7890")
    expect(buyer_page.locator("body")).to_contain_text("Rp\u00a014.821.000")  # after paying
    seen(buyer_page, f"confirm-{view}")
    buyer.press("pay")

    expect(buyer_page.locator("h1")).to_have_text("Pembayaran berhasil" if lang == "id" else "Payment successful")
    seen(buyer_page, f"paid-{view}")
    [notification] = merchant.wait_for(1)
    assert notification.signature == "valid"
    assert notification.json()["transaction"]["status"] == "SUCCESS"
    assert notification.json()["order"] == {"invoice_number": buyer.invoice, "amount": 179_000}
    assert sqlite_gateway.status(buyer.invoice).json["transaction"]["status"] == "SUCCESS"
    expect(buyer_page.locator("main a").first).to_have_attribute("href", merchant.url("/thanks"))

    buyer.open(lang)  # opened again later
    expect(buyer_page.locator("body")).to_contain_text("sudah dibayar" if lang == "id" else "was paid")
    seen(buyer_page, f"already-paid-{view}")


@in_view("desktop-en")
def test_a_balance_too_small_is_named_and_can_be_topped_up_in_the_sandbox(
    sqlite_gateway: RunningGateway, merchant: Listener, buyer_page: Page, view: str
) -> None:
    buyer = Buyer(sqlite_gateway, merchant, buyer_page)

    buyer.open(view.split("-")[1])
    buyer.sign_in(BUDI)

    expect(buyer_page.locator("body")).to_contain_text("Rp\u00a0134.000")
    expect(buyer_page.locator("button[value=pay]")).to_have_count(0)
    seen(buyer_page, f"insufficient-{view}")
    buyer.press("topup")
    buyer.press("pay")
    expect(buyer_page.locator("[data-state=paid]")).to_be_visible()


@in_view("phone-id")
def test_wrong_pins_are_counted_and_the_third_ends_it(
    sqlite_gateway: RunningGateway, merchant: Listener, buyer_page: Page, view: str
) -> None:
    buyer = Buyer(sqlite_gateway, merchant, buyer_page)

    buyer.open(view.split("-")[1])
    buyer.sign_in(SITI, "999999")
    expect(buyer_page.locator("input[name=phone]")).to_have_value(SITI)
    expect(buyer_page.locator("input[name=pin]")).to_have_value("")
    buyer.sign_in(SITI, "999998")
    seen(buyer_page, f"wrong-pin-{view}")
    buyer.sign_in(SITI, "999997")

    expect(buyer_page.locator("[data-state=locked]")).to_be_visible()
    seen(buyer_page, f"locked-{view}")
    [notification] = merchant.wait_for(1)
    assert notification.json()["transaction"]["status"] == "FAILED"
    assert sqlite_gateway.status(buyer.invoice).json["transaction"]["status"] == "FAILED"


def test_an_unknown_number_reads_like_a_wrong_pin(sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows) -> None:
    texts = []
    for phone in (SITI, "0899 0000 1111"):
        page = windows.open()
        buyer = Buyer(sqlite_gateway, merchant, page)
        buyer.open()
        buyer.sign_in(phone, "999999")
        texts.append(page.locator("section.sheet").inner_text())

    assert texts[0] == texts[1]


@in_view("phone-id")
def test_who_blocked_a_pin_by_mistake_opens_it_with_a_code_and_pays(
    sqlite_gateway: RunningGateway, merchant: Listener, buyer_page: Page, view: str
) -> None:
    first = Buyer(sqlite_gateway, merchant, buyer_page)
    first.open(view.split("-")[1])
    for pin in ("999999", "999998", "999997"):
        first.sign_in(SITI, pin)
    expect(buyer_page.locator("[data-state=locked]")).to_be_visible()
    buyer = Buyer(sqlite_gateway, merchant, buyer_page)

    buyer.open(view.split("-")[1])
    buyer.sign_in(SITI)
    expect(buyer_page.locator("[role=alert]")).to_be_visible()
    seen(buyer_page, f"pin-blocked-{view}")
    buyer.press("code")
    buyer_page.locator("input[name=code]").fill("000000")
    buyer.press("unblock")
    expect(buyer_page.locator("input[name=code]")).to_have_attribute("aria-invalid", "true")
    seen(buyer_page, f"unblock-{view}")
    buyer_page.locator("input[name=code]").fill("123456")
    buyer.press("unblock")
    buyer.sign_in(SITI)
    buyer.press("pay")

    expect(buyer_page.locator("[data-state=paid]")).to_be_visible()


@in_view("desktop-en")
def test_a_locked_account_is_told_and_another_may_pay(
    sqlite_gateway: RunningGateway, merchant: Listener, buyer_page: Page, view: str
) -> None:
    buyer = Buyer(sqlite_gateway, merchant, buyer_page)

    buyer.open(view.split("-")[1])
    buyer.sign_in(TONO)
    expect(buyer_page.locator("[role=alert]")).to_be_visible()
    seen(buyer_page, f"account-locked-{view}")
    buyer.sign_in(SITI)
    buyer.press("pay")

    expect(buyer_page.locator("[data-state=paid]")).to_be_visible()


@in_view("phone-id")
def test_missing_and_malformed_fields_are_summarised(
    sqlite_gateway: RunningGateway, merchant: Listener, buyer_page: Page, view: str
) -> None:
    buyer = Buyer(sqlite_gateway, merchant, buyer_page)

    buyer.open(view.split("-")[1])
    buyer.sign_in("12", "12")

    expect(buyer_page.locator("[role=alert]")).to_be_visible()
    expect(buyer_page.locator("input[name=phone]")).to_have_attribute("aria-invalid", "true")
    seen(buyer_page, f"field-errors-{view}")


@in_view("desktop-en")
def test_cancelling_tells_the_merchant_and_moves_nothing(
    sqlite_gateway: RunningGateway, merchant: Listener, buyer_page: Page, view: str
) -> None:
    buyer = Buyer(sqlite_gateway, merchant, buyer_page)

    buyer.open(view.split("-")[1])
    buyer.press("cancel")

    expect(buyer_page.locator("[data-state=cancelled]")).to_be_visible()
    expect(buyer_page.locator("main a").first).to_have_attribute("href", merchant.url("/sorry"))
    seen(buyer_page, f"cancelled-{view}")
    assert merchant.wait_for(1)[0].json()["transaction"]["status"] == "FAILED"


@in_view("phone-id")
def test_after_its_time_the_page_cannot_be_paid(
    sqlite_gateway: RunningGateway, merchant: Listener, buyer_page: Page, view: str
) -> None:
    buyer = Buyer(sqlite_gateway, merchant, buyer_page)
    buyer.open(view.split("-")[1])
    buyer.sign_in(SITI)

    sqlite_gateway.control("POST", "/clock", {"advance_s": 3_601})
    buyer.press("pay")

    expect(buyer_page.locator("[data-state=expired]")).to_be_visible()
    seen(buyer_page, f"expired-{view}")
    assert sqlite_gateway.status(buyer.invoice).json["transaction"]["status"] == "EXPIRED"
    assert merchant.received() == []  # expiry is told only to merchants that asked


@in_view("desktop-en")
def test_a_wrong_address_says_so(sqlite_gateway: RunningGateway, buyer_page: Page, view: str) -> None:
    answer = buyer_page.goto(f"{sqlite_gateway.url}/wallet/pay/pay_NOSUCH?lang={view.split('-')[1]}")

    assert answer is not None
    assert answer.status == 404
    seen(buyer_page, f"not-found-{view}")


@pytest.mark.parametrize("view", ["phone-id", "desktop-en"])
@pytest.mark.parametrize("topic", ["help", "privacy", "terms"])
def test_the_pages_of_the_footer_exist(sqlite_gateway: RunningGateway, buyer_page: Page, view: str, topic: str) -> None:
    buyer_page.goto(f"{sqlite_gateway.url}/{topic}?lang={view.split('-')[1]}")

    expect(buyer_page.locator("h1")).to_be_visible()
    seen(buyer_page, f"{topic}-{view}")


def test_everything_works_without_javascript_at_320_pixels(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page = windows.open((320, 640), script=False)
    buyer = Buyer(sqlite_gateway, merchant, page)

    buyer.open()
    page.locator("summary", has_text="Akun demo").click()
    page.get_by_role("link", name=re.compile("Siti")).click()  # the sandbox bar fills the form in
    buyer.press("login")
    buyer.press("pay")

    expect(page.locator("[data-state=paid]")).to_be_visible()


def test_with_auto_redirect_the_buyer_goes_to_the_merchant_at_once(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page = windows.open()
    paid = Buyer(sqlite_gateway, merchant, page, auto_redirect="true")
    paid.open()
    paid.sign_in(SITI)
    paid.press("pay")
    page.wait_for_url(merchant.url("/thanks"))

    cancelled = Buyer(sqlite_gateway, merchant, page, auto_redirect=True)
    cancelled.open()
    cancelled.press("cancel")
    page.wait_for_url(merchant.url("/sorry"))


def test_the_keyboard_alone_is_enough(sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows) -> None:
    page = windows.open()
    buyer = Buyer(sqlite_gateway, merchant, page)
    buyer.open()

    page.locator("input[name=phone]").focus()
    page.keyboard.type("081234567890")
    page.keyboard.press("Tab")
    page.keyboard.type(DEMO_PIN)
    page.keyboard.press("Enter")
    page.locator("button[value=pay]").focus()
    page.keyboard.press("Enter")

    expect(page.locator("[data-state=paid]")).to_be_visible()


def test_pressing_pay_twice_and_reloading_pays_once(sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows) -> None:
    page = windows.open(script=False)
    buyer = Buyer(sqlite_gateway, merchant, page)
    buyer.open()
    buyer.sign_in(SITI)
    session = page.locator("input[name=session]").get_attribute("value")

    for _ in range(3):
        page.request.post(buyer.url, form={"action": "pay", "session": str(session)})
    buyer.press("pay")

    expect(page.locator("[data-state=paid]")).to_be_visible()
    order = sqlite_gateway.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={buyer.invoice}")
    assert len(order["payments"][0]["transfers"]) == 1
    assert len(merchant.wait_for(1)) == 1


def test_the_page_works_in_a_frame_of_another_site(sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows) -> None:
    page = windows.open((420, 760))
    buyer = Buyer(sqlite_gateway, merchant, page)
    shop = merchant.url("/shop").replace("127.0.0.1", "localhost")  # another site, so no cookie would survive
    page.goto(shop)
    page.evaluate(
        "url => { const frame = document.createElement('iframe'); frame.src = url; frame.width = 400; frame.height = 700;"
        " frame.title = 'Pembayaran'; document.body.append(frame) }",
        buyer.url,
    )
    frame = page.frame_locator("iframe")

    frame.locator("input[name=phone]").fill(SITI)
    frame.locator("input[name=pin]").fill(DEMO_PIN)
    frame.locator("button[value=login]").click()
    frame.locator("button[value=pay]").click()

    expect(frame.locator("[data-state=paid]")).to_be_visible()


def test_a_forged_session_pays_nothing(sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows) -> None:
    page = windows.open()
    buyer, other = Buyer(sqlite_gateway, merchant, page), Buyer(sqlite_gateway, merchant, page)
    other.open()
    other.sign_in(SITI)
    of_another_payment = str(page.locator("input[name=session]").get_attribute("value"))

    for session in ("", "x", of_another_payment, of_another_payment[:-4] + "AAAA"):
        page.request.post(buyer.url, form={"action": "pay", "session": session})

    assert sqlite_gateway.status(buyer.invoice).json["transaction"]["status"] == "PENDING"
