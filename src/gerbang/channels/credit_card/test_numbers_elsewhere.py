"""Card numbers typed or sent into fields that are not theirs are refused, never kept, and never come back."""

import copy
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.card_calls import APPROVED, CHARGE, CHECK_3DS, CVV, PAGE, CardMerchant, cards_served, walk_bank
from support.secrets import find_in_bytes, find_in_database, find_in_files

PAN = "4811111111111114"
WRITTEN = (PAN, "4811 1111 1111 1114", "SITI 4811-1111-1111-1114", "４８１１１１１１１１１１１１１４", "٤٨١١١١١١١١١١١١١٤")


@pytest.fixture(scope="module")
def shop() -> Iterator[CardMerchant]:
    with cards_served() as gateway:
        yield CardMerchant(gateway)


def test_a_name_with_the_digits_of_a_card_is_refused_on_the_page_and_not_shown_back(shop: CardMerchant) -> None:
    page = shop.page()

    for name in WRITTEN:
        answer = shop.submit(page, name=name)

        assert (answer.status, b'id="name-error"' in answer.body) == (422, True), name
        assert name.encode() not in answer.body
        assert find_in_bytes(answer.body, numbers=[PAN]) == []
    assert shop.state(page) == "PENDING"
    assert shop.submit(page, name="SITI 2ND OF 1998-12-31 00").status == 303, "eleven digits and less are a name"


def test_a_number_never_comes_back_from_the_page(shop: CardMerchant) -> None:
    """Mistyped, declined, or in the wrong field."""
    page = shop.page()
    mistyped = PAN[:-1] + "5"

    answers = [
        shop.submit(page, mistyped),
        shop.submit(page, APPROVED, cvv="1"),
        shop.submit(page, APPROVED, expiry=PAN),
        shop.submit(page, "4509198934905340"),  # asks the buyer: the form is in the page behind the bank's frame
    ]

    for answer in answers:
        shown = answer.body.partition(b'<form method="post"')[2]  # the sandbox lists its test cards above
        assert find_in_bytes(shown, numbers=[PAN, mistyped, APPROVED, "4509198934905340"]) == []


def test_names_of_every_call_are_refused_when_they_may_hold_a_number(shop: CardMerchant) -> None:
    card = {"number": APPROVED, "expiry": shop.expiry, "cvv": CVV}
    urls = {"callback_url_success": "https://toko.test/ok", "callback_url_failed": "https://toko.test/no"}
    calls: list[tuple[str, dict[str, Any], str]] = [
        (
            PAGE,
            {"order": {"amount": 1_000, "invoice_number": "NUM-1"}, "customer": {"id": "C", "email": "a@b.id"}},
            "customer.name",
        ),
        (CHARGE, {"order": {"amount": 1_000, "invoice_number": "NUM-2"}, "card": card, "customer": {"id": "C"}}, "customer.name"),
        (CHARGE, {"order": {"amount": 1_000, "invoice_number": "NUM-3"}, "card": card}, "card.cardholder_name"),
        (CHECK_3DS, {"order": {"amount": 1_000}, "card": card, "three_dsecure": urls}, "card.cardholder_name"),
    ]

    for path, body, field in calls:
        for name in WRITTEN:
            sent = copy.deepcopy(body)
            block, _, leaf = field.partition(".")
            sent[block][leaf] = name
            answer = shop.call(path, sent)
            assert (answer.status, answer.json["error"]["message"]) == (400, f"{field} Invalid Format"), (path, name)
            assert find_in_bytes(answer.body, numbers=[PAN]) == []


def test_a_phone_number_of_a_charge_is_checked(shop: CardMerchant) -> None:
    answer = shop.charge(shop.authentication(), customer={"id": "C", "phone": "call me"})

    assert (answer.status, answer.json["error"]["message"]) == (400, "customer.phone Invalid Format")


def test_a_card_past_its_expiry_is_declined_with_54(shop: CardMerchant) -> None:
    """As docs/channels.md promises of the sandbox, and as an issuer does."""
    started = shop.authenticate(card={"number": APPROVED, "expiry": "0121"}).json["three_dsecure"]
    walk_bank(shop.gateway, started["authentication_url"])

    answer = shop.charge(started["authentication_id"])

    assert answer.status == 200, answer.body
    assert (answer.json["payment"]["status"], answer.json["payment"]["response_code"]) == ("FAILED", "54")


def test_no_card_data_is_in_any_file_row_log_or_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A buyer and a merchant who put numbers everywhere: page, host to host, notifications, control API, database with its WAL."""
    caplog.set_level(logging.DEBUG)
    with cards_served() as gateway:
        shop = CardMerchant(gateway)
        page = shop.page()
        for field in ("name", "expiry", "cvv", "choice", "plan", "lang"):
            shop.submit(page, PAN, **{field: PAN})
        assert shop.submit(page, PAN).status in (303, 200, 422)
        shop.charge(card={"number": PAN, "expiry": shop.expiry, "cvv": CVV, "cardholder_name": PAN})
        shop.charge(card={"number": PAN, "expiry": PAN, "cvv": CVV})
        shop.charge(card={"number": PAN, "expiry": shop.expiry, "cvv": PAN})
        shop.charge(card={"number": PAN, "expiry": shop.expiry, "cvv": CVV}, customer={"id": "C", "name": PAN})
        shop.authenticate(PAN)
        shown = [gateway.request("GET", f"/sandbox/v1/{path}").body for path in ("notifications", "messages", "unexpected")]

        assert find_in_database(gateway.database, numbers=[PAN], cvvs=[CVV]) == []
        assert find_in_files([gateway.gateway.settings.data], numbers=[PAN]) == []
        assert find_in_bytes(b"".join(shown), numbers=[PAN], cvvs=[CVV]) == []
    assert find_in_bytes(caplog.text, numbers=[PAN], cvvs=[CVV]) == []
