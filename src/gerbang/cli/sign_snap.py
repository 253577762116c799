"""gerbang sign --snap: the two signatures of SNAP, and what usually goes wrong with the symmetric one."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import click
import msgspec

from gerbang.cli.show import heading, indented, print_json
from gerbang.clock import WIB, real_now, to_ms
from gerbang.protocols.snap.signature import (
    body_forms,
    load_private_key,
    matches,
    minify,
    sign,
    sign_rsa,
    string_to_sign,
    token_string_to_sign,
)


@dataclass(frozen=True, slots=True)
class SnapRequest:
    """A request to sign. `private_key` is a file and makes it a token request; else `access_token` is what it is signed with."""

    method: str
    target: str
    body: bytes
    client_id: str
    secret_key: str
    external_id: str | None
    timestamp: str | None
    access_token: str | None
    customer_token: str | None
    private_key: str | None


class SnapRecord(msgspec.Struct, omit_defaults=True):
    """A signed SNAP request for programs."""

    string_to_sign: str
    signature: str
    headers: dict[str, str]
    body_hash: str | None = None
    equal: bool | None = None
    mistakes: list[str] | None = None


def sign_snap(request: SnapRequest, *, compare: str | None, headers_only: bool, as_json: bool) -> bool:
    """Print the signed request; False when the signature to compare is wrong."""
    timestamp = request.timestamp or real_now().astimezone(WIB).isoformat(timespec="seconds")
    if request.private_key is not None:
        if compare is not None:
            raise click.UsageError(
                "--compare judges calls; a token request's signature the gateway judges with the public key alone"
            )
        record = _token_request(request, timestamp)
    else:
        record = _call(request, timestamp)
    mistakes = None
    if compare is not None:
        record.equal = _is_right(request, timestamp, compare.strip())
        mistakes = () if record.equal else find_snap_mistakes(request, timestamp, compare.strip())
        record.mistakes = list(mistakes or ())
    if as_json:
        print_json(record)
    elif headers_only:
        click.echo("\n".join(f"{name}: {value}" for name, value in record.headers.items()))
    else:
        _print(record)
        if compare is not None:
            _tell(equal=bool(record.equal), mistakes=mistakes)
    return record.equal is not False


def _token_request(request: SnapRequest, timestamp: str) -> SnapRecord:
    assert request.private_key is not None
    try:
        key = load_private_key(Path(request.private_key).read_text(encoding="ascii"))
    except OSError as error:
        raise click.BadParameter(f"cannot read {request.private_key}: {error.strerror}", param_hint="--private-key") from None
    except (ValueError, TypeError):
        raise click.BadParameter(
            f"{request.private_key} is no RSA private key in PEM form without a password", param_hint="--private-key"
        ) from None
    text = token_string_to_sign(request.client_id, timestamp)
    signature = sign_rsa(text, key)
    headers = {
        "X-CLIENT-KEY": request.client_id,
        "X-TIMESTAMP": timestamp,
        "X-SIGNATURE": signature,
        "Content-Type": "application/json",
    }
    return SnapRecord(text, signature, headers)


def _call(request: SnapRequest, timestamp: str) -> SnapRecord:
    if request.access_token is None:
        raise click.UsageError(
            "a call is signed with the B2B token: give --access-token; or --private-key FILE to sign the request for a token"
        )
    body = minify(request.body)
    text = string_to_sign(
        method=request.method, target=request.target, access_token=request.access_token, body=body, timestamp=timestamp
    )
    signature = sign(text, request.secret_key)
    headers = {
        "X-TIMESTAMP": timestamp,
        "X-SIGNATURE": signature,
        "X-PARTNER-ID": request.client_id,
        "X-EXTERNAL-ID": request.external_id or f"{to_ms(real_now())}{secrets.randbelow(10**8):08d}",
        "Authorization": f"Bearer {request.access_token}",
    }
    if request.customer_token is not None:
        headers["Authorization-Customer"] = f"Bearer {request.customer_token}"
    return SnapRecord(text, signature, headers | {"Content-Type": "application/json"}, hashlib.sha256(body).hexdigest())


def _is_right(request: SnapRequest, timestamp: str, sent: str) -> bool:
    try:
        return any(
            matches(
                sent,
                string_to_sign(
                    method=request.method,
                    target=request.target,
                    access_token=request.access_token or "",
                    body=form,
                    timestamp=timestamp,
                ),
                request.secret_key,
            )
            for form in body_forms(request.body)
        )
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Form:
    value: str
    mistake: str = ""


def find_snap_mistakes(request: SnapRequest, timestamp: str, sent: str) -> tuple[str, ...] | None:
    """The fewest mistakes that explain the signature sent; None when these do not."""
    macs = list(_macs(sent))
    if not macs:
        return ("this is no signature: base64 of the 64 bytes of HMAC-SHA512 (88 characters)",)
    combinations = product(
        _methods(request), _targets(request), _tokens(request), _hashes(request), _times(timestamp), _keys(request)
    )
    for method, target, token, digest, time, key in sorted(
        combinations, key=lambda parts: sum(1 for part in parts if part.mistake)
    ):
        text = f"{method.value}:{target.value}:{token.value}:{digest.value}:{time.value}".encode()
        for mac, algorithm, written in macs:
            if hmac.compare_digest(hmac.digest(key.value.encode("latin-1"), text, algorithm), mac):
                parts = (written, *(part.mistake for part in (method, target, token, digest, time, key)))
                return tuple(one for one in parts if one) or ("it is right, but written otherwise",)
    return None


def _macs(sent: str) -> Iterator[tuple[bytes, str, str]]:
    """(bytes, algorithm, mistake) behind what was sent, in each form it may have been written."""
    short = "HMAC-SHA256; SNAP calls are signed with HMAC-SHA512"
    try:
        mac = bytes.fromhex(sent)
    except ValueError:
        mac = b""
    if len(mac) in (32, 64):
        written = "the signature is written in hex; it is base64 of the 64 bytes"
        yield mac, "sha512" if len(mac) == 64 else "sha256", written if len(mac) == 64 else f"{written}; and made with {short}"
        return
    plain = sent.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        mac = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return
    url_safe = "the signature is URL-safe base64 (- and _); it is plain base64 (+ and /)" if set(sent) & set("-_") else ""
    if len(mac) == 64:
        yield mac, "sha512", url_safe
    elif len(mac) == 32:
        yield mac, "sha256", f"the signature was made with {short}"
    elif len(mac) == 128:
        try:
            yield (
                bytes.fromhex(mac.decode("ascii")),
                "sha512",
                "the signature is base64 of the hex digits; it is base64 of the 64 bytes",
            )
        except ValueError:
            return


def _methods(request: SnapRequest) -> list[_Form]:
    lower = _Form(request.method.lower(), "the method was signed in lower case; it is upper case")
    return [
        _Form(request.method),
        lower,
        *(_Form(o, f"{o} was signed as the method") for o in ("GET", "PUT") if o != request.method),
    ]


def _targets(request: SnapRequest) -> list[_Form]:
    path, mark, _ = request.target.partition("?")
    whole = "the whole URL was signed as EndpointUrl; it is the path alone"
    forms = [_Form(request.target), *(_Form(host + request.target, whole) for host in _HOSTS)]
    forms.append(_Form(request.target.lstrip("/"), "EndpointUrl without the / at its start (Gerbang accepts that)"))
    if mark:
        forms.append(_Form(path, "the query string is missing from EndpointUrl (Gerbang accepts that)"))
    return forms


_HOSTS = ("http://127.0.0.1:8080", "http://localhost:8080", "https://api-sandbox.doku.com", "https://api.doku.com")


def _tokens(request: SnapRequest) -> list[_Form]:
    token = request.access_token or ""
    forms = [
        _Form(token),
        _Form(f"Bearer {token}", "the token was signed with Bearer before it; it is the token alone"),
        _Form("", "no token was signed; it is the B2B token"),
    ]
    if request.customer_token:
        wrong = "the customer's token was signed; it is the B2B token, for customers' calls too"
        forms += [_Form(request.customer_token, wrong), _Form(f"Bearer {request.customer_token}", wrong)]
    return forms


def _hashes(request: SnapRequest) -> list[_Form]:
    raw = hashlib.sha256(minify(request.body))
    forms = []
    try:
        forms = [_Form(hashlib.sha256(form).hexdigest()) for form in body_forms(request.body)]
    except ValueError:
        forms = [_Form(raw.hexdigest())]
    forms += [
        _Form(raw.hexdigest().upper(), "the body's hash is in upper case; it is lower-case hex"),
        _Form(base64.b64encode(raw.digest()).decode(), "the body's hash is written in base64; it is lower-case hex"),
        _Form(minify(request.body).decode("utf-8", "replace"), "the body itself was signed; it is its SHA-256"),
        _Form("", "nothing was signed for the body; it is its SHA-256, of an empty body too"),
        _Form(hashlib.sha256(b"").hexdigest(), "an empty body was hashed; the body sent is what counts"),
        _Form(hashlib.sha256(request.body + b"\n").hexdigest(), "the body was hashed with a line feed after it"),
    ]
    return forms


def _times(sent: str) -> list[_Form]:
    forms = [_Form(sent)]
    try:
        moment = datetime.fromisoformat(sent)
    except ValueError:
        return forms
    if not 1 < moment.year < 9999:
        return forms  # none is near a time at the ends of the calendar
    for seconds in range(1, 6):
        for sign_, word in ((-1, "earlier"), (1, "later")):
            other = moment + sign_ * timedelta(seconds=seconds)
            mistake = f"the signed time is {seconds} s {word} than the one sent; take the time once, and use it for both"
            forms.append(_Form(other.isoformat(timespec="seconds").replace("+00:00", "Z"), mistake))
    return forms


def _keys(request: SnapRequest) -> list[_Form]:
    raw = request.secret_key.encode().decode("latin-1")
    return [
        _Form(raw),
        _Form(raw + "\n", "a line feed after the secret key (read from a file, perhaps)"),
        _Form(request.client_id, "the client id was used as the key; it is the secret key"),
    ]


def _print(record: SnapRecord) -> None:
    if record.body_hash is not None:
        click.secho("SHA-256 of the body without blanks outside strings", bold=True)
        click.echo(indented(record.body_hash))
    heading("String to sign (one line, nothing after it)")
    click.echo(indented(record.string_to_sign))
    heading("Headers")
    click.echo(indented("\n".join(f"{name}: {value}" for name, value in record.headers.items())))


def _tell(*, equal: bool, mistakes: tuple[str, ...] | None) -> None:
    heading("Compared")
    if equal:
        click.secho("    equal: the signature is right", fg="green")
    elif mistakes is None:
        click.secho("    different, and no usual mistake explains it", fg="red")
        click.echo(
            "    Check the secret key, and that token, timestamp and body are those that were signed, character for character."
        )
    else:
        click.secho("    different: " + mistakes[0], fg="red")
        for mistake in mistakes[1:]:
            click.secho("    and also: " + mistake, fg="red")
