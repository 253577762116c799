"""Stored cards: numbers are unreadable without the key, noticed when altered, and kept no longer than needed."""

import re
from pathlib import Path

import pytest

from gerbang.storage import Database, open_database
from gerbang.vault import CardForgotten, KeyRing, SealBroken, Vault, WrongVaultKey
from support.gateway import NOON
from support.vault import (
    AMEX,
    DAY,
    KEK,
    OTHER_SHOP,
    OTHER_VISA,
    SHOP,
    VISA,
    at_once,
    issued,
    keep,
    kept,
    number_of,
    rows,
    run,
    stored,
)


@pytest.fixture
def vault() -> Vault:
    return Vault(KeyRing(KEK))


def test_a_kept_card_reads_back_with_its_number(database: Database, vault: Vault) -> None:
    card = kept(database, vault)

    assert number_of(database, vault, card) == VISA
    assert stored(database, card) == card
    assert (card.masked, card.bin, card.last4, card.expiry) == ("481111******1114", "481111", "1114", "3012")
    assert card.keep_until == NOON + DAY


def test_another_process_with_the_same_vault_key_reads_the_number(database: Database, vault: Vault) -> None:
    card = kept(database, vault)

    assert number_of(database, Vault(KeyRing(KEK)), card) == VISA


def test_a_merchant_finds_its_own_cards_only(database: Database, vault: Vault) -> None:
    card = kept(database, vault)

    assert database.read_now(lambda tx: vault.card(tx, card.id, merchant_id=OTHER_SHOP)) is None


def test_each_reading_of_a_number_leaves_a_line_for_auditors(database: Database, vault: Vault) -> None:
    card = kept(database, vault)
    assert rows(database, "select * from vault_use") == []

    database.transact_now(lambda tx: vault.number(tx, card, purpose="authorise pay_1", now=NOON))

    [line] = rows(database, "select card_id, merchant_id, purpose, at from vault_use")
    assert line == {
        "card_id": card.id,
        "merchant_id": SHOP,
        "purpose": "authorise pay_1",
        "at": int(NOON.timestamp() * 1000),
    }


def test_a_number_cannot_be_read_where_no_line_can_be_written(database: Database, vault: Vault) -> None:
    card = kept(database, vault)

    with pytest.raises(Exception, match=r"(?i)read-?only"):
        database.read_now(lambda tx: vault.number(tx, card, purpose="peek", now=NOON))


def test_a_forgotten_card_has_no_number(database: Database, vault: Vault) -> None:
    card = kept(database, vault)

    assert database.transact_now(lambda tx: vault.forget(tx, card.id))

    assert not database.transact_now(lambda tx: vault.forget(tx, card.id))
    assert stored(database, card) is None
    with pytest.raises(CardForgotten):
        number_of(database, vault, card)


def test_equal_numbers_have_equal_fingerprints_in_all_merchants_and_no_others(database: Database, vault: Vault) -> None:
    one, same, elsewhere = (
        kept(database, vault),
        kept(database, vault, expiry="2901"),
        kept(database, vault, merchant_id=OTHER_SHOP),
    )
    other = kept(database, vault, OTHER_VISA)

    assert one.fingerprint == same.fingerprint == elsewhere.fingerprint
    assert re.fullmatch("[0-9a-f]{64}", one.fingerprint)
    assert other.fingerprint != one.fingerprint
    assert database.transact_now(lambda tx: Vault(KeyRing(KEK)).fingerprint(tx, VISA)) == one.fingerprint


def test_fingerprints_of_another_installation_differ(database: Database, vault: Vault, tmp_path: Path) -> None:
    elsewhere = open_database(str(tmp_path / "elsewhere.db"))

    assert kept(elsewhere, vault).fingerprint != kept(database, vault).fingerprint

    elsewhere.close()


@pytest.mark.parametrize(
    "given",
    [
        {"number": "4811-1111-1111-1114"},
        {"masked": VISA},
        {"masked": f"card {VISA}"},
        {"last4": "9999"},
        {"bin": "400000"},
        {"expiry": "1230"},
    ],
)
def test_mistakes_of_the_caller_are_told_without_the_number(database: Database, vault: Vault, given: dict[str, str]) -> None:
    with pytest.raises(AssertionError) as refused:
        database.transact_now(lambda tx: keep(tx, vault, **given))

    assert "1111" not in str(refused.value)
    assert rows(database, "select id from vault_card") == []


def test_two_first_cards_of_a_merchant_at_once_share_one_key(database: Database, vault: Vault) -> None:
    cards = at_once(8, lambda _: kept(database, Vault(KeyRing(KEK))))

    assert [number_of(database, vault, card) for card in cards] == [VISA] * 8
    assert [row["merchant_id"] for row in rows(database, "select merchant_id from vault_key order by merchant_id")] == ["", SHOP]


