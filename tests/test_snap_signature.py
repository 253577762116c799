"""S1-08, S1-12, S1-21, S1-67, D-19: both SNAP signatures, against vectors that others made and bodies as clients write them."""

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from gerbang.protocols.snap.signature import (
    DuplicateKey,
    body_forms,
    is_genuine,
    load_private_key,
    load_public_key,
    make_jwt,
    matches,
    matches_rsa,
    minify,
    sign,
    sign_rsa,
    string_to_sign,
    targets_of,
    token_string_to_sign,
)
from support.snap import PRIVATE_PEM, PUBLIC_PEM, VECTORS, symmetric_signature

SECRET: str = VECTORS["client_secret"]
SYMMETRIC: list[dict[str, Any]] = VECTORS["symmetric_HMAC_SHA512"]
ASYMMETRIC: list[dict[str, Any]] = VECTORS["asymmetric_SHA256withRSA"]
TIMES = {"timestamp": "2025-01-15T10:00:00+07:00", "access_token": "t.o.k"}


def keys_of(vector: dict[str, Any]) -> tuple[str, str]:
    name = vector["signing_key"]
    return VECTORS["keys"][f"{name}_private_pkcs8_pem"], VECTORS["keys"][f"{name}_public_spki_pem"]


def accepts(sent_body: bytes, hashed: bytes, *, target: str = "/a", signed_target: str = "/a") -> bool:
    """Whether a caller who sends one text and hashes another is believed."""
    digest = hashlib.sha256(hashed).hexdigest()
    signature = symmetric_signature(f"POST:{signed_target}:t.o.k:{digest}:{TIMES['timestamp']}", SECRET)
    path, _, query = target.partition("?")
    return is_genuine(signature, method="POST", targets=targets_of(path, query), body=sent_body, secret_key=SECRET, **TIMES)


# -- vectors


@pytest.mark.parametrize("vector", ASYMMETRIC, ids=lambda vector: vector["name"][:50])
def test_token_requests_are_signed_and_verified_as_in_the_vectors(vector: dict[str, Any]):
    """S1-08: SHA256withRSA over client id|timestamp."""
    private, public = keys_of(vector)
    text = token_string_to_sign(vector["x_client_key"], vector["x_timestamp"])

    assert text == vector["string_to_sign"]
    assert sign_rsa(text, load_private_key(private)) == vector["x_signature"]
    assert matches_rsa(vector["x_signature"], text, public)
    assert matches_rsa(vector["x_signature"].rstrip("="), text, load_public_key(public))
    assert not matches_rsa(vector["x_signature"], text + "0", public)
    other = next(one for one in ASYMMETRIC if one["signing_key"] != vector["signing_key"])
    assert not matches_rsa(vector["x_signature"], text, keys_of(other)[1])


@pytest.mark.parametrize("vector", SYMMETRIC, ids=lambda vector: vector["name"][:60])
def test_calls_are_signed_and_verified_as_in_the_vectors(vector: dict[str, Any]):
    """S1-21: every body form, DELETE and PUT, an empty body, the B2B token on a customer's call, the compact timestamp."""
    wire, hashed = vector["body_on_the_wire"].encode(), vector["body_that_was_hashed"].encode()
    common = {"method": vector["method"], "access_token": vector["access_token"], "timestamp": vector["x_timestamp"]}

    text = string_to_sign(target=vector["path"], body=hashed, **common)

    assert text == vector["string_to_sign"]
    assert sign(text, SECRET) == vector["x_signature_base64"]
    assert matches(vector["x_signature_base64"], text, SECRET)
    assert hashlib.sha256(hashed).hexdigest() == vector["body_sha256_hex_lower"]
    genuine = {"targets": (vector["path"],), "body": wire, "secret_key": SECRET, **common}
    assert is_genuine(vector["x_signature_base64"], **genuine)
    assert not is_genuine(vector["hmac_hex_for_debugging_only"], **genuine), "other vendors' hexadecimal form"
    assert not is_genuine(vector["x_signature_base64"], **genuine | {"secret_key": SECRET + "x"})
    assert not is_genuine(vector["x_signature_base64"], **genuine | {"access_token": "another"})
    assert not is_genuine(vector["x_signature_base64"], **genuine | {"method": "PATCH"})
    assert not is_genuine(vector["x_signature_base64"], **genuine | {"timestamp": "2025-01-15T10:00:01+07:00"})
    assert not is_genuine(vector["x_signature_base64"], **genuine | {"body": wire + b"0"})


