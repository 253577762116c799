"""Buyers at LinkAja and Indodana, in a real browser: from the merchant's page to the lender and back, and what the merchant hears.

GERBANG_SCREENSHOTS=DIR keeps a picture of every state, to be looked at.
"""

import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from gerbang.sandbox.seed import DEMO_CLIENT_ID
from support.browser import in_view
from support.card_tab import seen
from support.gateway import RunningGateway
from support.listener import Listener, Received
from support.notifying import eventually
from support.windows import Windows

pytestmark = pytest.mark.browser

AMOUNT = 179_000
ADDRESS = {
    "first_name": "Siti",
    "last_name": "Rahma",
    "address": "Jl. Teknologi No. 25",
    "city": "Jakarta",
    "postal_code": "12960",
    "phone": "081513114262",
    "country_code": "IDN",
}


class Sale:
    """One order of the demo merchant, whose browser pages and notification URL are the listener's."""

    def __init__(
        self, gateway: RunningGateway, merchant: Listener, page: Page, path: str, body: dict[str, Any], invoice: str = ""
    ) -> None:
        self.gateway = gateway
        self.merchant = merchant
        self.page = page
        self.invoice = invoice or f"INV-{uuid.uuid4().hex[:8]}"
        body["order"] |= {"invoice_number": self.invoice, "amount": AMOUNT}
        body["additional_info"] = {"override_notification_url": merchant.url("/notify")}
        answer = gateway.signed("POST", path, body)
        assert answer.status == 200, answer.body
        self.answer: dict[str, Any] = answer.json

    @property
    def status(self) -> str:
        return str(self.gateway.status(self.invoice).json["transaction"]["status"])

    def press(self, action: str) -> None:
        self.page.locator(f"button[name=action][value={action}]").click()

    def told(self) -> list[Received]:
        """What reached the merchant's server, without the visits of buyers."""
        return [call for call in self.merchant.received() if call.target == "/notify"]

    def wait_until_told(self) -> dict[str, Any]:
        """The one notification, whose signature the merchant has checked."""
        [call] = eventually(self.told)
        assert call.signature == "valid"
        body: dict[str, Any] = call.json()
        assert body["order"] == {"invoice_number": self.invoice, "amount": AMOUNT}
        return body

    def assert_clean(self) -> None:
        assert self.gateway.control("GET", "/verify") == {"ok": True, "problems": []}

    def let_pass(self, seconds: float) -> None:
        self.gateway.control("POST", "/clock", {"advance_s": seconds})


class LinkAja(Sale):
    def __init__(self, gateway: RunningGateway, merchant: Listener, page: Page, invoice: str = "") -> None:
        items = [
            {"name": "Kopi Gayo, 250 g", "price": AMOUNT - 90_000, "quantity": 1},
            {"name": "Sambal roa", "price": 45_000, "quantity": 2},
        ]
        order = {"callback_url": merchant.url("/thanks?from=linkaja"), "line_items": items}
        customer = {"name": "Siti Rahma", "phone": "081234567890"}
        path = "/linkaja-emoney/v2/ServiceRequestPayment"
        super().__init__(gateway, merchant, page, path, {"order": order, "customer": customer}, invoice)

    def leave_the_shop(self) -> None:
        """As the merchant's page does it: a form of the answer's own fields, posted by the browser."""
        self.page.goto(self.merchant.url("/shop"))
        payment = self.answer["emoney_payment"]
        self.page.evaluate(
            """payment => {
                const form = document.createElement("form");
                form.method = payment.redirect_method_http;
                form.action = payment.redirect_url_http;
                for (const one of payment.redirect_parameter) {
                    const field = document.createElement("input");
                    [field.type, field.name, field.value] = ["hidden", one.name, one.value];
                    form.append(field);
                }
                document.body.append(form);
                form.submit();
            }""",
            payment,
        )
        expect(self.page.locator("button[value=pay]")).to_be_visible()

    def open(self, lang: str) -> None:
        """As a client does it that only redirects."""
        self.page.goto(f"{self.answer['emoney_payment']['redirect_url_http']}?lang={lang}")


class Indodana(Sale):
    def __init__(self, gateway: RunningGateway, merchant: Listener, page: Page, **order: Any) -> None:
        items = [
            {"name": "Blender", "price": "89000.00", "quantity": 1, "id": "1002", "category": "electronics-and-telecom"},
            {"name": "Gelas ukur", "price": 45_000, "quantity": 2, "id": "1003", "category": "home-and-garden"},
        ]
        body = {
            "order": {
                "callback_url": merchant.url("/thanks"),
                "callback_url_cancel": merchant.url("/sorry"),
                "line_items": items,
                **order,
            },
            "peer_to_peer_info": {"merchant_unique_reference": "MUR-1"},
            "customer": {"first_name": "Siti", "last_name": "Rahma", "email": "siti@contoh.id", "phone": "6281234567890"},
            "billing_address": ADDRESS,
            "shipping_address": ADDRESS,
        }
        super().__init__(gateway, merchant, page, "/indodana-peer-to-peer/v2/generate-order", body)

    def open(self, lang: str) -> None:
        self.page.goto(f"{self.answer['payment']['url']}?lang={lang}")

    def choose(self, months: int, *, consent: bool = True) -> None:
        self.page.locator(f"input[name=plan][value='{months}']").check()
        self.page.locator("input[name=consent]").set_checked(consent)


