"""Promises of every chain of shops: a code of ours, a till that takes it, what a merchant hears. Run over all rooms with a till."""

import html
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from gerbang.channel import Channel, all_channels
from gerbang.providers import stores
from gerbang.providers.questions import Asked
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import import_merchant
from support.provider_orders import GONE, NOBODY, Shop, assert_refused, moved, silence

STORES = [
    pytest.param(channel, id=code)
    for code, channel in all_channels().items()
    if channel.party is not None and channel.party.kind == "cashier"
]
pytestmark = pytest.mark.parametrize("channel", STORES)

SAMPLE: dict[str, Any] = {
    "order": {"invoice_number": "INV-1", "amount": 150_000},
    "online_to_offline_info": {"expired_time": 60, "reusable_status": False, "info": "Ambil besok pagi"},
    "customer": {"name": "Anton Budiman", "email": "anton@example.com"},
    "alfa_info": {"receipt": {"footer_message": "Sampai jumpa lagi"}},
    "additional_info": {"override_notification_url": NOBODY},
}
REUSABLE = {"online_to_offline_info__reusable_status": True}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


def a_shop(running: RunningGateway, channel: Channel) -> Shop:
    return Shop(running, channel.code, channel.endpoints[0].path, SAMPLE)


@pytest.fixture
def shop(running: RunningGateway, channel: Channel) -> Iterator[Shop]:
    """The demo merchant at one chain; its options and the clock are put back."""
    one = a_shop(running, channel)
    yield one
    one.options()
    running.control("POST", "/clock", {"reset": True})


class Till:
    """The pretend till, as a browser without a script uses it."""

    def __init__(self, shop: Shop) -> None:
        self._running = shop.running
        self.path = f"/simulators/{shop.room.party.slug}"

    def get(self, **query: str) -> str:
        answer = self._running.request("GET", f"{self.path}?{urlencode({'lang': 'id'} | query)}")
        assert answer.status == 200, answer.body
        return plain(answer)

    def post(self, **form: str) -> Answer:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._running.request("POST", self.path, urlencode({"lang": "id"} | form).encode(), kind)

    def follow(self, answer: Answer) -> str:
        assert answer.status == 303, answer.body
        return plain(self._running.request("GET", answer.headers["location"]))

    def bill(self, code: str) -> str:
        """The page about a code."""
        return self.follow(self.post(action="look", code=code))

    def attempt(self, code: str) -> str:
        """The number of the bill that is shown."""
        page = self._running.request("GET", f"{self.path}?{urlencode({'code': code})}").body.decode()
        [number] = set(re.findall(r'name="attempt" value="(\w+)"', page))
        return str(number)

    def pay(self, code: str, action: str = "pay") -> str:
        """Look, take the money; the page afterwards."""
        return self.follow(self.post(action=action, code=code, attempt=self.attempt(code)))


@pytest.fixture
def till(shop: Shop) -> Till:
    return Till(shop)


def plain(answer: Answer) -> str:
    """What a page says, as people read it."""
    text = re.sub(r"<(script|style)\b.*?</\1>|<title>.*?</title>|<[^>]+>", " ", answer.body.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(text).replace("\u00a0", " ").split())


def opened(shop: Shop, **changes: Any) -> tuple[str, str]:
    """An order's invoice number and its code."""
    answer = shop.order(**changes)
    assert answer.status == 200, answer.body
    return str(answer.json["order"]["invoice_number"]), str(answer.json["online_to_offline_info"]["payment_code"])


def told(shop: Shop, invoice: str) -> list[dict[str, Any]]:
    """The notifications of an order, oldest first, with their bodies read."""
    return sorted(
        (one | {"body": json.loads(one["body"])} for one in shop.record(invoice)["notifications"]), key=lambda one: str(one["id"])
    )


def advance(shop: Shop, **delta: float) -> None:
    shop.running.control("POST", "/clock", {"advance_s": timedelta(**delta).total_seconds()})


# -- the code


