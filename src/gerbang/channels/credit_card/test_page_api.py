"""S2-03 … S2-56: POST /credit-card/v1/payment-page, every field with its rule and its exact refusal, and the closed answer."""

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from gerbang.channels.credit_card.provider import AcquirerAnswer, AuthoriseQuestion
from gerbang.channels.credit_card.simulator import SandboxAcquirer
from support.card_buyer import PAGE, SECRET_KEY, Shop
from support.gateway import Answer, RunningGateway, independent_signature, lent_gateway
from support.nonsnap import ago, assert_error, assert_genuine, request_text

OK = "https://merchant.example/ok?order=1&sig=a%2Fb"
KO = "https://merchant.example/ko"
SHIRT = {"name": "T-Shirt Red", "price": 30_000, "quantity": 2}
POLO = {"name": "Polo Navy", "price": 30_000, "quantity": 1}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


@pytest.fixture(scope="module")
def shop(running: RunningGateway) -> Shop:
    return Shop.open(running)


def invoice() -> str:
    return f"INV-{uuid.uuid4().hex[:12]}"


def send(shop: Shop, body: object, **more: Any) -> Answer:
    """A body as it is; every answer is signed."""
    answer = shop.call(PAGE, body, **more)
    assert_genuine(answer, "POST", PAGE, client_id=shop.client_id, secret_key=SECRET_KEY)
    return answer


def post(shop: Shop, order: dict[str, Any] | None = None, customer: dict[str, Any] | None = None, **blocks: Any) -> Answer:
    """A page. Invoice, amount and customer are filled in unless given; None takes a field away."""
    whole = {"invoice_number": invoice(), "amount": 90_000} | (order or {})
    buyer = {"name": "Anton Budiman", "email": "anton@example.com"} | (customer or {})
    body = {
        "order": {name: value for name, value in whole.items() if value is not None},
        "customer": {name: value for name, value in buyer.items() if value is not None},
    }
    return send(shop, body | blocks)


def kept(shop: Shop, answer: Answer) -> dict[str, Any]:
    """What was written down of an accepted page."""
    assert answer.status == 200, answer.body
    return dict(shop.record(answer.json["order"]["invoice_number"])["details"])


def refused(answer: Answer, message: str) -> None:
    assert_error(answer, 400, "INVALID_PARAMETER", message, "Invalid Parameter")


# What the order may hold


@pytest.mark.parametrize("amount", [90_000, "90000", "90000.00", 1, 999_999_999_999], ids=str)
def test_an_amount_is_whole_rupiah_as_number_or_text(shop: Shop, amount: object):
    """S2-09."""
    answer = post(shop, {"amount": amount})

    assert answer.status == 200
    assert shop.record(answer.json["order"]["invoice_number"])["amount"] == int(float(str(amount)))


@pytest.mark.parametrize("amount", [0, -1, 90_000.5, "90.000", "1e5", "sembilan", True, [90_000], 1_000_000_000_000], ids=str)
def test_what_is_no_amount_is_refused(shop: Shop, amount: object):
    """S2-09: rupiah without decimals."""
    refused(post(shop, {"amount": amount}), "order.amount Invalid Format")


def test_amount_and_invoice_number_are_mandatory(shop: Shop):
    """S2-09, S2-10."""
    refused(post(shop, {"amount": None}), "order.amount Must Not Be Blank")
    refused(post(shop, {"invoice_number": None}), "order.invoice_number Must Not Be Blank")
    refused(post(shop, {"invoice_number": "  "}), "order.invoice_number Must Not Be Blank")
    refused(send(shop, {"customer": {"email": "a@b.id"}}), "order Must Not Be Blank")


@pytest.mark.parametrize("number", ["a", "x" * 64, "INV/2026-#1 (ä) ~!@$%^&*+=|;:'\",.<>?`{}[]"])
def test_an_invoice_number_has_letters_digits_and_specials_up_to_64(shop: Shop, number: str):
    """S2-10."""
    answer = post(shop, {"invoice_number": number})

    assert answer.json["order"]["invoice_number"] == number


def test_65_characters_are_too_many(shop: Shop):
    """S2-10."""
    refused(post(shop, {"invoice_number": "x" * 65}), "order.invoice_number Invalid Format")


def test_mandiri_takes_invoice_numbers_of_27_characters_only(running: RunningGateway):
    """S2-11, D-15: named in the request, or the only acquirer there is; any other shop simply pays elsewhere."""
    anybody, mandiri = Shop.open(running), Shop.open(running, acquirers=["BANK_MANDIRI"])

    refused(
        post(anybody, {"invoice_number": "x" * 28}, payment={"type": "SALE", "acquirer": "BANK_MANDIRI"}),
        "order.invoice_number Invalid Format",
    )
    refused(post(mandiri, {"invoice_number": "x" * 28}), "order.invoice_number Invalid Format")
    assert post(mandiri, {"invoice_number": "x" * 27}).status == 200
    assert post(anybody, {"invoice_number": "x" * 28}).status == 200
    paid = anybody.buyer("y" * 28).pay("4111111111111111")
    assert paid.state == "paid"
    assert anybody.status("y" * 28)["acquirer"]["id"] != "BANK_MANDIRI"


