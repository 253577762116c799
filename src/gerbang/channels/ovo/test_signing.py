"""Who calls OVO push: `security.check_sum` in the body, with or without the signed headers beside it."""

import copy
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from gerbang.channels.ovo.wire import CHECK_SUM
from gerbang.protocols.nonsnap.signature import check_sum
from gerbang.settings import SANDBOX_SECRET_KEY
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import BODY, HEADER, VECTORS, ago, assert_error, assert_genuine, import_merchant
from support.ovo import (
    GONE,
    MERCHANT,
    PAYS,
    PUSH,
    REFUSES,
    VOID,
    changed,
    independent_sum,
    paid,
    post,
    push_body,
    record,
    summed,
    tell_somewhere,
    void_body,
)

OTHER, OTHER_KEY = "BRN-OVO-2", "SK-ovo-two"
OWN, DOCS, VOIDED = VECTORS["ovo_check_sum"]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(poll_interval_s=0.05, ovo_timeout_s=0.3) as one:
        tell_somewhere(one)
        import_merchant(one, OTHER, OTHER_KEY)
        import_merchant(one, VECTORS["client_id"], VECTORS["secret"])
        yield one


def assert_wrong_sum(answer: Answer) -> None:
    assert_error(answer, 400, "invalid_signature", "Invalid Header Signature", HEADER)


def refusing(**changes: Any) -> dict[str, Any]:
    """A push whose buyer refuses at once, so that nobody waits."""
    return push_body(**{"ovo_info__ovo_id": REFUSES, **changes})


def test_the_sum_of_a_push_is_that_of_the_vector():
    body = {
        "client": {"id": OWN["client_id"]},
        "order": {"invoice_number": OWN["invoice_number"], "amount": OWN["amount"]},
        "ovo_info": {"ovo_id": OWN["ovo_id"]},
    }

    assert CHECK_SUM.text(body) + OWN["secret"] == OWN["plain"]
    assert check_sum(CHECK_SUM.text(body), OWN["secret"]) == OWN["check_sum"]
    assert independent_sum(body, OWN["secret"]) == OWN["check_sum"]


def test_the_plaintext_printed_by_doku_gives_what_sha_256_makes_of_it():
    """The sum printed beside it in DOKU's page is not its sum."""
    assert check_sum(DOCS["plain"].removesuffix(DOCS["secret"]), DOCS["secret"]) == DOCS["check_sum"] != DOCS["docs_shown"]


def test_the_sum_of_a_void_takes_in_what_it_names():
    body = {
        "client": {"id": VOIDED["client_id"]},
        "order": {"invoice_number": VOIDED["invoice_number"], "amount": VOIDED["amount"]},
        "ovo_info": {"ovo_id": VOIDED["ovo_id"]},
        "ovo_payment": {name: VOIDED[name] for name in ("batch_number", "trace_number", "reference_number", "approval_code")},
    }

    assert check_sum(CHECK_SUM.text(body), VOIDED["secret"]) == VOIDED["check_sum"]
    assert independent_sum(body, VOIDED["secret"]) == VOIDED["check_sum"]


def test_a_call_with_nothing_but_a_content_type_is_accepted(running: RunningGateway):
    """DOKU's page shows no header, and a public client sends none."""
    answer = post(running, refusing())

    assert answer.status == 200
    assert answer.headers["response-timestamp"] == answer.headers["request-timestamp"]
    assert not {"client-id", "request-id", "signature"} & set(answer.headers)


def test_the_vector_itself_is_accepted(running: RunningGateway):
    """And the sum printed in DOKU's page is not, whatever the body."""
    body = {
        "client": {"id": OWN["client_id"]},
        "order": {"invoice_number": OWN["invoice_number"], "amount": OWN["amount"]},
        "ovo_info": {"ovo_id": OWN["ovo_id"]},
    }

    assert_wrong_sum(post(running, {**body, "security": {"check_sum": DOCS["docs_shown"]}}))
    answer = post(running, {**body, "security": {"check_sum": OWN["check_sum"]}})

    assert (answer.status, answer.json["client"]) == (200, {"id": OWN["client_id"]})