def test_an_order_gets_a_code_of_digits_and_says_until_when(shop: Shop) -> None:
    """Names as DOKU's Magento plugin reads them, dates in WIB with their twins in UTC."""
    answer = shop.order()

    told = answer.json["online_to_offline_info"]
    assert set(answer.json["order"]) == {"invoice_number"}
    assert answer.json["additional_info"] == {"override_notification_url": NOBODY}
    assert list(told) == [
        "payment_code",
        "how_to_pay_page",
        "how_to_pay_api",
        "created_date",
        "expired_date",
        "created_date_utc",
        "expired_date_utc",
    ]
    assert re.fullmatch(r"\d{16}", told["payment_code"])
    moments = [datetime.strptime(f"{told[name]}+0700", "%Y%m%d%H%M%S%z") for name in ("created_date", "expired_date")]
    created, expired = (moment.astimezone(UTC) for moment in moments)
    assert expired - created == timedelta(minutes=60)
    assert told["created_date_utc"] == f"{created:%Y-%m-%dT%H:%M:%SZ}"
    assert told["expired_date_utc"] == f"{expired:%Y-%m-%dT%H:%M:%SZ}"
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)


def test_codes_of_a_merchant_begin_alike_and_those_of_another_otherwise(shop: Shop, running: RunningGateway) -> None:
    other = f"BRN-{uuid.uuid4().hex[:8]}"
    import_merchant(running, other, "SK-another")

    mine = {opened(shop)[1] for _ in range(3)}
    answer = running.signed("POST", shop.path, shop.body(), client_id=other, secret_key="SK-another")

    assert len(mine) == 3
    assert len({code[:5] for code in mine}) == 1
    assert answer.json["online_to_offline_info"]["payment_code"][:5] not in {code[:5] for code in mine}


def test_a_merchant_can_have_a_prefix_and_an_expiry_of_its_own(shop: Shop) -> None:
    shop.options(code_prefix="7001", expiry_min=5)

    answer = shop.order(online_to_offline_info__expired_time=GONE).json["online_to_offline_info"]

    assert re.fullmatch(r"7001\d{12}", answer["payment_code"])
    created, expired = (datetime.fromisoformat(answer[name]) for name in ("created_date_utc", "expired_date_utc"))
    assert expired - created == timedelta(minutes=5)


@pytest.mark.parametrize("prefix", ["", "12a", "1" * 11, " 12"])
def test_a_prefix_of_anything_but_a_few_digits_is_refused(shop: Shop, prefix: str) -> None:
    sent = json.dumps({"options": {"code_prefix": prefix}}).encode()
    path = f"/sandbox/v1/merchants/{DEMO_CLIENT_ID}/channels/{shop.code}"

    answer = shop.running.request("PUT", path, sent, {"Content-Type": "application/json"})

    assert answer.status == 400, answer.body
    assert "code_prefix" in answer.json["error"]["message"]


