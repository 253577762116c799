"""gerbang vault …"""

import click
import msgspec

from gerbang.cli.data import open_data
from gerbang.cli.options import json_option, reads_settings
from gerbang.cli.show import counted, print_facts, print_json, print_table, wib
from gerbang.clock import iso_z, real_now
from gerbang.vault import KeyRing, status
from gerbang.vault import rewrap as rewrap_keys
from gerbang.vault import rotate as rotate_keys
from gerbang.vault.keys import kek_from_file, kek_of
from gerbang.vault.rotation import VaultStatus


class KeyRecord(msgspec.Struct):
    """A data key for programs. Real time, not the sandbox's."""

    id: str
    client_id: str
    state: str
    created_at: str
    cards: int


class StatusRecord(msgspec.Struct):
    """What the vault holds, for programs."""

    cards: int
    cards_with_date: int
    tokens: int
    uses: int
    rotating: bool
    oldest_key_days: int | None
    keys: list[KeyRecord]


class RotatedRecord(msgspec.Struct):
    """What a rotation did, for programs."""

    merchants: int
    cards: int
    deleted: int
    broken: list[str]


@click.group()
@reads_settings
def vault() -> None:
    """Look after the keys of stored cards."""


@vault.command("status")
@json_option
@reads_settings
def show_status(as_json: bool) -> None:
    """How many cards there are, and which keys they need.

    Says so, too, when the vault key of the settings is not the one in use.
    """
    with open_data() as data:
        keyring = KeyRing.of(data.settings)
        held = data.read(status)
        if held.fingerprint_key_since is not None:
            data.read(keyring.fingerprint_key)  # raises with the wrong key
    if as_json:
        print_json(_record(held))
        return
    days = _oldest_days(held)
    print_facts(
        [
            ("Cards", f"{held.cards}, of which {held.cards_with_date} will be deleted when their time is over"),
            ("Tokens", str(held.tokens)),
            ("Numbers read", counted(held.uses, "time")),
            ("Oldest key", None if days is None else counted(days, "day")),
            ("Fingerprints", wib(held.fingerprint_key_since) if held.fingerprint_key_since else None),
            ("Rotation", "was begun and did not end: `gerbang vault rotate` ends it" if held.rotating else None),
        ]
    )
    click.echo()
    print_table(
        ["Key", "Merchant", "State", "Since", ">Cards"],
        [(key.id, key.merchant_id, key.state, wib(key.created_at), str(key.cards)) for key in held.keys],
        empty="No keys yet: the first card of each merchant makes one.",
    )


@vault.command("rotate")
@json_option
@reads_settings
def rotate(as_json: bool) -> None:
    """Give each merchant a new data key and seal its cards with it.

    Works beside a running gateway. When it is interrupted, run it again: it goes on where it was. Exit status 1 when a card
    does not open.
    """
    with open_data() as data:
        done = rotate_keys(data.database, KeyRing.of(data.settings))
    if as_json:
        print_json(RotatedRecord(done.merchants, done.cards, done.deleted, list(done.broken)))
    else:
        click.echo(
            f"{counted(done.merchants, 'key')} replaced, {counted(done.cards, 'card')} sealed anew,"
            f" {counted(done.deleted, 'old key')} deleted"
        )
        for card_id in done.broken:
            click.echo(f"{card_id} does not open: its row or its key was altered; it was left as it is", err=True)
    if done.broken:
        click.get_current_context().exit(1)


@vault.command("rewrap")
@click.option(
    "--old-key-file", metavar="FILE", required=True, help="The vault key until now; the new one is that of the settings."
)
@reads_settings
def rewrap(old_key_file: str) -> None:
    """Wrap the data keys with the vault key that the settings name now.

    All or none. Then restart every gateway with the new vault key: those with the old one can make no new keys.
    """
    with open_data() as data:
        wrapped = rewrap_keys(data.database, kek_from_file(old_key_file), kek_of(data.settings))
        click.echo(f"{counted(wrapped, 'key')} wrapped with the new vault key")


def _oldest_days(held: VaultStatus) -> int | None:
    return (real_now() - held.keys[0].created_at).days if held.keys else None


def _record(held: VaultStatus) -> StatusRecord:
    return StatusRecord(
        cards=held.cards,
        cards_with_date=held.cards_with_date,
        tokens=held.tokens,
        uses=held.uses,
        rotating=held.rotating,
        oldest_key_days=_oldest_days(held),
        keys=[KeyRecord(key.id, key.merchant_id, key.state, iso_z(key.created_at), key.cards) for key in held.keys],
    )