def test_a_call_without_headers_is_named_by_its_sum(running: RunningGateway):
    """`original_request_id` in notifications and check status: the merchant sent no Request-Id, but it knows this."""
    body = refusing()
    post(running, body)

    told = [json.loads(one["body"]) for one in record(running, body["order"]["invoice_number"])["notifications"]]
    assert [one["transaction"]["original_request_id"] for one in told] == [body["security"]["check_sum"]]
    assert running.status(body["security"]["check_sum"]).json["order"]["invoice_number"] == body["order"]["invoice_number"]


def shifted(body: dict[str, Any], digits: int) -> dict[str, Any]:
    """The same check sum over another invoice and another phone: digits moved over the border between the two."""
    forged: dict[str, Any] = copy.deepcopy(body)
    line = body["order"]["invoice_number"] + body["ovo_info"]["ovo_id"]
    border = len(body["order"]["invoice_number"]) + digits
    forged["order"]["invoice_number"], forged["ovo_info"]["ovo_id"] = line[:border], line[border:]
    assert CHECK_SUM.text(forged) == CHECK_SUM.text(body)
    return forged


@pytest.mark.parametrize("phone", ["0812112100000", "62812112100000"])
def test_a_body_that_was_seen_charges_nobody_for_anything_else_ever(running: RunningGateway, phone: str):
    seen = push_body(ovo_info__ovo_id=phone, order__invoice_number=f"INV{uuid.uuid4().hex[:8]}08")
    assert post(running, seen).status == 200

    for digits in (-2, 1, 2, 4):
        assert_wrong_sum(post(running, shifted(seen, digits)))
    running.control("POST", "/clock", {"advance_s": 400 * 86_400})
    running.database.transact_now(lambda tx: tx.execute("delete from reply"))
    try:
        assert_wrong_sum(post(running, shifted(seen, -2)))
        again = post(running, seen)
        assert again.json["order"]["invoice_number"] == seen["order"]["invoice_number"], "answered as what it is"
        assert len(record(running, seen["order"]["invoice_number"])["payments"]) == 1
    finally:
        running.control("POST", "/clock", {"reset": True})


def test_a_body_that_was_refused_is_no_licence_for_another_one_either(running: RunningGateway):
    for wrong in ({"ovo_info__ovo_id": "0812"}, {"order__amount": 100_000_000_000_000_001}):
        seen = push_body(order__invoice_number=f"INV{uuid.uuid4().hex[:8]}0812112100000", **wrong)
        assert post(running, seen).status == 400

        for digits in (-8, -10, 2):
            assert_wrong_sum(post(running, shifted(seen, digits)))


def test_where_headers_sign_too_they_say_which_body_is_meant(running: RunningGateway):
    """And what they signed is no licence for whoever sees that body."""
    first = push_body(ovo_info__ovo_id="0812112100000", order__invoice_number=f"INV{uuid.uuid4().hex[:8]}08")
    assert running.signed("POST", PUSH, first).status == 200

    assert_wrong_sum(post(running, shifted(first, -2)))
    assert running.signed("POST", PUSH, shifted(first, 1)).status == 200


def test_signed_headers_are_taken_too_and_then_the_answer_is_signed(running: RunningGateway):
    answer = running.signed("POST", PUSH, body := refusing(), request_id="named-by-its-header")

    assert answer.status == 200
    assert_genuine(answer, "POST", PUSH)
    order = record(running, body["order"]["invoice_number"])
    assert order["request_id"] == "named-by-its-header"