def test_no_two_open_orders_share_a_code(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code that is drawn twice goes to the first; the second draws again. A paid one may come again."""
    drawn = iter(["11111111111", "11111111111", "22222222222", "11111111111"])
    monkeypatch.setattr(stores, "new_digits", lambda _count: next(drawn))

    first, one = opened(shop)
    _, two = opened(shop)
    shop.play(first, "SUCCESS")
    _, three = opened(shop)

    assert (one[5:], two[5:], three[5:]) == ("11111111111", "22222222222", "11111111111")


def test_a_silent_chain_costs_a_repeat_and_not_a_second_code(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order and its code are on disk before the chain is asked; the same request announces the same code again."""
    body, request_id = shop.body(), uuid.uuid4().hex
    asked: list[str] = []

    def heard_and_silent(question: Asked) -> None:
        asked.append(question.facts["code"])
        silence()

    with monkeypatch.context() as patch:
        shop.does(patch, "begin", heard_and_silent)
        silent = shop.running.signed("POST", shop.path, body, request_id=request_id)

    answer = shop.running.signed("POST", shop.path, body, request_id=request_id)

    assert (silent.status, answer.status) == (503, 200)
    assert [answer.json["online_to_offline_info"]["payment_code"]] == asked
    assert len(shop.record(body["order"]["invoice_number"])["payments"]) == 1


def test_an_invoice_number_gets_one_code(shop: Shop) -> None:
    """D-9: unlike on LinkAja, the number is used up."""
    body = shop.body()
    shop.post(body)

    assert_refused(shop.post(body), "Invoice Number Already Used")


@pytest.mark.parametrize(
    "changes",
    [
        {"online_to_offline_info__reusable_status": "false"},
        {"online_to_offline_info__reusable_status": "TRUE"},
        {"order__amount": "150000.00"},
        {"online_to_offline_info__expired_time": "30"},
        {"online_to_offline_info": {"reusable_status": False}},
        {"online_to_offline_info__info": ""},
        {"alfa_info": GONE},
        {"alfa_info__receipt": GONE},
        {"customer__email": GONE},
    ],
    ids=str,
)
def test_what_clients_send_is_taken(shop: Shop, changes: dict[str, Any]) -> None:
    """reusable_status as boolean and as text, amounts and minutes as text, optional parts left out."""
    assert shop.order(**changes).status == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"online_to_offline_info__reusable_status": GONE}, "online_to_offline_info.reusable_status Must Not Be Blank"),
        ({"online_to_offline_info__reusable_status": "perhaps"}, "online_to_offline_info.reusable_status Invalid Format"),
        ({"online_to_offline_info__reusable_status": 1}, "online_to_offline_info.reusable_status Invalid Format"),
        ({"online_to_offline_info__expired_time": 0}, "online_to_offline_info.expired_time Invalid Format"),
        ({"online_to_offline_info__expired_time": 100_000_000}, "online_to_offline_info.expired_time Invalid Format"),
        ({"order__amount": 1_000_000_000_000}, "order.amount Invalid Format"),
        ({"order__amount": GONE}, "order.amount Must Not Be Blank"),
        ({"order__invoice_number": "x" * 65}, "order.invoice_number Invalid Format"),
        ({"customer": GONE}, "customer Must Not Be Blank"),
        ({"customer__name": ""}, "customer.name Must Not Be Blank"),
    ],
    ids=str,
)
def test_what_the_document_demands_is_demanded(shop: Shop, changes: dict[str, Any], message: str) -> None:
    assert_refused(shop.order(**changes), message)


# -- the till


def test_a_cashier_types_the_code_takes_the_money_and_prints_a_receipt(shop: Shop, till: Till) -> None:
    """And the merchant hears the number that stands on the receipt."""
    invoice, code = opened(shop, online_to_offline_info__info1="Tanya Budi")

    empty, bill = till.get(), till.bill(code)
    receipt = till.pay(code)

    assert "Ketik kode pembayaran" in empty
    for said in ("Rp 150.000", "Pasar Pagi", code, invoice, "Ambil besok pagi", "Tanya Budi", "Terima uang Rp 150.000"):
        assert said in bill
    [notification] = told(shop, invoice)
    trx_id = notification["body"]["online_to_offline_payment"]["identifier"][2]["value"]
    for said in ("Uang diterima", "Rp 150.000", "Pasar Pagi", code, "Sampai jumpa lagi", f"Nomor transaksi {trx_id}"):
        assert said in receipt
    assert shop.said(invoice) == "SUCCESS"


def test_a_notification_names_code_shop_and_transaction(shop: Shop, channel: Channel) -> None:
    """The body of DOKU's sample; `additional_info` as everywhere."""
    invoice, code = opened(shop)

    shop.play(invoice, "SUCCESS")

    [notification] = told(shop, invoice)
    body = notification["body"]
    trx_id = body["online_to_offline_payment"]["identifier"][2]["value"]
    store = channel.code.removeprefix("ONLINE_TO_OFFLINE_")
    assert body == {
        "service": {"id": "ONLINE_TO_OFFLINE"},
        "acquirer": {"id": store},
        "channel": {"id": channel.code},
        "order": {"invoice_number": invoice, "amount": 150_000},
        "transaction": {
            "status": "SUCCESS",
            "date": shop.payment(invoice)["finished_at"],
            "original_request_id": body["transaction"]["original_request_id"],
        },
        "online_to_offline_info": {"payment_code": code},
        "online_to_offline_payment": {
            "identifier": [
                {"name": "AGENT_ID", "value": {"ALFA": "ALFAMART"}.get(store, store)},
                {"name": "AGENT_STORE_ID", "value": f"{store[0]}001"},
                {"name": "AGENT_TRX_ID", "value": trx_id},
            ]
        },
        "additional_info": {"override_notification_url": NOBODY},
    }
    assert re.fullmatch(r"\d{12}", trx_id)


