"""LinkAja (S4-01 … S4-34): every field, the form the buyer posts, a new attempt of an unpaid invoice, what the merchant is told."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from gerbang.channels.linkaja.channel import identifier_of
from support.gateway import Answer, RunningGateway, independent_signature, lent_gateway
from support.nonsnap import DEMO_CLIENT_ID, VECTORS, assert_error, assert_genuine, import_merchant, iso, request_text
from support.provider_orders import GONE, NOBODY, Shop, assert_refused, moved

CODE = "EMONEY_LINKAJA"
PATH = "/linkaja-emoney/v2/ServiceRequestPayment"
CLIENT_ID, SECRET_KEY = VECTORS["client_id"], VECTORS["secret"]
SAMPLE: dict[str, Any] = {
    "order": {
        "invoice_number": "INV-20210124-0001",
        "amount": 150000,
        "callback_url": "https://merchant.com/return-url",
        "line_items": [{"name": " Roti", "price": 10000, "quantity": 1}],
    },
    "additional_info": {},
    "customer": {"name": "Jessica Tessalonika", "email": "jessica@example.com", "phone": "081112345678"},
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with lent_gateway(request_timestamp_window_s=0) as running:
        import_merchant(running, CLIENT_ID, SECRET_KEY)
        yield Shop(running, CODE, PATH, SAMPLE)


@pytest.fixture
def own_shop(tmp_path: Any) -> Iterator[Shop]:
    """One whose clock and merchant may be changed."""
    with lent_gateway() as running:
        yield Shop(running, CODE, PATH, SAMPLE)


def page(answer: Answer) -> str:
    """The path of the buyer's page."""
    url = str(answer.json["emoney_payment"]["redirect_url_http"])
    return url[url.index("/linkaja/") :]


def press(running: RunningGateway, path: str, form: str) -> Answer:
    return running.request("POST", path, form.encode(), {"Content-Type": "application/x-www-form-urlencoded"})


# -- request and answer


def test_the_documented_sample_is_accepted_as_printed(shop: Shop):
    """S4-01, S4-16: items that do not add up (D-13), an empty additional_info, a name with a blank."""
    answer = shop.post(SAMPLE)

    assert answer.status == 200
    assert answer.json["order"] == {"invoice_number": "INV-20210124-0001", "amount": 150000}


def test_the_answer_has_these_keys_and_no_others(shop: Shop):
    """S4-20 … S4-28: the form as the guide names its text and as a client reads it, both (D-18)."""
    answer = shop.order(additional_info={"override_notification_url": NOBODY})

    invoice = answer.json["order"]["invoice_number"]
    opaque = answer.json["emoney_payment"]["parameter"]
    assert answer.json == {
        "order": {"invoice_number": invoice, "amount": 150000},
        "emoney_configuration": {"identifier": identifier_of(DEMO_CLIENT_ID)},
        "emoney_payment": {
            "redirect_method_http": "POST",
            "redirect_url_http": f"{shop.running.url}/linkaja/pay/{shop.payment(invoice)['id']}",
            "redirect_parameter": [{"name": "Message", "value": opaque}],
            "parameter": opaque,
            "status": "PENDING",
        },
        "additional_info": {"override_notification_url": NOBODY},
    }
    assert len(opaque) > 10


def test_additional_info_is_echoed_only_when_it_says_something(shop: Shop):
    """S4-27."""
    assert "additional_info" not in shop.order(additional_info=GONE).json
    assert "additional_info" not in shop.order(additional_info={}).json


def test_a_merchant_has_one_name_at_linkaja_of_up_to_15_letters_and_digits(shop: Shop):
    """S4-22."""
    first, second = [shop.order().json["emoney_configuration"]["identifier"] for _ in range(2)]

    assert first == second
    assert first.isalnum()
    assert len(first) <= 15
    assert identifier_of("BRN-OTHER") != first


