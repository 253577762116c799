"""S0-07 … S0-32: every field of the e-Wallet's request, and the closed shape of its answer."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import DEMO_CLIENT_ID, PAYMENT, assert_genuine, assert_invalid


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


def post(running: RunningGateway, order: dict[str, Any], **top: Any) -> Answer:
    """An order; invoice number and amount are filled in unless given. None takes a field away."""
    whole = {"invoice_number": uuid.uuid4().hex, "amount": 60_000} | order
    body = {"order": {name: value for name, value in whole.items() if value is not None}} | top
    answer = running.signed("POST", PAYMENT, body)
    assert_genuine(answer, "POST", PAYMENT)
    return answer


def details(running: RunningGateway, answer: Answer) -> dict[str, Any]:
    """What was written down of an accepted order."""
    assert answer.status == 200, answer.body
    invoice = answer.json["order"]["invoice_number"]
    return dict(running.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={invoice}")["details"])


def item(**changes: Any) -> dict[str, Any]:
    whole = {"name": "T-Shirt Red", "price": 30_000, "quantity": 2} | changes
    return {name: value for name, value in whole.items() if value is not None}


# -- request


@pytest.mark.parametrize(
    ("number", "accepted"),
    [
        ("a", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("é" * 64, True),
        ("INV/2026-#1 (ä) ~!@$%^&*+=|;:'\",.<>?`{}[]", True),
    ],
)
def test_an_invoice_number_has_1_to_64_characters(running: RunningGateway, number: str, accepted: bool):
    """S0-07. Characters, not bytes."""
    answer = post(running, {"invoice_number": number})

    if accepted:
        assert answer.json["order"]["invoice_number"] == number
    else:
        assert_invalid(answer, "order.invoice_number Invalid Format")


def test_invoice_number_and_amount_are_mandatory(running: RunningGateway):
    """S0-07, S0-09."""
    assert_invalid(post(running, {"invoice_number": None}), "order.invoice_number Must Not Be Blank")
    assert_invalid(post(running, {"amount": None}), "order.amount Must Not Be Blank")


@pytest.mark.parametrize(
    ("amount", "accepted"),
    [(1, True), (999_999_999_999, True), (1_000_000_000_000, False), (0, False), (-1, False), ("999999999999.00", True)],
)
def test_an_amount_has_up_to_12_digits(running: RunningGateway, amount: object, accepted: bool):
    """S0-09."""
    answer = post(running, {"amount": amount})

    if accepted:
        assert answer.status == 200
    else:
        assert_invalid(answer, "order.amount Invalid Format")


@pytest.mark.parametrize("name", ["name", "price", "quantity"])
def test_each_part_of_a_line_item_is_mandatory_once_there_is_one(running: RunningGateway, name: str):
    """S0-10, S0-11, S0-13: the second item, so that the place is told."""
    answer = post(running, {"line_items": [item(), item(**{name: None})]})

    assert_invalid(answer, f"order.line_items[1].{name} Must Not Be Blank")


@pytest.mark.parametrize(
    ("name", "fits", "does_not"),
    [
        ("name", ["x", "x" * 255, "Kopi é ☕"], ["x" * 256, ["x"], "a\x07b"]),
        ("price", [0, 999_999_999_999, "30000", "30000.00"], [-1, 1_000_000_000_000, 0.5, "x", [1]]),
        ("quantity", [1, 9_999, "2", 2.0], [0, -1, 10_000, 1.5, "two"]),
    ],
)
def test_the_limits_of_a_line_item(running: RunningGateway, name: str, fits: list[Any], does_not: list[Any]):
    """S0-10: name ≤ 255; S0-11: price ≤ 12 digits; S0-13: quantity ≤ 4 digits."""
    for value in fits:
        one = item(price=1, quantity=1) | {name: value}
        total = int(float(one["price"])) * int(one["quantity"])
        # An item may be free; an order may not.
        answer = post(running, {"amount": total or 7, "line_items": [one] if total else [one, item(price=7, quantity=1)]})
        assert answer.status == 200, (value, answer.body)
    for value in does_not:
        assert_invalid(post(running, {"line_items": [item(**{name: value})]}), f"order.line_items[0].{name} Invalid Format")


@pytest.mark.parametrize(
    ("amount", "items", "adds_up"),
    [
        (60_000, [(30_000, 2)], True),
        (60_001, [(30_000, 2)], False),
        (59_999, [(30_000, 2)], False),
        (65_000, [(30_000, 2), (5_000, 1)], True),
        (60_000, [(30_000, 2), (0, 1)], True),
        (60_000, [(30_000, 1)], False),
        (60_000, [("30000.00", "2")], True),
        (999_999_999_999, [(999_999_999_999, 1)], True),
        (1, [(999_999_999_999, 9_999)], False),
    ],
)
def test_price_times_quantity_must_add_up_to_the_amount(
    running: RunningGateway, amount: int, items: list[tuple[Any, Any]], adds_up: bool
):
    """S0-12, D-13."""
    answer = post(running, {"amount": amount, "line_items": [item(price=price, quantity=count) for price, count in items]})

    if adds_up:
        assert answer.status == 200
    else:
        assert_invalid(answer, "Invalid Total Amount And Line Items")


@pytest.mark.parametrize("items", [None, []], ids=["absent", "empty"])
def test_line_items_are_optional_as_a_whole(running: RunningGateway, items: list[Any] | None):
    """S0-14: nothing to add up, and nothing echoed."""
    answer = post(running, {"line_items": items})

    assert answer.status == 200
    assert "line_items" not in answer.json["order"]


KEYS = ("success_url", "failed_url", "notify_url")


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(
    "url",
    [
        "https://merchant.example/ok",
        "http://127.0.0.1:8080/ok?order=1&x=%20#top",
        "HTTPS://MERCHANT.EXAMPLE",
        "https://toko-kopi.id/é",
        "https://merchant.example/" + "x" * 2023,
    ],
)
def test_an_absolute_http_url_is_kept_as_sent(running: RunningGateway, name: str, url: str):
    """S0-15, S0-18, S0-19."""
    assert details(running, post(running, {name: url}))[name] == url


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("place", ["order", "top"])
@pytest.mark.parametrize(
    "url",
    [
        "www.doku.com",
        "/ok",
        "//merchant.example/ok",
        "ftp://merchant.example",
        "javascript:alert(1)",
        "https://",
        "https://a b/",
        "http://a:b",
    ],
)
def test_anything_else_is_no_url(running: RunningGateway, name: str, place: str, url: str):
    """EP1: not an absolute http(s) URL → 400. The path in the message says which of the two places is meant."""
    answer = post(running, {name: url}) if place == "order" else post(running, {}, **{name: url})

    assert_invalid(answer, f"order.{name} Invalid Format" if place == "order" else f"{name} Invalid Format")


@pytest.mark.parametrize("name", KEYS)
def test_the_urls_are_read_from_order_first_then_from_the_top(running: RunningGateway, name: str):
    """S0-16, D-17."""
    inside, top = "https://inside.example/", "https://top.example/"

    assert details(running, post(running, {name: inside}, **{name: top}))[name] == inside
    assert details(running, post(running, {}, **{name: top}))[name] == top
    assert details(running, post(running, {name: ""}, **{name: top}))[name] == top
    assert name not in details(running, post(running, {}))


@pytest.mark.parametrize(
    ("inside", "top", "redirects"),
    [
        (True, None, True),
        (None, True, True),
        (False, True, False),
        (True, False, True),
        ("false", "true", False),
        (None, "true", True),
        (None, None, False),
        ("", "true", True),
    ],
)
def test_auto_redirect_of_order_wins_and_false_is_the_default(
    running: RunningGateway, inside: object, top: object, redirects: bool
):
    """S0-21, S0-22, D-17: also a `false` inside wins."""
    answer = post(running, {"auto_redirect": inside}, **({} if top is None else {"auto_redirect": top}))

    assert details(running, answer).get("auto_redirect", False) is redirects


# -- response


def test_the_answer_has_these_keys_and_no_others(running: RunningGateway):
    """S0-24, S0-28 … S0-32: the smallest request's answer, in order, closed."""
    answer = post(running, {"invoice_number": "closed-1"})

    url = answer.json["payment"]["url"]
    assert answer.status == 200
    assert list(answer.json.items()) == [
        ("order", {"invoice_number": "closed-1", "amount": 60_000}),
        ("doku_wallet_payment_page", {"url": url}),
        ("payment", {"url": url}),
    ]


