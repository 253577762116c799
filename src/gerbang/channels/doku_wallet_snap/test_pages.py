"""The room's pages over plain HTTP, from the partner's call to the redirect: what each button does, and what each wrong turn says.

How they look and read is tested in test_look.py. S1-29 to S1-68, S1-133, S1-134; snap-wallet §§3.2, 3.3, 5.1.
"""

import asyncio
import html
import itertools
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import pytest
from starlette.applications import Starlette

from gerbang.channels.doku_wallet_snap.pages import wallet_snap_pages
from gerbang.channels.doku_wallet_snap.weak_pins import is_weak_pin
from gerbang.wallet import AccountStatus, Level, create_account, find_account, get_account
from gerbang.wallet.bindings import find_binding
from gerbang.wallet.demo import DEMO_ACCOUNTS, DEMO_PIN
from gerbang.wallet.kyc import decide, find_kyc, identity_of
from gerbang.wallet.pins import PIN_BLOCK
from gerbang.web import i18n
from gerbang.web.assets import Assets
from gerbang.web.pages import Pages
from gerbang.web.wiring import Wiring
from support.gateway import Answer, RunningGateway, assert_clean, lent_gateway
from support.snap import SnapCaller, reference
from support.snap_money import B2B, B2B2C, give, rupiah

CLIENT_ID = "BRN-0001-1700000000001"
BACK = "https://partner.example/return?screen=wallet"
PIN = "274913"
SITI, BUDI, TONO = DEMO_ACCOUNTS
_phones = itertools.count(81_370_000_001)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


class Partner:
    """Starts what the pages finish, and presses their buttons as a browser without a script does."""

    def __init__(self, running: RunningGateway) -> None:
        self.running = running
        self.caller = SnapCaller(running)

    # -- the partner's calls

    def call(self, path: str, customer: str | None = None, **body: Any) -> Any:
        answer = self.caller.call(path, body, customer=customer)
        assert answer.status == 200, answer.body
        return answer.json

    def page_to_create_pin(self, phone: str | None = None, *, query: str = "token", back: str = BACK) -> tuple[str, str]:
        """The page's address, and the partner's reference."""
        own = reference()
        made = self.call(
            B2B + "registration-account-creation",
            partnerReferenceNo=own,
            name="Rina Kusuma",
            phoneNo=phone or f"0{next(_phones)}",
            email="rina@example.com",
            redirectUrl=back,
        )
        ids = {"originalPartnerReferenceNo": own, "originalReferenceNo": made["referenceNo"]}
        verified = self.call(B2B + "otp-verification", otp="123456", **ids)
        return self.local(f"{verified['qparamsURL']}?{query}={verified['qparams'][query]}"), own

    def page_to_bind(self, account_id: str | None) -> tuple[str, str]:
        own = reference()
        params = {"successParams": {"accountId": account_id}} if account_id else {}
        asked = self.call(B2B + "registration-account-binding", partnerReferenceNo=own, redirectUrl=BACK, **params)
        return self.local(asked["nextAction"]), own

    def page_to_pay(self, account_id: str, amount: int = 25_000, *, back: str | None = BACK) -> tuple[str, str]:
        own = reference()
        params = [{"url": back, "type": "PAY_RETURN", "isDeepLink": "N" if back and back.startswith("http") else "Y"}]
        opened = self.call(
            B2B2C + "debit/payment-host-to-host",
            self.caller.customer_token(account_id),
            partnerReferenceNo=own,
            amount=rupiah(amount),
            **({"urlParam": params} if back else {}),
        )
        return self.local(opened["webRedirectUrl"]), own

    def status(self, own: str) -> str:
        found = self.call(B2B + "debit/status", originalPartnerReferenceNo=own)
        return str(found["latestTransactionStatus"])

    def customer(self, *, money: int = 0, pin: str | None = PIN, level: Level = Level.BASIC) -> str:
        """The DOKU ID of a new one, who is nobody's yet."""
        gateway = self.running.gateway
        hashed = gateway.pin_hasher.hash(pin) if pin else None

        def make(tx: Any) -> str:
            now = gateway.clock.now()
            made = create_account(tx, phone=f"0{next(_phones)}", name="Rina Kusuma", level=level, pin_hash=hashed, now=now)
            if money:
                give(tx, f"wallet:{made.id}", money, now=now)
            return made.id

        return self.running.database.transact_now(make)

    def account(self, account_id: str) -> Any:
        return self.running.database.read_now(lambda tx: get_account(tx, account_id))

    def wrong_pins(self, account_id: str) -> int:
        row = self.running.database.read_now(
            lambda tx: tx.one("select wrong from pin_count where phone = :phone", {"phone": get_account(tx, account_id).phone})
        )
        return row["wrong"] if row else 0

    def set_status(self, account_id: str, status: AccountStatus) -> None:
        row = {"status": status.value, "id": account_id}
        self.running.database.transact_now(
            lambda tx: tx.execute("update wallet_account set status = :status where id = :id", row)
        )

    def is_bound(self, account_id: str) -> bool:
        return bool(self.running.database.read_now(lambda tx: find_binding(tx, merchant_id=CLIENT_ID, account_id=account_id)))

    # -- the customer's browser

    def local(self, url: str) -> str:
        assert url.startswith(self.running.url), url
        return url.removeprefix(self.running.url)

    def see(self, page: str) -> Answer:
        return self.running.request("GET", page)

    def press(self, page: str, shown: Answer, action: str, **typed: str) -> Answer:
        """Press a button of a page as it was shown: what is hidden in its form goes along."""
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', shown.body.decode()))
        sent = {name: html.unescape(value) for name, value in fields.items()} | typed | {"action": action}
        return self.post(page, **sent)

    def post(self, page: str, **sent: str) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.running.request("POST", urlsplit(page).path, urlencode(sent).encode(), headers)

    def go(self, page: str, action: str, **typed: str) -> Answer:
        """Open the page and press."""
        return self.press(page, self.see(page), action, **typed)

    def follow(self, answer: Answer) -> Answer:
        assert answer.status == 303, (answer.status, answer.body)
        where = answer.headers["location"]
        assert where.startswith("/"), where
        return self.see(where)