@pytest.mark.parametrize("reusable", [False, True])
def test_check_status_adds_the_dates_and_says_reusable_as_text(shop: Shop, *, reusable: bool) -> None:
    answer = shop.order(online_to_offline_info__reusable_status=reusable).json
    said = answer["online_to_offline_info"]

    status = shop.running.status(answer["order"]["invoice_number"]).json

    assert status["transaction"]["status"] == "PENDING"
    assert status["online_to_offline_info"] == {
        **{name: said[name] for name in ("payment_code", "created_date", "expired_date")},
        "reusable_status": "true" if reusable else "false",
    }
    assert "online_to_offline_payment" not in status


def test_a_code_is_found_as_people_write_it(shop: Shop, till: Till) -> None:
    _, code = opened(shop)

    for typed in (f" {code[:4]} {code[4:8]}-{code[8:12]}.{code[12:]} ", code):
        assert "Terima uang Rp 150.000" in till.bill(typed)


def test_a_till_reads_back_what_cannot_be_a_code(shop: Shop, till: Till) -> None:
    for typed, said in (
        ("", "Masukkan kode pembayaran"),
        (" - ", "Masukkan kode pembayaran"),
        ("12ab", "Kode pembayaran hanya terdiri dari angka"),
        ("\u0661\u0662", "Kode pembayaran hanya terdiri dari angka"),
        ("1" * 400, "Kode pembayaran hanya terdiri dari angka"),
        ("1234567890", "Tidak ada tagihan dengan kode ini"),
    ):
        for action in ("look", "pay", "SLOW"):
            answer = till.post(action=action, code=typed)
            page = plain(answer) if answer.status == 422 else till.follow(answer)
            assert said in page, (typed, action)
            assert "Terima uang" not in page


def test_a_paid_code_is_paid(shop: Shop, till: Till) -> None:
    invoice, code = opened(shop)
    till.pay(code)

    again = till.post(action="pay", code=code, attempt="rcp_" + "0" * 26)

    assert "Tagihan dengan kode ini sudah dibayar" in till.follow(again)
    assert "Tagihan dengan kode ini sudah dibayar" in plain(till.post(action="look", code=code))
    assert len(shop.payment(invoice)["transfers"]) == 1


def test_an_expired_code_takes_no_money(shop: Shop, till: Till) -> None:
    invoice, code = opened(shop)
    attempt = till.attempt(code)
    advance(shop, minutes=61)

    answer = till.post(action="pay", code=code, attempt=attempt)

    assert "Kode ini sudah kedaluwarsa" in till.follow(answer)
    assert shop.said(invoice) == "EXPIRED"
    assert moved(shop.payment(invoice)) == []


def test_a_code_of_another_chain_is_unknown(shop: Shop, channel: Channel) -> None:
    for other in (one for one in all_channels().values() if one.party is not None and one.party.kind == "cashier"):
        _, code = opened(a_shop(shop.running, other))
        answer = Till(shop).post(action="look", code=code)
        assert (answer.status, "Tidak ada tagihan" in plain(answer)) == ((303, False) if other is channel else (422, True))


@pytest.mark.parametrize("reusable", [False, True])
def test_pressing_twice_pays_once(shop: Shop, till: Till, *, reusable: bool) -> None:
    """The till's number for this payment comes along with the press."""
    invoice, code = opened(shop, online_to_offline_info__reusable_status=reusable)
    attempt = till.attempt(code)

    first, second = (till.post(action="pay", code=code, attempt=attempt) for _ in range(2))

    assert first.headers["location"] == second.headers["location"]
    assert "Uang diterima" in till.follow(second)
    assert [one["state"] for one in shop.record(invoice)["payments"]] == ["SUCCESS"]


