"""A buyer at the card page and at the bank, in a real browser, against the running gateway: every way to pay and to fail.

Cards dossier §§6, 7, 8 and 21. How each state looks by itself is promised in the room's `test_look.py`.
GERBANG_SCREENSHOTS=DIR keeps a picture of every state, to be looked at.
"""

import contextlib
import gzip
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Frame, FrameLocator, Locator, Page, expect
from playwright.sync_api import Error as PlaywrightError

from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from support.gateway import RunningGateway
from support.listener import Listener

pytestmark = pytest.mark.browser

CHALLENGED = "5573381011111101"  # Mandiri; the bank asks, OTP 123456
KNOWN = "4111111111111111"  # frictionless
DECLINED = "4000000000000002"  # 05, without 3-D Secure
LIMIT = "4000000000009995"  # 51, without 3-D Secure
SILENT = "4555550000300009"  # the bank asks; then nobody answers
BCA = "4555551100000010"  # installments
AMEX = "378282246310005"
OTP = "123456"

SIZES = {"phone": (375, 740), "desktop": (1280, 900)}
DISCLAIMER = {
    "id": "Saya setuju pesanan diproses setelah pembayaran diterima dan tidak dapat diubah.",
    "en": "I agree that the order is processed once it is paid and cannot be changed.",
}
DARK = {
    "background_color": "1F2A26",
    "font_color": "F4F1E6",
    "button_background_color": "E9B44C",
    "button_font_color": "1F2A26",
}

# Chromium says so of every answer that is not 2xx; a declined card and a wrong code are answered with 422.
_ANSWERED = re.compile(r"Failed to load resource: the server responded with a status of 4(04|10|22)")


@pytest.fixture
def merchant() -> Iterator[Listener]:
    """The demo merchant's endpoint, which checks signatures with code of its own."""
    with Listener.start({DEMO_CLIENT_ID: SANDBOX_SECRET_KEY}) as listening:
        yield listening


@pytest.fixture
def tab(browser: Browser) -> Iterator["Tabs"]:
    tabs = Tabs(browser)
    yield tabs
    tabs.close()


class Tabs:
    """Windows of buyers. What their consoles say, and whom they ask, is looked at in the end."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[Any] = []
        self.complaints: list[str] = []

    def open(self, size: str | tuple[int, int] = "phone", **more: Any) -> Page:
        width, height = SIZES[size] if isinstance(size, str) else size
        context = self._browser.new_context(viewport={"width": width, "height": height}, locale="id-ID", **more)
        context.set_default_timeout(10_000)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda sent: self._ask(sent.url))
        return page

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _ANSWERED.match(message.text):
            self.complaints.append(message.text)

    def _ask(self, url: str) -> None:
        if not re.match(r"https?://(127\.0\.0\.1|localhost):", url):
            self.complaints.append(url)

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        assert self.complaints == []


class Buyer:
    """A buyer with one order in front of them."""

    def __init__(
        self, gateway: RunningGateway, merchant: Listener, page: Page | FrameLocator, amount: int = 179_000, **more: Any
    ) -> None:
        self.gateway = gateway
        self.merchant = merchant
        self.at = page
        self.invoice = f"INV-{uuid.uuid4().hex[:12]}"
        order = {
            "invoice_number": self.invoice,
            "amount": amount,
            "callback_url": merchant.url("/thanks"),
            "failed_url": merchant.url("/sorry"),
            "line_items": [
                {"name": "Kopi Gayo, 250 g", "price": amount - 90_000, "quantity": 1},
                {"name": "Sambal roa", "price": 45_000, "quantity": 2},
            ],
        } | more.pop("order", {})
        info = {"override_notification_url": merchant.url("/notify")} | more.pop("additional_info", {})
        customer = {"name": "Siti Rahmawati", "email": "siti@contoh.id"} | more.pop("customer", {})
        body = {"order": order, "customer": customer, "additional_info": info, **more}
        answer = gateway.signed("POST", "/credit-card/v1/payment-page", body)
        assert answer.status == 200, answer.body
        self.url: str = answer.json["credit_card_payment_page"]["url"]

    @property
    def page(self) -> Page:
        assert isinstance(self.at, Page)
        return self.at

    @property
    def bank(self) -> FrameLocator:
        """The bank's page, in its frame."""
        return self.at.frame_locator("iframe[name=challenge]")

    @property
    def go(self) -> Locator:
        return self.at.locator("button[value=pay]")

    @property
    def alert(self) -> Locator:
        return self.at.locator("[role=alert]")

    def open(self, lang: str = "id") -> "Buyer":
        self.page.goto(f"{self.url}?lang={lang}")
        return self

    def fill(self, number: str, *, expiry: str = "12/29", cvv: str | None = "123") -> "Buyer":
        self.at.locator("#number").fill(number)
        self.at.locator("#expiry").fill(expiry)
        if cvv is not None:
            self.at.locator("#cvv").fill(cvv)
        return self

    def pay(self, number: str, **more: Any) -> "Buyer":
        self.fill(number, **more)
        self.go.click()
        return self

    def enter_code(self, code: str = OTP) -> None:
        self.bank.locator("#code").fill(code)
        self.bank.locator("button[value=verify]").click()

    def sees(self, state: str) -> None:
        expect(self.at.locator(f"[data-state={state}]")).to_be_visible()

    @property
    def status(self) -> str:
        return str(self.gateway.status(self.invoice).json["transaction"]["status"])

    @property
    def transfers(self) -> list[Any]:
        found = self.gateway.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={self.invoice}")
        return list(found["payments"][-1]["transfers"])


