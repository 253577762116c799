"""Reading a body into its wire struct, forgiving about types and exact about rules.

The struct's types and `msgspec.Meta` are the contract (and the published schema); this walks them in their written order,
so that a request with several faults hears about the first field of the document's table first. Amounts come as numbers or
numeric strings, booleans as text, phone numbers as numbers (real clients). Unknown fields are ignored.
"""

import math
import re
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from gerbang.errors import Reason, Refused
from gerbang.money import NotMoney, parse_amount
from gerbang.phones import is_phone
from gerbang.urls import is_absolute_url, leads_to_a_host

S = TypeVar("S", bound=msgspec.Struct)

Reader = Callable[[Any, str], Any]


class NotAnObject(ValueError):
    """The body is no JSON object, or one that could not be written and read again."""


@typing.runtime_checkable
class ReadsItself(typing.Protocol):
    """A struct that is written in more than one way on the wire, and reads its own."""

    @classmethod
    def read_wire(cls, value: Any, path: str) -> typing.Self:
        """The struct; raises Refused(FIELD_MISSING / FIELD_INVALID, field=path)."""
        ...


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

# A JSON number with a point or exponent becomes a Decimal: no float on the way of money.
_json = msgspec.json.Decoder(float_hook=Decimal)

# What a body holds is kept and written again, at other depths of the stack: refuse early what could not be read back later.
_MAX_DEPTH = 64


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object; raises NotAnObject, Refused(FIELD_INVALID) for a text that could not be stored, known field or not."""
    try:
        decoded = _json.decode(body)
    except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError):
        # ArithmeticError: 1e9999999999999999999 is JSON, but too much for a Decimal.
        raise NotAnObject from None
    if not isinstance(decoded, dict) or (body.count(b"{") + body.count(b"[") > _MAX_DEPTH and _is_deep(decoded)):
        raise NotAnObject
    if b"\\u0000" in body or b"\\ud" in body or b"\\uD" in body:
        path = _unstorable(decoded)
        if path is not None:
            raise _invalid(path)
    return decoded


def holds_unstorable(value: Any) -> bool:
    """Whether some text in a JSON value, or a name, holds a NUL or half of a surrogate pair: PostgreSQL keeps neither."""
    return _unstorable(value) is not None


def _unstorable(value: Any, path: str = "") -> str | None:
    """The path of the first such text."""
    if isinstance(value, str):
        return path if _UNSTORABLE.search(value) else None
    if isinstance(value, dict):
        inner = [(f"{path}.{name}".lstrip("."), name, one) for name, one in value.items()]
    elif isinstance(value, list):
        inner = [(f"{path}[{index}]", "", one) for index, one in enumerate(value)]
    else:
        return None
    for place, name, one in inner:
        if _UNSTORABLE.search(name):
            return path
        found = _unstorable(one, place)
        if found is not None:
            return found
    return None


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        if not inner:
            return False
        level = inner
    return any(isinstance(one, dict | list) for one in level)


def plain(value: Any) -> Any:
    """What was sent, for echoing and keeping: the same JSON value, its numbers in a form that every reader takes.

    A Decimal becomes the int or float it equals; one that has none (1e400, or more digits than a float keeps) becomes text.
    """
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if not isinstance(value, Decimal):
        return value
    # Between these bounds Python writes no exponent, whose `+` notifications could not escape.
    if value and not -4 < value.adjusted() < 15:
        return str(value)
    if value == value.to_integral_value():
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else str(value)


def decode(sent: dict[str, Any], struct: type[S]) -> S:
    """The struct, or Refused(FIELD_MISSING / FIELD_INVALID, field=path) for the first faulty field in written order."""
    result: S = _struct_reader(struct)(sent, "")
    return result


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _invalid(path: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, field=path)


def _reader_of(kind: Any) -> Reader:
    meta: list[msgspec.Meta] = []
    if typing.get_origin(kind) is typing.Annotated:
        kind, *annotations = typing.get_args(kind)
        meta = [item for item in annotations if isinstance(item, msgspec.Meta)]
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        (inner,) = [arg for arg in typing.get_args(kind) if arg is not types.NoneType]
        return _reader_of(typing.Annotated[inner, *meta] if meta else inner)
    if origin in (list, tuple):
        return _list_reader(_reader_of(typing.get_args(kind)[0]))
    if kind is int:
        return _int_reader(meta)
    if kind is Decimal:
        return _decimal_reader(meta)
    if kind is str:
        return _text_reader(meta)
    if kind is bool:
        return _flag
    if kind in (dict, Any) or origin is dict:
        return _object if kind is dict or origin is dict else lambda value, _path: value
    if isinstance(kind, type) and issubclass(kind, ReadsItself):
        reader: Reader = kind.read_wire
        return reader
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct_reader(kind)
    raise TypeError(f"no reader for {kind}")


@lru_cache(maxsize=512)
def _struct_reader(struct: type[msgspec.Struct]) -> Reader:
    hints = typing.get_type_hints(struct, include_extras=True)
    fields = [
        (field.name, field.encode_name, field.required, _reader_of(hints[field.name])) for field in msgspec.structs.fields(struct)
    ]

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise _invalid(path)
        found = {}
        for name, wire_name, required, reader in fields:
            sent = value.get(wire_name)
            where = f"{path}.{wire_name}" if path else wire_name
            if _is_blank(sent):
                if required:
                    raise Refused(Reason.FIELD_MISSING, field=where)
                continue
            found[name] = reader(sent, where)
        return struct(**found)

    return read


def _list_reader(item: Reader) -> Reader:
    def read(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            raise _invalid(path)
        return [item(element, f"{path}[{index}]") for index, element in enumerate(value)]

    return read


def _bounds(meta: list[msgspec.Meta]) -> tuple[float, float]:
    low, high = -math.inf, math.inf
    for item in meta:
        low = item.ge if item.ge is not None else low
        high = item.le if item.le is not None else high
    return low, high


def _int_reader(meta: list[msgspec.Meta]) -> Reader:
    low, high = _bounds(meta)

    def read(value: Any, path: str) -> int:
        try:
            number = parse_amount(value)
        except NotMoney:
            raise _invalid(path) from None
        if not low <= number <= high:
            raise _invalid(path)
        return number

    return read


_DECIMAL = re.compile(r"\d{1,16}(\.\d{1,2})?", re.ASCII)


def _decimal_reader(meta: list[msgspec.Meta]) -> Reader:
    """Up to 16 digits and two decimals, as a number or as text; what is written 50000.00 is 50000."""
    low, high = _bounds(meta)

    def read(value: Any, path: str) -> Decimal:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | str | Decimal)
            or not _DECIMAL.fullmatch(text := f"{value}".strip())
        ):
            raise _invalid(path)
        number = Decimal(text)
        if not low <= number <= high:
            raise _invalid(path)
        return number

    return read


def _text_reader(meta: list[msgspec.Meta]) -> Reader:
    longest = next((item.max_length for item in meta if item.max_length is not None), None)
    shortest = next((item.min_length for item in meta if item.min_length is not None), 0)
    patterns = [re.compile(item.pattern) for item in meta if item.pattern is not None]
    formats = {(item.extra_json_schema or {}).get("format") for item in meta}
    # Where a document names the characters of an address, those are its characters.
    is_address = leads_to_a_host if patterns else is_absolute_url

    def read(value: Any, path: str) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise _invalid(path)
        text = str(value)
        if longest is not None and len(text) > longest:
            raise _invalid(path)
        # "Alphabetic, numeric, special chars": everything but control characters and lone surrogates.
        if len(text) < shortest or _UNPRINTABLE.search(text):
            raise _invalid(path)
        if ("uri" in formats and not is_address(text)) or ("phone" in formats and not is_phone(value)):
            raise _invalid(path)
        if not all(pattern.search(text) for pattern in patterns):
            raise _invalid(path)
        return text

    return read


def _flag(value: Any, path: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise _invalid(path)


def _object(value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise _invalid(path)
    return value
