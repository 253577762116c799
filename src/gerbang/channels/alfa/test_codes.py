"""Alfa Group's own: two ways to write its path, and codes that merchants bring along. What all chains promise is in tests/contracts."""

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from gerbang.channels.alfa.channel import CHANNEL
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import import_merchant
from support.provider_orders import GONE, NOBODY, Shop, assert_refused

DOCUMENTED, PLUGINS = "/alfa-virtual-account/v2/payment-code", "/alfa-online-to-offline/v2/payment-code"
BROUGHT = ("/alfa-virtual-account/v2/merchant-payment-code", "/alfa-online-to-offline/v2/merchant-payment-code")
SAMPLE: dict[str, Any] = {
    "order": {"invoice_number": "INV-1", "amount": 150_000},
    "online_to_offline_info": {"expired_time": 60, "reusable_status": False, "info": "Ambil besok pagi"},
    "customer": {"name": "Anton Budiman", "email": "anton@example.com"},
    "alfa_info": {"receipt": {"footer_message": "Sampai jumpa lagi"}},
    "additional_info": {"override_notification_url": NOBODY},
}
IN_USE = "Payment Code Already Used"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


@pytest.fixture
def shop(running: RunningGateway) -> Iterator[Shop]:
    yield Shop(running, CHANNEL.code, DOCUMENTED, SAMPLE)
    running.control("POST", "/clock", {"reset": True})


@pytest.fixture
def code() -> str:
    """A number that no other test uses."""
    return f"{uuid.uuid4().int % 10**18:018}"


def bring(shop: Shop, code: object, *, path: str = BROUGHT[0], **changes: Any) -> Answer:
    """An order with the merchant's own code."""
    return shop.post(shop.body(online_to_offline_info__payment_code=code, **changes), path=path)


