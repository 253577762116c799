"""An action that has to ask somebody outside: what a protocol does between its transactions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from gerbang.endpoint import ActionResult, Ask, Call, Declined, InProgress
from gerbang.storage import Tx

R = TypeVar("R")

Final = msgspec.Struct | Mapping[str, Any] | InProgress | Declined


@dataclass(frozen=True, slots=True)
class Asking(Generic[R]):
    """An action that waits for somebody outside, and how it goes on with the answer."""

    ask: Ask
    after: "Callable[[object], Callable[[Tx], R | Asking[R]]]"


def settle(result: ActionResult, call: Callable[[Tx], Call], encode: Callable[[Final], R]) -> R | Asking[R]:
    """What an action returned, encoded when it is an answer."""
    if not isinstance(result, Ask):
        return encode(result)
    after = result.after

    def go_on(answer: object) -> Callable[[Tx], R | Asking[R]]:
        return lambda tx: settle(after(call(tx), answer), call, encode)

    return Asking(result, go_on)
