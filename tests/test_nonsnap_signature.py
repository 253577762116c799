"""S0-06, S0-38: the signature, over bytes as sent. Vectors first through the functions, then over HTTP."""

import base64
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import pytest

from gerbang.merchants import Merchant, MerchantOptions
from gerbang.protocols.nonsnap.headers import SignedHeaders, is_genuine
from gerbang.protocols.nonsnap.signature import digest, matches, sign, string_to_sign, target_of_url, targets_of
from support.gateway import NOON, Answer, RunningGateway, independent_signature, lent_gateway
from support.nonsnap import HEADER, PAYMENT, VECTORS, ago, assert_error, assert_genuine, import_merchant, request_text

CLIENT_ID, SECRET_KEY = VECTORS["client_id"], VECTORS["secret"]
POSITIVE = [pytest.param(one, id=one["name"]) for one in VECTORS["vectors"]]
NEGATIVE = [pytest.param(one, id=one["name"]) for one in VECTORS["negative_vectors"]]
EWALLET = [
    pytest.param(one, id=one["name"])
    for one in VECTORS["vectors"]
    if one["request_target"] == PAYMENT and one["kind"] == "request"
]
STATUS = [
    pytest.param(one, id=one["name"]) for one in VECTORS["vectors"] if one["request_target"].startswith("/orders/v1/status/")
]


def by_name(name: str) -> dict[str, Any]:
    return next(one for one in VECTORS["vectors"] if one["name"] == name)


def text_of(vector: dict[str, Any]) -> str:
    body = vector["body_utf8"]
    return string_to_sign(
        client_id=vector["client_id"],
        request_id=vector["request_id"],
        timestamp=vector["timestamp"],
        target=vector["request_target"],
        body=None if body is None else body.encode(),
        timestamp_line=vector["timestamp_component"],
    )


def merchant() -> Merchant:
    return Merchant(CLIENT_ID, "Toko Uji", SECRET_KEY, None, None, MerchantOptions(), NOON)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(request_timestamp_window_s=0) as one:
        import_merchant(one, CLIENT_ID, SECRET_KEY)
        yield one


def send(running: RunningGateway, vector: dict[str, Any], *, signature: str | None = None, **headers: str) -> Answer:
    """The vector's request, byte for byte."""
    sent = {
        "Client-Id": vector["client_id"],
        "Request-Id": vector["request_id"],
        "Request-Timestamp": vector["timestamp"],
        "Signature": signature or vector["signature"],
        **headers,
    }
    body = vector["body_utf8"]
    return running.request(vector["method"], vector["request_target"], None if body is None else body.encode(), sent)


def fresh_payment(running: RunningGateway, *, target: str = PAYMENT, path: str = PAYMENT, **headers: str) -> Answer:
    """An order of the vectors' merchant whose signature was made over `target`."""
    body = b'{"order":{"invoice_number":"%s","amount":10000}}' % uuid.uuid4().hex.encode()
    sent = {"Client-Id": CLIENT_ID, "Request-Id": uuid.uuid4().hex, "Request-Timestamp": ago(), **headers}
    text = request_text(CLIENT_ID, sent["Request-Id"], sent["Request-Timestamp"], target, body)
    sent.setdefault("Signature", independent_signature(text, SECRET_KEY))
    return running.request("POST", path, body, sent)


def ask_status(running: RunningGateway, path: str, *, target: str, body: bytes | None = None, **headers: str) -> Answer:
    sent = {"Client-Id": CLIENT_ID, "Request-Id": "ask-1", "Request-Timestamp": ago(), **headers}
    text = request_text(CLIENT_ID, "ask-1", sent["Request-Timestamp"], target, None)
    return running.request("GET", path, body, sent | {"Signature": independent_signature(text, SECRET_KEY)})


def assert_refused(answer: Answer) -> None:
    assert_error(answer, 400, "invalid_signature", "Invalid Header Signature", HEADER)


# -- the functions


@pytest.mark.parametrize("vector", POSITIVE)
def test_every_vector_comes_out_of_the_functions(vector: dict[str, Any]):
    text = text_of(vector)

    assert text == vector["string_to_sign"]
    assert sign(text, vector["secret"]) == vector["signature"]
    assert matches(vector["signature"], text, vector["secret"])
    if vector["digest"]:
        assert digest(vector["body_utf8"].encode()) == vector["digest"]


