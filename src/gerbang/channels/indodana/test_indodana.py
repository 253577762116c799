"""Indodana (S3-01 … S3-61): every field, the answer, an order Indodana does not want, where its buyer goes, what is told."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from gerbang.channels.indodana.wire import CATEGORIES
from support.gateway import Answer, lent_gateway
from support.nonsnap import DEMO_CLIENT_ID, VECTORS, assert_error, assert_genuine, import_merchant
from support.provider_orders import GONE, NOBODY, Shop, assert_refused, moved

CODE = "PEER_TO_PEER_INDODANA"
PATH = "/indodana-peer-to-peer/v2/generate-order"
ADDRESS = {
    "first_name": "andreas",
    "last_name": "dharmawan",
    "address": "Jalan Teknologi Indonesia No. 25",
    "city": "Jakarta",
    "postal_code": "12960",
    "phone": "081513114262",
    "country_code": "IDN",
}
# As the guide prints it.
SAMPLE: dict[str, Any] = {
    "order": {
        "invoice_number": "MINV20201231468",
        "line_items": [
            {
                "name": "Ayam",
                "price": 50000,
                "quantity": 2,
                "id": "1002",
                "category": "ELECTRONIC",
                "url": "https://merchant.com/product_1002",
                "image_url": "https://merchant.com/product_1002/image",
                "type": "handphone",
            }
        ],
        "amount": 100000,
        "callback_url": "https://merchant.com/return-url",
        "callback_url_cancel": "https://merchant.com/cancel-url",
    },
    "peer_to_peer_info": {"expired_time": 60, "merchant_unique_reference": "60123"},
    "customer": {"first_name": "andreas", "last_name": "dharmawan", "phone": "081939815480", "email": "andreas@email.com"},
    "billing_address": {**ADDRESS},
    "shipping_address": {**ADDRESS},
    "additional_info": {"override_notification_url": "https://another.example.com/payments/notifications"},
}
ITEM = SAMPLE["order"]["line_items"][0]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with lent_gateway(request_timestamp_window_s=0) as running:
        import_merchant(running, VECTORS["client_id"], VECTORS["secret"])
        yield Shop(running, CODE, PATH, SAMPLE)


@pytest.fixture
def own_shop(tmp_path: Any) -> Iterator[Shop]:
    """One whose clock may be moved."""
    with lent_gateway() as running:
        yield Shop(running, CODE, PATH, SAMPLE)


def press(shop: Shop, answer: Answer, form: str) -> Answer:
    path = answer.json["payment"]["url"].removeprefix(shop.running.url)
    return shop.running.request("POST", path, form.encode(), {"Content-Type": "application/x-www-form-urlencoded"})


# -- the request


def test_the_documented_sample_is_accepted_as_printed(shop: Shop):
    """S3-02, S3-03, S3-16, S3-26, S3-27, S3-38, S3-39: a category outside the list, an e-mail of 17 characters, a local phone number."""
    answer = shop.post(SAMPLE)

    assert answer.status == 200
    assert answer.json["order"] == {"invoice_number": "MINV20201231468", "amount": 100000}


def test_the_signature_of_the_vector_is_believed(shop: Shop):
    """S3-04 … S3-08, S3-60: only then is its body read, which has no customer."""
    vector = next(one for one in VECTORS["vectors"] if one["name"] == "indodana-post")
    sent = {
        "Client-Id": vector["client_id"],
        "Request-Id": vector["request_id"],
        "Request-Timestamp": vector["timestamp"],
        "Signature": vector["signature"],
    }

    answer = shop.running.request("POST", PATH, vector["body_utf8"].encode(), sent)
    spoilt = shop.running.request("POST", PATH, vector["body_utf8"].encode() + b" ", sent)

    assert_refused(answer, "customer Must Not Be Blank")
    assert_error(spoilt, 400, "invalid_signature", "Invalid Header Signature", "invalid_request_error")
    for one in (answer, spoilt):
        assert_genuine(one, "POST", PATH, client_id=vector["client_id"], secret_key=vector["secret"])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("order", GONE, "order Must Not Be Blank"),
        ("order__invoice_number", GONE, "order.invoice_number Must Not Be Blank"),
        ("order__invoice_number", "x" * 65, "order.invoice_number Invalid Format"),
        ("order__amount", GONE, "order.amount Must Not Be Blank"),
        ("order__amount", 0, "order.amount Invalid Format"),
        ("order__amount", "100000.50", "order.amount Invalid Format"),
        ("order__amount", 10**16, "order.amount Invalid Format"),
        ("order__amount", 99_999, "Invalid Total Amount And Line Items"),
        ("order__line_items", GONE, "order.line_items Must Not Be Blank"),
        ("order__line_items", [], "order.line_items Must Not Be Blank"),
        ("order__line_items__0__name", GONE, "order.line_items[0].name Must Not Be Blank"),
        ("order__line_items__0__name", "x" * 129, "order.line_items[0].name Invalid Format"),
        ("order__line_items__0__price", GONE, "order.line_items[0].price Must Not Be Blank"),
        ("order__line_items__0__price", "50000.001", "order.line_items[0].price Invalid Format"),
        ("order__line_items__0__price", 10**16, "order.line_items[0].price Invalid Format"),
        ("order__line_items__0__price", 50000.01, "Invalid Total Amount And Line Items"),
        ("order__line_items__0__quantity", GONE, "order.line_items[0].quantity Must Not Be Blank"),
        ("order__line_items__0__quantity", 10**8, "order.line_items[0].quantity Invalid Format"),
        ("order__line_items__0__quantity", 1.5, "order.line_items[0].quantity Invalid Format"),
        ("order__line_items__0__id", GONE, "order.line_items[0].id Must Not Be Blank"),
        ("order__line_items__0__id", "x" * 65, "order.line_items[0].id Invalid Format"),
        ("order__line_items__0__category", GONE, "order.line_items[0].category Must Not Be Blank"),
        ("order__line_items__0__url", "x" * 257, "order.line_items[0].url Invalid Format"),
        ("order__line_items__0__image_url", "x" * 257, "order.line_items[0].image_url Invalid Format"),
        ("order__line_items__0__type", ["handphone"], "order.line_items[0].type Invalid Format"),
        ("order__callback_url", "merchant.com", "order.callback_url Invalid Format"),
        ("order__callback_url_cancel", GONE, "order.callback_url_cancel Must Not Be Blank"),
        ("peer_to_peer_info", GONE, "peer_to_peer_info Must Not Be Blank"),
        ("peer_to_peer_info__expired_time", 0, "peer_to_peer_info.expired_time Invalid Format"),
        ("peer_to_peer_info__expired_time", 100_000, "peer_to_peer_info.expired_time Invalid Format"),
        ("peer_to_peer_info__merchant_unique_reference", GONE, "peer_to_peer_info.merchant_unique_reference Must Not Be Blank"),
        ("customer", GONE, "customer Must Not Be Blank"),
        ("customer__first_name", GONE, "customer.first_name Must Not Be Blank"),
        ("customer__first_name", "x" * 17, "customer.first_name Invalid Format"),
        ("customer__last_name", "x" * 17, "customer.last_name Invalid Format"),
        ("customer__email", GONE, "customer.email Must Not Be Blank"),
        ("customer__email", "x" * 129, "customer.email Invalid Format"),
        ("customer__phone", GONE, "customer.phone Must Not Be Blank"),
        ("customer__phone", "0812", "customer.phone Invalid Format"),
        ("customer__phone", "6" * 17, "customer.phone Invalid Format"),
        ("customer__phone", "call me", "customer.phone Invalid Format"),
        ("billing_address", GONE, "billing_address Must Not Be Blank"),
        *[
            (f"{address}__{field}", GONE, f"{address}.{field} Must Not Be Blank")
            for address in ("billing_address", "shipping_address")
            for field in ("first_name", "address", "city", "postal_code", "phone", "country_code")
        ],
        ("billing_address__phone", "call me", "billing_address.phone Invalid Format"),
        ("shipping_address__phone", "call me", "shipping_address.phone Invalid Format"),
        ("billing_address__country_code", "INDO", "billing_address.country_code Invalid Format"),
        ("shipping_address", "Jakarta", "shipping_address Invalid Format"),
        (
            "additional_info",
            {"override_notification_url": "merchant.com/n"},
            "additional_info.override_notification_url Invalid Format",
        ),
    ],
)
def test_each_rule_is_refused_with_its_message(shop: Shop, path: str, value: object, message: str):
    """S3-09 … S3-37."""
    assert_refused(shop.order(**{path: value}), message)


@pytest.mark.parametrize(
    "changes",
    [
        {"order__callback_url": GONE},
        {"peer_to_peer_info__expired_time": GONE},
        {"peer_to_peer_info__expired_time": "99999"},
        {"customer__last_name": GONE},
        {"customer__first_name": "x" * 16, "customer__last_name": "x" * 16},
        {"customer__phone": 6281939815480},
        {"customer__phone": "+62 819-3981-5480"},
        {"billing_address__last_name": GONE, "shipping_address__last_name": GONE},
        {"billing_address__postal_code": 12960, "billing_address__phone": 81513114262, "billing_address__city": 7},
        {"billing_address__country_code": "ID"},
        {"order__line_items__0__url": GONE, "order__line_items__0__image_url": GONE, "order__line_items__0__type": GONE},
        {"order__line_items__0__quantity": "2"},
        {"order__amount": "100000"},
        {"order__amount": "100000.00"},
        {"order__amount": 9_999_999_999_999_999, "order__line_items": [{**ITEM, "price": 9_999_999_999_999_999, "quantity": 1}]},
        {"order__amount": 99_999_999, "order__line_items": [{**ITEM, "price": 1, "quantity": 99_999_999}]},
        {"additional_info": GONE},
    ],
)
def test_what_is_optional_or_written_otherwise_is_accepted(shop: Shop, changes: dict[str, Any]):
    """S3-10, S3-13, S3-17 … S3-19, S3-22 … S3-36."""
    assert shop.order(**changes).status == 200


@pytest.mark.parametrize(
    ("amount", "prices"),
    [
        (100_000, ["50000.00", 50000]),
        (100_000, [49_999.50, "50000.5"]),
        (3, ["0.10", "0.20", 2.70]),  # 0.1 + 0.2 + 2.7 is not 3 with floats
        (1, [0, "1"]),
    ],
)
def test_prices_with_sen_are_summed_exactly(shop: Shop, amount: int, prices: list[object]):
    """S3-12, D-13."""
    items = [{**ITEM, "price": price, "quantity": 1} for price in prices]

    assert shop.order(order__amount=amount, order__line_items=items).status == 200


@pytest.mark.parametrize("field", ["callback_url", "callback_url_cancel"])
@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://merchant.com/a(b)-c=d\\e.f?g;h,i+j/k:l&m_n%20o#p", True),
        ("https://merchant.com/a b", True),
        ("HTTP://localhost:8000", True),
        ("ftp://merchant.com/a", False),
        ("https:///a", False),
        ("https://", False),
        ("https://merchant.com/a!b", False),
        ("https://merchant.com/a'b", False),
        ("https://merchant.com/<b>", False),
        ("https://merchant.com/~me", False),
        ("https://merchant.com/ä", False),
    ],
)
def test_callback_urls_have_the_documented_characters(shop: Shop, field: str, url: str, accepted: bool):
    """S3-20, S3-21: the printed expression lost its repetition; these are the characters it names."""
    answer = shop.order(**{f"order__{field}": url})

    if accepted:
        assert answer.status == 200
    else:
        assert_refused(answer, f"order.{field} Invalid Format")


def test_the_list_of_categories_is_the_documented_one():
    """S3-15: 45 values, and `fee`, which another list of DOKU's has."""
    assert len(CATEGORIES - {"fee"}) == 45
    assert {"airlines", "overseas", "games-voucher", "others", "vehicles-service-and-accessories"} <= CATEGORIES


