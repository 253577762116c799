"""The ways in which signatures usually go wrong, tried until one explains what was sent.

Each part of a request (its body, digest, target, text, key) has a right form and some wrong ones. Every combination is
signed, those with the fewest mistakes first. What concerns the lines as a whole, or the time, is tried alone.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import permutations, product
from urllib.parse import quote, unquote

from gerbang.protocols.nonsnap.signature import digest


@dataclass(frozen=True, slots=True)
class Signed:
    """A request that was signed. `body` is None for GET; `url` is known when the caller named the whole address."""

    client_id: str
    request_id: str
    timestamp: str
    target: str
    body: bytes | None
    secret_key: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a part. `mistake` is empty for the right one."""

    value: str
    mistake: str = ""


@dataclass(frozen=True, slots=True)
class _Joint:
    """How the lines become one text."""

    colon: str
    between: str
    end: str
    mistake: str = ""


_HOSTS = ("http://127.0.0.1:8080", "http://localhost:8080", "https://api-sandbox.doku.com", "https://api.doku.com")

_JOINTS = (
    _Joint(":", "\n", ""),
    _Joint(":", "\n", "\n", "a line feed at the end of the string to sign; there is none after the last line"),
    _Joint(":", "\r\n", "", "lines joined with CRLF; they are joined with LF alone"),
    _Joint(":", "\r\n", "\r\n", "lines ended with CRLF; they are joined with LF alone, with none at the end"),
    _Joint(": ", "\n", "", "a space after the colons; there is none"),
    _Joint(": ", "\n", "\n", "a space after the colons and a line feed at the end; there is neither"),
    _Joint(":", "\\n", "", "a backslash and an n instead of a line feed (single quotes, perhaps)"),
    _Joint(":", "", "", "nothing between the lines; they are joined with LF"),
)


def find_mistakes(request: Signed, sent: str) -> tuple[str, ...] | None:
    """The fewest mistakes that explain the signature sent; None when these do not."""
    macs = list(_macs(sent))
    if not macs:
        return ("this is no signature: HMACSHA256= and then the base64 of 32 bytes (44 characters)",)
    for mac, form_mistake in macs:
        for mistakes, text, key in _candidates(request):
            if hmac.compare_digest(hmac.digest(key, text, "sha256"), mac):
                found = tuple(one for one in (form_mistake, *mistakes) if one)
                return found or ("it is right, but written otherwise",)
    for mac, form_mistake in macs:
        for mistake, lines in _other_texts(request):
            if hmac.compare_digest(hmac.digest(request.secret_key.encode(), lines.encode(), "sha256"), mac):
                return tuple(one for one in (form_mistake, mistake) if one)
    return None


def _macs(sent: str) -> Iterator[tuple[bytes, str]]:
    """The 32 bytes behind what was sent, in each form they may have been written."""
    value, mistake = sent, "the prefix HMACSHA256= is missing"
    for prefix in ("HMACSHA256=", "HMACHSHA256="):
        if sent.startswith(prefix):
            value, mistake = sent[len(prefix) :], ""
    try:
        mac = bytes.fromhex(value)
        if len(mac) == 32:
            yield mac, "the signature is written in hex; it is base64 of the 32 bytes, after HMACSHA256="
    except ValueError:
        pass
    plain = value.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        mac = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return
    if set(value) & set("-_"):
        mistake = "the signature is URL-safe base64 (- and _); it is plain base64 (+ and /)"
    if len(mac) == 32:
        yield mac, mistake
    elif len(mac) == 64:
        try:
            yield bytes.fromhex(mac.decode("ascii")), "the signature is base64 of the hex digits; it is base64 of the 32 bytes"
        except ValueError:
            return


def _other_texts(request: Signed) -> Iterator[tuple[str, str]]:
    """What was done to the lines as a whole, or to the time, with everything else right."""

    def lines(timestamp: str) -> list[str]:
        found = [
            f"Client-Id:{request.client_id}",
            f"Request-Id:{request.request_id}",
            f"Request-Timestamp:{timestamp}",
            f"Request-Target:{request.target}",
        ]
        return found if request.body is None else [*found, "Digest:" + digest(request.body)]

    for timestamp, mistake in _timestamps(request.timestamp):
        yield mistake, "\n".join(lines(timestamp))
    right = lines(request.timestamp)
    for order in permutations(right):
        yield (
            "the lines are in another order; it is Client-Id, Request-Id, Request-Timestamp, Request-Target, Digest",
            "\n".join(order),
        )
    for change, written in ((str.lower, "lower case"), (str.upper, "upper case")):
        named = (line.partition(":") for line in right)
        text = "\n".join(change(name) + colon + value for name, colon, value in named)
        yield f"the names of the lines are in {written}; they are written as Client-Id, Request-Id, …", text
    yield "the lines hold values without their names", "\n".join(line.partition(":")[2] for line in right)


_NEAR_S = 5


def _timestamps(sent: str) -> Iterator[tuple[str, str]]:
    """Other times than the one sent that may have been signed, and other ways to write it."""
    try:
        moment = datetime.fromisoformat(sent)
    except ValueError:
        return
    if not 1 < moment.year < 9999:
        return  # none is near a time at the ends of the calendar
    twice = "the signed time is {} s {} than the one sent; take the time once, and use it for both"
    for seconds in range(1, _NEAR_S + 1):
        for sign, word in ((-1, "earlier"), (1, "later")):
            other = moment + sign * timedelta(seconds=seconds)
            yield f"{other:%Y-%m-%dT%H:%M:%SZ}", twice.format(seconds, word)
    yield f"{moment + timedelta(hours=7):%Y-%m-%dT%H:%M:%SZ}", "the signed time is Jakarta's; it is UTC, and the one sent"
    otherwise = "the signed time is written otherwise than the one sent"
    for form in (
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%dT%H:%M:%S.000Z",
        "%Y-%m-%dT%H:%M:%S+00:00",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
    ):
        yield moment.strftime(form), otherwise
    yield str(int(moment.timestamp())), otherwise


