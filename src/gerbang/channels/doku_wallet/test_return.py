"""S0-15, S0-17, S0-18, S0-21, S0-35: where the buyer goes when it is over. Plain HTTP; the page itself is tested in a browser."""

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from gerbang.clock import iso_z, next_midnight
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.wallet.demo import DEMO_ACCOUNTS, DEMO_PIN
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import PAYMENT

SUCCESS, FAILED, DEFAULT = "https://shop.example/ok?order=1", "https://shop.example/ko", "https://www.doku.com"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


def page_of(running: RunningGateway, **order: Any) -> str:
    body = {"order": {"invoice_number": uuid.uuid4().hex, "amount": 1_000} | order}
    answer = running.signed("POST", PAYMENT, body)
    assert answer.status == 200, answer.body
    return str(answer.json["payment"]["url"]).removeprefix(running.url)


def press(running: RunningGateway, page: str, **form: str) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return running.request("POST", page, urlencode(form).encode(), headers)


def pay(running: RunningGateway, page: str) -> Answer:
    signed_in = press(running, page, action="login", phone=DEMO_ACCOUNTS[0].phone, pin=DEMO_PIN)
    session = re.search(r'name="session"[^>]*value="([^"]+)"', signed_in.body.decode())
    assert session, signed_in.body
    return press(running, page, action="pay", session=session[1])


def cancel(running: RunningGateway, page: str) -> Answer:
    return press(running, page, action="cancel")


@pytest.mark.parametrize(
    ("urls", "paid", "cancelled"),
    [
        ({"success_url": SUCCESS, "failed_url": FAILED}, SUCCESS, FAILED),
        ({"success_url": SUCCESS}, SUCCESS, SUCCESS),
        ({"failed_url": FAILED}, DEFAULT, FAILED),
        ({}, DEFAULT, DEFAULT),
    ],
    ids=["both", "success only", "failed only", "none"],
)
def test_with_auto_redirect_the_buyer_goes_on_at_once(running: RunningGateway, urls: dict[str, str], paid: str, cancelled: str):
    """S0-17: www.doku.com by default; S0-18: failed_url, else success_url. The URL is as sent: no status is added to it."""
    after_paying = pay(running, page_of(running, auto_redirect="true", **urls))
    after_cancelling = cancel(running, page_of(running, auto_redirect=True, **urls))

    assert (after_paying.status, after_paying.headers["location"]) == (303, paid)
    assert (after_cancelling.status, after_cancelling.headers["location"]) == (303, cancelled)


@pytest.mark.parametrize(("end", "url"), [(pay, SUCCESS), (cancel, FAILED)], ids=["paid", "cancelled"])
def test_without_auto_redirect_a_result_page_has_the_way_back(running: RunningGateway, end: Any, url: str):
    """S0-22: false is the default; S0-35."""
    page = page_of(running, success_url=SUCCESS, failed_url=FAILED)

    ended = end(running, page)
    result = running.request("GET", ended.headers["location"])

    assert ended.status == 303
    assert ended.headers["location"].startswith(page)
    assert result.status == 200
    assert f'href="{url}"' in result.body.decode()


def test_the_default_is_a_setting(tmp_path):
    """S0-17."""
    with lent_gateway(ewallet_default_success_url="https://toko.example/terima-kasih") as running:
        answer = cancel(running, page_of(running, auto_redirect=True))

    assert answer.headers["location"] == "https://toko.example/terima-kasih"


def test_both_faces_of_the_wallet_settle_at_the_same_moment(running: RunningGateway):
    """The glossary's rule: at the next midnight in Jakarta."""
    moment = running.gateway.clock.now()
    running.create_order("SETTLES-1")
    running.control(
        "POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": "SETTLES-1", "outcome": "SUCCESS"}
    )

    [payment] = running.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number=SETTLES-1")["payments"]

    assert payment["settles_at"] in (iso_z(next_midnight(moment)), iso_z(next_midnight(running.gateway.clock.now())))