def test_the_newer_limit_of_30_is_a_setting(tmp_path: Any):
    """D-15."""
    with lent_gateway(mandiri_invoice_max=30) as running:
        mandiri = Shop.open(running, acquirers=["BANK_MANDIRI"])

        assert post(mandiri, {"invoice_number": "x" * 30}).status == 200
        refused(post(mandiri, {"invoice_number": "x" * 31}), "order.invoice_number Invalid Format")


@pytest.mark.parametrize("wish", [True, "true", "TRUE", " true "], ids=str)
def test_auto_redirect_needs_a_callback_url(shop: Shop, wish: object):
    """S2-12, S2-14."""
    refused(post(shop, {"auto_redirect": wish}), "order.callback_url Must Not Be Blank")
    assert kept(shop, post(shop, {"auto_redirect": wish, "callback_url": OK}))["auto_redirect"] is True


@pytest.mark.parametrize("wish", [False, "false", "False", "", None], ids=str)
def test_without_auto_redirect_no_url_is_needed(shop: Shop, wish: object):
    """S2-14: default false; many clients leave it out."""
    assert "auto_redirect" not in kept(shop, post(shop, {"auto_redirect": wish}))


@pytest.mark.parametrize("wish", ["yes", "1", 1, 0, [], {}], ids=str)
def test_auto_redirect_is_true_or_false(shop: Shop, wish: object):
    """S2-14."""
    refused(post(shop, {"auto_redirect": wish}), "order.auto_redirect Invalid Format")


@pytest.mark.parametrize("name", ["callback_url", "failed_url"])
@pytest.mark.parametrize("url", ["merchant.example/ok", "javascript:alert(1)", "/ok", "https://", "https://a b/", 7], ids=str)
def test_the_buyer_is_sent_to_web_addresses_only(shop: Shop, name: str, url: object):
    """S2-12, S2-13."""
    refused(post(shop, {name: url}), f"order.{name} Invalid Format")


def test_return_addresses_are_kept_to_the_last_character(shop: Shop):
    """S2-12, S2-13: the merchant's query string survives."""
    details = kept(shop, post(shop, {"callback_url": OK, "failed_url": KO}))

    assert (details["callback_url"], details["failed_url"]) == (OK, KO)


def test_line_items_come_back_as_they_were_sent(shop: Shop):
    """S2-15 … S2-17, S2-53: unknown keys (sku, category) included, texts stay texts."""
    items = [SHIRT | {"sku": "T-1", "category": "shirt"}, {"name": "Polo Navy", "price": "30000", "quantity": "1"}]

    assert post(shop, {"line_items": items}).json["order"]["line_items"] == items


def test_line_items_add_up_to_the_amount(shop: Shop):
    """S2-16, D-13."""
    assert post(shop, {"line_items": [SHIRT, POLO]}).status == 200
    refused(post(shop, {"line_items": [SHIRT, SHIRT]}), "Invalid Total Amount And Line Items")
    refused(post(shop, {"line_items": [SHIRT]}), "Invalid Total Amount And Line Items")


@pytest.mark.parametrize(
    "loose", [{"name": "Ongkir"}, {"name": "Ongkir", "price": 1}, {"name": "Ongkir", "quantity": 7}], ids=str
)
def test_items_without_price_or_quantity_are_not_added_up(shop: Shop, loose: dict[str, Any]):
    """D-13: only when every item has both."""
    assert post(shop, {"line_items": [SHIRT, loose]}).status == 200


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([SHIRT | {"name": "x" * 256}], "order.line_items[0].name"),
        ([POLO, SHIRT | {"price": -1}], "order.line_items[1].price"),
        ([SHIRT | {"price": "mahal"}], "order.line_items[0].price"),
        ([SHIRT | {"quantity": 0}], "order.line_items[0].quantity"),
        ([SHIRT | {"quantity": 1.5}], "order.line_items[0].quantity"),
        ("T-Shirt", "order.line_items"),
        (["T-Shirt"], "order.line_items[0]"),
    ],
)
def test_a_wrong_line_item_is_named(shop: Shop, items: object, field: str):
    """S2-15 … S2-17."""
    refused(post(shop, {"line_items": items}), f"{field} Invalid Format")


def test_a_descriptor_has_22_characters(shop: Shop):
    """S2-18."""
    assert kept(shop, post(shop, {"descriptor": "x" * 22}))["descriptor"] == "x" * 22
    refused(post(shop, {"descriptor": "x" * 23}), "order.descriptor Invalid Format")


