"""The gateway's own RSA key pair, with which it signs what SNAP merchants receive. Made when first
needed, then kept, encrypted with the installation's key."""

import asyncio
from typing import TYPE_CHECKING

from gerbang.settings import Settings
from gerbang.storage import Database, Tx

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_NAME = "gateway_private_key"


class GatewayKey:
    """The key pair of one running gateway, opened once: decrypting and checking it takes tens of milliseconds."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._opened: tuple[str, RSAPrivateKey] | None = None
        self._opening = asyncio.Lock()

    async def private_key(self) -> "RSAPrivateKey":
        """The private key, made if there is none."""
        pem = await self._database.read(_stored)
        # A sandbox that was emptied has another key.
        if self._opened is None or self._opened[0] != pem:
            async with self._opening:
                if self._opened is None or self._opened[0] != await self._database.read(_stored):
                    self._opened = await asyncio.to_thread(_open, self._database, self._settings)
        return self._opened[1]


async def gateway_public_key(database: Database, settings: Settings) -> str:
    """The public key as PEM."""
    return await asyncio.to_thread(gateway_public_key_now, database, settings)


def gateway_public_key_now(database: Database, settings: Settings) -> str:
    """The same for synchronous callers."""
    from cryptography.hazmat.primitives import serialization

    return (
        gateway_private_key_now(database, settings)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


async def gateway_private_key(database: Database, settings: Settings) -> "RSAPrivateKey":
    """The private key. Whoever needs it often keeps a `GatewayKey`."""
    return await asyncio.to_thread(gateway_private_key_now, database, settings)


def gateway_private_key_now(database: Database, settings: Settings) -> "RSAPrivateKey":
    """The same for synchronous callers."""
    return _open(database, settings)[1]


def _open(database: Database, settings: Settings) -> "tuple[str, RSAPrivateKey]":
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    passphrase = settings.key("gateway key")
    private_pem = database.read_now(_stored)
    if private_pem is None:
        # Finding primes takes long: do it outside the transaction; if another process was quicker, its key stands.
        made = (
            rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
            .private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(passphrase)
            )
            .decode()
        )

        def keep(tx: Tx) -> str | None:
            tx.execute(
                "insert into instance (name, value) values (:name, :value) on conflict do nothing", {"name": _NAME, "value": made}
            )
            return _stored(tx)

        private_pem = database.transact_now(keep)
        assert private_pem is not None
    # Written by ourselves and sealed with our key: whether its numbers fit each other need not be computed anew, which takes long.
    private_key = serialization.load_pem_private_key(
        private_pem.encode(), password=passphrase, unsafe_skip_rsa_key_validation=True
    )
    assert isinstance(private_key, rsa.RSAPrivateKey)
    return private_pem, private_key


def _stored(tx: Tx) -> str | None:
    row = tx.one("select value from instance where name = :name", {"name": _NAME})
    return None if row is None else str(row["value"])
