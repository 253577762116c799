"""How the room's pages look and behave in a real browser: every state, both languages, with and without a script.

GERBANG_SCREENSHOTS=DIR keeps a picture of every state, to be looked at.
"""

import gzip
import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from gerbang.merchants import update
from gerbang.payments import find_payment
from gerbang.wallet import AccountStatus, Level, create_account
from gerbang.wallet.demo import DEMO_ACCOUNTS, DEMO_PIN
from gerbang.web import i18n
from gerbang.web.assets import Assets
from gerbang.web.views import Lang
from support.browser import each_in_a_view, violations
from support.gateway import RunningGateway, lent_gateway
from support.snap import SnapCaller, reference
from support.snap_money import B2B, B2B2C, give, rupiah
from support.windows import Windows, assert_fits

pytestmark = pytest.mark.browser

CLIENT_ID = "BRN-0001-1700000000001"
PIN = "274913"
SITI, BUDI, _ = DEMO_ACCOUNTS
VIEWS: list[tuple[str, Lang]] = [("phone", "id"), ("desktop", "en")]
if os.environ.get("GERBANG_SCREENSHOTS"):
    VIEWS += [("phone", "en"), ("desktop", "id")]
_phones = itertools.count(81_370_000_001)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


class Desk:
    """Prepares what a customer's browser is then sent to."""

    def __init__(self, running: RunningGateway) -> None:
        self.running = running
        self.caller = SnapCaller(running)
        # Somewhere that answers, and is none of the room's pages.
        self.back = f"{running.url}/healthz"
        running.database.transact_now(lambda tx: update(tx, CLIENT_ID, name="Warung Kita"))

    def call(self, path: str, customer: str | None = None, **body: Any) -> Any:
        answer = self.caller.call(path, body, customer=customer)
        assert answer.status == 200, answer.body
        return answer.json

    def customer(self, money: int = 0, name: str = "Rina Kusuma", **more: Any) -> str:
        gateway = self.running.gateway
        pin_hash = gateway.pin_hasher.hash(PIN)

        def make(tx: Any) -> str:
            now = gateway.clock.now()
            made = create_account(tx, phone=f"0{next(_phones)}", name=name, pin_hash=pin_hash, now=now, **more)
            if money:
                give(tx, f"wallet:{made.id}", money, now=now)
            return made.id

        return self.running.database.transact_now(make)

    def change(self, sql: str, **row: Any) -> None:
        self.running.database.transact_now(lambda tx: tx.execute(sql, row))

    def block(self, account_id: str) -> None:
        until = (self.running.gateway.clock.now().timestamp() + 1_800) * 1000
        self.change(
            "insert into pin_count (phone, wrong, blocked_until, touched_real_at) values (:phone, 3, :until, 0)",
            phone=self.phone_of(account_id),
            until=int(until),
        )

    def phone_of(self, account_id: str) -> str:
        row = self.running.database.read_now(
            lambda tx: tx.one("select phone from wallet_account where id = :id", {"id": account_id})
        )
        assert row is not None
        return str(row["phone"])

    def register(self, phone: str | None = None) -> dict[str, str]:
        own = reference()
        made = self.call(
            B2B + "registration-account-creation",
            partnerReferenceNo=own,
            name="Rina Kusuma",
            phoneNo=phone or f"0{next(_phones)}",
            email="rina@example.com",
            redirectUrl=self.back,
        )
        return {"originalPartnerReferenceNo": own, "originalReferenceNo": made["referenceNo"]}

    def create_pin(self) -> str:
        verified = self.call(B2B + "otp-verification", otp="123456", **self.register())
        return f"{verified['qparamsURL']}?token={verified['qparams']['token']}"

    def bind(self, account_id: str | None) -> str:
        params = {"successParams": {"accountId": account_id}} if account_id else {}
        asked = self.call(B2B + "registration-account-binding", partnerReferenceNo=reference(), redirectUrl=self.back, **params)
        return str(asked["nextAction"])

    def purchase(self, account_id: str, amount: int = 179_000, *, back: bool = True) -> str:
        opened = self.call(
            B2B2C + "debit/payment-host-to-host",
            self.caller.customer_token(account_id),
            partnerReferenceNo=reference(),
            amount=rupiah(amount),
            **({"urlParam": [{"url": self.back, "type": "PAY_RETURN", "isDeepLink": "N"}]} if back else {}),
        )
        return str(opened["webRedirectUrl"])


@pytest.fixture(scope="module")
def desk(running: RunningGateway) -> Desk:
    return Desk(running)


def press(page: Page, action: str) -> None:
    page.locator(f"button[name=action][value={action}]").click()


def type_pin(page: Page, action: str, pin: str = "918273", **more: str) -> None:
    for name, value in {**more, "pin": pin}.items():
        page.locator(f"[name={name}]").fill(value)
    press(page, action)


