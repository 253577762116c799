"""The pretend bank's page, over HTTP and in a browser: as a full page, in a frame of 320 × 400, with and without a script."""

import asyncio
import base64
import contextlib
import http.client
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from gerbang.channels.credit_card import simulator_pages
from gerbang.channels.credit_card.numbers import Brand
from gerbang.channels.credit_card.provider import AuthenticationQuestion, CardData
from gerbang.channels.credit_card.simulator import SandboxSchemes, find_challenge
from gerbang.channels.credit_card.simulator_pages import TONES, bank_name, bank_pages
from gerbang.clock import Clock
from gerbang.money import Rupiah
from gerbang.serving import bind, make_server
from gerbang.settings import Settings
from gerbang.storage import open_database
from gerbang.wallet import PinHasher, WalletLimits
from gerbang.web.assets import STATIC, Assets
from gerbang.web.pages import Pages
from gerbang.web.wiring import Wiring
from support.browser import violations
from support.gateway import NOON, Answer
from support.windows import Windows

MANDIRI, CHALLENGE_N, NO_PHONE = "5573381011111101", "5200000000000015", "4509198934905324"
SESSION = 'opaque"><b>&session'


class FixedClock(Clock):
    """Stands still until it is told to move."""

    moment = NOON

    def now(self):
        return self.moment


@dataclass
class Bank:
    """The bank's page served beside a gateway's notification address that keeps what it is told."""

    url: str
    clock: FixedClock
    schemes: SandboxSchemes
    wiring: Wiring
    told: list[dict[str, str]] = field(default_factory=list)

    def opened(self, number: str = MANDIRI, brand: Brand = Brand.MASTER, **other: Any) -> str:
        """The path of a fresh challenge."""
        fields: dict[str, Any] = {
            "authentication_id": os.urandom(32).hex(),
            "reference": "pay_1",
            "card": CardData(number, "2912", brand),
            "amount": Rupiah(1_000_000),
            "merchant_name": "Kopi Lereng",
            "phone": "6281234567890",
            "lang": "id",
            "notification_url": f"{self.url}/told",
            "challenge": True,
        }
        answer = self.wait(self.schemes.authenticate(AuthenticationQuestion(**fields | other)))
        assert answer.acs_url
        return urlsplit(answer.acs_url).path

    def result(self, path: str) -> Any:
        return self.wait(self.schemes.challenge_result(path.rsplit("/", 1)[-1]))

    def wait(self, question: Any) -> Any:
        # Playwright's loop counts as running in the test's thread.
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(asyncio.run(question)))
        thread.start()
        thread.join()
        return answers[0]

    def wrong_codes(self, path: str) -> int:
        found = self.wiring.database.read_now(lambda tx: find_challenge(tx, path.rsplit("/", 1)[-1]))
        assert found is not None
        return found.wrong_codes

    def send(self, method: str, path: str, headers: dict[str, str] | None = None, **form: str) -> Answer:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        with contextlib.closing(connection):
            sent = {"Content-Type": "application/x-www-form-urlencoded"} | (headers or {})
            connection.request(method, path, urlencode(form) if method == "POST" else None, sent)
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def press(self, path: str, action: str, **form: str) -> Answer:
        """Press a button of the newest page."""
        page = self.send("POST", path, threeDSSessionData=SESSION).body.decode()
        step = re.search(r'name="step" value="([^"]+)"', page)
        return self.send("POST", path, action=action, session=SESSION, **({"step": step[1]} if step else {}), **form)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    clock = FixedClock()
    settings = Settings()
    database = open_database(str(tmp_path_factory.mktemp("bank") / "gerbang.db"), connections=2)
    assets = Assets()
    wiring = Wiring(
        database=database,
        clock=clock,
        settings=settings,
        channels={},
        pin_hasher=PinHasher(b"k" * 32),
        limits=WalletLimits.of(settings),
        pages=Pages(assets, sandbox=True),
    )
    socket = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    bank = Bank(url, clock, SandboxSchemes(database, clock), wiring)

    async def told(request: Request) -> Response:
        bank.told.append({name: str(value) for name, value in (await request.form()).items()})
        return HTMLResponse('<!doctype html><html lang="id"><title>Toko</title><main><h1>Kembali</h1></main>')

    async def frame(request: Request) -> Response:
        width, height, path = (request.query_params[name] for name in ("width", "height", "path"))
        return HTMLResponse(
            f'<!doctype html><html lang="id"><title>Toko</title><main><h1>Toko</h1><iframe name="acs" title="Bank" width="{width}" '
            f'height="{height}"></iframe><form method="post" target="acs" action="{path}"><input type="hidden" name="creq" value="e30">'
            '<input type="hidden" name="threeDSSessionData" value="of the frame"><input type="hidden" name="lang" value="id">'
            "<button>Buka</button></form></main>"
        )

    app = Starlette(
        routes=[
            Route("/assets/{path:path}", assets.serve),
            *bank_pages(wiring),
            Route("/told", told, methods=["POST"]),
            Route("/frame", frame),
        ]
    )
    server = make_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    yield bank
    server.should_exit = True
    thread.join(timeout=15)
    socket.close()
    database.close()


