"""Purchases over SNAP: opened, paid with a PIN, asked about, cancelled, refunded; reserved, taken, let go. The books stay right."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gerbang.channels.doku_wallet_snap import purchase
from gerbang.clock import WIB, next_midnight
from gerbang.errors import Reason, Refused
from gerbang.ledger import account
from gerbang.notifications.outbox import list_notifications
from gerbang.payments import Move, Order, Payment, PaymentState, get_payment
from gerbang.protocols.snap.times import snap_time
from gerbang.storage import Tx
from gerbang.wallet import AccountStatus, Level, PinHasher, confirm_pin, get_account, set_pin
from gerbang.wallet.pins import pin_blocked_until
from support.gateway import Answer, RunningGateway, lent_gateway
from support.snap import assert_snap_error, assert_snap_ok
from support.snap_money import CLIENT_ID, Customer, Partner, new_reference, rupiah

HOST_TO_HOST = "debit/payment-host-to-host"
PAYABLE = account("merchant", CLIENT_ID, "payable")
AUTHORISED = account("merchant", CLIENT_ID, "authorised")
RETURN = {"url": "https://shop.example/back?cart=7#top", "type": "PAY_RETURN", "isDeepLink": "N"}
PIN, HASHER = "246810", PinHasher(b"k" * 32)
PIN_HASH = HASHER.hash(PIN)


@pytest.fixture(scope="module")
def partner() -> Iterator[Partner]:
    with lent_gateway() as running:
        yield Partner(running)


@pytest.fixture
def partner_on_both(gateway: RunningGateway) -> Partner:
    return Partner(gateway)


def ok(answer: Answer, service_code: str) -> dict[str, Any]:
    return assert_snap_ok(answer, service_code)


def open_one(partner: Partner, customer: Customer, amount: Any = 60_000, **body: Any) -> Answer:
    given: dict[str, Any] = {"partnerReferenceNo": new_reference(), "urlParam": [RETURN]}
    given["amount"] = rupiah(amount) if isinstance(amount, int) else amount
    return partner.call(HOST_TO_HOST, customer, **(given | body))


def on_page(partner: Partner, answer: Answer, act: Callable[[Tx, Order, Payment], Any]) -> Any:
    """What the page does with a purchase."""

    def run(tx: Tx) -> Any:
        found = purchase.find(tx, urlsplit(ok(answer, "54")["webRedirectUrl"]).path.rsplit("/", 1)[1])
        assert found is not None
        return act(tx, *found)

    return partner.database.transact_now(run)


def pay(partner: Partner, answer: Answer, customer: Customer, *, now: datetime | None = None) -> Payment:
    settings = partner.running.gateway.settings
    return on_page(  # type: ignore[no-any-return]
        partner,
        answer,
        lambda tx, order, payment: purchase.pay(
            tx, order, payment, get_account(tx, customer.id), settings=settings, now=now or partner.now()
        ),
    )


def bought(partner: Partner, customer: Customer, amount: int = 60_000, **body: Any) -> dict[str, Any]:
    """An open purchase, paid."""
    answer = open_one(partner, customer, amount, **body)
    pay(partner, answer, customer)
    return ok(answer, "54")


def original(one: dict[str, Any]) -> dict[str, Any]:
    return {"originalPartnerReferenceNo": one["partnerReferenceNo"]}


def status(partner: Partner, customer: Customer | None, one: dict[str, Any], **body: Any) -> dict[str, Any]:
    return ok(partner.call("debit/status", customer, **(original(one) | body)), "55")


def cancel(partner: Partner, customer: Customer, one: dict[str, Any], **body: Any) -> Answer:
    return partner.call("debit/cancel", customer, **(original(one) | {"reason": "salah pesan"} | body))


def refund(partner: Partner, customer: Customer, one: dict[str, Any], amount: Any = None, **body: Any) -> Answer:
    given: dict[str, Any] = original(one) | {"reason": "rusak", "partnerRefundNo": new_reference()}
    given["refundAmount"] = rupiah(amount) if isinstance(amount, int) else amount
    return partner.call("debit/refund", customer, **(given | body))


def stored(partner: Partner, one: dict[str, Any]) -> Payment:
    return partner.database.read_now(lambda tx: get_payment(tx, one["referenceNo"])[1])


# -- opening (service 54)


def test_a_purchase_answers_with_five_keys_and_a_page(partner: Partner):  # S1-133 … S1-145, D-20
    customer, reference = partner.customer(100_000), new_reference()

    answer = ok(open_one(partner, customer, partnerReferenceNo=reference), "54")

    assert list(answer) == ["responseCode", "responseMessage", "referenceNo", "partnerReferenceNo", "webRedirectUrl"]
    assert answer["partnerReferenceNo"] == reference
    assert answer["webRedirectUrl"] == f"{partner.running.url}/wallet/purchase/{answer['referenceNo']}"
    assert partner.balance(customer) == 100_000


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"urlParam": None},
        {"urlParam": None, "urlParams": [RETURN | {"isDeepLink": None, "isDeeplink": "N"}]},
        {"urlParam": [RETURN, {"url": "https://shop.example/notify", "type": "PAY_NOTIFY"}]},
        {"urlParam": [{"url": "tokoku://paid", "type": "PAY_RETURN", "isDeepLink": "Y"}]},
        {"urlParam": [{"url": "anything at all", "type": "SOMETHING_ELSE"}]},
        {
            "anything": "DOKU",
            "payOptionDetails": [{"payMethod": "BALANCE", "payOption": "DOKU"}],
            "additionalInfo": {"channel": "DOKU"},
        },
        {"merchantId": "M", "subMerchantId": "S", "pointOfInitiation": "app", "chargeToken": None, "additionalInfo": []},
    ],
)
def test_a_purchase_is_opened_however_a_client_writes_it(partner: Partner, body: dict[str, Any]):
    ok(open_one(partner, partner.customer(100_000), **body), "54")


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"amount": 100_001}, "4035414", "Insufficient Funds"),
        ({"amount": 20_000_001}, "4035402", "Exceeds Transaction Amount Limit"),
        ({"amount": 0}, "4045413", "Invalid Amount"),
        ({"amount": None}, "4005402", "Invalid Mandatory Field {amount}"),
        ({"amount": {"value": "-5.00", "currency": "IDR"}}, "4005401", "Invalid Field Format {amount.value}"),
        ({"partnerReferenceNo": None}, "4005402", "Invalid Mandatory Field {partnerReferenceNo}"),
        ({"partnerReferenceNo": "x" * 65}, "4005401", "Invalid Field Format {partnerReferenceNo}"),
        ({"validUpTo": "2020-01-01T00:00:00+07:00"}, "4035400", "Transaction Expired"),
        ({"validUpTo": "tomorrow"}, "4005401", "Invalid Field Format {validUpTo}"),
        ({"urlParam": [RETURN | {"url": "www.shop.example"}]}, "4005401", "Invalid Field Format {urlParam[0].url}"),
        ({"urlParam": [RETURN | {"url": "javascript:alert(1)", "isDeepLink": "Y"}]}, "4005401", "Invalid Field Format {urlParam[0].url}"),
        ({"urlParam": [RETURN | {"url": "javascript://%0aalert(1)", "isDeepLink": "Y"}]}, "4005401", "Invalid Field Format {urlParam[0].url}"),
        ({"urlParam": [RETURN | {"url": "data://text/html,x", "isDeepLink": True}]}, "4005401", "Invalid Field Format {urlParam[0].url}"),
        ({"urlParam": [RETURN | {"url": "tokoku://x"}]}, "4005401", "Invalid Field Format {urlParam[0].url}"),
        ({"urlParam": [RETURN, {"url": "tokoku://x", "type": "PAY_NOTIFY", "isDeepLink": "Y"}]}, "4005401", "Invalid Field Format {urlParam[1].url}"),
        *[({"urlParam": [RETURN, {"url": "https://shop.example/b", "type": kind}]}, "4005401", "Invalid Field Format {urlParam[1].type}")
          for kind in ("pay_return", "Pay_Notify", " PAY_RETURN ", "PAY-RETURN", "payReturn", "PAY NOTIFY")],
        ({"urlParam": [{"type": "PAY_RETURN"}]}, "4005402", "Invalid Mandatory Field {urlParam[0].url}"),
    ],
)  # fmt: skip
def test_a_purchase_is_refused_in_the_documented_words(partner: Partner, given: dict[str, Any], code: str, message: str):
    assert_snap_error(open_one(partner, partner.customer(100_000), **given), code, message)


def test_an_account_that_may_hold_less_may_pay_less(partner: Partner):
    customer = partner.customer(2_000_000, level=Level.BASIC)

    assert_snap_error(open_one(partner, customer, 2_000_001), "4035402", "Exceeds Transaction Amount Limit")
    ok(open_one(partner, customer, 2_000_000), "54")


def test_a_purchase_needs_a_living_customer_token(partner: Partner):
    customer = partner.customer(100_000)
    token = customer.token
    partner.set_status(customer, AccountStatus.LOCKED)

    path = "/snap-adapter/b2b2c/v1.0/debit/payment-host-to-host"
    body = {"partnerReferenceNo": new_reference(), "amount": rupiah(1_000)}
    assert_snap_error(partner.caller.call(path, body, customer=token), "4015402", "Invalid Customer Token")
    assert_snap_error(partner.caller.call(path, body), "4015404", "Customer Token Not Found")


def test_a_reference_opens_one_purchase_for_ever(partner: Partner):
    customer, reference = partner.customer(100_000), new_reference()
    ok(open_one(partner, customer, partnerReferenceNo=reference), "54")

    again = open_one(partner, customer, 1_000, partnerReferenceNo=reference)

    assert_snap_error(again, "4095401", "Duplicate partnerReferenceNo")


# -- paying on the page


def test_paying_moves_the_money_once_and_tells_when_it_settles(partner: Partner):
    customer = partner.customer(100_000)
    before = partner.books(PAYABLE)[0]
    answer = open_one(partner, customer)

    paid = pay(partner, answer, customer)

    assert (paid.state, paid.payer, paid.charged) == (PaymentState.SUCCESS, customer.id, 60_000)
    assert (partner.balance(customer), partner.books(PAYABLE)[0] - before) == (40_000, 60_000)
    assert paid.settles_at is not None
    local = paid.settles_at.astimezone(WIB)
    assert (local.hour, local.minute, local.date()) == (0, 0, partner.now().astimezone(WIB).date() + timedelta(days=1))
    with pytest.raises(Refused) as refused:
        pay(partner, answer, customer)
    assert refused.value.reason is Reason.PAYMENT_MOVED_ON
    assert partner.balance(customer) == 40_000


@pytest.mark.parametrize(
    ("moment", "midnight"),
    [("2026-05-19T16:59:59+00:00", "2026-05-20T00:00:00+07:00"), ("2026-05-19T17:00:00+00:00", "2026-05-21T00:00:00+07:00")],
)
def test_a_day_ends_at_midnight_in_jakarta(moment: str, midnight: str):
    assert snap_time(next_midnight(datetime.fromisoformat(moment))) == midnight


def test_only_the_customer_of_the_token_pays(partner: Partner):
    customer, other = partner.customer(100_000), partner.customer(100_000)
    answer = open_one(partner, customer)

    with pytest.raises(Refused) as refused:
        pay(partner, answer, other)

    assert refused.value.reason is Reason.NOT_THIS_CUSTOMER
    assert partner.balance(other) == 100_000


@pytest.mark.parametrize("state", [AccountStatus.LOCKED, AccountStatus.CLOSED])
def test_an_account_that_was_stopped_meanwhile_does_not_pay(partner: Partner, state: AccountStatus):
    customer = partner.customer(100_000)
    answer = open_one(partner, customer)
    partner.set_status(customer, state)

    with pytest.raises(Refused) as refused:
        pay(partner, answer, customer)

    assert refused.value.reason is Reason[f"ACCOUNT_{state}"]


def test_a_page_that_is_over_is_paid_no_more(partner: Partner):
    customer = partner.customer(100_000)
    until = partner.now() + timedelta(minutes=90)
    own, default = open_one(partner, customer, validUpTo=snap_time(until)), open_one(partner, customer)

    with pytest.raises(Refused):
        pay(partner, default, customer, now=partner.now() + timedelta(minutes=15, seconds=1))
    with pytest.raises(Refused):
        pay(partner, own, customer, now=until)
    pay(partner, own, customer, now=partner.now() + timedelta(minutes=80))
    assert partner.balance(customer) == 40_000


def test_of_sixty_four_purchases_at_once_a_balance_for_ten_pays_ten(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(10 * 7_000 + 6_999)
    opened = [open_one(partner, customer, 7_000) for _ in range(64)]

    def one(answer: Answer) -> str:
        try:
            return pay(partner, answer, customer).state.value
        except Refused as refused:
            return refused.reason.name

    with ThreadPoolExecutor(16) as threads:
        outcomes = Counter(threads.map(one, opened))

    assert outcomes == Counter({"SUCCESS": 10, "BALANCE_TOO_SMALL": 54})
    assert (partner.balance(customer), partner.books(PAYABLE)) == (6_999, (70_000,))


def test_one_purchase_paid_by_many_at_once_is_paid_once(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(100_000)
    answer = open_one(partner, customer, 7_000)

    def one(_: int) -> str:
        try:
            return pay(partner, answer, customer).state.value
        except Refused as refused:
            return refused.reason.name

    with ThreadPoolExecutor(8) as threads:
        outcomes = Counter(threads.map(one, range(8)))

    assert outcomes == Counter({"SUCCESS": 1, "PAYMENT_MOVED_ON": 7})
    assert partner.balance(customer) == 93_000


# -- PINs


def enter(partner: Partner, answer: Answer, customer: Customer, pin: str, now: datetime) -> Payment | None:
    """What the page does with a PIN; None when it was right."""
    check = asyncio.run(confirm_pin(partner.database, HASHER, customer.id, pin, now=now))
    if check.outcome == "RIGHT":
        return None
    settings = partner.running.gateway.settings
    return on_page(  # type: ignore[no-any-return]
        partner,
        answer,
        lambda tx, order, payment: purchase.wrong_pin(tx, order, payment, check, settings=settings, now=now),
    )


def test_the_third_wrong_pin_fails_the_purchase_and_blocks_the_pin_for_half_an_hour(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(100_000)
    partner.database.transact_now(lambda tx: set_pin(tx, customer.id, PIN_HASH))
    first, second, now = open_one(partner, customer), open_one(partner, customer), partner.now()

    states = [getattr(enter(partner, first, customer, "000000", now), "state", None) for _ in range(3)]

    assert states == [PaymentState.PENDING, PaymentState.PENDING, PaymentState.FAILED]
    assert status(partner, customer, ok(first, "54"))["latestTransactionStatus"] == "06"
    # The right PIN opens nothing now, and harms no other purchase; the account itself stays open, and so does its token.
    assert getattr(enter(partner, second, customer, PIN, now + timedelta(minutes=29)), "state", None) is PaymentState.PENDING
    assert partner.database.read_now(lambda tx: get_account(tx, customer.id)).status is AccountStatus.ACTIVE
    assert partner.database.read_now(lambda tx: pin_blocked_until(tx, customer.id)) == now + timedelta(minutes=30)
    assert enter(partner, second, customer, PIN, now + timedelta(minutes=30)) is None
    assert partner.database.read_now(lambda tx: pin_blocked_until(tx, customer.id)) is None


def test_a_blocked_pin_has_three_more_tries_when_the_half_hour_is_over(partner: Partner):
    customer = partner.customer(100_000)
    partner.database.transact_now(lambda tx: set_pin(tx, customer.id, PIN_HASH))
    first, second, now = open_one(partner, customer), open_one(partner, customer), partner.now()
    for _ in range(3):
        enter(partner, first, customer, "000000", now)

    states = [getattr(enter(partner, second, customer, "000000", now + timedelta(minutes=31)), "state", None) for _ in range(3)]

    assert states == [PaymentState.PENDING, PaymentState.PENDING, PaymentState.FAILED]


def test_a_pin_whose_checks_all_died_is_blocked_for_half_an_hour_and_not_for_ever(partner_on_both: Partner):
    """An attempt counts before it is judged; three that a kill -9 cut off must not shut the customer out."""
    partner = partner_on_both
    customer = partner.customer(100_000)
    partner.database.transact_now(lambda tx: set_pin(tx, customer.id, PIN_HASH))
    unjudged = {"phone": customer.account.phone, "at": int(time.time() - 61) * 1000}
    partner.database.transact_now(
        lambda tx: tx.execute("insert into pin_count (phone, under_way, touched_real_at) values (:phone, 3, :at)", unjudged)
    )
    answer, now = open_one(partner, customer), partner.now()

    assert getattr(enter(partner, answer, customer, PIN, now), "state", None) is PaymentState.PENDING
    assert partner.database.read_now(lambda tx: pin_blocked_until(tx, customer.id)) == now + timedelta(minutes=30)
    assert enter(partner, answer, customer, PIN, now + timedelta(minutes=30)) is None


# -- the way back


def test_the_browser_returns_with_what_became_of_it(partner: Partner):
    customer, settings = partner.customer(200_000), partner.running.gateway.settings
    paid, failed, cancelled = (open_one(partner, customer) for _ in range(3))
    pay(partner, paid, customer)
    for answer, move in ((failed, Move.DECLINED), (cancelled, Move.CANCELLED)):
        on_page(
            partner,
            answer,
            lambda tx, order, payment, move=move: purchase.close(
                tx, order, payment, move, settings=settings, now=partner.now(), failure="X"
            ),
        )

    urls = [
        on_page(partner, answer, lambda tx, order, payment: purchase.return_url(order, payment))
        for answer in (paid, failed, cancelled)
    ]

    for url, answer, word in zip(urls, (paid, failed, cancelled), ("SUCCESS", "FAILED", "CANCELED"), strict=True):
        one = ok(answer, "54")
        parts = urlsplit(url)
        assert (parts.netloc, parts.path, parts.fragment) == ("shop.example", "/back", "top")
        assert parse_qs(parts.query) == {
            "cart": ["7"],
            "partnerReferenceNo": [one["partnerReferenceNo"]],
            "referenceNo": [one["referenceNo"]],
            "status": [word],
        }


def test_without_an_address_or_an_end_there_is_no_way_back(partner: Partner):
    customer = partner.customer(100_000)
    nowhere, pending = open_one(partner, customer, urlParam=None), open_one(partner, customer)
    pay(partner, nowhere, customer)

    for answer in (nowhere, pending):
        assert on_page(partner, answer, lambda tx, order, payment: purchase.return_url(order, payment)) is None


# -- asking (service 55)


def test_a_purchase_says_where_it_stands(partner: Partner):  # S1-146 … S1-156
    customer = partner.customer(100_000)
    answer = open_one(partner, customer)
    one = ok(answer, "54")

    before = status(partner, customer, one, serviceCode="17", transactionDate="2025-01-15T10:00:00+07:00")
    pay(partner, answer, customer)
    after = status(partner, None, one, serviceCode="54", originalReferenceNo=one["referenceNo"])

    assert (before["latestTransactionStatus"], before["transactionStatusDesc"], before["serviceCode"]) == (
        "01",
        "Initiated",
        "17",
    )
    assert "paidTime" not in before
    assert after["paidTime"].endswith("+07:00")
    del after["paidTime"]
    assert after == {
        "responseCode": "2005500",
        "responseMessage": "Successful",
        "originalPartnerReferenceNo": one["partnerReferenceNo"],
        "originalReferenceNo": one["referenceNo"],
        "originalExternalId": before["originalExternalId"],
        "serviceCode": "54",
        "latestTransactionStatus": "00",
        "transactionStatusDesc": "Success",
        "originalResponseCode": "2005400",
        "originalResponseMessage": "Successful",
        "transAmount": rupiah(60_000),
        "feeAmount": rupiah(0),
        "refundHistory": [],
        "additionalInfo": {},
    }


def test_a_purchase_is_asked_about_with_the_seeds_service_code_the_standards_or_none(partner: Partner):
    customer = partner.customer(100_000)
    one = ok(open_one(partner, customer), "54")

    assert [status(partner, customer, one, serviceCode=code)["serviceCode"] for code in ("17", "54", "55", None)] == [
        "17",
        "54",
        "55",
        "17",
    ]
    odd = partner.call("debit/status", customer, serviceCode="47", **original(one))
    assert_snap_error(odd, "4005501", "Invalid Field Format {serviceCode}")


def test_nobody_asks_about_what_is_not_theirs(partner: Partner):
    customer, other = partner.customer(100_000), partner.customer()
    one = ok(open_one(partner, customer), "54")

    for answer in (
        partner.call("debit/status", customer, originalPartnerReferenceNo="never"),
        partner.call("debit/status", other, **original(one)),
        partner.call("debit/status", customer, originalReferenceNo="pay_other", **original(one)),
        partner.call("debit/status", customer, originalExternalId="other", **original(one)),
    ):
        assert_snap_error(answer, "4045501", "Transaction Not Found")
    assert_snap_error(partner.call("debit/status", customer), "4005502", "Invalid Mandatory Field {originalPartnerReferenceNo}")
    assert_snap_error(partner.call("debit/cancel", other, **original(one)), "4045701", "Transaction Not Found")
    assert_snap_error(refund(partner, other, one), "4045801", "Transaction Not Found")


def test_a_page_nobody_paid_in_time_is_over_and_the_partner_can_ask_why(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(100_000)
    one = ok(open_one(partner, customer), "54")

    partner.pass_time(minutes=15)

    after = status(partner, customer, one)
    assert (after["latestTransactionStatus"], after["transactionStatusDesc"]) == ("05", "Expired")
    assert partner.balance(customer) == 100_000


# -- cancelling (service 57)


def test_a_paid_purchase_is_cancelled_before_it_is_settled(partner_on_both: Partner):  # S1-157 … S1-167
    partner = partner_on_both
    customer = partner.customer(100_000)
    one = bought(partner, customer)

    answer = ok(cancel(partner, customer, one), "57")

    assert (answer["originalPartnerReferenceNo"], answer["originalReferenceNo"]) == (
        one["partnerReferenceNo"],
        one["referenceNo"],
    )
    assert {"originalExternalId", "cancelTime", "transactionDate", "additionalInfo"} <= set(answer)
    assert (partner.balance(customer), partner.books(PAYABLE)) == (100_000, (0,))
    after = status(partner, customer, one)
    assert (after["latestTransactionStatus"], after["refundHistory"]) == ("05", [])
    assert_snap_error(cancel(partner, customer, one), "4045704", "Transaction Cancelled")
    assert_snap_error(refund(partner, customer, one), "4045800", "Invalid Transaction Status")


def test_an_unpaid_purchase_is_cancelled_and_can_no_longer_be_paid(partner: Partner):
    customer = partner.customer(100_000)
    answer = open_one(partner, customer)
    one = ok(answer, "54")

    ok(cancel(partner, customer, one, reason=None, amount=rupiah(60_000)), "57")

    with pytest.raises(Refused):
        pay(partner, answer, customer)
    assert status(partner, customer, one)["latestTransactionStatus"] == "05"
    assert_snap_error(cancel(partner, customer, one), "4045704", "Transaction Cancelled")


def test_a_purchase_is_cancelled_whole_or_not_at_all(partner: Partner):
    customer = partner.customer(100_000)
    one = bought(partner, customer)

    assert_snap_error(cancel(partner, customer, one, amount=rupiah(59_999)), "4045713", "Invalid Amount")

    assert partner.balance(customer) == 40_000


def test_cancelling_at_once_gives_back_once(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(100_000)
    one = bought(partner, customer)
    assert customer.token

    with ThreadPoolExecutor(8) as threads:
        codes = Counter(threads.map(lambda _: cancel(partner, customer, one).json["responseCode"], range(8)))

    assert codes == Counter({"2005700": 1, "4045704": 7})
    assert partner.balance(customer) == 100_000


def test_paying_and_cancelling_at_once_end_in_one_story(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(100_000)
    assert customer.token
    for _ in range(6):
        answer = open_one(partner, customer)
        one = ok(answer, "54")

        def paying(answer: Answer = answer) -> bool:
            try:
                pay(partner, answer, customer)
            except Refused as refused:
                return refused.reason is not Reason.PAYMENT_MOVED_ON
            return True

        with ThreadPoolExecutor(2) as threads:
            paid, cancelled = threads.submit(paying), threads.submit(cancel, partner, customer, one)

        code, state = cancelled.result().json["responseCode"], stored(partner, one).state
        # 4045700: paid in the very moment; the partner asks again and gets it cancelled.
        assert (paid.result(), code, state) in {
            (True, "2005700", PaymentState.VOIDED),
            (True, "4045700", PaymentState.SUCCESS),
            (False, "2005700", PaymentState.CANCELLED),
        }
        assert partner.balance(customer) == (40_000 if state is PaymentState.SUCCESS else 100_000)
        if state is PaymentState.SUCCESS:
            ok(cancel(partner, customer, one), "57")


# -- refunding (service 58)


def test_a_settled_purchase_is_refunded_in_parts_and_never_cancelled(partner_on_both: Partner):  # S1-168 … S1-179
    partner = partner_on_both
    customer = partner.customer(100_000)
    one = bought(partner, customer)
    assert_snap_error(refund(partner, customer, one, 1_000), "4045800", "Invalid Transaction Status")
    partner.pass_time(days=1)
    reference = new_reference()

    first = ok(refund(partner, customer, one, 20_000, partnerRefundNo=reference), "58")

    assert list(first) == [
        "responseCode",
        "responseMessage",
        "originalPartnerReferenceNo",
        "originalReferenceNo",
        "originalExternalId",
        "refundNo",
        "partnerRefundNo",
        "refundAmount",
        "refundTime",
    ]
    assert (first["partnerRefundNo"], first["refundAmount"]) == (reference, rupiah(20_000))
    assert (partner.balance(customer), status(partner, customer, one)["latestTransactionStatus"]) == (60_000, "00")
    assert_snap_error(refund(partner, customer, one, 40_001), "4045813", "Invalid Amount")
    again = refund(partner, customer, one, 1_000, partnerRefundNo=reference)
    assert_snap_error(again, "4095801", "Duplicate partnerReferenceNo")
    assert_snap_error(cancel(partner, customer, one), "4045700", "Invalid Transaction Status")
    rest = ok(refund(partner, customer, one), "58")
    assert rest["refundAmount"] == rupiah(40_000)
    after = status(partner, customer, one)
    assert (after["latestTransactionStatus"], after["transactionStatusDesc"]) == ("04", "Refunded")
    assert [
        (item["partnerRefundNo"], item["refundAmount"], item["refundStatus"], item["reason"]) for item in after["refundHistory"]
    ] == [
        (reference, rupiah(20_000), "00", "rusak"),
        (rest["partnerRefundNo"], rupiah(40_000), "00", "rusak"),
    ]
    assert (partner.balance(customer), partner.books(PAYABLE)) == (100_000, (0,))
    assert_snap_error(refund(partner, customer, one), "4045813", "Invalid Amount")


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"originalPartnerReferenceNo": "never"}, "4045801", "Transaction Not Found"),
        ({"reason": None}, "4005802", "Invalid Mandatory Field {reason}"),
        ({"partnerRefundNo": None}, "4005802", "Invalid Mandatory Field {partnerRefundNo}"),
        ({"originalPartnerReferenceNo": None}, "4005802", "Invalid Mandatory Field {originalPartnerReferenceNo}"),
        ({"amount": {"value": "x", "currency": "IDR"}}, "4005801", "Invalid Field Format {refundAmount.value}"),
    ],
)
def test_a_refund_is_refused_in_the_documented_words(partner: Partner, given: dict[str, Any], code: str, message: str):
    customer = partner.customer(100_000)
    one = bought(partner, customer)

    assert_snap_error(refund(partner, customer, one, **given), code, message)


def test_refunds_at_once_never_give_back_more_than_was_paid(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(100_000)
    one = bought(partner, customer)
    partner.pass_time(days=1)
    assert customer.token

    with ThreadPoolExecutor(8) as threads:
        codes = Counter(threads.map(lambda _: refund(partner, customer, one, 20_000).json["responseCode"], range(8)))

    assert codes == Counter({"2005800": 3, "4045813": 5})
    assert partner.balance(customer) == 100_000


def test_money_a_merchant_gives_back_counts_as_income_and_comes_back_whatever_the_limit(partner: Partner):
    """Decision 0008: only what never had another owner is no income, such as money that was reserved."""
    partner.fund(20_000_000)
    customer = partner.customer(20_000_000)
    one = bought(partner, customer, 15_000_000)
    body = {"partnerReferenceNo": new_reference(), "customerNumber": customer.id, "amount": rupiah(15_000_000)}
    ok(partner.call("emoney/topup", customer, **body), "38")
    held = {"partnerReferenceNo": new_reference(), "amount": rupiah(5_000_000)}
    reserved = ok(partner.call("auth/payment", customer, **held), "64")
    ok(partner.call("auth/void", customer, **original(reserved)), "68")
    number = {"partnerReferenceNo": "1", "customerNumber": customer.id}
    assert ok(partner.call("emoney/account-inquiry", None, **number), "37")["customerMonthlyInLimit"] == "5000000.00"

    ok(cancel(partner, customer, one), "57")

    assert partner.balance(customer) == 35_000_000  # more than the account may hold: it is the customer's own
    assert ok(partner.call("emoney/account-inquiry", None, **number), "37")["customerMonthlyInLimit"] == "0.00"


def test_an_amount_of_nothing_is_no_refund_and_a_closed_account_gets_none(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(100_000)
    one = bought(partner, customer)
    partner.pass_time(days=1)

    assert_snap_error(refund(partner, customer, one, 0), "4045813", "Invalid Amount")
    partner.set_status(customer, AccountStatus.CLOSED)
    closed = partner.call("debit/refund", None, reason="x", partnerRefundNo=new_reference(), **original(one))
    assert_snap_error(closed, "4035818", "Inactive Card/Account/Customer")


# -- reserving (services 64, 66, 68)


def reserve(partner: Partner, customer: Customer, amount: Any = 60_000, **body: Any) -> dict[str, Any]:
    given = {"partnerReferenceNo": new_reference(), "amount": rupiah(amount)} | body
    return ok(partner.call("auth/payment", customer, **given), "64")


def hold_of(partner: Partner, customer: Customer) -> tuple[str, str]:
    info = ok(partner.call("balance-inquiry", customer, partnerReferenceNo="1"), "11")["accountInfos"][0]
    return info["availableBalance"]["value"], info["holdAmount"]["value"]


def test_what_is_reserved_can_be_spent_by_nobody_until_it_is_taken(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(100_000)

    one = reserve(partner, customer)

    assert hold_of(partner, customer) == ("40000.00", "60000.00")
    assert partner.books(PAYABLE, AUTHORISED) == (0, 60_000)
    assert status(partner, customer, one)["latestTransactionStatus"] == "03"
    assert_snap_error(open_one(partner, customer, 40_001), "4035414", "Insufficient Funds")
    taken = ok(
        partner.call("auth/capture", customer, captureAmount=rupiah(45_000), partnerCaptureNo="C-1", **original(one)), "66"
    )
    assert (taken["captureAmount"], taken["partnerCaptureNo"]) == (rupiah(45_000), "C-1")
    assert hold_of(partner, customer) == ("55000.00", "0.00")
    assert partner.books(PAYABLE, AUTHORISED) == (45_000, 0)
    after = status(partner, customer, one)
    assert (after["latestTransactionStatus"], after["transAmount"], after["originalResponseCode"]) == (
        "00",
        rupiah(45_000),
        "2006400",
    )
    for again in (partner.call("auth/capture", customer, **original(one)), partner.call("auth/void", customer, **original(one))):
        assert again.json["responseCode"] in ("4046600", "4046800")


def test_what_is_reserved_is_let_go_by_voiding_and_by_time(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(100_000)
    voided, forgotten = reserve(partner, customer, 30_000), reserve(partner, customer, 20_000)

    answer = ok(partner.call("auth/void", None, partnerVoidNo="V-1", **original(voided)), "68")

    assert (answer["voidAmount"], answer["partnerVoidNo"]) == (rupiah(30_000), "V-1")
    assert hold_of(partner, customer) == ("80000.00", "20000.00")
    assert_snap_error(partner.call("auth/capture", customer, **original(voided)), "4046604", "Transaction Cancelled")
    partner.pass_time(days=7)
    assert hold_of(partner, customer) == ("100000.00", "0.00")
    assert_snap_error(partner.call("auth/capture", customer, **original(forgotten)), "4036600", "Transaction Expired")
    assert status(partner, customer, forgotten)["latestTransactionStatus"] == "05"


def test_no_more_is_reserved_and_taken_than_there_is(partner: Partner):
    customer = partner.customer(100_000)
    one = reserve(partner, customer)

    too_much = partner.call("auth/payment", customer, partnerReferenceNo=new_reference(), amount=rupiah(40_001))
    capture = partner.call("auth/capture", customer, captureAmount=rupiah(60_001), **original(one))
    purchase_is_none = partner.call("auth/capture", customer, **original(ok(open_one(partner, customer, 1_000), "54")))

    assert_snap_error(too_much, "4036414", "Insufficient Funds")
    assert_snap_error(capture, "4046613", "Invalid Amount")
    assert_snap_error(purchase_is_none, "4046601", "Transaction Not Found")
    ok(partner.call("auth/void", customer, **original(one)), "68")


def test_money_is_reserved_for_a_month_at_most(partner: Partner):
    customer, now = partner.customer(100_000), partner.now()
    body = {"partnerReferenceNo": new_reference(), "amount": rupiah(1_000)}

    over = partner.call("auth/payment", customer, validUpTo=snap_time(now - timedelta(seconds=1)), **body)
    long = partner.call("auth/payment", customer, validUpTo=snap_time(now + timedelta(days=30, minutes=1)), **body)
    one = ok(partner.call("auth/payment", customer, validUpTo=snap_time(now + timedelta(days=29)), **body), "64")

    assert_snap_error(over, "4036400", "Transaction Expired")
    assert_snap_error(long, "4006401", "Invalid Field Format {validUpTo}")
    assert one["validUpTo"] == snap_time(now + timedelta(days=29))


def test_taking_and_letting_go_at_once_end_in_one_story(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(100_000)
    one = reserve(partner, customer)
    assert customer.token

    def act(n: int) -> bool:
        return partner.call("auth/capture" if n % 2 else "auth/void", customer, **original(one)).status == 200

    with ThreadPoolExecutor(8) as threads:
        won = sum(threads.map(act, range(8)))

    state = stored(partner, one).state
    assert won == 1
    assert state in (PaymentState.SUCCESS, PaymentState.RELEASED)
    assert partner.balance(customer) == (40_000 if state is PaymentState.SUCCESS else 100_000)


def test_a_captured_payment_is_cancelled_and_refunded_like_a_purchase(partner_on_both: Partner):
    partner = partner_on_both
    customer = partner.customer(200_000)
    first, second = reserve(partner, customer), reserve(partner, customer)
    for one in (first, second):
        ok(partner.call("auth/capture", customer, captureAmount=rupiah(50_000), **original(one)), "66")

    ok(cancel(partner, customer, first), "57")
    partner.pass_time(days=1)
    ok(refund(partner, customer, second), "58")

    assert partner.balance(customer) == 200_000


# -- what the merchant is told


def told(partner: Partner, one: dict[str, Any]) -> list[dict[str, Any]]:
    order_id = stored(partner, one).order_id
    found = partner.database.read_now(lambda tx: list_notifications(tx, order_id=order_id))
    assert all((item.kind, item.url) == ("snap", "http://127.0.0.1:9/notify") for item in found)
    return [json.loads(item.body) for item in found]


def test_a_merchant_is_told_once_about_each_end(partner_on_both: Partner):  # S1-206
    partner = partner_on_both
    customer = partner.customer(300_000)
    notify = [{"url": "http://127.0.0.1:9/notify", "type": "PAY_NOTIFY"}]
    paid, cancelled, voided = bought(partner, customer, urlParam=notify), open_one(partner, customer, urlParam=notify), None
    voided = bought(partner, customer, urlParam=notify)
    expired = ok(open_one(partner, customer, urlParam=notify), "54")
    ok(cancel(partner, customer, ok(cancelled, "54")), "57")
    ok(cancel(partner, customer, voided), "57")
    partner.pass_time(days=1)
    ok(refund(partner, customer, paid), "58")

    assert [body["latestTransactionStatus"] for body in told(partner, paid)] == ["00"]  # refunds are not told
    assert [body["latestTransactionStatus"] for body in told(partner, ok(cancelled, "54"))] == ["05"]
    assert [body["latestTransactionStatus"] for body in told(partner, voided)] == ["00", "05"]
    assert [body["transactionStatusDesc"] for body in told(partner, expired)] == ["Expired"]
    body = told(partner, paid)[0]
    assert 1 <= len(body["originalExternalId"]) <= 64
    del body["originalExternalId"]
    assert body == {
        "originalPartnerReferenceNo": paid["partnerReferenceNo"],
        "originalReferenceNo": paid["referenceNo"],
        "latestTransactionStatus": "00",
        "transactionStatusDesc": "Success",
        "amount": rupiah(60_000),
        "additionalInfo": {
            "channelId": "EMONEY_DOKU_SNAP",
            "acquirerId": "DOKU",
            "custIdMerchant": customer.id,
            "accountType": "EMONEY",
        },
        "lineItems": [],
    }


# -- the sandbox's play


@pytest.mark.parametrize(("outcome", "code"), [("SUCCESS", "00"), ("FAILED", "06"), ("CANCELLED", "05"), ("EXPIRED", "05")])
def test_a_tester_plays_the_customers_part(partner: Partner, outcome: str, code: str):
    customer = partner.customer(60_000)
    one = ok(open_one(partner, customer), "54")

    partner.running.control(
        "POST",
        "/payments/outcome",
        {"client_id": CLIENT_ID, "invoice_number": one["partnerReferenceNo"], "outcome": outcome},
    )

    assert status(partner, customer, one)["latestTransactionStatus"] == code
    assert partner.balance(customer) == (0 if outcome == "SUCCESS" else 60_000)


def test_inferred_paths_are_served_under_both_names_and_ask_for_a_token_under_one():
    found = {(one.path, one.needs_customer) for one in purchase.ENDPOINTS if one.service_code == "55"}

    assert found == {("/snap-adapter/b2b/v1.0/debit/status", False), ("/snap-adapter/b2b2c/v1.0/debit/status", True)}
