"""How the card page looks and behaves, in a real browser with the headers it is delivered with: every state, both languages,
with and without a script. Cards dossier §§6, 7 and 21; design guide §§4 to 9.

GERBANG_SCREENSHOTS=DIR keeps a picture of every state, to be looked at.
"""

import gzip
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from gerbang.channels.credit_card.views import CardPage, DemoCard, PaidCard, PlanView, PromoView, SavedCard
from gerbang.web.assets import Assets
from gerbang.web.i18n import LANGUAGES, STRINGS
from gerbang.web.pages import Pages, page_response
from gerbang.web.theme import Theme, theme_named
from gerbang.web.views import FieldError, ItemView, Lang, OrderView, Shell
from support.browser import each_in_a_view, violations
from support.windows import Windows, assert_fits

pytestmark = pytest.mark.browser

HOST = "https://pay.example"
PATH = "/card/pay_01"
NOW = datetime(2026, 5, 19, 7, 32, 48, tzinfo=UTC)
ORDER = OrderView(
    merchant_name="Kopi Lereng",
    invoice_number="INV-20260519-0042",
    amount=1_100_000,
    line_items=(
        ItemView("Penggiling kopi manual K2", 845_000, 1),
        ItemView("Kopi Gayo Wine, 250 g", 118_000, 2),
        ItemView("Ongkos kirim reguler", 19_000, 1),
    ),
    expires_at=datetime(2026, 5, 19, 8, 20, tzinfo=UTC),
    now=NOW,
)
MANDIRI = "5573381011111101"
DEMO = (
    DemoCard("ok", "Mastercard", MANDIRI, "05/28", "123", "Berhasil setelah kode", "123456"),
    DemoCard("limit", "Visa", "4000000000000002", "11/27", "123", "Limit tidak cukup"),
)
CONSENT = "Saya setuju pesanan diproses setelah pembayaran diterima dan tidak dapat diubah."
PLANS = (
    PlanView("full", 0, 1_000_000, 1_000_000),
    PlanView("mandiri-3", 3, 333_334, 1_000_000),
    PlanView("mandiri-6", 6, 166_667, 1_000_000),
    PlanView("mandiri-12", 12, 95_334, 1_144_002, 400),
)
SAVED = (
    SavedCard("5f0c" * 8, "MASTER", "1101", "05/28", just_declined=True, discount=100_000),
    SavedCard("a91d" * 8, "VISA", "5324", "11/27"),
)
EMPTY = CardPage(
    ORDER,
    amount_full=1_100_000,
    amount_now=1_100_000,
    form_token="form-1",
    promos=(PromoView("557338", 100_000), PromoView("55", 20_000), PromoView("4", 1_100_000)),
    save_mode="offer",
    disclaimer=CONSENT,
    disclaimer_lang="id",
    may_have_plans=True,
    demo_cards=DEMO,
)
PROMO = replace(
    EMPTY,
    amount_now=1_000_000,
    discount=100_000,
    promo_applied=True,
    promo_issuer="Mandiri",
    number=MANDIRI,
    expiry="05/28",
    plans=PLANS,
    plan_chosen="mandiri-3",
    save_ticked=True,
    disclaimer_ticked=True,
)
FIELDS = {
    "number": "number_wrong",
    "expiry": "expiry_over",
    "cvv": "cvv_incomplete",
    "name": "name_invalid",
    "plan": "plan_missing",
    "consent": "consent_missing",
}
ERRORS = replace(
    PROMO,
    disclaimer_ticked=False,
    plan_chosen=None,
    name="x" * 200,
    errors=tuple(FieldError(field, key) for field, key in FIELDS.items()),
)
CHOICE = replace(EMPTY, saved_cards=SAVED, chosen=SAVED[1].token_ref, disclaimer_ticked=True)
RESULT: dict[str, object] = {
    "order": ORDER,
    "by_card": True,
    "paid_at": None,
    "approval_code": None,
    "method": "",
    "payer": None,
    "phone_masked": None,
    "return_url": "https://kopilereng.example/selesai?id=42",
    "just_paid": False,
}
PAID = {**RESULT, "paid_at": NOW, "approval_code": "736014", "paid_card": PaidCard("MASTER", "1101", 3, 333_334)}