State = Callable[[Desk, Page, str], None]


def at(page: Page, url: str, lang: str) -> None:
    page.goto(f"{url}{'&' if '?' in url else '?'}lang={lang}")


def wrong_pin(times: int, page: Page, action: str) -> None:
    for _ in range(times):
        type_pin(page, action)


def short(desk: Desk, page: Page, lang: str) -> None:
    customer = desk.customer(179_000, "Budi Santoso")
    url, first = desk.purchase(customer), desk.purchase(customer, 134_000, back=False)
    at(page, first, lang)
    type_pin(page, "pay", PIN)
    at(page, url, lang)


def held(desk: Desk, page: Page, lang: str, how: str) -> None:
    customer = desk.customer(500_000)
    url = desk.purchase(customer)
    if how == "blocked":
        desk.block(customer)
    else:
        desk.change("update wallet_account set status = :status where id = :id", id=customer, status=AccountStatus.LOCKED.value)
    at(page, url, lang)


def ended(desk: Desk, page: Page, lang: str, state: str) -> None:
    customer = desk.customer(500_000)
    url = desk.purchase(customer, back=state not in ("paid", "cancelled"))
    at(page, url, lang)
    if state == "paid":
        type_pin(page, "pay", PIN)
    elif state == "cancelled":
        press(page, "cancel")
    elif state == "blocked":
        wrong_pin(3, page, "pay")
    elif state == "expired":
        desk.change("update payment set expires_at = 0 where id = :id", id=url.rsplit("/", 1)[1])
    else:
        payment_id = url.rsplit("/", 1)[1]
        found = desk.running.database.read_now(lambda tx: find_payment(tx, payment_id))
        assert found is not None
        if state == "voided":
            type_pin(page, "pay", PIN)
        desk.call(B2B + "debit/cancel", originalPartnerReferenceNo=found[0].invoice_number, reason="out of stock")
    at(page, url, lang)


def bind_ended(desk: Desk, page: Page, lang: str, state: str) -> None:
    customer = desk.customer()
    url = desk.bind(customer)
    at(page, url, lang)
    if state == "bound":
        type_pin(page, "bind", PIN)
    elif state == "refused":
        press(page, "cancel")
    elif state == "late":
        desk.change("update binding_request set expires_at = 0 where id = :id", id=url.rsplit("/", 1)[1])
    elif state == "blocked":
        desk.block(customer)
    else:
        desk.change("update wallet_account set status = 'LOCKED' where id = :id", id=customer)
    at(page, url, lang)


def pin_ended(desk: Desk, page: Page, lang: str, state: str) -> None:
    url = desk.create_pin()
    at(page, url, lang)
    if state == "done":
        type_pin(page, "save", PIN, repeat=PIN)
    else:
        desk.change("update wallet_registration set expires_at = 0 where state = 'VERIFIED'")
    at(page, url, lang)


def identity_form(desk: Desk, page: Page, lang: str) -> None:
    at(page, f"{desk.running.url}/wallet/upgrade", lang)
    type_pin(page, "login", PIN, phone=desk.phone_of(desk.customer()))


def inbox_of(desk: Desk) -> str:
    phone = f"0{next(_phones)}"
    desk.call(B2B + "otp-verification", otp="123456", **desk.register(phone))
    desk.register(phone)
    return f"{desk.running.url}/simulators/sms?phone={phone}"


def then(*steps: State) -> State:
    def go(desk: Desk, page: Page, lang: str) -> None:
        for step in steps:
            step(desk, page, lang)

    return go


def opens(url: Callable[[Desk], str]) -> State:
    return lambda desk, page, lang: at(page, url(desk), lang)