@pytest.mark.parametrize(("on", "heard"), [(True, "TOKO ANTON"), (False, None)], ids=["switched on", "not switched on"])
def test_a_descriptor_reaches_the_acquirer_only_where_it_is_switched_on(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch, on: bool, heard: str | None
):
    """S2-18."""
    asked: list[str | None] = []
    authorise = SandboxAcquirer.authorise

    async def listening(self: SandboxAcquirer, question: AuthoriseQuestion) -> AcquirerAnswer:
        asked.append(question.descriptor)
        return await authorise(self, question)

    monkeypatch.setattr(SandboxAcquirer, "authorise", listening)
    shop = Shop.open(running, descriptor=on)

    assert shop.buyer(invoice(), order={"descriptor": "TOKO ANTON"}).pay("4111111111111111").state == "paid"
    assert asked == [heard]


@pytest.mark.parametrize("session_id", [1234567890, "1234567890", "abc", 0], ids=repr)
def test_a_session_id_comes_back_in_the_type_it_was_sent(shop: Shop, session_id: object):
    """S2-54: a number per guide and plugin, text in the Java and Go clients."""
    echoed = post(shop, {"session_id": session_id}).json["order"]["session_id"]

    assert (echoed, type(echoed)) == (session_id, type(session_id))


# Who buys


def test_one_of_email_and_phone_is_needed(shop: Shop):
    """S2-23 … S2-25."""
    missing = "customer.email Must Not Be Blank"

    refused(post(shop, customer={"email": None}), missing)
    refused(post(shop, customer={"email": "", "phone": " "}), missing)
    refused(send(shop, {"order": {"invoice_number": invoice(), "amount": 1}}), missing)
    refused(send(shop, {"order": {"invoice_number": invoice(), "amount": 1}, "customer": {}}), missing)
    assert post(shop, customer={"email": None, "phone": "6281122334455"}).status == 200


def test_clients_without_a_customer_can_be_let_in(tmp_path: Any):
    """S2-25: grosenia's client sends customer {} and payment {}."""
    with lent_gateway(require_customer_contact=False) as running:
        shop = Shop.open(running)

        answer = send(shop, {"order": {"invoice_number": invoice(), "amount": 1}, "customer": {}, "payment": {}})

        assert kept(shop, answer) == {}


@pytest.mark.parametrize("phone", ["6281122334455", "081122334455", "+62 811-2233-4455", 6281122334455, 81122334455], ids=str)
def test_every_written_form_of_a_phone_number_is_taken(shop: Shop, phone: object):
    """S2-24, D-6: kept as sent."""
    assert kept(shop, post(shop, customer={"phone": phone}))["customer"]["phone"] == str(phone)


@pytest.mark.parametrize("phone", ["0811", "62811223344556677", "nomor", "6281122x34455"])
def test_a_phone_number_has_8_to_16_digits(shop: Shop, phone: str):
    """D-6."""
    refused(post(shop, customer={"phone": phone}), "customer.phone Invalid Format")


def test_customer_fields_are_kept(shop: Shop):
    """S2-21 … S2-27: a country nobody knows is stored, not refused."""
    buyer = {"id": "C-1", "phone": "6281122334455", "address": "Menara Mulia Lantai 8", "country": "Indonesia"}

    assert kept(shop, post(shop, customer=buyer))["customer"] == {"name": "Anton Budiman", "email": "anton@example.com", **buyer}


def test_an_address_may_be_a_list_of_lines(shop: Shop):
    """S2-26: the Magento plugin."""
    sent = {"address": ["Menara Mulia", "", "Lantai 8"]}

    assert kept(shop, post(shop, customer=sent))["customer"]["address"] == "Menara Mulia, Lantai 8"


def test_a_customer_id_has_50_characters(shop: Shop):
    """S2-21."""
    assert post(shop, customer={"id": "x" * 50}).status == 200
    refused(post(shop, customer={"id": "x" * 51}), "customer.id Invalid Format")


# Saved cards


def saved_card(shop: Shop, customer_id: str) -> str:
    """The token of a card this customer has paid with."""
    number = invoice()
    shop.buyer(number, customer={"id": customer_id}, card={"save": True}).pay("4111111111111111")
    return str(shop.told(number)[-1]["card_payment"]["token_id"])


def test_saving_needs_a_customer(shop: Shop):
    """S2-20, S2-21."""
    refused(post(shop, card={"save": True}), "customer.id Must Not Be Blank")
    assert kept(shop, post(shop, customer={"id": "C-1"}, card={"save": "true"}))["save"] is True
    assert post(shop, card={"save": False}).status == 200
    refused(post(shop, customer={"id": "C-1"}, card={"save": "yes"}), "card.save Invalid Format")


