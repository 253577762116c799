"""How the pretend counterparties' pages look and behave, in a real browser with the headers they are delivered with: every state, both
languages, with and without a script. Design guide §§4, 8 and 9.

GERBANG_SCREENSHOTS=DIR keeps a picture of every state, to be looked at.
"""

import gzip
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from gerbang.providers.party import Behaviour
from gerbang.providers.views import AccountView, BillView, Look, PartyView, PlanView, ReceiptView, WaitingView
from gerbang.web.assets import STATIC, Assets
from gerbang.web.i18n import LANGUAGES, STRINGS
from gerbang.web.pages import Pages, page_response
from gerbang.web.theme import Theme, theme_named
from gerbang.web.views import FieldError, ItemView, Lang, OrderView, Shell
from support.browser import each_in_a_view, violations
from support.windows import Windows, assert_fits

pytestmark = pytest.mark.browser

HOST = "https://pay.example"
SHOP = "https://rotidamai.example/selesai?id=61"
PATH = "/simulators/linkaja/pay_01"
NOW = datetime(2026, 5, 19, 7, 32, 48, tzinfo=UTC)
LINKAJA = Look("EMONEY_LINKAJA", "LinkAja", "LA", "app", Theme("F3F3F6", "1A1A22", "8E102F", "FFFFFF"))
PALE = Look("PALE", "Bank Pucat", "BP", "app", Theme("F4F8FA", "14222B", "9BDCEB", "14222B"))
DARK = Look("DARK", "Dompet Malam", "DM", "app", Theme("1F2A26", "F4F1E6", "E9B44C", "1F2A26"))
INDODANA = Look("PEER_TO_PEER_INDODANA", "Indodana", "in", "lender", Theme("F3F6F1", "15201A", "14532D", "FFFFFF"))
ALFAMART = Look("ONLINE_TO_OFFLINE_ALFA", "Alfamart", "AM", "cashier", Theme("FAF6F5", "231815", "A3161D", "FFFFFF"))
ORDER = OrderView(
    merchant_name="Roti Damai",
    invoice_number="INV-20260519-0061",
    amount=1_100_000,
    line_items=(ItemView("Roti sobek", 182_000, 5), ItemView("Selai srikaya, botol", 95_000, 2)),
    expires_at=NOW + timedelta(minutes=47, seconds=12),
    now=NOW,
)
LONG = OrderView(
    "Persatuan Pengrajin Kopi dan Cokelat Nusantara Timur",
    "INV-" + "0123456789" * 6,
    999_999_999_999,
    tuple(ItemView("X" * 120, 999_999_999_999, 1) for _ in range(6)),
    NOW + timedelta(days=3),
    NOW,
)
OUTCOMES = tuple((one.value, f"sim_do_{one.value.lower()}") for one in Behaviour)
PLANS = (
    PlanView(1, 1_122_000, "2", 1_122_000, False),
    PlanView(3, 381_334, "4", 1_144_002, True),
    PlanView(12, 104_500, "14", 1_254_000, False),
)
NO_PLAN, NO_CONSENT = FieldError("plan", "sim_plan_missing"), FieldError("consent", "sim_consent_missing")
BILL = BillView(
    code="8888812234567890",
    merchant_name="Roti Damai",
    invoice_number=ORDER.invoice_number,
    amount=150_000,
    info=("Terima kasih", "Ambil besok pagi"),
    expires_at=NOW + timedelta(days=1),
    attempt="rcp_01JVA",
)
RECEIPT = ReceiptView(
    code=BILL.code,
    merchant_name="Roti Damai",
    amount=150_000,
    paid_at=NOW,
    trx_id="ALF20260519143248",
    store="Alfamart Cikini Raya",
    footer="Simpan struk ini.\nLayanan 1500-000",
    number="rcp_01JVA",
)
PARTIES = (
    PartyView(
        LINKAJA,
        "",
        (
            WaitingView("Roti Damai", "INV-61", 150_000, f"{PATH}", ORDER.expires_at),
            WaitingView("X" * 90, "INV-62", 9, "/b", NOW),
        ),
    ),
    PartyView(PALE, "", ()),
    PartyView(INDODANA, "", ()),
    PartyView(
        ALFAMART,
        "/simulators/alfamart",
        (WaitingView("Kopi Lereng", "INV-63", 999_999_999_999, "/simulators/alfamart?code=8888", NOW + timedelta(days=2)),),
    ),
)

