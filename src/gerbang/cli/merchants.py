"""gerbang merchant …"""

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from gerbang.cli.data import Data, open_data
from gerbang.cli.options import C, json_option, parsed_by, reads_settings
from gerbang.cli.show import masked, print_facts, print_json, print_table, wib
from gerbang.cli.trouble import Failure, Misuse
from gerbang.clock import iso_z
from gerbang.errors import Reason, Refused
from gerbang.merchants import Merchant, MerchantOptions, create, get, list_all, update
from gerbang.merchants.gateway_key import gateway_public_key_now
from gerbang.merchants.records import is_source_list
from gerbang.storage import Tx
from gerbang.urls import is_absolute_url


class MerchantRecord(msgspec.Struct, omit_defaults=True):
    """A merchant for programs."""

    client_id: str
    name: str
    secret_key: str
    notification_url: str | None
    options: dict[str, Any]
    created_at: str
    snap_public_key: str | None = None
    gateway_public_key: str | None = None


@click.group()
@reads_settings
def merchant() -> None:
    """Create, list, show and change merchants."""


def _read_sources(text: str) -> str:
    if not is_source_list(text):
        raise ValueError("give CSP sources with blanks between, e.g. \"https://shop.example 'self'\"")
    return text


def _read_url(text: str) -> str:
    if text and not is_absolute_url(text):
        raise ValueError("give an absolute http or https URL")
    return text


def _read_public_key(path: str) -> str:
    try:
        pem = Path(path).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {error}") from None
    if "PRIVATE KEY" in pem:
        raise ValueError(
            f"{path} is a private key, which stays with the merchant; make the public one: openssl rsa -in {path} -pubout"
        )
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        is_rsa = isinstance(load_pem_public_key(pem.encode()), RSAPublicKey)
    except ValueError:
        is_rsa = False
    if not is_rsa:
        raise ValueError(f"{path} is no RSA public key in PEM form")
    return pem


def _has_options(command: C) -> C:
    """The options that `create` and `update` share, in the order help shows them."""
    for option in reversed(
        [
            click.option("--notification-url", metavar="URL", help="Where its notifications go."),
            click.option("--secret-key", metavar="KEY", help="Use this secret key (default for a new one: made for it)."),
            click.option(
                "--snap-public-key",
                metavar="FILE",
                callback=parsed_by(_read_public_key),
                help="File with its RSA public key (PEM), for SNAP.",
            ),
            click.option(
                "--snap-token-url",
                metavar="URL",
                callback=parsed_by(_read_url),
                help="Where its SNAP notifications get their token from ('' for none).",
            ),
            click.option(
                "--strict-request-id/--no-strict-request-id",
                default=None,
                help="Refuse a repeated Request-Id even when the body differs.",
            ),
            click.option(
                "--strict-override-path/--no-strict-override-path",
                default=None,
                help="Override notification URLs count only with the configured URL's path.",
            ),
            click.option(
                "--notify-expired/--no-notify-expired", default=None, help="Send a notification when a payment expires."
            ),
            click.option(
                "--frame-ancestors",
                metavar="SOURCES",
                callback=parsed_by(_read_sources),
                help="Who may show its payment pages in a frame (CSP sources).",
            ),
        ]
    ):
        command = option(command)
    return command