# -- LinkAja


@in_view("phone-id")
def test_the_shops_form_leads_to_linkaja_and_back_and_the_merchant_hears_of_it(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    """S4-01, S4-23 … S4-26, S4-29 … S4-31."""
    size, lang = view.split("-")
    page = windows.open(size)
    sale = LinkAja(sqlite_gateway, merchant, page)

    sale.leave_the_shop()
    if lang == "en":
        page.locator("nav.languages a[lang=en]").click()
    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.locator("main")).to_contain_text("179.000")
    expect(page.locator("main")).to_contain_text("Kopi Gayo, 250 g")
    expect(page.locator("body")).to_contain_text("0812 •••• 7890")
    seen(page, f"linkaja-pay-{view}")
    assert sale.status == "PENDING"
    sale.press("pay")

    page.wait_for_url(merchant.url("/thanks?from=linkaja"))
    assert sale.wait_until_told()["transaction"]["status"] == "SUCCESS"
    assert sale.status == "SUCCESS"
    sale.open(lang)  # opened again later
    expect(page.locator("[data-state=paid]")).to_be_visible()
    seen(page, f"linkaja-paid-{view}")
    expect(page.locator("main a.ink")).to_have_attribute("href", merchant.url("/thanks?from=linkaja"))
    sale.assert_clean()