def seen(page: Page, name: str) -> None:
    """What every state promises, in the page and in every frame in it: accessible, nothing wider than its window."""
    for frame in page.frames:
        assert_accessible(frame, name)
    directory = os.environ.get("GERBANG_SCREENSHOTS")
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{directory}/{name}.png", full_page=True)


def assert_accessible(frame: Frame, name: str) -> None:
    # A frame without an address is one whose page has not come.
    if not frame.url.startswith("http"):
        return
    # A frame inside answers for itself. What is folded away nobody sees, and its colours have nothing behind them.
    folded = [["details:not([open]) > :not(summary)"]]
    violations = Axe().run(frame, context={"exclude": folded}, options="{iframes: false}")["violations"]
    assert violations == [], (name, [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations])
    wide = frame.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name}: {frame.url} scrolls sideways by {wide} px"


# Each language and each width once; all four pairs when pictures are wanted.
VIEWS = (
    ("phone-id", "desktop-en", "phone-en", "desktop-id") if os.environ.get("GERBANG_SCREENSHOTS") else ("phone-id", "desktop-en")
)


@pytest.fixture(params=VIEWS)
def view(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_buyer_types_a_card_enters_the_banks_code_and_the_merchant_hears_of_it(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page).open(lang)

    expect(page.locator("html")).to_have_attribute("lang", lang)
    seen(page, f"form-{view}")
    page.locator("#number").press_sequentially(CHALLENGED)
    expect(page.locator("#expiry")).to_be_focused()
    page.keyboard.type("1229")
    expect(page.locator("#cvv")).to_be_focused()
    page.keyboard.type("123")
    expect(page.locator("#number")).to_have_value("5573 3810 1111 1101")
    seen(page, f"filled-{view}")
    page.keyboard.press("Enter")

    expect(buyer.bank.locator("#code")).to_be_visible()
    expect(buyer.bank.locator("html")).to_have_attribute("lang", lang)
    seen(page, f"bank-{view}")
    assert buyer.status == "PENDING"
    buyer.enter_code()

    expect(page.locator("h1")).to_have_text("Pembayaran berhasil" if lang == "id" else "Payment successful")
    seen(page, f"paid-{view}")
    [notification] = merchant.wait_for(1)
    assert notification.signature == "valid"
    told = notification.json()
    assert told["transaction"]["status"] == "SUCCESS"
    assert told["order"] == {"invoice_number": buyer.invoice, "amount": 179_000}
    assert CHALLENGED not in notification.body.decode()
    assert buyer.status == "SUCCESS"
    expect(page.locator("main a.ink")).to_have_attribute("href", merchant.url("/thanks"))

    buyer.open(lang)  # opened again later
    expect(page.locator("body")).to_contain_text("sudah dibayar" if lang == "id" else "was paid")
    seen(page, f"already-paid-{view}")


def test_a_card_the_bank_knows_pays_without_a_question(sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs) -> None:
    buyer = Buyer(sqlite_gateway, merchant, tab.open()).open()

    buyer.pay(KNOWN)

    buyer.sees("paid")
    expect(buyer.page.locator("iframe")).to_have_count(0)
    assert merchant.wait_for(1)[0].json()["transaction"]["status"] == "SUCCESS"


def test_a_declined_card_is_explained_and_another_one_pays(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page).open(lang)
    page.locator("#name").fill("SITI RAHMAWATI")

    buyer.pay(LIMIT)

    expect(buyer.alert).to_contain_text("Limit" if lang == "id" else "limit")
    expect(page.locator("#number")).to_have_value("4000 0000 0000 9995")
    expect(page.locator("#name")).to_have_value("SITI RAHMAWATI")
    expect(page.locator("#cvv")).to_have_value("")
    seen(page, f"declined-{view}")
    assert buyer.transfers == []
    buyer.pay(KNOWN)
    buyer.sees("paid")
    assert buyer.status == "SUCCESS"
    assert len(buyer.transfers) == 1


def test_after_the_last_attempt_the_page_says_so_and_the_merchant_too(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page).open(lang)

    for tried in range(1, 5):
        buyer.pay(DECLINED)
        expect(buyer.alert).to_be_visible()
        if tried == 4:
            expect(buyer.alert).to_contain_text("Sisa 1 kali" if lang == "id" else "1 attempt left")
            seen(page, f"one-attempt-left-{view}")
    buyer.pay(DECLINED)

    buyer.sees("failed")
    seen(page, f"failed-{view}")
    assert buyer.status == "FAILED"
    expect(page.locator("main a.ink")).to_have_attribute("href", merchant.url("/sorry"))
    assert merchant.wait_for(1)[-1].json()["transaction"]["status"] == "FAILED"


def test_a_saved_card_pays_with_its_cvv_alone_and_can_be_removed(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    customer = {"id": f"C-{uuid.uuid4().hex[:8]}"}
    first = Buyer(sqlite_gateway, merchant, page, customer=customer).open(lang)
    page.locator("#save").check()
    first.pay(KNOWN)
    first.sees("paid")

    second = Buyer(sqlite_gateway, merchant, page, customer=customer).open(lang)
    expect(page.locator("#number")).to_be_hidden()
    expect(page.locator("#choice")).to_be_checked()
    seen(page, f"saved-{view}")
    page.locator("#cvv").fill("123")
    second.go.click()
    second.sees("paid")
    assert second.status == "SUCCESS"

    third = Buyer(sqlite_gateway, merchant, page, customer=customer).open(lang)
    page.locator("button[value=remove]").click()
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator("main")).to_contain_text("1111")
    seen(page, f"remove-{view}")
    page.locator("button[value=remove]").click()
    expect(page.locator("#number")).to_be_visible()
    expect(page.locator("button[value=remove]")).to_have_count(0)
    listed = sqlite_gateway.signed("POST", "/tokenization/v2/get-token", {"customer": customer})
    assert "1111" not in listed.body.decode()
    third.pay(KNOWN)
    third.sees("paid")


def test_installments_appear_once_the_card_is_known(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page, amount=1_200_000).open(lang)
    expect(page.locator("[data-plans]")).to_be_hidden()

    buyer.fill(BCA)
    six = page.get_by_role("radio", name=re.compile(r"6 × Rp\s200\.000"))
    expect(six).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(5)  # in full, 3, 6, 12, 24
    seen(page, f"plans-{view}")
    six.check()
    buyer.go.click()
    buyer.enter_code()

    buyer.sees("paid")
    expect(page.locator("main")).to_contain_text(re.compile(r"6 (×|instalments of) Rp\s200\.000"))
    seen(page, f"paid-in-installments-{view}")
    told = merchant.wait_for(1)[0].json()
    assert told["order"]["amount"] == 1_200_000
    page = tab.open()
    other = Buyer(sqlite_gateway, merchant, page, amount=1_200_000).open()
    other.fill(BCA)
    expect(page.locator("[data-plans]")).to_be_visible()
    other.fill(KNOWN)
    expect(page.locator("[data-plans]")).to_be_hidden()


def test_a_promo_shows_while_typing_and_is_what_is_charged(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    override = {"promo": [{"bin": "411111", "discount_amount": 29_000}]}
    buyer = Buyer(sqlite_gateway, merchant, page, override_configuration=override).open(lang)
    struck = page.locator(".was s")

    expect(struck).to_be_hidden()
    page.locator("#number").press_sequentially("41111")
    expect(page.locator("[data-amount]")).to_have_text("179.000")
    page.locator("#number").press_sequentially("1")
    expect(page.locator("[data-amount]")).to_have_text("150.000")
    expect(struck).to_have_text(re.compile("179.000"))
    expect(buyer.go).to_contain_text("150.000")
    page.locator("#number").press("Backspace")
    expect(page.locator("[data-amount]")).to_have_text("179.000")
    buyer.fill(KNOWN)
    seen(page, f"promo-{view}")
    buyer.go.click()

    buyer.sees("paid")
    expect(page.locator("main")).to_contain_text(re.compile(r"Rp\s150\.000"))
    seen(page, f"promo-paid-{view}")
    [transfer] = buyer.transfers
    assert transfer["amount"] == 150_000


def test_a_card_the_shop_does_not_take_is_refused_while_typing(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs
) -> None:
    page = tab.open()
    buyer = Buyer(sqlite_gateway, merchant, page, override_configuration={"allow_bin": ["557338"]}).open()
    posts: list[str] = []
    page.on("request", lambda sent: posts.append(sent.url) if sent.method == "POST" else None)

    page.locator("#number").press_sequentially("411111")
    expect(page.locator("#number-error")).to_be_visible()
    buyer.pay(KNOWN)
    expect(buyer.alert).to_be_visible()
    seen(page, "bin-refused")
    assert posts == []
    buyer.pay(CHALLENGED)
    buyer.enter_code()

    buyer.sees("paid")


def test_nothing_is_paid_before_the_disclaimer_is_ticked(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page, additional_info={"disclaimer": DISCLAIMER}).open(lang)

    expect(page.get_by_text(DISCLAIMER[lang])).to_be_visible()
    buyer.pay(KNOWN)
    expect(buyer.alert).to_be_focused()
    expect(page.locator("#consent")).to_have_attribute("aria-invalid", "true")
    seen(page, f"disclaimer-{view}")
    assert buyer.transfers == []
    page.locator("#consent").check()
    buyer.go.click()

    buyer.sees("paid")


def test_fields_are_checked_in_the_browser_with_the_words_of_the_server(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page).open(lang)

    buyer.pay("4111111111111112", expiry="12/24", cvv="12")
    expect(buyer.alert).to_be_focused()
    by_script = [page.locator(f"#{name}-error").inner_text().strip() for name in ("number", "expiry", "cvv")]
    seen(page, f"field-errors-{view}")
    plain = tab.open(size, java_script_enabled=False)
    other = Buyer(sqlite_gateway, merchant, plain).open(lang)
    other.pay("4111111111111112", expiry="12/24", cvv="12")

    assert by_script == [plain.locator(f"#{name}-error").inner_text().strip() for name in ("number", "expiry", "cvv")]


def test_an_amex_card_has_its_own_shape(sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs) -> None:
    page = tab.open()
    buyer = Buyer(sqlite_gateway, merchant, page).open()

    page.locator("#number").press_sequentially(AMEX)
    expect(page.locator("#number")).to_have_value("3782 822463 10005")
    expect(page.locator("#cvv")).to_have_attribute("maxlength", "4")
    buyer.pay(AMEX, cvv="1234")

    buyer.sees("paid")


def test_moto_asks_neither_for_a_cvv_nor_for_a_code(sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs) -> None:
    page = tab.open()
    buyer = Buyer(sqlite_gateway, merchant, page, payment={"type": "MOTO"}).open()

    expect(page.locator("#cvv")).to_have_count(0)
    seen(page, "moto")
    buyer.pay(CHALLENGED, cvv=None)

    buyer.sees("paid")


def test_recurring_asks_for_the_cvv_the_first_time_only(sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs) -> None:
    page = tab.open()
    customer = {"id": f"C-{uuid.uuid4().hex[:8]}"}
    first = Buyer(sqlite_gateway, merchant, page, customer=customer, payment={"type": "RECURRING"}).open()
    seen(page, "recurring-first")
    first.pay(CHALLENGED)
    first.enter_code()
    first.sees("paid")

    second = Buyer(sqlite_gateway, merchant, page, customer=customer, payment={"type": "RECURRING"}).open()
    expect(page.locator("#cvv")).to_have_count(0)
    seen(page, "recurring-next")
    second.go.click()

    second.sees("paid")


def test_an_authorisation_says_that_the_money_is_held(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page, payment={"type": "AUTHORIZE"}).open(lang)

    buyer.pay(KNOWN)

    buyer.sees("paid")
    expect(page.locator("h1")).not_to_have_text("Pembayaran berhasil" if lang == "id" else "Payment successful")
    seen(page, f"held-{view}")
    [held] = buyer.transfers
    assert held["credit"].endswith(":authorised")


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
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, size: tuple[int, int]
) -> None:
    width, height = size
    page = tab.open((width + 40, height + 40))
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
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs
) -> None:
    page = tab.open("desktop")
    page.goto(merchant.url("/shop").replace("127.0.0.1", "localhost"))
    buyer = Buyer(sqlite_gateway, merchant, page.frame_locator("iframe[title=Pembayaran]"), order={"auto_redirect": True})
    page.evaluate(EMBED, [f"{buyer.url}?lang=id", 800, 500])

    buyer.pay(KNOWN)

    page.wait_for_url(merchant.url("/thanks"))
    assert page.frames == [page.main_frame]