@pytest.fixture(scope="module")
def partner(running: RunningGateway) -> Partner:
    return Partner(running)


def sent_to(answer: Answer) -> dict[str, str]:
    """The query of the redirect to BACK, each name once, what was there before included."""
    assert answer.status == 303, (answer.status, answer.body)
    where = answer.headers["location"]
    assert where.startswith(BACK + "&"), where
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    query = parse_qs(urlsplit(where).query, strict_parsing=True)
    assert all(len(values) == 1 for values in query.values())
    return {name: values[0] for name, values in query.items() if name != "screen"}


def says(answer: Answer, key: str, lang: i18n.Lang = "id", **values: object) -> bool:
    """Whether the page says these words, blanks filled in."""
    return html.escape(i18n.text(lang, key, **values), quote=False) in html.unescape(answer.body.decode())


def heading(answer: Answer) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", answer.body.decode(), re.S)
    assert found is not None
    return html.unescape(found[1])


# -- every page


def every_page(partner: Partner) -> dict[str, str]:
    return {
        "create PIN": partner.page_to_create_pin()[0],
        "bind": partner.page_to_bind(partner.customer())[0],
        "bind, sign in": partner.page_to_bind(None)[0],
        "purchase": partner.page_to_pay(SITI.account_id)[0],
        "upgrade": "/wallet/upgrade",
    }


def test_pages_are_never_kept_leak_nothing_and_speak_both_languages(partner: Partner) -> None:
    for name, page in (every_page(partner) | {"inbox": "/simulators/sms"}).items():
        for lang in i18n.LANGUAGES:
            answer = partner.see(f"{page}{'&' if '?' in page else '?'}lang={lang}")

            assert answer.status == 200, (name, answer.body)
            assert f'<html lang="{lang}">' in answer.body.decode(), name
            assert answer.headers["cache-control"] == "no-store", name
            assert answer.headers["referrer-policy"] == ("same-origin" if name == "inbox" else "no-referrer"), name
            assert "default-src 'none'" in answer.headers["content-security-policy"], name
        assert partner.see(page).body.count(b"<form") == (name != "inbox")


def test_language_switch_keeps_what_the_address_needs(partner: Partner) -> None:
    for name, page in every_page(partner).items():
        shown = partner.see(page).body.decode()
        other = re.search(r'<a href="([^"]+)" lang="en" hreflang="en"', shown)
        assert other is not None, name

        assert partner.see(html.unescape(other[1])).body.count(b"<form") == 1, name


def test_a_form_that_we_did_not_show_does_nothing(partner: Partner) -> None:
    customer = partner.customer(money=100_000)
    bind, _ = partner.page_to_bind(customer)
    pay, own = partner.page_to_pay(customer)
    create, _ = partner.page_to_create_pin()
    token = parse_qs(urlsplit(create).query)["token"][0]
    of_another = re.search(r'name="form" value="([^"]+)"', partner.see(bind).body.decode())
    assert of_another is not None

    for forged in ("", "AAAA", of_another[1]):
        answers = {
            "cancel": partner.post(pay, action="cancel", form=forged),
            "pay": partner.post(pay, action="pay", pin=PIN, form=forged),
            "save": partner.post(create, action="save", token=token, pin=PIN, repeat=PIN, form=forged),
        }
        if not forged.startswith(of_another[1]):
            answers["bind"] = partner.post(bind, action="bind", pin=PIN, form=forged)
            answers["refuse"] = partner.post(bind, action="cancel", form=forged)
        for name, answer in answers.items():
            assert (answer.status, says(answer, "form_old")) == (422, True), name
    assert partner.status(own) == "01"
    assert b"<form" in partner.see(create).body
    assert b"<form" in partner.see(bind).body