def given(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return str(answer.json["online_to_offline_info"]["payment_code"])


@pytest.mark.parametrize("path", [DOCUMENTED, PLUGINS])
def test_both_paths_lead_to_the_same_till(shop: Shop, path: str) -> None:
    """DOKU's documents write one, its own plugins the other."""
    answer = shop.post(shop.body(), path=path)

    shop.play(answer.json["order"]["invoice_number"], "SUCCESS")

    assert len(given(answer)) == 16
    assert shop.said(answer.json["order"]["invoice_number"]) == "SUCCESS"


def test_an_invoice_number_used_on_one_path_is_used_on_the_other(shop: Shop) -> None:
    """D-9."""
    body = shop.body()
    shop.post(body)

    assert_refused(shop.post(body, path=PLUGINS), "Invoice Number Already Used")


@pytest.mark.parametrize("path", [*BROUGHT, DOCUMENTED, PLUGINS])
def test_a_merchants_own_code_is_the_code(shop: Shop, path: str, code: str) -> None:
    answer = bring(shop, code, path=path)

    shop.play(answer.json["order"]["invoice_number"], "SUCCESS")

    assert given(answer) == code
    told = shop.running.status(answer.json["order"]["invoice_number"]).json
    assert (told["transaction"]["status"], told["online_to_offline_info"]["payment_code"]) == ("SUCCESS", code)


@pytest.mark.parametrize("path", BROUGHT)
def test_where_the_merchant_brings_the_code_it_has_to(shop: Shop, path: str) -> None:
    for missing in (GONE, "", None, "  "):
        changes = {"online_to_offline_info__payment_code": missing} if missing is not GONE else {}
        answer = shop.post(shop.body(**changes), path=path)
        assert_refused(answer, "online_to_offline_info.payment_code Must Not Be Blank")


@pytest.mark.parametrize("wrong", ["12a4", "1" * 19, "12 34", "-1", 1.5, True, "\u0661\u0662", "12\n"])
def test_a_code_is_up_to_eighteen_digits(shop: Shop, wrong: object) -> None:
    assert_refused(bring(shop, wrong), "online_to_offline_info.payment_code Invalid Format")


def test_leading_zeros_belong_to_a_code(shop: Shop, code: str) -> None:
    with_zero, without = "00" + code[2:], code[2:]

    assert (given(bring(shop, with_zero)), given(bring(shop, without))) == (with_zero, without)


def test_a_code_that_can_still_be_paid_is_nobody_elses(shop: Shop, running: RunningGateway, code: str) -> None:
    """Neither another order's of the same merchant nor another merchant's; the first one is paid in peace."""
    other = f"BRN-{uuid.uuid4().hex[:8]}"
    import_merchant(running, other, "SK-another")
    first = bring(shop, code)
    body = shop.body(online_to_offline_info__payment_code=code)

    assert_refused(bring(shop, code), IN_USE)
    assert_refused(bring(shop, code, path=PLUGINS), IN_USE)
    theirs = running.signed("POST", BROUGHT[0], body, client_id=other, secret_key="SK-another")

    assert theirs.json["error"]["message"] == IN_USE
    shop.play(first.json["order"]["invoice_number"], "SUCCESS")
    assert shop.said(first.json["order"]["invoice_number"]) == "SUCCESS"


def test_an_order_whose_code_is_refused_leaves_its_invoice_number_free(shop: Shop, code: str) -> None:
    bring(shop, code)
    body = shop.body(online_to_offline_info__payment_code=code)
    assert_refused(shop.post(body), IN_USE)
    del body["online_to_offline_info"]["payment_code"]

    assert shop.post(body).status == 200


@pytest.mark.parametrize("outcome", ["SUCCESS", "EXPIRED"])
def test_a_code_that_is_paid_or_over_is_free_again(shop: Shop, outcome: str, code: str) -> None:
    """A number for each customer, order after order; the till knows the newest."""
    first = bring(shop, code).json["order"]["invoice_number"]
    shop.play(first, outcome)

    second = bring(shop, code).json["order"]["invoice_number"]
    bill = running_bill(shop, code)
    shop.play(second, "SUCCESS")

    assert second in bill
    assert first not in bill
    assert shop.said(second) == "SUCCESS"


@pytest.mark.parametrize("outcome", ["SUCCESS", "EXPIRED"])
def test_a_code_that_buyers_know_as_one_merchants_is_never_anothers(
    shop: Shop, running: RunningGateway, outcome: str, code: str
) -> None:
    """Who comes to the till late with an old code must not pay somebody else's order."""
    other = f"BRN-{uuid.uuid4().hex[:8]}"
    import_merchant(running, other, "SK-another")
    shop.play(bring(shop, code).json["order"]["invoice_number"], outcome)
    body = shop.body(online_to_offline_info__payment_code=code)

    theirs = running.signed("POST", BROUGHT[0], body, client_id=other, secret_key="SK-another")

    assert (theirs.status, theirs.json["error"]["message"]) == (400, IN_USE)
    assert given(bring(shop, code)) == code, "the first merchant may use it again"


def running_bill(shop: Shop, code: str) -> str:
    return shop.running.request("GET", f"/simulators/alfa?code={code}").body.decode()


def test_a_reusable_code_is_free_when_its_time_is_over(shop: Shop, code: str) -> None:
    invoice = bring(shop, code, online_to_offline_info__reusable_status=True).json["order"]["invoice_number"]
    shop.play(invoice, "SUCCESS")
    assert_refused(bring(shop, code), IN_USE)

    shop.running.control("POST", "/clock", {"advance_s": timedelta(minutes=61).total_seconds()})

    assert given(bring(shop, code)) == code


def test_of_many_that_want_a_free_code_at_once_one_gets_it(gateway: RunningGateway) -> None:
    """On both engines, for a code nobody had and for one whose payment is over."""
    shop = Shop(gateway, CHANNEL.code, DOCUMENTED, SAMPLE)
    barrier = threading.Barrier(6)

    def want(code: str) -> Answer:
        barrier.wait()
        return bring(shop, code)

    for code in ("70011", "70011"):
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(want, [code] * 6))
        won = [answer for answer in answers if answer.status == 200]
        assert len(won) == 1
        for answer in answers:
            if answer not in won:
                assert_refused(answer, IN_USE)
        shop.play(won[0].json["order"]["invoice_number"], "SUCCESS")