def test_with_auto_redirect_the_buyer_goes_to_the_merchant_at_once(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs
) -> None:
    page = tab.open()
    paid = Buyer(sqlite_gateway, merchant, page, order={"auto_redirect": True}).open()
    paid.pay(CHALLENGED)
    paid.enter_code()
    page.wait_for_url(merchant.url("/thanks"))

    cancelled = Buyer(sqlite_gateway, merchant, page, order={"auto_redirect": True}).open()
    page.locator("button[value=cancel]").click()
    page.wait_for_url(merchant.url("/sorry"))
    assert cancelled.status == "FAILED"


def test_everything_works_without_javascript_at_320_pixels(sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs) -> None:
    page = tab.open((320, 640), java_script_enabled=False)
    buyer = Buyer(sqlite_gateway, merchant, page, additional_info={"disclaimer": DISCLAIMER}).open()

    page.locator("summary", has_text="Kartu uji").click()
    page.get_by_role("link", name="Disetujui", exact=True).click()  # the sandbox bar fills the form in
    expect(page.locator("#number")).to_have_value(re.compile("5573"))
    page.locator("#cvv").fill("123")
    buyer.go.click()
    expect(page.locator("#consent-error")).to_be_visible()
    picture(page, "plain-errors-320")
    page.locator("#consent").check()
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
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs
) -> None:
    page = tab.open((320, 640), java_script_enabled=False)
    buyer = Buyer(sqlite_gateway, merchant, page, amount=1_200_000).open()

    buyer.pay(BCA)
    six = page.get_by_role("radio", name=re.compile(r"6 × Rp\s200\.000"))
    six.check()
    page.locator("#cvv").fill("123")
    buyer.go.click()
    page.locator("form[data-opens] button").click()
    buyer.enter_code()
    buyer.bank.locator("button.go").click()
    buyer.bank.locator("a.ink").click()

    expect(page.locator("main")).to_contain_text(re.compile(r"6 × Rp\s200\.000"))


