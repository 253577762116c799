"""gerbang mischief …"""

import click
import msgspec

from gerbang.cli.data import Data, open_data
from gerbang.cli.options import json_option, reads_settings
from gerbang.cli.show import print_facts, print_json
from gerbang.cli.trouble import Failure, Misuse
from gerbang.errors import Reason, Refused
from gerbang.merchants import get
from gerbang.notifications.mischief import Kind, Plan, choose, plan_of
from gerbang.sandbox.mischief import plan_merchant, plan_order

_KINDS = click.Choice(list(Kind), case_sensitive=False)
_FORESEEN = 10


class MischiefRecord(msgspec.Struct, omit_defaults=True):
    """A plan for programs; `next` is what hits the first orders after it was made."""

    client_id: str
    kinds: list[str]
    invoice_number: str | None = None
    seed: int = 0
    rate: int | None = None
    by: str | None = None
    next: list[str | None] | None = None


@click.group()
@reads_settings
def mischief() -> None:
    """Sandbox: deliver notifications late, twice, out of order, or not at all.

    All of it is legal: networks, restarts and retries do it to every shop sooner or later. `gerbang notifications show` says
    what was done to which. docs/guides/shop-score.md tells what each kind is.
    """


@mischief.command("plan")
@click.argument("client_id")
@click.argument("kinds", nargs=-1, required=True, type=_KINDS)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed and the same orders: the same mischief.")
@click.option("--rate", type=click.IntRange(1, 100), default=100, show_default=True, help="How many of a hundred orders are hit.")
@click.option("--by-invoice", is_flag=True, help="Tell orders apart by invoice number, not by the how-many-th they are.")
@json_option
@reads_settings
def plan(client_id: str, kinds: tuple[str, ...], seed: int, rate: int, by_invoice: bool, as_json: bool) -> None:
    """Do one of KINDS to each of the merchant's orders from now on.

    EARLY, LATE, TWICE, OUT_OF_ORDER, AFTER_REFUND, NEVER.
    """
    with open_data() as data:
        _sandbox_only(data)
        wanted = [Kind(kind) for kind in kinds]
        made = data.write(lambda tx: plan_merchant(tx, client_id, wanted, seed=seed, rate=rate, by_invoice=by_invoice))
        _print(client_id, made, as_json=as_json)


@mischief.command("order")
@click.argument("client_id")
@click.argument("invoice")
@click.argument("kinds", nargs=-1, type=_KINDS)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides how late LATE is.")
@json_option
@reads_settings
def order(client_id: str, invoice: str, kinds: tuple[str, ...], seed: int, as_json: bool) -> None:
    """Do all of KINDS to one order, which need not exist yet; without KINDS, nothing any more."""
    with open_data() as data:
        _sandbox_only(data)
        wanted = [Kind(kind) for kind in kinds]
        try:
            data.write(lambda tx: plan_order(tx, client_id, invoice, wanted, seed=seed))
        except Refused as refused:
            if refused.reason is not Reason.FIELD_INVALID:
                raise
            raise Misuse(
                "an order has one of EARLY, LATE, OUT_OF_ORDER and NEVER at most, and with NEVER nothing else"
                if refused.facts["field"] == "kinds"
                else "that is no invoice number"
            ) from None
    if as_json:
        print_json(MischiefRecord(client_id, list(dict.fromkeys(kinds)), invoice, seed))
    else:
        click.echo(f"{invoice}: {', '.join(dict.fromkeys(kinds)) or 'delivered as always'}")


@mischief.command("show")
@click.argument("client_id")
@json_option
@reads_settings
def show(client_id: str, as_json: bool) -> None:
    """Show the merchant's plan."""
    with open_data() as data:
        _sandbox_only(data)
        made = data.read(lambda tx: plan_of(tx, get(tx, client_id).client_id))
    _print(client_id, made, as_json=as_json)


@mischief.command("end")
@click.argument("client_id")
@json_option
@reads_settings
def end(client_id: str, as_json: bool) -> None:
    """Deliver the merchant's notifications as always. What is held back already goes out when it was to."""
    with open_data() as data:
        _sandbox_only(data)
        made = data.write(lambda tx: plan_merchant(tx, client_id, ()))
        _print(client_id, made, as_json=as_json)


def _sandbox_only(data: Data) -> None:
    if not data.settings.is_sandbox:
        raise Failure("mischief is for the sandbox; the settings say mode = production")


def _print(client_id: str, made: Plan | None, *, as_json: bool) -> None:
    if made is None:
        if as_json:
            print_json(MischiefRecord(client_id, []))
        else:
            click.echo(f"{client_id}: delivered as always")
        return
    foreseen: list[str | None] | None = None
    if made.by == "count":
        hits = [choose(made.seed, made.kinds, made.rate, str(place)) for place in range(1, _FORESEEN + 1)]
        foreseen = [None if hit is None else hit.kinds[0].value for hit in hits]
    if as_json:
        kinds = [kind.value for kind in made.kinds]
        print_json(MischiefRecord(client_id, kinds, None, made.seed, made.rate, made.by, foreseen))
        return
    print_facts(
        [
            ("Client-Id", client_id),
            ("Kinds", ", ".join(made.kinds)),
            ("Seed", str(made.seed)),
            ("Rate", f"{made.rate} of 100 orders"),
            ("Known by", "invoice number" if made.by == "invoice" else "the how-many-th order since the plan was made"),
            ("First ones", ", ".join(kind or "–" for kind in foreseen) if foreseen else None),
        ]
    )
