"""The merchant record and what may be done to it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from gerbang.clock import from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_client_id, new_secret_key
from gerbang.settings import Settings
from gerbang.storage import Row, Tx
from gerbang.urls import is_absolute_url


class MerchantOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a merchant may have otherwise than the installation's settings. None means: as the settings say.

    snap_token_url  where SNAP notifications get their token from; None: they come with a token of ours
    channels  by channel code, what it has otherwise there; each room's own struct says what that can be
    """

    strict_request_id: bool | None = None
    strict_override_path: bool | None = None
    latest_token_only: bool | None = None
    strict_external_id: bool | None = None
    snap_token_url: str | None = None
    notify_expired: bool = False
    frame_ancestors: str | None = None
    channels: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant. `client_id` is its identity everywhere; `secret_key` is kept readable because HMAC needs it."""

    client_id: str
    name: str
    secret_key: str = field(repr=False)
    notification_url: str | None
    snap_public_key: str | None
    options: MerchantOptions
    created_at: datetime

    def strict_request_id(self, settings: Settings) -> bool:
        """Its own choice, else the installation's."""
        own = self.options.strict_request_id
        return settings.strict_request_id if own is None else own

    def strict_override_path(self, settings: Settings) -> bool:
        """Its own choice, else the installation's."""
        own = self.options.strict_override_path
        return settings.strict_override_path if own is None else own

    def latest_token_only(self, settings: Settings) -> bool:
        """Its own choice, else the installation's."""
        own = self.options.latest_token_only
        return settings.latest_token_only if own is None else own

    def strict_external_id(self, settings: Settings) -> bool:
        """Its own choice, else the installation's."""
        own = self.options.strict_external_id
        return settings.strict_external_id if own is None else own


def create(
    tx: Tx,
    *,
    name: str,
    now: datetime,
    client_id: str | None = None,
    secret_key: str | None = None,
    notification_url: str | None = None,
    snap_public_key: str | None = None,
) -> Merchant:
    """Register a merchant. Present credentials may be given, so that an application's `.env` works unchanged.

    Raises Refused: FIELD_MISSING (empty name), FIELD_INVALID (notification_url, client_id, secret_key, snap_public_key),
    MERCHANT_EXISTS.
    """
    if not name.strip():
        raise Refused(Reason.FIELD_MISSING, field="name")
    _check_credential("client_id", client_id, longest=64)
    _check_credential("secret_key", secret_key, longest=256)
    check_url("notification_url", notification_url)
    _check_public_key(snap_public_key)
    row = {
        "client_id": client_id or new_client_id(),
        "name": name.strip(),
        "secret_key": secret_key or new_secret_key(),
        "notification_url": notification_url,
        "snap_public_key": snap_public_key,
        "options": "{}",
        "created_at": to_ms(now),
    }
    inserted = tx.execute(
        "insert into merchant (client_id, name, secret_key, notification_url, snap_public_key, options, created_at)"
        " values (:client_id, :name, :secret_key, :notification_url, :snap_public_key, :options, :created_at)"
        " on conflict do nothing",
        row,
    )
    if inserted != 1:
        raise Refused(Reason.MERCHANT_EXISTS, client_id=row["client_id"])
    return _merchant(row)


def _check_credential(field: str, value: str | None, *, longest: int) -> None:
    # Both travel in headers or sign them, so they are printable ASCII without blanks.
    if value is not None and not (0 < len(value) <= longest and value.isascii() and value.isprintable() and " " not in value):
        raise Refused(Reason.FIELD_INVALID, field=field)


_LEAST_KEY_BITS = 2_048


def _check_public_key(pem: str | None) -> None:
    """Raise Refused(FIELD_INVALID) unless absent or an RSA public key in PEM form. A private key is refused, and not repeated."""
    if not pem:
        return
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Refused(Reason.FIELD_INVALID, field="snap_public_key") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < _LEAST_KEY_BITS:
        raise Refused(Reason.FIELD_INVALID, field="snap_public_key")


def is_source_list(text: str) -> bool:
    """Whether this can stand in the frame-ancestors of a Content-Security-Policy and changes nothing else of that header."""
    return text.isascii() and text.isprintable() and not set(text) & set(";,")


def check_url(field: str, url: str | None) -> None:
    """Raise Refused(FIELD_INVALID) unless the URL is absent or absolute http(s)."""
    if url is not None and not is_absolute_url(url):
        raise Refused(Reason.FIELD_INVALID, field=field)


def find(tx: Tx, client_id: str) -> Merchant | None:
    """The merchant, or None."""
    row = tx.one("select * from merchant where client_id = :client_id", {"client_id": client_id})
    return None if row is None else _merchant(row)


def get(tx: Tx, client_id: str) -> Merchant:
    """The merchant; raises Refused(MERCHANT_NOT_FOUND)."""
    merchant = find(tx, client_id)
    if merchant is None:
        raise Refused(Reason.MERCHANT_NOT_FOUND, client_id=client_id)
    return merchant


def list_all(tx: Tx) -> list[Merchant]:
    """Every merchant, oldest first."""
    return [_merchant(row) for row in tx.all("select * from merchant order by created_at, client_id")]


def update(
    tx: Tx,
    client_id: str,
    *,
    name: str | None = None,
    secret_key: str | None = None,
    notification_url: str | None = None,
    snap_public_key: str | None = None,
    options: MerchantOptions | None = None,
) -> Merchant:
    """Change what is given; an empty `notification_url` removes it.

    Raises Refused: as `create`, FIELD_INVALID (options: frame_ancestors, snap_token_url), MERCHANT_NOT_FOUND.
    """
    old = get(tx, client_id)
    if name is not None and not name.strip():
        raise Refused(Reason.FIELD_MISSING, field="name")
    _check_credential("secret_key", secret_key, longest=256)
    _check_public_key(snap_public_key)
    if notification_url:
        check_url("notification_url", notification_url)
    if options is not None:
        check_url("snap_token_url", options.snap_token_url)
    if options is not None and options.frame_ancestors is not None and not is_source_list(options.frame_ancestors):
        raise Refused(Reason.FIELD_INVALID, field="frame_ancestors")
    row = {
        "client_id": client_id,
        "name": old.name if name is None else name.strip(),
        "secret_key": secret_key or old.secret_key,
        "notification_url": old.notification_url if notification_url is None else notification_url or None,
        "snap_public_key": snap_public_key or old.snap_public_key,
        "options": msgspec.json.encode(options or old.options).decode(),
    }
    tx.execute(
        "update merchant set name = :name, secret_key = :secret_key, notification_url = :notification_url,"
        " snap_public_key = :snap_public_key, options = :options where client_id = :client_id",
        row,
    )
    return get(tx, client_id)


def _merchant(row: "Row | dict[str, object]") -> Merchant:
    return Merchant(
        client_id=str(row["client_id"]),
        name=str(row["name"]),
        secret_key=str(row["secret_key"]),
        notification_url=row["notification_url"],  # type: ignore[arg-type]
        snap_public_key=row["snap_public_key"],  # type: ignore[arg-type]
        options=msgspec.json.decode(str(row["options"]), type=MerchantOptions),
        created_at=from_ms(row["created_at"]),  # type: ignore[arg-type]
    )
