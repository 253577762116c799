"""Akulaku (ewallet §7): every field, the closed answer, cancel, what the merchant is told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.gateway import Answer, lent_gateway
from support.nonsnap import DEMO_CLIENT_ID, import_merchant
from support.provider_orders import GONE, NOBODY, Shop, assert_refused, moved, silence

CODE = "PEER_TO_PEER_AKULAKU"
ROOT = "/akulaku-peer-to-peer/v2"
SAMPLE: dict[str, Any] = {
    "order": {
        "invoice_number": "INV-20210707-0001",
        "amount": 90000,
        "line_items": [
            {"name": "T-Shirt Red", "price": 30000, "quantity": 2, "sku": "1002", "category": "Shirt"},
            {"name": "Polo Navy", "price": 30000, "quantity": 1, "sku": "1001", "category": "Shirt"},
        ],
        "callback_url": "https://merchant.com/return-url",
    },
    "payment": {"merchant_unique_reference": "MUR-20210707-0001"},
    "customer": {
        "id": "CUST-0001",
        "name": "Anton Budiman",
        "phone": "6285694566147",
        "address": "Menara Mulia Lantai 8",
        "postcode": "120129",
        "state": "DKI Jakarta",
        "city": "Jakarta Selatan",
    },
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with lent_gateway() as running:
        yield Shop(running, CODE, f"{ROOT}/generate-order", SAMPLE)


def naming(shop: Shop, **changes: Any) -> dict[str, Any]:
    """An order is opened; the body of a later call that names it."""
    changes.setdefault("additional_info", {"override_notification_url": NOBODY})
    answer = shop.order(**changes)
    assert answer.status == 200, answer.body
    return {
        "order": {"invoice_number": answer.json["order"]["invoice_number"]},
        "payment": {
            "merchant_unique_reference": answer.json["payment"]["merchant_unique_reference"],
            "identifier": answer.json["payment"].get("identifier", []),
        },
    }


def cancel(shop: Shop, named: dict[str, Any], *, request_id: str | None = None) -> Answer:
    return shop.post(named, path=f"{ROOT}/cancel", request_id=request_id)


def test_the_answer_has_these_keys_and_no_others(shop: Shop):
    answer = shop.order()

    invoice = answer.json["order"]["invoice_number"]
    assert answer.json == {
        "order": {"invoice_number": invoice, "amount": 90000},
        "payment": {
            "status": "PENDING",
            "url": f"{shop.running.url}/simulators/akulaku/{shop.payment(invoice)['id']}",
            "merchant_unique_reference": "MUR-20210707-0001",
            "identifier": [{"name": "AKULAKU_ORDER_ID", "value": answer.json["payment"]["identifier"][0]["value"]}],
        },
    }


def test_additional_info_is_echoed_when_sent(shop: Shop):
    sent = {"override_notification_url": NOBODY}

    assert shop.order(additional_info=sent).json["additional_info"] == sent


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("order__invoice_number", GONE, "order.invoice_number Must Not Be Blank"),
        ("order__invoice_number", "x" * 65, "order.invoice_number Invalid Format"),
        ("order__amount", GONE, "order.amount Must Not Be Blank"),
        ("order__amount", 1_000_000_000_000, "order.amount Invalid Format"),
        ("order__amount", 90001, "Invalid Total Amount And Line Items"),
        ("order__line_items", GONE, "order.line_items Must Not Be Blank"),
        ("order__line_items", [], "order.line_items Must Not Be Blank"),
        ("order__line_items__1__quantity", 2, "Invalid Total Amount And Line Items"),
        *(
            (f"order__line_items__1__{name}", GONE, f"order.line_items[1].{name} Must Not Be Blank")
            for name in ("name", "price", "quantity", "sku", "category")
        ),
        ("order__line_items__0__name", "x" * 256, "order.line_items[0].name Invalid Format"),
        ("order__line_items__0__price", 0.5, "order.line_items[0].price Invalid Format"),
        ("order__callback_url", "merchant.com", "order.callback_url Invalid Format"),
        ("payment", GONE, "payment Must Not Be Blank"),
        ("payment__merchant_unique_reference", GONE, "payment.merchant_unique_reference Must Not Be Blank"),
        *((f"customer__{name}", GONE, f"customer.{name} Must Not Be Blank") for name in SAMPLE["customer"]),
        ("customer__phone", "0812", "customer.phone Invalid Format"),
    ],
)
def test_each_rule_is_refused_with_its_message(shop: Shop, path: str, value: object, message: str):
    assert_refused(shop.order(**{path: value}), message)


@pytest.mark.parametrize(
    "changes",
    [
        {"order__callback_url": GONE},
        {"order__amount": "90000"},
        {"customer__phone": "085694566147"},
        {"customer__postcode": 12012},
        {"order__auto_redirect": True, "order__descriptor": "Test Descriptor"},
    ],
)
def test_what_is_optional_or_written_otherwise_is_accepted(shop: Shop, changes: dict[str, Any]):
    """The last: what a client in use sends beside the documented fields."""
    assert shop.order(**changes).status == 200


def test_the_same_invoice_again_is_refused(shop: Shop):
    """D-9."""
    body = shop.body()
    assert shop.post(body).status == 200

    assert_refused(shop.post(body), "Invoice Number Already Used")


def test_an_order_akulaku_does_not_want_is_answered_failed_and_told_nobody(shop: Shop):
    item = {**SAMPLE["order"]["line_items"][0], "price": 10404, "quantity": 1}
    answer = shop.order(order__amount=10404, order__line_items=[item], additional_info={"override_notification_url": NOBODY})

    invoice = answer.json["order"]["invoice_number"]
    assert answer.json["payment"] == {"status": "FAILED", "url": "", "merchant_unique_reference": "MUR-20210707-0001"}
    assert shop.said(invoice) == "FAILED"
    assert shop.record(invoice)["notifications"] == []


def test_the_body_of_a_paid_order_is_exactly_this(shop: Shop):
    """common §5.2, paylater."""
    request = shop.body(additional_info={"override_notification_url": NOBODY})
    invoice = request["order"]["invoice_number"]
    opened = shop.post(request, request_id="request-of-a-paid-order").json

    ended = shop.play(invoice, "SUCCESS")

    [told] = [json.loads(one["body"]) for one in ended["notifications"]]
    info = told["peer_to_peer_info"]
    assert told == {
        "service": {"id": "PEER_TO_PEER"},
        "acquirer": {"id": "AKULAKU"},
        "channel": {"id": "PEER_TO_PEER_AKULAKU"},
        "order": {"invoice_number": invoice, "amount": 90000},
        "transaction": {
            "status": "SUCCESS",
            "date": ended["payments"][-1]["finished_at"],
            "original_request_id": "request-of-a-paid-order",
        },
        "peer_to_peer_info": {
            "virtual_account_number": "",
            "created_date": info["created_date"],
            "expired_date": info["expired_date"],
            "status": "SUCCESS",
            "merchant_unique_reference": "MUR-20210707-0001",
            "identifier": opened["payment"]["identifier"],
        },
        "payment": {"merchant_unique_reference": "MUR-20210707-0001"},
        "additional_info": {"override_notification_url": NOBODY},
    }
    assert shop.running.status(invoice).json == told
    assert moved(shop.payment(invoice)) == [(f"provider:{CODE}", f"merchant:{DEMO_CLIENT_ID}:payable", 90000)]


@pytest.mark.parametrize("outcome", ["FAILED", "CANCELLED", "NOT_ENOUGH"])
def test_an_unpaid_end_is_told_as_failed_and_moves_nothing(shop: Shop, outcome: str):
    invoice = shop.opened()

    ended = shop.play(invoice, outcome)

    assert [json.loads(one["body"])["transaction"]["status"] for one in ended["notifications"]] == ["FAILED"]
    assert moved(ended["payments"][-1]) == []


def test_an_order_expires_in_an_hour_and_is_told_nobody(tmp_path: Any):
    with lent_gateway() as running:
        own = Shop(running, CODE, f"{ROOT}/generate-order", SAMPLE)
        named = naming(own)
        invoice = named["order"]["invoice_number"]

        running.control("POST", "/clock", {"advance_s": 3601})

        assert own.said(invoice) == "EXPIRED"
        assert own.record(invoice)["notifications"] == []
        assert cancel(own, named).json["payment"]["status"] == "EXPIRED"


@pytest.mark.parametrize("form", ["action=pay&plan=3&consent=1", "action=cancel"])
def test_the_buyer_goes_back_to_the_callback_url(shop: Shop, form: str):
    url = shop.order().json["payment"]["url"].removeprefix(shop.running.url)

    answer = shop.running.request("POST", url, form.encode(), {"Content-Type": "application/x-www-form-urlencoded"})

    assert (answer.status, answer.headers["location"]) == (303, "https://merchant.com/return-url")


# -- cancel


def test_an_unpaid_order_can_be_taken_back_and_not_be_paid_any_more(shop: Shop):
    named = naming(shop)
    invoice = named["order"]["invoice_number"]

    answer = cancel(shop, named)

    assert (answer.status, answer.json) == (
        200,
        {
            "order": {"invoice_number": invoice, "amount": 90000},
            "payment": {
                "status": "CANCELLED",
                "merchant_unique_reference": "MUR-20210707-0001",
                "identifier": named["payment"]["identifier"],
            },
        },
    )
    assert shop.said(invoice) == "FAILED"
    assert shop.record(invoice)["notifications"] == []
    payment = shop.payment(invoice)
    assert (payment["state"], payment["failure"]) == ("CANCELLED", "CANCELLED_BY_MERCHANT")
    shop.running.request(
        "POST",
        f"/simulators/akulaku/{payment['id']}",
        b"action=pay&plan=3&consent=1",
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert shop.payment(invoice)["state"] == "CANCELLED"


def test_cancelling_again_says_the_same_and_a_repeat_gets_the_first_answer(shop: Shop):
    """D-3."""
    named = naming(shop)

    first, repeat = [cancel(shop, named, request_id="one-cancel") for _ in range(2)]
    again = cancel(shop, named)

    assert (first.status, repeat.status, again.status) == (200, 409, 200)
    assert first.body == repeat.body == again.body


def test_an_order_that_ended_unpaid_is_answered_with_how_it_ended(shop: Shop):
    named = naming(shop)
    shop.play(named["order"]["invoice_number"], "FAILED")

    assert cancel(shop, named).json["payment"]["status"] == "FAILED"


def test_a_paid_order_cannot_be_cancelled(shop: Shop):
    named = naming(shop)
    shop.play(named["order"]["invoice_number"], "SUCCESS")

    assert_refused(cancel(shop, named), "Invoice Number Already Paid")

    assert shop.said(named["order"]["invoice_number"]) == "SUCCESS"


def test_an_order_signed_a_moment_ago_is_paid_and_not_cancelled(shop: Shop):
    """Akulaku has the signature, and we have not heard of it: the cancel hears first."""
    from gerbang.providers.party import Behaviour
    from gerbang.providers.simulator import decide, find_simulated

    named = naming(shop)
    invoice = named["order"]["invoice_number"]
    payment_id = shop.payment(invoice)["id"]

    def sign(tx: Any) -> None:
        order = find_simulated(tx, payment_id)
        assert order is not None
        decide(tx, order, Behaviour.SUCCESS, now=shop.running.gateway.clock.now())

    shop.room.database.transact_now(sign)

    assert_refused(cancel(shop, named), "Invoice Number Already Paid")
    assert shop.payment(invoice)["state"] == "SUCCESS"


def test_while_akulaku_will_not_take_it_back_the_order_stays(shop: Shop):
    """Signed, and Akulaku is slow to say so: the payment is being processed."""
    named = naming(shop)
    shop.play(named["order"]["invoice_number"], "SLOW")

    answer = cancel(shop, named)

    assert (answer.status, answer.json["error"]["message"]) == (409, "Payment Is Being Processed")
    assert shop.said(named["order"]["invoice_number"]) == "PENDING"


def test_a_cancel_akulaku_does_not_answer_can_be_sent_again(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    """Also when the first one had reached Akulaku: its answer is the same then."""
    named = naming(shop)
    invoice = named["order"]["invoice_number"]
    withdraw = shop.room.provider.withdraw

    async def deaf(payment_id: str) -> bool:
        assert await withdraw(payment_id)
        raise ConnectionError("the answer is lost")

    with monkeypatch.context() as patched:
        patched.setattr(shop.room.provider, "withdraw", deaf)
        silent = cancel(shop, named, request_id="sent-twice")
    assert (silent.status, shop.said(invoice)) == (503, "PENDING")

    answer = cancel(shop, named, request_id="sent-twice")

    assert (answer.status, answer.json["payment"]["status"]) == (200, "CANCELLED")


def test_money_that_comes_all_the_same_goes_back(tmp_path: Any):
    """A lender that paid an order it had taken back: the merchant never sees a cancelled order turn into a paid one."""
    from datetime import timedelta

    from gerbang.providers.questions import Report
    from gerbang.providers.simulator import _write_report

    with lent_gateway() as running:
        own = Shop(running, CODE, f"{ROOT}/generate-order", SAMPLE)
        named = naming(own)
        payment_id = own.payment(named["order"]["invoice_number"])["id"]
        assert cancel(own, named).status == 200
        now = running.gateway.clock.now()
        report = Report("rcp_all_the_same", payment_id, "PAID", now + timedelta(seconds=1), 90000)

        own.room.database.transact_now(lambda tx: _write_report(tx, CODE, report, now))
        running.control("POST", "/clock", {"advance_s": 5})

        events = own.until(named["order"]["invoice_number"], "MONEY_RETURNED")
        assert "PAID_AFTER_END" in events
        assert own.payment(named["order"]["invoice_number"])["state"] == "CANCELLED"
        assert own.record(named["order"]["invoice_number"])["notifications"] == []


@pytest.mark.parametrize("call", ["cancel", "refund"])
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("order__invoice_number", GONE, "order.invoice_number Must Not Be Blank"),
        ("order__invoice_number", "INV-OF-NOBODY", "Transaction Not Found"),
        ("payment__merchant_unique_reference", GONE, "payment.merchant_unique_reference Must Not Be Blank"),
        ("payment__merchant_unique_reference", "MUR-OTHER", "Transaction Not Found"),
        ("payment__identifier", GONE, "payment.identifier Must Not Be Blank"),
        ("payment__identifier", [], "payment.identifier Must Not Be Blank"),
        ("payment__identifier__0__value", "01ANOTHERORDER", "Transaction Not Found"),
        ("payment__identifier__0__name", "KREDIVO_ORDER_ID", "Transaction Not Found"),
        ("payment__identifier__0__value", GONE, "payment.identifier[0].value Must Not Be Blank"),
    ],
)
def test_all_names_of_an_order_have_to_be_its_own(shop: Shop, call: str, path: str, value: object, message: str):
    named = naming(shop)
    invoice = named["order"]["invoice_number"]
    if call == "refund":
        shop.play(invoice, "SUCCESS")
    before = shop.said(invoice)
    body = Shop(shop.running, CODE, "", named).body(**{"order__invoice_number": invoice, path: value})

    answer = shop.post({**body, "refund": {"merchant_unique_reference": "RF-1"}}, path=f"{ROOT}/{call}")

    assert_refused(answer, message)
    assert shop.said(invoice) == before


def test_a_request_id_does_not_name_an_order_here(shop: Shop):
    """Check status takes either; these calls are about money."""
    body = shop.body()
    opened = shop.post(body, request_id="id-of-the-opening").json
    named = {
        "order": {"invoice_number": "id-of-the-opening"},
        "payment": {**body["payment"], "identifier": opened["payment"]["identifier"]},
    }

    assert_refused(cancel(shop, named), "Transaction Not Found")


def test_an_order_of_another_merchant_is_not_found(shop: Shop):
    named = naming(shop)
    import_merchant(shop.running, "MCH-OTHER", "SK-other-merchant")

    other = shop.running.signed("POST", f"{ROOT}/cancel", named, client_id="MCH-OTHER", secret_key="SK-other-merchant")

    assert_refused(other, "Transaction Not Found")


def test_an_order_of_another_lender_is_not_found(shop: Shop):
    """Even under the right reference, and under an id that is right but for its name."""
    kredivo = {
        "order": {
            "invoice_number": "INV-OF-KREDIVO",
            "amount": 30000,
            "line_items": [{"name": "A", "price": 30000, "quantity": 1, "id": "1", "type": "X", "url": "https://merchant.com/1"}],
        },
        "peer_to_peer_info": {"merchant_unique_reference": "MUR-1"},
        "customer": {"first_name": "andreas", "phone": "081398154809", "email": "andreas@email.com"},
        "shipping_address": {
            "first_name": "andreas",
            "address": "Jalan Teknologi 25",
            "city": "Jakarta",
            "postal_code": "12960",
            "phone": "081513114262",
            "country_code": "IDN",
        },
    }
    opened = shop.post(kredivo, path="/kredivo-peer-to-peer/v2/generate-order").json["peer_to_peer_info"]
    named = {
        "order": {"invoice_number": "INV-OF-KREDIVO"},
        "payment": {
            "merchant_unique_reference": "MUR-1",
            "identifier": [{"name": "AKULAKU_ORDER_ID", "value": opened["identifier"][0]["value"]}],
        },
    }

    assert_refused(cancel(shop, named), "Transaction Not Found")

    assert shop.said("INV-OF-KREDIVO") == "PENDING"


def test_what_akulaku_never_answered_cannot_be_named(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    """No identifier was ever given out: none fits, an empty one neither."""
    shop.does(monkeypatch, "begin", silence)
    body = shop.body()
    assert shop.post(body).status == 503
    named = {
        "order": {"invoice_number": body["order"]["invoice_number"]},
        "payment": {**body["payment"], "identifier": [{"name": "AKULAKU_ORDER_ID", "value": "x"}]},
    }

    assert_refused(cancel(shop, named), "Transaction Not Found")