def test_the_full_answer(running: RunningGateway):
    """S0-28, S0-29, S0-32: echoes; URLs and auto_redirect are not echoed."""
    items = [item(id="SKU-1", price="30000.00"), item(price=0, quantity="1", extra={"weight": 1.5, "note": None})]
    info = {
        "override_notification_url": "https://another.example.com/payments/notifications",
        "integration": {"name": "woo", "version": "1.5.0", "cms_version": 6},
        "account": {"id": "SAC-1", "rate": 1.5},
    }
    order = {"line_items": items, "success_url": "https://a.example", "notify_url": "https://a.example", "auto_redirect": True}

    answer = post(running, order, additional_info=info)

    assert list(answer.json) == ["order", "doku_wallet_payment_page", "payment", "additional_info"]
    assert list(answer.json["order"]) == ["invoice_number", "amount", "line_items"]
    assert answer.json["order"]["line_items"] == items
    assert answer.json["additional_info"] == info


@pytest.mark.parametrize(("sent", "echoed"), [(None, False), ("", False), ("  ", False), ({}, True), ({"x": 1}, True)])
def test_additional_info_is_echoed_only_when_sent(running: RunningGateway, sent: object, echoed: bool):
    """S0-32."""
    answer = post(running, {}, additional_info=sent)

    assert answer.status == 200
    if echoed:
        assert answer.json["additional_info"] == sent
    else:
        assert "additional_info" not in answer.json


