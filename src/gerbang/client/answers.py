"""A successful answer of the Client-Id style API, and how its parts are read without trusting their types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gerbang.client.errors import DokuError
from gerbang.money import NotMoney, parse_amount


@dataclass(frozen=True)
class Answer:
    """A successful answer. `replayed`: the gateway had seen this request before and repeats its first answer."""

    http_status: int
    request_id: str
    replayed: bool
    raw: dict[str, Any]


def text_at(body: Mapping[str, Any], *keys: str) -> str | None:
    """The text at a path of keys; None when anything on the way is absent, null or empty."""
    found: Any = body
    for key in keys:
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return str(found) if isinstance(found, str | int) and found != "" else None


def given(**fields: Any) -> dict[str, Any]:
    """The fields that say something: an absent one and an empty one differ on some of DOKU's servers."""
    return {name: value for name, value in fields.items() if value is not None and value is not False and value not in ([], {})}


def rupiah_of(sent: Any, answer: Answer) -> int | None:
    if sent is None:
        return None
    try:
        return parse_amount(sent)
    except NotMoney as problem:
        raise unexpected("the answer's amount is not whole rupiah", answer) from problem


def unexpected(message: str, answer: Answer) -> DokuError:
    return DokuError(message, http_status=answer.http_status, request_id=answer.request_id, raw=answer.raw)
