"""The receiving side of SNAP: giving the gateway a token, and reading the notification that comes with it.

A partner with a token URL answers two kinds of calls there and at its Notification URL:

    verify_token_request(headers, client_id=…, gateway_public_key=…)   # SignatureMismatch → answer with `token_refusal()`
    issue_token(client_id, private_key_pem)                            # the answer's body
    verify_snap_notification(headers, body, secret_key, target=…, client_id=…, token_key=…)

Source: DOKU, notification (SNAP). Timestamps of notifications are not judged: a retry may come half a day later.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gerbang.client.errors import ClientError, NotificationUnreadable, SignatureMismatch
from gerbang.client.snap import private_key_of
from gerbang.client.snap_answers import SUCCESS
from gerbang.clock import real_now
from gerbang.money import NotMoney, parse_snap_amount
from gerbang.protocols.snap.signature import body_forms, load_public_key, make_jwt, matches, matches_rsa, string_to_sign
from gerbang.protocols.snap.signature import token_string_to_sign as _token_text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_LEEWAY_S = 60


@dataclass(frozen=True)
class SnapNotification:
    """A notification whose token and signature are right.

    status         00 paid, 05 cancelled or expired, 06 failed
    reference      the partner's number of the purchase; with `status` it is the key for "seen already": retries repeat both
    reference_no   the gateway's number of it
    amount         whole rupiah; compare it with the order
    """

    status: str
    description: str
    reference: str
    reference_no: str
    external_id: str
    amount: int
    channel: str | None
    account_id: str | None
    raw: dict[str, Any]

    @property
    def is_paid(self) -> bool:
        return self.status == SUCCESS


def verify_token_request(
    headers: Mapping[str, str],
    *,
    client_id: str,
    gateway_public_key: str,
    window_s: float = 900,
    now: datetime | None = None,
) -> None:
    """Check that it is the gateway that asks for a token. Raises SignatureMismatch.

    headers   of any spelling; of any web framework
    window_s  how far X-TIMESTAMP may be from our clock: a request that somebody recorded is good for so long only
    """
    sent = _lower(headers)
    client_key, timestamp, signature = (_need(sent, name) for name in ("x-client-key", "x-timestamp", "x-signature"))
    if client_key != client_id:
        raise SignatureMismatch("the token is asked for another partner")
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or abs((moment - (now or real_now())).total_seconds()) > window_s:
        raise SignatureMismatch("X-TIMESTAMP is no time near ours")
    if not matches_rsa(signature, _token_text(client_key, timestamp), _public_key(gateway_public_key)):
        raise SignatureMismatch("the token request is not signed with the gateway's key")


def issue_token(client_id: str, private_key_pem: str, *, life_s: int = 900, now: datetime | None = None) -> dict[str, Any]:
    """What to answer the gateway: the body, ready for JSON, with a token signed by our own key."""
    expires = int((now or real_now()).timestamp()) + life_s
    token = make_jwt({"exp": expires, "issuer": client_id, "clientId": client_id}, private_key_of(private_key_pem))
    return {
        "responseCode": "2007300",
        "responseMessage": "Successful",
        "accessToken": token,
        "tokenType": "Bearer",
        "expiresIn": life_s,
        "additionalInfo": "",
    }


def token_refusal() -> dict[str, str]:
    """What to answer, with HTTP 401, to somebody who is not the gateway."""
    return {"responseCode": "4017300", "responseMessage": "Unauthorized. Invalid Signature"}


def acknowledgement() -> dict[str, str]:
    """What to answer, with HTTP 200, to a notification that was verified."""
    return {"responseCode": "2005600", "responseMessage": "Request has been processed successfully"}


def verify_snap_notification(
    headers: Mapping[str, str],
    raw_body: bytes,
    secret_key: str,
    *,
    target: str,
    client_id: str,
    token_key: str,
    now: datetime | None = None,
) -> SnapNotification:
    """Check the token and the signature of a notification, then read it.

    headers    of any spelling; of any web framework
    raw_body   the bytes received
    target     path of the URL that was called, with its query when it has one
    token_key  PEM of the key behind the token: our own private (or public) key when we gave it out, the gateway's public key when we
               have no token URL

    Raises SignatureMismatch, and NotificationUnreadable for a signed body that is not a notification.
    """
    sent = _lower(headers)
    timestamp, signature, partner = (_need(sent, name) for name in ("x-timestamp", "x-signature", "x-partner-id"))
    scheme, _, token = _need(sent, "authorization").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise SignatureMismatch("the notification has no bearer token")
    token = token.strip()
    if partner != client_id:
        raise SignatureMismatch("the notification is for another partner")
    _check_token(token, client_id=client_id, key=_public_key(token_key), now=now or real_now())
    try:
        genuine = any(
            matches(
                signature,
                string_to_sign(method="POST", target=target, access_token=token, body=form, timestamp=timestamp),
                secret_key,
            )
            for form in body_forms(raw_body)
        )
    except ValueError:
        raise SignatureMismatch("the notification has a key twice") from None
    if not genuine:
        raise SignatureMismatch("the notification is not signed with this secret key, or it was changed on the way")
    return _read(raw_body)


def _check_token(token: str, *, client_id: str, key: "RSAPublicKey", now: datetime) -> None:
    text, _, signature = token.rpartition(".")
    head, claims = (_json_segment(part) for part in [*text.split("."), "", ""][:2])
    # What the token says of its own algorithm is not believed: there is one.
    if text.count(".") != 1 or head.get("alg") != "RS256":
        raise SignatureMismatch("the token of the notification is none of ours")
    standard = signature.replace("-", "+").replace("_", "/")
    if not matches_rsa(standard, text, key):
        raise SignatureMismatch("the token of the notification is not signed with this key")
    expires = claims.get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | Decimal) or now.timestamp() > float(expires) + _LEEWAY_S:
        raise SignatureMismatch("the token of the notification is over")
    if claims.get("clientId") != client_id:
        raise SignatureMismatch("the token of the notification is another partner's")


def _json_segment(part: str) -> dict[str, Any]:
    try:
        decoded = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), parse_float=Decimal)
    except (ValueError, RecursionError, binascii.Error):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _public_key(pem: str) -> "RSAPublicKey":
    """Raises ClientError when `cryptography` is not there, ValueError when it is no RSA key."""
    if "PRIVATE KEY" in pem:
        return private_key_of(pem).public_key()
    try:
        return load_public_key(pem)
    except ImportError as missing:
        raise ClientError("SNAP signs with RSA, which needs one more package: pip install cryptography") from missing


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _need(sent: Mapping[str, str], name: str) -> str:
    value = sent.get(name, "").strip()
    if not value:
        raise SignatureMismatch(f"the call has no {name.upper()} header")
    return value


def _read(raw_body: bytes) -> SnapNotification:
    try:
        body = json.loads(raw_body, parse_float=Decimal)
    except (ValueError, RecursionError) as problem:
        raise NotificationUnreadable("the notification is not JSON") from problem
    if not isinstance(body, dict):
        raise NotificationUnreadable("the notification is not a JSON object")
    for name in ("originalPartnerReferenceNo", "originalReferenceNo", "latestTransactionStatus"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise NotificationUnreadable(f"the notification has no {name}")
    sent = body.get("amount")
    try:
        amount = parse_snap_amount(sent.get("value") if isinstance(sent, dict) else None)
    except NotMoney as problem:
        raise NotificationUnreadable("amount.value is not whole rupiah") from problem
    info = body.get("additionalInfo")
    info = info if isinstance(info, dict) else {}
    return SnapNotification(
        status=body["latestTransactionStatus"],
        description=str(body.get("transactionStatusDesc") or ""),
        reference=body["originalPartnerReferenceNo"],
        reference_no=body["originalReferenceNo"],
        external_id=str(body.get("originalExternalId") or ""),
        amount=amount,
        channel=_text(info.get("channelId")),
        account_id=_text(info.get("custIdMerchant")),
        raw=body,
    )


def _text(sent: object) -> str | None:
    return sent if isinstance(sent, str) and sent else None
