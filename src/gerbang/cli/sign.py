"""gerbang sign: the signature of a request with everything that went into it."""

import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from gerbang.cli.mistakes import Signed, find_mistakes
from gerbang.cli.options import json_option, reads_settings, settings_from_options
from gerbang.cli.show import heading, indented, print_json
from gerbang.cli.trouble import Misuse
from gerbang.clock import iso_z, real_now
from gerbang.protocols.nonsnap.signature import digest, matches, string_to_sign, target_of_url
from gerbang.protocols.nonsnap.signature import sign as sign_text
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY

_LINE_END = "↵"


class SignedRecord(msgspec.Struct, omit_defaults=True):
    """A signed request for programs."""

    digest: str | None
    string_to_sign: str
    signature: str
    headers: dict[str, str]
    equal: bool | None = None
    mistakes: list[str] | None = None


@dataclass(frozen=True, slots=True)
class _Compared:
    """The verdict on a signature; `mistakes` is None when none of the known ones explains it."""

    equal: bool
    mistakes: tuple[str, ...] | None


@click.command()
@click.argument("method")
@click.argument("target")
@click.option("--body", help="The body, exactly as sent.")
@click.option("--body-file", metavar="FILE", help="The body from a file, byte for byte; - reads standard input.")
@click.option("--client-id", metavar="ID", default=DEMO_CLIENT_ID, help="Default: the sandbox's demo merchant.")
@click.option(
    "--secret-key",
    metavar="KEY",
    prompt=True,
    prompt_required=False,
    hide_input=True,
    help="Default: that of the merchant in the data; without a value it is asked for.",
)
@click.option("--request-id", "--external-id", metavar="ID", help="Request-Id, or with --snap X-EXTERNAL-ID. Default: a new one.")
@click.option("--timestamp", metavar="TIME", help="Request-Timestamp or X-TIMESTAMP as sent (default: now).")
@click.option("--snap", is_flag=True, help="Sign in the SNAP style.")
@click.option("--access-token", metavar="TOKEN", help="With --snap: the B2B token that signs every call.")
@click.option("--customer-token", metavar="TOKEN", help="With --snap: the customer's token, a header that is not signed.")
@click.option("--private-key", metavar="FILE", help="With --snap: sign a request for a token with this RSA key (PEM).")
@click.option("--headers", "headers_only", is_flag=True, help="Print the headers alone, one a line, for curl -H @-.")
@click.option("--compare", metavar="SIGNATURE", help="A signature made elsewhere: say whether it is right, or what went wrong.")
@json_option
@reads_settings
def sign(
    method: str,
    target: str,
    body: str | None,
    body_file: str | None,
    client_id: str,
    secret_key: str | None,
    request_id: str | None,
    timestamp: str | None,
    snap: bool,
    access_token: str | None,
    customer_token: str | None,
    private_key: str | None,
    headers_only: bool,
    compare: str | None,
    as_json: bool,
) -> None:
    """Sign a request, or find out why a signature is wrong.

    TARGET is the path as requested, with its query if it has one: /orders/v1/status/INV-1.

    \b
    gerbang sign POST /dokuwallet-emoney/v1/payment --body '{"order":{"invoice_number":"INV-1","amount":50000}}'
    gerbang sign GET /orders/v1/status/INV-1 --request-id R1 --timestamp 2026-01-02T03:04:05Z --compare HMACSHA256=…
    gerbang sign --snap POST /authorization/v1/access-token/b2b --private-key merchant.pem --headers
    gerbang sign --snap POST /snap-adapter/b2b/v1.0/registration-account-inquiry --access-token eyJ… --body '{…}' --headers
    """
    if snap:
        path = target_of_url(target) if "://" in target else target
        if not path.startswith("/"):
            raise click.BadParameter("it starts with /, as in the request line", param_hint="TARGET")
        if compare is not None and timestamp is None:
            raise click.UsageError("--compare needs the --timestamp that was signed")
        from gerbang.cli.sign_snap import SnapRequest, sign_snap

        asks_token = private_key is not None
        wanted = SnapRequest(
            method=method.upper(),
            target=path,
            body=_body(method, body, body_file) or b"",
            client_id=client_id,
            secret_key="" if asks_token else secret_key if secret_key is not None else _secret_of(client_id),
            external_id=request_id,
            timestamp=timestamp,
            access_token=access_token,
            customer_token=customer_token,
            private_key=private_key,
        )
        if not sign_snap(wanted, compare=compare, headers_only=headers_only, as_json=as_json):
            click.get_current_context().exit(1)
        return
    if access_token or customer_token or private_key:
        raise click.UsageError("--access-token, --customer-token and --private-key go with --snap")
    if compare is not None and (request_id is None or timestamp is None):
        raise click.UsageError("--compare needs the --request-id and --timestamp that were signed")
    request = Signed(
        client_id=client_id,
        request_id=request_id or str(uuid.uuid4()),
        timestamp=timestamp or iso_z(real_now()),
        target=target_of_url(target) if "://" in target else target,
        body=_body(method, body, body_file),
        secret_key=secret_key if secret_key is not None else _secret_of(client_id),
        url=target if "://" in target else None,
    )
    if not request.target.startswith("/"):
        raise click.BadParameter("it starts with /, as in the request line", param_hint="TARGET")
    text = string_to_sign(
        client_id=request.client_id,
        request_id=request.request_id,
        timestamp=request.timestamp,
        target=request.target,
        body=request.body,
    )
    compared = _compare(request, text, compare) if compare is not None else None
    record = _record(request, text, compared)
    if as_json:
        print_json(record)
    elif headers_only:
        click.echo("\n".join(f"{name}: {value}" for name, value in record.headers.items()))
    else:
        _print(request, record)
        if compared is not None:
            _tell(compared)
    if compared is not None and not compared.equal:
        click.get_current_context().exit(1)


