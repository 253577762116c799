"""A vault with cards, and what the tests of it look at."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

from gerbang.storage import Database, Tx
from gerbang.vault import StoredCard, Token, Vault, find_token, issue
from support.gateway import NOON

T = TypeVar("T")
VISA, OTHER_VISA, AMEX = "4811111111111114", "4911111111111113", "371449635398431"
SHOP, OTHER_SHOP = "BRN-1", "BRN-2"
KEK, NEW_KEK = b"k" * 32, b"n" * 32
DAY = timedelta(days=1)


def keep(tx: Tx, vault: Vault, number: str = VISA, *, merchant_id: str = SHOP, expiry: str = "3012", **more: Any) -> StoredCard:
    given: dict[str, Any] = {
        "masked": f"{number[:6]}{'*' * (len(number) - 10)}{number[-4:]}",
        "bin": number[:6],
        "last4": number[-4:],
        "brand": "VISA",
        "card_type": "CREDIT",
        "issuer": "BCA",
        "holder": "SITI RAHAYU",
        "keep_until": NOON + DAY,
        "now": NOON,
    } | more
    return vault.keep(tx, merchant_id=merchant_id, number=number, expiry=expiry, **given)


def kept(database: Database, vault: Vault, number: str = VISA, **more: Any) -> StoredCard:
    return database.transact_now(lambda tx: keep(tx, vault, number, **more))


def number_of(database: Database, vault: Vault, card: StoredCard) -> str:
    return database.transact_now(lambda tx: vault.number(tx, card, purpose="test", now=NOON))


def issued(database: Database, vault: Vault, card: StoredCard, customer_id: str = "SITI", **more: Any) -> Token:
    given: dict[str, Any] = {"merchant_id": card.merchant_id, "now": NOON} | more
    return database.transact_now(lambda tx: issue(tx, vault, customer_id=customer_id, card=card, **given))


def found(database: Database, token_id: str, merchant_id: str = SHOP) -> Token | None:
    return database.read_now(lambda tx: find_token(tx, merchant_id, token_id))


def stored(database: Database, card: StoredCard) -> StoredCard | None:
    return database.read_now(lambda tx: Vault.card(tx, card.id, merchant_id=card.merchant_id))


def rows(database: Database, sql: str, **params: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in database.read_now(lambda tx: tx.all(sql, params))]  # type: ignore[call-overload]


def run(database: Database, sql: str, **params: Any) -> None:
    database.transact_now(lambda tx: tx.execute(sql, params))


def at_once(count: int, fn: Callable[[int], T]) -> list[T]:
    """Run in threads that all begin together."""
    ready = threading.Barrier(count)

    def one(n: int) -> T:
        ready.wait(10)
        return fn(n)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))
