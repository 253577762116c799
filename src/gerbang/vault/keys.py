"""Keys in an envelope: the key-encryption key stays outside the database, the data keys are in it, wrapped.

Each merchant's cards have a data key of their own, so that it can be replaced (rotation) and so that one key opens no other
merchant's cards. The key of the fingerprints belongs to the installation and is never replaced: fingerprints in block lists
have to stay comparable. PCI DSS 3.5.1, 3.6.1, 3.7.
"""

import base64
import binascii
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from gerbang.clock import real_now, to_ms
from gerbang.ids import new_id
from gerbang.settings import BadSettings, Settings
from gerbang.storage import Tx
from gerbang.vault.sealing import SealBroken, context, open_sealed, seal

INSTALLATION = ""
"""In the place of a merchant: whose key the fingerprint key is."""

_MAX_REMEMBERED = 10_000
_TRY = "try: openssl rand -base64 32"


class WrongVaultKey(BadSettings):
    """The key-encryption key does not open a stored key: the wrong setting, or an altered row."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"the vault key does not open key {key_id}: vault_key or vault_key_file is not the one it was wrapped with"
            " (then give the old one, or run `gerbang vault rewrap`), or the row was altered"
        )


@dataclass(frozen=True, slots=True)
class DataKey:
    """An unwrapped key."""

    id: str
    secret: bytes = field(repr=False)


class KeyRing:
    """Holds the key-encryption key, and in memory the data keys that it has unwrapped. Safe to share between threads."""

    def __init__(self, kek: bytes) -> None:
        assert len(kek) == 32, "a key-encryption key has 32 bytes"
        self._kek = kek
        self._unwrapped: dict[tuple[str, str], DataKey] = {}

    @classmethod
    def of(cls, settings: Settings) -> "KeyRing":
        """Raises BadSettings."""
        return cls(kek_of(settings))

    def make_ready(self, tx: Tx) -> None:
        """Before the first card, best when starting: make what every card needs. Raises WrongVaultKey."""
        self.fingerprint_key(tx)

    def active(self, tx: Tx, merchant_id: str) -> DataKey:
        """The merchant's key for new cards, made when there is none. Raises WrongVaultKey."""
        assert merchant_id != INSTALLATION, "cards belong to a merchant"
        return self._find_active(tx, merchant_id) or self.make(tx, merchant_id)

    def fingerprint_key(self, tx: Tx) -> DataKey:
        """The key of the fingerprints, made when there is none. Raises WrongVaultKey."""
        return self._find_active(tx, INSTALLATION) or self._insert(tx, INSTALLATION)

    def make(self, tx: Tx, merchant_id: str) -> DataKey:
        """A new active key for a merchant that has none; if another process is quicker, that one's. Raises WrongVaultKey."""
        # A process that has not yet heard of a new key-encryption key must not wrap anything with the old one: nobody could
        # open it later. Touching the row makes us wait for whoever is rewrapping; reading it again, unremembered, tells.
        self.fingerprint_key(tx)
        lock_keys(tx)
        row = tx.one("select id, wrapped from vault_key where merchant_id = '' and state = 'ACTIVE'")
        assert row is not None, "the fingerprint key is never retired"
        unwrapped(self._kek, row["id"], INSTALLATION, row["wrapped"])
        return self._insert(tx, merchant_id)

    def unwrap(self, key_id: str, merchant_id: str, wrapped: bytes) -> DataKey:
        """The key in a row of the table. Raises WrongVaultKey."""
        known = self._unwrapped.get((key_id, merchant_id))
        if known is None:
            known = DataKey(key_id, unwrapped(self._kek, key_id, merchant_id, wrapped))
            if len(self._unwrapped) >= _MAX_REMEMBERED:
                self._unwrapped.clear()
            self._unwrapped[key_id, merchant_id] = known
        return known

    def _find_active(self, tx: Tx, merchant_id: str) -> DataKey | None:
        # Which key is active is always asked, never remembered: another process may be rotating.
        row = tx.one(
            "select id, wrapped from vault_key where merchant_id = :merchant_id and state = 'ACTIVE'",
            {"merchant_id": merchant_id},
        )
        return None if row is None else self.unwrap(row["id"], merchant_id, row["wrapped"])

    def _insert(self, tx: Tx, merchant_id: str) -> DataKey:
        key_id = new_id("key")
        tx.execute(
            "insert into vault_key (id, merchant_id, wrapped, state, created_real_at)"
            " values (:id, :merchant_id, :wrapped, 'ACTIVE', :created_real_at) on conflict do nothing",
            {
                "id": key_id,
                "merchant_id": merchant_id,
                "wrapped": wrapped(self._kek, key_id, merchant_id, secrets.token_bytes(32)),
                # Real time: how long a key has been in use does not change when the sandbox clock is moved.
                "created_real_at": to_ms(real_now()),
            },
        )
        made = self._find_active(tx, merchant_id)
        assert made is not None, "a row that stood in the way is an active key"
        return made


def lock_keys(tx: Tx) -> bool:
    """Until this transaction ends, no other one makes or rewraps a key. Whether there are any keys yet."""
    return tx.execute("update vault_key set state = 'ACTIVE' where merchant_id = '' and state = 'ACTIVE'") == 1


def wrapped(kek: bytes, key_id: str, merchant_id: str, secret: bytes) -> bytes:
    """A data key as it is stored."""
    return seal(kek, secret, context=context("vault key", merchant_id, key_id))


def unwrapped(kek: bytes, key_id: str, merchant_id: str, stored: bytes) -> bytes:
    """The data key that was stored. Raises WrongVaultKey."""
    try:
        return open_sealed(kek, stored, context=context("vault key", merchant_id, key_id))
    except SealBroken:
        raise WrongVaultKey(key_id) from None


def kek_of(settings: Settings) -> bytes:
    """From `vault_key` or `vault_key_file`; the sandbox has one without them. Raises BadSettings."""
    if settings.vault_key and settings.vault_key_file:
        raise BadSettings("give vault_key or vault_key_file, not both")
    if settings.vault_key_file:
        return kek_from_file(settings.vault_key_file)
    if settings.vault_key:
        return kek_from_text(settings.vault_key, "vault_key")
    if settings.is_sandbox:
        return settings.key("vault")
    raise BadSettings(f"storing cards in production needs vault_key or vault_key_file; {_TRY}")


def kek_from_text(text: str, where: str) -> bytes:
    """A key-encryption key as people write it: base64 of 32 bytes, or any text of 32 characters and more.

    where  what to call it when it is no good
    Raises BadSettings, which never quotes the text.
    """
    text = text.strip()
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) == 32:
        return decoded
    if len(text) < 32:
        raise BadSettings(f"{where} has to be base64 of 32 bytes, or at least 32 characters; {_TRY}")
    return hmac.digest(text.encode(), b"gerbang vault key", "sha256")


def kek_from_file(path: str | Path) -> bytes:
    """The same from a file that nobody but its owner may read. Raises BadSettings."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(4096)
    except OSError as error:
        raise BadSettings(f"cannot read the vault key file {path}: {error.strerror}") from None
    if mode & 0o077:
        raise BadSettings(f"the vault key file {path} is open to others than its owner; run: chmod 400 {path}")
    try:
        return kek_from_text(content.decode("utf-8"), f"the vault key file {path}")
    except UnicodeDecodeError:
        raise BadSettings(f"the vault key file {path} is no text; {_TRY}") from None
