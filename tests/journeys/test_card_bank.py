"""A buyer at the bank and on the way back: wrong codes, silence, double clicks, reloads, time that runs out."""

import contextlib

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

from support.browser import in_view
from support.card_tab import CHALLENGED, DECLINED, KNOWN, Buyer, seen
from support.gateway import RunningGateway
from support.listener import Listener
from support.windows import Windows

pytestmark = pytest.mark.browser


SILENT = "4555550000300009"  # the bank asks; then nobody answers


def test_going_back_and_reloading_after_paying_never_pays_again(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page = windows.open()
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


def test_a_payment_sent_again_by_hand_is_the_same_payment(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page = windows.open(script=False)
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
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, number: str
) -> None:
    page = windows.open(fresh=True)
    buyer = Buyer(sqlite_gateway, merchant, page).open()
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)

    buyer.fill(number)
    buyer.go.dblclick(no_wait_after=True)

    expect(page.locator("[data-state=paid], [role=alert]")).to_be_visible()
    assert len(sent) == 1
    assert len(buyer.transfers) == (1 if number == KNOWN else 0)


def test_leaving_the_bank_and_paying_with_another_card_pays_once(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows
) -> None:
    page, other_tab = windows.open(), windows.open()
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


@in_view("desktop-en")
def test_three_wrong_codes_end_the_verification_and_another_card_pays(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
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
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, button: str, words: str
) -> None:
    page = windows.open()
    buyer = Buyer(sqlite_gateway, merchant, page).open()
    buyer.pay(CHALLENGED)

    buyer.bank.locator(f"button[value={button}]").last.click()

    expect(buyer.alert).to_contain_text(words)
    seen(page, f"verification-{button}")
    buyer.pay(KNOWN)
    buyer.sees("paid")


@in_view("phone-id")
def test_while_the_bank_is_silent_the_page_waits_and_then_offers_to_try_again(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
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


@in_view("desktop-en")
def test_the_countdown_ends_in_a_page_that_cannot_be_paid(
    sqlite_gateway: RunningGateway, merchant: Listener, windows: Windows, view: str
) -> None:
    size, lang = view.split("-")
    page = windows.open(size)
    buyer = Buyer(sqlite_gateway, merchant, page)
    minutes = sqlite_gateway.gateway.settings.card_page_expiry_min
    sqlite_gateway.control("POST", "/clock", {"advance_s": minutes * 60 - 4})
    buyer.open(lang)
    buyer.fill(KNOWN)

    expect(page.locator("[data-state=expired]")).to_be_visible(timeout=15_000)  # by itself
    seen(page, f"expired-{view}")
    assert buyer.status == "EXPIRED"