@pytest.mark.parametrize("amount", [150000, "150000", "150000.00", 150000.00])
def test_the_amount_comes_as_number_or_text_and_goes_back_as_an_integer(shop: Shop, amount: object):
    """S4-09, S4-21."""
    answer = shop.order(order__amount=amount)

    assert answer.status == 200
    assert b'"amount":150000}' in answer.body


@pytest.mark.parametrize("phone", ["081112345678", 81112345678, 6281112345678, "+62 811-1234-5678", "6281112345678", GONE])
def test_the_phone_comes_as_number_or_text(shop: Shop, phone: object):
    """S4-14, D-6: typed number in the table, text in the sample."""
    assert shop.order(customer__phone=phone).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"customer": GONE},
        {"customer__name": GONE},
        {"customer__email": GONE},
        {"order__line_items__0__price": "10000.00", "order__line_items__0__quantity": "1"},
        {"order__callback_url": "http://localhost:8000/back?order=1&x=%20#end"},
        {"order__shop": "a field nobody knows"},
    ],
)
def test_what_is_optional_or_written_otherwise_is_accepted(shop: Shop, changes: dict[str, Any]):
    """S4-12, S4-13."""
    assert shop.order(**changes).status == 200


@pytest.mark.parametrize("invoice", ["INV/2026 #1", "a", "x" * 64, "ünï-1"])
def test_an_invoice_number_has_letters_digits_and_specials(shop: Shop, invoice: str):
    """S4-08."""
    answer = shop.order(order__invoice_number=invoice)

    assert answer.status == 200
    assert shop.running.status(invoice).json["order"] == {"invoice_number": invoice, "amount": 150000}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("order", GONE, "order Must Not Be Blank"),
        ("order__invoice_number", GONE, "order.invoice_number Must Not Be Blank"),
        ("order__invoice_number", "", "order.invoice_number Must Not Be Blank"),
        ("order__invoice_number", "x" * 65, "order.invoice_number Invalid Format"),
        ("order__amount", GONE, "order.amount Must Not Be Blank"),
        ("order__amount", 0, "order.amount Invalid Format"),
        ("order__amount", "10000.50", "order.amount Invalid Format"),
        ("order__amount", "ten", "order.amount Invalid Format"),
        ("order__callback_url", GONE, "order.callback_url Must Not Be Blank"),
        ("order__callback_url", "", "order.callback_url Must Not Be Blank"),
        ("order__callback_url", "merchant.com/return-url", "order.callback_url Invalid Format"),
        ("order__callback_url", "javascript:alert(1)", "order.callback_url Invalid Format"),
        ("order__line_items", GONE, "order.line_items Must Not Be Blank"),
        ("order__line_items", [], "order.line_items Must Not Be Blank"),
        ("order__line_items", "Roti,10000,1", "order.line_items Invalid Format"),
        ("order__line_items__0__name", GONE, "order.line_items[0].name Must Not Be Blank"),
        ("order__line_items__0__price", GONE, "order.line_items[0].price Must Not Be Blank"),
        ("order__line_items__0__price", -1, "order.line_items[0].price Invalid Format"),
        ("order__line_items__0__quantity", GONE, "order.line_items[0].quantity Must Not Be Blank"),
        ("order__line_items__0__quantity", 0, "order.line_items[0].quantity Invalid Format"),
        ("customer", "Jessica", "customer Invalid Format"),
        ("customer__name", ["Jessica"], "customer.name Invalid Format"),
        (
            "additional_info",
            {"override_notification_url": "merchant.com/n"},
            "additional_info.override_notification_url Invalid Format",
        ),
    ],
)
def test_each_rule_is_refused_with_its_message(shop: Shop, path: str, value: object, message: str):
    """S4-08 … S4-15."""
    assert_refused(shop.order(**{path: value}), message)