@pytest.mark.parametrize(
    "page",
    [
        "/wallet/create-pin",
        "/wallet/create-pin?token=",
        "/wallet/create-pin?token=invented",
        "/wallet/create-pin?token=%00",
        "/wallet/bind/bnd_invented",
        "/wallet/bind/%00",
        "/wallet/bind/" + "x" * 5000,
        "/wallet/purchase/pay_invented",
        "/wallet/purchase/%00%ff",
        "/wallet/purchase/é",
    ],
)
def test_links_that_lead_nowhere_say_so(partner: Partner, page: str) -> None:
    page = page.replace("é", "%C3%A9")
    for answer in (partner.see(page), partner.post(page, action="save", token="invented", pin=PIN)):
        assert answer.status == 404
        assert says(answer, "link_gone")
        assert b"<form" not in answer.body


def test_a_payment_of_another_room_has_no_page_here(partner: Partner, running: RunningGateway) -> None:
    theirs = running.create_order().json["payment"]["url"].rsplit("/", 1)[1]

    assert partner.see(f"/wallet/purchase/{theirs}").status == 404


def test_an_unbinding_is_not_answered_on_the_page_for_bindings(partner: Partner) -> None:
    customer = partner.customer()
    binding, _ = partner.caller.bind(customer)
    asked = partner.call(
        B2B + "registration-account-unbinding", partnerReferenceNo=reference(), linkId=binding.id, merchantId=CLIENT_ID
    )

    assert partner.see(f"/wallet/bind/{asked['referenceNo']}").status == 404


# -- create a PIN


@pytest.mark.parametrize("query", ["token", "action"])
def test_a_new_pin_opens_the_account_and_tells_the_partner_its_doku_id(partner: Partner, query: str) -> None:
    page, own = partner.page_to_create_pin(query=query)

    told = sent_to(partner.go(page, "save", pin=PIN, repeat=PIN))

    assert told == {"accountId": told["accountId"], "partnerReferenceNo": own, "status": "SUCCESS"}
    assert re.fullmatch(r"\d{10}", told["accountId"])
    customer = partner.account(told["accountId"])
    assert partner.running.gateway.pin_hasher.verify(customer.pin_hash, PIN)
    assert PIN not in customer.pin_hash


def test_an_address_without_a_query_gets_one(partner: Partner) -> None:
    page, own = partner.page_to_create_pin(back="https://partner.example/return")

    where = partner.go(page, "save", pin=PIN, repeat=PIN).headers["location"]

    assert re.fullmatch(rf"https://partner\.example/return\?accountId=\d{{10}}&partnerReferenceNo={own}&status=SUCCESS", where)


@pytest.mark.parametrize(
    ("pin", "repeated", "key"),
    [
        ("", "", "pin_missing"),
        ("27491", "27491", "pin_format"),
        ("27491x", "27491x", "pin_format"),
        ("٢٧٤٩١٣", "٢٧٤٩١٣", "pin_format"),
        ("123456", "123456", "pin_weak"),
        (PIN, "", "repeat_missing"),
        (PIN, "274914", "pins_differ"),
    ],
)
def test_a_pin_that_cannot_be_is_refused_and_neither_field_keeps_it(partner: Partner, pin: str, repeated: str, key: str) -> None:
    page, _ = partner.page_to_create_pin()

    answer = partner.go(page, "save", pin=pin, repeat=repeated)

    assert answer.status == 422
    assert says(answer, key)
    assert b"<title>Salah: " in answer.body
    assert re.findall(r'type="password" value="([^"]*)"', answer.body.decode()) == ["", ""]
    assert len(re.findall(r"autofocus", answer.body.decode())) == 1
    assert sent_to(partner.press(page, answer, "save", pin=PIN, repeat=PIN))["status"] == "SUCCESS"


def test_part_of_ones_own_phone_number_is_no_pin(partner: Partner) -> None:
    phone = "081392746158"
    page, _ = partner.page_to_create_pin(phone)

    assert says(partner.go(page, "save", pin="746158", repeat="746158"), "pin_weak")


@pytest.mark.parametrize(
    "pin",
    ["000000", "111111", "123456", "654321", "890123", "135791", "121212", "112112", "123123", "123321", "147258", "159753"],
)
def test_pins_that_are_guessed_first_are_weak(pin: str) -> None:
    assert is_weak_pin(pin)


def test_hardly_any_pin_is_weak() -> None:
    # Every 17th, a number that no pattern of digits is a multiple of; the whole million takes half a minute.
    weak = sum(is_weak_pin(f"{number:06}", phone="6281392746158") for number in range(0, 1_000_000, 17))

    assert 200 < weak < 6_000 // 17
    assert not is_weak_pin(DEMO_PIN)
    assert not is_weak_pin(PIN, phone="6281392746158")


