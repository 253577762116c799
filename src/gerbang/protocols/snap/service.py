"""Serving SNAP calls: check in the documented order, act in one transaction, answer with a response code.

The way of a call: headers → timestamp → B2B token → signature → customer token → (one transaction: X-EXTERNAL-ID, body, fields,
partnerReferenceNo, action). Nothing is written for a call that is refused, so that it may be mended and sent again as it was.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gerbang.clock import Clock, real_now
from gerbang.endpoint import Call, Declined, Endpoint, HttpRequest, InProgress
from gerbang.errors import Refused
from gerbang.merchants import Merchant, find
from gerbang.protocols.asking import Asking, Final, settle
from gerbang.protocols.snap import errors
from gerbang.protocols.snap.codes import CASES, CUSTOMER_TOKEN_CASE
from gerbang.protocols.snap.customers import Customer, customer_of
from gerbang.protocols.snap.decode import decode, read_object
from gerbang.protocols.snap.errors import Answer, Rejected
from gerbang.protocols.snap.external_ids import take_external_id
from gerbang.protocols.snap.guard import Guard, Outcome, refusal, success
from gerbang.protocols.snap.headers import CallHeaders, bearer, check_external_id, check_timestamp, read_headers
from gerbang.protocols.snap.references import REFERENCE_FIELD, take_reference
from gerbang.protocols.snap.signature import DuplicateKey, is_genuine, minify, string_to_sign, targets_of
from gerbang.protocols.snap.tokens import Token, TokenKind, TokenUse, find_token, prolong
from gerbang.settings import Settings
from gerbang.storage import Database, Tx

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Caller:
    merchant: Merchant
    external_id: str
    customer: Customer | None


@dataclass(frozen=True, slots=True)
class _Found:
    """What the database knows about who calls."""

    merchant: Merchant | None
    token: Token | None = None
    customer_token: Token | None = None
    customer: Customer | None = None


_Step = Callable[[Tx], Outcome | Asking[Outcome]]


class Snap(Guard):
    """The guard of every SNAP endpoint but the token requests."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._use = TokenUse(settings)

    async def answer(self, endpoint: Endpoint, request: HttpRequest, path_value: str) -> Outcome:
        """Answer one call; raises Rejected and Refused."""
        caller = await self._authenticate(endpoint, request)
        result = await self._database.transact(self._first(endpoint, request, caller, path_value))
        while isinstance(result, Asking):
            after = result.after(await result.ask.ask())
            result = await self._database.transact(after)
        return result

    async def _authenticate(self, endpoint: Endpoint, request: HttpRequest) -> _Caller:
        """Raise Rejected for the first thing wrong (snap-common §6)."""
        sent = read_headers(request.headers)
        check_timestamp(sent.timestamp, real=real_now(), window_s=self._settings.snap_timestamp_window_s)
        check_external_id(sent.external_id)
        access_token = bearer(request.headers, "authorization")
        if not access_token:
            raise Rejected(errors.TOKEN_NOT_FOUND)
        customer_token = bearer(request.headers, "authorization-customer") if endpoint.needs_customer else ""
        found = await self._database.read(lambda tx: _look_up(tx, sent.partner_id, access_token, customer_token))
        if found.merchant is None:
            raise Rejected(errors.UNKNOWN_CLIENT)
        now = self._clock.now()
        if found.token is None or not self._use.lives(found.token, now=now):
            raise Rejected(errors.INVALID_TOKEN)
        self._check_signature(request, sent, access_token, found.merchant)
        await self._used(found.token, now)
        if not endpoint.needs_customer:
            return _Caller(found.merchant, sent.external_id, None)
        if not customer_token:
            raise Rejected(errors.CUSTOMER_TOKEN_NOT_FOUND)
        if found.customer_token is None or found.customer is None or not self._use.lives(found.customer_token, now=now):
            raise Rejected(_invalid_customer_token(endpoint.service_code))
        await self._used(found.customer_token, now)
        return _Caller(found.merchant, sent.external_id, found.customer)

    def _check_signature(self, request: HttpRequest, sent: CallHeaders, access_token: str, merchant: Merchant) -> None:
        targets = targets_of(request.raw_path, request.query)
        try:
            genuine = is_genuine(
                sent.signature,
                method=request.method,
                targets=targets,
                access_token=access_token,
                body=request.body,
                timestamp=sent.timestamp,
                secret_key=merchant.secret_key,
            )
        except DuplicateKey:
            raise Rejected(errors.BAD_REQUEST) from None
        if genuine:
            return
        if self._settings.is_sandbox:
            # The most wanted line of all: what a developer compares with what they signed. The token stays out of the log.
            wanted = string_to_sign(
                method=request.method,
                target=targets[0],
                access_token="<access token>",  # noqa: S106 - a placeholder
                body=minify(request.body),
                timestamp=sent.timestamp,
            )
            log.warning("wrong X-SIGNATURE from %s; the text to sign was %r", sent.partner_id, wanted)
        raise Rejected(errors.INVALID_SIGNATURE)

    async def _used(self, token: Token, now: datetime) -> None:
        lapses_at = self._use.note(token, now=now)
        if lapses_at is not None:
            await self._database.transact(lambda tx: prolong(tx, token, lapses_at))

    def _first(self, endpoint: Endpoint, request: HttpRequest, caller: _Caller, path_value: str) -> _Step:
        """The first, and mostly the only, transaction of a call."""
        merchant, service_code = caller.merchant, endpoint.service_code
        # Decoding touches no database, so it happens once however often the transaction has to be run again. Its refusal waits
        # for the look at X-EXTERNAL-ID.
        raw: dict[str, object] = {}
        body: msgspec.Struct | None = None
        fault: Exception | None = None
        if endpoint.request is not None:
            try:
                raw = read_object(request.body)
                body = decode(raw, endpoint.request)
            except (Rejected, Refused) as error:
                fault = error
        strict = merchant.strict_external_id(self._settings)
        reference = getattr(body, REFERENCE_FIELD.get(service_code, "partnerReferenceNo"), None) if endpoint.creates else None
        public_url = self._settings.public_url.rstrip("/") or request.origin

        def call(tx: Tx) -> Call:
            return Call(
                tx=tx,
                merchant=merchant,
                request_id=caller.external_id,
                now=self._clock.now(),
                settings=self._settings,
                public_url=public_url,
                path_value=path_value,
                raw=raw,
                room=endpoint.room,
                headers=request.headers,
                external_id=caller.external_id,
                customer_id=caller.customer.account_id if caller.customer else "",
                binding_id=caller.customer.binding_id if caller.customer else "",
                service_code=service_code,
                reference=reference or "",
            )

        def encode(result: Final) -> Outcome:
            if isinstance(result, Declined):
                return refusal(Refused(result.reason, **result.facts), service_code)
            if isinstance(result, InProgress):
                return success(result.body, service_code, status=202)
            return success(result, service_code)

        def once(tx: Tx) -> Outcome | Asking[Outcome]:
            now = self._clock.now()
            if endpoint.creates or strict:
                take_external_id(
                    tx,
                    merchant_id=merchant.client_id,
                    service_code=service_code,
                    external_id=caller.external_id,
                    body=None if strict else request.body,
                    now=now,
                )
            if fault is not None:
                raise fault
            if reference:
                take_reference(
                    tx,
                    merchant_id=merchant.client_id,
                    service_code=service_code,
                    reference=reference,
                    external_id=caller.external_id,
                    now=now,
                )
            return settle(endpoint.action(call(tx), body), call, encode)

        return once


def _look_up(tx: Tx, partner_id: str, access_token: str, customer_token: str) -> _Found:
    merchant = find(tx, partner_id)
    if merchant is None:
        return _Found(None)
    token = find_token(tx, merchant, TokenKind.B2B, access_token)
    if token is None or not customer_token:
        return _Found(merchant, token)
    theirs = find_token(tx, merchant, TokenKind.B2B2C, customer_token)
    return _Found(merchant, token, theirs, customer_of(tx, theirs.binding_id) if theirs else None)


def _invalid_customer_token(service_code: str) -> Answer:
    case = CUSTOMER_TOKEN_CASE.get(service_code)
    return errors.INVALID_CUSTOMER_TOKEN if case is None else Answer(401, case, CASES[401, "02"])