def test_a_token_has_to_be_this_customers_own(running: RunningGateway, shop: Shop):
    """S2-19: unknown, of another customer, of another merchant, unbound: all the same."""
    token = saved_card(shop, "OWNER")
    other = Shop.open(running)
    wrong = "card.token Invalid Format"

    assert kept(shop, post(shop, customer={"id": "OWNER"}, card={"token": token}))["token"] == token
    refused(post(shop, customer={"id": "THIEF"}, card={"token": token}), wrong)
    refused(post(shop, customer={"id": "OWNER"}, card={"token": "f" * 32}), wrong)
    refused(post(other, customer={"id": "OWNER"}, card={"token": token}), wrong)
    assert shop.call("/credit-card/delete-tokenization", {"token_id": token}).json == {"status": "DELETE SUCCESS"}
    refused(post(shop, customer={"id": "OWNER"}, card={"token": token}), wrong)


def test_without_a_customer_id_the_tokens_owner_buys(shop: Shop):
    """S2-19."""
    token = saved_card(shop, "KEEPER")

    assert kept(shop, post(shop, card={"token": token}))["customer"]["id"] == "KEEPER"


def test_an_empty_card_block_asks_for_nothing(shop: Shop):
    """S2-19, S2-20."""
    details = kept(shop, post(shop, card={"token": "", "save": ""}))

    assert "token" not in details
    assert "save" not in details


# How it is charged


@pytest.mark.parametrize(
    ("payment", "kept_type", "captures"),
    [
        (None, None, False),
        ({}, None, False),
        ({"type": ""}, None, False),
        ({"type": "SALE"}, None, False),
        ({"type": "AUTHORIZE"}, "AUTHORIZE", False),
        ({"type": "AUTHORIZATION"}, "AUTHORIZE", False),
        ({"type": "AUTHORIZE", "auto_capture": True}, "AUTHORIZE", True),
        ({"type": "AUTHORIZE", "auto_capture": "true"}, "AUTHORIZE", True),
        ({"type": "AUTHORIZATION", "auto_capture": True}, "AUTHORIZE", True),
        ({"type": "AUTHORIZE_CAPTURE"}, "AUTHORIZE", True),
        ({"type": "SALE", "auto_capture": True}, None, False),
        ({"type": "MOTO"}, "MOTO", False),
        ({"type": "RECURRING"}, "RECURRING", False),
    ],
    ids=str,
)
def test_payment_types_and_their_aliases(shop: Shop, payment: dict[str, Any] | None, kept_type: str | None, captures: bool):
    """S2-41, S2-42: SALE is the default; the guide itself says AUTHORIZATION once."""
    details = kept(shop, post(shop, **({} if payment is None else {"payment": payment})))

    assert details.get("payment_type") == kept_type
    assert details.get("auto_capture", False) is captures


@pytest.mark.parametrize("word", ["sale", "CREDIT", "CAPTURE", "SALE;", 5], ids=str)
def test_another_payment_type_is_refused(shop: Shop, word: object):
    """S2-41."""
    refused(post(shop, payment={"type": word}), "payment.type Invalid Format")


def test_a_payment_type_that_is_switched_off_is_refused(running: RunningGateway):
    """S2-41."""
    shop = Shop.open(running, types=["AUTHORIZE", "SALE"], default_type="AUTHORIZE")

    refused(post(shop, payment={"type": "MOTO"}), "payment.type Invalid Format")
    assert kept(shop, post(shop)).keys() == {"customer", "payment_type"}
    assert kept(shop, post(shop, payment={"auto_capture": True})).keys() == {"customer", "payment_type", "auto_capture"}


@pytest.mark.parametrize("word", ["yes", 1, []], ids=str)
def test_auto_capture_is_true_or_false(shop: Shop, word: object):
    """S2-42."""
    refused(post(shop, payment={"type": "AUTHORIZE", "auto_capture": word}), "payment.auto_capture Invalid Format")


def installment(shop: Shop, amount: int = 500_000, **payment: Any) -> Answer:
    whole = {"type": "INSTALLMENT", "acquirer": "BCA", "tenor": 3} | payment
    return post(shop, {"amount": amount}, payment={name: value for name, value in whole.items() if value is not None})


BANKS = ["BNI", "BRI", "BANK_CIMB", "BANK_MANDIRI", "BCA", "BANK_PERMATA", "DANAMON", "BUKOPIN", "HSBC", "OCBC_NISP"]


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("tenor", [3, "12", 24], ids=str)
def test_installments_at_every_documented_bank(shop: Shop, bank: str, tenor: object):
    """S2-43, S2-44, S2-111 … S2-113: the tenor as number or text."""
    details = kept(shop, installment(shop, acquirer=bank, tenor=tenor))

    assert (details["acquirer"], details["tenor"]) == (bank, int(str(tenor)))


def test_an_installment_needs_bank_and_tenor(shop: Shop):
    """S2-43, S2-44."""
    refused(installment(shop, acquirer=None), "payment.acquirer Must Not Be Blank")
    refused(installment(shop, tenor=None), "payment.tenor Must Not Be Blank")
    refused(installment(shop, tenor=""), "payment.tenor Must Not Be Blank")