def test_going_back_and_reloading_after_paying_never_pays_again(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs
) -> None:
    page = tab.open()
    buyer = Buyer(sqlite_gateway, merchant, page).open()
    buyer.pay(CHALLENGED)
    buyer.enter_code()
    buyer.sees("paid")

    page.reload()
    buyer.sees("paid")
    for _ in range(3):
        # Chromium asks before it shows the answer to a POST again; a buyer who insists sends it again.
        with contextlib.suppress(PlaywrightError):
            page.go_back()
        with contextlib.suppress(PlaywrightError):
            page.reload()
        for _ in range(10):
            with contextlib.suppress(PlaywrightError):  # Chromium's own error page is still on its way
                buyer.open()
                break
        buyer.sees("paid")
        expect(buyer.go).to_have_count(0)

    assert len(buyer.transfers) == 1
    assert len(merchant.wait_for(1)) == 1


def test_a_payment_sent_again_by_hand_is_the_same_payment(sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs) -> None:
    page = tab.open(java_script_enabled=False)
    buyer = Buyer(sqlite_gateway, merchant, page).open()
    key = str(page.locator("form.cardform input[name=form]").get_attribute("value"))
    fields: dict[str, str | float | bool] = {
        "action": "pay",
        "choice": "new",
        "number": KNOWN,
        "expiry": "12/29",
        "cvv": "123",
        "form": key,
    }

    for _ in range(3):
        page.request.post(buyer.url, form=fields)
    buyer.open()

    buyer.sees("paid")
    assert len(buyer.transfers) == 1


