"""Replacing keys, beside a running gateway: `rotate` the data keys, `rewrap` them for a new key-encryption key.

A rotation may die at any moment. That it had begun is written down, and the next one ends it: it replaces no key twice.
"""

from dataclasses import dataclass
from datetime import datetime

from gerbang.clock import from_ms
from gerbang.ids import new_id
from gerbang.storage import ConstraintBroken, Database, Row, Tx
from gerbang.vault.cards import opened_number, sealed_number
from gerbang.vault.keys import KeyRing, WrongVaultKey, lock_keys, unwrapped, wrapped
from gerbang.vault.sealing import SealBroken

# In `instance`, while a rotation is under way. Its value sorts behind the ids of the keys that are to be replaced.
_UNDER_WAY = "vault_rotation"


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did.

    merchants  whose keys were replaced
    cards      sealed anew
    deleted    old keys that are gone
    broken     ids of cards that do not open; they and their old keys were left as they are
    """

    merchants: int
    cards: int
    deleted: int
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """A data key and how many cards need it."""

    id: str
    merchant_id: str
    state: str
    created_at: datetime
    cards: int


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """What the vault holds. `keys` has the oldest first; `fingerprint_key_since` is None before the first card."""

    cards: int
    cards_with_date: int
    tokens: int
    uses: int
    rotating: bool
    fingerprint_key_since: datetime | None
    keys: tuple[KeyStatus, ...]


@dataclass(frozen=True, slots=True)
class _Batch:
    read: int
    moved: int
    last: str
    broken: tuple[str, ...]


def rotate(database: Database, keyring: KeyRing, *, batch: int = 500) -> Rotated:
    """Give every merchant a new data key, seal its cards with it, and delete the old keys. Raises WrongVaultKey.

    Goes in transactions of at most `batch` cards. If a rotation before this one did not end, ends that one instead.
    """
    assert batch >= 1, batch
    marker = database.transact_now(lambda tx: _begin(tx, keyring))
    merchants = sum(
        [
            database.transact_now(lambda tx, row=row: _replace(tx, keyring, row["id"], row["merchant_id"]))  # type: ignore[misc]
            for row in database.read_now(lambda tx: _to_replace(tx, marker))
        ]
    )
    cards = deleted = 0
    while True:
        moved, broken = _seal_anew(database, keyring, batch)
        cards += moved
        try:
            deleted += database.transact_now(_delete_unused)
        except ConstraintBroken:
            continue  # meanwhile somebody stored a card with a key that was active when they looked
        if not moved:
            break
    database.transact_now(lambda tx: tx.execute("delete from instance where name = :name", {"name": _UNDER_WAY}))
    return Rotated(merchants, cards, deleted, broken)


def rewrap(database: Database, old_kek: bytes, new_kek: bytes) -> int:
    """Wrap every data key with a new key-encryption key, all or none; how many. Again is harmless.

    Cards are not touched. A gateway that still runs with the old key goes on with the keys in its memory, makes no new ones,
    and has to be restarted with the new key. Raises WrongVaultKey when a key opens with neither.
    """

    def wrap_all(tx: Tx) -> int:
        lock_keys(tx)
        rows = tx.all("select id, merchant_id, wrapped from vault_key order by id")
        return sum(_wrap_one(tx, row, old_kek, new_kek) for row in rows)

    return database.transact_now(wrap_all)


def status(tx: Tx) -> VaultStatus:
    """Numbers for operators."""
    rows = tx.all(
        "select k.id, k.merchant_id, k.state, k.created_real_at,"
        " (select count(*) from vault_card c where c.key_id = k.id) as cards from vault_key k order by k.created_real_at, k.id"
    )
    keys = [KeyStatus(row["id"], row["merchant_id"], row["state"], from_ms(row["created_real_at"]), row["cards"]) for row in rows]
    return VaultStatus(
        cards=_count(tx, "vault_card"),
        cards_with_date=_count(tx, "vault_card where keep_until is not null"),
        tokens=_count(tx, "card_token where active = 1"),
        uses=_count(tx, "vault_use"),
        rotating=tx.one("select 1 as found from instance where name = :name", {"name": _UNDER_WAY}) is not None,
        fingerprint_key_since=next((key.created_at for key in keys if not key.merchant_id), None),
        keys=tuple(key for key in keys if key.merchant_id),
    )


def _begin(tx: Tx, keyring: KeyRing) -> str:
    keyring.make_ready(tx)  # with the wrong key-encryption key nothing begins
    # Ids sort by time, finer than a clock in milliseconds: keys made from here on are new ones.
    tx.execute(
        "insert into instance (name, value) values (:name, :value) on conflict do nothing",
        {"name": _UNDER_WAY, "value": new_id("key")},
    )
    row = tx.one("select value from instance where name = :name", {"name": _UNDER_WAY})
    assert row is not None
    return str(row["value"])


def _to_replace(tx: Tx, marker: str) -> list[Row]:
    return tx.all(
        "select id, merchant_id from vault_key where state = 'ACTIVE' and merchant_id <> '' and id < :marker order by id",
        {"marker": marker},
    )


def _replace(tx: Tx, keyring: KeyRing, key_id: str, merchant_id: str) -> int:
    lock_keys(tx)
    retired = tx.execute("update vault_key set state = 'RETIRED' where id = :id and state = 'ACTIVE'", {"id": key_id})
    if retired:  # otherwise another rotation beside us was quicker
        keyring.make(tx, merchant_id)
    return retired


def _seal_anew(database: Database, keyring: KeyRing, batch: int) -> tuple[int, tuple[str, ...]]:
    """One pass over all cards under retired keys: how many were sealed anew, and which do not open."""
    moved, broken, last = 0, list[str](), ""
    while True:
        done = database.transact_now(lambda tx, after=last: _seal_batch(tx, keyring, after, batch))  # type: ignore[misc]
        moved += done.moved
        broken += done.broken
        last = done.last
        if done.read < batch:
            return moved, tuple(broken)


def _seal_batch(tx: Tx, keyring: KeyRing, after: str, limit: int) -> _Batch:
    rows = tx.all(
        "select c.id, c.merchant_id, c.sealed, k.id as key_id, k.merchant_id as key_merchant_id, k.wrapped"
        " from vault_card c join vault_key k on k.id = c.key_id where k.state = 'RETIRED' and c.id > :after"
        " order by c.id limit :limit",
        {"after": after, "limit": limit},
    )
    moved, broken = 0, []
    for row in rows:
        try:
            old = keyring.unwrap(row["key_id"], row["key_merchant_id"], row["wrapped"])
            number = opened_number(old, row["id"], row["merchant_id"], row["sealed"])
        except (SealBroken, WrongVaultKey):
            broken.append(row["id"])  # one card that was tampered with must not keep the others under an old key
            continue
        new = keyring.active(tx, row["merchant_id"])
        # Forgotten or moved by another rotation meanwhile? Then it is not ours any more.
        moved += tx.execute(
            "update vault_card set key_id = :new_key, sealed = :sealed where id = :id and key_id = :old_key",
            {
                "id": row["id"],
                "old_key": old.id,
                "new_key": new.id,
                "sealed": sealed_number(new, row["id"], row["merchant_id"], number),
            },
        )
    return _Batch(len(rows), moved, rows[-1]["id"] if rows else after, tuple(broken))


def _delete_unused(tx: Tx) -> int:
    return tx.execute(
        "delete from vault_key where state = 'RETIRED' and not exists (select 1 from vault_card c where c.key_id = vault_key.id)"
    )


def _wrap_one(tx: Tx, row: Row, old_kek: bytes, new_kek: bytes) -> int:
    key_id, merchant_id, stored = row["id"], row["merchant_id"], row["wrapped"]
    try:
        secret = unwrapped(old_kek, key_id, merchant_id, stored)
    except WrongVaultKey:
        unwrapped(new_kek, key_id, merchant_id, stored)  # done before; or nobody can open it, which this says
        return 0
    return tx.execute(
        "update vault_key set wrapped = :wrapped where id = :id",
        {"id": key_id, "wrapped": wrapped(new_kek, key_id, merchant_id, secret)},
    )


def _count(tx: Tx, what: str) -> int:
    row = tx.one(f"select count(*) as n from {what}")  # noqa: S608 - fixed texts only
    assert row is not None
    return int(row["n"])