@pytest.mark.parametrize(
    ("payment", "amount", "field"),
    [
        ({"acquirer": "BANK_BCA"}, 500_000, "payment.acquirer"),
        ({"acquirer": "bca"}, 500_000, "payment.acquirer"),
        ({"tenor": 5}, 500_000, "payment.tenor"),
        ({"tenor": "tiga"}, 500_000, "payment.tenor"),
        ({}, 499_999, "order.amount"),
    ],
    ids=str,
)
def test_an_installment_that_is_not_offered_is_refused(shop: Shop, payment: dict[str, Any], amount: int, field: str):
    """S2-43, S2-44, S2-115."""
    refused(installment(shop, amount, **payment), f"{field} Invalid Format")


def test_installments_follow_the_merchants_configuration(running: RunningGateway):
    """S2-114, S2-115: per bank on or off, tenors, minimum."""
    banks = {"BCA": {"minimum": 100_000, "tenors": [6]}, "BRI": {"on": False}}
    shop = Shop.open(running, installments={"banks": banks})
    nobody = Shop.open(running, installments={"on": False})

    assert installment(shop, 100_000, tenor=6).status == 200
    refused(installment(shop, 99_999, tenor=6), "order.amount Invalid Format")
    refused(installment(shop, tenor=3), "payment.tenor Invalid Format")
    refused(installment(shop, acquirer="BRI"), "payment.acquirer Invalid Format")
    refused(installment(nobody), "payment.acquirer Invalid Format")


def test_bank_and_tenor_of_other_types_are_ignored(shop: Shop):
    """S2-43."""
    details = kept(shop, post(shop, payment={"type": "SALE", "acquirer": "NOBODY", "tenor": 3}))

    assert details.keys() == {"customer"}


# What is overridden


@pytest.mark.parametrize(
    "themes",
    [
        {"background_color": "#F5F8FB", "font_color": "1a1a1a"},
        {"background_color": "red", "font_color": "12345", "button_font_color": 7},
        {"language": "", "background_color": "", "font_color": "", "button_background_color": "", "button_font_color": ""},
        {"language": "FR"},
        {"language": None, "background_color": [], "font_color": {}},
        {"font_color": "1A1A1A;}body{display:none"},
    ],
    ids=str,
)
def test_a_theme_is_never_refused(shop: Shop, themes: dict[str, Any]):
    """S2-28 … S2-32: what is no colour means the default, and never gets into a style."""
    buyer = shop.buyer(invoice(), override_configuration={"themes": themes})

    assert buyer.status == 200
    assert buyer.lang == "en"
    assert "display:none" not in buyer.text


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({}, ("F5F8FB", "1A1A1A", "E1251B", "FFFFFF")),
        ({"background_color": "FFFFF0"}, ("FFFFF0", "1A1A1A", "E1251B", "FFFFFF")),
        ({"font_color": "101010"}, ("F5F8FB", "101010", "E1251B", "FFFFFF")),
        ({"button_background_color": "003366"}, ("F5F8FB", "1A1A1A", "003366", "FFFFFF")),
        ({"button_font_color": "FFFFEE"}, ("F5F8FB", "1A1A1A", "E1251B", "FFFFEE")),
    ],
    ids=str,
)
def test_each_colour_lands_where_it_was_meant(shop: Shop, sent: dict[str, str], shown: tuple[str, ...]):
    """S2-29 … S2-32: one is changed, the other three are the documented ones. All of them can be read, so none is rescued."""
    page = shop.buyer(invoice(), override_configuration={"themes": sent}).text

    [sheet] = re.findall(r'href="(/assets/theme/[^"]+)"', page)
    css = shop.running.request("GET", sheet).body.decode()
    found = dict(re.findall(r"--m-([\w-]+):#([0-9A-F]{6})", css))
    assert tuple(found[role] for role in ("canvas", "text", "button", "button-text")) == shown


@pytest.mark.parametrize(
    "override",
    [
        {"promo": [{"bin": "411111", "discount_amount": 10_000}]},
        {"promo": {"bin": "411111", "discount_amount": "10000"}},
        {"promo": [{"bin": 411111, "discount_amount": 10_000}, {"bin": "", "discount_amount": ""}]},
    ],
    ids=str,
)
def test_a_promo_is_a_list_or_one(shop: Shop, override: dict[str, Any]):
    """S2-33, S2-34."""
    assert kept(shop, post(shop, override_configuration=override))["promos"] == [{"bin": "411111", "discount": 10_000}]