@pytest.mark.parametrize("number", [KNOWN, DECLINED])
def test_a_double_click_on_pay_tries_the_card_once(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, number: str
) -> None:
    page = tab.open()
    buyer = Buyer(sqlite_gateway, merchant, page).open()
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)

    buyer.fill(number)
    buyer.go.dblclick(no_wait_after=True)

    expect(page.locator("[data-state=paid], [role=alert]")).to_be_visible()
    assert len(sent) == 1
    assert len(buyer.transfers) == (1 if number == KNOWN else 0)


def test_leaving_the_bank_and_paying_with_another_card_pays_once(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs
) -> None:
    page, other_tab = tab.open(), tab.open()
    buyer = Buyer(sqlite_gateway, merchant, page).open()
    buyer.pay(CHALLENGED)
    expect(buyer.bank.locator("#code")).to_be_visible()

    again = other_tab
    again.goto(buyer.url)
    again.locator("#number").fill(KNOWN)
    again.locator("#expiry").fill("12/29")
    again.locator("#cvv").fill("123")
    again.locator("button[value=pay]").click()
    expect(again.locator("[data-state=paid]")).to_be_visible()
    buyer.enter_code()

    buyer.sees("paid")
    assert len(buyer.transfers) == 1


def test_three_wrong_codes_end_the_verification_and_another_card_pays(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page).open(lang)
    buyer.pay(CHALLENGED)

    buyer.enter_code("000001")
    expect(buyer.bank.locator("#code-error")).to_be_visible()
    seen(page, f"wrong-code-{view}")
    buyer.enter_code("000002")
    expect(buyer.bank.locator("#code-error")).to_contain_text("1 kali" if lang == "id" else "1 attempt")
    seen(page, f"wrong-code-last-{view}")
    buyer.enter_code("000003")

    expect(buyer.alert).to_contain_text("Verifikasi bank tidak berhasil" if lang == "id" else "verification did not succeed")
    seen(page, f"verification-failed-{view}")
    assert buyer.transfers == []
    buyer.pay(KNOWN)
    buyer.sees("paid")