def test_pressing_twice_makes_one_account_and_leads_to_the_same_place(partner: Partner) -> None:
    page, _ = partner.page_to_create_pin()
    shown = partner.see(page)

    first = partner.press(page, shown, "save", pin=PIN, repeat=PIN)
    second = partner.press(page, shown, "save", pin="918273", repeat="918273")

    assert sent_to(first) == sent_to(second)
    assert partner.running.gateway.pin_hasher.verify(partner.account(sent_to(first)["accountId"]).pin_hash, PIN)
    again = partner.see(page)
    assert says(again, "pin_done")
    assert html.escape(first.headers["location"]) in again.body.decode()
    assert b"<form" not in again.body


def test_a_link_replaced_by_a_newer_registration_is_dead_and_the_newer_one_lives(partner: Partner) -> None:
    phone = f"0{next(_phones)}"
    old, _ = partner.page_to_create_pin(phone)
    shown = partner.see(old)
    new, _ = partner.page_to_create_pin(phone)

    assert partner.press(old, shown, "save", pin=PIN, repeat=PIN).status == 404
    assert sent_to(partner.go(new, "save", pin=PIN, repeat=PIN))["status"] == "SUCCESS"


def test_too_late_for_a_pin_nothing_is_opened_and_the_way_back_says_failed() -> None:
    with lent_gateway() as running:
        partner = Partner(running)
        phone = "081399990001"
        page, own = partner.page_to_create_pin(phone)
        shown = partner.see(page)
        running.control("POST", "/clock", {"advance_s": 15 * 60})

        for answer in (partner.press(page, shown, "save", pin=PIN, repeat=PIN), partner.see(page)):
            assert says(answer, "pin_late")
            assert html.escape(f"{BACK}&partnerReferenceNo={own}&status=FAILED") in answer.body.decode()
        assert running.database.read_now(lambda tx: find_account(tx, phone)) is None


def test_a_phone_that_became_a_customer_meanwhile_is_told(partner: Partner) -> None:
    phone = f"0{next(_phones)}"
    page, own = partner.page_to_create_pin(phone)
    now = partner.running.gateway.clock.now()
    partner.running.database.transact_now(lambda tx: create_account(tx, phone=phone, name="Rina", now=now))

    answer = partner.go(page, "save", pin=PIN, repeat=PIN)

    assert says(answer, "phone_taken")
    assert html.escape(f"{BACK}&partnerReferenceNo={own}&status=FAILED") in answer.body.decode()


# -- consent


def test_consent_with_the_pin_leads_back_with_an_auth_code_that_works_once(partner: Partner) -> None:
    customer = partner.customer()
    page, own = partner.page_to_bind(customer)
    shown = partner.see(page)

    told = sent_to(partner.press(page, shown, "bind", pin=PIN))

    assert told == {"authCode": told["authCode"], "partnerReferenceNo": own}
    assert str(uuid.UUID(told["authCode"])) == told["authCode"]
    assert partner.caller.customer(told["authCode"])["accessToken"]
    assert partner.is_bound(customer)
    again = partner.see(page)
    assert says(again, "bound")
    assert told["authCode"] not in again.body.decode()
    assert says(partner.press(page, shown, "bind", pin=PIN), "bound")


def test_the_page_names_the_partner_first_and_says_what_it_may_do_without_a_pin(partner: Partner) -> None:
    shown = partner.see(partner.page_to_bind(SITI.account_id)[0])

    assert "Hubungkan ke " in heading(shown)
    for key in ("grant_see", "grant_ask", "grant_ask_pin", "grant_send", "grant_not"):
        assert says(shown, key)
    assert b"Siti Rahmawati" in shown.body
    assert SITI.phone.encode() not in shown.body


@pytest.mark.parametrize("phone", ["+62 812-3456-7890", "1140340010"])
def test_whoever_signs_in_is_bound_when_the_partner_did_not_say_who(partner: Partner, phone: str) -> None:
    page, own = partner.page_to_bind(None)

    told = sent_to(partner.go(page, "bind", phone=phone, pin=DEMO_PIN))

    assert told["partnerReferenceNo"] == own
    assert partner.caller.customer(told["authCode"])["accessToken"]
    assert partner.is_bound(SITI.account_id)


def test_unknown_wrong_and_locked_read_alike_where_the_visitor_says_who_they_are(partner: Partner) -> None:
    known = partner.account(partner.customer())
    pages = set()
    for phone in ("081399998888", known.phone, TONO.phone):
        page, _ = partner.page_to_bind(None)
        answer = partner.go(page, "bind", phone=phone, pin="918273")
        assert answer.status == 422
        assert says(answer, "wrong_login")
        pages.add(
            re.sub(r'name="form" value="[^"]+"', "", answer.body.decode().replace(f'value="{phone}"', "").replace(page, ""))
        )
    assert len(pages) == 1


def test_numbers_cannot_be_tried_one_after_another(partner: Partner) -> None:
    page, own = partner.page_to_bind(None)
    shown = partner.see(page)

    answers = [partner.press(page, shown, "bind", phone=f"08139999{number:04}", pin="918273") for number in range(5)]

    assert [answer.status for answer in answers] == [422, 422, 422, 422, 303]
    over = partner.follow(answers[-1])
    assert says(over, "not_bound")
    assert html.escape(f"{BACK}&status=FAILED&partnerReferenceNo={own}") in over.body.decode()
    assert partner.press(page, shown, "bind", phone=SITI.phone, pin=DEMO_PIN).status == 200
    assert b"<form" not in partner.see(page).body


