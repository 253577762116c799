"""Bodies and their fields, found from the wire structs."""

import copy
import itertools
import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Meta

from gerbang.channels.doku_wallet_snap.wire_money import UrlParam
from gerbang.endpoint import Endpoint
from gerbang.protocols.snap.wire import Amount

Way = tuple[str | int, ...]


def _plain(kind: Any) -> tuple[Any, list[Meta]]:
    """The type without None, and what is said about it."""
    meta: list[Meta] = []
    while typing.get_origin(kind) in (typing.Annotated, typing.Union, types.UnionType):
        if typing.get_origin(kind) is typing.Annotated:
            kind, *said = typing.get_args(kind)
            meta = [*said, *meta]
        else:
            kind = next(one for one in typing.get_args(kind) if one is not type(None))
    return kind, meta


def _fields(struct: type[msgspec.Struct]) -> Iterator[tuple[str, Any]]:
    hints = typing.get_type_hints(struct, include_extras=True)
    yield from ((field.encode_name, hints[field.name]) for field in msgspec.structs.fields(struct))


def fields(kind: Any, way: Way = ()) -> Iterator[tuple[Way, Any, list[Meta]]]:
    """Every field of a body: the way to it, its type, and what is said about it."""
    kind, meta = _plain(kind)
    if typing.get_origin(kind) is list:
        yield from fields(typing.get_args(kind)[0], (*way, 0))
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for name, inner in _fields(kind):
            yield from fields(inner, (*way, name))
    else:
        yield way, kind, meta


def is_address(meta: list[Meta]) -> bool:
    """Whether the field is one of an address."""
    return any((one.extra_json_schema or {}).get("format") == "uri" for one in meta)


def snap_body(endpoint: Endpoint, phone: str) -> dict[str, Any]:
    """A body with every field but the times, as far as its struct says what is right."""
    body = _right(endpoint.request, phone)
    assert isinstance(body, dict)
    body.pop("urlParams", None)  # the other spelling of urlParam
    return body


def _right(kind: Any, phone: str) -> Any:
    kind, said = _plain(kind)
    described = " ".join(one.description or "" for one in said)
    if kind is Amount:
        return {"value": "10000.00", "currency": "IDR"}
    if kind is UrlParam:
        return {"url": "http://localhost/back", "type": "PAY_RETURN"}
    if typing.get_origin(kind) is list:
        return [_right(typing.get_args(kind)[0], phone)]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {name: _right(inner, phone) for name, inner in _fields(kind) if "Time" not in name and "valid" not in name}
    if kind is str:
        formats = [(one.extra_json_schema or {}).get("format") for one in said]
        if "email" in formats:
            return "buyer@example.id"
        if "uri" in formats:
            return "http://localhost/back"
        return phone if "08…" in described or "Phone" in described else "Cash" if "Cash" in described else "1"
    return {int: 1, bool: True}.get(kind, {})


def put(body: Any, way: Way, value: Any) -> Any:
    """The body with this at that place, which need not exist yet."""
    changed = copy.deepcopy(body)
    place = changed
    for step, after in itertools.pairwise(way):
        if isinstance(place, dict):
            place = place.setdefault(step, [{}] if after == 0 else {})
        else:
            place = place[step]
    place[way[-1]] = value
    return changed


def named(way: Way) -> str:
    """As the protocols write it: `order.line_items[0].url`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in way).lstrip(".")