@merchant.command("create")
@click.option("--name", required=True, help="What buyers see.")
@click.option("--client-id", metavar="ID", help="Use this client id (default: made for it).")
@_has_options
@json_option
@reads_settings
def create_merchant(
    name: str,
    client_id: str | None,
    notification_url: str | None,
    secret_key: str | None,
    snap_public_key: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Register a merchant and print its keys.

    Bring your application's present --client-id and --secret-key, and its configuration works unchanged.
    """
    with open_data(create=True) as data:
        now = data.now()

        def register(tx: Tx) -> Merchant:
            made = create(
                tx,
                name=name,
                client_id=client_id,
                secret_key=secret_key,
                notification_url=notification_url,
                snap_public_key=snap_public_key,
                now=now,
            )
            return update(tx, made.client_id, options=_changed(made.options, options))

        _print(data, data.write(register), as_json=as_json)
    if notification_url is None:
        click.echo("Note: without --notification-url it is told only what an order's own notify_url asks for.", err=True)


@merchant.command("update")
@click.argument("client_id")
@click.option("--name", help="What buyers see.")
@_has_options
@click.option("--default-options", is_flag=True, help="First forget its own options: all as the settings say.")
@json_option
@reads_settings
def update_merchant(
    client_id: str,
    name: str | None,
    notification_url: str | None,
    secret_key: str | None,
    snap_public_key: str | None,
    default_options: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Change what is given of a merchant.

    An empty --notification-url '' removes the address. A running server knows the changes within a second.
    """
    with open_data() as data:

        def change(tx: Tx) -> Merchant:
            old = MerchantOptions() if default_options else get(tx, client_id).options
            return update(
                tx,
                client_id,
                name=name,
                secret_key=secret_key,
                notification_url=notification_url,
                snap_public_key=snap_public_key,
                options=_changed(old, options),
            )

        _print(None, data.write(change), as_json=as_json)


@merchant.command("list")
@json_option
@reads_settings
def list_merchants(as_json: bool) -> None:
    """List all merchants, without their secrets."""
    with open_data() as data:
        found = data.read(list_all)
    if as_json:
        print_json([_record(one, secret_key=masked(one.secret_key)) for one in found])
        return
    print_table(
        ("Client-Id", "Name", "Secret key", "Notification URL", "Since"),
        [(one.client_id, one.name, masked(one.secret_key), one.notification_url or "–", wib(one.created_at)) for one in found],
        empty="No merchants yet: gerbang merchant create --name NAME",
    )


@merchant.command("show")
@click.argument("client_id")
@json_option
@reads_settings
def show_merchant(client_id: str, as_json: bool) -> None:
    """Show a merchant with its secret key, and the gateway's public key."""
    with open_data() as data:
        _print(data, data.read(lambda tx: get(tx, client_id)), as_json=as_json)


@merchant.command("card")
@click.argument("client_id")
@click.option("--set", "changes", metavar="JSON", help="Change these options and keep the others; null takes one back.")
@click.option(
    "--file", "file", metavar="FILE", type=click.File(encoding="utf-8"), help="Replace them all; - reads standard input."
)
@click.option("--show", is_flag=True, help="Show them, with all defaults.")
@json_option
@reads_settings
def card_options(client_id: str, changes: str | None, file: Any, show: bool, as_json: bool) -> None:
    """Show or change what a merchant may have otherwise about cards.

    A running server knows the changes within a second. An example:

    \b
    gerbang merchant card BRN-1 --set '{"rates_bp": {"SALE": 290}, "risk": {"maximum": 10000000}}'
    """
    from gerbang.channel import all_channels, choose_options, effective_options

    if changes is not None and file is not None:
        raise Misuse("give --set or --file, not both")
    channel = all_channels()["CREDIT_CARD"]
    with open_data() as data:
        if changes is None and file is None:
            found = data.read(lambda tx: get(tx, client_id))
        else:
            sent = _json_object(file.read() if file is not None else str(changes))
            try:
                found = data.write(lambda tx: choose_options(tx, channel, client_id, sent, keep=file is None))
            except Refused as refused:
                if refused.reason is not Reason.FIELD_INVALID:
                    raise
                named = refused.facts.get("field")
                raise Failure(f"{named} is unknown or cannot be that; docs/guides/cards.md lists the options") from None
    own = found.options.channels.get(channel.code, {})
    effective = effective_options(channel, found)
    if as_json:
        print_json({"client_id": client_id, "channel": channel.code, "options": own, "effective": effective})
        return
    if not own and not show:
        click.echo("No options of its own; --show lists the defaults.", err=True)
        return
    print_json(effective if show else own)


def _json_object(text: str) -> dict[str, Any]:
    try:
        sent = json.loads(text)
    except ValueError as error:
        raise Misuse(f"that is no JSON: {error}") from None
    if not isinstance(sent, dict):
        raise Misuse('options are a JSON object, e.g. {"max_attempts": 3}')
    return sent


def _changed(old: MerchantOptions, given: dict[str, Any]) -> MerchantOptions:
    changes = {name: value for name, value in given.items() if value is not None}
    for name in ("frame_ancestors", "snap_token_url"):
        if changes.get(name) == "":
            changes[name] = None
    return msgspec.structs.replace(old, **changes)


def _record(one: Merchant, *, secret_key: str, gateway_public_key: str | None = None) -> MerchantRecord:
    return MerchantRecord(
        client_id=one.client_id,
        name=one.name,
        secret_key=secret_key,
        notification_url=one.notification_url,
        options=msgspec.to_builtins(one.options),
        created_at=iso_z(one.created_at),
        snap_public_key=one.snap_public_key,
        gateway_public_key=gateway_public_key,
    )


def _print(data: Data | None, one: Merchant, *, as_json: bool) -> None:
    """Print a merchant; with `data`, the gateway's public key too."""
    gateway_key = gateway_public_key_now(data.database, data.settings) if data is not None else None
    if as_json:
        print_json(_record(one, secret_key=one.secret_key, gateway_public_key=gateway_key))
        return
    own = msgspec.to_builtins(one.options)
    cards = own.pop("channels", {})
    options = ", ".join(f"{name.replace('_', '-')} {_word(value)}" for name, value in own.items())
    print_facts(
        [
            ("Client-Id", one.client_id),
            ("Secret key", one.secret_key),
            ("Name", one.name),
            ("Notification URL", one.notification_url or "none"),
            ("Options", options or "as the settings say"),
            *((f"Options of {code}", json.dumps(chosen)) for code, chosen in cards.items()),
            ("Since", wib(one.created_at)),
            ("SNAP public key", one.snap_public_key and one.snap_public_key.strip()),
            ("Gateway's public key", gateway_key and gateway_key.strip()),
        ]
    )


def _word(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
