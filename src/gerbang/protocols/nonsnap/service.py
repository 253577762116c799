"""Serving the non-SNAP API: check, decode, act in one transaction, answer signed.

The way of a request: headers → timestamp → client → signature → (one transaction: look for a first answer, decode, act,
keep the answer) → sign. Nothing is written for a request that is refused. A body that is signed by itself needs no headers.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from gerbang.clock import Clock, iso_z, real_now
from gerbang.endpoint import BodySignature, Call, Declined, Endpoint, HttpReply, HttpRequest, InProgress
from gerbang.errors import Reason, Refused
from gerbang.merchants import Merchant, MerchantDirectory
from gerbang.protocols.asking import Asking, Final, settle
from gerbang.protocols.nonsnap import errors
from gerbang.protocols.nonsnap.decode import decode, read_object
from gerbang.protocols.nonsnap.errors import BY_REASON, Rejected, answer_to, body_of
from gerbang.protocols.nonsnap.headers import check_timestamp, is_genuine, read_headers
from gerbang.protocols.nonsnap.replies import ReplyKey, first_reply, keep_reply, reply_key, request_id_was_used
from gerbang.protocols.nonsnap.signature import check_sum, sign, string_to_sign, targets_of
from gerbang.protocols.nonsnap.signed_bodies import SignedBody, keep_signed_body, meaning_of
from gerbang.settings import Settings
from gerbang.storage import Database, Retry, StorageBusy, Tx

log = logging.getLogger(__name__)

_REPEAT_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who calls, and what they call it."""

    merchant: Merchant
    request_id: str


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: int
    body: bytes


_Act = Callable[[Tx], bytes | Asking[bytes]]

Committed = Callable[[str, str], Awaitable[None]]
"""Sandbox: what comes between the commit of a writing call and its answer (client id, Request-Id). Never raises."""


def _encode(answer: Final) -> bytes:
    assert not isinstance(answer, InProgress | Declined), "only SNAP has words for these"
    return msgspec.json.encode(answer)


def _encoded(body: bytes | Asking[bytes]) -> bytes:
    assert isinstance(body, bytes), "reading asks nobody"
    return body


