"""Options that many commands share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from gerbang.settings import Settings

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., Any])

_CONFIG, _DATA = "gerbang.config", "gerbang.data"


def _remember(key: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def remember(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
        # Contexts of nested commands share `meta`, so that the innermost one given wins.
        if value is not None:
            ctx.meta[key] = value

    return remember


def reads_settings(command: C) -> C:
    """Give a command `--config` and `--data`; `settings_from_options` reads them."""
    data = click.option(
        "--data",
        metavar="ADDRESS",
        expose_value=False,
        callback=_remember(_DATA),
        help="SQLite file, postgresql://…, or :memory: for a server alone (default: gerbang.db here, or as the settings say).",
    )
    config = click.option(
        "--config", metavar="FILE", expose_value=False, callback=_remember(_CONFIG), help="Settings file (TOML)."
    )
    return config(data(command))


def parsed_by(parse: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    """A callback that reads an option's text; the ValueError of `parse` says what is wrong with it."""

    def callback(_ctx: click.Context, _param: click.Parameter, value: str | None) -> T | None:
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def settings_from_options(**given: Any) -> "Settings":
    """The settings as the file, the environment and the options of this command say. Raises BadSettings."""
    from gerbang.settings import load_settings

    meta = click.get_current_context().meta
    return load_settings(config=meta.get(_CONFIG), given={"data": meta.get(_DATA), **given})
