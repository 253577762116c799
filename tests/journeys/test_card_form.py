"""The card form in a real browser: what it shows while somebody types, what it refuses, how it looks."""

import gzip
import re

import pytest
from playwright.sync_api import expect

from support.browser import in_view
from support.card_tab import BCA, CHALLENGED, DECLINED, DISCLAIMER, KNOWN, Buyer, seen
from support.gateway import RunningGateway
from support.listener import Listener
from support.windows import Windows

pytestmark = pytest.mark.browser


DARK = {
    "background_color": "1F2A26",
    "font_color": "F4F1E6",
    "button_background_color": "E9B44C",
    "button_font_color": "1F2A26",
}


@in_view("desktop-en")
def test_installments_appear_once_the_card_is_known(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
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
    page = windows.open()
    other = Buyer(sqlite_gateway, merchant, page, amount=1_200_000).open()
    other.fill(BCA)
    expect(page.locator("[data-plans]")).to_be_visible()
    other.fill(KNOWN)
    expect(page.locator("[data-plans]")).to_be_hidden()


@in_view("phone-id")
def test_a_promo_shows_while_typing_and_is_what_is_charged(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
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
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page = windows.open(fresh=True)
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


@in_view("desktop-en")
def test_nothing_is_paid_before_the_disclaimer_is_ticked(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
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


@in_view("phone-id")
def test_fields_are_checked_in_the_browser_with_the_words_of_the_server(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page).open(lang)

    buyer.pay("4111111111111112", expiry="12/24", cvv="12")
    expect(buyer.alert).to_be_focused()
    by_script = [page.locator(f"#{name}-error").inner_text().strip() for name in ("number", "expiry", "cvv")]
    seen(page, f"field-errors-{view}")
    plain = windows.open(size, script=False)
    other = Buyer(sqlite_gateway, merchant, plain).open(lang)
    other.pay("4111111111111112", expiry="12/24", cvv="12")

    assert by_script == [plain.locator(f"#{name}-error").inner_text().strip() for name in ("number", "expiry", "cvv")]


@in_view("desktop-en")
def test_cancelling_tells_the_merchant_and_moves_nothing(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page).open(lang)
    buyer.fill(KNOWN)

    page.locator("button[value=cancel]").click()

    buyer.sees("cancelled")
    seen(page, f"cancelled-{view}")
    expect(page.locator("main a.ink")).to_have_attribute("href", merchant.url("/sorry"))
    assert merchant.wait_for(1)[0].json()["transaction"]["status"] == "FAILED"
    assert buyer.transfers == []


@in_view("phone-id")
def test_a_dark_shop_gets_a_dark_page_all_the_way(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
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


def test_a_page_replaced_by_a_newer_one_says_so(sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows) -> None:
    page = windows.open()
    buyer = Buyer(sqlite_gateway, merchant, page)
    body = {"order": {"amount": 20_000, "invoice_number": buyer.invoice}, "customer": {"email": "siti@contoh.id"}}
    assert sqlite_gateway.signed("POST", "/credit-card/v1/payment-page", body).status == 200

    answer = page.goto(buyer.url)

    assert answer is not None
    assert answer.status == 410
    expect(page.locator("h1")).to_be_visible()
    expect(buyer.go).to_have_count(0)
    seen(page, "replaced")


@in_view("desktop-en")
def test_a_wrong_address_says_so(sqlite_gateway: RunningGateway, windows: Windows, view: str) -> None:
    size, lang = view.split("-")
    page = windows.open(size)

    answer = page.goto(f"{sqlite_gateway.url}/credit-card/pay/pay_NOSUCH?lang={lang}")

    assert answer is not None
    assert answer.status == 404
    seen(page, f"not-found-{view}")


@in_view("phone-id")
def test_a_test_card_of_the_bar_fills_the_form_in(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
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
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, scripts: bool
) -> None:
    page = windows.open(script=scripts)
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


def test_outcomes_that_do_not_exist_change_nothing(sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows) -> None:
    page = windows.open()
    buyer = Buyer(sqlite_gateway, merchant, page).open()

    unstorable = {"response_code": "0\x000"}
    for wrong in ({"response_code": "ZZ"}, {"response_code": "5"}, {"three_ds": "nonsense"}, unstorable):
        answer = page.request.post(buyer.url, form={"action": "outcome", **wrong})
        assert answer.status == (400 if wrong is unstorable else 200)
    buyer.open().pay(KNOWN)

    buyer.sees("paid")


def test_the_page_is_light(sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows) -> None:
    page = windows.open(fresh=True)
    bytes_of: dict[str, int] = {}
    page.on("response", lambda answer: bytes_of.update({answer.url: len(gzip.compress(answer.body(), 9))}))
    buyer = Buyer(sqlite_gateway, merchant, page).open()

    page.wait_for_load_state("networkidle")

    names = sorted(re.sub(r".*/|\?.*", "", url) for url in bytes_of)
    assert len(bytes_of) <= 5, names  # page, style, theme, script, icon
    assert sum(bytes_of.values()) <= 30_000, bytes_of
    assert buyer.url.split("?")[0] in {url.split("?")[0] for url in bytes_of}