def _candidates(request: Signed) -> Iterator[tuple[tuple[str, ...], bytes, bytes]]:
    """Every combination as (mistakes, text, key), the fewest mistakes first."""
    combinations = product(_digests(request.body), _targets(request), _JOINTS, _keys(request.secret_key))
    ordered = sorted(combinations, key=lambda parts: sum(1 for part in parts if part.mistake))
    for digest_form, target, joint, key in ordered:
        lines = [
            ("Client-Id", request.client_id),
            ("Request-Id", request.request_id),
            ("Request-Timestamp", request.timestamp),
            ("Request-Target", target.value),
        ]
        if digest_form.value:
            lines.append(("Digest", digest_form.value))
        text = joint.between.join(name + joint.colon + value for name, value in lines) + joint.end
        mistakes = tuple(part.mistake for part in (digest_form, target, joint, key) if part.mistake)
        yield mistakes, text.encode(), key.value.encode("latin-1")


def _digests(body: bytes | None) -> list[Form]:
    if body is None:
        return [
            Form(""),
            Form(digest(b""), "a Digest line of an empty body; a GET has no Digest line"),
            Form(digest(b"{}"), "a Digest line of {}; a GET has no Digest line"),
        ]
    forms = [Form("", "no Digest line; every request with a body has one")]
    for body_form, mistake in _bodies(body):
        raw = hashlib.sha256(body_form).digest()
        right = base64.b64encode(raw).decode()
        written = [
            Form(right, mistake),
            Form(raw.hex(), "the digest is written in hex; it is base64 of the 32 bytes"),
            Form("SHA-256=" + right, "the digest has the prefix SHA-256=; it has none"),
            Form(
                base64.b64encode(raw.hex().encode()).decode(),
                "the digest is base64 of the hex digits; it is base64 of the 32 bytes",
            ),
        ]
        forms += [Form(form.value, "; ".join(filter(None, {form.mistake: 1, mistake: 1}))) for form in written]
    return forms


def _bodies(body: bytes) -> Iterator[tuple[bytes, str]]:
    """The body as sent, and other bytes it may have been hashed as."""
    yield body, ""
    sent = "; the body sent is what counts, byte for byte"
    yield body + b"\n", "the body was hashed with a line feed after it" + sent
    yield body + b"\r\n", "the body was hashed with CRLF after it" + sent
    if body.rstrip() != body:
        yield body.rstrip(), "the body was hashed without the line end it ends with" + sent
    yield body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), "the body was hashed with CRLF line ends" + sent
    yield body.replace(b"\r\n", b"\n"), "the body was hashed with LF line ends" + sent
    if body:
        yield b"", "an empty body was hashed" + sent
    try:
        value = json.loads(body)
    except ValueError:
        return
    for escaped in (False, True):
        compact = json.dumps(value, separators=(",", ":"), ensure_ascii=escaped)
        yield compact.encode(), "the body was hashed in compact form" + sent
        yield compact.replace("/", "\\/").encode(), "the body was hashed with / written as \\/ (PHP's json_encode)" + sent
        yield json.dumps(value, ensure_ascii=escaped).encode(), "the body was hashed with spaces after , and :" + sent
        for indent in (2, 4, "\t"):
            pretty = json.dumps(value, indent=indent, ensure_ascii=escaped)
            yield pretty.encode(), "the body was hashed pretty-printed" + sent
            yield pretty.encode() + b"\n", "the body was hashed pretty-printed, with a line feed after it" + sent
    yield (
        json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode(),
        "the body was hashed with sorted keys" + sent,
    )


def _targets(request: Signed) -> list[Form]:
    target = request.target
    path, mark, query = target.partition("?")
    forms = [Form(target)]
    whole = "the whole URL as Request-Target; it is the path alone"
    if request.url is not None:
        forms.append(Form(request.url, whole))
    forms += [Form(host + target, whole) for host in _HOSTS]
    if mark:
        forms.append(Form(path, "the query string is missing from Request-Target (Gerbang accepts that)"))
        forms.append(Form(f"{path}?{unquote(query)}", "the query string was signed decoded; it is signed as sent"))
    forms.append(Form(target.lstrip("/"), "Request-Target without the / at its start"))
    forms.append(Form(target + "/", "a / at the end of Request-Target that the request has not"))
    if len(path) > 1 and path.endswith("/"):
        forms.append(Form(path.rstrip("/") + mark + query, "the / at the end of Request-Target is missing"))
    for other in (quote(target, safe="/?&=%"), unquote(target)):
        if other != target:
            forms.append(Form(other, "Request-Target is percent-encoded otherwise than in the request"))
    return forms


def _keys(secret_key: str) -> list[Form]:
    raw = secret_key.encode().decode("latin-1")
    forms = [
        Form(raw),
        Form(raw + "\n", "a line feed after the secret key (read from a file, perhaps)"),
        Form(raw.removeprefix("SK-"), "the secret key without its SK-; all of it is the key"),
    ]
    try:
        decoded = base64.b64decode(secret_key, validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return forms
    return [*forms, Form(decoded, "the secret key was base64-decoded; its characters are the key")]
