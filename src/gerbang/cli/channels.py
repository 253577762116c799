"""gerbang channels."""

import click

from gerbang.channel_guide import ChannelGuide, default_text, guides
from gerbang.cli.options import json_option
from gerbang.cli.show import heading, print_facts, print_json, print_table
from gerbang.cli.trouble import Misuse


@click.command()
@click.argument("code", required=False)
@json_option
def channels(code: str | None, as_json: bool) -> None:
    """List the payment channels with their test values, or show all about one.

    Fields, rules, outcomes, magic values and a merchant's options, e.g. `gerbang channels EMONEY_LINKAJA`. The same stands in
    docs/channels.md.
    """
    found = guides()
    if code is not None:
        found = [one for one in found if one.code == code.upper()]
        if not found:
            raise Misuse(f"there is no channel {code}; `gerbang channels` lists them")
    if as_json:
        print_json(found if code is None else found[0])
    elif code is not None:
        _show(found[0])
    else:
        _list(found)


def _list(found: list[ChannelGuide]) -> None:
    for index, one in enumerate(found):
        if index:
            click.echo()
        click.echo(f"{click.style(one.code, bold=True)}  {one.title}")
        for endpoint in one.endpoints:
            click.echo(f"  {endpoint}")
        if one.magic_values:
            click.echo()
            print_table(
                ("  In the sandbox", "happens~"), [(f"  {value}", what) for value, what in one.magic_values.items()], empty=""
            )


def _show(one: ChannelGuide) -> None:
    click.echo(f"{click.style(one.code, bold=True)}  {one.title}")
    print_facts([("service", one.service_id), ("acquirer", one.acquirer_id), ("simulator", one.simulator)])
    for call in one.calls:
        heading(f"{call.method} {call.path}")
        click.echo(call.about)
        if call.fields:
            click.echo()
            print_table(
                ("Field", "Type", "Mandatory", "Rule~", "Note~"),
                [(field.name, field.type, field.mandatory, field.rule, field.description) for field in call.fields],
                empty="",
            )
    heading("Outcomes")
    print_table(("Outcome", "What happens~"), one.outcomes.items(), empty="")
    if one.magic_values:
        heading("Magic values")
        print_table(("In the sandbox", "What happens~"), one.magic_values.items(), empty="")
    if one.options:
        heading("Merchant's options")
        print_table(
            ("Option", "Type", "Default", "Rule~", "Note~"),
            [(field.name, field.type, default_text(field), field.rule, field.description) for field in one.options],
            empty="",
        )