@pytest.mark.parametrize("vector", NEGATIVE)
def test_no_negative_vector_matches(vector: dict[str, Any]):
    meant = by_name(vector["must_match"])

    assert not matches(vector["signature"], text_of(meant), meant["secret"])


@pytest.mark.parametrize("vector", POSITIVE)
@pytest.mark.parametrize("prefix", VECTORS["prefix_variants"]["accept"])
def test_both_spellings_of_the_prefix_are_read_and_padding_may_be_missing(vector: dict[str, Any], prefix: str):
    value = vector["signature"].removeprefix("HMACSHA256=")

    assert matches(prefix + value, vector["string_to_sign"], vector["secret"])
    assert matches(prefix + value.rstrip("="), vector["string_to_sign"], vector["secret"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: "SHA256=" + value,
        lambda value: value,
        lambda value: "hmacsha256=" + value,
        lambda value: "HMACSHA256=",
        lambda value: "HMACSHA256=" + value[:-6],
        lambda value: "HMACSHA256=" + value + value,
        lambda value: "HMACSHA256=" + ("B" if value[0] == "A" else "A") + value[1:],
        lambda value: "HMACSHA256= " + value,
        lambda value: "HMACSHA256=\u00e9" + value[1:],
        lambda value: "HMACSHA256=*" + value[1:],
    ],
    ids=["SHA256", "no prefix", "lower case", "empty", "short", "double", "altered", "blank", "not ASCII", "not base64"],
)
def test_other_forms_of_the_signature_match_nothing(spoil):
    vector = by_name("ewallet-post")

    assert not matches(spoil(vector["signature"].removeprefix("HMACSHA256=")), vector["string_to_sign"], vector["secret"])


def test_the_target_of_an_url_is_its_path_with_its_query():
    """NC2: DOKU signs the path of the URL it calls; [inferred] `/` for none, and the query belongs to it."""
    assert target_of_url("https://merchant.example/payments/notifications") == "/payments/notifications"
    assert target_of_url("https://merchant.example") == "/"
    assert target_of_url("https://merchant.example/payments/notifications?shop=1") == "/payments/notifications?shop=1"


def test_a_target_is_tried_as_on_the_wire_and_decoded_each_with_its_query():
    assert targets_of("/a", "") == ("/a",)
    assert targets_of("/a%20b", "x=1") == ("/a%20b", "/a b", "/a%20b?x=1", "/a b?x=1")
    assert targets_of("/a%0ADigest:x", "") == ("/a%0ADigest:x",)


@pytest.mark.parametrize(
    ("name", "digestless", "accepted"),
    [
        ("linkaja-no-digest", True, True),
        ("linkaja-no-digest", False, False),
        ("linkaja-with-digest", True, True),
        ("linkaja-with-digest", False, True),
    ],
)
def test_only_an_endpoint_that_says_so_takes_a_signature_without_digest(name: str, digestless: bool, accepted: bool):
    """D-12: both forms on LinkAja's paths, the full one everywhere else."""
    vector = by_name(name)
    body = (vector["body_utf8"] or vector["body_not_in_signature"]).encode()
    sent = SignedHeaders(vector["client_id"], vector["request_id"], vector["timestamp"], vector["signature"])

    genuine = is_genuine(sent, merchant(), targets=(vector["request_target"],), body=body, digestless=digestless)

    assert genuine is accepted


# -- over HTTP


@pytest.mark.parametrize("vector", EWALLET)
def test_the_gateway_accepts_the_vectors_of_its_channel(running: RunningGateway, vector: dict[str, Any]):
    """S0-02, S0-06: made elsewhere, accepted here. A repeat (409) has been accepted too."""
    answer = send(running, vector)

    assert answer.status in (200, 409), answer.body
    assert_genuine(answer, "POST", PAYMENT, client_id=CLIENT_ID, secret_key=SECRET_KEY)


@pytest.mark.parametrize("vector", STATUS)
def test_the_gateway_accepts_the_vectors_of_check_status(running: RunningGateway, vector: dict[str, Any]):
    answer = send(running, vector)

    assert answer.status == 404, answer.body
    assert answer.json["error"]["code"] == "data_not_found"
    assert_genuine(answer, "GET", vector["request_target"], client_id=CLIENT_ID, secret_key=SECRET_KEY)