@pytest.fixture
def bank(serving: Bank) -> Bank:
    serving.clock.moment = NOON
    serving.told.clear()
    return serving


def handed_over(answer: Answer) -> dict[str, Any]:
    """What the end page's form carries."""
    page = answer.body.decode()
    fields = dict(re.findall(r'name="(cres|threeDSSessionData)" value="([^"]*)"', page))
    return {**read_cres(fields["cres"]), "session": fields["threeDSSessionData"]}


def read_cres(cres: str) -> dict[str, Any]:
    assert "=" not in cres
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(cres + "=" * (-len(cres) % 4)))
    return decoded


# Words.


def test_both_languages_say_the_same_things() -> None:
    assert simulator_pages.ID.keys() == simulator_pages.EN.keys()
    for key, text in simulator_pages.ID.items():
        assert re.findall(r"{\w+}", text) == re.findall(r"{\w+}", simulator_pages.EN[key]), key
        assert "!" not in text + simulator_pages.EN[key]


@pytest.mark.parametrize(
    ("issuer", "name"),
    [
        ("PT BANK MANDIRI (PERSERO) Tbk", "Bank Mandiri"),
        ("PT BANK CENTRAL ASIA TBK", "Bank Central Asia"),
        ("PT BANK KB BUKOPIN Tbk", "Bank KB Bukopin"),
        ("Bank BNI", "Bank BNI"),
        ("DOKU SIMULATOR BANK", "Bank Nusa"),
        ("SIMULATOR", "Bank Nusa"),
        ("DOKU test card", "Bank Nusa"),
        (None, "Bank Nusa"),
    ],
)
def test_the_bank_is_called_after_the_issuer(issuer: str | None, name: str) -> None:
    assert bank_name(issuer) == name


def test_every_invented_colour_carries_white_text() -> None:
    css = (STATIC / "bank.css").read_text()
    colours = re.findall(r"--bank: #([0-9A-F]{6})", css)

    assert len(colours) == TONES
    for colour in colours:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        assert 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) >= 4.5


# Over HTTP.


def test_the_page_shows_what_the_buyer_has_to_check(bank: Bank) -> None:
    answer = bank.send("GET", bank.opened())
    page = answer.body.decode()

    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors *" in answer.headers["content-security-policy"]
    assert "x-frame-options" not in answer.headers
    for words in (
        "Bank Mandiri</b>",
        "(simulasi)",
        "Kopi Lereng",
        "Rp\u00a01.000.000",
        "•••• 1101",
        "0812 •••• 7890",
        "12.05 WIB",
        "MC",
    ):
        assert words in page
    assert 'autocomplete="one-time-code"' in page
    assert 'inputmode="numeric"' in page
    assert re.findall(r'name="action" value="(\w+)"', page.split('id="code-form"')[1])[:2] == ["resend", "verify"]


def test_enter_in_the_code_verifies(bank: Bank) -> None:
    """The first submit button that belongs to the form is pressed by Enter: `resend` belongs to another form."""
    page = bank.send("GET", bank.opened()).body.decode()
    form = page.split('id="code-form"')[1].split("</form>")[0]

    assert [button for button in re.findall(r"<button[^>]*>", form) if "form=" not in button] == [
        '<button class="go" name="action" value="verify" data-busy="Memproses">'
    ]


