"""Refunds that the operator opens by hand, of any channel's payment: a console action where DOKU documents no call (D-7)."""

import json
import uuid
from typing import Any

import pytest
from click.testing import CliRunner

from gerbang.cli import main
from gerbang.merchants import update
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from support.card_calls import CardMerchant
from support.gateway import RunningGateway
from support.listener import Listener
from support.provider_orders import NOBODY, Shop, moved
from support.snap_money import CLIENT_ID, Partner, rupiah

LINKAJA: dict[str, Any] = {
    "order": {
        "invoice_number": "replaced",
        "amount": 150_000,
        "callback_url": "https://merchant.com/return-url",
        "line_items": [{"name": "Roti", "price": 150_000, "quantity": 1}],
    },
    "additional_info": {"override_notification_url": NOBODY},
}
TAKEN_BY = "provider:EMONEY_LINKAJA"
PAYABLE, REFUNDING = f"merchant:{DEMO_CLIENT_ID}:payable", f"merchant:{DEMO_CLIENT_ID}:refunding"


@pytest.fixture
def shop(gateway: RunningGateway) -> Shop:
    return Shop(gateway, "EMONEY_LINKAJA", "/linkaja-emoney/v2/ServiceRequestPayment", LINKAJA)


def paid(shop: Shop) -> str:
    """The invoice number of a paid order."""
    invoice = shop.opened()
    shop.play(invoice, "SUCCESS")
    return invoice


def opened(shop: Shop, invoice: str, **more: Any) -> dict[str, Any]:
    """A refund of it, waiting for a person."""
    wanted = {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, **more}
    return dict(shop.running.control("POST", "/refunds", wanted))


def refused(shop: Shop, path: str, body: object) -> tuple[int, str]:
    answer = shop.running.request("POST", "/sandbox/v1" + path, json.dumps(body).encode())
    return answer.status, answer.json["error"]["code"]


def complete(shop: Shop, refund: dict[str, Any]) -> dict[str, Any]:
    return dict(shop.running.control("POST", f"/refunds/{refund['id']}/complete", {}))


def told(shop: Shop, invoice: str) -> list[str]:
    return [json.loads(one["body"])["transaction"]["status"] for one in shop.record(invoice)["notifications"]]


def test_a_whole_payment_is_refunded_by_hand_and_only_check_status_says_so(shop: Shop) -> None:
    """D-7: REFUNDED, and no notification."""
    invoice = paid(shop)

    refund = opened(shop, invoice)
    assert (refund["type"], refund["amount"], refund["state"]) == ("MANUAL_FULL_REFUND", 150_000, "PENDING")
    assert refund["request_id"]
    assert shop.said(invoice) == "SUCCESS"  # nobody has transferred anything yet
    assert shop.running.control("GET", "/refunds")["refunds"] == [refund]
    complete(shop, refund)

    status = shop.running.status(invoice).json
    assert status["transaction"]["status"] == "REFUNDED"
    assert status["refund"] == {"amount": "150000", "type": "MANUAL_FULL_REFUND", "status": "SUCCESS"}
    assert told(shop, invoice) == ["SUCCESS"]
    assert moved(shop.payment(invoice)) == [
        (TAKEN_BY, PAYABLE, 150_000),
        (PAYABLE, REFUNDING, 150_000),
        (REFUNDING, TAKEN_BY, 150_000),
    ]


def test_a_part_leaves_the_payment_paid_and_check_status_names_it(shop: Shop) -> None:
    """D-7."""
    invoice = paid(shop)
    assert "refund" not in shop.running.status(invoice).json

    first = opened(shop, invoice, amount=50_000)
    assert first["type"] == "MANUAL_PARTIAL_REFUND"
    assert "refund" not in shop.running.status(invoice).json
    complete(shop, first)

    status = shop.running.status(invoice).json
    assert status["transaction"]["status"] == "SUCCESS"
    assert status["refund"] == {"amount": "50000", "type": "MANUAL_PARTIAL_REFUND", "status": "SUCCESS"}
    rest = opened(shop, invoice)
    assert (rest["amount"], rest["type"]) == (100_000, "MANUAL_PARTIAL_REFUND")
    complete(shop, rest)
    assert shop.said(invoice) == "REFUNDED"
    assert told(shop, invoice) == ["SUCCESS"]