def test_cancelling_tells_the_partner_without_a_code(partner: Partner) -> None:
    customer = partner.customer()
    page, own = partner.page_to_bind(customer)
    shown = partner.see(page)

    assert sent_to(partner.press(page, shown, "cancel")) == {"status": "FAILED", "partnerReferenceNo": own}

    assert says(partner.see(page), "not_bound")
    assert says(partner.press(page, shown, "bind", pin=PIN), "not_bound")
    assert not partner.is_bound(customer)


def test_three_wrong_pins_block_the_pin_for_half_an_hour_and_end_the_request() -> None:
    assert timedelta(minutes=30) == PIN_BLOCK  # as the words of the pages say
    with lent_gateway() as running:
        partner = Partner(running)
        customer = partner.customer()
        page, own = partner.page_to_bind(customer)
        shown = partner.see(page)

        answers = [partner.press(page, shown, "bind", pin="918273") for _ in range(3)]

        assert says(answers[0], "pin_left", count=2)
        assert says(answers[1], "pin_left_one")
        assert [answer.status for answer in answers] == [422, 422, 303]
        over = partner.follow(answers[2])
        assert says(over, "pin_blocked")
        assert html.escape(f"{BACK}&status=FAILED&partnerReferenceNo={own}") in over.body.decode()
        assert says(partner.see(partner.page_to_bind(customer)[0]), "pin_blocked")
        running.control("POST", "/clock", {"advance_s": 30 * 60})
        partner.caller = SnapCaller(running)
        assert says(partner.see(page), "not_bound")
        assert "authCode" in sent_to(partner.go(partner.page_to_bind(customer)[0], "bind", pin=PIN))


def test_a_locked_account_is_not_asked(partner: Partner) -> None:
    customer = partner.customer()
    page, _ = partner.page_to_bind(customer)
    shown = partner.see(page)
    partner.set_status(customer, AccountStatus.LOCKED)

    for answer in (partner.see(page), partner.press(page, shown, "bind", pin=PIN)):
        assert says(answer, "account_shut")
        assert b"<form" not in answer.body
    assert not partner.is_bound(customer)


def test_a_request_to_bind_is_over_after_a_quarter_of_an_hour() -> None:
    with lent_gateway() as running:
        partner = Partner(running)
        customer = partner.customer()
        page, own = partner.page_to_bind(customer)
        shown = partner.see(page)
        running.control("POST", "/clock", {"advance_s": 15 * 60})

        for answer in (partner.see(page), partner.press(page, shown, "bind", pin=PIN), partner.press(page, shown, "cancel")):
            assert says(answer, "bind_late")
            assert html.escape(f"{BACK}&status=FAILED&partnerReferenceNo={own}") in answer.body.decode()
        assert not partner.is_bound(customer)


# -- pay


def test_paying_with_the_pin_moves_the_money_and_leads_back(partner: Partner) -> None:
    customer = partner.customer(money=100_000)
    page, own = partner.page_to_pay(customer, 25_000)
    shown = partner.see(page)
    assert "Rp\u00a0100.000" in shown.body.decode()
    assert "Rp\u00a075.000" in shown.body.decode()

    first = partner.press(page, shown, "pay", pin=PIN)
    second = partner.press(page, shown, "pay", pin=PIN)

    told = sent_to(first)
    assert told == {"partnerReferenceNo": own, "referenceNo": page.rsplit("/", 1)[1], "status": "SUCCESS"}
    assert sent_to(second) == told
    assert partner.status(own) == "00"
    again = partner.see(page)
    assert says(again, "paid_title")
    assert html.escape(first.headers["location"]) in again.body.decode()
    assert_clean(partner.running.database)


def test_cancelling_a_purchase_leads_back_and_moves_nothing(partner: Partner) -> None:
    customer = partner.customer(money=100_000)
    page, own = partner.page_to_pay(customer)
    shown = partner.see(page)

    assert sent_to(partner.press(page, shown, "cancel"))["status"] == "CANCELED"

    assert partner.status(own) == "05"
    assert says(partner.see(page), "cancelled_text")
    assert says(partner.follow(partner.press(page, shown, "pay", pin=PIN)), "cancelled_text")


def test_without_a_place_to_return_to_the_page_says_how_it_ended(partner: Partner) -> None:
    page, _ = partner.page_to_pay(partner.customer(money=100_000), back=None)

    over = partner.follow(partner.go(page, "pay", pin=PIN))

    assert says(over, "paid_title")
    assert says(over, "paid_close")
    assert b'target="_top"' not in over.body


