"""Type tolerance (NC3.3), hostile bodies, and a fuzz: whatever comes, the answer is JSON, signed, and never a 500."""

import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gerbang.protocols.nonsnap.decode import plain, read_object
from gerbang.protocols.nonsnap.errors import Rejected
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import PAYMENT, assert_genuine, assert_invalid


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        yield one


def raw(order: str, rest: str = "") -> bytes:
    """A body from JSON text; `#` stands for a fresh invoice number."""
    return f'{{"order":{{{order}}}{rest}}}'.replace("#", f'"invoice_number":"{uuid.uuid4().hex}"').encode()


def post(running: RunningGateway, body: object) -> Answer:
    answer = running.signed("POST", PAYMENT, body)
    assert_genuine(answer, "POST", PAYMENT)
    return answer


# -- what is taken


@pytest.mark.parametrize(
    ("amount", "meant"),
    [
        ("10000", 10_000),
        ('"10000"', 10_000),
        ('"10000.00"', 10_000),
        ("10000.0", 10_000),
        ("10000.00", 10_000),
        ('" 10000 "', 10_000),
        ('"010000"', 10_000),
        ("1e5", 100_000),
        ("1E+5", 100_000),
        ("999999999999", 999_999_999_999),
    ],
)
def test_an_amount_comes_as_number_or_text(running: RunningGateway, amount: str, meant: int):
    """S0-09, NC3.3: WooCommerce and the Java library send text. The answer has the whole number."""
    answer = post(running, raw(f'#,"amount":{amount}'))

    assert answer.status == 200, answer.body
    assert answer.json["order"]["amount"] == meant
    assert isinstance(answer.json["order"]["amount"], int)


@pytest.mark.parametrize(
    "amount",
    [
        "0",
        "-1",
        '"-1"',
        "10000.5",
        '"10000.01"',
        "0.1",
        "1000000000000",
        "1e12",
        "1e400",
        "-1e400",
        "1" * 60,
        '"1e5"',
        '"Rp 10.000"',
        '"10,000"',
        '"10.000.000"',
        '"१०"',
        '"NaN"',
        '"Infinity"',
        "true",
        "[]",
        "[10000]",
        "{}",
        '{"value":1}',
    ],
)
def test_other_amounts_are_refused_not_rounded(running: RunningGateway, amount: str):
    """S0-09: rupiah without decimals, at most 12 digits."""
    assert_invalid(post(running, raw(f'#,"amount":{amount}')), "order.amount Invalid Format")


@pytest.mark.parametrize(
    ("sent", "redirects"),
    [
        ("true", True),
        ("false", False),
        ('"true"', True),
        ('"false"', False),
        ('"TRUE"', True),
        ('"False"', False),
        ("null", False),
        ('""', False),
    ],
)
def test_auto_redirect_comes_as_boolean_or_text(running: RunningGateway, sent: str, redirects: bool):
    """S0-21, S0-22: typed string in the guide, boolean in clients; default false."""
    invoice = uuid.uuid4().hex
    answer = post(running, f'{{"order":{{"invoice_number":"{invoice}","amount":1,"auto_redirect":{sent}}}}}'.encode())

    assert answer.status == 200
    assert details_of(running, invoice).get("auto_redirect", False) is redirects


@pytest.mark.parametrize("sent", ["1", "0", '"yes"', "[]", "{}", "1.0"])
def test_other_auto_redirects_are_refused(running: RunningGateway, sent: str):
    assert_invalid(post(running, raw(f'#,"amount":1,"auto_redirect":{sent}')), "order.auto_redirect Invalid Format")


def details_of(running: RunningGateway, invoice: str) -> dict[str, Any]:
    from gerbang.sandbox.seed import DEMO_CLIENT_ID

    shown = running.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={invoice}")
    return dict(shown["details"])


@pytest.mark.parametrize("blank", ["null", '""', '"  "', '"\\t\\n"'])
@pytest.mark.parametrize(
    ("order", "field"),
    [
        ('"invoice_number":@,"amount":1', "order.invoice_number"),
        ('#,"amount":@', "order.amount"),
        ('#,"amount":1,"line_items":[{"name":@,"price":1,"quantity":1}]', "order.line_items[0].name"),
        ('#,"amount":1,"line_items":[{"name":"a","price":@,"quantity":1}]', "order.line_items[0].price"),
        ('#,"amount":1,"line_items":[{"name":"a","price":1,"quantity":@}]', "order.line_items[0].quantity"),
    ],
)
def test_null_and_blank_are_missing(running: RunningGateway, blank: str, order: str, field: str):
    """NC3.3: mandatory means not absent, not null, not blank."""
    assert_invalid(post(running, raw(order.replace("@", blank))), f"{field} Must Not Be Blank")


