"""Notifications in the SNAP style, in two legs: the merchant's own token first, then the notification signed with it.

Leg 1 asks the merchant's token URL, signed with the gateway's private key; its token is used until it lapses. Leg 2 is signed like
any SNAP call: HMAC-SHA512 with the merchant's secret over the path called, that token, and the body. A merchant without a token URL
gets a token of ours instead, which it can check with the gateway's public key [inferred].
Source: DOKU, notification (SNAP); what official libraries answer and expect.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gerbang.clock import real_now, to_ms
from gerbang.merchants import Merchant
from gerbang.notifications.outbox import Exchange, Notification, NotPrepared, Post, Prepared, enqueue, masked
from gerbang.payments import Order, Payment
from gerbang.protocols.snap.signature import make_jwt, minify, sign, sign_rsa, string_to_sign, token_string_to_sign
from gerbang.protocols.snap.times import snap_time
from gerbang.protocols.snap.tokens import ISSUER
from gerbang.storage import Tx

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

KIND = "snap"

# Of debit and wallet notifications; documents show both headers and say little of their values [inferred].
CHANNEL_ID = "H2H"
DEVICE_ID = "GERBANG"

_TOKEN_REQUEST = b'{"grantType":"client_credentials"}'
_OWN_LIFE_S = 900
_MARGIN_S = 10
_LONGEST_S = 86_400
_LONGEST_TOKEN = 8_192
_MAX_REMEMBERED = 10_000
_KEPT_ANSWER = 4_096


def tell(tx: Tx, order: Order, payment: Payment, body: dict[str, Any], *, url: str, now: datetime) -> str:
    """Queue the body for the merchant's URL; the notification's id."""
    return enqueue(
        tx,
        merchant_id=payment.merchant_id,
        order_id=order.id,
        payment_id=payment.id,
        kind=KIND,
        url=url,
        body=body_bytes(body),
        now=now,
    )


def body_bytes(body: dict[str, Any]) -> bytes:
    """Compact JSON with nothing escaped: whoever hashes the bytes received, minifies them or writes them anew gets the same."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    lapses: float  # by time.monotonic()

    def lives(self) -> bool:
        return time.monotonic() < self.lapses


@dataclass(frozen=True, slots=True)
class _Asked:
    """What came of asking for a token: one, or why not. `call` has no secret in it."""

    token: _Token | None
    why: str
    call: Exchange | None


# Credentials are part of it: after a change of one of them the old token is not found.
_Key = tuple[str, str, str]


class SnapNotifications:
    """Prepares notifications, and remembers merchants' tokens meanwhile. One for each process that delivers."""

    def __init__(self, private_key: Callable[[], Awaitable["RSAPrivateKey"]]) -> None:
        self._private_key = private_key
        self._tokens: dict[_Key, _Token] = {}
        self._asking: dict[_Key, asyncio.Task[_Asked]] = {}

    def forget(self) -> None:
        """Ask anew for every token: the sandbox was emptied, and with it the key that signed ours."""
        self._tokens.clear()

    async def prepare(self, notification: Notification, merchant: Merchant, target: str, real: datetime, post: Post) -> Prepared:
        """Sign for the URL actually called, with a token that lives. Raises NotPrepared when the merchant gave none."""
        url = merchant.options.snap_token_url
        key = (merchant.client_id, url or "", merchant.secret_key)
        token, call = self._tokens.get(key), None
        if token is None or not token.lives():
            token, call = await self._new_token(key, merchant, url, post)
            real = real_now()  # the merchant may have taken its time
        timestamp = snap_time(real)
        text = string_to_sign(
            method="POST", target=target, access_token=token.text, body=minify(notification.body), timestamp=timestamp
        )
        headers = {
            "Authorization": f"Bearer {token.text}",
            "Authorization-Customer": f"Bearer {token.text}",
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": sign(text, merchant.secret_key),
            "X-PARTNER-ID": merchant.client_id,
            "X-EXTERNAL-ID": external_id(notification, real),
            "CHANNEL-ID": CHANNEL_ID,
            "X-DEVICE-ID": DEVICE_ID,
            "Content-Type": "application/json",
            "User-Agent": "Gerbang",
        }
        used = token

        def answered(status: int | None, body: str) -> None:
            # Perhaps it does not know the token any more: the next attempt asks for another.
            if not _is_accepted(status, body) and self._tokens.get(key) is used:
                del self._tokens[key]

        return Prepared(headers, text, (token.text,), answered, call)

    async def _new_token(self, key: _Key, merchant: Merchant, url: str | None, post: Post) -> tuple[_Token, Exchange | None]:
        """A token, and the call that brought it when it was ours. Whoever needs it at the same time shares one call."""
        task = self._asking.get(key)
        asks = task is None
        if task is None:
            asking = self._own_token(merchant) if url is None else self._ask(merchant, url, post)
            task = self._asking[key] = asyncio.create_task(asking)
            task.add_done_callback(lambda done: self._asked(key, done))
        # Who is cancelled does not take the answer away from the others.
        asked = await asyncio.shield(task)
        if asked.token is None:
            raise NotPrepared(asked.why, asked.call)
        return asked.token, asked.call if asks else None

    def _asked(self, key: _Key, done: "asyncio.Task[_Asked]") -> None:
        self._asking.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        token = done.result().token
        if token is not None and token.lives():
            if len(self._tokens) >= _MAX_REMEMBERED:
                self._tokens.clear()
            self._tokens[key] = token

    async def _own_token(self, merchant: Merchant) -> _Asked:
        expires = int((real_now() + timedelta(seconds=_OWN_LIFE_S)).timestamp())
        claims = {"exp": expires, "iss": ISSUER, "clientId": merchant.client_id}
        text = await asyncio.to_thread(make_jwt, claims, await self._private_key())
        # Half of its life is left to whatever attempt uses it last.
        return _Asked(_Token(text, time.monotonic() + _OWN_LIFE_S / 2), "", None)

    async def _ask(self, merchant: Merchant, url: str, post: Post) -> _Asked:
        timestamp = snap_time(real_now())
        text = token_string_to_sign(merchant.client_id, timestamp)
        headers = {
            "X-CLIENT-KEY": merchant.client_id,
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": await asyncio.to_thread(sign_rsa, text, await self._private_key()),
            "Content-Type": "application/json",
            "User-Agent": "Gerbang",
        }
        asked_at = time.monotonic()
        call = await post(url, _TOKEN_REQUEST, headers, text)
        token, life_s, why = read_token_answer(call)
        secrets = (token,) if token else ()
        kept = replace(
            call,
            answer_headers={name: masked(value, secrets) for name, value in call.answer_headers.items()},
            answer_body=masked(call.answer_body, secrets)[:_KEPT_ANSWER],
        )
        if why:
            return _Asked(None, f"no token from {url}: {why}", kept)
        return _Asked(_Token(token, asked_at + life_s), "", kept)