@pytest.mark.parametrize("vector", VECTORS["jwt"], ids=lambda vector: vector["name"][:40])
def test_tokens_look_as_in_the_vectors(vector: dict[str, Any]):
    """RS256, no typ, no kid."""
    owner = "merchant" if "merchant-issued" in vector["name"] else "doku"

    token = make_jwt(vector["claims"], load_private_key(VECTORS["keys"][f"{owner}_private_pkcs8_pem"]))

    assert token == vector["token"]


def test_docs_own_example_hashes_to_the_printed_value():
    vector = next(one for one in SYMMETRIC if one["name"].startswith("create-va"))

    digest = hashlib.sha256(minify(vector["body_on_the_wire"].encode())).hexdigest()

    assert digest == VECTORS["docs_page_hash_check"]["docs_value"]


# -- forms of the body


@pytest.mark.parametrize(
    ("wire", "hashed"),
    [
        ('{"a": "x"}', '{"a": "x"}'),
        ('{ "a" :\t"x  y" ,\r\n"b":[ 1 , 2 ] }', '{"a":"x  y","b":[1,2]}'),
        ('{"a": "\\u00e9\\u0026\\/"}', '{"a":"\\u00e9\\u0026\\/"}'),
        ('{"a":"\\u00e9\\u0026\\/\\u003d\\u0027<"}', '{"a":"é&/=\'<"}'),
        ('{"a": "é"}', '{"a":"\\u00e9"}'),
        ('{"a":"\\ud83d\\ude00"}', '{"a":"😀"}'),
        ('{"b":null,"a":{"z":[],"y":{}}}', '{"b":null,"a":{"z":[],"y":{}}}'),
        ('{"n": 10000.00, "m": 1e5, "t": true}', '{"n":10000.00,"m":1e5,"t":true}'),
        ('{"n": 10000.00, "m": -0.5}', '{"n":10000.0,"m":-0.5}'),
        ('{"n":10000000.00,"m":12345678.5,"i":10000000}', '{"n":1.0E7,"m":1.23456785E7,"i":10000000}'),
        ('{"n":0.001,"m":0.0001,"z":0.0}', '{"n":0.001,"m":1.0E-4,"z":0.0}'),
        ('{"a":"quote \\" and \\\\ and \\n"}', '{"a":"quote \\" and \\\\ and \\n"}'),
        ('["top", "level"]', '["top","level"]'),
    ],
)
def test_what_clients_hash_instead_of_what_they_send_is_recognised(wire: str, hashed: str):
    """Real clients, RC1; D-19."""
    assert accepts(wire.encode(), hashed.encode())


@pytest.mark.parametrize(
    ("wire", "hashed"),
    [
        ('{"a":"x y"}', '{"a":"xy"}'),  # blanks inside texts count: VA numbers begin with them
        ('{"a":"  088899"}', '{"a":"088899"}'),
        ('{"a":1,"b":2}', '{"b":2,"a":1}'),  # order counts
        ('{"a":null,"b":1}', '{"b":1}'),  # nulls count
        ('{"a":"10000.00"}', '{"a":"10000.0"}'),  # a text is no number
        ('{"a":1}', '{"a":1.0}'),
        ('{"a":{}}', '{"a":[]}'),
        ('{"a":1', '{"a":1}'),
        ("", "{}"),
    ],
)
def test_another_body_is_never_taken_for_the_signed_one(wire: str, hashed: str):
    assert not accepts(wire.encode(), hashed.encode())


def test_the_forms_come_in_the_documented_order():
    """SC4: received, minified, unescaped, ASCII, Java's doubles."""
    wire = b'{ "a": "\\u00e9\\/", "n": 10000.00 }'

    assert list(body_forms(wire)) == [
        wire,
        b'{"a":"\\u00e9\\/","n":10000.00}',
        '{"a":"é/","n":10000.00}'.encode(),
        b'{"a":"\\u00e9/","n":10000.00}',
        '{"a":"é/","n":10000.0}'.encode(),
    ]


