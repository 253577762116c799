"""gerbang unexpected …"""

import click

from gerbang.cli.data import open_data
from gerbang.cli.options import json_option, reads_settings
from gerbang.cli.show import print_json, print_table, wib
from gerbang.money import format_rupiah
from gerbang.payments import get_payment
from gerbang.payments.unexpected import list_unexpected
from gerbang.providers.reports import returned_by_hand
from gerbang.records import unexpected_record


@click.group()
@reads_settings
def unexpected() -> None:
    """Money that no payment waited for: list what a person has to send back, and say that it was."""


@unexpected.command("list")
@click.option("--all", "all_of_it", is_flag=True, help="Also what is being given back, and what went back.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@json_option
@reads_settings
def list_all(all_of_it: bool, limit: int, as_json: bool) -> None:
    """List money that was paid twice, too late, or in another amount, the oldest first.

    It is the buyer's. Most providers give it back by themselves; a shop's till cannot, and then a person has to.
    """
    with open_data() as data:
        found = data.read(
            lambda tx: [
                (one, get_payment(tx, one.payment_id)[0].invoice_number)
                for one in list_unexpected(tx, all_of_it=all_of_it, limit=limit)
            ]
        )
    if as_json:
        print_json([unexpected_record(one) for one, _ in found])
        return
    print_table(
        ("Came", "Id", "Channel", "Invoice", "Receipt", ">Amount", "Why", "State"),
        [
            (
                wib(one.created_at),
                one.id,
                one.channel,
                invoice,
                one.receipt,
                format_rupiah(one.amount),
                one.reason.value,
                one.state.value,
            )
            for one, invoice in found
        ],
        empty="Nothing waits to be sent back.",
    )


@unexpected.command("returned")
@click.argument("unexpected_id", metavar="ID")
@json_option
@reads_settings
def returned(unexpected_id: str, as_json: bool) -> None:
    """Say that you sent it back to who paid it. Send it first; this cannot be taken back."""
    with open_data() as data:
        now = data.now()
        done = data.write(lambda tx: returned_by_hand(tx, unexpected_id, now=now))
    if as_json:
        print_json(unexpected_record(done))
        return
    click.echo(f"{done.id}: {format_rupiah(done.amount)} returned")