CARD_STATES: dict[str, CardPage] = {
    "empty": EMPTY,
    "promo and plans": PROMO,
    "field errors": ERRORS,
    "one field error": replace(EMPTY, errors=(FieldError("cvv", "cvv_missing"),)),
    "declined": replace(PROMO, decline="declined"),
    "declined, 2 left": replace(CHOICE, decline="limit", attempts_left=2),
    "verification failed, 1 left": replace(PROMO, decline="verification", attempts_left=1),
    "saved cards": CHOICE,
    "saved cards, new chosen": replace(CHOICE, chosen="new", errors=(FieldError("choice", "card_gone"),)),
    "locked plan": replace(PROMO, payment_type="INSTALLMENT", plan_locked=True),
    "will be saved": replace(EMPTY, save_mode="forced", disclaimer=None, promos=(), may_have_plans=False),
    "moto": replace(EMPTY, payment_type="MOTO", show_cvv=False, disclaimer=None, promos=()),
    "recurring": replace(CHOICE, payment_type="RECURRING", show_cvv=False, disclaimer=None),
    "no items": replace(EMPTY, order=replace(ORDER, line_items=()), demo_cards=()),
    "embedded": replace(PROMO, embed=True, demo_cards=()),
    "embedded, declined": replace(CHOICE, embed=True, demo_cards=(), decline="expired"),
    "dark": replace(PROMO, theme=Theme("1F2A26", "F4F1E6", "E9B44C", "1F2A26"), demo_cards=()),
    "dark, errors": replace(ERRORS, theme=Theme("1F2A26", "F4F1E6", "E9B44C", "1F2A26")),
    "rescued": replace(EMPTY, theme=Theme("FFF7DB", "C9B458", "FFD400", "FFFFFF"), demo_cards=()),
    "grey": replace(ERRORS, theme=Theme("808890", "333333", "808890", "FFFFFF")),
    "long": replace(
        PROMO,
        order=replace(
            ORDER,
            merchant_name="Persatuan Pengrajin Kopi dan Cokelat Nusantara Timur",
            invoice_number="INV-" + "0123456789" * 6,
            amount=999_999_999_999,
            line_items=(ItemView("X" * 120, 999_999_999_999, 1),),
        ),
        amount_full=999_999_999_999,
        amount_now=999_999_899_999,
        disclaimer="Y" * 300,
    ),
}
OTHER_STATES: dict[str, tuple[str, Mapping[str, object]]] = {
    "remove": ("credit_card/remove.html", {"page": CHOICE, "card": SAVED[0]}),
    "challenge": ("credit_card/challenge.html", {"page": PROMO, "acs_url": "/bank", "session": "c2Vzc2lvbg"}),
    "challenge embedded": (
        "credit_card/challenge.html",
        {"page": replace(PROMO, embed=True), "acs_url": "/bank", "session": "c2Vzc2lvbg"},
    ),
    "challenge done": ("credit_card/challenge_done.html", {"next_url": f"{PATH}?lang=id", "theme": PROMO.theme}),
    "paid": ("result.html", {**PAID, "state": "paid", "theme": PROMO.theme, "just_paid": True, "charged": 1_000_000}),
    "paid in a dark frame": ("result.html", {**PAID, "state": "paid", "theme": CARD_STATES["dark"].theme, "embed": True}),
    "held": ("result.html", {**PAID, "state": "paid", "theme": PROMO.theme, "held": True}),
    "attempts used": ("result.html", {**RESULT, "state": "failed", "theme": PROMO.theme, "attempts_used": 5}),
    "failed": ("result.html", {**RESULT, "state": "failed", "theme": CARD_STATES["grey"].theme}),
    "expired": ("result.html", {**RESULT, "state": "expired", "theme": CARD_STATES["rescued"].theme}),
    "cancelled": ("result.html", {**RESULT, "state": "cancelled", "theme": PROMO.theme}),
    "waiting": ("result.html", {**RESULT, "state": "waiting", "theme": PROMO.theme}),
    "bank silent": ("result.html", {**RESULT, "state": "waiting", "theme": PROMO.theme, "silent": True}),
}
STATES = [*CARD_STATES, *OTHER_STATES]