def test_no_card_number_reaches_the_page(bank: Bank) -> None:
    assert MANDIRI[:12] not in bank.send("GET", bank.opened()).body.decode()


def test_session_data_travels_along_unchanged_and_never_in_a_url(bank: Bank) -> None:
    path = bank.opened()
    shown = bank.send("POST", path, creq="e30", threeDSSessionData=SESSION, lang="en").body.decode()
    assert "Enter the verification code" in shown
    assert shown.count('name="session" value="opaque&#34;&gt;&lt;b&gt;&amp;session"') == 4
    assert "session=" not in "".join(re.findall(r'(?:href|action)="([^"]*)"', shown))

    ended = bank.press(path, "verify", code="123456")

    assert handed_over(ended)["session"] == "opaque&#34;&gt;&lt;b&gt;&amp;session"


@pytest.mark.parametrize(
    ("action", "status", "reason", "says"),
    [
        ("approve", "Y", None, "Verifikasi berhasil"),
        ("fail", "N", "wrong_code", "Verifikasi tidak berhasil"),
        ("cancel", "N", "cancelled", "Verifikasi dibatalkan"),
        ("expire", "N", "timeout", "Waktu verifikasi habis"),
    ],
)
def test_every_way_to_end(bank: Bank, action: str, status: str, reason: str | None, says: str) -> None:
    path = bank.opened(authentication_id="c" * 63 + action[0])
    assert bank.result(path) is None

    ended = bank.press(path, action)

    told = handed_over(ended)
    assert ended.status == 200
    assert says in ended.body.decode()
    assert f'action="{bank.url}/told"' in ended.body.decode()
    assert (told["threeDSServerTransID"], told["acsTransID"]) == ("c" * 63 + action[0], path.rsplit("/", 1)[-1])
    assert (told["transStatus"], told["messageVersion"], told["messageType"]) == (status, "2.2.0", "CRes")
    found = bank.result(path)
    assert (found.trans_status, found.reason) == (status, reason)


def test_the_right_code_with_spaces_is_the_right_code(bank: Bank) -> None:
    path = bank.opened()

    assert handed_over(bank.press(path, "verify", code=" 123 456 "))["transStatus"] == "Y"


def test_a_card_that_fails_authentication_fails_with_the_right_code_and_can_be_approved_by_hand(bank: Bank) -> None:
    by_code, by_hand = (bank.opened(CHALLENGE_N) for _ in range(2))
    otp = re.search(r"<code>(\d{6})</code>", bank.send("GET", by_code).body.decode())
    assert otp

    assert handed_over(bank.press(by_code, "verify", code=otp[1]))["transStatus"] == "N"
    assert handed_over(bank.press(by_hand, "approve"))["transStatus"] == "Y"


def test_three_wrong_codes_end_it(bank: Bank) -> None:
    path = bank.opened()

    first, second, third = (bank.press(path, "verify", code="000000") for _ in range(3))

    assert first.status == 422
    assert "Kode salah. Sisa 2 kali mencoba." in first.body.decode()
    assert "Kode salah. Sisa 1 kali mencoba" in second.body.decode()
    assert handed_over(third)["transStatus"] == "N"


def test_an_unfinished_code_is_no_try(bank: Bank) -> None:
    path = bank.opened()

    for code in ("", "12345", "1234567", "12345a", "１２３４５６"):
        answer = bank.press(path, "verify", code=code)
        assert (answer.status, bank.wrong_codes(path)) == (422, 0)
        assert "Tulis keenam angka" in answer.body.decode()


def test_reloading_the_answer_to_a_wrong_code_is_no_second_try(bank: Bank) -> None:
    path = bank.opened()
    pressed = {"action": "verify", "code": "000000", "step": "0.1"}

    first = bank.send("POST", path, None, **pressed)
    again = bank.send("POST", path, None, **pressed)

    assert "Sisa 2 kali" in first.body.decode()
    assert again.status == 200
    assert bank.wrong_codes(path) == 1


def test_guessing_side_by_side_wins_no_more_tries(bank: Bank) -> None:
    path = bank.opened()

    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(lambda code: bank.send("POST", path, action="verify", code=f"{code:06}"), range(24)))

    assert {answer.status for answer in ended} <= {200, 422}
    assert bank.wrong_codes(path) == 3
    assert bank.result(path).reason == "wrong_code"