Context = dict[str, Any]
APP: Context = {
    "look": LINKAJA,
    "order": ORDER,
    "account": AccountView("Siti Rahma", "0812 •••• 7890", 25_000_000),
    "outcomes": OUTCOMES,
}
LENDER: Context = {
    "look": INDODANA,
    "order": ORDER,
    "reference": "IND-7F3A90",
    "plans": PLANS,
    "first_due": date(2026, 6, 19),
    "limit_after": 3_900_000,
    "errors": (),
    "outcomes": OUTCOMES,
}
CASHIER: Context = {"look": ALFAMART, "code": "", "errors": (), "bill": None, "receipt": None, "outcomes": OUTCOMES}
WAITING: Context = {"look": LINKAJA, "order": ORDER, "until": NOW + timedelta(seconds=20), "return_url": SHOP}
ENDED: Context = {"look": LINKAJA, "order": ORDER, "until": None, "return_url": None}
STATES: dict[str, tuple[str, Context]] = {
    "app": ("app", APP),
    "app, pale": ("app", {**APP, "look": PALE}),
    "app, dark": ("app", {**APP, "look": DARK}),
    "app, bare": ("app", {**APP, "account": None, "order": replace(ORDER, line_items=()), "outcomes": ()}),
    "app, long": ("app", {**APP, "order": LONG, "account": AccountView("Raden Ajeng Siti Rahmawati " * 3, "0812 •••• 7890", 0)}),
    "lender": ("lender", LENDER),
    "lender, no consent": ("lender", {**LENDER, "errors": (NO_CONSENT,)}),
    "lender, two errors": (
        "lender",
        {**LENDER, "plans": tuple(replace(plan, chosen=False) for plan in PLANS), "errors": (NO_PLAN, NO_CONSENT)},
    ),
    "lender, long": (
        "lender",
        {**LENDER, "order": LONG, "plans": (replace(PLANS[1], monthly=346_666_666_667, total=LONG.amount),)},
    ),
    "cashier": ("cashier", CASHIER),
    "cashier, unknown code": ("cashier", {**CASHIER, "code": "8888 81", "errors": (FieldError("code", "sim_code_unknown"),)}),
    "cashier, bill": ("cashier", {**CASHIER, "bill": BILL}),
    "cashier, refused": ("cashier", {**CASHIER, "bill": BILL, "errors": (FieldError("", "sim_code_paid"),)}),
    "cashier, receipt": ("cashier", {**CASHIER, "receipt": RECEIPT}),
    "slow": ("waiting", {**WAITING, "state": "slow"}),
    "slow, unknown": ("waiting", {**WAITING, "state": "slow", "until": None, "return_url": None}),
    "silent": ("waiting", {**WAITING, "state": "silent", "until": None}),
    **{state: ("ended", {**ENDED, "state": state}) for state in ("paid", "failed", "cancelled", "expired")},
    "paid, back": ("ended", {**ENDED, "state": "paid", "return_url": SHOP}),
    "late": ("ended", {**ENDED, "state": "late", "until": ORDER.expires_at + timedelta(minutes=1)}),
    "loan": ("ended", {**ENDED, "state": "paid", "look": INDODANA}),
    "loan cancelled": ("ended", {**ENDED, "state": "cancelled", "look": INDODANA}),
    "desk": ("hub", {"parties": PARTIES, "now": NOW}),
    "desk, nothing waits": ("hub", {"parties": PARTIES[1:3], "now": NOW}),
}

ASSETS = Assets()
PAGES = Pages(ASSETS, sandbox=True)
FILES = {str(ASSETS.url(source)): ASSETS.get(source) for source in ("simulator.css", "simulator.js", "favicon.svg")}