@pytest.mark.parametrize(
    ("button", "words"), [("cancel", "Verifikasi bank dibatalkan"), ("expire", "Waktu verifikasi habis")], ids=["cancel", "time"]
)
def test_what_ended_the_verification_is_told_apart(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, button: str, words: str
) -> None:
    page = tab.open()
    buyer = Buyer(sqlite_gateway, merchant, page).open()
    buyer.pay(CHALLENGED)

    buyer.bank.locator(f"button[value={button}]").last.click()

    expect(buyer.alert).to_contain_text(words)
    seen(page, f"verification-{button}")
    buyer.pay(KNOWN)
    buyer.sees("paid")


def test_while_the_bank_is_silent_the_page_waits_and_then_offers_to_try_again(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page).open(lang)

    buyer.pay(SILENT)
    buyer.enter_code()

    expect(page.locator("[data-state=waiting], [role=alert]")).to_be_visible()
    seen(page, f"after-silence-{view}")
    expect(buyer.alert).to_be_visible(timeout=20_000)
    expect(buyer.go).to_be_visible()
    seen(page, f"reversed-{view}")
    assert buyer.transfers == []
    buyer.pay(KNOWN)
    buyer.sees("paid")
    assert len(buyer.transfers) == 1


def test_the_countdown_ends_in_a_page_that_cannot_be_paid(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page)
    minutes = sqlite_gateway.gateway.settings.card_page_expiry_min
    sqlite_gateway.control("POST", "/clock", {"advance_s": minutes * 60 - 4})
    buyer.open(lang)
    buyer.fill(KNOWN)

    expect(page.locator("[data-state=expired]")).to_be_visible(timeout=15_000)  # by itself
    seen(page, f"expired-{view}")
    assert buyer.status == "EXPIRED"


