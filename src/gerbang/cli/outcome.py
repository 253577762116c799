"""gerbang outcome."""

import re

import click

from gerbang.channel import all_channels
from gerbang.cli.data import open_data
from gerbang.cli.options import reads_settings
from gerbang.cli.payments import find
from gerbang.cli.trouble import Failure, Misuse
from gerbang.payments import payments_of
from gerbang.sandbox.playing import CHOICES, NotChosen, choose
from gerbang.storage import Tx


@click.command()
@click.argument("invoice")
@click.option("--merchant", metavar="CLIENT_ID", help="Whose; needed when several merchants have this invoice number.")
@click.option(
    "--outcome", "wanted_outcome", metavar="WORD", help="Where the buyer pays elsewhere: SUCCESS, NOT_ENOUGH, SLOW, PAID_LATE, …"
)
@click.option("--three-ds", metavar="WORD", help="frictionless, challenge, challenge_failed, unavailable, …")
@click.option("--response-code", metavar="CODE", help="What the acquirer answers when asked for the money, e.g. 51.")
@click.option("--follow-up-code", metavar="CODE", help="What it answers to capture, void and refund.")
@click.option("--clear", is_flag=True, help="Leave it to the card or the amount again.")
@reads_settings
def outcome(
    invoice: str,
    merchant: str | None,
    wanted_outcome: str | None,
    three_ds: str | None,
    response_code: str | None,
    follow_up_code: str | None,
    clear: bool,
) -> None:
    """Sandbox: decide what bank, acquirer or wallet will say about an order.

    Of a card payment --three-ds, --response-code and --follow-up-code, whatever card its buyer takes; docs/guides/test-cards.md lists the
    codes. Of a channel whose buyer pays elsewhere --outcome: what happens when the buyer presses Pay; `gerbang channels CODE` lists
    them. Each call replaces what an earlier one chose.
    """
    wanted = {"outcome": wanted_outcome, "three_ds": three_ds, "response_code": response_code, "follow_up_code": follow_up_code}
    if clear == any(wanted.values()):
        raise Misuse("give --outcome, --three-ds, --response-code or --follow-up-code, or --clear alone")
    with open_data() as data:
        if not data.settings.is_sandbox:
            raise Failure("outcomes are chosen in the sandbox; the settings say mode = production")

        def decide(tx: Tx) -> None:
            payment = payments_of(tx, find(tx, invoice, merchant).id)[-1]
            choose(tx, all_channels()[payment.channel], payment, wanted)

        try:
            data.write(decide)
        except NotChosen as not_chosen:
            as_options = re.sub(rf"\b({'|'.join(CHOICES)})\b", lambda name: "--" + name[0].replace("_", "-"), str(not_chosen))
            raise Misuse(as_options) from None
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in wanted.items() if value)
    click.echo(f"{invoice}: {said or 'as the card or the amount says'}")