def path_of(state: str) -> str:
    return "/simulators" if STATES[state][0] == "hub" else PATH


def render(state: str, lang: Lang = "id", **changes: object) -> str:
    template, context = STATES[state]
    shell = Shell(lang, True, "", "Roti Damai", path_of(state), "0f3d9c1e7a6b")
    return PAGES.render(f"providers/{template}.html", lang=lang, shell=shell, **{**context, **changes}).decode()


# Markup: needs no browser.


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("state", STATES)
def test_markup_is_strict_and_asks_nobody_else(state: str, lang: Lang) -> None:
    html = render(state, lang)

    assert f'<html lang="{lang}"' in html
    assert html.count("<h1") == 1
    assert html.count('class="go"') <= 1
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    loaded = re.findall(r'<(?:script|link rel="stylesheet")[^>]*>', html)
    assert len(loaded) == (2 if state.startswith("desk") else 3)
    assert all(re.search(r'(?:src|href)="/assets/[^"]+" integrity="sha384-[\w+/]{64}"', tag) for tag in loaded)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    for names in re.findall(r'(?:aria-describedby|aria-labelledby|for|href)="#?([\w -]+)"', html):
        assert set(names.split()) <= set(ids), names


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("state", [state for state in STATES if not state.startswith("desk")])
def test_page_says_first_and_in_its_title_that_it_is_a_simulation(state: str, lang: Lang) -> None:
    html = render(state, lang)
    name = STATES[state][1]["look"].name

    simulated = f"{name} ({'simulasi' if lang == 'id' else 'simulation'})"
    assert f" · {simulated}</title>" in html
    seen = re.sub(r"<svg.*?</svg>", "", html.partition("<body>")[2], count=1, flags=re.DOTALL)
    first = re.sub(r"<[^>]+>", "", seen.partition("</aside>")[0]).strip()
    assert first == f"Sandbox {'Ini simulasi, bukan' if lang == 'id' else 'This is a simulation, not'} {name}"


@pytest.mark.parametrize("state", STATES)
def test_page_with_all_it_loads_stays_within_forty_kilobytes(state: str) -> None:
    page = gzip.compress(render(state).encode(), mtime=0)
    theme = gzip.compress(LINKAJA.theme.css.encode(), mtime=0)

    files = sum(len(ASSETS.get(source).gzipped) for source in ("simulator.css", "simulator.js"))
    assert len(page) + len(theme) + files <= 40_000


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("state", STATES)
def test_every_form_leads_to_its_page_in_its_language_and_every_button_says_what_it_does(state: str, lang: Lang) -> None:
    for form in re.findall(r"<form.*?</form>", render(state, lang), flags=re.DOTALL):
        assert f'<form method="post" action="{path_of(state)}"' in form
        assert f'<input type="hidden" name="lang" value="{lang}">' in form
        buttons = re.findall(r"<button[^>]*>", form)
        assert buttons
        assert all('name="action" value="' in button for button in buttons)


def test_every_behaviour_has_a_button_text() -> None:
    html = render("app", "en")

    for one in Behaviour:
        words = STRINGS["en"][f"sim_do_{one.value.lower()}"]
        assert f'<button name="action" value="{one.value}">{words}</button>' in html


def test_new_counterparty_needs_no_style_because_its_colours_are_data() -> None:
    rules = (STATIC / "simulator.css").read_text()
    screen, _, _ = rules.partition("@media print")

    assert not re.search(r"#[0-9A-Fa-f]{3,8}\b|rgb\(|hsl\(", screen)
    for look in (LINKAJA, PALE):
        html = render("app", look=look)
        assert f'<link rel="stylesheet" href="{look.theme.url}" integrity="{look.theme.integrity}">' in html
        assert look.theme.url.split("/")[-1].count("-") == 3
    assert 'fill="#8E102F"' in render("desk")


def test_names_from_the_merchant_are_text() -> None:
    html = render(
        "lender", order=replace(ORDER, merchant_name="<script>x</script>'\"", line_items=(ItemView("<b>roti</b>", 1, 1),))
    )

    assert "<script>x" not in html
    assert "<b>roti" not in html