def warnings(shop: Shop, **changes: Any) -> list[str]:
    return list(shop.record(shop.opened(**changes))["warnings"])


def test_a_category_outside_the_list_earns_a_warning(shop: Shop):
    """S3-15, S3-16."""
    [warning] = [one for one in warnings(shop) if "category" in one]
    assert "order.line_items[0].category ELECTRONIC" in warning
    assert [one for one in warnings(shop, order__line_items__0__category="others") if "category" in one] == []


@pytest.mark.parametrize(("category", "warned"), [("others", 1), ("ticketing", 0), ("games-voucher", 0)])
def test_goods_without_a_shipping_address_earn_a_warning_tickets_and_vouchers_none(shop: Shop, category: str, warned: int):
    """S3-32, S3-35."""
    found = warnings(shop, shipping_address=GONE, order__line_items__0__category=category)

    assert len([one for one in found if "shipping_address" in one]) == warned


def test_an_override_that_doku_would_not_use_earns_a_warning(shop: Shop):
    """S3-37, S3-61, D-10."""
    assert any("DOKU itself would not deliver here" in one for one in warnings(shop))


@pytest.mark.parametrize("ended", [None, "SUCCESS", "FAILED", "EXPIRED"])
def test_the_same_invoice_again_is_refused_whatever_became_of_the_first(shop: Shop, ended: str | None):
    """S3-09, D-9."""
    invoice = shop.opened()
    if ended:
        shop.play(invoice, ended)

    assert_refused(shop.order(order__invoice_number=invoice), "Invoice Number Already Used")


