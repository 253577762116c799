"""What a room (a folder under channels/) provides, and how the rooms are found."""

import importlib
import pkgutil
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gerbang.clock import Clock
from gerbang.endpoint import Endpoint
from gerbang.errors import Reason, Refused
from gerbang.merchants import Merchant, get, update
from gerbang.payments import Order, Payment
from gerbang.settings import BadSettings, Settings
from gerbang.storage import Database, Tx
from gerbang.vault import Vault

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from gerbang.records import ChargeRecord

S = TypeVar("S", bound=msgspec.Struct)

OUTCOMES = ("SUCCESS", "FAILED", "EXPIRED", "CANCELLED")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a room's running parts are made from. The vault is there in a sandbox, and where a card provider is."""

    database: Database
    clock: Clock
    settings: Settings
    vault: Vault | None


@dataclass(frozen=True, slots=True)
class Channel:
    """A payment channel. What a channel cannot do is simply absent.

    code          the channel id on the wire, e.g. EMONEY_DOKU
    blocks        the channel's own blocks of notifications and check status, beside the common ones
    play          sandbox: brings a pending payment to one of OUTCOMES without a browser
                  (tx, merchant, order, payment, outcome, code, now)
    pages         the hosted pages, given what they are built from (a `web.wiring.Wiring`)
    magic_values  what a tester enters to get an outcome: value → what happens
    notification  the whole body of a notification, for a channel whose documents show another shape than the common one
    status        the same for check status
    options       what a merchant may have otherwise on this channel, as a struct whose fields all have defaults
    open          makes the running parts (providers and the like); None: not available in this installation
    hear          asks whoever is outside what became of a payment, before it expires unpaid (room, payment id)
    sweep         does what fell due in this room (room), and says how much it did; run by the worker, over and over
    close         ends a pending payment unpaid and queues what is told (tx, order, payment, move, settings=, now=, failure=);
                  None: as the Client-Id style does
    drive         sandbox, instead of `play` where an outside party has to be asked: (room, channel, payment id, outcome, code)
    read_options  plain JSON values → `options`, where more has to be checked than types; raises Refused(FIELD_INVALID, field=…)
    choose        sandbox: decides beforehand what the simulators say about a payment: (tx, payment id, what to whom); what is
                  not named is left to the simulator. Raises Refused(FIELD_INVALID, field=…)
    charges       the attempts to charge that a payment consists of, for people and programs
    outcomes      sandbox: what `play` or `drive` can bring about
    many_attempts a declined attempt leaves the payment open for another
    party         who is outside, as data (`providers.party.Party`), for the sandbox's desk of pretend counterparties
    acquirer_name said beside acquirer_id where DOKU's bodies do
    tells_refunds the merchant is notified of what goes back; elsewhere only check status says so (decision D-7)
    """

    code: str
    title: str
    service_id: str
    acquirer_id: str
    endpoints: tuple[Endpoint, ...]
    blocks: Callable[[Order, Payment], dict[str, Any]] = lambda _order, _payment: {}
    play: Callable[[Tx, Merchant, Order, Payment, str, str | None, datetime], Payment] | None = None
    pages: "Callable[[Any], list[BaseRoute]] | None" = None
    magic_values: Mapping[str, str] = field(default_factory=dict)
    notification: Callable[[Tx, Order, Payment], dict[str, Any]] | None = None
    status: Callable[[Tx, Order, Payment], dict[str, Any]] | None = None
    options: type[msgspec.Struct] | None = None
    open: Callable[[Parts], Any] | None = None
    hear: Callable[[Any, str], Awaitable[int]] | None = None
    sweep: Callable[[Any], Awaitable[int]] | None = None
    close: Callable[..., Payment] | None = None
    drive: "Callable[[Any, Channel, str, str, str | None], Awaitable[None]] | None" = None
    read_options: Callable[[Any], msgspec.Struct] | None = None
    choose: Callable[[Tx, str, Mapping[str, str | None]], None] | None = None
    charges: "Callable[[Tx, Payment], list[ChargeRecord]] | None" = None
    outcomes: tuple[str, ...] = OUTCOMES
    many_attempts: bool = False
    party: Any = None
    acquirer_name: str = ""
    tells_refunds: bool = False