def _body(method: str, body: str | None, body_file: str | None) -> bytes | None:
    if body is not None and body_file is not None:
        raise click.UsageError("give --body or --body-file, not both")
    if method.upper() == "GET":
        if body is not None or body_file is not None:
            raise click.UsageError("a GET has no body: its signature has no Digest line")
        return None
    if body_file == "-":
        return sys.stdin.buffer.read()
    if body_file is not None:
        try:
            return Path(body_file).read_bytes()
        except OSError as error:
            raise click.UsageError(f"cannot read {body_file}: {error.strerror}") from None
    return (body or "").encode()


def _secret_of(client_id: str) -> str:
    """The secret key of the merchant in the data, if there is any."""
    from gerbang.cli.data import data_exists, open_data, shown_address
    from gerbang.merchants import find

    settings = settings_from_options()
    if settings.data != ":memory:" and data_exists(settings):
        with open_data() as data:
            merchant = data.read(lambda tx: find(tx, client_id))
        if merchant is not None:
            return merchant.secret_key
    if client_id == DEMO_CLIENT_ID and settings.is_sandbox:
        return SANDBOX_SECRET_KEY
    raise Misuse(f"the data at {shown_address(settings.data)} knows no merchant {client_id}; give its --secret-key")


def _compare(request: Signed, text: str, sent: str) -> _Compared:
    sent = sent.strip()
    if matches(sent, text, request.secret_key):
        return _Compared(True, ())
    return _Compared(False, find_mistakes(request, sent))


def _record(request: Signed, text: str, compared: _Compared | None) -> SignedRecord:
    signature = sign_text(text, request.secret_key)
    headers = {
        "Client-Id": request.client_id,
        "Request-Id": request.request_id,
        "Request-Timestamp": request.timestamp,
        "Signature": signature,
    }
    record = SignedRecord(None if request.body is None else digest(request.body), text, signature, headers)
    if compared is not None:
        record.equal = compared.equal
        record.mistakes = list(compared.mistakes or ())
    return record


def _print(request: Signed, record: SignedRecord) -> None:
    if record.digest is not None:
        click.secho(f"Digest of the body's {len(request.body or b'')} bytes", bold=True)
        click.echo(indented(record.digest))
        if request.body and request.body.endswith((b"\n", b"\r")):
            click.echo("  Note: the body ends with a line end, which counts. curl -d @FILE takes it off, --data-binary keeps it.")
        elif not request.body:
            click.echo("  Note: the body is empty.")
    heading(f"String to sign ({_LINE_END} is one line feed, \\n; none at the end)")
    click.echo(indented(record.string_to_sign.replace("\n", _LINE_END + "\n")))
    heading("Headers")
    click.echo(indented("\n".join(f"{name}: {value}" for name, value in record.headers.items())))


def _tell(compared: _Compared) -> None:
    heading("Compared")
    if compared.equal:
        click.secho("    equal: the signature is right", fg="green")
    elif compared.mistakes is None:
        click.secho("    different, and no usual mistake explains it", fg="red")
        click.echo("    Check the secret key, and that Client-Id, Request-Id and timestamp are those that were signed,")
        click.echo("    character for character, and that the body is the very bytes sent (--body-file FILE).")
    else:
        click.secho("    different: " + compared.mistakes[0], fg="red")
        for mistake in compared.mistakes[1:]:
            click.secho("    and also: " + mistake, fg="red")