@pytest.mark.parametrize("at", [0, 11, 12, 20, 30, -1])
def test_one_flipped_byte_in_a_stored_number_is_detected(database: Database, vault: Vault, at: int) -> None:
    card = kept(database, vault)
    [row] = rows(database, "select sealed from vault_card")
    sealed = bytearray(row["sealed"])
    sealed[at] ^= 1
    run(database, "update vault_card set sealed = :sealed", sealed=bytes(sealed))

    with pytest.raises(SealBroken):
        number_of(database, vault, card)


def test_swapped_numbers_of_two_cards_are_detected(database: Database, vault: Vault) -> None:
    one, two = kept(database, vault), kept(database, vault, OTHER_VISA)
    sealed = {row["id"]: row["sealed"] for row in rows(database, "select id, sealed from vault_card")}
    run(database, "update vault_card set sealed = :sealed where id = :id", id=one.id, sealed=sealed[two.id])
    run(database, "update vault_card set sealed = :sealed where id = :id", id=two.id, sealed=sealed[one.id])

    for card in (one, two):
        with pytest.raises(SealBroken):
            number_of(database, vault, card)


def test_a_card_moved_to_another_merchant_does_not_open(database: Database, vault: Vault) -> None:
    card = kept(database, vault)
    run(database, "update vault_card set merchant_id = :other", other=OTHER_SHOP)

    moved = database.read_now(lambda tx: vault.card(tx, card.id, merchant_id=OTHER_SHOP))
    assert moved is not None
    with pytest.raises(SealBroken):
        number_of(database, vault, moved)


def test_the_key_of_another_merchant_opens_nothing(database: Database, vault: Vault) -> None:
    card, other = kept(database, vault), kept(database, vault, AMEX, merchant_id=OTHER_SHOP)
    [theirs] = rows(database, "select key_id from vault_card where id = :id", id=other.id)
    run(database, "update vault_card set key_id = :key_id where id = :id", key_id=theirs["key_id"], id=card.id)

    with pytest.raises(SealBroken):
        number_of(database, vault, card)


def test_a_wrapped_key_moved_to_another_row_or_altered_is_detected(database: Database, vault: Vault) -> None:
    card, _ = kept(database, vault), kept(database, vault, merchant_id=OTHER_SHOP)
    wrapped = {row["merchant_id"]: row["wrapped"] for row in rows(database, "select merchant_id, wrapped from vault_key")}

    for put in (wrapped[OTHER_SHOP], wrapped[SHOP][:-1] + bytes([wrapped[SHOP][-1] ^ 1])):
        run(database, "update vault_key set wrapped = :put where merchant_id = :id", put=put, id=SHOP)
        with pytest.raises(WrongVaultKey):
            number_of(database, Vault(KeyRing(KEK)), card)


def test_purge_deletes_what_is_overdue_and_without_a_token_and_nothing_else(database: Database, vault: Vault) -> None:
    overdue = [kept(database, vault, keep_until=NOON - n * DAY) for n in range(4)]
    later, for_good = kept(database, vault, keep_until=NOON + DAY), kept(database, vault, keep_until=None)
    saved = kept(database, vault, AMEX, keep_until=NOON - DAY)
    issued(database, vault, saved)
    run(database, "update vault_card set keep_until = 0 where id = :id", id=saved.id)  # whatever dates say, a token counts

    first = database.transact_now(lambda tx: vault.purge(tx, now=NOON, limit=3))
    rest = database.transact_now(lambda tx: vault.purge(tx, now=NOON, limit=100))

    assert (first, rest) == (3, 1)
    assert [stored(database, card) for card in overdue] == [None] * 4
    assert None not in [stored(database, card) for card in (later, for_good, saved)]
    assert database.transact_now(lambda tx: vault.purge(tx, now=NOON, limit=100)) == 0


def test_an_overdue_card_behind_many_saved_ones_is_still_purged(database: Database, vault: Vault) -> None:
    saved = [kept(database, vault, number) for number in (VISA, OTHER_VISA)]
    for card in saved:
        issued(database, vault, card)
    run(database, "update vault_card set keep_until = 0")
    kept(database, vault, AMEX, keep_until=NOON)

    assert database.transact_now(lambda tx: vault.purge(tx, now=NOON, limit=1)) == 1


def test_keeping_a_purged_card_for_good_comes_too_late(database: Database, vault: Vault) -> None:
    card = kept(database, vault, keep_until=NOON)
    database.transact_now(lambda tx: vault.purge(tx, now=NOON, limit=1))

    with pytest.raises(CardForgotten):
        database.transact_now(lambda tx: vault.keep_for_good(tx, card.id))
    assert not database.transact_now(lambda tx: vault.set_expiry(tx, card.id, "3112"))
