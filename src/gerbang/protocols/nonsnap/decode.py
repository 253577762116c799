"""Reading a body into its wire struct, with this protocol's word for one that is no object."""

from typing import Any

from gerbang.protocols import decoding
from gerbang.protocols.decoding import decode, plain
from gerbang.protocols.nonsnap import errors
from gerbang.protocols.nonsnap.errors import Rejected

__all__ = ["decode", "plain", "read_object"]


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object, or Rejected(NOT_AN_OBJECT)."""
    try:
        return decoding.read_object(body)
    except decoding.NotAnObject:
        raise Rejected(errors.NOT_AN_OBJECT) from None
