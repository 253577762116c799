"""The card page as a document: its language, its headers, and what it never holds."""

import re
from collections.abc import Iterator

import pytest

from support.card_buyer import Shop, next_expiry
from support.card_page import DECLINED, MANDIRI, invoice
from support.gateway import RunningGateway, lent_gateway


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


@pytest.fixture
def shop(running: RunningGateway) -> Shop:
    return Shop.open(running)


@pytest.mark.parametrize(
    ("themes", "query", "lang"),
    [
        ({}, "", "en"),
        ({"language": "ID"}, "", "id"),
        ({"language": "id"}, "", "id"),
        ({"language": "EN"}, "", "en"),
        ({"language": "ID"}, "?lang=en", "en"),
        ({}, "?lang=id", "id"),
        ({"language": "ID"}, "?lang=fr", "id"),
        ({"language": "FR"}, "?lang=", "en"),
    ],
    ids=str,
)
def test_the_page_speaks_english_unless_somebody_chose(shop: Shop, themes: dict[str, str], query: str, lang: str) -> None:
    """S2-28: EN by default, then the merchant's theme, then the buyer's own switch; a form keeps it."""
    buyer = shop.buyer(invoice(), query=query, override_configuration={"themes": themes})
    assert buyer.lang == lang

    assert buyer.pay(DECLINED).lang == lang
    assert buyer.pay(MANDIRI).lang == lang
    assert buyer.to_bank().lang == lang
    assert buyer.enter_code("123456").back_from_bank().lang == lang


def test_a_card_page_is_not_stored_and_leads_nowhere_else(shop: Shop) -> None:
    """S2-58, cards §20: no-store, no referrer, in a frame of anybody unless the shop says whose."""
    buyer = shop.buyer(invoice())

    headers = buyer.answer.headers
    assert "no-store" in headers["cache-control"]
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors *" in headers["content-security-policy"]
    assert "unsafe-inline" not in headers["content-security-policy"]
    assert "x-frame-options" not in headers
    assert "set-cookie" not in headers


def test_no_full_number_comes_back_once_a_card_was_sent_to_the_bank(shop: Shop) -> None:
    """cards §20 3.4.1: neither on the way to the bank nor on the result."""
    buyer = shop.buyer(invoice()).pay(MANDIRI)
    on_the_way = buyer.text
    buyer.to_bank()
    at_bank = buyer.text
    buyer.enter_code("123456").back_from_bank()

    bar = re.compile(r"<details data-bar>.*?</details>", re.S)  # the sandbox's own list of test cards
    for page in (on_the_way, at_bank, buyer.text):
        assert MANDIRI not in bar.sub("", page)


def test_a_form_of_another_kind_is_refused_or_ignored(shop: Shop) -> None:
    """Never an error of ours."""
    code = invoice()
    path = shop.buyer(code).page_path
    part = b'--x\r\nContent-Disposition: form-data; name="number"; filename="a.txt"\r\n\r\n4111\r\n--x--\r\n'

    for kind, body in (
        ("multipart/form-data; boundary=x", part),
        ("multipart/form-data; boundary=y", part),
        ("multipart/form-data", part),
        ("application/json", b'{"action": "pay"}'),
        ("application/x-www-form-urlencoded", b"action=pay&number=%ff%fe&&&=&expiry=%00"),
        ("application/x-www-form-urlencoded", b""),
    ):
        assert shop.running.request("POST", path, body, {"Content-Type": kind}).status in (200, 303, 400, 422), kind
    assert shop.charges(code) == []


def test_a_host_to_host_payment_has_no_page(shop: Shop) -> None:
    """cards §11: its address was never given out."""
    code = invoice()
    body = {
        "order": {"invoice_number": code, "amount": 90_000},
        "payment": {"type": "MOTO"},
        "card": {"number": DECLINED, "expiry": next_expiry().replace("/", "")},
    }
    assert shop.call("/credit-card/charge", body).json["payment"]["status"] == "FAILED"
    [payment] = shop.record(code)["payments"]

    assert shop.running.request("GET", f"/credit-card/pay/{payment['id']}").status == 404


@pytest.mark.parametrize(
    "path", ["/credit-card/pay/pay_01", "/credit-card/pay/%00", "/credit-card/3ds/" + "0" * 64, "/credit-card/3ds/x"]
)
def test_an_address_nobody_gave_out_is_not_found(running: RunningGateway, path: str) -> None:
    """S2-55."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    assert running.request("GET", path).status == 404
    assert running.request("POST", path, b"action=pay", form).status == 404