@pytest.mark.parametrize(
    ("key", "sent", "found"),
    [
        ("allow_bin", ["411111", "557338"], ["411111", "557338"]),
        ("allow_bin", 411111, ["411111"]),
        ("allow_bin", "411111", ["411111"]),
        ("allow_bin", [411111, ""], ["411111"]),
        ("allow_bin", "", None),
        ("allow_bin", [], None),
        ("allow_tenor", [3, 6, 12], [3, 6, 12]),
        ("allow_tenor", 0, [0]),
        ("allow_tenor", "3", [3]),
        ("allow_tenor", ["3", 6], [3, 6]),
        ("allow_tenor", None, None),
    ],
    ids=str,
)
def test_a_scalar_stands_for_a_list_of_one(shop: Shop, key: str, sent: object, found: object):
    """S2-35, S2-36: "number" in the guide, arrays in two clients."""
    assert kept(shop, post(shop, override_configuration={key: sent})).get(key) == found


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ({"allow_bin": ["4111x1"]}, "override_configuration.allow_bin"),
        ({"allow_bin": ["4" * 20]}, "override_configuration.allow_bin"),
        ({"allow_bin": {"bin": "411111"}}, "override_configuration.allow_bin"),
        ({"allow_tenor": ["satu"]}, "override_configuration.allow_tenor"),
        ({"allow_tenor": [-3]}, "override_configuration.allow_tenor"),
        ({"allow_tenor": [1.5]}, "override_configuration.allow_tenor"),
        ({"promo": [{"bin": "4111-11", "discount_amount": 1}]}, "override_configuration.promo[0].bin"),
        ({"promo": [{"bin": "4" * 17, "discount_amount": 1}]}, "override_configuration.promo[0].bin"),
        ({"promo": [{"discount_amount": 1}]}, "override_configuration.promo[0].bin"),
        ({"promo": [{"bin": "411111"}]}, "override_configuration.promo[0].discount_amount"),
        ({"promo": [{"bin": "411111", "discount_amount": -1}]}, "override_configuration.promo[0].discount_amount"),
        ({"promo": ["411111"]}, "override_configuration.promo[0]"),
        ({"themes": "dark"}, "override_configuration.themes"),
        ([], "override_configuration"),
    ],
    ids=str,
)
def test_an_override_nobody_could_follow_is_refused(shop: Shop, override: object, field: str):
    """S2-33 … S2-36: a mistyped BIN must not silently allow every card."""
    refused(post(shop, override_configuration=override), f"{field} Invalid Format")


def test_an_installment_outside_the_allowed_tenors_is_refused(shop: Shop):
    """S2-36, S2-44."""
    payment = {"type": "INSTALLMENT", "acquirer": "BCA", "tenor": 3}

    refused(
        post(shop, {"amount": 500_000}, payment=payment, override_configuration={"allow_tenor": [6, 12]}),
        "payment.tenor Invalid Format",
    )
    assert post(shop, {"amount": 500_000}, payment=payment, override_configuration={"allow_tenor": [3]}).status == 200


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ({"id": "Saya setuju", "en": "I agree"}, {"id": "Saya setuju", "en": "I agree"}),
        ({"en": {"text": "I agree", "more": "x"}}, {"en": "I agree"}),
        ({"id": "", "en": " "}, None),
        ({}, None),
        ({"id": 5}, None),
    ],
    ids=str,
)
def test_a_disclaimer_is_text_or_an_object_with_text(shop: Shop, sent: object, found: object):
    """S2-38 … S2-40."""
    assert kept(shop, post(shop, additional_info={"disclaimer": sent})).get("disclaimer") == found


def test_additional_info_is_kept_whatever_it_holds(shop: Shop):
    """S2-37 and what plugins add: integration, method, account, settlement."""
    info = {
        "integration": {"name": "magento-plugin", "version": "1.3.10", "cms_version": "2.4"},
        "method": "Jokul Direct",
        "account": {"id": "SAC-1"},
        "settlement": [{"bank_account_settlement_id": "SBS-1", "value": 97, "type": "PERCENTAGE"}],
    }

    assert kept(shop, post(shop, additional_info=info))["additional_info"] == info


def test_an_override_notification_url_has_to_be_an_address(shop: Shop):
    """S2-37."""
    refused(
        post(shop, additional_info={"override_notification_url": "another.example.com/n"}),
        "additional_info.override_notification_url Invalid Format",
    )


# The answer


def test_the_answer_has_the_documented_keys_and_no_other(shop: Shop):
    """S2-50 … S2-56: in the documents' order."""
    url = "https://another.example.com/payments/notifications"
    number = invoice()
    answer = post(
        shop,
        {"invoice_number": number, "line_items": [SHIRT, POLO], "session_id": 7, "descriptor": "x"},
        additional_info={"override_notification_url": url},
    )

    body = answer.json
    assert answer.status == 200
    page = body["credit_card_payment_page"]["url"]
    assert json.dumps(body) == json.dumps(
        {
            "order": {"invoice_number": number, "line_items": [SHIRT, POLO], "session_id": 7},
            "credit_card_payment_page": {"url": page},
            "additional_info": {"override_notification_url": url},
        }
    )
    assert page.startswith(f"{shop.running.url}/credit-card/pay/pay_")


def test_what_was_not_sent_is_not_echoed(shop: Shop):
    """S2-53, S2-54, S2-56."""
    answer = post(shop, {"line_items": []})

    assert answer.json.keys() == {"order", "credit_card_payment_page"}
    assert answer.json["order"].keys() == {"invoice_number"}


