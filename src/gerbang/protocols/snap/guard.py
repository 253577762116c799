"""What calls and token requests have in common: one answer for everything that can go wrong, and the reply's form."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gerbang.clock import real_now
from gerbang.endpoint import Endpoint, HttpReply, HttpRequest
from gerbang.errors import Refused
from gerbang.protocols.snap import errors
from gerbang.protocols.snap.codes import CASES, NO_SERVICE, response_code
from gerbang.protocols.snap.errors import Answer, Rejected, answer_to, error_body
from gerbang.protocols.snap.times import snap_time
from gerbang.storage import StorageBusy

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer before it has its headers."""

    status: int
    body: bytes


def answered(answer: Answer, service_code: str, facts: Mapping[str, object] | None = None) -> Outcome:
    """An error."""
    return Outcome(answer.status, error_body(answer, service_code, facts))


def success(result: msgspec.Struct | Mapping[str, Any], service_code: str, *, status: int = 200) -> Outcome:
    """responseCode and responseMessage, then what the action returned."""
    head = f'{{"responseCode":"{response_code(status, service_code, "00")}","responseMessage":"{CASES[status, "00"]}"'.encode()
    rest = msgspec.json.encode(result)
    return Outcome(status, head + b"}" if rest == b"{}" else head + b"," + rest[1:])


class Guard(ABC):
    """An `ApiProtocol` but for the way of a good request, `answer`."""

    @abstractmethod
    async def answer(self, endpoint: Endpoint, request: HttpRequest, path_value: str) -> Outcome:
        """Answer one request; raises Rejected, Refused and whatever goes wrong."""

    async def handle(self, endpoint: Endpoint, request: HttpRequest, path_value: str) -> HttpReply:
        """Answer one request. Never raises: whatever goes wrong inside answers as an internal error and is logged."""
        service_code = endpoint.service_code
        try:
            outcome = await self.answer(endpoint, request, path_value)
        except Rejected as rejected:
            outcome = answered(rejected.answer, service_code, rejected.facts)
        except Refused as refused:
            outcome = refusal(refused, service_code)
        except StorageBusy as busy:
            log.warning("%s %s: storage busy: %s", request.method, request.raw_path, busy)
            outcome = answered(errors.BUSY, service_code)
        except asyncio.CancelledError:
            # The server stops and has waited long enough; see the non-SNAP guard.
            log.warning("%s %s was not over when the server stopped", request.method, request.raw_path)
            outcome = answered(errors.BUSY, service_code)
        except Exception:
            log.exception("%s %s request %s", request.method, request.raw_path, request.headers.get("x-external-id"))
            outcome = answered(errors.INTERNAL, service_code)
        return self.reply(outcome, request)

    def reply(self, outcome: Outcome, request: HttpRequest) -> HttpReply:
        """The outcome with its headers."""
        return _reply(outcome)

    def wrong_method(self, endpoint: Endpoint, method: str) -> HttpReply:
        """405, in this service's name."""
        return _reply(answered(errors.WRONG_METHOD, endpoint.service_code))

    async def too_large(self, endpoint: Endpoint, request: HttpRequest) -> HttpReply:
        """Turned down unread. HTTP 413 has no responseCode: status and code have to agree."""
        return _reply(answered(errors.BAD_REQUEST, endpoint.service_code))


def refusal(refused: Refused, service_code: str) -> Outcome:
    """The answer to a refusal."""
    answer = answer_to(refused.reason)
    if answer is errors.INTERNAL:
        log.error("a refusal has no answer in this protocol: %s", refused)
    return answered(answer, service_code, refused.facts)


def unknown_path() -> HttpReply:
    """The answer to a path under SNAP's prefixes that leads nowhere."""
    return _reply(answered(errors.UNKNOWN_PATH, NO_SERVICE))


def _reply(outcome: Outcome) -> HttpReply:
    headers = (("Content-Type", "application/json"), ("X-TIMESTAMP", snap_time(real_now())))
    return HttpReply(outcome.status, headers, outcome.body)