def test_the_path_with_a_blank_is_only_a_misprint(shop: Shop):
    """S4-03."""
    misprinted = "/linkaja-emoney/v2%20/ServiceRequestPayment"

    assert shop.running.signed("POST", misprinted, shop.body()).status == 404


def test_an_override_whose_path_differs_earns_a_warning(own_shop: Shop):
    """S4-15, S4-34, D-10."""
    running, client_id = own_shop.running, "BRN-OVERRIDE"
    import_merchant(running, client_id, SECRET_KEY, notification_url="http://127.0.0.1:9/configured")
    for override, warned in (("http://127.0.0.1:9/other", 1), ("http://127.0.0.1:9/configured", 0)):
        body = own_shop.body(additional_info={"override_notification_url": override})
        invoice = body["order"]["invoice_number"]
        assert running.signed("POST", PATH, body, client_id=client_id, secret_key=SECRET_KEY).status == 200

        order = running.control("GET", f"/payments?client_id={client_id}&invoice_number={invoice}")

        assert len(order["warnings"]) == warned
        assert all("the path differs" in warning for warning in order["warnings"])


# -- the signature with and without Digest


def vector_request(shop: Shop, name: str, body: str | None = None, signature: str | None = None) -> Answer:
    vector = next(one for one in VECTORS["vectors"] if one["name"] == name)
    sent = {
        "Client-Id": vector["client_id"],
        "Request-Id": vector["request_id"],
        "Request-Timestamp": vector["timestamp"],
        "Signature": signature or vector["signature"],
    }
    text = body or vector["body_utf8"] or vector["body_not_in_signature"]
    answer = shop.running.request("POST", vector["request_target"], text.encode(), sent)
    assert_genuine(answer, "POST", PATH, client_id=CLIENT_ID, secret_key=SECRET_KEY)
    return answer


@pytest.mark.parametrize("name", ["linkaja-with-digest", "linkaja-no-digest"])
def test_the_vectors_of_both_forms_are_accepted(shop: Shop, name: str, caplog: pytest.LogCaptureFixture):
    """S4-07, S4-33, D-12. The log says of which body no signature was there."""
    caplog.set_level("INFO")
    answer = vector_request(shop, name)

    assert answer.status == 200, answer.body
    assert ("unsigned_body" in caplog.text) == (name == "linkaja-no-digest")
    assert answer.json["order"] == {"invoice_number": "INV-20210124-0001", "amount": 150000}


def test_with_a_digest_the_body_is_signed_as_it_stands(shop: Shop):
    """D-12: the form without Digest is no way round the other."""
    vector = next(one for one in VECTORS["vectors"] if one["name"] == "linkaja-with-digest")

    answer = vector_request(shop, "linkaja-with-digest", body=vector["body_utf8"].replace("150000", "150001"))

    assert_error(answer, 400, "invalid_signature", "Invalid Header Signature", "invalid_request_error")


@pytest.mark.parametrize(
    "path",
    [
        "/dokuwallet-emoney/v1/payment",
        "/indodana-peer-to-peer/v2/generate-order",
        "/jenius-digital-banking/v2/ServiceRequestPayment",
    ],
)
def test_without_digest_no_other_channel_believes_a_signature(shop: Shop, path: str):
    """D-12."""
    timestamp, request_id = iso(datetime.now(UTC)), uuid.uuid4().hex
    sent = {
        "Client-Id": CLIENT_ID,
        "Request-Id": request_id,
        "Request-Timestamp": timestamp,
        "Signature": independent_signature(request_text(CLIENT_ID, request_id, timestamp, path, None), SECRET_KEY),
    }

    answer = shop.running.request("POST", path, json.dumps(SAMPLE).encode(), sent)

    assert_error(answer, 400, "invalid_signature", "Invalid Header Signature", "invalid_request_error")


