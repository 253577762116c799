"""Keys of the vault can be replaced at any time, beside a busy gateway and by a process that dies."""

import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gerbang.storage import Database, Tx
from gerbang.vault import KeyRing, StoredCard, Vault, WrongVaultKey, rewrap, rotate, status
from support.vault import (
    AMEX,
    KEK,
    NEW_KEK,
    OTHER_SHOP,
    OTHER_VISA,
    SHOP,
    VISA,
    T,
    at_once,
    found,
    issued,
    kept,
    number_of,
    rows,
    run,
)


@pytest.fixture
def vault() -> Vault:
    return Vault(KeyRing(KEK))


def a_full_vault(database: Database, vault: Vault) -> dict[StoredCard, str]:
    cards = {}
    for merchant_id in (SHOP, OTHER_SHOP, "BRN-3"):
        for number in (VISA, OTHER_VISA, AMEX):
            cards[kept(database, vault, number, merchant_id=merchant_id)] = number
    return cards


def key_ids(database: Database, where: str = "merchant_id <> ''") -> set[str]:
    return {row["id"] for row in rows(database, f"select id from vault_key where {where}")}


def assert_readable(database: Database, cards: dict[StoredCard, str]) -> None:
    fresh = Vault(KeyRing(KEK))
    assert {card: number_of(database, fresh, card) for card in cards} == cards


def test_rotation_seals_every_card_with_a_new_key_and_deletes_the_old_ones(database: Database, vault: Vault) -> None:
    cards = a_full_vault(database, vault)
    before, sealed = key_ids(database), {row["sealed"] for row in rows(database, "select sealed from vault_card")}

    done = rotate(database, KeyRing(KEK), batch=2)

    assert (done.merchants, done.cards, done.deleted, done.broken) == (3, 9, 3, ())
    assert not before & key_ids(database)
    assert not sealed & {row["sealed"] for row in rows(database, "select sealed from vault_card")}
    assert_readable(database, cards)
    assert [number_of(database, vault, card) for card in cards] == list(cards.values()), "a gateway that ran on reads them, too"


def test_rotation_leaves_fingerprints_and_tokens_as_they_are(database: Database, vault: Vault) -> None:
    card = kept(database, vault)
    token = issued(database, vault, card)
    fingerprint_key = key_ids(database, "merchant_id = ''")

    rotate(database, KeyRing(KEK))

    assert key_ids(database, "merchant_id = ''") == fingerprint_key
    assert kept(database, vault).fingerprint == card.fingerprint
    assert found(database, token.id) == token


class PowerCut(BaseException):
    """Whatever ends a process without asking."""


class Dying:
    """A database that is gone after so many transactions; what was committed stays."""

    def __init__(self, database: Database, left: int) -> None:
        self._database, self._left = database, left

    def transact_now(self, fn: Callable[[Tx], T]) -> T:
        if not self._left:
            raise PowerCut
        self._left -= 1
        return self._database.transact_now(fn)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        return self._database.read_now(fn)


def test_a_rotation_that_dies_anywhere_is_ended_by_the_next_which_replaces_no_key_twice(database: Database, vault: Vault) -> None:
    cards = a_full_vault(database, vault)
    interrupted = 0
    for left in itertools.count():
        before = key_ids(database)
        try:
            rotate(Dying(database, left), KeyRing(KEK), batch=2)  # type: ignore[arg-type]
        except PowerCut:
            interrupted += 1
        else:
            break
        assert_readable(database, cards)
        halfway = key_ids(database, "state = 'ACTIVE' and merchant_id <> ''") - before

        rotate(database, KeyRing(KEK), batch=2)

        assert halfway <= key_ids(database), "what the first one had made is still in use"
        assert not before & key_ids(database)
        assert len(key_ids(database)) == 3
        assert not database.read_now(status).rotating
        assert_readable(database, cards)
    assert interrupted >= 9


