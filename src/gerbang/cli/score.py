"""gerbang score."""

import click

from gerbang.cli.options import json_option
from gerbang.cli.show import indented, print_json
from gerbang.cli.trouble import Misuse
from gerbang.sandbox.score import Shop, Situation, Unplayable, run_score
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY

_MARKS = {"HANDLED": ("✓", "green"), "FAILED": ("✗", "red"), "NOT_JUDGED": ("–", "yellow")}


@click.command()
@click.option("--url", required=True, help="Where your shop receives notifications, e.g. http://127.0.0.1:9000/notify.")
@click.option("--gateway", default="http://127.0.0.1:8080", show_default=True, help="The running sandbox that your shop uses.")
@click.option("--client-id", default=DEMO_CLIENT_ID, show_default=True, help="Your shop's Client-Id there.")
@click.option("--secret-key", default=SANDBOX_SECRET_KEY, show_default="the demo merchant's", help="Its secret key.")
@click.option("--checkout-url", metavar="URL", help="POST here makes your shop open an order and answer its invoice number.")
@click.option("--state-url", metavar="URL", help="GET here, with {invoice} in it, answers what your shop believes of an order.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 3_600),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How long your shop may take until it believes that an order is paid.",
)
@json_option
def score(
    url: str,
    gateway: str,
    client_id: str,
    secret_key: str,
    checkout_url: str | None,
    state_url: str | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Play twelve situations against your shop's receiver and say which it handles.

    Duplicates, forgeries, wrong amounts, notifications that come too early or never. Needs a running sandbox. Exit status 1 when
    a situation failed, 2 when they could not be played. docs/guides/shop-score.md explains each.
    """
    try:
        shop = Shop(url, gateway, client_id, secret_key, checkout_url, state_url, wait_s)
        report = run_score(shop) if as_json else run_score(shop, _show)
    except Unplayable as problem:
        raise Misuse(str(problem)) from None
    if as_json:
        print_json(report)
    else:
        click.echo()
        click.secho(report.sentence, bold=True)
    if report.handled < report.judged:
        click.get_current_context().exit(1)


def _show(one: Situation) -> None:
    mark, colour = _MARKS[one.verdict]
    click.echo(f"{click.style(mark, fg=colour)} {one.number:>2}  {one.title}")
    if one.verdict == "NOT_JUDGED":
        click.echo(indented(f"not judged: {one.came_back}", "      "))
    if one.verdict == "FAILED":
        for name, text in (("Sent", one.sent), ("Came back", one.came_back), ("Why", one.why), ("Mend", one.mend)):
            click.echo(f"      {click.style(name.ljust(9), dim=True)}  {text}")
