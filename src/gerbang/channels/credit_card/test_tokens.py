"""Saved cards over HTTP: born with a payment, listed, unbound (cards §10; S2-20, S2-21, S2-89, S2-117 … S2-124, D-14)."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from support.card_calls import (
    APPROVED,
    APPROVED_MASTER,
    BCA_CARD,
    FOREIGN,
    KEY,
    CardMerchant,
    a_card_merchants_listener,
    answer_bank,
    body_of,
    cards_served,
    together,
)
from support.gateway import Answer, RunningGateway
from support.listener import Listener
from support.nonsnap import BODY, assert_error, assert_genuine

SEED_PATH, NEWER_PATH = "/credit-card/delete-tokenization", "/tokenization/v2/delete-token"
LIST, LIST_V1 = "/tokenization/v2/get-token", "/tokenization/v1/tokens"
BOTH_PATHS = pytest.mark.parametrize("path", [SEED_PATH, NEWER_PATH])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningGateway]:
    with cards_served() as gateway:
        yield gateway


@pytest.fixture(scope="module")
def receiver() -> Iterator[Listener]:
    with a_card_merchants_listener() as listener:
        yield listener


@pytest.fixture
def shop(sandbox: RunningGateway, receiver: Listener) -> CardMerchant:
    return CardMerchant(sandbox, receiver)


def listed(shop: CardMerchant, customer: str = "CUST-1", **filters: Any) -> list[dict[str, Any]]:
    answer = shop.call(LIST, {"customer": {"id": customer}, **filters})
    assert answer.status == 200, answer.body
    assert answer.json["customer"] == {"id": customer}
    found: list[dict[str, Any]] = answer.json["tokens"]
    return found


def ids(shop: CardMerchant, customer: str = "CUST-1", **filters: Any) -> list[str]:
    return [one["id"] for one in listed(shop, customer, **filters)]


def assert_refused(answer: Answer, message: str) -> None:
    assert_error(answer, 400, "INVALID_PARAMETER", message, BODY)


def test_a_saved_cards_token_is_told_in_the_notification_and_in_check_status(shop: CardMerchant):
    """Cards §10: `card_payment.token_id` and `card.token`, the same; 32 lowercase hex characters."""
    token = shop.save_card()

    told = body_of(shop.told(1)[0])

    assert re.fullmatch(r"[0-9a-f]{32}", token)
    assert (told["card_payment"]["token_id"], told["card"]["token"]) == (token, token)


def test_a_card_that_is_not_saved_has_no_token_anywhere(shop: CardMerchant):
    page = shop.paid()

    told = body_of(shop.told(1)[0])

    assert "token_id" not in told["card_payment"]
    assert "card" not in told
    assert "token_id" not in shop.status(page.invoice)["card_payment"]
    assert listed(shop) == []


def test_a_declined_card_is_not_saved(shop: CardMerchant):
    page = shop.page(card={"save": True})
    shop.choose(page, response_code="51")

    shop.submit(page, APPROVED)

    assert listed(shop) == []


def test_a_capture_tells_the_token_of_the_saved_card(shop: CardMerchant):
    """S2-89."""
    _, authorize_id = shop.authorised(card={"save": True})

    assert shop.capture(authorize_id).json["card"]["token"] == ids(shop)[0]


def test_the_same_card_saved_again_keeps_its_token_and_gets_the_new_expiry(shop: CardMerchant):
    first = shop.save_card(expiry="01/29")
    again = shop.save_card(expiry="02/31")

    assert again == first
    assert [one["card"]["expiry"] for one in listed(shop)] == ["31/02"]


def test_a_card_has_one_token_for_each_customer_and_merchant(shop: CardMerchant):
    mine, hers = shop.save_card(customer="CUST-1"), shop.save_card(customer="CUST-2")
    elsewhere = CardMerchant(shop.gateway).save_card(customer="CUST-1")

    assert len({mine, hers, elsewhere}) == 3
    assert (ids(shop, "CUST-1"), ids(shop, "CUST-2")) == ([mine], [hers])


def test_the_list_shows_a_masked_card_and_nothing_that_could_be_charged(shop: CardMerchant):
    """S2-124, PCI DSS 3.5.1.1: no hash of the number, no encrypted expiry."""
    token = shop.save_card(APPROVED_MASTER, name="EGA BUDIMAN", expiry="12/29")

    assert listed(shop) == [
        {
            "id": token,
            "masked_account": "********0012",
            "card": {
                "cardholder_name": "EGXXXXXXXXN",
                "expiry": "29/12",
                "brand": "MASTER",
                "issuer": "DOKU SIMULATOR BANK",
                "country": "ID",
                "bin": 512091,
            },
        }
    ]


def test_the_list_says_where_a_card_is_from(shop: CardMerchant):
    page = shop.page(card={"save": True})
    answer_bank(shop.gateway, shop.submit(page, FOREIGN, form="browser"), session="browser")

    assert [one["card"]["country"] for one in listed(shop)] == ["SG"]


@pytest.mark.parametrize("name", ["ALI", "BO", "J"])
def test_a_short_name_is_masked_too(shop: CardMerchant, name: str):
    shop.save_card(name=name)

    shown = listed(shop)[0]["card"]["cardholder_name"]

    assert len(shown) == len(name)
    assert shown != name
    assert shown.endswith("X")


def test_a_card_without_a_name_has_an_empty_one(shop: CardMerchant):
    shop.save_card()

    assert listed(shop)[0]["card"]["cardholder_name"] == ""


def test_the_list_can_be_narrowed_to_a_channel_and_a_bank(shop: CardMerchant):
    bca = shop.page(card={"save": True})
    shop.choose(bca, three_ds="frictionless")
    shop.submit(bca, BCA_CARD)
    visa = shop.save_card(APPROVED)
    both = ids(shop)

    assert (len(both), both[1]) == (2, visa)
    assert ids(shop, channel={"id": "CREDIT_CARD"}) == both
    assert ids(shop, channel={"id": "EMONEY_OVO"}) == []
    assert ids(shop, issuer={"id": "BCA"}) == both[:1]
    assert ids(shop, issuer={"id": "BANK_MANDIRI"}) == []
    assert ids(shop, channel={}, issuer={}) == both
    assert ids(shop, "CUST-9") == []


def test_the_archived_list_has_the_same_tokens(shop: CardMerchant):
    token = shop.save_card(APPROVED_MASTER, expiry="12/29")
    row = {
        "id": token,
        "type": "CREDIT_CARD",
        "masked": "512091******0012",
        "brand": "MASTER",
        "issuer": "DOKU SIMULATOR BANK",
        "expiry": "29/12",
    }

    def ask(**more: Any) -> Any:
        return shop.call(LIST_V1, {"customer": {"id": "CUST-1"}, **more}).json

    assert ask() == {"customer": {"id": "CUST-1"}, "tokens": [row]}
    assert ask(token_data={"type": "CREDIT_CARD"})["tokens"] == [row]
    assert ask(token_data={})["tokens"] == [row]
    assert ask(token_data={"type": "DIRECT_DEBIT"})["tokens"] == []


@pytest.mark.parametrize("path", [LIST, LIST_V1])
@pytest.mark.parametrize("body", [{"customer": {}}, {"customer": {"id": ""}}, {"customer": {"id": None}}], ids=str)
def test_a_list_needs_a_customer(shop: CardMerchant, path: str, body: object):
    assert_refused(shop.call(path, body), "customer.id Must Not Be Blank")


@BOTH_PATHS
def test_the_seeds_form_unbinds_on_either_path(shop: CardMerchant, path: str):
    """S2-118 … S2-123, D-14, and S2-124: the list shows it."""
    token = shop.save_card()

    answer = shop.call(path, {"token_id": token, "customer_id": "CUST-1"})

    assert (answer.status, answer.json) == (200, {"status": "DELETE SUCCESS"})
    assert_genuine(answer, "POST", path, secret_key=KEY, client_id=shop.client_id)
    assert listed(shop) == []


@BOTH_PATHS
def test_the_newer_form_unbinds_on_either_path(shop: CardMerchant, path: str):
    token = shop.save_card()

    answer = shop.call(path, {"token": {"id": token}})

    assert (answer.status, answer.json) == (200, {"token": {"id": token, "status": "INACTIVE"}})
    assert listed(shop) == []


def test_the_customer_need_not_be_named(shop: CardMerchant):
    """S2-121."""
    token = shop.save_card()

    assert shop.call(SEED_PATH, {"token_id": token}).json == {"status": "DELETE SUCCESS"}


@BOTH_PATHS
def test_what_is_not_there_to_unbind_fails_in_the_words_of_the_form_that_was_sent(shop: CardMerchant, path: str):
    """D-14: unknown, unbound already, another customer's, another merchant's."""
    token, gone = shop.save_card(), shop.save_card(APPROVED_MASTER)
    theirs = CardMerchant(shop.gateway).save_card()
    shop.call(path, {"token_id": gone})

    seed = [
        shop.call(path, {"token_id": uuid.uuid4().hex}),
        shop.call(path, {"token_id": gone}),
        shop.call(path, {"token_id": theirs}),
        shop.call(path, {"token_id": token, "customer_id": "CUST-2"}),
    ]
    newer = [shop.call(path, {"token": {"id": one}}) for one in (uuid.uuid4().hex, gone, theirs)]

    assert [(one.status, one.json) for one in seed] == [(200, {"status": "DELETE FAILED"})] * 4
    for one in newer:
        assert_refused(one, "token.id Invalid Format")
    assert ids(shop) == [token]


@BOTH_PATHS
def test_a_token_id_is_needed(shop: CardMerchant, path: str):
    """S2-120."""
    for body in ({}, {"token_id": ""}, {"token_id": None}, {"customer_id": "CUST-1"}):
        assert_refused(shop.call(path, body), "token_id Must Not Be Blank")
    for body in ({"token": {}}, {"token": {"id": ""}}):
        assert_refused(shop.call(path, body), "token.id Must Not Be Blank")


def test_a_repeated_unbind_answers_as_the_first_did(shop: CardMerchant):
    """D-3: DELETE SUCCESS again, not FAILED."""
    token = shop.save_card()
    body = {"token_id": token}
    first = shop.call(SEED_PATH, body, request_id="unbind-1")

    again = shop.call(SEED_PATH, body, request_id="unbind-1")

    assert (again.status, again.body) == (409, first.body)
    assert again.json == {"status": "DELETE SUCCESS"}


def test_an_unbound_card_is_forgotten_and_can_be_saved_anew(shop: CardMerchant):
    token = shop.save_card()
    shop.call(SEED_PATH, {"token_id": token})

    left = shop.gateway.database.read_now(
        lambda tx: tx.all("select id from vault_card where merchant_id = :m and keep_until is null", {"m": shop.client_id})
    )
    again = shop.save_card()

    assert left == []
    assert again != token
    assert ids(shop) == [again]


def test_an_unbound_token_opens_no_page(shop: CardMerchant):
    token = shop.save_card()
    shop.call(SEED_PATH, {"token_id": token})

    answer = shop.call(
        "/credit-card/v1/payment-page",
        {
            "order": {"invoice_number": "INV-GONE", "amount": 1_000},
            "customer": {"id": "CUST-1", "email": "a@example.com"},
            "card": {"token": token},
        },
    )

    assert_refused(answer, "card.token Invalid Format")


def test_a_card_saved_by_two_payments_at_once_has_one_token(gateway: RunningGateway):
    """On both engines."""

    shop = CardMerchant(gateway)

    tokens = together(*[lambda: shop.save_card(customer="CUST-1")] * 4)

    assert len(set(tokens)) == 1
    assert ids(shop) == [tokens[0]]


def test_of_two_unbinds_at_once_one_succeeds(gateway: RunningGateway):

    shop = CardMerchant(gateway)
    token = shop.save_card()

    answers = together(*[lambda: shop.call(SEED_PATH, {"token_id": token})] * 4)

    assert sorted(one.json["status"] for one in answers) == ["DELETE FAILED"] * 3 + ["DELETE SUCCESS"]