def test_without_digest_the_same_headers_with_another_body_are_another_request(shop: Shop):
    """D-12, S4-05: nobody gets the answer that was meant for another body."""
    timestamp, request_id = iso(datetime.now(UTC)), uuid.uuid4().hex
    sent = {
        "Client-Id": CLIENT_ID,
        "Request-Id": request_id,
        "Request-Timestamp": timestamp,
        "Signature": independent_signature(request_text(CLIENT_ID, request_id, timestamp, PATH, None), SECRET_KEY),
    }
    bodies = [json.dumps(shop.body(order__amount=amount)).encode() for amount in (10_000, 20_000)]

    answers = [shop.running.request("POST", PATH, body, sent) for body in (*bodies, bodies[0])]

    assert [one.status for one in answers] == [200, 200, 409]
    assert [one.json["order"]["amount"] for one in answers] == [10_000, 20_000, 10_000]


# -- the same invoice again


def test_an_unpaid_invoice_again_is_a_new_attempt_and_its_old_page_is_dead(shop: Shop):
    """D-9, S4-08: with another amount too."""
    body = shop.body()
    invoice = body["order"]["invoice_number"]
    old = page(shop.post(body))

    again = shop.post({**body, "order": {**body["order"], "amount": 90_000}})
    press(shop.running, old, "action=pay")

    assert again.status == 200
    assert page(again) != old
    assert "data-state=expired" in shop.running.request("GET", old).body.decode().replace('"', "")
    assert [one["state"] for one in shop.record(invoice)["payments"]] == ["REPLACED", "PENDING"]
    assert shop.said(invoice) == "PENDING"
    assert shop.play(invoice, "SUCCESS")["payments"][-1]["amount"] == 90_000
    assert moved(shop.payment(invoice)) == [(f"provider:{CODE}", f"merchant:{DEMO_CLIENT_ID}:payable", 90_000)]