def test_the_vector_of_the_answer_is_what_a_merchant_recomputes():
    """S0-27: the Response-Timestamp line is signed although a Request-Timestamp header is sent too (D-2)."""
    vector = by_name("ewallet-response")

    assert "\nResponse-Timestamp:" in text_of(vector)
    assert independent_signature(text_of(vector), SECRET_KEY) == vector["signature"]


@pytest.mark.parametrize("vector", EWALLET)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + "\n",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(":", ": ", 1),
        lambda text: text.replace("Digest:", "Digest:SHA-256="),
        lambda text: text.rpartition("Digest:")[0] + "Digest:" + base64.b64decode(text.rpartition("Digest:")[2]).hex(),
        lambda text: text.replace("Request-Target:", "Request-Target:https://api.doku.com"),
        lambda text: text.rpartition("\n")[0],
        lambda text: text.replace("Request-Timestamp:", "Response-Timestamp:"),
        lambda text: "\n".join(reversed(text.split("\n"))),
        lambda text: text.replace("Client-Id:", "client-id:"),
    ],
    ids=[
        "trailing LF",
        "CRLF",
        "blank",
        "SHA-256",
        "hex digest",
        "full URL",
        "no Digest (D-12)",
        "response line",
        "order",
        "case",
    ],
)
def test_every_wrong_way_of_signing_is_refused(running: RunningGateway, vector: dict[str, Any], spoil):
    """The forms of the negative vectors, on this channel's own path; D-12: no Digest line is for LinkAja only."""
    spoilt = spoil(vector["string_to_sign"])
    assert spoilt != vector["string_to_sign"]

    answer = send(running, vector, signature=independent_signature(spoilt, SECRET_KEY))

    assert_refused(answer)
    assert_genuine(answer, "POST", PAYMENT, client_id=CLIENT_ID, secret_key=SECRET_KEY)


def test_another_secret_is_refused(running: RunningGateway):
    vector = by_name("ewallet-post")

    assert_refused(send(running, vector, signature=independent_signature(vector["string_to_sign"], "SK-other")))


@pytest.mark.parametrize("spoil", ["amount", "blank"])
def test_a_body_changed_after_signing_is_refused_even_by_a_blank(running: RunningGateway, spoil: str):
    vector = by_name("ewallet-post")
    body = vector["body_utf8"].replace("60000", "60001") if spoil == "amount" else vector["body_utf8"].replace(",", ", ")

    assert_refused(send(running, vector | {"body_utf8": body}))


@pytest.mark.parametrize(
    ("prefix", "padded", "accepted"),
    [
        ("HMACSHA256=", True, True),
        ("HMACSHA256=", False, True),
        ("HMACHSHA256=", True, True),
        ("HMACHSHA256=", False, True),
        ("SHA256=", True, False),
        ("", True, False),
    ],
)
def test_prefixes_over_http(running: RunningGateway, prefix: str, padded: bool, accepted: bool):
    vector = by_name("ewallet-post")
    value = vector["signature"].removeprefix("HMACSHA256=")

    answer = send(running, vector, signature=prefix + (value if padded else value.rstrip("=")))

    assert (answer.status in (200, 409)) is accepted
    if not accepted:
        assert_refused(answer)


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.swapcase], ids=["lower", "upper", "swapped"])
def test_header_names_may_be_written_in_any_case(running: RunningGateway, spell):
    vector = by_name("ewallet-post")
    headers = {"Client-Id": CLIENT_ID, "Request-Id": vector["request_id"], "Request-Timestamp": vector["timestamp"]}
    headers["Signature"] = vector["signature"]

    answer = running.request(
        "POST", PAYMENT, vector["body_utf8"].encode(), {spell(name): value for name, value in headers.items()}
    )

    assert answer.status in (200, 409)


