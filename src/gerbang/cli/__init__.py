"""The command line. Commands that work on data open the database themselves, beside a running server or without one."""

import os

import click

from gerbang import __version__
from gerbang.cli.lazy import LazyGroup
from gerbang.cli.options import reads_settings
from gerbang.core_dumps import forbid_core_dumps

# name → where the command is, and the first line of its help: `gerbang --help` imports none of them, and `gerbang serve`
# imports no other.
_COMMANDS = {
    "serve": ("gerbang.cli.run:serve", "Start the gateway."),
    "demo": ("gerbang.cli.run:demo", "Start the gateway with a demo shop to try it in a browser."),
    "worker": ("gerbang.cli.run:worker", "Do the background work alone: expiry and notifications."),
    "merchant": ("gerbang.cli.merchants:merchant", "Create, list, show and change merchants."),
    "wallet": ("gerbang.cli.wallet:wallet", "Open, fund, list, upgrade and unlock wallet accounts."),
    "payments": ("gerbang.cli.payments:payments", "List orders, or show all about one."),
    "refunds": (
        "gerbang.cli.refunds:refunds",
        "Open refunds that are done by hand, list those that wait for somebody, and end them.",
    ),
    "unexpected": (
        "gerbang.cli.unexpected:unexpected",
        "Money that no payment waited for: list what a person has to send back, and say that it was.",
    ),
    "outcome": ("gerbang.cli.outcome:outcome", "Sandbox: decide what bank, acquirer or wallet will say about an order."),
    "notifications": ("gerbang.cli.notifications:notifications", "List, inspect and resend notifications to merchants."),
    "mischief": ("gerbang.cli.mischief:mischief", "Sandbox: deliver notifications late, twice, out of order, or not at all."),
    "score": ("gerbang.cli.score:score", "Play twelve situations against your shop's receiver and say which it handles."),
    "messages": ("gerbang.cli.messages:messages", "Show the text messages that a sandbox sent to customers, newest first."),
    "clock": ("gerbang.cli.clock:clock", "Show or move the sandbox's time."),
    "verify": ("gerbang.cli.verify:verify", "Recompute the books and name every row that does not fit."),
    "sign": ("gerbang.cli.sign:sign", "Sign a request, or find out why a signature is wrong."),
    "vault": ("gerbang.cli.vault:vault", "Look after the keys of stored cards."),
    "channels": ("gerbang.cli.channels:channels", "List the payment channels with their test values, or show all about one."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gerbang")
@reads_settings
def main() -> None:
    """A payment gateway and e-wallet that speaks the DOKU API.

    Start with `gerbang demo`, or `gerbang serve` for the gateway alone. All other commands work beside a running
    server when they are given the same data: the same directory, --data, or settings.
    """
    # Whatever the command is: those that open data may have keys, PINs and card numbers in memory.
    forbid_core_dumps()
    if os.environ.get("NO_COLOR"):
        click.get_current_context().color = False
