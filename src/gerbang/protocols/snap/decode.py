"""Reading a SNAP body: an object without duplicate keys; empty lists and empty texts count as absent (PHP clients)."""

from typing import Any, TypeVar

import msgspec

from gerbang.protocols import decoding
from gerbang.protocols.decoding import plain
from gerbang.protocols.snap import errors
from gerbang.protocols.snap.errors import Rejected
from gerbang.protocols.snap.signature import refuse_duplicate_keys

__all__ = ["decode", "plain", "read_object"]

S = TypeVar("S", bound=msgspec.Struct)


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object, or Rejected(BAD_REQUEST)."""
    try:
        found = decoding.read_object(body)
        refuse_duplicate_keys(body)
    except ValueError:
        raise Rejected(errors.BAD_REQUEST) from None
    return found


def decode(sent: dict[str, Any], struct: type[S]) -> S:
    """The struct, or Refused(FIELD_MISSING / FIELD_INVALID, field=path) for the first faulty field in written order."""
    return decoding.decode(_without_empty_lists(sent), struct)


def _without_empty_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_empty_lists(inner) for name, inner in value.items() if inner != []}
    if isinstance(value, list):
        return [_without_empty_lists(inner) for inner in value]
    return value
