"""AES-256-GCM, in the one form that the vault stores: nonce (12 bytes), ciphertext, tag (16 bytes)."""

import secrets

_NONCE_BYTES, _TAG_BYTES = 12, 16


class SealBroken(Exception):
    """What was sealed was altered, belongs elsewhere, or was sealed with another key. Says nothing of what is inside."""


def seal(key: bytes, plain: bytes, *, context: bytes) -> bytes:
    """Encrypt with a 32-byte key under a fresh nonce. Only who gives the same `context` can open it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # imported late: starting the gateway needs none of it

    assert len(key) == 32, "a key has 32 bytes"
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def open_sealed(key: bytes, sealed: bytes, *, context: bytes) -> bytes:
    """What `seal` was given. Raises SealBroken."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    assert len(key) == 32, "a key has 32 bytes"
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        raise SealBroken("what was sealed is cut short")
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
    except InvalidTag:
        raise SealBroken("what was sealed was altered, moved, or sealed with another key") from None


def context(purpose: str, *parts: str) -> bytes:
    """A context out of texts: what it is for, and whose it is. Ids have no NUL in them, so no two lists read alike."""
    assert not any("\0" in part for part in parts), "an id with a NUL in it"
    return "\0".join(("gerbang " + purpose, *parts)).encode()