def test_a_refund_that_cannot_be_carried_out_gives_the_merchant_its_money_again(shop: Shop) -> None:
    invoice = paid(shop)
    refund = opened(shop, invoice)

    shop.running.control("POST", f"/refunds/{refund['id']}/fail", {"message": "account closed"})

    assert shop.said(invoice) == "SUCCESS"
    assert "refund" not in shop.running.status(invoice).json
    assert told(shop, invoice) == ["SUCCESS"]
    assert opened(shop, invoice)["amount"] == 150_000


def test_no_more_than_was_paid_is_given_back(shop: Shop) -> None:
    invoice = paid(shop)
    named = {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice}
    opened(shop, invoice, amount=100_000)

    assert refused(shop, "/refunds", {**named, "amount": 50_001}) == (400, "refund_too_large")
    opened(shop, invoice, amount=50_000)
    assert refused(shop, "/refunds", named) == (400, "refund_too_large")
    assert refused(shop, "/refunds", {**named, "amount": 0}) == (400, "bad_request")


@pytest.mark.parametrize("outcome", [None, "FAILED", "EXPIRED"])
def test_what_was_not_paid_has_nothing_to_give_back(shop: Shop, outcome: str | None) -> None:
    invoice = shop.opened()
    if outcome:
        shop.play(invoice, outcome)
    named = {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice}

    assert refused(shop, "/refunds", named) == (400, "payment_not_paid")
    assert refused(shop, "/refunds", {**named, "payment_id": "pay_0"}) == (400, "payment_not_paid")
    assert refused(shop, "/refunds", {**named, "invoice_number": "nobody-s"}) == (404, "order_not_found")


def test_a_wallet_payment_goes_back_into_the_wallet(gateway: RunningGateway) -> None:
    """DOKU e-Wallet: no refund call is documented, so it is the operator's."""
    invoice = uuid.uuid4().hex[:12]
    gateway.create_order(invoice, 60_000, notify_url=NOBODY)
    order = {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice}
    ended = gateway.control("POST", "/payments/outcome", {**order, "outcome": "SUCCESS"})
    [took] = moved(ended["payments"][0])

    refund = gateway.control("POST", "/refunds", order)
    gateway.control("POST", f"/refunds/{refund['id']}/complete", {})

    record = gateway.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={invoice}")
    assert gateway.status(invoice).json["transaction"]["status"] == "REFUNDED"
    assert moved(record["payments"][0])[-1] == (REFUNDING, took[0], 60_000)
    assert took[0].startswith("wallet:")
    assert [json.loads(one["body"])["transaction"]["status"] for one in record["notifications"]] == ["SUCCESS"]
    assert gateway.control("GET", "/verify") == {"ok": True, "problems": []}


def test_a_purchase_over_snap_goes_back_into_the_wallet_too(gateway: RunningGateway) -> None:
    partner = Partner(gateway)
    customer = partner.customer(500_000)
    reference = uuid.uuid4().hex
    url = {"url": "https://shop.example/back", "type": "PAY_RETURN", "isDeepLink": "N"}
    opened = partner.call(
        "debit/payment-host-to-host", customer, partnerReferenceNo=reference, amount=rupiah(60_000), urlParam=[url]
    )
    assert opened.status == 200, opened.body
    order = {"client_id": CLIENT_ID, "invoice_number": reference}
    gateway.control("POST", "/payments/outcome", {**order, "outcome": "SUCCESS"})
    paid_by = gateway.control("GET", f"/payments?client_id={CLIENT_ID}&invoice_number={reference}")["payments"][0]["payer"]
    assert paid_by == customer.id
    before = partner.balance(customer)

    refund = gateway.control("POST", "/refunds", {**order, "amount": 20_000})
    gateway.control("POST", f"/refunds/{refund['id']}/complete", {})

    assert partner.balance(customer) == before + 20_000
    assert gateway.control("GET", "/verify") == {"ok": True, "problems": []}