def test_reloading_the_end_shows_the_end(bank: Bank) -> None:
    path = bank.opened()
    ended = bank.press(path, "cancel")

    for again in (bank.send("GET", path), bank.press(path, "approve"), bank.press(path, "verify", code="123456")):
        assert again.status == 200
        assert handed_over(again)["transStatus"] == handed_over(ended)["transStatus"] == "N"


def test_another_code_after_thirty_seconds_three_times(bank: Bank) -> None:
    path = bank.opened()

    early = bank.press(path, "resend")
    assert early.status == 422
    assert "Tunggu 30 detik" in early.body.decode()
    for turn in range(1, 4):
        bank.clock.moment = NOON + timedelta(seconds=31 * turn)
        assert "Kode sudah dikirim ulang." in bank.press(path, "resend").body.decode()
    bank.clock.moment = NOON + timedelta(seconds=200)
    last = bank.press(path, "resend").body.decode()
    assert "Kode sudah dikirim ulang 3 kali." in last
    assert 'value="resend"' not in last


def test_after_five_minutes_the_right_code_is_too_late(bank: Bank) -> None:
    path = bank.opened()
    bank.clock.moment = NOON + timedelta(minutes=5)

    late = bank.press(path, "verify", code="123456")

    assert "Waktu verifikasi habis" in late.body.decode()
    assert (bank.result(path).trans_status, bank.result(path).reason) == ("N", "timeout")


@pytest.mark.parametrize("name", ["00000000-0000-4000-8000-000000000000", "nobody", "%00", "a" * 2000])
def test_an_unknown_challenge_is_404_in_the_same_look(bank: Bank, name: str) -> None:
    for method in ("GET", "POST"):
        answer = bank.send(method, f"/simulators/bank/{name}", action="approve")
        assert answer.status == 404
        assert "Halaman ini tidak ada" in answer.body.decode()
        assert "Bank Nusa" in answer.body.decode()


@pytest.mark.parametrize(
    ("lang", "accept", "title"),
    [
        ("id", "en", "Masukkan kode"),
        ("en", "id", "Enter the verification code"),
        ("xx", "en", "Enter the"),
        ("xx", "id", "Masukkan"),
    ],
)
def test_the_language_of_the_payment_wins_over_the_browser(bank: Bank, lang: str, accept: str, title: str) -> None:
    assert title in bank.send("GET", bank.opened(lang=lang), {"Accept-Language": accept}).body.decode()


def test_names_are_text(bank: Bank) -> None:
    page = bank.send("GET", bank.opened(merchant_name="<script>x</script>&")).body.decode()

    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page


def test_production_has_no_such_page(bank: Bank) -> None:
    production = replace(bank.wiring, settings=Settings(mode="production"))

    assert len(bank_pages(bank.wiring)) == 2
    assert bank_pages(production) == []


# In a browser.

SIZES = {"phone": (375, 740), "desktop": (1280, 900), "frame": (320, 400)}
STATES = (
    "asks",
    "wrong",
    "resent",
    "no more",
    "no phone",
    "help",
    "ended Y",
    "ended wrong_code",
    "ended timeout",
    "ended cancelled",
    "gone",
)


def seen(page: Page, name: str) -> None:
    assert violations(page) == []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} scrolls sideways by {wide} px"
    directory = os.environ.get("GERBANG_SCREENSHOTS")
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{directory}/bank-{name.replace(' ', '-')}.png", full_page=True)


def bring_to(bank: Bank, page: Page, state: str, lang: str) -> None:
    """Show a state. The end pages leave at once by script, so their POST is answered by staying (204)."""
    path = bank.opened(lang=lang, phone=None if state == "no phone" else "6281234567890")
    page.route("**/told", lambda route: route.fulfill(status=204))
    if state == "gone":
        page.goto(f"{bank.url}/simulators/bank/nobody?lang={lang}")
        return
    if state == "no more":
        for turn in range(1, 4):
            bank.clock.moment = NOON + timedelta(seconds=31 * turn)
            bank.press(path, "resend")
    if state == "resent":
        bank.clock.moment = NOON + timedelta(seconds=31)
    page.goto(bank.url + path)
    match state.split():
        case ["wrong"]:
            page.locator("#code").fill("000000")
            page.locator(".go").click()
            expect(page.locator(".error")).to_be_visible()
        case ["resent"]:
            page.locator("button[value=resend]").click()
            expect(page.locator(".lead b")).to_be_visible()
        case ["help"]:
            page.locator("summary").click()
        case ["ended", outcome]:
            press = {"Y": "approve", "wrong_code": "fail", "timeout": "expire", "cancelled": "cancel"}[outcome]
            page.locator(f".strip button[value={press}]").click()
            expect(page.locator(".seal")).to_be_visible()