def test_a_number_from_another_bill_pays_this_one_all_the_same(shop: Shop, till: Till) -> None:
    (_, one), (invoice, two) = opened(shop), opened(shop)
    attempt = till.attempt(one)
    till.post(action="pay", code=one, attempt=attempt)

    till.post(action="pay", code=two, attempt=attempt)

    assert shop.said(invoice) == "SUCCESS"


def test_reloading_a_receipt_shows_it_again_in_either_language(shop: Shop, till: Till) -> None:
    invoice, code = opened(shop)
    [receipt] = re.findall(r"receipt=(\w+)", till.post(action="pay", code=code).headers["location"])

    pages = [till.get(receipt=receipt, lang=lang) for lang in ("id", "en", "en")]

    assert "Uang diterima" in pages[0]
    assert "Money taken" in pages[1]
    assert pages[1] == pages[2]
    assert len(shop.payment(invoice)["transfers"]) == 1


def test_a_receipt_nobody_printed_is_the_empty_form(shop: Shop, till: Till) -> None:
    for number in ("rcp_" + "0" * 26, "x", "\x00"):
        assert "Ketik kode pembayaran" in till.get(receipt=number)


# -- what else can happen


@pytest.mark.parametrize(
    ("outcome", "state", "at_the_till"),
    [
        ("SUCCESS", "SUCCESS", "sudah dibayar"),
        ("EXPIRED", "EXPIRED", "sudah kedaluwarsa"),
        ("NO_ANSWER", "PENDING", "belum dapat diperiksa"),
        ("SLOW", "PENDING", "sudah dibayar"),
        ("PAID_TWICE", "SUCCESS", "sudah dibayar"),
        ("PAID_LATE", "PENDING", "sudah dibayar"),
    ],
)
def test_every_outcome_can_be_played_by_a_button_and_by_a_program(
    shop: Shop, till: Till, outcome: str, state: str, at_the_till: str
) -> None:
    (by_program, one), (by_button, two) = opened(shop), opened(shop)

    shop.play(by_program, outcome)
    if outcome == "SUCCESS":
        till.pay(two)
    else:
        till.follow(till.post(action=outcome, code=two))

    for invoice, code in ((by_program, one), (by_button, two)):
        assert shop.payment(invoice)["state"] == state
        assert at_the_till in till.get(code=code)