def test_plan_is_kept_and_consent_is_never_given_for_the_buyer() -> None:
    html = render("lender, no consent")

    assert re.search(r'value="3"[^>]* checked', html)
    assert html.count(" checked") == 1
    assert re.search(r'<input type="checkbox" id="consent"[^>]* checked', render("lender, two errors", consented=True))


def test_lender_names_a_limit_where_others_have_a_balance() -> None:
    assert "Limit kurang" in render("lender")
    assert "Saldo kurang" not in render("lender")
    assert "Saldo kurang" in render("app")


def test_long_orders_are_folded_away_from_the_button() -> None:
    assert "<details" not in render("app")
    assert re.search(r"<details.*Rincian pesanan \(6 barang\)", render("app, long"), flags=re.DOTALL)


def test_till_carries_the_code_into_everything_that_can_happen_to_its_bill() -> None:
    forms = re.findall(r"<form.*?</form>", render("cashier, bill"), flags=re.DOTALL)

    assert len(forms) == 2
    for form in forms:
        assert f'<input type="hidden" name="code" value="{BILL.code}">' in form
        assert '<input type="hidden" name="attempt" value="rcp_01JVA">' in form
    assert 'value="8888 81"' in render("cashier, unknown code")


def test_till_stays_where_it_is_in_the_other_language() -> None:
    for state, kept in (
        ("cashier", ""),
        ("cashier, bill", f"&amp;code={BILL.code}"),
        ("cashier, receipt", "&amp;receipt=rcp_01JVA"),
    ):
        assert f'<a href="{PATH}?lang=en{kept}" lang="en"' in render(state)


def test_silent_page_names_the_deadline_and_a_slow_one_when_it_answers() -> None:
    assert "Batas waktunya 15.20 WIB" in render("silent")
    assert "Jawabannya datang sekitar 14.33 WIB." in render("slow")
    assert "The answer comes in a moment." in render("slow, unknown", "en")


def test_late_page_gives_a_command_that_moves_the_clock_past_the_report() -> None:
    [minutes] = re.findall(r"<code>gerbang clock advance (\d+)m</code>", render("late"))

    until = STATES["late"][1]["until"]
    assert until < NOW + timedelta(minutes=int(minutes)) <= until + timedelta(minutes=1)


def test_nobody_is_sent_to_a_shop_that_gave_no_address() -> None:
    assert "<a class=" not in render("paid").partition("<main>")[2].partition("</main>")[0]
    assert f'<a class="ink" href="{SHOP}">' in render("paid, back")


def test_desk_shows_who_waits_where_and_keeps_the_language() -> None:
    html = render("desk", "en")

    assert f'<a href="{PATH}?lang=en"><span class="what"><b>Roti Damai</b>' in html
    assert 'href="/simulators/alfamart?code=8888&amp;lang=en"' in html
    assert 'href="/simulators/alfamart?lang=en">Alfamart' in html
    assert "3 orders are waiting for their buyers." in html
    assert html.count("Nothing waiting") == 2
    assert 'href="/simulators/sms?lang=en"' in html
    assert "Belum ada pesanan yang menunggu." in render("desk, nothing waits")


# In the browser.