@in_view("desktop-en")
def test_a_buyer_who_cancels_at_linkaja_is_back_at_the_shop(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    """S4-10, S4-30."""
    size, lang = view.split("-")
    page = windows.open(size)
    sale = LinkAja(sqlite_gateway, merchant, page)

    sale.open(lang)
    seen(page, f"linkaja-open-{view}")
    sale.press("cancel")

    page.wait_for_url(merchant.url("/thanks?from=linkaja"))
    assert sale.wait_until_told()["transaction"]["status"] == "FAILED"
    assert sale.status == "FAILED"
    sale.open(lang)
    expect(page.locator("[data-state=cancelled]")).to_be_visible()
    seen(page, f"linkaja-cancelled-{view}")
    sale.assert_clean()


@in_view("phone-en")
def test_after_its_time_nobody_can_pay_at_linkaja(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
    sale = LinkAja(sqlite_gateway, merchant, page)
    sale.open(lang)

    sale.let_pass(3_601)
    sale.press("pay")

    expect(page.locator("[data-state=expired]")).to_be_visible()
    seen(page, f"linkaja-expired-{view}")
    expect(page.locator("main a.ink")).to_have_attribute("href", merchant.url("/thanks?from=linkaja"))
    assert sale.status == "EXPIRED"
    assert sale.told() == []  # expiry is told only to merchants that asked
    sale.assert_clean()


def test_an_old_page_of_an_invoice_opened_again_is_over(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    """D-9."""
    page = windows.open()
    first = LinkAja(sqlite_gateway, merchant, page)
    first.open("id")
    again = LinkAja(sqlite_gateway, merchant, page, invoice=first.invoice)

    first.press("pay")  # on the page that was open before

    expect(page.locator("[data-state=expired]")).to_be_visible()
    assert first.status == "PENDING"
    again.open("id")
    again.press("pay")
    page.wait_for_url(merchant.url("/thanks?from=linkaja"))
    assert again.wait_until_told()["transaction"]["status"] == "SUCCESS"
    again.assert_clean()


# -- Indodana


@in_view("desktop-id")
def test_a_buyer_chooses_how_long_to_pay_agrees_and_is_back_at_the_shop(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    """S3-01, S3-02, S3-52 … S3-54, S3-56."""
    size, lang = view.split("-")
    page = windows.open(size)
    sale = Indodana(sqlite_gateway, merchant, page)

    sale.open(lang)
    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.locator("input[name=plan]")).to_have_count(4)
    seen(page, f"indodana-plans-{view}")
    sale.choose(6, consent=False)
    sale.press("pay")

    expect(page.locator("input[name=consent]")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("input[name=plan][value='6']")).to_be_checked()
    seen(page, f"indodana-no-consent-{view}")
    assert sale.status == "PENDING"
    sale.choose(12)
    sale.press("pay")

    page.wait_for_url(merchant.url("/thanks"))
    told = sale.wait_until_told()
    assert told["transaction"]["status"] == "SUCCESS"
    assert told["peer_to_peer_info"]["merchant_unique_reference"] == "MUR-1"
    assert sale.status == "SUCCESS"
    sale.open(lang)
    expect(page.locator("[data-state=paid]")).to_be_visible()
    seen(page, f"indodana-signed-{view}")
    sale.assert_clean()


@in_view("phone-en")
def test_a_buyer_who_cancels_at_indodana_goes_to_the_page_for_that(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    """S3-21, S3-55."""
    size, lang = view.split("-")
    page = windows.open(size)
    sale = Indodana(sqlite_gateway, merchant, page)

    sale.open(lang)
    seen(page, f"indodana-open-{view}")
    sale.press("cancel")

    page.wait_for_url(merchant.url("/sorry"))
    assert sale.wait_until_told()["transaction"]["status"] == "FAILED"
    assert sale.status == "FAILED"
    sale.assert_clean()


@in_view("desktop-en")
def test_an_order_that_expired_at_indodana_says_so_and_leads_to_the_cancel_page(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
    sale = Indodana(sqlite_gateway, merchant, page)
    sale.open(lang)
    sale.choose(3)

    sale.let_pass(3_601)
    sale.press("pay")

    expect(page.locator("[data-state=expired]")).to_be_visible()
    seen(page, f"indodana-expired-{view}")
    expect(page.locator("main a.ink")).to_have_attribute("href", merchant.url("/sorry"))
    assert sale.status == "EXPIRED"
    assert sale.told() == []


def test_without_a_callback_url_the_last_page_is_indodanas(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    """S3-20: callback_url is optional."""
    page = windows.open()
    sale = Indodana(sqlite_gateway, merchant, page, callback_url=None)

    sale.open("id")
    sale.choose(1)
    sale.press("pay")

    expect(page.locator("[data-state=paid]")).to_be_visible()
    expect(page.locator("main a.ink")).to_have_count(0)
    assert sale.status == "SUCCESS"


# -- a counterparty that takes its time


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without"])
@in_view("phone-id")
def test_a_buyer_waits_for_a_slow_answer_and_is_sent_on(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str, script: bool
) -> None:
    """Nobody has to press anything: the page asks by itself."""
    size, lang = view.split("-")
    page = windows.open(size, script=script)
    sale = LinkAja(sqlite_gateway, merchant, page)

    sale.open(lang)
    sale.press("SLOW")
    expect(page.locator("[data-poll]")).to_be_visible()
    if script:
        seen(page, f"linkaja-slow-{view}")
    assert sale.status == "PENDING"
    sale.let_pass(25)

    page.wait_for_url(merchant.url("/thanks?from=linkaja"), timeout=15_000)
    assert sale.wait_until_told()["transaction"]["status"] == "SUCCESS"
    sale.assert_clean()


@in_view("desktop-id")
def test_a_silent_counterparty_keeps_the_buyer_waiting_until_the_order_is_over(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
    sale = Indodana(sqlite_gateway, merchant, page)

    sale.open(lang)
    sale.press("NO_ANSWER")
    expect(page.locator("[data-poll]")).to_be_visible()
    seen(page, f"indodana-silent-{view}")
    sale.let_pass(3_601)

    page.wait_for_url(merchant.url("/sorry"), timeout=15_000)
    assert sale.status == "EXPIRED"
    sale.assert_clean()


@in_view("desktop-en")
def test_money_that_comes_too_late_goes_back_and_the_page_says_so(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
    sale = LinkAja(sqlite_gateway, merchant, page)

    sale.open(lang)
    sale.press("PAID_LATE")
    expect(page.locator("[data-state=late]")).to_be_visible()
    seen(page, f"linkaja-late-{view}")
    sale.let_pass(3_800)

    def happened() -> list[str]:
        record = sqlite_gateway.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={sale.invoice}")
        return [one["event"] for one in record["payments"][0]["events"]]

    eventually(lambda: "MONEY_RETURNED" in happened())
    assert sale.status == "EXPIRED"
    assert sale.told() == []
    sale.assert_clean()


def test_everything_at_linkaja_and_indodana_works_without_javascript_at_320_pixels(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page = windows.open((320, 640), script=False)
    paid, signed = LinkAja(sqlite_gateway, merchant, page), Indodana(sqlite_gateway, merchant, page)

    paid.open("id")
    paid.press("pay")
    page.wait_for_url(merchant.url("/thanks?from=linkaja"))
    signed.open("en")
    signed.press("pay")
    expect(page.locator("input[name=consent]")).to_have_attribute("aria-invalid", "true")
    signed.choose(6)
    signed.press("pay")
    page.wait_for_url(merchant.url("/thanks"))

    assert (paid.status, signed.status) == ("SUCCESS", "SUCCESS")
