"""How buyers leave the card page, and what happens when time runs out or nobody answers."""

from collections.abc import Iterator

import pytest

from gerbang.channels.credit_card.charges import ChargeState
from support.card_buyer import CardBuyer, Shop
from support.card_page import FRICTIONLESS, KO, MANDIRI, OK, SILENT, invoice, stories, wait_until_final
from support.gateway import RunningGateway, lent_gateway


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


@pytest.fixture
def shop(running: RunningGateway) -> Shop:
    return Shop.open(running)


@pytest.mark.parametrize(
    ("urls", "auto", "paid", "cancelled"),
    [
        ({"callback_url": OK, "failed_url": KO}, True, OK, KO),
        ({"callback_url": OK}, True, OK, OK),
        ({"callback_url": OK, "failed_url": KO}, False, None, None),
    ],
    ids=["both", "callback only", "not asked"],
)
def test_auto_redirect_sends_the_buyer_back(
    shop: Shop, urls: dict[str, str], auto: bool, paid: str | None, cancelled: str | None
) -> None:
    """S2-12 … S2-14: the address as it was sent, to the last character."""
    order = urls | {"auto_redirect": auto}

    after_paying = shop.buyer(invoice(), order=order).pay(FRICTIONLESS)
    after_bank = shop.buyer(invoice(), order=order).pay(MANDIRI).verify()
    after_leaving = shop.buyer(invoice(), order=order).press("cancel")

    assert (after_paying.left, after_bank.left, after_leaving.left) == (paid, paid, cancelled)
    if not auto:
        assert OK in after_paying.links
        assert KO in after_leaving.links


def test_without_addresses_the_result_stays(shop: Shop) -> None:
    """S2-12: absent → the result page stays."""
    buyer = shop.buyer(invoice()).pay(FRICTIONLESS)

    assert buyer.left is None
    assert not [address for address in buyer.links if address.startswith("http")]


def test_a_cancelled_payment_is_over_and_told(shop: Shop) -> None:
    """cards §7."""
    code = invoice()
    buyer = shop.buyer(code).press("cancel")

    assert (buyer.state, shop.status(code)["transaction"]["status"]) == ("cancelled", "FAILED")
    assert [one["transaction"]["status"] for one in shop.told(code)] == ["FAILED"]


def test_who_leaves_while_the_bank_asks_can_not_be_charged_later(shop: Shop) -> None:
    """cards §7: cancel in one tab, the right code in the other."""
    code = invoice()
    page = shop.create(code).json["credit_card_payment_page"]["url"]
    paying, leaving = CardBuyer(shop.running, page), CardBuyer(shop.running, page)
    paying.pay(MANDIRI).to_bank()

    assert leaving.press("cancel").state == "cancelled"

    paying.enter_code("123456").back_from_bank()
    assert paying.state == "cancelled"
    assert shop.at_acquirer(code) == (0, 0)


def test_a_page_expires_after_its_hour(running: RunningGateway, shop: Shop) -> None:
    """cards §22: not told unless the shop asked for it."""
    code = invoice()
    buyer = shop.buyer(code)

    running.control("POST", "/clock", {"advance_s": 3_600})

    assert buyer.pay(FRICTIONLESS).state == "expired"
    assert shop.status(code)["transaction"]["status"] == "EXPIRED"
    assert (shop.told(code), shop.charges(code)) == ([], [])


def test_a_shop_sets_how_long_its_pages_are_open(running: RunningGateway) -> None:
    """cards §24 item 8."""
    shop = Shop.open(running, expiry_min=5)
    buyer = shop.buyer(invoice())

    running.control("POST", "/clock", {"advance_s": 299})
    assert buyer.open().state == ""
    running.control("POST", "/clock", {"advance_s": 2})

    assert buyer.open().state == "expired"


def test_who_is_at_the_bank_when_the_page_expires_still_pays(running: RunningGateway) -> None:
    """cards §22: the visit began in time; a page does not close under a buyer who is typing the code."""
    shop, code = Shop.open(running, expiry_min=2), invoice()
    buyer = shop.buyer(code).pay(MANDIRI).to_bank()

    running.control("POST", "/clock", {"advance_s": 150})
    buyer.enter_code("123456").back_from_bank()

    assert buyer.state == "paid"
    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]


def test_who_fails_at_the_bank_after_the_time_to_pay_is_over_finds_it_over(running: RunningGateway) -> None:
    """cards §22: the visit itself may end in peace, but pressing Pay again and again does not keep a page open for ever."""
    shop, code = Shop.open(running, expiry_min=2), invoice()
    buyer = shop.buyer(code).pay(MANDIRI).to_bank()
    running.control("POST", "/clock", {"advance_s": 150})

    buyer.press("cancel").back_from_bank()

    assert buyer.state == "expired"
    assert shop.record(code)["state"] == "EXPIRED"
    assert shop.at_acquirer(code) == (0, 0)


def test_a_silent_acquirer_is_waited_for_reversed_and_told(shop: Shop) -> None:
    """cards §§14, 22: TO → waiting page → reversed → FAILED; the acquirer keeps nothing, and another card pays."""
    code = invoice()
    buyer = shop.buyer(code).pay(SILENT).verify()
    assert (buyer.state, buyer.headings[0]) == ("waiting", "The bank has not answered")
    assert shop.told(code) == []
    assert shop.status(code)["transaction"]["status"] == "PENDING"
    with pytest.raises(AssertionError, match="no form"):
        buyer.pay(FRICTIONLESS)

    wait_until_final(shop, code)

    assert stories(shop, code) == [("FAILED", "TO", "TRUE")]
    assert shop.at_acquirer(code) == (0, 0)
    assert buyer.open().pay(FRICTIONLESS).state == "paid"
    assert shop.at_acquirer(code) == (90_000, 0)


def test_nothing_can_be_done_while_the_acquirer_is_silent(shop: Shop) -> None:
    """cards §22: no second card, no cancel, no new page: each could lead to paying twice."""
    code = invoice()
    page = shop.create(code).json["credit_card_payment_page"]["url"]
    waiting, other = CardBuyer(shop.running, page), CardBuyer(shop.running, page)
    waiting.pay(SILENT).verify()

    assert other.pay(FRICTIONLESS).state == "waiting"
    again = CardBuyer(shop.running, page)
    assert again.state == "waiting"
    opened = shop.create(code)
    assert (opened.status, opened.json["error"]["message"]) == (409, "Payment Is Being Processed")
    assert [one.state for one in shop.charges(code)] == [ChargeState.REVERSING]
    wait_until_final(shop, code)