def test_the_address_tells_nothing_and_cannot_be_guessed(shop: Shop):
    """S2-55: an opaque name; no invoice, client id, theme or amount in it, and a neighbour's is not found."""
    answer = post(shop, override_configuration={"themes": {"font_color": "ABCDEF"}})
    url = answer.json["credit_card_payment_page"]["url"]
    number = answer.json["order"]["invoice_number"]

    assert "?" not in url
    assert not [told for told in (number, shop.client_id, "ABCDEF", "90000") if told in url]
    flipped = url[:-1] + ("0" if url[-1] != "0" else "1")
    assert shop.running.request("GET", flipped.removeprefix(shop.running.url)).status == 404


def test_header_names_are_read_in_any_case(shop: Shop):
    """S2-04 … S2-08, S2-51: the guide prints them small."""
    body = json.dumps({"order": {"invoice_number": invoice(), "amount": 1}, "customer": {"email": "a@b.id"}}).encode()
    moment, request_id = ago(), uuid.uuid4().hex
    text = request_text(shop.client_id, request_id, moment, PAGE, body)
    headers = {
        "client-id": shop.client_id,
        "REQUEST-ID": request_id,
        "request-timestamp": moment,
        "signature": independent_signature(text, SECRET_KEY),
    }

    answer = shop.running.request("POST", PAGE, body, headers)

    assert answer.status == 200
    assert_genuine(answer, "POST", PAGE, client_id=shop.client_id, secret_key=SECRET_KEY)


@pytest.mark.parametrize("request_id", ["57321", "7", "x" * 128])
def test_a_request_id_is_any_text_up_to_128_characters(shop: Shop, request_id: str):
    """S2-06: the PHP library sends numbers below 100000."""
    answer = shop.create(invoice(), request_id=request_id)

    assert answer.status == 200
    assert answer.headers["request-id"] == request_id


def test_a_missing_header_is_named(shop: Shop):
    """cards §15, D-4."""
    answer = shop.running.request("POST", PAGE, b"{}", {"Request-Id": "1"})

    assert_error(answer, 400, "invalid_header_request", "Header Client-Id is required", "invalid_request_error")


# The same again


def test_a_repeated_request_gets_the_first_answer_and_no_second_page(shop: Shop):
    """S2-06, D-3."""
    body = {"order": {"invoice_number": invoice(), "amount": 90_000}, "customer": {"email": "a@b.id"}}

    first, again = [send(shop, body, request_id="same-again") for _ in range(2)]

    assert (first.status, again.status) == (200, 409)
    assert again.body == first.body
    assert len(shop.record(body["order"]["invoice_number"])["payments"]) == 1  # type: ignore[index]


def test_a_refusal_is_repeated_too(shop: Shop):
    """D-3: whatever was answered first stands."""
    body = {"order": {"invoice_number": invoice(), "amount": 0}, "customer": {"email": "a@b.id"}}

    first, again = [send(shop, body, request_id="refused-again") for _ in range(2)]

    assert first.status == 400
    assert again.body == first.body


def test_the_same_invoice_again_opens_a_new_page_and_closes_the_old(shop: Shop):
    """D-9: unpaid → a new page for the same order with the new amount; the older address is gone."""
    number = invoice()
    old = shop.buyer(number, 90_000)
    new = shop.buyer(number, 80_000)

    replaced = old.open()
    assert (replaced.status, replaced.headings) == (410, ["This payment page was replaced"])
    assert new.pay("4111111111111111").state == "paid"
    assert shop.status(number)["order"]["amount"] == 80_000
    assert [one["state"] for one in shop.record(number)["payments"]] == ["REPLACED", "SUCCESS"]
    assert shop.at_acquirer(number) == (80_000, 0)


def test_an_old_page_cannot_be_paid_after_all(shop: Shop):
    """D-9: with the form that was open when the new page came."""
    number = invoice()
    old = shop.buyer(number)
    shop.create(number)

    assert old.pay("4111111111111111").status == 410
    assert shop.charges(number) == []
    assert shop.at_acquirer(number) == (0, 0)


def test_a_declined_cancelled_or_expired_invoice_can_be_opened_again(shop: Shop):
    """D-9, cards §16: FAILED is not final."""
    for outcome in ("FAILED", "CANCELLED", "EXPIRED"):
        number = invoice()
        shop.create(number)
        shop.running.control(
            "POST", "/payments/outcome", {"client_id": shop.client_id, "invoice_number": number, "outcome": outcome}
        )

        assert shop.buyer(number).pay("4111111111111111").state == "paid", outcome