def test_digest_and_request_target_sent_as_headers_are_ignored(running: RunningGateway):
    """NC1: two official clients send them; they prove nothing."""
    vector = by_name("ewallet-post")

    helped = send(running, vector, **{"Digest": vector["digest"], "Request-Target": PAYMENT})
    misled = send(running, vector, **{"Digest": "bm9uc2Vuc2U=", "Request-Target": "/elsewhere"})

    assert {helped.status, misled.status} <= {200, 409}
    other = vector | {"body_utf8": "{}"}
    assert_refused(send(running, other, **{"Digest": vector["digest"], "Request-Target": PAYMENT}))


@pytest.mark.parametrize("milliseconds", [".1", ".123", ".123456789"])
def test_a_timestamp_with_a_fraction_is_signed_as_sent(running: RunningGateway, milliseconds: str):
    timestamp = ago().removesuffix("Z") + milliseconds + "Z"

    assert fresh_payment(running, **{"Request-Timestamp": timestamp}).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"order":{"invoice_number":"PHP-%s","amount":15000,"success_url":"https:\\/\\/merchant.com\\/ok"}}',
        b'{\n    "order": {\n        "invoice_number": "PRETTY-%s",\n        "amount": 20000\n    }\n}\n',
        '{"order":{"invoice_number":"Zoë-Ångström-%s","amount":10000}}'.encode(),
        b'\t {"order":{"invoice_number":"ESC-\\u00c9-%s","amount":10000}} \r\n',
    ],
    ids=["PHP escapes", "pretty", "UTF-8", "blanks around"],
)
def test_bodies_are_hashed_as_sent(running: RunningGateway, body: bytes):
    assert running.signed("POST", PAYMENT, body % uuid.uuid4().hex.encode()).status == 200


@pytest.mark.parametrize("form", ["raw", "decoded", "raw with query", "decoded with query"])
def test_a_status_target_may_be_signed_in_the_forms_clients_use(running: RunningGateway, form: str):
    """NC2 [inferred]: clients differ on encoding and on the query string."""
    running.signed(
        "POST", PAYMENT, {"order": {"invoice_number": "INV Ä/1", "amount": 1}}, client_id=CLIENT_ID, secret_key=SECRET_KEY
    )
    path = "/orders/v1/status/" + quote("INV Ä/1", safe="")
    query = "?verbose=1" if "query" in form else ""
    target = (unquote(path) if "decoded" in form else path) + query

    # http.client sends what it is given; a signature over a decoded target is made over its UTF-8 bytes.
    answer = ask_status(running, path + query, target=target)

    assert answer.status == 200, answer.body
    assert answer.json["order"]["invoice_number"] == "INV Ä/1"
    assert_genuine(answer, "GET", path, client_id=CLIENT_ID, secret_key=SECRET_KEY)


def test_a_query_may_be_left_out_of_the_signature(running: RunningGateway):
    assert fresh_payment(running, path=PAYMENT + "?a=1").status == 200
    assert fresh_payment(running, path=PAYMENT + "?a=1", target=PAYMENT + "?a=1").status == 200
    assert_refused(fresh_payment(running, path=PAYMENT + "?a=1", target=PAYMENT + "?a=2"))
    assert_refused(fresh_payment(running, path=PAYMENT, target=PAYMENT + "?a=1"))


@pytest.mark.parametrize("body", [None, b"", b"{}"], ids=["none", "empty", "some"])
def test_a_get_is_signed_without_digest_whatever_it_carries(running: RunningGateway, body: bytes | None):
    path = "/orders/v1/status/nobody"

    answer = ask_status(running, path, target=path, body=body, **{"Content-Type": "application/json"})

    assert answer.json["error"]["code"] == "data_not_found"


def test_a_get_signed_with_a_digest_line_is_refused(running: RunningGateway):
    assert_refused(running.signed("GET", "/orders/v1/status/nobody", b""))


def test_a_new_secret_key_counts_at_once(running: RunningGateway):
    """A key changed by another process is seen before a signature is called wrong."""
    from gerbang.merchants import update

    import_merchant(running, "BRN-ROTATED-1", "SK-old")
    path = "/orders/v1/status/nobody"
    assert running.signed("GET", path, client_id="BRN-ROTATED-1", secret_key="SK-old").status == 404

    running.database.transact_now(lambda tx: update(tx, "BRN-ROTATED-1", secret_key="SK-new"))

    assert running.signed("GET", path, client_id="BRN-ROTATED-1", secret_key="SK-new").status == 404