@pytest.mark.parametrize(
    "change",
    [
        {"order__amount": 10_001},
        {"order__invoice_number": "INV-other"},
        {"ovo_info__ovo_id": "081211120000"},
        {"client__id": OTHER},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("headers", [False, True], ids=["body only", "with headers"])
def test_the_sum_holds_every_value_fast(running: RunningGateway, change: dict[str, Any], headers: bool):
    """It is always checked, signed headers or not."""
    body = refusing()
    kept = body["security"]["check_sum"]
    tampered = changed(body, **change, security__check_sum=kept)

    answer = running.signed("POST", PUSH, tampered) if headers else post(running, tampered)

    assert_wrong_sum(answer)
    if headers:
        assert_genuine(answer, "POST", PUSH)


@pytest.mark.parametrize("sent", ["0" * 64, "x", 17, True, ["a"]])
def test_a_wrong_sum_is_refused_as_a_wrong_signature(running: RunningGateway, sent: Any):
    answer = post(running, refusing(security__check_sum=sent))

    if isinstance(sent, bool | list):
        assert_error(answer, 400, "INVALID_PARAMETER", "security.check_sum Invalid Format", BODY)
    else:
        assert_wrong_sum(answer)


def test_the_sum_is_written_in_lower_case(running: RunningGateway):
    body = refusing()

    assert_wrong_sum(post(running, {**body, "security": {"check_sum": body["security"]["check_sum"].upper()}}))


def test_the_key_of_another_merchant_proves_nothing(running: RunningGateway):
    assert_wrong_sum(post(running, push_body(OTHER_KEY, ovo_info__ovo_id=REFUSES)))


@pytest.mark.parametrize("sent", ["BRN-NOBODY", "é", "x" * 5_000])
def test_a_client_nobody_knows_is_refused(running: RunningGateway, sent: str):
    assert_error(post(running, refusing(client__id=sent)), 400, "invalid_client_id", "Invalid Client-Id", HEADER)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"client__id": GONE}, "client.id Must Not Be Blank"),
        ({"client__id": " "}, "client.id Must Not Be Blank"),
        ({"client": {}}, "client.id Must Not Be Blank"),
        ({"security__check_sum": GONE}, "security.check_sum Must Not Be Blank"),
        ({"security": None}, "security.check_sum Must Not Be Blank"),
    ],
)
def test_what_proves_the_caller_has_to_be_there(running: RunningGateway, changes: dict[str, Any], message: str):
    assert_error(post(running, refusing(**changes)), 400, "INVALID_PARAMETER", message, BODY)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'"x"'])
