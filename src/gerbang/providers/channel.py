"""A `Channel` made of a room's data: what all channels with somebody outside have in common."""

from collections.abc import Callable, Mapping
from typing import Any

from gerbang.channel import Channel, Parts, convert_options
from gerbang.endpoint import Endpoint
from gerbang.errors import Reason, Refused
from gerbang.payments import Order, Payment, get_payment
from gerbang.providers.giving_back import sweep_refunds
from gerbang.providers.party import Party
from gerbang.providers.room import ProviderRoom, open_provider_room
from gerbang.providers.terms import ProviderOptions
from gerbang.storage import Tx


def provider_channel(
    party: Party,
    *,
    title: str,
    service_id: str,
    acquirer_id: str,
    acquirer_name: str = "",
    endpoints: tuple[Endpoint, ...],
    blocks: Callable[[Order, Payment], dict[str, Any]] = lambda _order, _payment: {},
    status: Callable[[Tx, Order, Payment], dict[str, Any]] | None = None,
    notification: Callable[[Tx, Order, Payment], dict[str, Any]] | None = None,
    pages: Callable[[Any], list[Any]] | None = None,
    options: type[ProviderOptions] = ProviderOptions,
) -> Channel:
    """pages    pages of the room's own, beside its simulator's
    options  what a merchant may have otherwise here, where that is more than elsewhere
    """
    made: list[Channel] = []

    def all_pages(wiring: Any) -> list[Any]:
        own = pages(wiring) if pages is not None else []
        if not wiring.settings.is_sandbox:
            return own
        from gerbang.providers.simulator_pages import simulator_pages

        return [*own, *simulator_pages(wiring, party)]

    channel = Channel(
        code=party.code,
        title=title,
        service_id=service_id,
        acquirer_id=acquirer_id,
        acquirer_name=acquirer_name,
        endpoints=endpoints,
        blocks=blocks,
        status=status,
        notification=notification,
        pages=all_pages,
        magic_values=party.magic_values,
        options=options,
        read_options=lambda sent: convert_options(sent, options),
        open=lambda parts: _open(parts, party, made),
        hear=_hear,
        sweep=_sweep,
        drive=_drive,
        choose=lambda tx, payment_id, wanted: _choose(tx, party, payment_id, wanted),
        outcomes=tuple(behaviour.value for behaviour in party.behaviours),
        party=party,
    )
    made.append(channel)
    return channel


def _open(parts: Parts, party: Party, made: list[Channel]) -> ProviderRoom | None:
    return open_provider_room(parts, party, lambda: made[0])


async def _hear(room: ProviderRoom, payment_id: str) -> int:
    return await room.hear(payment_id)


async def _sweep(room: ProviderRoom) -> int:
    return await room.sweep() + await sweep_refunds(room)


async def _drive(room: ProviderRoom, _channel: Channel, payment_id: str, outcome: str, code: str | None) -> None:
    """Sandbox: the buyer's part without a browser. Raises Refused: PAYMENT_MOVED_ON, FIELD_INVALID (outcome)."""
    from gerbang.providers.simulator import SimulatedProvider

    assert isinstance(room.provider, SimulatedProvider), "outcomes are played by the pretend provider"
    announced = await room.database.read(lambda tx: _announced(tx, payment_id))
    await room.provider.play(announced, outcome, reason=code)
    await room.hear(announced)


def _choose(tx: Tx, party: Party, payment_id: str, wanted: Mapping[str, str | None]) -> None:
    from gerbang.providers.simulator import choose

    outcome = wanted.get("outcome")
    if outcome is not None and outcome not in party.behaviours:
        raise Refused(Reason.FIELD_INVALID, field="outcome", known=", ".join(party.behaviours))
    choose(tx, _announced(tx, payment_id), outcome)


def _announced(tx: Tx, payment_id: str) -> str:
    """The payment that the provider knows: the first of a code that is paid again and again."""
    return str(get_payment(tx, payment_id)[1].details.get("announced_as", payment_id))
