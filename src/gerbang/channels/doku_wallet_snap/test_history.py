"""History over SNAP: everything that happened to a balance, once, in order, and it adds up."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gerbang.channels.doku_wallet_snap import authorisations, purchase
from gerbang.channels.doku_wallet_snap.history import Movement, movements
from gerbang.channels.doku_wallet_snap.wire_money import (
    AuthPaymentRequest,
    CancelRequest,
    CaptureRequest,
    PurchaseRequest,
    RefundRequest,
    VoidRequest,
)
from gerbang.clock import WIB
from gerbang.endpoint import Call
from gerbang.errors import Refused
from gerbang.ids import new_id
from gerbang.ledger import Transfer, account, balance_of, post, verify
from gerbang.merchants import Merchant, create
from gerbang.money import Rupiah
from gerbang.payments import verify_payments
from gerbang.protocols.snap.times import snap_time
from gerbang.protocols.snap.wire import Amount
from gerbang.settings import Settings
from gerbang.storage import Database, Tx, open_database
from gerbang.wallet import Account, Level, WalletLimits, create_account, get_account, wallet_ledger_account
from gerbang.wallet.bank import BankAccount, BankAnswer, BankState
from gerbang.wallet.limits import money_held
from gerbang.wallet.operations import (
    OperationDetails,
    begin_transfer,
    conclude,
    corporate_account,
    top_up_from_merchant,
    verify_operations,
)
from support.gateway import NOON, Answer, RunningGateway, lent_gateway
from support.snap import assert_snap_error, assert_snap_ok
from support.snap_money import Customer, Partner, give, new_reference, rupiah

LIST, DETAIL = "transaction-history-list", "transaction-history-detail"
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def partner() -> Iterator[Partner]:
    with lent_gateway(wallet_transfer_fee=2_500) as running:
        yield Partner(running)


def ok(answer: Answer, service_code: str) -> dict[str, Any]:
    return assert_snap_ok(answer, service_code)


def history(partner: Partner, customer: Customer, **body: Any) -> list[dict[str, Any]]:
    answer = ok(partner.call(LIST, customer, **({"partnerReferenceNo": "H-1"} | body)), "12")
    assert list(answer)[2:] == ["referenceNo", "partnerReferenceNo", "detailData", "additionalInfo"]
    assert answer["partnerReferenceNo"] == "H-1"
    found: list[dict[str, Any]] = answer["detailData"]
    return found


def detail(partner: Partner, customer: Customer, reference: str) -> dict[str, Any]:
    return ok(partner.call(DETAIL, customer, originalPartnerReferenceNo=reference), "13")


def buy(partner: Partner, customer: Customer, amount: int) -> dict[str, Any]:
    """A purchase, paid."""
    body = {"partnerReferenceNo": new_reference(), "amount": rupiah(amount)}
    one = ok(partner.call("debit/payment-host-to-host", customer, **body), "54")

    def pay(tx: Tx) -> None:
        found = purchase.find(tx, one["referenceNo"])
        assert found is not None
        customer_now = get_account(tx, customer.id)
        purchase.pay(tx, *found, customer_now, settings=partner.running.gateway.settings, now=partner.now())

    partner.database.transact_now(pay)
    return one


def transfer(partner: Partner, customer: Customer, amount: int, number: str) -> dict[str, Any]:
    answer = partner.call(
        "emoney/transfer-bank",
        customer,
        partnerReferenceNo=new_reference(),
        customerNumber=customer.id,
        accountType="S",
        beneficiaryAccountNumber=number,
        beneficiaryBankCode="014",
        amount=rupiah(amount),
    )
    assert answer.status in (200, 202), answer.body
    found: dict[str, Any] = answer.json
    return found


def test_everything_that_moved_a_balance_is_there_newest_first(partner: Partner):  # S1-180 … S1-193
    customer = partner.customer()
    partner.fund(500_000)
    body = {"partnerReferenceNo": new_reference(), "customerNumber": customer.id, "amount": rupiah(500_000)}
    topped = ok(partner.call("emoney/topup", customer, **body), "38")
    bought = buy(partner, customer, 60_000)
    cancelled = buy(partner, customer, 30_000)
    ok(partner.call("debit/cancel", customer, originalPartnerReferenceNo=cancelled["partnerReferenceNo"]), "57")
    sent, pending = transfer(partner, customer, 50_000, "123450000987"), transfer(partner, customer, 10_000, "9990001")

    found = history(partner, customer)

    told = [(item["type"], item["status"], item["amount"]["value"], item["remark"]) for item in found]
    assert told == [
        ("CASHOUT", "PENDING", "10000.00", "Transfer ke BCA •••• 0001"),
        ("CASHOUT", "SUCCESS", "50000.00", "Transfer ke BCA •••• 0987"),
        ("REFUND", "SUCCESS", "30000.00", "Pembatalan dari Pasar Pagi"),
        ("PAYMENT", "CANCELED", "30000.00", "Pembayaran di Pasar Pagi"),
        ("PAYMENT", "SUCCESS", "60000.00", "Pembayaran di Pasar Pagi"),
        ("TOP_UP", "SUCCESS", "500000.00", "Isi saldo dari Pasar Pagi"),
    ]
    assert all(item["sourceOfFunds"] == [{"source": "BALANCE", "amount": item["amount"]}] for item in found)
    assert all(item["dateTime"].endswith("+07:00") for item in found)
    assert found[0]["additionalInfo"] == {
        "partnerReferenceNo": pending["partnerReferenceNo"],
        "referenceNo": pending["referenceNo"],
        "feeAmount": rupiah(2_500),
    }
    for item, one in ((found[1], sent), (found[4], bought), (found[5], topped)):
        assert item["additionalInfo"]["partnerReferenceNo"] == one["partnerReferenceNo"]
        assert item["additionalInfo"]["referenceNo"] == one["referenceNo"]


def test_a_history_comes_in_pages_that_neither_repeat_nor_leave_out(partner: Partner):
    customer = partner.customer(100_000)
    for n in range(12):
        buy(partner, customer, 1_000 + n)

    whole = history(partner, customer, pageSize=100)
    default = history(partner, customer)
    pages = [history(partner, customer, pageSize="5", pageNumber=str(n)) for n in range(4)]

    assert [item["amount"]["value"] for item in whole] == [f"{1_000 + n}.00" for n in reversed(range(12))] + ["100000.00"]
    assert default == whole[:10]
    assert [len(page) for page in pages] == [5, 5, 3, 0]
    assert [item for page in pages for item in page] == whole


def test_a_history_is_the_customers_own(partner: Partner):
    customer, other = partner.customer(5_000), partner.customer()

    assert len(history(partner, customer)) == 1
    assert history(partner, other) == []


def test_what_was_bought_elsewhere_is_told_without_the_other_partners_references(partner: Partner):
    customer = partner.customer(50_000)

    def elsewhere(tx: Tx) -> None:
        shop = create(tx, name="Toko Lain", now=partner.now())
        move(tx, "buy", 7_000, customer.account, shop, partner.now())

    partner.database.transact_now(elsewhere)

    item = history(partner, customer)[0]
    assert (item["remark"], item["amount"], item["additionalInfo"]) == ("Pembayaran di Toko Lain", rupiah(7_000), {})


@pytest.mark.parametrize(
    ("since", "until", "code"),
    [
        (timedelta(days=-27), timedelta(0), None),
        (timedelta(days=-364), timedelta(days=-364 + 27), None),
        (timedelta(days=-32), timedelta(0), "4001201"),
        (timedelta(days=-367), timedelta(days=-366), "4001201"),
        (timedelta(0), timedelta(seconds=-1), "4001201"),
        (timedelta(days=-1), None, None),
        (None, timedelta(0), None),
        (None, timedelta(days=-365), "4001201"),
    ],
)
def test_a_range_is_a_month_at_most_and_a_year_ago_at_the_earliest(
    partner: Partner, since: timedelta | None, until: timedelta | None, code: str | None
):
    customer, now = partner.customer(5_000), partner.now()
    body = {
        "fromDateTime": None if since is None else snap_time(now + since),
        "toDateTime": None if until is None else snap_time(now + until),
    }

    answer = partner.call(LIST, customer, partnerReferenceNo="1", **body)

    if code is None:
        ok(answer, "12")
    else:
        assert_snap_error(answer, code, "Invalid Field Format {fromDateTime}")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pageSize": 101}, "Invalid Field Format {pageSize}"),
        ({"pageSize": 0}, "Invalid Field Format {pageSize}"),
        ({"pageNumber": -1}, "Invalid Field Format {pageNumber}"),
        ({"pageNumber": "one"}, "Invalid Field Format {pageNumber}"),
        ({"fromDateTime": "01-01-2026"}, "Invalid Field Format {fromDateTime}"),
        ({"toDateTime": "soon"}, "Invalid Field Format {toDateTime}"),
    ],
)
def test_a_malformed_question_is_refused_by_name(partner: Partner, given: dict[str, Any], message: str):
    answer = partner.call(LIST, partner.customer(), **({"partnerReferenceNo": "1"} | given))

    assert_snap_error(answer, "4001201", message)


def test_a_calendar_month_reaches_from_the_31st_to_the_last_day_of_the_next(database: Database):
    """Days of February are fewer; whole months are allowed nevertheless."""
    from gerbang.channels.doku_wallet_snap.history import _months_later

    january = datetime(2026, 1, 31, 8, 30, tzinfo=WIB)

    assert _months_later(january, 1) == datetime(2026, 2, 28, 8, 30, tzinfo=WIB)
    assert _months_later(datetime(2026, 12, 5, tzinfo=WIB), 1) == datetime(2027, 1, 5, tzinfo=WIB)
    assert _months_later(datetime(2028, 2, 29, tzinfo=WIB), -12) == datetime(2027, 2, 28, tzinfo=WIB)


# -- detail (service 13)


def test_a_detail_tells_of_cancellation_and_refund_only_when_they_happened(partner: Partner):  # S1-194 … S1-203
    customer = partner.customer(200_000)
    plain, gone = buy(partner, customer, 60_000), buy(partner, customer, 30_000)
    ok(partner.call("debit/cancel", customer, originalPartnerReferenceNo=gone["partnerReferenceNo"]), "57")

    told = detail(partner, customer, plain["partnerReferenceNo"])

    assert told["dateTime"].endswith("+07:00")
    del told["dateTime"]
    assert told == {
        "responseCode": "2001300",
        "responseMessage": "Successful",
        "referenceNo": plain["referenceNo"],
        "partnerReferenceNo": plain["partnerReferenceNo"],
        "amount": rupiah(60_000),
        "remark": "Pembayaran di Pasar Pagi",
        "sourceOfFunds": [{"source": "BALANCE", "amount": rupiah(60_000)}],
        "status": "SUCCESS",
        "type": "PAYMENT",
        "additionalInfo": {},
    }
    after = detail(partner, customer, gone["partnerReferenceNo"])
    assert after["status"] == "CANCELED"
    assert after["cancelledTime"].endswith("+07:00")
    assert "refundAmount" not in after


def test_a_detail_finds_each_kind_by_its_own_reference(gateway: RunningGateway):
    partner = Partner(gateway)
    customer = partner.customer(200_000)
    partner.fund(1_000)
    body = {"partnerReferenceNo": new_reference(), "customerNumber": customer.id, "amount": rupiah(1_000)}
    topped = ok(partner.call("emoney/topup", customer, **body), "38")
    sent = transfer(partner, customer, 10_000, "123")
    bought = buy(partner, customer, 60_000)
    held = ok(partner.call("auth/payment", customer, partnerReferenceNo=new_reference(), amount=rupiah(5_000)), "64")
    open_one = ok(
        partner.call("debit/payment-host-to-host", customer, partnerReferenceNo=new_reference(), amount=rupiah(9)), "54"
    )
    kinds = [detail(partner, customer, one["partnerReferenceNo"]) for one in (topped, sent, bought, held, open_one)]
    partner.pass_time(days=1)
    back = partner.call(
        "debit/refund",
        customer,
        originalPartnerReferenceNo=bought["partnerReferenceNo"],
        reason="x",
        partnerRefundNo="R-1",
        refundAmount=rupiah(20_000),
    )

    assert [(one["type"], one["status"]) for one in kinds] == [
        ("TOP_UP", "SUCCESS"),
        ("CASHOUT", "SUCCESS"),
        ("PAYMENT", "SUCCESS"),
        ("PAYMENT", "PENDING"),
        ("PAYMENT", "INIT"),
    ]
    refunded = detail(partner, customer, "R-1")
    assert (refunded["type"], refunded["amount"], refunded["referenceNo"]) == (
        "REFUND",
        rupiah(20_000),
        ok(back, "58")["refundNo"],
    )
    assert detail(partner, customer, bought["partnerReferenceNo"])["refundAmount"] == rupiah(20_000)
    assert detail(partner, customer, open_one["partnerReferenceNo"])["status"] == "CLOSED"


def test_a_detail_of_somebody_else_is_not_found(partner: Partner):
    customer, other = partner.customer(100_000), partner.customer()
    partner.fund(1_000)
    body = {"partnerReferenceNo": new_reference(), "customerNumber": customer.id, "amount": rupiah(1_000)}
    references = [
        ok(partner.call("emoney/topup", customer, **body), "38")["partnerReferenceNo"],
        transfer(partner, customer, 10_000, "123")["partnerReferenceNo"],
        buy(partner, customer, 6_000)["partnerReferenceNo"],
        "never",
    ]

    for reference in references:
        answer = partner.call(DETAIL, other, originalPartnerReferenceNo=reference)
        assert_snap_error(answer, "4041301", "Transaction Not Found")
    assert_snap_error(partner.call(DETAIL, other), "4001302", "Invalid Mandatory Field {originalPartnerReferenceNo}")


# -- it adds up


def shop_call(tx: Tx, shop: Merchant, customer_id: str, now: datetime) -> Call:
    return Call(
        tx=tx,
        merchant=shop,
        request_id=new_reference(),
        now=now,
        settings=Settings(),
        public_url="https://pay.example",
        external_id=new_reference(),
        customer_id=customer_id,
    )


def move(tx: Tx, what: str, amount: int, customer: Account, shop: Merchant, now: datetime) -> None:
    """One thing that happens to a customer's money, from beginning to end; `later` is after settlement."""
    call, later = shop_call(tx, shop, customer.id, now), shop_call(tx, shop, customer.id, now + timedelta(days=1))
    name, reference, money = wallet_ledger_account(customer.id), new_reference(), Amount.of(amount)
    match what:
        case "counter":
            give(tx, name, amount, now=now)
        case "fix":
            post(tx, [Transfer(name, account("correction", "operator"), Rupiah(amount), "gross")], cause=new_id("fix"), now=now)
        case "topup":
            give(tx, corporate_account(shop.client_id), amount, now=now)
            top_up_from_merchant(
                tx,
                merchant_id=shop.client_id,
                customer=customer,
                amount=Rupiah(amount),
                partner_reference=reference,
                external_id="1",
                details=OperationDetails(),
                limits=WalletLimits(10**9, 10**9, 10**9, 10**9),
                now=now,
            )
        case "done" | "refused" | "pending":
            operation = begin_transfer(
                tx,
                merchant_id=shop.client_id,
                customer=customer,
                to=BankAccount("014", "12345", "ADI"),
                amount=Rupiah(amount),
                fee=Rupiah(7),
                partner_reference=reference,
                external_id="1",
                details=OperationDetails(),
                now=now,
            )
            conclude(tx, operation, BankAnswer(BankState[what.upper()]), now=now, again_in_s=3600)
        case "hold" | "capture" | "void":
            authorisations.authorise(call, AuthPaymentRequest(reference, money))
            if what == "capture":
                authorisations.capture(call, CaptureRequest(reference, captureAmount=Amount.of(max(1, amount // 2))))
            elif what == "void":
                authorisations.void(call, VoidRequest(reference))
        case _:
            opened = purchase.open_purchase(call, PurchaseRequest(reference, money))
            found = purchase.find(tx, opened.referenceNo)
            assert found is not None
            if what != "unpaid":
                purchase.pay(tx, *found, customer, settings=Settings(), now=now)
            if what in ("cancel", "unpaid"):
                purchase.cancel_purchase(call, CancelRequest(reference))
            elif what == "refund":
                part = Amount.of(max(1, amount // 3))
                purchase.refund_purchase(later, RefundRequest(reference, "x", new_reference(), part))


WORDS = ("counter", "fix", "topup", "done", "refused", "pending", "hold", "capture", "void", "buy", "cancel", "unpaid", "refund")
LINES = {"cancel": 2, "refund": 2, "unpaid": 0}


@pytest.fixture(scope="module")
def books() -> Iterator[Database]:
    database = open_database(":memory:", connections=1)
    yield database
    problems = database.read_now(lambda tx: verify(tx) + verify_payments(tx) + verify_operations(tx))
    database.close()
    assert problems == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(things=st.lists(st.tuples(st.sampled_from(WORDS), st.integers(1, 60_000)), max_size=25), phone=st.uuids())
def test_a_history_adds_up_to_the_balance_whatever_happened(books: Database, things: list[tuple[str, int]], phone: Any):
    def open_account(tx: Tx) -> tuple[Account, Merchant]:
        number = f"08{phone.int % 10**11:011d}"
        made = create_account(tx, phone=number, name="Rina", level=Level.PREMIUM, now=NOON)
        give(tx, wallet_ledger_account(made.id), 100_000, now=NOON)
        return made, create(tx, name="Toko", client_id=f"S-{phone}", now=NOON)

    with suppress(Refused):  # the phone was drawn before
        customer, shop = books.transact_now(open_account)
        expected = 1
        for number, (what, amount) in enumerate(things):
            now = NOON + timedelta(minutes=number)
            with suppress(Refused):  # not enough money: nothing happened
                books.transact_now(lambda tx, what=what, amount=amount, now=now: move(tx, what, amount, customer, shop, now))
                expected += LINES.get(what, 1)

        def look(tx: Tx) -> tuple[list[Movement], int, int]:
            found = movements(tx, customer.id, since=EVER[0], until=EVER[1], limit=1_000)
            return found, balance_of(tx, wallet_ledger_account(customer.id)), money_held(tx, customer.id, now=NOON)

        found, balance, held = books.read_now(look)
        assert sum(one.net for one in found) == balance
        assert len(found) == len({one.cause for one in found}) == expected
        assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)
        assert held == -sum(one.net for one in found if one.status == "PENDING")
        assert all(one.net == 0 for one in found if one.status in ("CANCELED", "CLOSED") and one.type != "PAYMENT" and one.fee)
        assert all(one.amount > 0 for one in found)