def test_an_amount_sent_as_text_is_answered_as_a_number(running: RunningGateway):
    assert post(running, {"amount": "60000.00"}).json["order"]["amount"] == 60_000


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "pay.example.id", "[::1]:8080"])
def test_the_page_is_where_the_caller_reached_us(running: RunningGateway, host: str):
    """S0-30, S0-31: both keys, the same absolute URL, on the host of the request."""
    host = host.format(port=running.url.rpartition(":")[2])

    answer = running.signed("POST", PAYMENT, {"order": {"invoice_number": uuid.uuid4().hex, "amount": 1}}, headers={"Host": host})

    url = answer.json["doku_wallet_payment_page"]["url"]
    assert url == answer.json["payment"]["url"]
    assert url.startswith(f"http://{host}/wallet/pay/")


def test_public_url_says_where_buyers_reach_the_page(tmp_path):
    """S0-30: behind a proxy the Host header is not the buyers' address."""
    with lent_gateway(public_url="https://pay.example.id/") as behind:
        url = post(behind, {}).json["payment"]["url"]

    assert url.startswith("https://pay.example.id/wallet/pay/pay_")


def test_the_page_can_be_shown(running: RunningGateway):
    """S0-01, S0-33: the URL leads to this order's page."""
    answer = post(running, {"invoice_number": "INV-shown-1", "line_items": [item()]})

    page = running.request("GET", answer.json["payment"]["url"].removeprefix(running.url))

    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "INV-shown-1" in page.body.decode()
    assert "T-Shirt Red" in page.body.decode()


def test_page_addresses_cannot_be_guessed(running: RunningGateway):
    urls = {post(running, {}).json["payment"]["url"].rpartition("/")[2] for _ in range(5)}

    # 26 characters after `pay_`, the last 16 of them random.
    assert len({url[-16:] for url in urls}) == 5
    assert all(len(url) == 30 for url in urls)