ASSETS = Assets()
PAGES = Pages(ASSETS, sandbox=True)
FILES = {str(ASSETS.url(source)): ASSETS.get(source) for source in ("card.css", "card.js", "favicon.svg")}


def render(state: str | CardPage, lang: Lang = "id", *, pages: Pages = PAGES) -> str:
    page = state if isinstance(state, CardPage) else CARD_STATES.get(state)
    template, context = ("credit_card/pay.html", {"page": page}) if page else OTHER_STATES[str(state)]
    shell = Shell(lang, page is None or bool(page.demo_cards), "", "Kopi Lereng", PATH, "0f3d9c1e7a6b")
    return pages.render(template, lang=lang, shell=shell, **context).decode()


# Markup: needs no browser.


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("state", STATES)
def test_markup_is_strict_and_asks_nobody_else(state: str, lang: Lang) -> None:
    html = render(state, lang)

    assert f'<html lang="{lang}"' in html
    assert html.count("<h1") == 1
    assert html.count('class="go"') <= 1
    assert re.search(r"<title>[^<]+</title>", html)
    # What the Content-Security-Policy would block anyway is not written.
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    # Everything loaded is ours and has a fingerprint (PCI DSS 6.4.3).
    loaded = re.findall(r'<(?:script|link rel="stylesheet")[^>]*>', html)
    assert len(loaded) == 3
    assert all(re.search(r'(?:src|href)="/assets/[^"]+" integrity="sha384-[\w+/]{64}"', tag) for tag in loaded)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    for names in re.findall(r'(?:aria-describedby|aria-labelledby|aria-controls|for|form|href)="#?([\w -]+)"', html):
        assert set(names.split()) <= set(ids), names


@pytest.mark.parametrize("state", STATES)
def test_page_with_all_it_loads_stays_within_forty_kilobytes(state: str) -> None:
    page = gzip.compress(render(state).encode(), mtime=0)
    theme = max(len(gzip.compress(one.theme.css.encode(), mtime=0)) for one in CARD_STATES.values())

    assert len(page) + len(ASSETS.get("card.css").gzipped) + len(ASSETS.get("card.js").gzipped) + theme <= 40_000
    assert len(page) <= 6_500


def test_cvv_is_never_written_into_a_page() -> None:
    for state in CARD_STATES:
        [*fields] = re.findall(r'<input id="cvv"[^>]*>', render(state))
        assert len(fields) == (0 if state in ("moto", "recurring") else 1)
        assert not [field for field in fields if "value" in field]


def test_everything_but_cvv_is_kept_after_an_error() -> None:
    html = render(replace(ERRORS, name="SITI RAHMAWATI"))

    assert f'value="{MANDIRI}"' in html
    assert 'value="05/28"' in html
    assert 'value="SITI RAHMAWATI"' in html
    assert '<input type="checkbox" id="save" name="save" value="1" checked>' in html


def test_consent_and_saving_start_unticked() -> None:
    assert "checked" not in render(EMPTY)


def test_production_shows_no_test_card() -> None:
    html = render("empty", pages=Pages(ASSETS, sandbox=False))

    assert MANDIRI not in html
    assert "Kartu uji" not in html
    assert MANDIRI in render("empty")


def test_enter_in_a_field_pays_and_never_cancels_or_removes() -> None:
    form = re.search(r'<form class="cardform".*?</form>', render("saved cards"), re.S)
    assert form is not None
    own = [button for button in re.findall(r"<button[^>]*>", form[0]) if "form=" not in button and 'type="button"' not in button]

    assert [re.findall(r'value="(\w+)"', button) for button in own] == [["pay"]]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_decline_has_words_that_say_whether_money_moved(lang: Lang) -> None:
    keys = [key for key in STRINGS[lang] if key.startswith("decline_") and not key.endswith("_next")]

    assert len(keys) == 12
    for key in keys:
        said = STRINGS[lang][key + "_next"]
        assert ("tidak ditagih" if lang == "id" else "Nothing was charged") in said or key == "decline_bank_silent"