class NonSnap:
    """The guard of every Client-Id style endpoint."""

    def __init__(
        self,
        database: Database,
        directory: MerchantDirectory,
        clock: Clock,
        settings: Settings,
        committed: Committed | None = None,
    ) -> None:
        self._committed = committed
        self._database = database
        self._directory = directory
        self._clock = clock
        self._settings = settings
        # Writing requests of this process that have begun and not ended.
        self._running: dict[Hashable, asyncio.Future[None]] = {}

    async def handle(self, endpoint: Endpoint, request: HttpRequest, path_value: str) -> HttpReply:
        """Answer one request. Never raises: whatever goes wrong inside answers as an internal error and is logged."""
        merchant: Merchant | None = None
        try:
            caller = await self._authenticate(endpoint, request)
            merchant = caller.merchant
            outcome = await self._run(endpoint, request, caller, path_value)
            if self._committed is not None and endpoint.writes and outcome.status == 200:
                await self._committed(merchant.client_id, caller.request_id)
        except Rejected as rejected:
            outcome = _Outcome(rejected.answer.status, body_of(rejected.answer, rejected.facts))
            # A wrong signature is answered signed too, when the client is known: it can at least check ours.
            merchant = merchant or await self._known_client(request)
        except Refused as refused:
            answer = answer_to(refused)
            if answer is errors.INTERNAL:
                log.error("a refusal has no answer in this protocol: %s", refused)
            outcome = _Outcome(answer.status, body_of(answer, refused.facts))
        except StorageBusy as busy:
            log.warning("%s %s: storage busy: %s", request.method, request.raw_path, busy)
            outcome = _Outcome(errors.BUSY.status, body_of(errors.BUSY, {}))
        except asyncio.CancelledError:
            # The server stops and has waited long enough. What is on disk goes on, and so does the same request again.
            log.warning("%s %s was not over when the server stopped", request.method, request.raw_path)
            outcome = _Outcome(errors.BUSY.status, body_of(errors.BUSY, {}))
        except Exception:
            log.exception("%s %s request %s", request.method, request.raw_path, request.headers.get("request-id"))
            outcome = _Outcome(errors.INTERNAL.status, body_of(errors.INTERNAL, {}))
        return signed_reply(request, merchant, outcome.status, outcome.body)

    def wrong_method(self, endpoint: Endpoint, method: str) -> HttpReply:
        """As the original's framework words it."""
        text = msgspec.json.encode({"message": f"Request method '{method}' is not supported"})
        return HttpReply(405, (("Content-Type", "application/json"),), text)

    async def too_large(self, endpoint: Endpoint, request: HttpRequest) -> HttpReply:
        """Turned down unread, before any other check; signed when the client is known, like every error."""
        body = body_of(errors.BODY_TOO_LARGE, {})
        return signed_reply(request, await self._known_client(request), errors.BODY_TOO_LARGE.status, body)

    async def _known_client(self, request: HttpRequest) -> Merchant | None:
        client_id = request.headers.get("client-id", "").strip()
        if not client_id or not request.headers.get("request-id", "").strip():
            return None
        try:
            return await self._directory.find(client_id)
        except Exception:
            log.exception("looking up a client")
            return None

    async def _authenticate(self, endpoint: Endpoint, request: HttpRequest) -> _Caller:
        """Raise Rejected for the first thing wrong."""
        if endpoint.body_signature is None:
            return await self._by_headers(endpoint, request)
        # Headers that are there and wrong are no reason to believe the body alone.
        caller = await self._by_headers(endpoint, request) if request.headers.get("signature", "").strip() else None
        merchant, signed = await self._by_body(endpoint.body_signature, read_object(request.body))
        if request.headers.get("client-id", "").strip() not in ("", merchant.client_id):
            raise Rejected(errors.INVALID_CLIENT_ID)
        # A transaction of its own: who sees a body that is refused must not get another one under its sum accepted.
        is_its_own = await self._database.transact(lambda tx: keep_signed_body(tx, merchant.client_id, signed))
        if caller is not None:
            return caller  # the headers say which body is meant
        if not is_its_own:
            # Somebody saw another body and moved the borders between its values: the secret key was not asked.
            raise Rejected(errors.INVALID_SIGNATURE)
        # What is signed names the call, there being no Request-Id: the same body is the same call.
        return _Caller(merchant, signed.check_sum)

    async def _by_body(self, signature: BodySignature, body: Mapping[str, Any]) -> tuple[Merchant, SignedBody]:
        """Who signed the body, and what of it."""
        client_id, sent = [_text_at(body, way) for way in (signature.client_id, signature.check_sum)]
        if not (client_id.isascii() and client_id.isprintable()):
            raise Rejected(errors.INVALID_CLIENT_ID)
        text, meaning = signature.text(body), meaning_of(signature.values(body))
        for fresh in (False, True):  # the key may have changed a moment ago
            merchant = await self._directory.find(client_id, fresh=fresh)
            if merchant is None:
                raise Rejected(errors.INVALID_CLIENT_ID)
            wanted = check_sum(text, merchant.secret_key)
            if hmac.compare_digest(sent.encode(errors="replace"), wanted.encode()):
                return merchant, SignedBody(wanted, meaning)
        if self._settings.is_sandbox:
            name = ".".join(signature.check_sum)
            log.warning("wrong %s from %s; it is the SHA-256 of %r and, without a space, the secret key", name, client_id, text)
        raise Rejected(errors.INVALID_SIGNATURE)

    async def _by_headers(self, endpoint: Endpoint, request: HttpRequest) -> _Caller:
        """Raise Rejected for the first thing wrong, in the order observed at DOKU."""
        sent = read_headers(request.headers)
        check_timestamp(sent.timestamp, real=real_now(), window_s=self._settings.request_timestamp_window_s)
        merchant = await self._directory.find(sent.client_id)
        if merchant is None:
            raise Rejected(errors.INVALID_CLIENT_ID)
        targets = targets_of(request.raw_path, request.query)
        body = request.body if endpoint.writes else None
        if is_genuine(sent, merchant, targets=targets, body=body, digestless=endpoint.digestless_signature):
            if endpoint.digestless_signature and not is_genuine(sent, merchant, targets=targets, body=body):
                # Such a body is protected by TLS alone: whoever looks into a quarrel later has to know.
                log.info("unsigned_body: %s request %s to %s", sent.client_id, sent.request_id, request.raw_path)
            return _Caller(merchant, sent.request_id)
        # The key may have changed a moment ago.
        fresh = await self._directory.find(sent.client_id, fresh=True)
        if (
            fresh is not None
            and fresh.secret_key != merchant.secret_key
            and is_genuine(sent, fresh, targets=targets, body=body, digestless=endpoint.digestless_signature)
        ):
            return _Caller(fresh, sent.request_id)
        if self._settings.is_sandbox:
            # The most wanted line of all: what a developer compares with what they signed. It holds no secret.
            wanted = string_to_sign(
                client_id=sent.client_id, request_id=sent.request_id, timestamp=sent.timestamp, target=targets[0], body=body
            )
            log.warning("wrong Signature from %s; the text to sign was %r (see: gerbang sign --help)", sent.client_id, wanted)
        raise Rejected(errors.INVALID_SIGNATURE)

    async def _run(self, endpoint: Endpoint, request: HttpRequest, caller: _Caller, path_value: str) -> _Outcome:
        merchant = caller.merchant
        act = self._action(endpoint, request, caller, path_value)
        if not endpoint.writes:
            return await self._database.read(lambda tx: _Outcome(200, _encoded(act(tx))))
        key = reply_key(
            merchant_id=merchant.client_id,
            method=request.method,
            path=request.raw_path,
            request_id=caller.request_id,
            body=request.body,
        )
        strict = merchant.strict_request_id(self._settings)
        # A strict client's repeats have the id in common, not the body.
        alike: Hashable = key.scope if strict else (key.scope, key.body_hash)
        await self._await_twin(alike, alone=strict, wait_s=None if endpoint.repeats_join else _REPEAT_WAIT_S)
        ended = self._running.setdefault(alike, asyncio.get_running_loop().create_future())
        try:
            result = await self._database.transact(lambda tx: self._once(tx, key, act, strict=strict))
            while isinstance(result, Asking):
                asking = result
                answer = await asking.ask.ask()
                after = asking.after(answer)
                result = await self._database.transact(lambda tx, after=after: self._once(tx, key, after, strict=False))  # type: ignore[misc]
            return result
        finally:
            if self._running.get(alike) is ended:
                del self._running[alike]
            if not ended.done():
                ended.set_result(None)

    async def _await_twin(self, alike: Hashable, *, alone: bool, wait_s: float | None) -> None:
        """Let a repeat wait for its first call here rather than on a lock, which would hold a database connection.

        Only a convenience: between processes, and after this wait, the transaction decides (decision 0002). Raises
        Refused(REQUEST_IN_PROGRESS) when the first call takes longer than the documented wait.

        alone   go on one after the other. Nothing in the database keeps two bodies under one id apart (strict_request_id).
        wait_s  None: as long as the first call takes
        """
        loop = asyncio.get_running_loop()
        deadline = None if wait_s is None else loop.time() + wait_s
        while (first := self._running.get(alike)) is not None:
            await asyncio.wait({first}, timeout=None if deadline is None else max(0.0, deadline - loop.time()))
            if not first.done():
                raise Refused(Reason.REQUEST_IN_PROGRESS)
            if not alone:
                return

    def _action(self, endpoint: Endpoint, request: HttpRequest, caller: _Caller, path_value: str) -> _Act:
        # Decoding touches no database, so it happens once however often the transaction has to be run again. Its refusal waits
        # for the look-up: a repeat of an accepted request is never judged again.
        raw: dict[str, object] = {}
        body: msgspec.Struct | None = None
        fault: Exception | None = None
        if endpoint.request is not None:
            try:
                raw = read_object(request.body)
                body = decode(raw, endpoint.request)
            except (Rejected, Refused) as error:
                fault = error
        public_url = self._settings.public_url.rstrip("/") or request.origin

        def call(tx: Tx) -> Call:
            return Call(
                tx=tx,
                merchant=caller.merchant,
                request_id=caller.request_id,
                now=self._clock.now(),
                settings=self._settings,
                public_url=public_url,
                path_value=path_value,
                raw=raw,
                room=endpoint.room,
                headers=request.headers,
            )

        def act(tx: Tx) -> bytes | Asking[bytes]:
            if fault is not None:
                raise fault
            return settle(endpoint.action(call(tx), body), call, _encode)

        return act

    def _once(self, tx: Tx, key: ReplyKey, act: _Act, *, strict: bool) -> _Outcome | Asking[bytes]:
        """Act, or give the first answer again under 409 (decision 0002). While somebody is asked there is no answer to keep."""
        real = real_now()
        since = real - timedelta(seconds=self._settings.request_id_retention_s)
        first = first_reply(tx, key, since=since)
        if first is not None:
            return _Outcome(409, first)
        if strict and request_id_was_used(tx, key, since=since):
            raise Refused(Reason.REQUEST_IN_PROGRESS)
        try:
            body = act(tx)
        except Refused:
            # Perhaps refused because the same request, running beside this one, was quicker: then its answer is ours.
            first = first_reply(tx, key, since=since)
            if first is not None:
                return _Outcome(409, first)
            raise
        if isinstance(body, Asking):
            return body
        if not keep_reply(tx, key, status=200, body=body, real=real, since=since):
            raise Retry
        return _Outcome(200, body)