# -- the answer


def test_the_answer_has_these_keys_and_no_others(shop: Shop):
    """S3-39 … S3-51."""
    answer = shop.order(additional_info={"override_notification_url": NOBODY})

    invoice = answer.json["order"]["invoice_number"]
    payment, info = shop.payment(invoice), answer.json["peer_to_peer_info"]
    assert answer.json == {
        "order": {"invoice_number": invoice, "amount": 100000},
        "payment": {"status": "PENDING", "url": f"{shop.running.url}/simulators/indodana/{payment['id']}"},
        "peer_to_peer_info": {
            "identifier": [{"name": "INDODANA_ORDER_ID", "value": info["identifier"][0]["value"]}],
            "created_date": info["created_date"],
            "expired_date": info["expired_date"],
            "created_date_utc": payment["created_at"],
            "expired_date_utc": payment["expires_at"],
            "merchant_unique_reference": "60123",
        },
        "additional_info": {"override_notification_url": NOBODY},
    }
    assert info["identifier"][0]["value"]


@pytest.mark.parametrize(("minutes", "asked"), [(60, 60), (GONE, 60), (5, 5), (99_999, 99_999)])
def test_dates_are_jakartas_and_their_twins_utc(shop: Shop, minutes: object, asked: int):
    """S3-22, S3-47 … S3-50."""
    info = shop.order(peer_to_peer_info__expired_time=minutes).json["peer_to_peer_info"]

    created, expired = [datetime.fromisoformat(info[f"{word}_date_utc"]) for word in ("created", "expired")]
    assert expired - created == timedelta(minutes=asked)
    assert info["created_date"] == (created + timedelta(hours=7)).strftime("%Y%m%d%H%M%S")
    assert info["expired_date"] == (expired + timedelta(hours=7)).strftime("%Y%m%d%H%M%S")