STATES: dict[str, State] = {
    "create pin": opens(Desk.create_pin),
    "create pin, weak": then(opens(Desk.create_pin), lambda _d, page, _l: type_pin(page, "save", "123456", repeat="123456")),
    "create pin, differ": then(opens(Desk.create_pin), lambda _d, page, _l: type_pin(page, "save", PIN, repeat="123456")),
    "create pin, not repeated": then(opens(Desk.create_pin), lambda _d, page, _l: type_pin(page, "save", PIN)),
    "create pin, done": lambda desk, page, lang: pin_ended(desk, page, lang, "done"),
    "create pin, late": lambda desk, page, lang: pin_ended(desk, page, lang, "late"),
    "link gone": opens(lambda desk: f"{desk.running.url}/wallet/create-pin?token=x"),
    "bind": opens(lambda desk: desk.bind(SITI.account_id)),
    "bind, wrong pin": then(opens(lambda desk: desk.bind(desk.customer())), lambda _d, page, _l: wrong_pin(1, page, "bind")),
    "bind, 1 left": then(opens(lambda desk: desk.bind(desk.customer())), lambda _d, page, _l: wrong_pin(2, page, "bind")),
    "bind, sign in": opens(lambda desk: desk.bind(None)),
    "bind, nothing typed": then(opens(lambda desk: desk.bind(None)), lambda _d, page, _l: press(page, "bind")),
    "bind, wrong sign in": then(
        opens(lambda desk: desk.bind(None)), lambda _d, page, _l: type_pin(page, "bind", phone="081399998888")
    ),
    **{
        f"bind, {state}": lambda desk, page, lang, state=state: bind_ended(desk, page, lang, state)  # type: ignore[misc]
        for state in ("bound", "refused", "late", "blocked", "locked")
    },
    "purchase": opens(lambda desk: desk.purchase(SITI.account_id)),
    "purchase, no pin": then(opens(lambda desk: desk.purchase(SITI.account_id)), lambda _d, page, _l: press(page, "pay")),
    "purchase, wrong pin": then(
        opens(lambda desk: desk.purchase(desk.customer(500_000))), lambda _d, page, _l: wrong_pin(2, page, "pay")
    ),
    "purchase, large": opens(
        lambda desk: desk.purchase(
            desk.customer(19_999_999, "Raden Mas Panji Sastrokusumo Wiryodiningrat", level=Level.PREMIUM), 19_999_999
        )
    ),
    "purchase, short": short,
    "purchase, blocked before": lambda desk, page, lang: held(desk, page, lang, "blocked"),
    "purchase, locked": lambda desk, page, lang: held(desk, page, lang, "locked"),
    **{
        f"purchase, {state}": lambda desk, page, lang, state=state: ended(desk, page, lang, state)  # type: ignore[misc]
        for state in ("paid", "cancelled", "blocked", "expired", "cancelled by shop", "voided")
    },
    "upgrade": opens(lambda desk: f"{desk.running.url}/wallet/upgrade"),
    "upgrade, wrong sign in": then(
        opens(lambda desk: f"{desk.running.url}/wallet/upgrade"),
        lambda _d, page, _l: type_pin(page, "login", phone="081399998888"),
    ),
    "upgrade, form": identity_form,
    "upgrade, errors": then(identity_form, lambda _d, page, _l: press(page, "submit")),
    "upgrade, approved": opens(lambda desk: f"{desk.running.url}/wallet/upgrade?done=approved"),
    "upgrade, sent": opens(lambda desk: f"{desk.running.url}/wallet/upgrade?done=sent"),
    "inbox": opens(inbox_of),
    "inbox, all": then(opens(inbox_of), opens(lambda desk: f"{desk.running.url}/simulators/sms")),
    "inbox, empty": opens(lambda desk: f"{desk.running.url}/simulators/sms?phone=081399996666"),
}


@pytest.mark.parametrize(("state", "device", "lang"), each_in_a_view(STATES, VIEWS))
def test_state_is_accessible_and_fits_every_window(windows: Windows, desk: Desk, state: str, device: str, lang: Lang) -> None:
    page = windows.open(device)

    STATES[state](desk, page, lang)

    assert page.locator("html").get_attribute("lang") == lang
    assert page.locator("h1").count() == 1
    assert page.locator(".go").count() <= 1
    assert violations(page) == []
    markup = page.content()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", markup)
    ids = re.findall(r'\sid="([^"]+)"', markup)
    assert len(ids) == len(set(ids))
    directory = os.environ.get("GERBANG_SCREENSHOTS")
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
        name = re.sub(r"\W+", "-", state)
        page.screenshot(path=f"{directory}/snap-{name}-{device}-{lang}.png", full_page=True)
    assert_fits(page, device)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_customer_registers_consents_and_pays_with_the_keyboard_alone(windows: Windows, desk: Desk, script: bool) -> None:
    page = windows.open("phone", script=script)

    page.goto(desk.create_pin())
    page.locator("#pin").focus()
    page.keyboard.type(PIN)
    page.keyboard.press("Tab")
    while page.locator("#repeat:focus").count() == 0:
        page.keyboard.press("Tab")  # past the button that shows the PIN, with a script
    page.keyboard.type(PIN)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{desk.back}?**")
    told = parse_qs(urlsplit(page.url).query)
    assert told["status"] == ["SUCCESS"]
    account_id = told["accountId"][0]

    page.goto(desk.bind(account_id))
    page.locator("#pin").fill(PIN)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{desk.back}?**")
    assert parse_qs(urlsplit(page.url).query)["authCode"]

    desk.running.database.transact_now(lambda tx: give(tx, f"wallet:{account_id}", 200_000, now=desk.running.gateway.clock.now()))
    page.goto(desk.purchase(account_id))
    page.locator("#pin").fill(PIN)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{desk.back}?**")
    assert parse_qs(urlsplit(page.url).query)["status"] == ["SUCCESS"]