@pytest.mark.parametrize("blank", ["null", '""', '" "'])
@pytest.mark.parametrize("name", ["line_items", "success_url", "failed_url", "notify_url", "auto_redirect"])
def test_an_optional_field_may_be_null_or_blank(running: RunningGateway, blank: str, name: str):
    answer = post(running, raw(f'#,"amount":1,"{name}":{blank}', f',"{name}":{blank},"additional_info":{blank}'))

    assert answer.status == 200, answer.body
    assert set(answer.json) == {"order", "doku_wallet_payment_page", "payment"}
    assert set(answer.json["order"]) == {"invoice_number", "amount"}


def test_faults_are_named_one_at_a_time_in_the_order_of_the_document(running: RunningGateway):
    """NC3.2."""
    order: dict[str, Any] = {"auto_redirect": "perhaps", "success_url": "shop", "line_items": [{}], "amount": "x"}
    mended = [
        ("invoice_number", uuid.uuid4().hex, "order.invoice_number Must Not Be Blank"),
        ("amount", 10, "order.amount Invalid Format"),
        ("line_items", [{"name": "a"}], "order.line_items[0].name Must Not Be Blank"),
        ("line_items", [{"name": "a", "price": 10}], "order.line_items[0].price Must Not Be Blank"),
        ("line_items", [{"name": "a", "price": 10, "quantity": 1}], "order.line_items[0].quantity Must Not Be Blank"),
        ("success_url", "https://shop.example", "order.success_url Invalid Format"),
        ("auto_redirect", "true", "order.auto_redirect Invalid Format"),
    ]
    assert_invalid(post(running, {}), "order Must Not Be Blank")
    for name, value, message in mended:
        assert_invalid(post(running, {"order": order}), message)
        order[name] = value
    assert post(running, {"order": order}).status == 200


def test_unknown_fields_are_ignored(running: RunningGateway):
    """NC3.3: new fields of other channels and of shop plugins do no harm."""
    body = {
        "order": {"invoice_number": uuid.uuid4().hex, "amount": 1, "currency": "IDR", "descriptions": [{"a": None}]},
        "customer": {"id": 7, "phone": 62812, "name": None},
        "payment": {"payment_due_date": 60},
        "x" * 300: "y",
        "": [],
    }

    assert post(running, body).status == 200


def test_an_invoice_number_sent_as_number_is_its_text(running: RunningGateway):
    number = uuid.uuid4().int >> 72
    answer = post(running, {"order": {"invoice_number": number, "amount": 1}})

    assert answer.json["order"]["invoice_number"] == str(number)


def test_of_a_repeated_key_the_last_counts(running: RunningGateway):
    answer = post(running, raw('"invoice_number":"first",#,"amount":1,"amount":2'))

    assert answer.status == 200
    assert answer.json["order"]["invoice_number"] != "first"
    assert answer.json["order"]["amount"] == 2


# -- what is not a request at all


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"[]",
        b"[{}]",
        b"null",
        b"true",
        b"1",
        b'"order"',
        b"{",
        b"{}{}",
        b'{"order":}',
        b"{'order':{}}",
        b'{"order":{},}',
        b"order[amount]=1",
        b'\xef\xbb\xbf{"order":{}}',
        b'{"order":{"invoice_number":"\xff\xfe","amount":1}}',
        b'{"\xff":1,"order":{}}',
        '{"order":{}}'.encode("utf-16"),
        b'{"order":{"invoice_number":"\\ud800","amount":1}}',
        b'{"order":{"invoice_number":"\\udc00\\ud800","amount":1}}',
        b'{"order":{"invoice_number":"a\x00b","amount":1}}',
        b'{"order":{"amount":NaN}}',
        b'{"order":{"amount":1e99999999999999999999}}',
        b'{"order":{"amount":%s}}' % (b"9" * 10_000),
        b'{"order":' + b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"order":{"amount":1},"additional_info":{"x":' + b"[" * 980 + b"]" * 980 + b"}}",
        b'{"order":{"amount":1},"additional_info":' + b'{"x":' * 64 + b"1" + b"}" * 65,
    ],
    ids=range(28),
)
def test_what_is_no_json_object_is_a_bad_request(running: RunningGateway, body: bytes):
    assert_invalid(post(running, body), "Bad Request")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"order":[]}', "order Invalid Format"),
        (b'{"order":[{"invoice_number":"a","amount":1}]}', "order Invalid Format"),
        (b'{"order":"x"}', "order Invalid Format"),
        (b'{"order":1e5}', "order Invalid Format"),
        (b'{"order":{"order":{"invoice_number":"a","amount":1}}}', "order.invoice_number Must Not Be Blank"),
        (raw('"invoice_number":["a"],"amount":1'), "order.invoice_number Invalid Format"),
        (raw('"invoice_number":{"a":1},"amount":1'), "order.invoice_number Invalid Format"),
        (raw('"invoice_number":true,"amount":1'), "order.invoice_number Invalid Format"),
        (raw('"invoice_number":1.5,"amount":1'), "order.invoice_number Invalid Format"),
        (raw('"invoice_number":"a\\u0000b","amount":1'), "order.invoice_number Invalid Format"),
        (raw('"invoice_number":"a\\nb","amount":1'), "order.invoice_number Invalid Format"),
        (raw('"invoice_number":"a\\u007f","amount":1'), "order.invoice_number Invalid Format"),
        (raw('#,"amount":1,"line_items":{}'), "order.line_items Invalid Format"),
        (raw('#,"amount":1,"line_items":"a"'), "order.line_items Invalid Format"),
        (raw('#,"amount":1,"line_items":[null]'), "order.line_items[0] Invalid Format"),
        (raw('#,"amount":1,"line_items":[[]]'), "order.line_items[0] Invalid Format"),
        (raw('#,"amount":1', ',"additional_info":[]'), "additional_info Invalid Format"),
        (raw('#,"amount":1', ',"additional_info":"x"'), "additional_info Invalid Format"),
        (
            raw('#,"amount":1', ',"additional_info":{"override_notification_url":1}'),
            "additional_info.override_notification_url Invalid Format",
        ),
        (
            raw('#,"amount":1', ',"additional_info":{"override_notification_url":["https://a.id"]}'),
            "additional_info.override_notification_url Invalid Format",
        ),
    ],
    ids=range(20),
)
def test_the_wrong_kind_of_value_is_an_invalid_format(running: RunningGateway, body: bytes, message: str):
    assert_invalid(post(running, body), message)