def read_token_answer(call: Exchange) -> tuple[str, float, str]:
    """(token, seconds it may be used, why there is none) of what a merchant's token URL answered.

    The answer is SNAP's body, or that of an official library with `header` and `body` around it. A refusal may come with HTTP 200.
    """
    if call.error is not None:
        return "", 0, call.error
    try:
        answer = json.loads(call.answer_body)
    except (ValueError, RecursionError):
        answer = None
    found = answer if isinstance(answer, dict) else {}
    inner = found.get("body")
    if "accessToken" not in found and "responseCode" not in found and isinstance(inner, dict):
        found = inner
    elif "accessToken" not in found and isinstance(inner, dict) and "accessToken" in inner:
        found = inner | {"responseCode": found["responseCode"]}
    code, token = found.get("responseCode"), found.get("accessToken")
    said = f" {code} {found.get('responseMessage', '')}".rstrip() if code is not None else ""
    is_token = isinstance(token, str) and 0 < len(token) <= _LONGEST_TOKEN and all("!" <= char <= "~" for char in token)
    # Whatever is wrong with the answer, a token in it is kept out of what is recorded.
    text = str(token) if is_token else ""
    if not call.succeeded:
        return text, 0, f"answered {call.status}{said}"
    if code is not None and not str(code).startswith("200"):
        return text, 0, f"refused:{said}"
    if not is_token:
        return "", 0, f"the answer has no accessToken ({call.status}{said})"
    return text, _usable_s(found.get("expiresIn")), ""


def _usable_s(expires_in: object) -> float:
    """How long the token is used again, by what the merchant said in whatever form. 0: for this notification only."""
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float | str):
        return 0
    try:
        seconds = float(expires_in)
    except (ValueError, OverflowError):
        return 0
    # Also turns down what is no number.
    return min(seconds, _LONGEST_S) - _MARGIN_S if seconds > _MARGIN_S else 0


def _is_accepted(status: int | None, body: str) -> bool:
    """Whether a receiver took it. Official libraries refuse with HTTP 200 and a code; such an answer counts as delivered all the
    same, but not for the token.
    """
    if status is None or not 200 <= status < 300:
        return False
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return True
    code = answer.get("responseCode") if isinstance(answer, dict) else None
    return code is None or str(code).startswith("200")


def external_id(notification: Notification, real: datetime) -> str:
    """Numeric, and another for each attempt, as SNAP wants it. Repeats are told by originalReferenceNo and its status."""
    digits = int.from_bytes(hashlib.sha256(notification.id.encode()).digest()[:5], "big") % 100_000_000
    return f"{to_ms(real)}{digits:08d}"