@pytest.mark.parametrize("after", ["paid", "authorised", "voided", "refunded", "partly refunded"])
def test_an_invoice_that_was_paid_is_not_opened_again(running: RunningGateway, after: str):
    """D-9."""
    shop, number = Shop.open(running), invoice()
    payment = {"type": "AUTHORIZE"} if after == "authorised" else {}
    opened = shop.create(number, payment=payment)
    running.control("POST", "/payments/outcome", {"client_id": shop.client_id, "invoice_number": number, "outcome": "SUCCESS"})
    if after in ("refunded", "partly refunded"):
        running.control("POST", "/clock", {"advance_s": 86_400})
    if after in ("voided", "refunded", "partly refunded"):
        given_back = shop.call(
            "/cancellation/credit-card/refund",
            {
                "order": {"invoice_number": number},
                "payment": {"original_request_id": opened.headers["request-id"]},
                "refund": {"amount": 1_000 if after == "partly refunded" else 90_000},
            },
        )
        assert given_back.json["refund"]["status"] == "SUCCESS"

    again = send(shop, {"order": {"invoice_number": number, "amount": 90_000}, "customer": {"email": "a@b.id"}})

    refused(again, "Invoice Number Already Paid")


def test_two_merchants_may_use_the_same_invoice_number(running: RunningGateway):
    """S2-10."""
    number = invoice()

    assert [Shop.open(running).create(number).status for _ in range(2)] == [200, 200]


# Real clients


def test_the_magento_plugins_request_is_understood(shop: Shop):
    """cards §23: amounts as texts, a numeric session, extra line keys, an address of lines, no failed_url."""
    number = invoice()
    answer = send(
        shop,
        {
            "order": {
                "invoice_number": number,
                "amount": "90000",
                "line_items": [
                    {"name": "T-Shirt", "price": "30000", "quantity": "2", "sku": "TS", "category": "clothes"},
                    {"name": "Shipping", "price": "30000.00", "quantity": "1", "sku": "01", "category": "shipping"},
                ],
                "callback_url": "https://shop.example/doku/redirect?invoice_number=1&redirect_signature=ab%3D%3D",
                "auto_redirect": True,
                "session_id": 1761107459,
            },
            "customer": {
                "id": "",
                "name": "Anton Budiman",
                "email": "anton@example.com",
                "phone": "081122334455",
                "country": "ID",
                "address": ["Menara Mulia", "Lantai 8"],
            },
            "override_configuration": {"themes": {"language": "ID", "background_color": "", "font_color": ""}},
            "additional_info": {"integration": {"name": "magento-plugin", "version": "1.3.10", "cms_version": "2.4.1"}},
        },
    )

    assert answer.status == 200
    assert answer.json["order"]["session_id"] == 1761107459
    assert kept(shop, answer)["line_items"][1] == {"name": "Shipping", "price": 30_000, "quantity": 1}


def test_the_php_librarys_request_is_understood(shop: Shop):
    """cards §23: escaped slashes, empty themes, min_amount and max_amount, a Request-Target header that lies."""
    raw = (
        rb'{"order":{"invoice_number":"%s","amount":15000,"min_amount":0,"max_amount":0,"callback_url":'
        rb'"https:\/\/merchant.example\/ok","auto_redirect":false},"customer":{"email":"a@b.id"},"override_configuration":'
        rb'{"themes":{"language":"","background_color":"","font_color":"","button_background_color":"","button_font_color":""}}}'
    ) % invoice().encode()

    answer = send(shop, raw, request_id="31337", headers={"Request-Target": "/some/other/path", "Digest": "nonsense"})

    assert kept(shop, answer)["callback_url"] == "https://merchant.example/ok"


def test_the_documents_own_sample_is_accepted(shop: Shop):
    """cards §3: every block at once."""
    number = invoice()
    answer = send(
        shop,
        {
            "order": {
                "invoice_number": number,
                "amount": 1_500_000,
                "line_items": [{"name": "T-Shirt Red", "price": 500_000, "quantity": 3}],
                "callback_url": OK,
                "failed_url": KO,
                "auto_redirect": False,
                "descriptor": "Test Descriptor",
            },
            "card": {"save": False},
            "customer": {
                "id": "CUST-0001",
                "name": "Anton Budiman",
                "email": "anton@example.com",
                "phone": "6285694566147",
                "address": "Menara Mulia Lantai 8",
                "country": "ID",
            },
            "payment": {"type": "INSTALLMENT", "acquirer": "BRI", "tenor": 3},
            "override_configuration": {
                "themes": {"language": "EN", "background_color": "F5F8FB", "font_color": "1A1A1A"},
                "promo": [{"bin": "411111", "discount_amount": 10_000}],
                "allow_bin": ["411111", "455555"],
                "allow_tenor": [3, 6, 12],
            },
            "additional_info": {"disclaimer": {"id": "Saya setuju", "en": "I agree"}},
            "a_field_of_tomorrow": {"x": 1},
        },
    )

    assert answer.status == 200
    assert kept(shop, answer).keys() >= {"payment_type", "acquirer", "tenor", "promos", "allow_bin", "allow_tenor", "disclaimer"}