def test_linkaja_is_told_that_the_old_attempt_is_void(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    """D-9."""
    withdrawn: list[str] = []
    shop.does(monkeypatch, "withdraw", lambda payment_id: withdrawn.append(payment_id) or True)
    body = shop.body()
    shop.post(body)
    first = shop.payment(body["order"]["invoice_number"])["id"]

    shop.post({**body, "order": {**body["order"], "amount": 90_000}})

    assert withdrawn == [first]


@pytest.mark.parametrize("new_attempt", ["waits", "is paid"])
def test_money_that_was_under_way_on_the_old_attempt_goes_back_to_the_buyer(own_shop: Shop, new_attempt: str):
    """D-9: the merchant is paid once, for the attempt that counts."""
    running = own_shop.running
    body = own_shop.body(additional_info={"override_notification_url": NOBODY})
    invoice = body["order"]["invoice_number"]
    own_shop.post(body)
    own_shop.play(invoice, "SLOW")  # the old one is paid; we hear of it in 20 s
    own_shop.post({**body, "order": {**body["order"], "amount": 90_000}})
    if new_attempt == "is paid":
        own_shop.play(invoice, "SUCCESS")

    running.control("POST", "/clock", {"advance_s": 30})

    old, new = own_shop.record(invoice)["payments"]
    assert [one["event"] for one in old["events"]][-3:] == ["REPLACED", "PAID_AFTER_END", "MONEY_RETURNED"]
    assert old["state"] == "REPLACED"
    assert new["state"] == ("SUCCESS" if new_attempt == "is paid" else "PENDING")
    told = [json.loads(one["body"]) for one in own_shop.record(invoice)["notifications"]]
    assert [one["transaction"]["status"] for one in told] == (["SUCCESS"] if new_attempt == "is paid" else [])


@pytest.mark.parametrize("ended", ["FAILED", "CANCELLED", "EXPIRED"])
def test_an_invoice_that_ended_unpaid_can_be_opened_again(shop: Shop, ended: str):
    """D-9."""
    body = shop.body()
    shop.post(body)
    shop.play(body["order"]["invoice_number"], ended)

    assert shop.post(body).status == 200

    assert shop.said(body["order"]["invoice_number"]) == "PENDING"


def test_a_paid_invoice_is_not_opened_again(shop: Shop):
    """D-9."""
    body = shop.body()
    shop.post(body)
    shop.play(body["order"]["invoice_number"], "SUCCESS")

    assert_refused(shop.post(body), "Invoice Number Already Paid")


# -- the buyer, and what the merchant is told


def test_the_page_opens_by_the_form_and_by_a_plain_link(shop: Shop):
    """S4-23, S4-24, S4-29: one client posts the form, another only redirects."""
    answer = shop.order()
    parameter = answer.json["emoney_payment"]["redirect_parameter"][0]

    posted = press(shop.running, page(answer), f"{parameter['name']}={parameter['value']}")
    followed = shop.running.request("GET", page(answer))

    for one in (posted, followed):
        assert one.status == 200
        assert 'name="action" value="pay"' in one.body.decode()
    assert shop.said(answer.json["order"]["invoice_number"]) == "PENDING"


@pytest.mark.parametrize(
    ("action", "said"), [("pay", "SUCCESS"), ("cancel", "FAILED"), ("FAILED", "FAILED"), ("EXPIRED", "EXPIRED")]
)
def test_however_it_ends_the_buyer_goes_to_callback_url(shop: Shop, action: str, said: str):
    """S4-10, S4-30: as it was sent, nothing added."""
    answer = shop.order(order__callback_url="https://merchant.com/return-url?order=7")

    left = press(shop.running, page(answer), f"action={action}")

    assert (left.status, left.headers["location"]) == (303, "https://merchant.com/return-url?order=7")
    assert shop.said(answer.json["order"]["invoice_number"]) == said


def test_the_body_of_a_paid_order_is_exactly_this(shop: Shop):
    """S4-31, S4-32, D-8: an approval code, no account."""
    request = shop.body(additional_info={"override_notification_url": NOBODY, "origin": {"source": "direct"}})
    invoice = request["order"]["invoice_number"]
    shop.post(request, request_id="request-of-a-paid-order")

    ended = shop.play(invoice, "SUCCESS")

    payment = ended["payments"][-1]
    [told] = [json.loads(one["body"]) for one in ended["notifications"]]
    assert told == {
        "service": {"id": "EMONEY"},
        "acquirer": {"id": "LINKAJA"},
        "channel": {"id": "EMONEY_LINKAJA"},
        "order": {"invoice_number": invoice, "amount": 150000},
        "transaction": {
            "status": "SUCCESS",
            "date": payment["finished_at"],
            "original_request_id": "request-of-a-paid-order",
        },
        "emoney_payment": {"approval_code": payment["approval_code"]},
        "additional_info": {"override_notification_url": NOBODY, "origin": {"source": "direct"}},
    }
    assert payment["approval_code"]
    assert shop.running.status(invoice).json == told
    assert moved(payment) == [(f"provider:{CODE}", f"merchant:{DEMO_CLIENT_ID}:payable", 150000)]


@pytest.mark.parametrize("outcome", ["FAILED", "CANCELLED", "NOT_ENOUGH"])
def test_an_unpaid_end_is_told_as_failed_without_an_approval_code(shop: Shop, outcome: str):
    """S4-32, D-8."""
    ended = shop.play(shop.opened(), outcome)

    [told] = [json.loads(one["body"]) for one in ended["notifications"]]
    assert told["transaction"]["status"] == "FAILED"
    assert "emoney_payment" not in told
    assert moved(ended["payments"][-1]) == []


def test_an_order_can_be_paid_for_an_hour(own_shop: Shop):
    invoice = own_shop.opened()
    own_shop.running.control("POST", "/clock", {"advance_s": 3_580})
    assert own_shop.said(invoice) == "PENDING"

    own_shop.running.control("POST", "/clock", {"advance_s": 40})

    assert own_shop.said(invoice) == "EXPIRED"
    assert own_shop.record(invoice)["notifications"] == []