def test_a_cards_merchant_is_told_of_a_refund_by_hand(gateway: RunningGateway, listener: Listener) -> None:
    """D-7: cards are the only ones."""
    shop = CardMerchant(gateway, service="direct")
    page = shop.paid()
    gateway.database.transact_now(lambda tx: update(tx, shop.client_id, notification_url=listener.url("/n")))

    refund = gateway.control("POST", "/refunds", {"client_id": shop.client_id, "invoice_number": page.invoice, "amount": 30_000})
    assert listener.received() == []
    gateway.control("POST", f"/refunds/{refund['id']}/complete", {})

    [call] = listener.wait_for(1)
    assert call.json()["transaction"]["status"] == "SUCCESS"
    assert call.json()["refund"] == {"amount": 30_000, "type": "MANUAL_PARTIAL_REFUND", "status": "SUCCESS"}


# -- the command line


def run(data: str, *words: str) -> Any:
    return CliRunner().invoke(main, [*words], env={"GERBANG_DATA": data, "GERBANG_CONFIG": ""})


@pytest.fixture
def data(sqlite_gateway: RunningGateway) -> str:
    """Where `sqlite_gateway` keeps its data."""
    return sqlite_gateway.gateway.settings.data


def test_the_operator_opens_a_refund_beside_the_server_and_completes_it(sqlite_gateway: RunningGateway, data: str) -> None:
    shop = Shop(sqlite_gateway, "EMONEY_LINKAJA", "/linkaja-emoney/v2/ServiceRequestPayment", LINKAJA)
    invoice = paid(shop)

    shown = run(data, "refunds", "open", invoice, "--amount", "50000", "--json")
    assert shown.exit_code == 0, shown.output
    part = json.loads(shown.stdout)
    assert (part["type"], part["amount"], part["state"]) == ("MANUAL_PARTIAL_REFUND", 50_000, "PENDING")
    whole = run(data, "refunds", "open", shop.payment(invoice)["id"])
    assert "MANUAL_PARTIAL_REFUND" in whole.stdout
    assert "100.000" in whole.stdout
    assert "a person" in run(data, "refunds", "list").stdout

    assert run(data, "refunds", "complete", part["id"]).exit_code == 0

    assert shop.running.status(invoice).json["refund"]["amount"] == "50000"
    too_much = run(data, "refunds", "open", invoice)
    assert too_much.exit_code == 1
    assert "more would go back than was paid" in too_much.stderr
    assert told(shop, invoice) == ["SUCCESS"]


@pytest.mark.parametrize("amount", ["0", "-1", "1.5", "all"])
def test_an_amount_that_is_none_is_misuse(sqlite_gateway: RunningGateway, data: str, amount: str) -> None:
    assert run(data, "refunds", "open", "INV-1", "--amount", amount).exit_code == 2


def test_a_refund_of_an_unpaid_or_unknown_order_is_refused(sqlite_gateway: RunningGateway, data: str) -> None:
    shop = Shop(sqlite_gateway, "EMONEY_LINKAJA", "/linkaja-emoney/v2/ServiceRequestPayment", LINKAJA)

    unpaid, unknown = run(data, "refunds", "open", shop.opened()), run(data, "refunds", "open", "INV-NOBODY")

    assert (unpaid.exit_code, unknown.exit_code) == (1, 1)
    assert "the payment is not paid" in unpaid.stderr
    assert "no such order" in unknown.stderr