def test_an_app_is_returned_to_by_its_own_address(partner: Partner) -> None:
    page, own = partner.page_to_pay(partner.customer(money=100_000), back="warungkita://wallet/done")

    where = partner.go(page, "pay", pin=PIN).headers["location"]

    assert where.startswith(f"warungkita://wallet/done?partnerReferenceNo={own}&referenceNo=")
    assert where.endswith("&status=SUCCESS")
    assert html.escape(where) in partner.see(page).body.decode()


def test_the_third_wrong_pin_stops_the_purchase_and_the_next_one_waits(partner: Partner) -> None:
    customer = partner.customer(money=100_000)
    page, own = partner.page_to_pay(customer)
    other, other_own = partner.page_to_pay(customer)
    shown, other_shown = partner.see(page), partner.see(other)

    answers = [partner.press(page, shown, "pay", pin="918273") for _ in range(3)]

    assert [answer.status for answer in answers] == [422, 422, 303]
    assert says(answers[0], "pin_left", count=2)
    assert says(answers[1], "pin_left_one")
    over = partner.follow(answers[2])
    assert says(over, "purchase_blocked_text")
    assert "status=FAILED" in over.body.decode()
    assert partner.status(own) == "06"
    for waiting in (partner.see(other), partner.press(other, other_shown, "pay", pin=PIN)):
        assert says(waiting, "pin_blocked")
        assert b'value="pay"' not in waiting.body
    assert partner.status(other_own) == "01"
    assert sent_to(partner.press(other, other_shown, "cancel"))["status"] == "CANCELED"
    assert partner.account(customer).status is AccountStatus.ACTIVE


@pytest.mark.parametrize(("pin", "key"), [("", "pin_missing"), ("12", "pin_format"), ("12345x", "pin_format")])
def test_a_pin_that_cannot_be_one_costs_no_attempt(partner: Partner, pin: str, key: str) -> None:
    customer = partner.customer(money=100_000)
    page, _ = partner.page_to_pay(customer)

    answer = partner.go(page, "pay", pin=pin)

    assert (answer.status, says(answer, key)) == (422, True)
    assert partner.wrong_pins(customer) == 0


def test_too_little_money_asks_for_no_pin_and_the_sandbox_tops_up(partner: Partner) -> None:
    customer = partner.customer(money=30_000)
    page, own = partner.page_to_pay(customer, 25_000)
    first, _ = partner.page_to_pay(customer, 20_000)
    shown = partner.see(page)
    assert sent_to(partner.go(first, "pay", pin=PIN))["status"] == "SUCCESS"

    short = partner.press(page, shown, "pay", pin=PIN)

    assert says(short, "short_by", amount="Rp\u00a015.000")
    assert b'value="pay"' not in short.body
    assert partner.status(own) == "01"
    topped_up = partner.follow(partner.press(page, short, "topup"))
    assert sent_to(partner.press(page, topped_up, "pay", pin=PIN))["status"] == "SUCCESS"


def test_a_top_up_that_would_pass_the_monthly_limit_is_not_made() -> None:
    with lent_gateway(wallet_basic_monthly_limit=30_000) as running:
        partner = Partner(running)
        customer = partner.customer(money=30_000)
        page, _ = partner.page_to_pay(customer, 20_000)
        partner.go(partner.page_to_pay(customer, 25_000)[0], "pay", pin=PIN)

        answer = partner.go(page, "topup")

        assert says(answer, "purchase_topup_limit")
        assert b'value="topup"' not in answer.body
        assert says(partner.see(page), "short_by", amount="Rp\u00a015.000")


def test_a_locked_account_cannot_pay_and_its_pin_is_not_looked_at(partner: Partner) -> None:
    customer = partner.customer(money=100_000)
    page, own = partner.page_to_pay(customer)
    shown = partner.see(page)
    partner.set_status(customer, AccountStatus.LOCKED)

    answer = partner.press(page, shown, "pay", pin=PIN)

    assert says(answer, "account_shut")
    assert partner.wrong_pins(customer) == 0
    partner.set_status(customer, AccountStatus.ACTIVE)
    assert partner.status(own) == "01"


def test_a_purchase_whose_time_is_over_cannot_be_paid() -> None:
    with lent_gateway() as running:
        partner = Partner(running)
        page, own = partner.page_to_pay(partner.customer(money=100_000))
        shown = partner.see(page)
        running.control("POST", "/clock", {"advance_s": 15 * 60})

        over = partner.follow(partner.press(page, shown, "pay", pin=PIN))

        assert says(over, "expired_title")
        assert "status=FAILED" in over.body.decode()
        partner.caller = SnapCaller(running)
        assert partner.status(own) == "05"


@pytest.mark.parametrize("paid", [False, True], ids=["not paid", "paid"])
def test_what_the_shop_cancelled_is_not_blamed_on_the_customer(partner: Partner, paid: bool) -> None:
    page, own = partner.page_to_pay(partner.customer(money=100_000))
    if paid:
        partner.go(page, "pay", pin=PIN)
    partner.call(B2B + "debit/cancel", originalPartnerReferenceNo=own, reason="out of stock")

    over = partner.see(page)

    assert not says(over, "cancelled_text")
    assert says(over, "money_returned" if paid else "shop_cancelled")
    assert "status=CANCELED" in over.body.decode()


