"""The gateway's own RSA key pair, with which it signs what SNAP merchants receive. Made when first
needed, then kept, encrypted with the installation's key."""

import asyncio

from gerbang.settings import Settings
from gerbang.storage import Database, Tx

_NAME = "gateway_private_key"


async def gateway_public_key(database: Database, settings: Settings) -> str:
    """The public key as PEM."""
    return await asyncio.to_thread(gateway_public_key_now, database, settings)


def gateway_public_key_now(database: Database, settings: Settings) -> str:
    """The same for synchronous callers."""
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
    private_key = serialization.load_pem_private_key(private_pem.encode(), password=passphrase)
    return (
        private_key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def _stored(tx: Tx) -> str | None:
    row = tx.one("select value from instance where name = :name", {"name": _NAME})
    return None if row is None else str(row["value"])