@pytest.mark.parametrize("wire", ['{"a":1,"a":2}', '{"x":[{"a":1,"a":1}]}', '{"\\u0061":1,"a":2}'])
def test_a_key_twice_is_refused_before_a_body_is_written_anew(wire: str):
    """Who reads the first and who reads the last would not read the same."""
    forms = body_forms(wire.encode())

    assert next(forms) == wire.encode()
    with pytest.raises(DuplicateKey):
        list(forms)


@pytest.mark.parametrize(
    "wire", [b"", b"\xff\xfe", b"not json", b"NaN", b'{"a":1e999}', b'{"a":"\\ud800"}', b"[" * 100_000, b'"never ends'],
    ids=["empty", "bytes", "text", "NaN", "1e999", "surrogate", "deep", "open text"],
)  # fmt: skip
def test_odd_bodies_have_the_forms_that_make_sense_and_break_nothing(wire: bytes):
    forms = list(body_forms(wire))

    assert forms[0] == wire
    assert accepts(wire, wire)
    assert not accepts(wire, b'{"a":1}')


def test_minifying_a_hostile_megabyte_takes_no_time():
    """Texts that never end, one in another: a matcher that starts again at each would need minutes."""
    hostile = b'"' + b'\\"' * 500_000 + b" \\"

    assert minify(hostile) == hostile
    assert minify(b" " * 1_000_000) == b""


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), _values, max_size=5), st.booleans(), st.sampled_from([None, 2, "\t"]))
def test_any_json_is_genuine_however_it_is_laid_out_and_escaped(value: dict[str, Any], ascii_only: bool, indent: Any):
    """One client sends it laid out and hashes it compact, another sends escapes and hashes characters."""
    wire = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    try:
        plain = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate has no bytes
    if not ascii_only:
        wire.encode()

    assert minify(wire.encode()) == json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode()
    assert accepts(wire.encode(), plain)
    assert accepts(wire.encode(), json.dumps(value, separators=(",", ":")).encode())


# -- the rest of the text


@pytest.mark.parametrize(
    ("target", "signed"),
    [
        ("/snap-adapter/b2b/v1.0/otp", "/snap-adapter/b2b/v1.0/otp"),
        ("/snap-adapter/b2b/v1.0/otp", "snap-adapter/b2b/v1.0/otp"),  # S1-17: printed without the slash
        ("/a?b=c&d=%20", "/a?b=c&d=%20"),
        ("/a?b=c", "/a"),
        ("/a%20b", "/a b"),
        ("/a%20b", "/a%20b"),
    ],
)
def test_the_path_may_be_signed_as_the_documents_and_clients_do(target: str, signed: str):
    assert accepts(b"{}", b"{}", target=target, signed_target=signed)


@pytest.mark.parametrize("signed", ["/b", "https://gateway.example/a", "/A", "/a/", ""])
def test_another_path_is_not_genuine(signed: str):
    assert not accepts(b"{}", b"{}", target="/a", signed_target=signed)


@pytest.mark.parametrize("sent", ["", "x", "=", "é", "A" * 88, base64.b64encode(b"short").decode(), "\x00" * 88])
def test_what_is_no_signature_matches_nothing(sent: str):
    assert not matches(sent, "text", SECRET)
    assert not matches_rsa(sent, "text", PUBLIC_PEM)


def test_padding_left_out_of_a_signature_is_forgiven():
    assert matches(sign("text", SECRET).rstrip("="), "text", SECRET)


def test_only_rsa_keys_are_keys():
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    curve = generate_private_key(SECP256R1())
    private = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = curve.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    for read, pem in ((load_private_key, private), (load_public_key, public), (load_public_key, PRIVATE_PEM)):
        with pytest.raises(ValueError, match=r"RSA|key|PEM"):
            read(pem)
    assert load_private_key(PRIVATE_PEM).private_numbers() == load_pem_private_key(PRIVATE_PEM.encode(), None).private_numbers()  # type: ignore[union-attr]
