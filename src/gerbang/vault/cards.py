"""Stored cards. The number is sealed, everything else about a card may be shown.

PCI DSS 3.5.1 (numbers unreadable), 3.5.1.1 (keyed fingerprints), 3.2.1 (kept no longer than needed), 10.2 (each use recorded).
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime

from gerbang.clock import from_ms, to_ms
from gerbang.ids import new_id
from gerbang.settings import Settings
from gerbang.storage import ConstraintBroken, Retry, Row, Tx
from gerbang.vault.keys import DataKey, KeyRing
from gerbang.vault.sealing import context, open_sealed, seal

_NUMBER = re.compile(r"[0-9]{12,19}")
_EXPIRY = re.compile(r"[0-9]{2}(0[1-9]|1[0-2])")


class CardForgotten(Exception):
    """The card is not, or no longer, stored."""

    def __init__(self, card_id: str) -> None:
        super().__init__(f"card {card_id} is not stored any more")


@dataclass(frozen=True, slots=True)
class StoredCard:
    """All about a stored card but its number, which `Vault.number` reads.

    masked       the number as it may be shown
    expiry       YYMM
    fingerprint  64 hex digits; equal for equal numbers, of all merchants, in this installation
    keep_until   when it may be deleted; None while a token needs it
    """

    id: str
    merchant_id: str
    masked: str
    brand: str
    card_type: str
    issuer: str
    bin: str
    last4: str
    expiry: str
    holder: str | None
    fingerprint: str
    keep_until: datetime | None


class Vault:
    """Card numbers in, cards out. Make one for each process; its transactions are the caller's."""

    def __init__(self, keyring: KeyRing) -> None:
        self.keyring = keyring

    @classmethod
    def of(cls, settings: Settings) -> "Vault":
        """Raises BadSettings."""
        return cls(KeyRing.of(settings))

    def make_ready(self, tx: Tx) -> None:
        """Once, when starting: finds out whether the key fits what is stored. Raises WrongVaultKey, a BadSettings."""
        self.keyring.make_ready(tx)

    def keep(
        self,
        tx: Tx,
        *,
        merchant_id: str,
        number: str,
        masked: str,
        bin: str,
        last4: str,
        expiry: str,
        brand: str,
        card_type: str,
        issuer: str,
        holder: str | None,
        keep_until: datetime | None,
        now: datetime,
    ) -> StoredCard:
        """Store a card, as a new one each time: `fingerprint` tells which are the same.

        expiry      YYMM
        keep_until  when `purge` may delete it, unless a token is issued for it; None keeps it until it is forgotten
        """
        # The messages are fixed texts: a number must not get into a traceback.
        assert _NUMBER.fullmatch(number), "a card number is 12 to 19 digits"
        assert (number[: len(bin)], number[-4:]) == (bin, last4), "BIN and last four belong to the number"
        assert number not in masked, "the number is not masked"
        card = StoredCard(
            id=new_id("card"),
            merchant_id=merchant_id,
            masked=masked,
            brand=brand,
            card_type=card_type,
            issuer=issuer,
            bin=bin,
            last4=last4,
            expiry=_checked_expiry(expiry),
            holder=holder,
            fingerprint=self.fingerprint(tx, number),
            keep_until=keep_until,
        )
        key = self.keyring.active(tx, merchant_id)
        try:
            tx.execute(
                "insert into vault_card (id, merchant_id, key_id, sealed, fingerprint, masked, bin, last4, brand, card_type,"
                " issuer, expiry, holder, keep_until, created_at)"
                " values (:id, :merchant_id, :key_id, :sealed, :fingerprint, :masked, :bin, :last4, :brand, :card_type,"
                " :issuer, :expiry, :holder, :keep_until, :created_at)",
                {
                    "id": card.id,
                    "merchant_id": merchant_id,
                    "key_id": key.id,
                    "sealed": sealed_number(key, card.id, merchant_id, number),
                    "fingerprint": card.fingerprint,
                    "masked": masked,
                    "bin": bin,
                    "last4": last4,
                    "brand": brand,
                    "card_type": card_type,
                    "issuer": issuer,
                    "expiry": expiry,
                    "holder": holder,
                    "keep_until": None if keep_until is None else to_ms(keep_until),
                    "created_at": to_ms(now),
                },
            )
        except ConstraintBroken:
            raise Retry from None  # a rotation has just deleted the key: again, with its successor
        return card

    def number(self, tx: Tx, card: StoredCard, *, purpose: str, now: datetime) -> str:
        """The full number, and a line in the audit trail that says who wanted it. Nothing else reads numbers.

        purpose  what for, e.g. "authorise pay_…"; auditors read it
        Raises CardForgotten, SealBroken, WrongVaultKey.
        """
        # In one statement: beside us a rotation may be changing the key of this very card.
        row = tx.one(
            "select c.sealed, k.id as key_id, k.merchant_id as key_merchant_id, k.wrapped"
            " from vault_card c join vault_key k on k.id = c.key_id where c.id = :id and c.merchant_id = :merchant_id",
            {"id": card.id, "merchant_id": card.merchant_id},
        )
        if row is None:
            raise CardForgotten(card.id)
        tx.execute(
            "insert into vault_use (card_id, merchant_id, purpose, at) values (:card_id, :merchant_id, :purpose, :at)",
            {"card_id": card.id, "merchant_id": card.merchant_id, "purpose": purpose, "at": to_ms(now)},
        )
        key = self.keyring.unwrap(row["key_id"], row["key_merchant_id"], row["wrapped"])
        return opened_number(key, card.id, card.merchant_id, row["sealed"])

    def fingerprint(self, tx: Tx, number: str) -> str:
        """HMAC-SHA-256 of a number in 64 hex digits: tells equal cards, and cannot be searched for without our key."""
        return hmac.digest(self.keyring.fingerprint_key(tx).secret, b"card number " + number.encode(), "sha256").hex()

    @staticmethod
    def card(tx: Tx, card_id: str, *, merchant_id: str) -> StoredCard | None:
        """A merchant's card, or None when there is none (any more)."""
        row = tx.one(
            "select * from vault_card where id = :id and merchant_id = :merchant_id", {"id": card_id, "merchant_id": merchant_id}
        )
        return None if row is None else card_from(row)

    @staticmethod
    def keep_for_good(tx: Tx, card_id: str) -> None:
        """Keep a card until it is forgotten. Raises CardForgotten when it is too late."""
        if tx.execute("update vault_card set keep_until = null where id = :id", {"id": card_id}) != 1:
            raise CardForgotten(card_id)

    @staticmethod
    def set_expiry(tx: Tx, card_id: str, expiry: str) -> bool:
        """Write down a new expiry (YYMM) of a card that was renewed. False when it is not stored any more."""
        written = tx.execute(
            "update vault_card set expiry = :expiry where id = :id", {"id": card_id, "expiry": _checked_expiry(expiry)}
        )
        return written == 1

    @staticmethod
    def forget(tx: Tx, card_id: str) -> bool:
        """Delete a card, whoever may need it: for one with a token, see `tokens.deactivate`. False when it was gone."""
        return tx.execute("delete from vault_card where id = :id", {"id": card_id}) == 1

    @staticmethod
    def purge(tx: Tx, *, now: datetime, limit: int) -> int:
        """Delete cards whose time to be kept is over, the oldest first; how many."""
        # The time stands in there twice: when a token is issued for a card while we wait for its row, PostgreSQL looks at the
        # outer condition again, and at no other.
        return tx.execute(
            "delete from vault_card where keep_until <= :now and id in ("
            " select c.id from vault_card c where c.keep_until <= :now"
            " and not exists (select 1 from card_token t where t.card_id = c.id and t.active = 1)"
            " order by c.keep_until limit :limit)",
            {"now": to_ms(now), "limit": limit},
        )


def card_from(row: Row) -> StoredCard:
    """A card out of a row of `vault_card`."""
    return StoredCard(
        id=row["id"],
        merchant_id=row["merchant_id"],
        masked=row["masked"],
        brand=row["brand"],
        card_type=row["card_type"],
        issuer=row["issuer"],
        bin=row["bin"],
        last4=row["last4"],
        expiry=row["expiry"],
        holder=row["holder"],
        fingerprint=row["fingerprint"],
        keep_until=None if row["keep_until"] is None else from_ms(row["keep_until"]),
    )


def sealed_number(key: DataKey, card_id: str, merchant_id: str, number: str) -> bytes:
    """A number as it is stored, bound to its card and merchant."""
    return seal(key.secret, number.encode("ascii"), context=context("vault card", card_id, merchant_id))


def opened_number(key: DataKey, card_id: str, merchant_id: str, sealed: bytes) -> str:
    """The number that was stored. Raises SealBroken."""
    return open_sealed(key.secret, sealed, context=context("vault card", card_id, merchant_id)).decode("ascii")


def _checked_expiry(expiry: str) -> str:
    assert _EXPIRY.fullmatch(expiry), "an expiry is YYMM"
    return expiry