def test_an_order_indodana_does_not_want_is_answered_failed_with_an_empty_url(shop: Shop):
    """S3-43, S3-44: the table marks url mandatory. Nobody is notified, and the invoice number is used up."""
    answer = shop.order(
        order__amount=10_404,
        order__line_items=[{**ITEM, "price": 10_404, "quantity": 1}],
        additional_info={"override_notification_url": NOBODY},
    )

    invoice = answer.json["order"]["invoice_number"]
    assert answer.status == 200
    assert answer.json["payment"] == {"status": "FAILED", "url": ""}
    assert "identifier" not in answer.json["peer_to_peer_info"]
    assert shop.said(invoice) == "FAILED"
    assert shop.record(invoice)["notifications"] == []


# -- the buyer, and what the merchant is told


def test_the_buyer_who_signs_goes_to_callback_url(shop: Shop):
    """S3-52, S3-54."""
    answer = shop.order(order__callback_url="https://merchant.com/return-url?order=7")

    left = press(shop, answer, "action=pay&plan=6&consent=1")

    assert (left.status, left.headers["location"]) == (303, "https://merchant.com/return-url?order=7")
    assert shop.said(answer.json["order"]["invoice_number"]) == "SUCCESS"


def test_the_buyer_who_cancels_goes_to_callback_url_cancel(shop: Shop):
    """S3-21, S3-55."""
    answer = shop.order()

    left = press(shop, answer, "action=cancel")

    assert (left.status, left.headers["location"]) == (303, "https://merchant.com/cancel-url")
    assert shop.said(answer.json["order"]["invoice_number"]) == "FAILED"


