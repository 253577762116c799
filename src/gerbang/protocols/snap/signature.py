"""Both SNAP signatures, over what was sent. Pure functions; the client library uses them too.

Asymmetric (token requests): SHA256withRSA over `client id|timestamp`. Symmetric (everything else): HMAC-SHA512 over method, path,
B2B token, body hash and timestamp. What "the body" is, clients disagree about: see `body_forms`.
Source: DOKU, signature component (SNAP); vectors in tests/vectors/snap-signatures.json.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

# A string (one that never ends reaches to the end), or white space outside of strings.
_STRING_OR_BLANKS = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+"?)|[ \t\r\n]+', re.DOTALL)


class DuplicateKey(ValueError):
    """One object of the body has a key twice: who reads the first and who reads the last would not read the same."""


# -- asymmetric


def token_string_to_sign(client_id: str, timestamp: str) -> str:
    """What whoever asks for a token signs."""
    return f"{client_id}|{timestamp}"


def load_private_key(pem: str, password: bytes | None = None) -> "RSAPrivateKey":
    """Raises ValueError unless it is an RSA private key in PEM form."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem.encode(), password=password)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("no RSA private key")
    return key


def load_public_key(pem: str) -> "RSAPublicKey":
    """Raises ValueError unless it is an RSA public key in PEM form."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
    except UnsupportedAlgorithm:
        raise ValueError("no RSA public key") from None
    if not isinstance(key, RSAPublicKey):
        raise ValueError("no RSA public key")
    return key


def sign_rsa(text: str, key: "RSAPrivateKey") -> str:
    """base64(RSA PKCS#1 v1.5 SHA-256). The same text gives the same signature, always."""
    return base64.b64encode(_rsa(text.encode(), key)).decode("ascii")


def _rsa(text: bytes, key: "RSAPrivateKey") -> bytes:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return key.sign(text, PKCS1v15(), SHA256())


def matches_rsa(sent: str, text: str, public_key: "str | RSAPublicKey") -> bool:
    """Whether an X-SIGNATURE as sent is right for the text. A public key given as PEM has to be one."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    signature = _decoded(sent)
    if signature is None:
        return False
    key = load_public_key(public_key) if isinstance(public_key, str) else public_key
    try:
        key.verify(signature, text.encode("utf-8", "replace"), PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


# -- JWT


def make_jwt(claims: dict[str, Any], key: "RSAPrivateKey") -> str:
    """A signed token as DOKU shapes it: RS256, no `typ`, no `kid`."""
    head = _url64(b'{"alg":"RS256"}')
    text = f"{head}.{_url64(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{text}.{_url64(_rsa(text.encode(), key))}"


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


# -- symmetric


def string_to_sign(*, method: str, target: str, access_token: str, body: bytes, timestamp: str) -> str:
    """The signed text. `body` is the form to hash (see `minify`), empty for none; `access_token` always the B2B one."""
    return f"{method}:{target}:{access_token}:{hashlib.sha256(body).hexdigest()}:{timestamp}"


def sign(text: str, secret_key: str) -> str:
    """The header value, base64. The key is the secret's UTF-8 bytes, not decoded."""
    return base64.b64encode(hmac.digest(secret_key.encode(), text.encode(), "sha512")).decode("ascii")


def matches(sent: str, text: str, secret_key: str) -> bool:
    """Whether an X-SIGNATURE as sent is right for the text; decoded bytes compared in constant time."""
    mac = _decoded(sent)
    return mac is not None and hmac.compare_digest(
        mac, hmac.digest(secret_key.encode(), text.encode("utf-8", "replace"), "sha512")
    )


def _decoded(sent: str) -> bytes | None:
    value = sent.strip().rstrip("=")
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def is_genuine(
    sent: str, *, method: str, targets: tuple[str, ...], access_token: str, body: bytes, timestamp: str, secret_key: str
) -> bool:
    """Whether the signature is right for one of the targets and one form of the body. Raises DuplicateKey."""
    return any(
        matches(
            sent,
            string_to_sign(method=method, target=target, access_token=access_token, body=form, timestamp=timestamp),
            secret_key,
        )
        for form in body_forms(body)
        for target in targets
    )


def targets_of(raw_path: str, query: str) -> tuple[str, ...]:
    """The forms of EndpointUrl a client may have signed: with its query first, the path alone, percent-decoded, and each
    without the leading slash, as DOKU's page prints it.
    """
    paths = [raw_path or "/"]
    if "%" in raw_path:
        paths.append(unquote(raw_path))
    forms = [f"{path}?{query}" for path in paths] + paths if query else paths
    return tuple(forms + [form.removeprefix("/") for form in forms])


def body_forms(body: bytes) -> Iterator[bytes]:
    """What the sender may have hashed, most likely first (snap-common §4): the bytes as received; the same without white space
    outside strings; written anew with nothing escaped; with ASCII only; with nothing escaped and fractions as Java prints them.

    Raises DuplicateKey before the third.
    """
    yield body
    compact = minify(body)
    if compact != body:
        yield compact
    try:
        value = _parsed(body)
    except DuplicateKey:
        raise
    except (ValueError, RecursionError):
        return  # no JSON, so nobody wrote it anew
    for ascii_only, java in ((False, False), (True, False), (False, True)):
        try:
            yield _written(value, ascii_only=ascii_only, java=java).encode()
        except (ValueError, RecursionError):  # a lone surrogate, a number no double holds, too deep
            continue


def minify(body: bytes) -> bytes:
    """White space outside strings removed; escapes, order, numbers and blanks inside strings stay as they are."""
    return _STRING_OR_BLANKS.sub(lambda found: found[1] or b"", body)


def refuse_duplicate_keys(body: bytes) -> None:
    """Raise DuplicateKey, or another ValueError when it is no JSON at all."""
    try:
        _parsed(body)
    except RecursionError:
        raise ValueError("too deep") from None


class _Number(str):
    """A number as written."""

    __slots__ = ()


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateKey
    return found


_decoder = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant, strict=True
)


def _parsed(body: bytes) -> Any:
    return _decoder.decode(body.decode("utf-8"))


def _written(value: Any, *, ascii_only: bool, java: bool) -> str:
    if isinstance(value, _Number):
        return _as_java_double(value) if java and not value.lstrip("-").isdigit() else value
    if isinstance(value, dict):
        fields = [
            f"{json.dumps(name, ensure_ascii=ascii_only)}:{_written(inner, ascii_only=ascii_only, java=java)}"
            for name, inner in value.items()
        ]
        return f"{{{','.join(fields)}}}"
    if isinstance(value, list):
        return f"[{','.join([_written(inner, ascii_only=ascii_only, java=java) for inner in value])}]"
    return json.dumps(value, ensure_ascii=ascii_only)


def _as_java_double(literal: str) -> str:
    """As Double.toString writes it: 10000.0, 1.0E7, 1.0E-4. Raises ValueError for what is no double."""
    number = float(literal)
    if number in (float("inf"), float("-inf")):
        raise ValueError(literal)
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        text = repr(number)
        return text if "e" not in text else f"{Decimal(text):f}"
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    assert isinstance(exponent, int), literal
    first, rest = digits[0], "".join(map(str, digits[1:])) or "0"
    return f"{'-' if sign else ''}{first}.{rest}E{exponent + len(digits) - 1}"
