"""The two token requests, services 73 and 74: signed with the partner's RSA key, answered with JWTs of ours."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import msgspec

from gerbang.clock import Clock, real_now, to_ms
from gerbang.endpoint import Call, Endpoint, HttpReply, HttpRequest
from gerbang.errors import Reason, Refused
from gerbang.merchants import Merchant, find
from gerbang.merchants.gateway_key import GatewayKey
from gerbang.protocols.snap import errors
from gerbang.protocols.snap.codes import B2B2C_TOKEN, B2B_TOKEN
from gerbang.protocols.snap.customers import customer_of
from gerbang.protocols.snap.decode import decode, read_object
from gerbang.protocols.snap.errors import Rejected
from gerbang.protocols.snap.guard import Guard, Outcome, success
from gerbang.protocols.snap.headers import check_timestamp, read_token_headers
from gerbang.protocols.snap.paths import B2B2C_TOKEN_PATH, B2B_TOKEN_PATH
from gerbang.protocols.snap.signature import make_jwt, matches_rsa, token_string_to_sign
from gerbang.protocols.snap.times import snap_time
from gerbang.protocols.snap.tokens import (
    TokenKind,
    b2b_claims,
    find_token,
    issue_customer_tokens,
    keep_b2b_token,
    retire_refresh_token,
)
from gerbang.settings import Settings
from gerbang.storage import Database, Tx
from gerbang.wallet.bindings import exchange_auth_code, get_binding

log = logging.getLogger(__name__)


class B2bTokenRequest(msgspec.Struct):
    """What a partner sends for a B2B token. Clients put "", [], {} or nothing into additionalInfo."""

    grantType: str
    additionalInfo: Any = None


class B2bTokenResponse(msgspec.Struct, kw_only=True):
    """Types matter: one SDK calculates with expiresIn, others read additionalInfo as text."""

    accessToken: str
    tokenType: str = "Bearer"
    expiresIn: int
    additionalInfo: str = ""


class CustomerTokenRequest(msgspec.Struct):
    """What a partner sends for a customer's token: authCode or refreshToken, as grantType says."""

    grantType: str
    authCode: str | None = None
    refreshToken: str | None = None
    additionalInfo: Any = None


class CustomerTokenResponse(msgspec.Struct, kw_only=True):
    """The customer's token, and one to get the next with."""

    accessToken: str
    tokenType: str = "Bearer"
    accessTokenExpiryTime: str
    refreshToken: str
    refreshTokenExpiryTime: str
    additionalInfo: str = ""


def give_b2b_token(call: Call, body: B2bTokenRequest) -> B2bTokenResponse:
    """Let the token in `call.room`, signed beforehand, be used."""
    if body.grantType.strip().lower() != "client_credentials":
        raise Refused(Reason.FIELD_INVALID, field="grantType")
    token: str = call.room
    keep_b2b_token(call.tx, call.merchant, token, settings=call.settings, now=call.now)
    return B2bTokenResponse(accessToken=token, expiresIn=call.settings.snap_token_life_s)


def give_customer_token(call: Call, body: CustomerTokenRequest) -> CustomerTokenResponse:
    """A new pair of tokens for an auth code or a refresh token, signed with the key in `call.room`."""
    grant = body.grantType.strip().lower()
    if grant == "authorization_code":
        binding_id = _by_auth_code(call, body.authCode)
    elif grant == "refresh_token":
        binding_id = _by_refresh_token(call, body.refreshToken)
    else:
        raise Refused(Reason.FIELD_INVALID, field="grantType")
    binding = get_binding(call.tx, binding_id)
    if binding is None or binding.state != "ACTIVE":
        raise Refused(Reason.CUSTOMER_TOKEN_INVALID)
    if customer_of(call.tx, binding_id) is None:
        raise Refused(Reason.ACCOUNT_LOCKED)
    issued = issue_customer_tokens(
        call.tx,
        call.merchant,
        binding_id=binding_id,
        account_id=binding.account_id,
        key=call.room,
        settings=call.settings,
        now=call.now,
    )
    return CustomerTokenResponse(
        accessToken=issued.access,
        accessTokenExpiryTime=snap_time(issued.access_lapses_at),
        refreshToken=issued.refresh,
        refreshTokenExpiryTime=snap_time(issued.refresh_lapses_at),
    )


