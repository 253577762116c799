"""gerbang messages"""

import click
import msgspec

from gerbang.cli.data import open_data
from gerbang.cli.options import json_option, reads_settings
from gerbang.cli.show import print_json, print_table, wib
from gerbang.cli.trouble import Failure
from gerbang.clock import iso_z
from gerbang.phones import normalise_phone
from gerbang.wallet.messages import inbox


class MessageRecord(msgspec.Struct):
    """A text message for programs; `code` is the one-time password in it."""

    id: str
    phone: str
    text: str
    code: str
    state: str
    used: bool
    over: bool
    at: str


@click.command()
@click.option("--phone", metavar="NUMBER", help="Only those to this number, in any written form.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most.")
@json_option
@reads_settings
def messages(phone: str | None, limit: int, as_json: bool) -> None:
    """Show the text messages that a sandbox sent to customers, newest first."""
    with open_data() as data:
        if not data.settings.is_sandbox:
            raise Failure("messages can be read in the sandbox only; production forgets them when they are sent")
        number = None if phone is None else normalise_phone(phone)
        now = data.now()
        found = data.read(lambda tx: inbox(tx, settings=data.settings, now=now, phone=number, limit=limit))
    if as_json:
        print_json(
            [
                MessageRecord(one.id, one.phone, one.text, one.code, one.state.value, one.code_used, one.code_over, iso_z(one.at))
                for one in found
            ]
        )
        return
    print_table(
        ("Sent", "To", "Code", "Good", "Text"),
        [
            (
                wib(one.at),
                "+" + one.phone,
                one.code or "–",
                "used" if one.code_used else "over" if one.code_over else "yes",
                one.text,
            )
            for one in found
        ],
        empty="No messages yet: one is sent when a customer is registered or a binding is to end.",
    )