def test_nesting_up_to_the_limit_is_kept_and_told_again(running: RunningGateway):
    """What is accepted can be read back for ever: a deeper one would have stopped check status and the expiry of others."""
    deepest = json.loads("[" * 61 + "]" * 61)
    invoice = uuid.uuid4().hex
    body = {"order": {"invoice_number": invoice, "amount": 1}, "additional_info": {"account": deepest}}

    created = post(running, body)
    status = running.status(invoice)

    assert created.status == 200, created.body
    assert created.json["additional_info"] == {"account": deepest}
    assert status.json["additional_info"] == {"account": deepest}
    assert post(running, {**body, "additional_info": {"account": [[deepest]]}}).json["error"]["message"] == "Bad Request"


@pytest.mark.parametrize("body", [b'{"a":[{}, {"b":1}, []]}', b'{"a":%s}' % (b"[" + b"{}," * 500 + b"1]")])
def test_wide_bodies_are_not_deep(body: bytes):
    assert read_object(body) == json.loads(body)


@pytest.mark.parametrize("depth", [64, 65])
def test_the_limit_of_nesting(depth: int):
    body = b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    if depth == 64:
        assert read_object(body)
        return
    with pytest.raises(Rejected):
        read_object(body)


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        ("1.5", 1.5),
        ("10000.00", 10_000),
        ("1e5", 100_000),
        ("-0.0", 0),
        ("1e22", "1E+22"),
        ("1e400", "1E+400"),
        ("0.000000001", "1E-9"),
        ("0.12345678901234567890", "0.12345678901234567890"),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_numbers_are_echoed_as_the_numbers_they_are(sent: str, echoed: object):
    """NC3.3: what a response echoes is what was sent; a number that would lose digits on the way becomes text."""
    read = read_object(b'{"x":[%s]}' % sent.encode())

    assert plain(read) == {"x": [echoed]}
    assert type(plain(read)["x"][0]) is type(echoed)
    assert not isinstance(plain(Decimal(1)), Decimal)


# -- fuzz

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=70)
    | st.sampled_from(["true", "10000.00", "https://a.id/x", "", " ", "\x00", "1e5", "NaN", "\ufeff"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
item = st.fixed_dictionaries({}, optional={"name": anything, "price": anything, "quantity": anything})
order = st.fixed_dictionaries(
    {},
    optional={
        "invoice_number": anything | st.text(min_size=1, max_size=64),
        "amount": anything | st.integers(1, 10**12),
        "line_items": anything | st.lists(item, max_size=3),
        "success_url": anything,
        "failed_url": anything,
        "notify_url": anything,
        "auto_redirect": anything,
    },
)
request = st.fixed_dictionaries(
    {"order": order | anything},
    optional={
        "additional_info": anything
        | st.dictionaries(st.sampled_from(["override_notification_url", "line_items", "account", "origin", "x"]), anything),
        "notify_url": anything,
        "auto_redirect": anything,
    },
)
bodies = st.one_of(
    st.binary(max_size=200),
    request.map(lambda value: json.dumps(value).encode()),
    request.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.tuples(request, st.integers(0, 400), st.binary(max_size=3)).map(
        lambda parts: json.dumps(parts[0]).encode()[: parts[1]] + parts[2]
    ),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=bodies)
def test_no_body_breaks_the_gateway(running: RunningGateway, body: bytes):
    """Never a 500, always JSON, always signed; and what was accepted can be asked for."""
    answer = post(running, body)

    assert answer.status in (200, 400), answer.body
    if answer.status == 400:
        assert set(answer.json["error"]) == {"code", "message", "type"}
        assert answer.json["error"]["code"] == "INVALID_PARAMETER"
        return
    status = running.status(answer.json["order"]["invoice_number"])
    assert status.status == 200, status.body
    assert status.json["order"]["amount"] == answer.json["order"]["amount"]