def test_names_from_the_merchant_are_text() -> None:
    html = render(replace(EMPTY, order=replace(ORDER, merchant_name="<script>x</script>'\""), disclaimer="<b>ya</b>'"))

    assert "<script>x" not in html
    assert "<b>ya" not in html


# In the browser.

BANK = '<!doctype html><html lang="id"><title>Bank Nusa (simulasi)</title><h1>Bank Nusa (simulasi)</h1><button>Setujui</button>'


class Server:
    """Answers the browser in place of a gateway: one page, its files, and a list of what was asked."""

    def __init__(self, context: BrowserContext, html: str) -> None:
        self.html = html
        self.posts: list[dict[str, list[str]]] = []
        self.asked: list[str] = []
        self.plans: Callable[[str], dict[str, Any]] = lambda _query: {"plans": [], "allow_full": True}
        self.others = {"/bank": BANK}
        self.spoilt: set[str] = set()
        context.route("**/*", self._answer)

    def _answer(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        assert f"{url.scheme}://{url.netloc}" == HOST, route.request.url
        self.asked.append(url.path + ("?" + url.query if url.query else ""))
        if url.path.startswith("/assets/"):
            theme = theme_named(url.path.rpartition("/")[2])
            body = theme.css.encode() if theme else FILES[url.path].plain
            kind = "text/css" if url.path.endswith("css") else FILES[url.path].content_type
            spoilt = any(url.path.startswith(prefix) for prefix in self.spoilt)
            route.fulfill(body=body + b"\n" if spoilt else body, content_type=kind)
        elif url.path == f"{PATH}/plans":
            route.fulfill(body=json.dumps(self.plans(url.query)), content_type="application/json")
        elif url.path in self.others:
            self._page(route, self.others[url.path])
        elif route.request.method == "POST":
            self.posts.append(parse_qs(route.request.post_data or "", keep_blank_values=True))
            self._page(route, '<!doctype html><html lang="id"><title>Terkirim</title><h1>Terkirim</h1>')
        else:
            self._page(route, self.html)

    def _page(self, route: Route, html: str) -> None:
        headers = dict(page_response(html.encode(), frame_ancestors="*", frame_source="'self'").headers)
        del headers["content-length"]
        route.fulfill(body=html, headers=headers)


@pytest.fixture
def opened(windows: Windows) -> Callable[..., tuple[Page, Server]]:
    """`opened(state, lang)` shows a page."""

    def show(
        state: str | CardPage, lang: Lang = "id", *, script: bool = True, size: str | tuple[int, int] = "desktop"
    ) -> tuple[Page, Server]:
        page = windows.open(size, script=script)
        server = Server(page.context, render(state, lang))
        page.goto(f"{HOST}{PATH}?lang={lang}")
        return page, server

    return show


VIEWS: list[tuple[str, Lang]] = [("phone", "id"), ("desktop", "en")]
if os.environ.get("GERBANG_SCREENSHOTS"):
    VIEWS += [("phone", "en"), ("desktop", "id")]


def shoot(page: Page, state: str, device: str, lang: str) -> None:
    directory = os.environ.get("GERBANG_SCREENSHOTS")
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
        name = re.sub(r"\W+", "-", state)
        page.screenshot(path=f"{directory}/card-{name}-{device}-{lang}.png", full_page=True)


@pytest.mark.parametrize(("state", "device", "lang"), each_in_a_view(STATES, VIEWS))
def test_state_is_accessible_and_fits_every_window(
    opened: Callable[..., tuple[Page, Server]], state: str, device: str, lang: Lang
) -> None:
    if state == "challenge done":
        # With a script this page leaves at once.
        page, _ = opened(state, lang, size=device, script=False)
    else:
        page, _ = opened(state, lang, size=device)
        shoot(page, state, device, lang)
        # What is folded away is looked at as well.
        page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        assert violations(page) == []
    assert_fits(page, device)


def test_digits_are_grouped_while_typing_and_backspace_goes_through_the_gaps(
    opened: Callable[..., tuple[Page, Server]],
) -> None:
    page, _ = opened("empty")
    number = page.locator("#number")

    number.press_sequentially("55733")
    assert number.input_value() == "5573 3"
    number.press("Backspace")
    number.press("Backspace")
    assert number.input_value() == "557"
    number.fill("")
    number.press_sequentially("34x770-000 0000")
    assert number.input_value() == "3477 000000 00"

    number.fill("5573 3810 1111 110")
    number.evaluate("input => input.setSelectionRange(6, 6)")
    number.press("Backspace")
    assert number.input_value() == "5573 8101 1111 10"
    assert number.evaluate("input => input.selectionStart") == 4


def test_pasted_number_loses_its_dashes(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, _ = opened("empty")

    page.locator("#number").focus()
    page.keyboard.insert_text("5573-3810-1111-1101")

    expect(page.locator("#number")).to_have_value("5573 3810 1111 1101")
    expect(page.locator("#expiry")).to_be_focused()


def test_brand_is_shown_alone_said_aloud_and_sets_the_length_of_the_code(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, _ = opened("empty")
    shown = page.locator("[data-badges] .badge:visible")

    expect(shown).to_have_count(4)
    for typed, brand, length in (
        ("4", "Visa", "3"),
        ("2221", "Mastercard", "3"),
        ("2720", "Mastercard", "3"),
        ("3337", "JCB", "3"),
        ("37", "American Express", "4"),
    ):
        page.locator("#number").fill(typed)
        expect(shown).to_have_count(1)
        expect(shown).to_contain_text(brand)
        expect(page.locator("[data-announce]")).to_have_text(brand)
        expect(page.locator("#cvv")).to_have_attribute("maxlength", length)
    page.get_by_role("button", name="Di mana CVV?").click()
    expect(page.locator("#cvv-hint")).to_have_text("4 angka di depan kartu")


def test_unknown_brands_are_refused_in_words_before_submit(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, _ = opened(replace(EMPTY, brands=("VISA", "MASTER")))

    for typed in ("6011", "2721", "3528", "34770"):
        page.locator("#number").fill(typed)
        expect(page.locator("#number-error")).to_have_text("Kartu jenis ini belum diterima")
    page.locator("#number").fill("4111")
    expect(page.locator("#number-error")).to_have_count(0)
    expect(page.locator("#number")).not_to_have_attribute("aria-invalid", "true")


def test_expiry_gets_its_slash_and_long_years_are_shortened(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, _ = opened("empty")
    expiry = page.locator("#expiry")

    for typed, shown in (("0528", "05/28"), ("528", "05/28"), ("1/28", "01/28"), ("12", "12/"), ("05/2028", "05/28")):
        expiry.fill("")
        expiry.press_sequentially(typed)
        assert expiry.input_value() == shown, typed
    expiry.fill("")
    expiry.press_sequentially("12")
    expiry.press("Backspace")
    assert expiry.input_value() == "12"
    expiry.press("Backspace")
    assert expiry.input_value() == "1"


def test_caret_goes_on_by_itself_and_back_with_backspace(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, _ = opened("empty")

    page.locator("#number").press_sequentially(MANDIRI)
    expect(page.locator("#expiry")).to_be_focused()
    page.keyboard.press("Backspace")
    expect(page.locator("#number")).to_be_focused()
    expect(page.locator("#number")).to_have_value("5573 3810 1111 1101")
    page.locator("#expiry").press_sequentially("0528")
    expect(page.locator("#cvv")).to_be_focused()


def test_promo_is_previewed_by_the_longest_prefix_and_taken_back(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, _ = opened("empty")
    go, was = page.locator(".go"), page.locator(".was")

    expect(was).to_be_hidden()
    page.locator("#number").fill("55733")
    expect(go).to_have_text("Bayar Rp\u00a01.100.000")  # evaluated from six digits on
    page.locator("#number").fill("557338")
    expect(go).to_have_text("Bayar Rp\u00a01.000.000")
    expect(page.locator(".amount")).to_have_text("Rp\u00a01.000.000")
    expect(was).to_have_text("harga semula Rp\u00a01.100.000")
    expect(page.locator(".sheet .promo")).to_have_text("Promo Rp\u00a0100.000 untuk kartu ini sudah dipakai")
    expect(page.locator(".wide .promo .sum")).to_have_text("−Rp\u00a0100.000")
    expect(page.locator(".wide .total .sum")).to_have_text("Rp\u00a01.000.000")
    page.locator("#number").fill("551111")
    expect(go).to_have_text("Bayar Rp\u00a01.080.000")
    page.locator("#number").fill("411111")  # a discount of the whole amount is ignored
    expect(go).to_have_text("Bayar Rp\u00a01.100.000")
    expect(was).to_be_hidden()


def test_card_outside_the_allowed_bins_is_refused_before_submit(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, server = opened(replace(EMPTY, allow_bin=("557338", "41111111"), disclaimer=None))

    page.locator("#number").fill("411111")
    expect(page.locator("#number-error")).to_have_count(0)
    page.locator("#number").fill("411112")
    expect(page.locator("#number-error")).to_have_text("Kartu ini tidak dapat dipakai untuk pembayaran ini")
    page.locator(".go").click()
    expect(page.locator(".alert")).to_be_focused()
    assert server.posts == []


def test_ways_to_pay_are_asked_for_with_eight_digits_and_never_more(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, server = opened("empty")
    server.plans = lambda query: {
        "plans": [
            {"id": one.id, "tenor": one.tenor, "monthly": one.monthly, "total": one.total, "interest_bp": one.interest_bp}
            for one in PLANS
        ]
        if query == "bin=55733810"
        else [],
        "allow_full": True,
    }

    page.locator("#number").press_sequentially(MANDIRI)
    options = page.locator("[data-plans] .option")
    expect(options).to_have_count(4)
    expect(options.nth(0)).to_have_text("Bayar penuhRp\u00a01.000.000")
    expect(options.nth(1)).to_have_text("3 × Rp\u00a0333.334Cicilan 0%, 3 bulan")
    expect(options.nth(3)).to_have_text("12 × Rp\u00a095.334Bunga 4%, total Rp\u00a01.144.002")
    expect(page.get_by_role("radio", name="Bayar penuh")).to_be_checked()
    assert [url for url in server.asked if "/plans" in url] == [f"{PATH}/plans?bin=55733810"]
    assert not [url for url in server.asked if MANDIRI[:9] in url]

    page.locator("#number").fill("4111 1111 1")
    expect(page.locator("[data-plans]")).to_be_hidden()


def test_wrong_fields_are_named_before_anything_is_sent(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, server = opened("empty")

    page.locator("#number").fill("5573 3810 1111 1102")
    page.locator("#expiry").fill("0424")
    page.locator("#cvv").fill("12")
    page.locator(".go").click()

    alert = page.locator(".alert")
    expect(alert).to_be_focused()
    expect(alert.locator("h2")).to_have_text("Periksa 4 isian berikut")
    expect(alert.locator("li")).to_have_text(
        [
            "Nomor kartu tidak benar. Periksa lagi angkanya",
            "Masa berlaku kartu sudah lewat",
            "Kode CVV belum lengkap",
            "Setujui ketentuan pembayaran untuk melanjutkan",
        ]
    )
    expect(page).to_have_title("Salah: Kartu kredit atau debit · Kopi Lereng")
    expect(page.locator("#cvv")).to_have_attribute("aria-describedby", "cvv-error cvv-hint")
    assert violations(page) == []
    alert.get_by_role("link", name="Kode CVV").click()
    expect(page.locator("#cvv")).to_be_focused()
    page.keyboard.type("3")
    expect(page.locator("#cvv-error")).to_have_count(0)
    assert server.posts == []


def test_last_day_of_the_month_is_still_valid_by_the_page_clock(opened: Callable[..., tuple[Page, Server]]) -> None:
    # 31 May, 23.59 in Jakarta
    page, _ = opened(replace(EMPTY, order=replace(ORDER, now=datetime(2026, 5, 31, 16, 59, tzinfo=UTC))))
    expiry = page.locator("#expiry")

    for typed, key in (
        ("0526", None),
        ("0426", "expiry_over"),
        ("0546", None),
        ("0646", "expiry_far"),
        ("1328", "expiry_format"),
    ):
        expiry.fill(typed)
        expiry.blur()
        if key:
            expect(page.locator("#expiry-error")).to_have_text(STRINGS["id"][key])
        else:
            expect(page.locator("#expiry-error")).to_have_count(0)


@pytest.mark.parametrize("script", [True, False])
def test_what_is_sent_is_the_contract_with_and_without_script(opened: Callable[..., tuple[Page, Server]], script: bool) -> None:
    page, server = opened(replace(PROMO, embed=True, demo_cards=()), "en", script=script)

    page.locator("#cvv").fill("123")
    page.locator("#name").fill("SITI RAHMAWATI")
    page.locator(".go").click()

    expect(page.locator("h1")).to_have_text("Terkirim")
    [sent] = server.posts
    assert sent.pop("number")[0].replace(" ", "") == MANDIRI
    assert sent == {
        "lang": ["en"],
        "form": ["form-1"],
        "embed": ["1"],
        "action": ["pay"],
        "choice": ["new"],
        "expiry": ["05/28"],
        "cvv": ["123"],
        "name": ["SITI RAHMAWATI"],
        "plan": ["mandiri-3"],
        "save": ["1"],
        "consent": ["1"],
    }


def test_two_quick_presses_send_one_payment(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, server = opened("promo and plans")
    page.locator("#cvv").fill("123")

    page.locator(".go").evaluate("button => { button.click(); button.click(); }")

    expect(page.locator("h1")).to_have_text("Terkirim")
    assert len(server.posts) == 1


@pytest.mark.parametrize("script", [True, False])
def test_saved_card_asks_for_its_code_alone(opened: Callable[..., tuple[Page, Server]], script: bool) -> None:
    page, server = opened("saved cards", script=script)

    for field in ("#number", "#expiry", "#name", "#save"):
        expect(page.locator(field)).to_be_hidden()
    page.locator("#cvv").fill("123")
    page.locator(".go").click()

    expect(page.locator("h1")).to_have_text("Terkirim")
    [sent] = server.posts
    assert sent["choice"] == [SAVED[1].token_ref]
    assert sent["number"] == [""]
    assert sent["cvv"] == ["123"]


def test_other_choice_empties_the_code_and_changes_promo_and_fields(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, server = opened("saved cards")
    page.locator("#cvv").fill("123")

    page.get_by_text("Mastercard berakhiran 1101").first.click()
    expect(page.locator("#cvv")).to_have_value("")
    expect(page.locator(".go")).to_have_text("Bayar Rp\u00a01.000.000")
    page.get_by_text("Pakai kartu lain").click()
    expect(page.locator("#number")).to_be_visible()
    expect(page.locator(".go")).to_have_text("Bayar Rp\u00a01.100.000")
    assert [url for url in server.asked if "/plans" in url] == [f"{PATH}/plans?choice={SAVED[0].token_ref}"]


@pytest.mark.parametrize(("press", "action"), [("Hapus Mastercard berakhiran 1101", "remove"), ("Batalkan pembayaran", "cancel")])
def test_leaving_and_removing_send_no_card_number(opened: Callable[..., tuple[Page, Server]], press: str, action: str) -> None:
    page, server = opened("saved cards, new chosen")
    page.locator("#number").fill(MANDIRI)
    page.locator("#cvv").fill("123")

    page.get_by_role("button", name=press).click()

    expect(page.locator("h1")).to_have_text("Terkirim")
    [sent] = server.posts
    assert sent["action"] == [action]
    assert sent.get("token") == ([SAVED[0].token_ref] if action == "remove" else None)
    assert not {"number", "cvv", "expiry", "name"} & set(sent)


def test_removing_a_card_is_confirmed_by_a_second_form(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, server = opened("remove")

    page.get_by_role("button", name="Hapus kartu").click()

    expect(page.locator("h1")).to_have_text("Terkirim")
    assert server.posts == [
        {"lang": ["id"], "form": ["form-1"], "token": [SAVED[0].token_ref], "confirm": ["1"], "action": ["remove"]}
    ]


def test_test_card_fills_the_form_or_leads_to_a_page_that_does(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, _ = opened("empty")
    page.get_by_text("Kartu uji").click()
    page.get_by_role("link", name="Mastercard").click()

    expect(page.locator("#number")).to_have_value("5573 3810 1111 1101")
    expect(page.locator("#expiry")).to_have_value("05/28")
    expect(page.locator("#cvv")).to_have_value("123")
    expect(page.locator(".go")).to_have_text("Bayar Rp\u00a01.000.000")

    plain, server = opened("empty", script=False)
    plain.get_by_text("Kartu uji").click()
    plain.get_by_role("link", name="Visa").click()
    assert server.asked[-4:].count(f"{PATH}?card=limit&lang=id") == 1


def test_bank_frame_is_named_and_gets_the_keyboard_and_the_page_goes_on_when_it_is_done(
    opened: Callable[..., tuple[Page, Server]],
) -> None:
    page, server = opened("empty")
    server.others["/bank"] = BANK.replace("<button>Setujui</button>", '<a href="/done">Setujui</a>')
    server.others["/done"] = render("challenge done")
    server.html = render("challenge")
    page.goto(f"{HOST}{PATH}")

    frame = page.frame_locator("iframe[title='Halaman verifikasi bank']")
    expect(frame.locator("h1")).to_have_text("Bank Nusa (simulasi)")
    expect(page.locator("iframe")).to_be_focused()
    server.html = render("paid")
    frame.get_by_text("Setujui").click()

    expect(page.locator("h1")).to_have_text("Pembayaran berhasil")


def test_page_leaves_the_bank_frame_without_a_script_too(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, server = opened("challenge done", script=False)
    server.html = render("paid")

    page.get_by_role("link", name="Lanjut").click()

    expect(page.locator("h1")).to_have_text("Pembayaran berhasil")


@pytest.mark.parametrize(("state", "status"), [("paid", "SUCCESS"), ("attempts used", "FAILED"), ("expired", "EXPIRED")])
def test_result_in_a_frame_tells_the_page_around_it(opened: Callable[..., tuple[Page, Server]], state: str, status: str) -> None:
    page, server = opened("empty")
    server.others["/shop"] = '<!doctype html><html lang="id"><title>Toko</title><h1>Toko</h1>'
    server.html = render(state)
    page.goto(f"{HOST}/shop")

    heard = page.evaluate(
        """path => new Promise(resolve => {
            addEventListener("message", event => resolve(event.data));
            const frame = document.createElement("iframe");
            frame.src = path;
            document.body.append(frame);
        })""",
        PATH,
    )

    assert heard == {"source": "doku-card", "status": status, "invoice_number": "INV-20260519-0042"}


def test_changed_script_is_not_run_and_the_page_still_pays(browser: Browser) -> None:
    context = browser.new_context(locale="id-ID")
    server = Server(context, render("promo and plans"))
    server.spoilt = {"/assets/card.", "/assets/theme/"}
    page = context.new_page()
    page.goto(f"{HOST}{PATH}")

    assert page.locator("form.led").count() == 0
    page.locator("#cvv").fill("123")
    page.locator(".go").click()

    expect(page.locator("h1")).to_have_text("Terkirim")
    assert server.posts[0]["number"] == [MANDIRI]
    context.close()


def test_embedded_page_has_one_line_of_order_and_no_head_or_foot(opened: Callable[..., tuple[Page, Server]]) -> None:
    page, _ = opened("embedded", size=(400, 400))

    for hidden in (".foot", ".brand", ".sums", ".bar"):
        expect(page.locator(hidden).locator("visible=true")).to_have_count(0)
    line = page.locator(".summary summary")
    expect(line).to_contain_text("Kopi Lereng")
    expect(line).to_contain_text("Rp\u00a01.000.000")
    expect(page.get_by_role("link", name="EN")).to_have_attribute("href", f"{PATH}?lang=en&embed=1")
    box = page.locator("#number").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 400  # the card's number is seen without scrolling