# -- upgrade

IDENTITY = {
    "nik": "3273 0145 0195 0001",
    "name": "Rina Kusuma",
    "birth_place": "Bandung",
    "birth_date": "1995-01-05",
    "address": "Jl. Merdeka 17, Bandung",
}


def sign_in_to_upgrade(partner: Partner, phone: str, pin: str = PIN) -> Answer:
    return partner.go("/wallet/upgrade", "login", phone=phone, pin=pin)


def test_an_identity_makes_the_account_premium_in_the_sandbox(partner: Partner) -> None:
    customer = partner.account(partner.customer())
    form = sign_in_to_upgrade(partner, customer.phone)
    assert form.status == 200

    over = partner.follow(partner.press("/wallet/upgrade", form, "submit", **IDENTITY))

    assert says(over, "upgraded")
    assert partner.account(customer.id).level is Level.PREMIUM
    given = partner.running.database.read_now(lambda tx: identity_of(tx, customer.id, settings=partner.running.gateway.settings))
    assert (given.nik, given.birth_date.isoformat()) == ("3273014501950001", "1995-01-05")
    assert says(sign_in_to_upgrade(partner, customer.phone), "upgraded")
    again = partner.follow(partner.press("/wallet/upgrade", form, "submit", **IDENTITY))
    assert says(again, "upgraded")


@pytest.mark.parametrize("written", ["05/01/1995", "5-1-1995", "05.01.1995"])
def test_a_date_may_be_written_without_a_date_picker(partner: Partner, written: str) -> None:
    customer = partner.account(partner.customer())
    form = sign_in_to_upgrade(partner, customer.phone)

    partner.press("/wallet/upgrade", form, "submit", **IDENTITY | {"birth_date": written})

    given = partner.running.database.read_now(lambda tx: identity_of(tx, customer.id, settings=partner.running.gateway.settings))
    assert given.birth_date.isoformat() == "1995-01-05"


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (dict.fromkeys(IDENTITY, ""), [f"{name}_missing" for name in IDENTITY]),
        ({"nik": "327301450195000"}, ["nik_invalid"]),
        ({"nik": "327301450195000x"}, ["nik_invalid"]),
        ({"birth_date": "2095-01-05"}, ["birth_date_invalid"]),
        ({"birth_date": "1895-01-05"}, ["birth_date_invalid"]),
        ({"birth_date": "yesterday"}, ["birth_date_invalid"]),
        ({"address": "x" * 400}, ["address_invalid"]),
        ({"name": "x" * 101}, ["name_invalid"]),
        ({"birth_place": "x" * 101}, ["birth_place_invalid"]),
    ],
)
def test_what_is_missing_or_wrong_is_said_and_the_rest_is_kept(partner: Partner, typed: dict[str, str], keys: list[str]) -> None:
    customer = partner.account(partner.customer())
    form = sign_in_to_upgrade(partner, customer.phone)

    answer = partner.press("/wallet/upgrade", form, "submit", **IDENTITY | typed)

    assert answer.status == 422
    for key in keys:
        assert says(answer, key)
    for name, value in (IDENTITY | typed).items():
        assert value in html.unescape(answer.body.decode()), name
    assert partner.running.database.read_now(lambda tx: find_kyc(tx, customer.id)) is None


def test_the_form_belongs_to_whoever_signed_in(partner: Partner) -> None:
    form = sign_in_to_upgrade(partner, partner.account(partner.customer()).phone)

    for session in ("", "forged", "A" * 80):
        answer = partner.press("/wallet/upgrade", form, "submit", **IDENTITY | {"session": session})
        assert (answer.status, says(answer, "session_over")) == (422, True)


def test_upgrade_tells_nobody_who_has_an_account(partner: Partner) -> None:
    known = partner.account(partner.customer())
    pages = set()
    for phone in ("081399997777", known.phone, TONO.phone):
        answer = sign_in_to_upgrade(partner, phone, "918273")
        assert (answer.status, says(answer, "wrong_login")) == (422, True)
        pages.add(re.sub(r'name="form" value="[^"]+"|req_\w+', "", answer.body.decode().replace(f'value="{phone}"', "")))
    assert len(pages) == 1


def test_guessing_on_the_upgrade_page_is_slowed_down() -> None:
    with lent_gateway() as running:
        partner = Partner(running)
        shown = partner.see("/wallet/upgrade")

        answers = [
            partner.press("/wallet/upgrade", shown, "login", phone=f"08139999{number:04}", pin="918273") for number in range(31)
        ]

        assert [answer.status for answer in answers] == [422] * 30 + [429]
        assert says(answers[-1], "try_later")
        assert partner.press("/wallet/upgrade", shown, "login", phone=SITI.phone, pin=DEMO_PIN).status == 429