@pytest.mark.parametrize("outcome", ["FAILED", "CANCELLED", "NOT_ENOUGH"])
def test_a_till_refuses_nobody(shop: Shop, till: Till, outcome: str) -> None:
    """Cash is there or it is not: neither a program nor a button can make it fail."""
    invoice, code = opened(shop)
    wanted = json.dumps({"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, "outcome": outcome}).encode()

    answer = shop.running.request("POST", "/sandbox/v1/payments/outcome", wanted, {"Content-Type": "application/json"})
    till.post(action=outcome, code=code)

    assert answer.status == 400
    assert "SUCCESS, EXPIRED, SLOW, NO_ANSWER, PAID_TWICE, PAID_LATE do" in answer.json["error"]["message"]
    assert shop.payment(invoice)["state"] == "PENDING"


@pytest.mark.parametrize(
    ("amount", "state", "page"),
    [
        (150_402, "SUCCESS", "Uang diterima"),
        (150_404, "SUCCESS", "Uang diterima"),
        (150_408, "PENDING", "belum dapat diperiksa"),
        (150_409, "SUCCESS", "Uang diterima"),
        (150_410, "EXPIRED", "sudah kedaluwarsa"),
        (150_412, "PENDING", "Uang diterima"),
        (150_425, "PENDING", "Uang diterima"),
        (150_499, "SUCCESS", "Uang diterima"),
    ],
)
def test_magic_amounts_decide_what_taking_the_money_does(shop: Shop, till: Till, amount: int, state: str, page: str) -> None:
    """Those of refusals mean nothing at a till."""
    invoice, code = opened(shop, order__amount=amount)

    shown = till.pay(code)

    assert page in shown
    assert shop.payment(invoice)["state"] == state


def test_magic_amounts_are_told_as_they_are_here(channel: Channel) -> None:
    said = dict(channel.magic_values)

    assert {name[-3:] for name in said} == {"408", "409", "410", "412", "425"}
    assert all("person" in said[f"order.amount ending {ending}"] for ending in ("409", "412"))


def test_what_a_tester_chose_goes_before_the_amount(shop: Shop, till: Till) -> None:
    invoice, code = opened(shop, order__amount=150_410)
    wanted = {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, "outcome": "SUCCESS"}
    shop.running.control("POST", "/payments/next", wanted)

    till.pay(code)

    assert shop.said(invoice) == "SUCCESS"


def test_money_paid_twice_or_late_is_kept_for_a_person(shop: Shop) -> None:
    """No till pays out. The merchant has the amount once, or not at all, and is told accordingly."""
    (twice, _), (late, _) = opened(shop), opened(shop)

    shop.play(twice, "PAID_TWICE")
    shop.play(late, "PAID_LATE")
    advance(shop, minutes=62)

    for invoice, said, notified in ((twice, "SUCCESS", 1), (late, "EXPIRED", 0)):
        payment = shop.payment(invoice)
        assert "MONEY_KEPT" in [one["event"] for one in payment["events"]]
        assert "MONEY_RETURNED" not in [one["event"] for one in payment["events"]]
        assert len(moved(payment)) == notified
        assert len(told(shop, invoice)) == notified
        assert shop.said(invoice) == said


def test_a_slow_chain_reports_twenty_seconds_later(shop: Shop, till: Till) -> None:
    invoice, code = opened(shop)
    till.follow(till.post(action="SLOW", code=code))
    before = shop.said(invoice)

    advance(shop, seconds=21)

    assert (before, shop.said(invoice)) == ("PENDING", "SUCCESS")
    assert len(told(shop, invoice)) == 1


def test_a_code_nobody_pays_expires_and_nobody_is_told(shop: Shop, till: Till) -> None:
    invoice, code = opened(shop)

    advance(shop, minutes=60, seconds=1)

    assert shop.said(invoice) == "EXPIRED"
    assert told(shop, invoice) == []
    assert "sudah kedaluwarsa" in till.get(code=code)


# -- a code that can be paid again and again


def test_a_reusable_code_is_paid_three_times(shop: Shop, till: Till) -> None:
    """One payment and one notification each, under Request-Ids of their own and the same invoice number."""
    shop.options(fee_bp=100, fee_flat=1_000)
    invoice, code = opened(shop, **REUSABLE)

    receipts = [till.pay(code) for _ in range(2)]
    shop.play(invoice, "SUCCESS")

    record, notifications = shop.record(invoice), told(shop, invoice)
    assert all("Uang diterima" in receipt for receipt in receipts)
    assert record["state"] == "PAID"
    assert [one["state"] for one in record["payments"]] == ["SUCCESS"] * 3
    assert [[amount for _, _, amount in moved(one)] for one in record["payments"]] == [[150_000, 2_500]] * 3
    assert [[one["event"] for one in payment["events"]] for payment in record["payments"]] == [["CREATED", "PAID"]] * 3
    assert len({one["request_id"] for one in notifications}) == 3
    assert {one["body"]["order"]["invoice_number"] for one in notifications} == {invoice}
    assert {one["body"]["online_to_offline_info"]["payment_code"] for one in notifications} == {code}
    assert len({json.dumps(one["body"]["online_to_offline_payment"]) for one in notifications}) == 3
    assert [one["body"]["transaction"]["status"] for one in notifications] == ["SUCCESS"] * 3
    assert shop.said(invoice) == "SUCCESS"
    assert "Terima uang Rp 150.000" in till.bill(code)
    assert shop.running.control("GET", "/verify")["ok"]


def test_an_older_payment_of_a_reusable_code_is_given_back_and_the_order_stands_as_its_newest(shop: Shop, till: Till) -> None:
    invoice, code = opened(shop, **REUSABLE)
    for _ in range(2):
        till.pay(code)
    older = shop.record(invoice)["payments"][0]["id"]
    control = shop.running.control

    refund = control("POST", "/refunds", {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, "payment_id": older})
    control("POST", f"/refunds/{refund['id']}/complete", {})

    record = shop.record(invoice)
    assert [one["state"] for one in record["payments"]] == ["REFUNDED", "SUCCESS"]
    assert record["state"] == "PAID"
    assert control("GET", "/verify") == {"ok": True, "problems": []}


def test_twice_at_once_is_two_payments_of_a_reusable_code(shop: Shop) -> None:
    invoice, _ = opened(shop, **REUSABLE)

    shop.play(invoice, "PAID_TWICE")

    record = shop.record(invoice)
    assert [one["state"] for one in record["payments"]] == ["SUCCESS"] * 2
    assert len(told(shop, invoice)) == 2
    assert "PAID_AGAIN" not in [one["event"] for payment in record["payments"] for one in payment["events"]]


def test_a_reusable_code_ends_when_its_time_is_over(shop: Shop, till: Till) -> None:
    """What was paid stays paid, and what is paid too late is kept for a person."""
    invoice, code = opened(shop, **REUSABLE)
    till.pay(code)
    shop.play(invoice, "PAID_LATE")

    advance(shop, minutes=62)

    assert "sudah kedaluwarsa" in till.get(code=code)
    assert shop.said(invoice) == "SUCCESS"
    [payment] = shop.record(invoice)["payments"]
    assert [one["event"] for one in payment["events"]] == ["CREATED", "PAID", "PAID_LATE", "MONEY_KEPT"]
    assert len(told(shop, invoice)) == 1


def test_a_reusable_code_that_a_chain_gives_up_is_paid_no_more(shop: Shop, till: Till) -> None:
    invoice, code = opened(shop, **REUSABLE)
    till.pay(code)

    till.follow(till.post(action="EXPIRED", code=code))

    assert "sudah kedaluwarsa" in till.get(code=code)
    assert [one["state"] for one in shop.record(invoice)["payments"]] == ["SUCCESS"]


def test_a_choice_for_a_reusable_code_is_for_the_next_payment_only(shop: Shop, till: Till) -> None:
    invoice, code = opened(shop, **REUSABLE)
    till.pay(code)
    shop.running.control("POST", "/payments/next", {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, "outcome": "SLOW"})

    till.pay(code)
    till.pay(code)

    assert [one["state"] for one in shop.record(invoice)["payments"]] == ["SUCCESS"] * 2
    advance(shop, seconds=21)
    assert [one["state"] for one in shop.record(invoice)["payments"]] == ["SUCCESS"] * 3


@pytest.mark.parametrize("times", [1, 3])
def test_a_payment_reported_again_is_the_same_payment(shop: Shop, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """As after a crash between our commit and the chain's hearing of it: the first payment of a code, and every further one."""
    invoice, _ = opened(shop, **REUSABLE)
    with monkeypatch.context() as patch:
        shop.does(patch, "heard", lambda _receipt: None)
        for _ in range(times):
            shop.play(invoice, "SUCCESS")

    for _ in range(2):
        shop.running.control("POST", "/clock", {"advance_s": 1})  # lets every room do what fell due

    assert [one["state"] for one in shop.record(invoice)["payments"]] == ["SUCCESS"] * times
    assert len(told(shop, invoice)) == times


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """All of them, started together."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_many_tills_at_once_lose_no_payment_and_nobody_sees_a_second_one_waiting(
    gateway: RunningGateway, channel: Channel
) -> None:
    shop = a_shop(gateway, channel)
    till = Till(shop)
    invoice, code = opened(shop, **REUSABLE)
    till.pay(code)
    attempts = [till.attempt(code) for _ in range(6)]
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            rows = gateway.database.read_now(lambda tx: tx.all("select state from payment"))
            seen.update(str(row["state"]) for row in rows)
            time.sleep(0.001)

    watching = threading.Thread(target=watch)
    watching.start()
    at_once([partial(till.post, action="pay", code=code, attempt=attempt) for attempt in attempts for _ in range(2)])
    done.set()
    watching.join()
    gateway.control("POST", "/clock", {"advance_s": 1})

    assert [one["state"] for one in shop.record(invoice)["payments"]] == ["SUCCESS"] * 7
    assert len(told(shop, invoice)) == 7
    assert seen == {"SUCCESS"}


# -- how to pay


def test_how_to_pay_is_a_page_in_both_languages(shop: Shop, till: Till) -> None:
    invoice, code = opened(shop)
    page = urlsplit(str(shop.record(invoice)["payments"][0]["id"])).path
    path = f"/how-to-pay/{shop.room.party.slug}/{page}"

    indonesian, english = (plain(shop.running.request("GET", f"{path}?lang={lang}")) for lang in ("id", "en"))
    till.pay(code)
    paid = plain(shop.running.request("GET", f"{path}?lang=en"))

    grouped = " ".join(code[at : at + 4] for at in range(0, 16, 4))
    for said in (
        grouped,
        "Rp 150.000",
        "Pasar Pagi",
        "Datang ke kasir",
        "sebelum",
        "Kasir menyebut nama pedagang",
        "simpan struknya",
    ):
        assert said in indonesian
    for said in (grouped, "Go to the till of", "The cashier tells you the merchant", "keep the receipt"):
        assert said in english
    assert "Payment successful" in paid or "Payment complete" in paid
    assert "Go to the till" not in paid


def test_the_page_in_the_answer_and_its_json_are_there_for_everybody(shop: Shop) -> None:
    """Shop plugins read `payment_instruction` without signing."""
    told = shop.order().json["online_to_offline_info"]

    page = shop.running.request("GET", urlsplit(told["how_to_pay_page"]).path)
    api = shop.running.request("GET", urlsplit(told["how_to_pay_api"]).path, headers={"Accept": "application/json"})

    assert told["how_to_pay_page"].startswith(shop.running.url)
    assert page.status == api.status == 200
    assert api.headers["content-type"] == "application/json"
    instructions = api.json["payment_instruction"]
    assert [one["language"] for one in instructions] == ["ID", "EN"]
    assert {one["channel"] for one in instructions} == {all_channels()[shop.code].title}
    for one in instructions:
        assert len(one["step"]) == 4
        assert told["payment_code"] in one["step"][1]


def test_a_page_says_that_a_code_is_over(shop: Shop) -> None:
    invoice, _ = opened(shop)
    path = f"/how-to-pay/{shop.room.party.slug}/{shop.payment(invoice)['id']}"

    advance(shop, minutes=61)

    assert "Kasir tidak menerima kode ini lagi" in plain(shop.running.request("GET", path))


def test_a_reusable_codes_page_goes_on_showing_the_code(shop: Shop, till: Till) -> None:
    invoice, code = opened(shop, **REUSABLE)
    path = f"/how-to-pay/{shop.room.party.slug}/{shop.payment(invoice)['id']}"
    till.pay(code)

    page = plain(shop.running.request("GET", path))

    assert "Datang ke kasir" in page
    assert "Kode ini dapat dibayar berkali-kali" in page


def test_nobody_elses_payment_is_shown(shop: Shop) -> None:
    """Neither an unknown one nor another channel's."""
    others = shop.running.create_order().json["payment"]["url"].rpartition("/")[2]
    for payment_id in ("pay_" + "0" * 26, others, "%00"):
        for suffix, kind in (("", "text/html; charset=utf-8"), (".json", "application/json")):
            answer = shop.running.request("GET", f"/how-to-pay/{shop.room.party.slug}/{payment_id}{suffix}")
            assert (answer.status, answer.headers["content-type"]) == (404, kind)


def test_a_tester_finds_the_till_and_the_code_on_the_desk(shop: Shop) -> None:
    _, code = opened(shop)

    desk = html.unescape(shop.running.request("GET", "/simulators").body.decode())

    assert f"/simulators/{shop.room.party.slug}?code={code}" in desk