@pytest.mark.browser
@pytest.mark.parametrize("state", STATES)
def test_every_state_is_accessible_and_fits(bank: Bank, windows: Windows, state: str) -> None:
    page = windows.open()
    for lang, (size, (width, height)) in zip(("id", "en", "id"), SIZES.items(), strict=True):
        page.set_viewport_size({"width": width, "height": height})
        bank.clock.moment = NOON
        bring_to(bank, page, state, lang)
        seen(page, f"{state}-{size}-{lang}")


@pytest.mark.browser
def test_the_buyer_verifies_in_a_frame(bank: Bank, windows: Windows) -> None:
    page = windows.open("desktop")
    page.goto(f"{bank.url}/frame?" + urlencode({"width": 320, "height": 400, "path": (path := bank.opened())}))
    page.get_by_role("button", name="Buka").click()
    frame = page.frame_locator("iframe")

    frame.get_by_label("Kode verifikasi").press_sequentially("000000")
    frame.get_by_label("Kode verifikasi").press("Enter")
    expect(frame.get_by_role("alert")).to_contain_text("Sisa 2 kali")
    expect(frame.get_by_label("Kode verifikasi")).to_have_value("")
    frame.get_by_label("Kode verifikasi").fill("123456")
    frame.get_by_role("button", name="Verifikasi").click()

    expect(frame.get_by_role("heading", name="Kembali")).to_be_visible()
    (told,) = bank.told
    assert told["threeDSSessionData"] == "of the frame"
    assert read_cres(told["cres"])["transStatus"] == bank.result(path).trans_status == "Y"


@pytest.mark.browser
def test_it_works_without_a_script(bank: Bank, windows: Windows) -> None:
    page = windows.open(script=False)
    page.goto(bank.url + (path := bank.opened()))
    page.get_by_role("button", name="EN").click()
    expect(page.get_by_role("heading", name="Enter the verification code")).to_be_visible()
    page.get_by_label("Verification code").fill("123456")
    page.get_by_label("Verification code").press("Enter")
    expect(page.get_by_role("heading", name="Verification successful")).to_be_visible()
    assert bank.told == []
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Kembali")).to_be_visible()
    assert [read_cres(told["cres"])["transStatus"] for told in bank.told] == ["Y"]
    assert bank.result(path).trans_status == "Y"


@pytest.mark.browser
def test_the_countdown_ends_the_visit_by_itself(bank: Bank, windows: Windows) -> None:
    page = windows.open(fresh=True)
    page.clock.install()
    page.goto(bank.url + (path := bank.opened()))
    expect(page.locator(".left")).to_contain_text("sisa 0")
    expect(page.locator("button[value=resend]")).to_contain_text("detik)")

    page.clock.run_for(31_000)
    expect(page.locator("button[value=resend]")).to_have_text("Kirim ulang kode")
    bank.clock.moment = NOON + timedelta(minutes=5)
    page.clock.run_for(275_000)

    expect(page.get_by_role("heading", name="Kembali")).to_be_visible()
    assert bank.result(path).reason == "timeout"
    assert len(bank.told) == 1


@pytest.mark.browser
def test_a_code_from_a_message_can_be_pasted_and_is_sent_once(bank: Bank, windows: Windows) -> None:
    page = windows.open(fresh=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or "") if request.method == "POST" else None)
    path = bank.opened()
    page.goto(bank.url + path)

    page.get_by_label("Kode verifikasi").fill("000000")
    page.evaluate("const go = document.querySelector('.go'); go.click(); go.click()")

    expect(page.get_by_role("alert")).to_be_visible()
    assert [parse_qs(sent)["action"] for sent in asked] == [["verify"]]
    assert bank.wrong_codes(path) == 1