def test_cancelling_tells_the_merchant_and_moves_nothing(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page).open(lang)
    buyer.fill(KNOWN)

    page.locator("button[value=cancel]").click()

    buyer.sees("cancelled")
    seen(page, f"cancelled-{view}")
    expect(page.locator("main a.ink")).to_have_attribute("href", merchant.url("/sorry"))
    assert merchant.wait_for(1)[0].json()["transaction"]["status"] == "FAILED"
    assert buyer.transfers == []


def test_a_dark_shop_gets_a_dark_page_all_the_way(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    override = {"themes": {"language": lang.upper(), **DARK}, "promo": [{"bin": "5573", "discount_amount": 9_000}]}
    buyer = Buyer(sqlite_gateway, merchant, page, override_configuration=override)
    page.goto(buyer.url)  # no language asked for: the shop's

    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.locator("body")).to_have_css("background-color", "rgb(31, 42, 38)")
    seen(page, f"dark-{view}")
    page.locator("summary", has_text="Kartu uji" if lang == "id" else "Test cards").click()
    seen(page, f"dark-bar-{view}")
    buyer.pay(DECLINED)
    expect(buyer.alert).to_be_visible()
    seen(page, f"dark-declined-{view}")
    buyer.pay(CHALLENGED)
    expect(buyer.bank.locator("#code")).to_be_visible()
    seen(page, f"dark-bank-{view}")
    buyer.enter_code()

    buyer.sees("paid")
    expect(page.locator("body")).to_have_css("background-color", "rgb(31, 42, 38)")
    seen(page, f"dark-paid-{view}")