_ROTATE_AND_DIE = """
import os, signal, sys
from gerbang.storage import open_database
from gerbang.vault import KeyRing, rotate
database = open_database(sys.argv[1], connections=1)
transact, left = database.transact_now, [int(sys.argv[2])]
def dying(fn):
    done = transact(fn)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
database.transact_now = dying
rotate(database, KeyRing(b"k" * 32), batch=2)
"""


def test_a_rotation_that_was_killed_is_ended_by_the_next(database: Database, data_address: str, vault: Vault) -> None:
    cards = a_full_vault(database, vault)
    before = key_ids(database)

    killed = subprocess.run([sys.executable, "-c", _ROTATE_AND_DIE, data_address, "6"], capture_output=True)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    held = database.read_now(status)
    assert held.rotating
    assert {key.state for key in held.keys if key.cards} == {"ACTIVE", "RETIRED"}, "it died in the middle"
    assert_readable(database, cards)
    rotate(database, KeyRing(KEK))
    assert not before & key_ids(database)
    assert_readable(database, cards)


def test_a_rotation_beside_a_busy_gateway_loses_no_card(database: Database, vault: Vault) -> None:
    cards = a_full_vault(database, vault)
    done = [threading.Event() for _ in range(3)]

    def gateway(n: int) -> None:
        own, mine = Vault(KeyRing(KEK)), list[StoredCard]()
        try:
            for _ in range(25):
                mine.append(kept(database, own, merchant_id=f"BRN-{n % 2 + 1}"))
                assert number_of(database, own, mine[len(mine) // 2]) == VISA
                time.sleep(0.002)  # the writer is not a fair one: it is whoever asks first who gets it
        finally:
            cards.update(dict.fromkeys(mine, VISA))
            done[n].set()

    def rotations() -> int:
        count = 0
        while not all(event.is_set() for event in done):
            count += rotate(database, KeyRing(KEK), batch=5).merchants
        return count

    replaced = at_once(4, lambda n: rotations() if n == 3 else gateway(n))[3]

    assert replaced, "none came into the middle of it"
    assert len(cards) == 9 + 75
    assert_readable(database, cards)
    rotate(database, KeyRing(KEK))
    assert {key.state for key in database.read_now(status).keys} == {"ACTIVE"}
    assert_readable(database, cards)


@pytest.mark.parametrize("engine", ["postgresql"])  # on SQLite a rotation waits until the card is stored
def test_a_card_stored_while_its_key_is_deleted_is_stored_with_the_next_key(database: Database, vault: Vault) -> None:
    kept(database, vault)

    class Overtaken(KeyRing):
        rotated = 0

        def active(self, tx: Tx, merchant_id: str) -> Any:
            key = super().active(tx, merchant_id)
            if not self.rotated:
                with ThreadPoolExecutor(1) as thread:
                    self.rotated = thread.submit(rotate, database, KeyRing(KEK)).result(20).deleted
            return key

    overtaken = Overtaken(KEK)
    card = kept(database, Vault(overtaken), AMEX)

    assert overtaken.rotated == 1
    assert number_of(database, vault, card) == AMEX


def test_two_rotations_at_once_lose_no_card(database: Database, vault: Vault) -> None:
    cards = a_full_vault(database, vault)
    before = key_ids(database)

    at_once(3, lambda _: rotate(database, KeyRing(KEK), batch=2))

    assert not before & key_ids(database)
    assert_readable(database, cards)


def test_a_card_that_does_not_open_is_named_and_keeps_no_other_from_being_rotated(database: Database, vault: Vault) -> None:
    cards = a_full_vault(database, vault)
    altered = next(iter(cards))
    run(database, "update vault_card set sealed = :sealed where id = :id", sealed=b"\0" * 44, id=altered.id)

    done = rotate(database, KeyRing(KEK), batch=2)

    assert (done.cards, done.deleted, done.broken) == (8, 2, (altered.id,))
    assert_readable(database, {card: number for card, number in cards.items() if card != altered})


def test_a_rotation_with_the_wrong_vault_key_changes_nothing(database: Database, vault: Vault) -> None:
    cards = a_full_vault(database, vault)

    with pytest.raises(WrongVaultKey):
        rotate(database, KeyRing(NEW_KEK))

    assert not database.read_now(status).rotating
    assert_readable(database, cards)


def test_a_key_with_cards_cannot_be_deleted(database: Database, vault: Vault) -> None:
    card = kept(database, vault)

    with pytest.raises(Exception, match=r"(?i)foreign key"):
        run(database, "delete from vault_key")

    assert number_of(database, vault, card) == VISA


def test_rewrapped_keys_open_with_the_new_vault_key_only(database: Database, vault: Vault) -> None:
    cards = a_full_vault(database, vault)
    sealed = rows(database, "select id, sealed from vault_card order by id")

    assert rewrap(database, KEK, NEW_KEK) == 4

    assert rows(database, "select id, sealed from vault_card order by id") == sealed, "cards are not touched"
    renewed = Vault(KeyRing(NEW_KEK))
    assert {card: number_of(database, renewed, card) for card in cards} == cards
    assert kept(database, renewed).fingerprint == next(iter(cards)).fingerprint
    with pytest.raises(WrongVaultKey):
        number_of(database, Vault(KeyRing(KEK)), next(iter(cards)))


def test_rewrapping_again_changes_nothing(database: Database, vault: Vault) -> None:
    a_full_vault(database, vault)
    rewrap(database, KEK, NEW_KEK)
    keys = rows(database, "select id, wrapped from vault_key order by id")

    assert rewrap(database, KEK, NEW_KEK) == 0
    assert rows(database, "select id, wrapped from vault_key order by id") == keys


def test_rewrapping_with_a_wrong_old_key_changes_nothing(database: Database, vault: Vault) -> None:
    cards = a_full_vault(database, vault)

    with pytest.raises(WrongVaultKey):
        rewrap(database, b"w" * 32, NEW_KEK)

    assert_readable(database, cards)


def test_a_gateway_with_the_old_vault_key_reads_on_and_makes_no_key_that_nobody_could_open(
    database: Database, vault: Vault
) -> None:
    card = kept(database, vault)
    rewrap(database, KEK, NEW_KEK)

    assert number_of(database, vault, card) == VISA
    with pytest.raises(WrongVaultKey):
        kept(database, vault, merchant_id="BRN-NEW")

    database.transact_now(lambda tx: KeyRing(NEW_KEK).active(tx, SHOP))
    for row in rows(database, "select id, merchant_id, wrapped from vault_key"):
        KeyRing(NEW_KEK).unwrap(row["id"], row["merchant_id"], row["wrapped"])


def test_keys_made_while_they_are_rewrapped_open_with_the_new_vault_key(database: Database, vault: Vault) -> None:
    kept(database, vault)

    def work(n: int) -> None:
        if n == 0:
            rewrap(database, KEK, NEW_KEK)
            return
        try:
            kept(database, vault, merchant_id=f"BRN-NEW-{n}")
        except WrongVaultKey:
            return

    at_once(8, work)

    for row in rows(database, "select id, merchant_id, wrapped from vault_key"):
        KeyRing(NEW_KEK).unwrap(row["id"], row["merchant_id"], row["wrapped"])


@pytest.mark.parametrize("engine", ["postgresql"])  # on SQLite there is one writer anyway
def test_rewrapping_waits_for_a_key_that_is_being_made_and_takes_it_along(database: Database, vault: Vault) -> None:
    kept(database, vault)

    with ThreadPoolExecutor(1) as thread:
        rewrapping: list[Any] = []

        def make(tx: Tx) -> None:
            vault.keyring.active(tx, "BRN-NEW")
            rewrapping.append(thread.submit(rewrap, database, KEK, NEW_KEK))
            time.sleep(0.3)  # time enough for it to have ended, if it did not wait

        database.transact_now(make)
        assert rewrapping[0].result(20) == 3

    for row in rows(database, "select id, merchant_id, wrapped from vault_key"):
        KeyRing(NEW_KEK).unwrap(row["id"], row["merchant_id"], row["wrapped"])