def _text_at(body: Mapping[str, Any], way: tuple[str, ...]) -> str:
    """The text, or number, at a place of the body. Raise Rejected when there is none."""
    value: Any = body
    for name in way:
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None or not str(value).strip():
        raise Rejected(BY_REASON[Reason.FIELD_MISSING], field=".".join(way))
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Rejected(BY_REASON[Reason.FIELD_INVALID], field=".".join(way))
    return str(value)


def signed_reply(request: HttpRequest, merchant: Merchant | None, status: int, body: bytes) -> HttpReply:
    """The reply with its headers (decision D-2): both timestamps with the same value, the Response-Timestamp line signed."""
    timestamp = iso_z(real_now())
    client_id = request.headers.get("client-id", "").strip()
    request_id = request.headers.get("request-id", "").strip()
    headers = [("Content-Type", "application/json")]
    if client_id:
        headers.append(("Client-Id", client_id))
    if request_id:
        headers.append(("Request-Id", request_id))
    headers += [("Response-Timestamp", timestamp), ("Request-Timestamp", timestamp)]
    # A call without headers has nothing that a signature could answer to.
    if merchant is not None and client_id and request_id:
        text = string_to_sign(
            client_id=client_id,
            request_id=request_id,
            timestamp=timestamp,
            target=request.raw_path,
            body=None if request.method == "GET" else body,
            timestamp_line="Response-Timestamp",
        )
        headers.append(("Signature", sign(text, merchant.secret_key)))
    return HttpReply(status, tuple(headers), body)