def test_a_blank_or_backslash_in_a_callback_url_reaches_the_browser_encoded(shop: Shop):
    """S3-20."""
    answer = shop.order(order__callback_url="https://merchant.com/a b\\c?d=1%20#e")

    left = press(shop, answer, "action=pay&plan=6&consent=1")

    assert left.headers["location"] == "https://merchant.com/a%20b%5Cc?d=1%20#e"


@pytest.mark.parametrize(
    "form",
    ["action=pay", "action=pay&plan=3", "action=pay&plan=&consent=1", "action=pay&plan=5&consent=1", "action=pay&consent=1"],
)
def test_nothing_is_signed_without_a_plan_and_consent(shop: Shop, form: str):
    """S3-53."""
    answer = shop.order()

    shown = press(shop, answer, form)

    assert shown.status == 422
    assert shop.said(answer.json["order"]["invoice_number"]) == "PENDING"


def test_without_a_callback_url_the_page_itself_says_how_it_ended(shop: Shop):
    """S3-20, S3-53."""
    answer = shop.order(order__callback_url=GONE)

    left = press(shop, answer, "action=pay&plan=3&consent=1")
    shown = shop.running.request("GET", left.headers["location"])

    assert left.headers["location"].startswith("/simulators/indodana/")
    assert "data-state=paid" in shown.body.decode().replace('"', "")


def test_the_body_of_a_paid_order_is_exactly_this(shop: Shop):
    """S3-56, S3-57, D-8."""
    request = shop.body(additional_info={"override_notification_url": NOBODY})
    invoice = request["order"]["invoice_number"]
    info = shop.post(request, request_id="request-of-a-paid-order").json["peer_to_peer_info"]

    ended = shop.play(invoice, "SUCCESS")

    [told] = [json.loads(one["body"]) for one in ended["notifications"]]
    assert told == {
        "service": {"id": "PEER_TO_PEER"},
        "acquirer": {"id": "INDODANA"},
        "channel": {"id": "PEER_TO_PEER_INDODANA"},
        "order": {"invoice_number": invoice, "amount": 100000},
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
            "merchant_unique_reference": "60123",
            "identifier": info["identifier"],
        },
        "payment": {"merchant_unique_reference": "60123"},
        "additional_info": {"override_notification_url": NOBODY},
    }
    assert shop.running.status(invoice).json == told
    assert moved(shop.payment(invoice)) == [(f"provider:{CODE}", f"merchant:{DEMO_CLIENT_ID}:payable", 100000)]


@pytest.mark.parametrize("outcome", ["FAILED", "CANCELLED", "NOT_ENOUGH"])
def test_an_unpaid_end_is_told_as_failed_and_moves_nothing(shop: Shop, outcome: str):
    """S3-56."""
    ended = shop.play(shop.opened(), outcome)

    [told] = [json.loads(one["body"]) for one in ended["notifications"]]
    assert (told["transaction"]["status"], told["peer_to_peer_info"]["status"]) == ("FAILED", "FAILED")
    assert moved(ended["payments"][-1]) == []


@pytest.mark.parametrize(("minutes", "after_s"), [(GONE, 3600), (5, 300)])
def test_an_order_can_be_signed_as_many_minutes_as_it_says_else_an_hour(own_shop: Shop, minutes: object, after_s: int):
    """S3-22."""
    invoice = own_shop.opened(peer_to_peer_info__expired_time=minutes)
    own_shop.running.control("POST", "/clock", {"advance_s": after_s - 20})
    assert own_shop.said(invoice) == "PENDING"

    own_shop.running.control("POST", "/clock", {"advance_s": 40})

    assert own_shop.said(invoice) == "EXPIRED"
    assert own_shop.record(invoice)["notifications"] == []


def test_a_split_settlement_is_kept_and_told_back(shop: Shop):
    """S3-58, S3-59."""
    settlement = [{"bank_account_settlement_id": "SBS-0001-20210101", "value": 20, "type": "PERCENTAGE"}]
    answer = shop.order(additional_info={"settlement": settlement, "override_notification_url": NOBODY})

    assert answer.status == 200
    assert answer.json["additional_info"]["settlement"] == settlement
    assert shop.record(answer.json["order"]["invoice_number"])["details"]["additional_info"]["settlement"] == settlement
