"""Tokens: what a merchant holds instead of a card number.

One for each merchant, customer and card, as long as it lives (the unique index decides races). An unbound token stays dead.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gerbang.clock import from_ms, to_ms
from gerbang.storage import Retry, Row, Tx
from gerbang.vault.cards import StoredCard, Vault, card_from

_LIKE_A_NUMBER = re.compile(r"[0-9]{12}")

# All about the card, and what the token has under the same name.
_SELECT = (
    "select c.*, t.id as token_id, t.customer_id, t.active, t.created_at as issued_at"
    " from card_token t join vault_card c on c.id = t.card_id"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A card that a customer has saved at a merchant.

    id  32 lower-case hex digits, random: nothing about the card can be computed from it
    """

    id: str
    merchant_id: str
    customer_id: str
    card: StoredCard
    active: bool
    created_at: datetime


def issue(tx: Tx, vault: Vault, *, merchant_id: str, customer_id: str, card: StoredCard, now: datetime) -> Token:
    """The token of this customer's card. A card that has one keeps it, and gets the expiry of the card given.

    In that case the card given is left to `purge`; otherwise it is kept from now on. Raises CardForgotten.
    """
    assert card.merchant_id == merchant_id, "a card of another merchant"
    row: dict[str, Any] = {
        "id": _new_token_id(),
        "merchant_id": merchant_id,
        "customer_id": customer_id,
        "card_id": card.id,
        "fingerprint": card.fingerprint,
        "created_at": to_ms(now),
    }
    issued = tx.execute(
        "insert into card_token (id, merchant_id, customer_id, card_id, fingerprint, active, created_at)"
        " values (:id, :merchant_id, :customer_id, :card_id, :fingerprint, 1, :created_at) on conflict do nothing",
        row,
    )
    if issued == 1:
        vault.keep_for_good(tx, card.id)
        token = find_token(tx, merchant_id, row["id"])
    else:
        token = _refresh(tx, vault, row, card)
    assert token is not None, "a token whose card was just written"
    return token


def _refresh(tx: Tx, vault: Vault, row: dict[str, Any], card: StoredCard) -> Token | None:
    held = tx.one(
        "select id, card_id from card_token where merchant_id = :merchant_id and customer_id = :customer_id"
        " and fingerprint = :fingerprint and active = 1",
        row,
    )
    # Touching it makes whoever is unbinding it come before us, so that we see it, or after us.
    if held is None or tx.execute("update card_token set active = 1 where id = :id and active = 1", {"id": held["id"]}) != 1:
        raise Retry
    if not vault.set_expiry(tx, held["card_id"], card.expiry):
        # Its card was forgotten by hand: this one takes its place.
        vault.keep_for_good(tx, card.id)
        tx.execute("update card_token set card_id = :card_id where id = :id", {"card_id": card.id, "id": held["id"]})
    return find_token(tx, card.merchant_id, held["id"])


def find_token(tx: Tx, merchant_id: str, token_id: str) -> Token | None:
    """A merchant's active token, or None."""
    row = tx.one(
        f"{_SELECT} where t.id = :id and t.merchant_id = :merchant_id and t.active = 1",
        {"id": token_id, "merchant_id": merchant_id},
    )
    return None if row is None else _token(row)


def tokens_of(tx: Tx, merchant_id: str, customer_id: str) -> list[Token]:
    """A customer's active tokens at a merchant, oldest first."""
    rows = tx.all(
        f"{_SELECT} where t.merchant_id = :merchant_id and t.customer_id = :customer_id and t.active = 1"
        " order by t.created_at, t.id",
        {"merchant_id": merchant_id, "customer_id": customer_id},
    )
    return [_token(row) for row in rows]


def deactivate(tx: Tx, *, merchant_id: str, token_id: str, now: datetime, customer_id: str | None = None) -> bool:
    """Unbind a token and forget its card (S2-117…S2-124, D-14).

    customer_id  when given, the token has to be this customer's
    False when it is unknown, unbound already, another customer's or another merchant's: nothing has changed then.
    """
    row = tx.one(
        "select customer_id, card_id from card_token where id = :id and merchant_id = :merchant_id",
        {"id": token_id, "merchant_id": merchant_id},
    )
    if row is None or customer_id not in (None, row["customer_id"]):
        return False
    unbound = tx.execute(
        "update card_token set active = 0, unbound_at = :now where id = :id and active = 1", {"id": token_id, "now": to_ms(now)}
    )
    if unbound != 1:
        return False
    card = {"card_id": row["card_id"]}
    # A second customer may have been given a token for the very same row. First its lock, then, in a new statement, the look:
    # whoever is issuing one right now has come before us, and we see it, or comes after us and finds no card.
    tx.execute("update vault_card set keep_until = keep_until where id = :card_id", card)
    tx.execute(
        "delete from vault_card where id = :card_id"
        " and not exists (select 1 from card_token t where t.card_id = :card_id and t.active = 1)",
        card,
    )
    return True


def _new_token_id() -> str:
    while True:
        token_id = secrets.token_hex(16)
        # Filters that look for card numbers in logs must not mistake a token for one.
        if not _LIKE_A_NUMBER.search(token_id):
            return token_id


def _token(row: Row) -> Token:
    return Token(
        id=row["token_id"],
        merchant_id=row["merchant_id"],
        customer_id=row["customer_id"],
        card=card_from(row),
        active=bool(row["active"]),
        created_at=from_ms(row["issued_at"]),
    )