def test_a_body_that_is_no_object_names_nobody(running: RunningGateway, raw: bytes):
    assert_error(post(running, raw), 400, "INVALID_PARAMETER", "Bad Request", BODY)


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ({"Signature": "HMACSHA256=AAAA"}, "invalid_signature"),
        ({"Request-Timestamp": ago(hours=2)}, "request_time_out_of_range"),
        ({"Request-Id": ""}, "invalid_header_request"),
        ({"Client-Id": "BRN-NOBODY"}, "invalid_client_id"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_headers_that_are_signed_have_to_be_right(running: RunningGateway, spoilt: dict[str, str], code: str):
    """A right sum does not make up for them."""
    answer = running.signed("POST", PUSH, refusing(), headers=spoilt)

    assert (answer.status, answer.json["error"]["code"]) == (400, code)


def test_headers_and_body_have_to_name_the_same_merchant(running: RunningGateway):
    body = refusing()

    signed_by_other = running.signed("POST", PUSH, body, client_id=OTHER, secret_key=OTHER_KEY)
    named_only = running.request("POST", PUSH, json.dumps(body).encode(), {"Client-Id": OTHER})

    for answer in (signed_by_other, named_only):
        assert_error(answer, 400, "invalid_client_id", "Invalid Client-Id", HEADER)


def test_the_sum_is_over_values_as_sent(running: RunningGateway):
    """Clients send an amount as text, with decimals, or a phone as a number, and hash what they send."""
    for amount in ("10000", "10000.00", 10000):
        assert post(running, refusing(order__amount=amount)).json["order"]["amount"] == 10_000
    raw = json.dumps(refusing(order__amount="AMOUNT")).replace('"AMOUNT"', "10000.0")
    with_float = json.loads(raw)
    assert post(running, changed(with_float)).status == 200
    assert post(running, refusing(ovo_info__ovo_id=81211110000)).json["ovo_info"]["ovo_id"] == "81211110000"


@pytest.mark.parametrize(
    ("amount", "moved"),
    [
        (1, {"ovo_payment": {"approval_code": "0000"}}),
        (100, {"ovo_payment": {"batch_number": "00"}}),
        (10, {"ovo_payment": {"approval_code": "0", "batch_number": "00"}}),
    ],
)
def test_no_digit_of_the_amount_can_be_moved_to_where_a_push_has_nothing(
    running: RunningGateway, amount: int, moved: dict[str, Any]
):
    """Nothing stands between the values: whoever holds a signed push must not make a cheaper one of it."""
    body = refusing(order__amount=10000)
    body["order"]["amount"] = amount
    body.update(moved)
    assert independent_sum(body) == body["security"]["check_sum"], "the same text"

    assert_wrong_sum(post(running, body))


def test_how_the_json_is_written_is_not_signed(running: RunningGateway):
    pretty = json.dumps(refusing(), indent=4, sort_keys=True).encode()

    assert post(running, pretty).status == 200


def test_a_new_key_counts_at_once(running: RunningGateway):
    """The merchant was looked up a moment ago, under its old key."""
    import_merchant(running, "BRN-OVO-ROTATING", "SK-old")
    first = push_body("SK-old", client__id="BRN-OVO-ROTATING", ovo_info__ovo_id=REFUSES)
    assert post(running, first).status == 200

    running.database.transact_now(
        lambda tx: tx.execute("update merchant set secret_key = 'SK-new' where client_id = 'BRN-OVO-ROTATING'")
    )

    assert post(running, push_body("SK-new", client__id="BRN-OVO-ROTATING", ovo_info__ovo_id=REFUSES)).status == 200
    assert_wrong_sum(post(running, push_body("SK-old", client__id="BRN-OVO-ROTATING", ovo_info__ovo_id=REFUSES)))


def test_a_void_is_guarded_in_the_same_way(running: RunningGateway):
    answer = paid(running)

    wrong = void_body(answer, security__check_sum="0" * 64)
    assert_wrong_sum(post(running, wrong, VOID))
    stranger = void_body(answer, client__id="BRN-NOBODY")
    assert_error(post(running, stranger, VOID), 400, "invalid_client_id", "Invalid Client-Id", HEADER)
    assert post(running, void_body(answer), VOID).status == 200


def test_no_other_channel_takes_a_call_without_headers(running: RunningGateway):
    body = summed({"client": {"id": MERCHANT}, "order": {"invoice_number": "INV-1", "amount": 1}}, SANDBOX_SECRET_KEY)

    answer = post(running, body, "/dokuwallet-emoney/v1/payment")

    assert_error(answer, 400, "invalid_header_request", "Header Client-Id is required", HEADER)


def test_the_description_of_the_api_says_that_headers_are_optional(running: RunningGateway):
    paths = running.request("GET", "/openapi.json").json["paths"]

    for path in (PUSH, VOID):
        assert {one["required"] for one in paths[path]["post"]["parameters"]} == {False}
    assert {one["required"] for one in paths["/dokuwallet-emoney/v1/payment"]["post"]["parameters"]} == {True}


def test_text_that_is_not_text_is_left_out_of_the_sum():
    assert CHECK_SUM.text({"order": {"amount": None}, "client": [], "ovo_info": {"ovo_id": {"a": 1}}}) == ""


def test_a_paying_number_is_one_of_the_magic_ones(running: RunningGateway):
    assert paid(running)["ovo_info"]["ovo_id"] == PAYS