def test_a_rejected_identity_may_be_given_again(partner: Partner) -> None:
    customer = partner.account(partner.customer())
    now = partner.running.gateway.clock.now()

    def as_in_production(tx: Any) -> None:
        tx.execute(
            "insert into kyc (account_id, sealed, state, created_at) values (:id, :sealed, 'SUBMITTED', 0)",
            {"id": customer.id, "sealed": b"x"},
        )

    partner.running.database.transact_now(as_in_production)
    assert says(sign_in_to_upgrade(partner, customer.phone), "upgrade_waits")
    partner.running.database.transact_now(lambda tx: decide(tx, customer.id, approve=False, now=now))

    form = sign_in_to_upgrade(partner, customer.phone)

    assert says(form, "upgrade_rejected")
    assert says(partner.follow(partner.press("/wallet/upgrade", form, "submit", **IDENTITY)), "upgraded")


# -- text messages


def test_the_inbox_shows_codes_until_they_are_used(partner: Partner) -> None:
    phone = f"0{next(_phones)}"
    own = reference()
    made = partner.call(
        B2B + "registration-account-creation",
        partnerReferenceNo=own,
        name="Rina Kusuma",
        phoneNo=phone,
        email="rina@example.com",
        redirectUrl=BACK,
    )
    page = f"/simulators/sms?phone={phone}"

    assert b'data-copies="123456"' in partner.see(page).body
    ids = {"originalPartnerReferenceNo": own, "originalReferenceNo": made["referenceNo"]}
    partner.call(B2B + "otp-verification", otp="123456", **ids)

    used = partner.see(page)
    assert says(used, "sms_used")
    assert b"data-copies" not in used.body
    everything = partner.see("/simulators/sms").body.decode()
    assert " ".join((phone[:4], phone[4:8], phone[8:])) in everything
    assert partner.see("/simulators/sms?phone=081399996666").body.count(b'class="message') == 0
    assert partner.see("/simulators/sms?phone=nobody").status == 200


def test_help_for_testers_is_in_the_sandbox_bar(partner: Partner) -> None:
    known = partner.see(partner.page_to_pay(SITI.account_id)[0]).body.decode()
    other = partner.see(partner.page_to_pay(partner.customer(money=100_000))[0]).body.decode()
    signing_in = partner.see(partner.page_to_bind(None)[0] + "?as=siti").body.decode()

    assert DEMO_PIN in known
    assert DEMO_PIN not in other
    assert 'href="/simulators/sms?lang=id"' in other
    assert f'value="{SITI.phone}"' in signing_in
    assert f'value="{DEMO_PIN}"' in signing_in


def test_production_has_neither_inbox_nor_demo_accounts_nor_free_money() -> None:
    with lent_gateway() as running:
        gateway = running.gateway
        partner = Partner(running)
        customer = partner.customer(money=100_000)
        page, _ = partner.page_to_pay(customer, 60_000)
        spent, _ = partner.page_to_pay(customer, 60_000)
        bind, _ = partner.page_to_bind(None)
        assert sent_to(partner.go(spent, "pay", pin=PIN))["status"] == "SUCCESS"
        wiring = Wiring(
            database=gateway.database,
            clock=gateway.clock,
            settings=msgspec.structs.replace(gateway.settings, mode="production"),
            channels=gateway.channels,
            pin_hasher=gateway.pin_hasher,
            limits=gateway.limits,
            pages=Pages(Assets(), sandbox=False),
        )

        def ask(method: str, path: str, **form: str) -> tuple[int, str, str]:
            return asyncio.run(asked(Starlette(routes=wallet_snap_pages(wiring)), method, path, urlencode(form)))

        assert ask("GET", "/simulators/sms")[0] == 404
        for address in (page, bind, bind + "?as=siti", "/wallet/upgrade?as=siti"):
            status, policy, shown = ask("GET", address)
            assert status == 200
            assert DEMO_PIN not in shown
            assert SITI.phone not in shown
            assert "/simulators/" not in shown
            assert "frame-ancestors 'none'" in policy
        short = ask("GET", page)[2]
        assert i18n.text("id", "short_by", amount="Rp\u00a020.000") in short
        assert "topup" not in short
        form = re.search(r'name="form" value="([^"]+)"', short)
        assert form is not None
        ask("POST", page, action="topup", form=form[1])
        assert i18n.text("id", "short_by", amount="Rp\u00a020.000") in ask("GET", page)[2]


async def asked(app: Any, method: str, path: str, body: str) -> tuple[int, str, str]:
    """What an application without a server answers: status, its Content-Security-Policy, text."""
    where, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": where,
        "query_string": query.encode(),
        "headers": [(b"content-type", b"application/x-www-form-urlencoded")],
    }
    heard: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body.encode()}

    async def send(message: Any) -> None:
        heard.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in heard[0]["headers"]}
    text = b"".join(message.get("body", b"") for message in heard[1:]).decode()
    return heard[0]["status"], headers.get("content-security-policy", ""), text
