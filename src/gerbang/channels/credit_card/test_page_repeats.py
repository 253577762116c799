"""Sent twice, in two tabs, or at once: one charge."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gerbang.channels.credit_card.charges import ChargeState
from support.card_buyer import CardBuyer, Shop, next_expiry
from support.card_page import DECLINED, FRICTIONLESS, MANDIRI, invoice, stories, wait_until_final
from support.gateway import RunningGateway, lent_gateway

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


@pytest.fixture
def shop(running: RunningGateway) -> Shop:
    return Shop.open(running)


def test_a_form_sent_again_is_one_charge(shop: Shop) -> None:
    """cards §21: reload and "send again"."""
    code = invoice()
    buyer = shop.buyer(code).pay(FRICTIONLESS)

    buyer.send_again().send_again()

    assert buyer.state == "paid"
    assert len(shop.charges(code)) == 1
    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]
    assert shop.at_acquirer(code) == (90_000, 0)


def test_a_declined_form_sent_again_is_one_attempt(shop: Shop) -> None:
    """cards §21: a reload must not use the attempts up."""
    code = invoice()
    buyer = shop.buyer(code).pay(DECLINED)

    for _ in range(6):
        assert buyer.send_again().headings[1] == "Your bank declined this card"

    assert len(shop.charges(code)) == 1
    assert stories(shop, code) == [("FAILED", "05", "FALSE")]


@pytest.mark.parametrize("first", [DECLINED, MANDIRI], ids=["declined", "at the bank"])
def test_another_card_typed_into_the_old_form_is_another_attempt(shop: Shop, first: str) -> None:
    """A browser that goes back shows the form as it was, its key included: what is typed there now is what counts."""
    code = invoice()
    buyer = shop.buyer(code)
    form = buyer.form_with("pay")
    buyer.pay(first)

    form.values |= {"number": FRICTIONLESS, "expiry": next_expiry(), "cvv": "123"}
    buyer._send(form, {"action": "pay"})

    assert buyer.state == "paid"
    assert [one.details.masked[-4:] for one in shop.charges(code)] == [first[-4:], "1111"]


@pytest.mark.parametrize(("number", "charged"), [(FRICTIONLESS, 90_000), (DECLINED, 0)])
def test_sixteen_presses_at_once_are_one_charge(gateway: RunningGateway, number: str, charged: int) -> None:
    """cards §21: a double click, taken far."""
    shop, code = Shop.open(gateway), invoice()
    buyer = shop.buyer(code)
    form = buyer.form_with("pay")
    form.values |= {"number": number, "expiry": next_expiry(), "cvv": "123"}
    tabs = [CardBuyer(shop.running, buyer.page_path) for _ in range(16)]
    for tab in tabs:
        tab.form_with("pay").values.update(form.values)

    with ThreadPoolExecutor(16) as pool:
        statuses = [tab.status for tab in pool.map(lambda tab: tab.press("pay"), tabs)]

    assert set(statuses) <= {200, 422}
    assert len(shop.charges(code)) == 1
    assert len(shop.told(code)) == 1
    assert shop.at_acquirer(code) == (charged, 0)


def test_sixteen_tabs_with_cards_of_their_own_pay_once(gateway: RunningGateway) -> None:
    """cards §22: whoever is second finds it paid."""
    shop, code = Shop.open(gateway), invoice()
    page = shop.create(code).json["credit_card_payment_page"]["url"]
    tabs = [CardBuyer(shop.running, page) for _ in range(16)]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda tab: tab.pay(FRICTIONLESS), tabs))

    assert [tab.open().state for tab in tabs] == ["paid"] * 16
    assert [one.state for one in shop.charges(code)].count(ChargeState.APPROVED) == 1
    assert [story[0] for story in stories(shop, code)].count("SUCCESS") == 1
    assert shop.at_acquirer(code) == (90_000, 0)


def test_starting_over_in_a_second_tab_leaves_the_first_at_the_bank_behind(shop: Shop) -> None:
    """cards §21: the newest form counts, the abandoned visit can never be charged and is no attempt."""
    code = invoice()
    page = shop.create(code).json["credit_card_payment_page"]["url"]
    first, second = CardBuyer(shop.running, page), CardBuyer(shop.running, page)
    first.pay(MANDIRI).to_bank()

    assert second.pay(FRICTIONLESS).state == "paid"

    first.enter_code("123456").back_from_bank()
    assert first.state == "paid"
    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]
    assert shop.at_acquirer(code) == (90_000, 0)


def test_coming_back_from_the_bank_twice_is_one_charge(gateway: RunningGateway) -> None:
    """cards §19: the bank's form is sent again."""
    shop, code = Shop.open(gateway), invoice()
    buyer = shop.buyer(code).pay(MANDIRI).to_bank().enter_code("123456")
    form = buyer.form_with(holding=["cres"])
    buyer.back_from_bank()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: CardBuyer(shop.running, buyer.page_path)._send(form, {}), range(8)))

    assert stories(shop, code) == [("SUCCESS", "00", "TRUE")]
    assert shop.at_acquirer(code) == (90_000, 0)


def test_a_press_of_pay_and_a_new_page_at_once_end_in_one_of_the_two(gateway: RunningGateway) -> None:
    """D-9: paid and the new page refused, or replaced and nothing taken; what came too late is given back."""
    shop = Shop.open(gateway)
    for _ in range(6):
        code = invoice()
        buyer = shop.buyer(code)

        with ThreadPoolExecutor(2) as pool:
            paying, creating = pool.submit(buyer.pay, FRICTIONLESS), pool.submit(shop.create, code)
            paying.result()
            created = creating.result()

        if shop.charges(code):
            wait_until_final(shop, code)
        states = [one["state"] for one in shop.record(code)["payments"]]
        assert (states, created.status) in ((["SUCCESS"], 400), (["SUCCESS"], 409), (["REPLACED", "PENDING"], 200)), created.body
        assert shop.at_acquirer(code) == ((90_000, 0) if states == ["SUCCESS"] else (0, 0))