def all_channels() -> dict[str, Channel]:
    """Every room's CHANNEL by its code, found by looking into the folder."""
    from gerbang import channels

    found: dict[str, Channel] = {}
    for module in pkgutil.iter_modules(channels.__path__):
        if module.ispkg:
            channel: Channel = importlib.import_module(f"gerbang.channels.{module.name}.channel").CHANNEL
            assert channel.code not in found, channel.code
            found[channel.code] = channel
    return found


def open_rooms(channels: Mapping[str, Channel], parts: Parts) -> dict[str, Any]:
    """The running parts of every room that has any and is available in this installation, by channel code. Raises BadSettings."""
    for named in parts.settings.providers:
        code = named.partition("=")[0]
        if code not in channels or channels[code].party is None:
            raise BadSettings(f"setting providers names the channel {code}, for which nobody outside is asked that way")
    opened = {code: channel.open(parts) for code, channel in channels.items() if channel.open is not None}
    return {code: room for code, room in opened.items() if room is not None}


def effective_options(channel: Channel, merchant: Merchant) -> dict[str, Any]:
    """What holds for this merchant on this channel, every default included, as plain JSON values."""
    options = _read_options(channel, merchant.options.channels.get(channel.code, {}))
    plain: dict[str, Any] = msgspec.to_builtins(_in_full(options), str_keys=True)
    return plain


def _in_full(value: Any) -> Any:
    """A struct with the fields that its own encoding leaves out."""
    if isinstance(value, msgspec.Struct):
        return {name: _in_full(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {name: _in_full(one) for name, one in value.items()}
    return value


def choose_options(tx: Tx, channel: Channel, client_id: str, sent: Mapping[str, Any], *, keep: bool = False) -> Merchant:
    """Set a merchant's own options on a channel, in the place of all it had there.

    keep  change those named and keep the others; None takes one back to its default

    Raises Refused: MERCHANT_NOT_FOUND; FIELD_INVALID, the field named as it is written in the options.
    """
    # Held, so that of two who change different options at once the second sees what the first wrote.
    tx.execute("update merchant set name = name where client_id = :client_id", {"client_id": client_id})
    merchant = get(tx, client_id)
    before = merchant.options.channels.get(channel.code, {}) if keep else {}
    wanted = {name: value for name, value in {**before, **sent}.items() if value is not None or not keep}
    # As the struct writes them: in one form, without what is the default anyway.
    own = msgspec.to_builtins(_read_options(channel, wanted), str_keys=True)
    channels = {code: options for code, options in merchant.options.channels.items() if code != channel.code}
    if own:
        channels[channel.code] = own
    return update(tx, client_id, options=msgspec.structs.replace(merchant.options, channels=channels))


_FAULT_AT = re.compile(r"`\$\.?([^`]*)`$")
_UNKNOWN_NAME = re.compile(r"unknown field `([^`]*)`")


def convert_options(sent: Any, struct: type[S]) -> S:
    """A room's options from plain JSON values, as the command line and the control API get them.

    Raises Refused(FIELD_INVALID, field=…). A name nobody knows is refused too: a rule with a typing error would protect nobody.
    """
    try:
        return msgspec.convert(sent, struct, str_keys=True)
    except msgspec.ValidationError as error:
        found = (_FAULT_AT.search(str(error)), _UNKNOWN_NAME.search(str(error)))
        # msgspec writes [...] for the key of an object, which it does not name.
        names = [match[1].replace("[...]", "") for match in found if match and match[1]]
        raise Refused(Reason.FIELD_INVALID, field=".".join(names) or "options") from None


def _read_options(channel: Channel, sent: Mapping[str, Any]) -> msgspec.Struct:
    if channel.read_options is None:
        raise Refused(Reason.FIELD_INVALID, field="channel", channel=channel.code)
    return channel.read_options(sent)