def _by_auth_code(call: Call, code: str | None) -> str:
    if not code:
        raise Refused(Reason.FIELD_MISSING, field="authCode")
    return exchange_auth_code(call.tx, merchant_id=call.merchant.client_id, code=code, now=call.now).id


def _by_refresh_token(call: Call, sent: str | None) -> str:
    if not sent:
        raise Refused(Reason.FIELD_MISSING, field="refreshToken")
    token = find_token(call.tx, call.merchant, TokenKind.REFRESH, sent)
    if token is None or to_ms(call.now) >= token.ends_ms:
        raise Refused(Reason.CUSTOMER_TOKEN_INVALID)
    retire_refresh_token(call.tx, token, now=call.now)
    return token.binding_id


TOKEN_ENDPOINTS = (
    Endpoint(
        method="POST",
        path=B2B_TOKEN_PATH,
        summary="Get a B2B token",
        action=give_b2b_token,
        response=B2bTokenResponse,
        request=B2bTokenRequest,
        source="DOKU, get token API, B2B (SNAP)",
        family="snap",
        service_code=B2B_TOKEN,
    ),
    Endpoint(
        method="POST",
        path=B2B2C_TOKEN_PATH,
        summary="Get a customer's token (B2B2C)",
        action=give_customer_token,
        response=CustomerTokenResponse,
        request=CustomerTokenRequest,
        source="DOKU, get token API, B2B2C (SNAP)",
        family="snap",
        service_code=B2B2C_TOKEN,
    ),
)


class SnapTokens(Guard):
    """The guard of the token requests."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, key: GatewayKey) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._key = key

    async def answer(self, endpoint: Endpoint, request: HttpRequest, path_value: str) -> Outcome:
        """Answer one token request; raises Rejected and Refused. The same request again gets another token, never an error."""
        merchant = await self._authenticate(request)
        assert endpoint.request is not None, endpoint
        raw = read_object(request.body)
        body = decode(raw, endpoint.request)
        key = await self._key.private_key()
        room: Any = key
        if endpoint.service_code == B2B_TOKEN:
            # Signing takes a millisecond, and some clients ask for a token before every call: not on the loop's thread.
            claims = b2b_claims(merchant, now=self._clock.now(), life_s=self._settings.snap_token_life_s)
            room = await asyncio.to_thread(make_jwt, claims, key)

        def give(tx: Tx) -> Outcome:
            call = Call(
                tx=tx,
                merchant=merchant,
                request_id="",
                now=self._clock.now(),
                settings=self._settings,
                public_url=self._settings.public_url.rstrip("/") or request.origin,
                path_value=path_value,
                raw=raw,
                room=room,
                headers=request.headers,
                service_code=endpoint.service_code,
            )
            result = endpoint.action(call, body)
            assert isinstance(result, msgspec.Struct), "a token"
            return success(result, endpoint.service_code)

        return await self._database.transact(give)

    async def _authenticate(self, request: HttpRequest) -> Merchant:
        sent = read_token_headers(request.headers)
        check_timestamp(sent.timestamp, real=real_now(), window_s=self._settings.snap_timestamp_window_s)
        merchant = await self._database.read(lambda tx: find(tx, sent.client_key))
        if merchant is None:
            raise Rejected(errors.UNKNOWN_CLIENT)
        if not merchant.snap_public_key:
            raise Rejected(errors.NO_PUBLIC_KEY)
        text = token_string_to_sign(sent.client_key, sent.timestamp)
        if matches_rsa(sent.signature, text, merchant.snap_public_key):
            return merchant
        if self._settings.is_sandbox:
            log.warning("wrong X-SIGNATURE from %s; the text to sign (SHA256withRSA) was %r", sent.client_key, text)
        raise Rejected(errors.INVALID_SIGNATURE)

    def reply(self, outcome: Outcome, request: HttpRequest) -> HttpReply:
        """With the client's key as an echo."""
        reply = super().reply(outcome, request)
        client_key = request.headers.get("x-client-key", "").strip()
        return replace(reply, headers=(*reply.headers, ("X-CLIENT-KEY", client_key))) if client_key else reply