@pytest.mark.parametrize(
    "state", ["create pin, weak", "create pin, differ", "bind, wrong pin", "purchase, wrong pin", "purchase, no pin"]
)
def test_a_pin_to_type_again_is_empty_and_has_the_keyboard(windows: Windows, desk: Desk, state: str) -> None:
    page = windows.open("phone")

    STATES[state](desk, page, "id")

    expect(page.locator("#pin")).to_be_focused()
    expect(page.locator("#pin")).to_have_value("")
    expect(page.locator("#pin")).to_have_attribute("aria-describedby", "pin-error")
    expect(page.locator("#pin-error")).to_be_visible()


def test_a_pin_that_was_not_repeated_is_asked_for_there(windows: Windows, desk: Desk) -> None:
    page = windows.open("phone")

    STATES["create pin, not repeated"](desk, page, "id")

    expect(page.locator("#repeat")).to_have_attribute("aria-invalid", "true")


def test_what_is_wrong_in_several_fields_is_summed_up_and_has_the_keyboard(windows: Windows, desk: Desk) -> None:
    page = windows.open("phone")

    STATES["upgrade, errors"](desk, page, "id")

    expect(page.locator("[data-focus]")).to_be_focused()
    for name in ("nik", "birth_place", "birth_date", "address"):
        page.locator(f'.alert a[href="#{name}"]').click()
        expect(page.locator(f"#{name}")).to_be_focused()
    expect(page.locator("#name")).to_have_value("Rina Kusuma")


def test_a_code_is_copied_with_one_press(windows: Windows, desk: Desk) -> None:
    page = windows.open("phone", permissions=["clipboard-read", "clipboard-write"])
    page.goto(inbox_of(desk))

    page.get_by_role("button", name="Salin 123456").click()

    expect(page.locator("[data-announce]")).to_have_text(i18n.text("id", "copied"))
    assert page.evaluate("navigator.clipboard.readText()") == "123456"


def test_new_messages_appear_by_themselves_and_leave_the_keyboard_alone(windows: Windows, desk: Desk) -> None:
    page = windows.open("phone")
    phone = f"0{next(_phones)}"
    page.goto(f"{desk.running.url}/simulators/sms?phone={phone}")
    expect(page.locator(".message")).to_have_count(0)

    desk.register(phone)

    expect(page.locator(".message")).to_have_count(1)
    expect(page.locator("[data-announce]")).to_have_text("Pesan baru")
    button = page.get_by_role("button", name="Salin 123456")
    button.focus()
    desk.register(phone)
    page.wait_for_timeout(4_000)
    expect(button).to_be_focused()
    expect(page.locator(".message")).to_have_count(1)
    button.blur()
    expect(page.locator(".message")).to_have_count(2)


def test_without_a_script_codes_can_be_selected_and_no_dead_button_is_shown(windows: Windows, desk: Desk) -> None:
    page = windows.open(script=False)
    page.goto(inbox_of(desk))

    expect(page.locator(".copy:visible")).to_have_count(0)
    expect(page.locator(".message").first).to_contain_text("123 456")


def test_the_demo_pin_and_the_inbox_are_at_hand_in_the_sandbox_bar(windows: Windows, desk: Desk) -> None:
    page = windows.open("phone")
    page.goto(desk.purchase(SITI.account_id))

    expect(page.locator(".bar")).to_contain_text(DEMO_PIN)
    page.locator(".bar").get_by_role("link", name="Kotak SMS").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pesan")

    page.goto(desk.bind(None))
    page.locator(".bar summary").click()
    page.locator(".panel").get_by_role("link", name="Budi").click()
    expect(page.locator("#phone")).to_have_value(BUDI.phone)
    expect(page.locator("#pin")).to_have_value(DEMO_PIN)


def test_pages_with_all_they_load_stay_within_forty_kilobytes(desk: Desk) -> None:
    assets = Assets()
    loaded = len(assets.get("wallet.css").gzipped) + len(assets.get("wallet.js").gzipped)

    for url in (desk.create_pin(), desk.bind(None), desk.purchase(SITI.account_id), f"{desk.running.url}/wallet/upgrade"):
        page = gzip.compress(desk.running.request("GET", url.removeprefix(desk.running.url)).body, mtime=0)
        assert len(page) <= 4_500
        assert len(page) + loaded <= 40_000


def test_every_word_of_these_pages_says_how_long_a_pin_is_blocked() -> None:
    for lang in i18n.LANGUAGES:
        for key in ("pin_left", "pin_left_one", "bind_wrong_login_next", "purchase_blocked_text"):
            assert "30 men" in i18n.STRINGS[lang][key] or "30 min" in i18n.STRINGS[lang][key]
