"""gerbang channels."""

import click
import msgspec

from gerbang.channel import Channel, all_channels
from gerbang.cli.options import json_option
from gerbang.cli.show import print_json, print_table


class ChannelRecord(msgspec.Struct):
    """A payment channel for programs."""

    code: str
    title: str
    endpoints: list[str]
    magic_values: dict[str, str]


@click.command()
@json_option
def channels(as_json: bool) -> None:
    """List the payment channels with their test values."""
    found = [_record(channel) for channel in all_channels().values()]
    if as_json:
        print_json(found)
        return
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


def _record(channel: Channel) -> ChannelRecord:
    return ChannelRecord(
        code=channel.code,
        title=channel.title,
        endpoints=[f"{endpoint.method} {endpoint.path}" for endpoint in channel.endpoints],
        magic_values=dict(channel.magic_values),
    )