def test_a_page_replaced_by_a_newer_one_says_so(sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs) -> None:
    page = tab.open()
    buyer = Buyer(sqlite_gateway, merchant, page)
    body = {"order": {"amount": 20_000, "invoice_number": buyer.invoice}, "customer": {"email": "siti@contoh.id"}}
    assert sqlite_gateway.signed("POST", "/credit-card/v1/payment-page", body).status == 200

    answer = page.goto(buyer.url)

    assert answer is not None
    assert answer.status == 410
    expect(page.locator("h1")).to_be_visible()
    expect(buyer.go).to_have_count(0)
    seen(page, "replaced")


def test_a_wrong_address_says_so(sqlite_gateway: RunningGateway, tab: Tabs, view: str) -> None:
    size, lang = view.split("-")
    page = tab.open(size)

    answer = page.goto(f"{sqlite_gateway.url}/credit-card/pay/pay_NOSUCH?lang={lang}")

    assert answer is not None
    assert answer.status == 404
    seen(page, f"not-found-{view}")


# The sandbox bar.


def test_a_test_card_of_the_bar_fills_the_form_in(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, view: str
) -> None:
    size, lang = view.split("-")
    page = tab.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page).open(lang)

    page.locator(".bar summary").click()
    seen(page, f"bar-{view}")
    page.get_by_role("link", name="Disetujui tanpa OTP" if lang == "id" else "Approved without OTP").click()

    expect(page.locator("#number")).to_have_value("4111 1111 1111 1111")
    expect(page.locator("#cvv")).to_have_value("123")
    buyer.go.click()
    buyer.sees("paid")


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
def test_a_tester_chooses_what_the_bank_answers_whatever_the_card(
    sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs, scripts: bool
) -> None:
    page = tab.open(java_script_enabled=scripts)
    buyer = Buyer(sqlite_gateway, merchant, page).open("en")

    def choose(code: str, three_ds: str) -> None:
        page.locator(".bar summary").click()
        page.locator("select[name=response_code]").select_option(code)
        page.locator("select[name=three_ds]").select_option(three_ds)
        page.locator("button[value=outcome]").click()

    choose("51", "none")
    expect(page.locator(".bar summary")).to_contain_text("51")
    buyer.pay(KNOWN)
    expect(buyer.alert).to_contain_text("limit")

    choose("", "rejected")
    expect(page.locator(".bar summary")).to_contain_text("3DS")
    buyer.pay(KNOWN)
    expect(buyer.alert).to_contain_text("verification")

    choose("", "")
    buyer.pay(KNOWN)
    buyer.sees("paid")
    assert [one["amount"] for one in buyer.transfers] == [179_000]


def test_outcomes_that_do_not_exist_change_nothing(sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs) -> None:
    page = tab.open()
    buyer = Buyer(sqlite_gateway, merchant, page).open()

    for wrong in ({"response_code": "ZZ"}, {"response_code": "5"}, {"three_ds": "nonsense"}, {"response_code": "0\x000"}):
        answer = page.request.post(buyer.url, form={"action": "outcome", **wrong})
        assert answer.status == 200
    buyer.open().pay(KNOWN)

    buyer.sees("paid")


def test_the_page_is_light(sqlite_gateway: RunningGateway, merchant: Listener, tab: Tabs) -> None:
    page = tab.open()
    bytes_of: dict[str, int] = {}
    page.on("response", lambda answer: bytes_of.update({answer.url: len(gzip.compress(answer.body(), 9))}))
    buyer = Buyer(sqlite_gateway, merchant, page).open()

    page.wait_for_load_state("networkidle")

    names = sorted(re.sub(r".*/|\?.*", "", url) for url in bytes_of)
    assert len(bytes_of) <= 5, names  # page, style, theme, script, icon
    assert sum(bytes_of.values()) <= 30_000, bytes_of
    assert buyer.url.split("?")[0] in {url.split("?")[0] for url in bytes_of}