class Server:
    """Answers the browser in place of a gateway: one page, its files, and a list of what was sent."""

    def __init__(self, context: BrowserContext, html: str) -> None:
        self.html = html
        self.posts: list[dict[str, list[str]]] = []
        self.asked: list[str] = []
        self.leads: str | None = None
        context.route("**/*", self._answer)

    def _answer(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        if route.request.url == SHOP:
            return self._page(route, '<!doctype html><html lang="id"><title>Toko</title><h1>Kembali di toko</h1>')
        assert f"{url.scheme}://{url.netloc}" == HOST, route.request.url
        if url.path.startswith("/assets/"):
            theme = theme_named(url.path.rpartition("/")[2])
            kind = "text/css" if url.path.endswith("css") else FILES[url.path].content_type
            return route.fulfill(body=theme.css.encode() if theme else FILES[url.path].plain, content_type=kind)
        self.asked.append(url.path + ("?" + url.query if url.query else ""))
        if route.request.method == "POST":
            self.posts.append(parse_qs(route.request.post_data or "", keep_blank_values=True))
            return self._page(route, '<!doctype html><html lang="id"><title>Terkirim</title><h1>Terkirim</h1>')
        if self.leads and "waited" in url.query:
            return route.fulfill(status=303, headers={"Location": self.leads})
        return self._page(route, self.html)

    def _page(self, route: Route, html: str) -> None:
        headers = dict(page_response(html.encode(), frame_ancestors="*").headers)
        del headers["content-length"]
        route.fulfill(body=html, headers=headers)


Opened = Callable[..., tuple[Page, Server]]


@pytest.fixture
def opened(windows: Windows) -> Opened:
    """`opened(state, lang)` shows a page."""

    def show(
        state: str, lang: Lang = "id", *, script: bool = True, size: str | tuple[int, int] = "desktop", clock: bool = False
    ) -> tuple[Page, Server]:
        page = windows.open(size, script=script, fresh=clock)
        server = Server(page.context, render(state, lang))
        if clock:
            page.clock.install()
        page.goto(f"{HOST}{path_of(state)}?lang={lang}")
        return page, server

    return show


VIEWS: list[tuple[str, Lang]] = [("phone", "id"), ("desktop", "en")]
if os.environ.get("GERBANG_SCREENSHOTS"):
    VIEWS += [("phone", "en"), ("desktop", "id")]

# What a finger has to hit: everything that can be pressed, but links inside a sentence and the fields hidden under their cards.
TOO_SMALL = """() => [...document.querySelectorAll("a, button, summary, label.option, .check label, .field input")]
    .filter(one => one.getClientRects().length && !one.closest(".alert"))
    .map(one => [one.textContent.trim(), one.getBoundingClientRect()])
    .filter(([, box]) => box.height < 44 || box.width < 24).map(([words]) => words)"""


def shoot(page: Page, state: str, device: str, lang: str) -> None:
    directory = os.environ.get("GERBANG_SCREENSHOTS")
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
        name = re.sub(r"\W+", "-", state)
        page.screenshot(path=f"{directory}/simulator-{name}-{device}-{lang}.png", full_page=True)


@pytest.mark.parametrize(("state", "device", "lang"), each_in_a_view(STATES, VIEWS))
def test_state_is_accessible_fits_every_window_and_can_be_hit(opened: Opened, state: str, device: str, lang: Lang) -> None:
    page, _ = opened(state, lang, size=device)
    shoot(page, state, device, lang)

    # What is folded away is looked at as well.
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    assert violations(page) == []
    assert page.evaluate(TOO_SMALL) == []
    assert_fits(page, device)


def test_button_takes_the_plan_that_is_chosen(opened: Opened) -> None:
    page, _ = opened("lender")
    go = page.locator(".go")

    expect(go).to_have_text("Ambil 3 × Rp\u00a0381.334")
    page.get_by_text("12 × Rp").click()
    expect(go).to_have_text("Ambil 12 × Rp\u00a0104.500")
    page.keyboard.press("ArrowUp")
    expect(go).to_have_text("Ambil 3 × Rp\u00a0381.334")


def test_button_names_no_plan_when_none_is_chosen(opened: Opened) -> None:
    page, _ = opened("lender, two errors")

    expect(page.locator(".go")).to_have_text("Ambil cicilan")
    expect(page.locator(".alert")).to_be_focused()
    page.locator(".alert").get_by_role("link", name="Setujui").click()
    expect(page.locator("#consent")).to_be_focused()


@pytest.mark.parametrize("script", [True, False])
def test_lender_is_told_plan_and_consent_with_and_without_script(opened: Opened, script: bool) -> None:
    page, server = opened("lender", "en", script=script)

    page.get_by_text("12 × Rp").click()
    page.get_by_text("I have read").click()
    page.get_by_role("button", name="Take").click()

    expect(page.locator("h1")).to_have_text("Terkirim")
    assert server.posts == [{"lang": ["en"], "plan": ["12"], "consent": ["1"], "action": ["pay"]}]


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize(
    ("press", "action"), [("Bayar Rp\u00a01.100.000", "pay"), ("Batalkan", "cancel"), ("Bayar dua kali", "PAID_TWICE")]
)
def test_every_press_in_the_app_says_one_thing(opened: Opened, press: str, action: str, script: bool) -> None:
    page, server = opened("app", script=script)

    page.get_by_role("button", name=press, exact=True).click()

    expect(page.locator("h1")).to_have_text("Terkirim")
    assert server.posts == [{"lang": ["id"], "action": [action]}]


def test_two_quick_presses_pay_once(opened: Opened) -> None:
    page, server = opened("app")

    page.locator(".go").evaluate("button => { button.click(); button.click(); }")

    expect(page.locator("h1")).to_have_text("Terkirim")
    assert len(server.posts) == 1


def test_enter_at_the_till_looks_the_code_up(opened: Opened) -> None:
    page, server = opened("cashier, unknown code", script=False)

    page.locator("#code").fill("8888 8122")
    page.locator("#code").press("Enter")

    expect(page.locator("h1")).to_have_text("Terkirim")
    assert server.posts == [{"lang": ["id"], "code": ["8888 8122"], "action": ["look"]}]


@pytest.mark.parametrize("state", ["paid", "late", "cashier, receipt"])
def test_keyboard_stands_at_the_heading_of_what_happened(opened: Opened, state: str) -> None:
    page, _ = opened(state)

    expect(page.locator("h1")).to_be_focused()


def test_waiting_page_follows_the_answer_to_the_shop(opened: Opened) -> None:
    page, server = opened("slow", clock=True)

    with page.expect_response(lambda answer: "waited" in answer.url):
        page.clock.run_for(3_100)
    expect(page.locator("h1")).to_have_text("LinkAja sedang memproses")
    server.leads = SHOP
    page.clock.run_for(3_100)

    expect(page.locator("h1")).to_have_text("Kembali di toko")


def test_waiting_page_turns_into_the_end_when_no_shop_waits(opened: Opened) -> None:
    page, server = opened("slow", clock=True)

    server.html = render("paid")
    page.clock.run_for(3_100)

    expect(page.locator("h1")).to_have_text("Pembayaran berhasil")
    assert server.asked[-1] == f"{PATH}?lang=id&waited=1"


def test_waiting_page_asks_by_itself_without_a_script(opened: Opened) -> None:
    page, server = opened("silent", script=False)

    server.html = render("expired")

    expect(page.locator("h1")).to_have_text("Waktu pembayaran habis")
    assert server.asked[-1] == f"{PATH}?lang=id&waited=1"


def test_desk_shows_a_new_order_and_says_so_but_never_under_somebodys_keyboard(opened: Opened) -> None:
    page, server = opened("desk, nothing waits", clock=True)
    expect(page.locator("[data-order]")).to_have_count(0)

    server.html = render("desk")
    page.clock.run_for(4_100)
    expect(page.locator("[data-order]")).to_have_count(3)
    expect(page.locator("[data-announce]")).to_have_text("Ada pesanan baru.")

    page.locator("[data-order] a").first.focus()
    server.html = render("desk, nothing waits")
    page.clock.run_for(8_100)
    expect(page.locator("[data-order]")).to_have_count(3)


def test_clock_command_is_copied_by_a_press(opened: Opened) -> None:
    page, _ = opened("late")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    page.get_by_role("button", name="Salin").click()

    expect(page.locator("[data-announce]")).to_have_text("Tersalin")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("code").text_content()


def test_till_prints_its_paper_and_nothing_else(opened: Opened) -> None:
    page, _ = opened("cashier, receipt")
    expect(page.get_by_role("button", name="Cetak struk")).to_be_visible()

    page.emulate_media(media="print")

    expect(page.locator(".slip")).to_be_visible()
    for hidden in (".bar", ".head", ".way", ".actions", ".foot"):
        expect(page.locator(hidden)).to_be_hidden()
