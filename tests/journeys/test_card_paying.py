"""A buyer pays by card in a real browser, is declined, saves cards, and the merchant hears of it."""

import uuid

import pytest
from playwright.sync_api import expect

from support.browser import in_view
from support.card_tab import CHALLENGED, DECLINED, KNOWN, Buyer, seen
from support.gateway import RunningGateway
from support.listener import Listener
from support.windows import Windows

pytestmark = pytest.mark.browser


LIMIT = "4000000000009995"  # 51, without 3-D Secure
AMEX = "378282246310005"


@in_view("phone-id")
def test_a_buyer_types_a_card_enters_the_banks_code_and_the_merchant_hears_of_it(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
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


def test_a_card_the_bank_knows_pays_without_a_question(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    buyer = Buyer(sqlite_gateway, merchant, windows.open()).open()

    buyer.pay(KNOWN)

    buyer.sees("paid")
    expect(buyer.page.locator("iframe")).to_have_count(0)
    assert merchant.wait_for(1)[0].json()["transaction"]["status"] == "SUCCESS"


@in_view("desktop-en")
def test_a_declined_card_is_explained_and_another_one_pays(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page).open(lang)
    page.locator("#name").fill("SITI RAHMAWATI")

    buyer.pay(LIMIT)

    expect(buyer.alert).to_contain_text("Limit" if lang == "id" else "limit")
    expect(page.locator("#number")).to_have_value("")  # a number never comes back
    expect(page.locator("#name")).to_have_value("SITI RAHMAWATI")
    expect(page.locator("#cvv")).to_have_value("")
    seen(page, f"declined-{view}")
    assert buyer.transfers == []
    buyer.pay(KNOWN)
    buyer.sees("paid")
    assert buyer.status == "SUCCESS"
    assert len(buyer.transfers) == 1


@in_view("phone-id")
def test_after_the_last_attempt_the_page_says_so_and_the_merchant_too(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
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


@in_view("desktop-en")
def test_a_saved_card_pays_with_its_cvv_alone_and_can_be_removed(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
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


def test_an_amex_card_has_its_own_shape(sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows) -> None:
    page = windows.open()
    buyer = Buyer(sqlite_gateway, merchant, page).open()

    page.locator("#number").press_sequentially(AMEX)
    expect(page.locator("#number")).to_have_value("3782 822463 10005")
    expect(page.locator("#cvv")).to_have_attribute("maxlength", "4")
    buyer.pay(AMEX, cvv="1234")

    buyer.sees("paid")


def test_moto_asks_neither_for_a_cvv_nor_for_a_code(sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows) -> None:
    page = windows.open()
    buyer = Buyer(sqlite_gateway, merchant, page, payment={"type": "MOTO"}).open()

    expect(page.locator("#cvv")).to_have_count(0)
    seen(page, "moto")
    buyer.pay(CHALLENGED, cvv=None)

    buyer.sees("paid")


def test_recurring_asks_for_the_cvv_the_first_time_only(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page = windows.open()
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


@in_view("phone-id")
def test_an_authorisation_says_that_the_money_is_held(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page, payment={"type": "AUTHORIZE"}).open(lang)

    buyer.pay(KNOWN)

    buyer.sees("paid")
    expect(page.locator("h1")).not_to_have_text("Pembayaran berhasil" if lang == "id" else "Payment successful")
    seen(page, f"held-{view}")
    [held] = buyer.transfers
    assert held["credit"].endswith(":authorised")
