"""The vault: numbers are unreadable without the key, tokens are one for each card, keys can be replaced at any time."""

import base64
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from gerbang.cli import main
from gerbang.settings import BadSettings, Settings
from gerbang.storage import Database, Tx, open_database
from gerbang.vault import (
    CardForgotten,
    KeyRing,
    SealBroken,
    StoredCard,
    Token,
    Vault,
    WrongVaultKey,
    deactivate,
    find_token,
    issue,
    open_sealed,
    rewrap,
    rotate,
    seal,
    status,
    tokens_of,
)
from gerbang.vault.keys import kek_from_file, kek_from_text, kek_of
from support.gateway import NOON

T = TypeVar("T")

VISA, OTHER_VISA, AMEX = "4811111111111114", "4911111111111113", "371449635398431"
SHOP, OTHER_SHOP = "BRN-1", "BRN-2"
KEK, NEW_KEK = b"k" * 32, b"n" * 32
DAY = timedelta(days=1)


@pytest.fixture
def vault() -> Vault:
    return Vault(KeyRing(KEK))


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
    given = {"merchant_id": card.merchant_id, "now": NOON} | more
    return database.transact_now(lambda tx: issue(tx, vault, customer_id=customer_id, card=card, **given))


def unbind(database: Database, token_id: str, merchant_id: str = SHOP, customer_id: str | None = None) -> bool:
    return database.transact_now(
        lambda tx: deactivate(tx, merchant_id=merchant_id, token_id=token_id, customer_id=customer_id, now=NOON)
    )


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


# -- the key-encryption key


def test_a_vault_key_is_base64_of_32_bytes_or_a_text_of_32_characters() -> None:
    assert kek_from_text(base64.b64encode(bytes(range(32))).decode() + "\n", "vault_key") == bytes(range(32))
    assert len(kek_from_text("x" * 32, "vault_key")) == 32
    assert kek_from_text("x" * 32, "vault_key") != kek_from_text("x" * 33, "vault_key")


@pytest.mark.parametrize("text", ["", "short", "x" * 31, base64.b64encode(b"only sixteen b..").decode()])
def test_a_vault_key_that_is_too_short_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(BadSettings, match="openssl rand -base64 32") as refused:
        kek_of(Settings(vault_key=text or "-"))

    assert not text or text not in str(refused.value)


def test_a_vault_key_file_is_read_when_only_its_owner_may(tmp_path: Path) -> None:
    file = tmp_path / "vault.key"
    file.write_text("x" * 40 + "\n")
    file.chmod(0o400)

    assert kek_of(Settings(vault_key_file=str(file))) == kek_of(Settings(vault_key="x" * 40))


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o604, 0o620])
def test_a_vault_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "vault.key"
    file.write_text("x" * 40)
    file.chmod(mode)

    with pytest.raises(BadSettings, match="chmod 400"):
        kek_from_file(file)


def test_a_vault_key_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    binary = tmp_path / "binary.key"
    binary.write_bytes(b"\xff" * 32)
    binary.chmod(0o400)

    with pytest.raises(BadSettings, match="cannot read the vault key file"):
        kek_from_file(tmp_path / "absent.key")
    with pytest.raises(BadSettings, match="is no text"):
        kek_from_file(binary)


def test_production_stores_no_card_without_a_vault_key_and_the_sandbox_has_one() -> None:
    assert len(kek_of(Settings())) == 32
    with pytest.raises(BadSettings, match="vault_key or vault_key_file"):
        kek_of(Settings(mode="production", encryption_key="e" * 40))
    with pytest.raises(BadSettings, match="not both"):
        kek_of(Settings(vault_key="x" * 40, vault_key_file="vault.key"))


def test_starting_with_another_vault_key_is_refused_before_anything_is_written(database: Database, vault: Vault) -> None:
    kept(database, vault)
    keys = rows(database, "select * from vault_key order by id")

    with pytest.raises(WrongVaultKey, match="vault_key_file"):
        database.transact_now(Vault(KeyRing(NEW_KEK)).make_ready)

    assert rows(database, "select * from vault_key order by id") == keys


# -- sealing


def test_what_is_sealed_opens_with_the_same_key_and_context_only() -> None:
    sealed = seal(KEK, b"839", context=b"charge 1")

    assert open_sealed(KEK, sealed, context=b"charge 1") == b"839"
    for key, context in ((KEK, b"charge 2"), (NEW_KEK, b"charge 1")):
        with pytest.raises(SealBroken):
            open_sealed(key, sealed, context=context)


def test_a_changed_or_cut_byte_anywhere_breaks_the_seal() -> None:
    sealed = seal(KEK, b"839", context=b"c")

    for at in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_sealed(KEK, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], context=b"c")
        with pytest.raises(SealBroken):
            open_sealed(KEK, sealed[:at], context=b"c")


def test_the_same_secret_never_looks_the_same_twice() -> None:
    assert len({seal(KEK, b"839", context=b"c") for _ in range(50)}) == 50


# -- cards


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
        database.transact_now(lambda tx: keep(tx, vault, **given))  # type: ignore[arg-type]

    assert "1111" not in str(refused.value)
    assert rows(database, "select id from vault_card") == []


def test_two_first_cards_of_a_merchant_at_once_share_one_key(database: Database, vault: Vault) -> None:
    cards = at_once(8, lambda _: kept(database, Vault(KeyRing(KEK))))

    assert [number_of(database, vault, card) for card in cards] == [VISA] * 8
    assert [row["merchant_id"] for row in rows(database, "select merchant_id from vault_key order by merchant_id")] == ["", SHOP]


# -- tampering


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


# -- keeping no longer than needed


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


# -- tokens


def test_a_token_is_32_hex_digits_random_and_found_by_its_merchant_only(database: Database, vault: Vault) -> None:
    token = issued(database, vault, kept(database, vault))

    assert re.fullmatch("[0-9a-f]{32}", token.id)
    assert found(database, token.id) == token
    assert found(database, token.id, OTHER_SHOP) is None
    assert found(database, "0" * 32) is None
    assert token.card.keep_until is None, "a saved card has no date to be deleted at"
    assert number_of(database, vault, token.card) == VISA


def test_no_token_looks_like_a_card_number(database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["4811111111111114" * 2, "ab4811111111111114" + "c" * 14, "0123456789a" * 2 + "bcdefabcde"])
    monkeypatch.setattr("gerbang.vault.tokens.secrets.token_hex", lambda _: next(drawn))

    assert issued(database, vault, kept(database, vault)).id == "0123456789a" * 2 + "bcdefabcde"


def test_saving_the_same_card_again_gives_the_same_token_with_the_new_expiry(database: Database, vault: Vault) -> None:
    first = issued(database, vault, kept(database, vault, expiry="2611"))

    again = issued(database, vault, kept(database, vault, expiry="3105"), now=NOON + DAY)

    assert (again.id, again.created_at, again.card.id) == (first.id, first.created_at, first.card.id)
    assert again.card.expiry == "3105"
    assert found(database, first.id) == again


def test_the_card_that_was_saved_a_second_time_keeps_its_date_and_is_purged(database: Database, vault: Vault) -> None:
    issued(database, vault, kept(database, vault))
    again = kept(database, vault, keep_until=NOON)
    token = issued(database, vault, again)

    assert database.transact_now(lambda tx: vault.purge(tx, now=NOON, limit=10)) == 1
    assert stored(database, again) is None
    assert number_of(database, vault, token.card) == VISA


def test_other_cards_customers_and_merchants_get_tokens_of_their_own(database: Database, vault: Vault) -> None:
    tokens = {
        issued(database, vault, kept(database, vault)).id,
        issued(database, vault, kept(database, vault, AMEX)).id,
        issued(database, vault, kept(database, vault), "BUDI").id,
        issued(database, vault, kept(database, vault, merchant_id=OTHER_SHOP)).id,
    }

    assert len(tokens) == 4


def test_the_list_has_active_tokens_of_one_customer_oldest_first(database: Database, vault: Vault) -> None:
    later = issued(database, vault, kept(database, vault, AMEX), now=NOON + DAY)
    first = issued(database, vault, kept(database, vault))
    gone = issued(database, vault, kept(database, vault, OTHER_VISA))
    issued(database, vault, kept(database, vault), "BUDI")
    unbind(database, gone.id)

    assert database.read_now(lambda tx: tokens_of(tx, SHOP, "SITI")) == [first, later]
    assert database.read_now(lambda tx: tokens_of(tx, OTHER_SHOP, "SITI")) == []


def test_unbinding_forgets_the_number_and_the_token_stays_dead(database: Database, vault: Vault) -> None:
    """S2-117…S2-124: what was unbound is gone from the list and cannot pay."""
    token = issued(database, vault, kept(database, vault))

    assert unbind(database, token.id)

    assert found(database, token.id) is None
    assert stored(database, token.card) is None
    assert not unbind(database, token.id)

    again = issued(database, vault, kept(database, vault))
    assert again.id != token.id
    assert found(database, token.id) is None


@pytest.mark.parametrize(
    ("merchant_id", "customer_id"),
    [(OTHER_SHOP, None), (SHOP, "BUDI"), (OTHER_SHOP, "SITI")],
    ids=["merchant", "customer", "both"],
)
def test_unbinding_what_is_not_ones_own_changes_nothing(
    database: Database, vault: Vault, merchant_id: str, customer_id: str | None
) -> None:
    """D-14: DELETE FAILED."""
    token = issued(database, vault, kept(database, vault))

    assert not unbind(database, token.id, merchant_id, customer_id)
    assert not unbind(database, "0" * 32)

    assert found(database, token.id) == token
    assert unbind(database, token.id, SHOP, "SITI")


def test_a_card_that_two_customers_saved_lives_until_both_unbound_it(database: Database, vault: Vault) -> None:
    card = kept(database, vault)
    one, two = issued(database, vault, card), issued(database, vault, card, "BUDI")

    unbind(database, one.id)
    assert number_of(database, vault, two.card) == VISA

    unbind(database, two.id)
    assert stored(database, card) is None


def test_no_token_is_issued_for_a_forgotten_card(database: Database, vault: Vault) -> None:
    card = kept(database, vault)
    database.transact_now(lambda tx: vault.forget(tx, card.id))

    with pytest.raises(CardForgotten):
        issued(database, vault, card)

    assert rows(database, "select id from card_token") == []


def test_a_token_whose_card_was_forgotten_by_hand_gets_the_card_saved_next(database: Database, vault: Vault) -> None:
    token = issued(database, vault, kept(database, vault))
    database.transact_now(lambda tx: vault.forget(tx, token.card.id))
    assert found(database, token.id) is None

    again = issued(database, vault, kept(database, vault))

    assert again.id == token.id
    assert number_of(database, vault, again.card) == VISA


def test_a_card_saved_many_times_at_once_has_one_token(database: Database, vault: Vault) -> None:
    cards = [kept(database, vault) for _ in range(8)]

    tokens = at_once(8, lambda n: issued(database, vault, cards[n]))

    assert len({token.id for token in tokens}) == 1
    assert database.read_now(lambda tx: [token.id for token in tokens_of(tx, SHOP, "SITI")]) == [tokens[0].id]


def test_saving_and_unbinding_at_once_never_leaves_a_token_without_a_number(database: Database, vault: Vault) -> None:
    def save_or_unbind(n: int) -> None:
        for _ in range(5):
            if n % 2:
                issued(database, vault, kept(database, vault))
            for token in database.read_now(lambda tx: tokens_of(tx, SHOP, "SITI")):
                if not n % 2:
                    unbind(database, token.id)

    at_once(6, save_or_unbind)

    active = rows(database, "select id from card_token where active = 1")
    assert len(active) <= 1
    for row in active:
        token = found(database, row["id"])
        assert token is not None
        assert number_of(database, vault, token.card) == VISA
    assert (
        rows(
            database,
            "select c.id from vault_card c where c.keep_until is null"
            " and not exists (select 1 from card_token t where t.card_id = c.id and t.active = 1)",
        )
        == []
    ), "every card of an unbound token is forgotten"


def test_a_card_two_customers_share_is_forgotten_only_when_nobody_saves_it_at_that_moment(
    database: Database, vault: Vault
) -> None:
    for _ in range(10):
        card = kept(database, vault)
        first = issued(database, vault, card)

        def save_or_unbind(n: int, card: StoredCard = card, first: Token = first) -> Token | None:
            if n == 0:
                unbind(database, first.id)
                return None
            try:
                return issued(database, vault, card, "BUDI")
            except CardForgotten:
                return None

        token = at_once(2, save_or_unbind)[1]

        if token is not None:
            assert number_of(database, vault, token.card) == VISA
            unbind(database, token.id)


# -- rotation


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


# -- a new key-encryption key


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


# -- the command line


def gerbang(address: str, *args: str, **env: str) -> Result:
    clean = {name: None for name in os.environ if name.startswith("GERBANG_")}
    return CliRunner().invoke(main, ["--data", address, "vault", *args], env=clean | env)


def key_file(tmp_path: Path, name: str, kek: bytes) -> str:
    file = tmp_path / name
    file.write_text(base64.b64encode(kek).decode() + "\n")
    file.chmod(0o400)
    return str(file)


def test_status_counts_cards_and_tokens_and_names_the_keys(
    database: Database, data_address: str, vault: Vault, tmp_path: Path
) -> None:
    issued(database, vault, kept(database, vault))
    kept(database, vault, merchant_id=OTHER_SHOP)
    file = key_file(tmp_path, "vault.key", KEK)

    told = gerbang(data_address, "status", "--json", GERBANG_VAULT_KEY_FILE=file)
    people = gerbang(data_address, "status", GERBANG_VAULT_KEY_FILE=file)

    held = json.loads(told.stdout)
    assert {name: held[name] for name in ("cards", "cards_with_date", "tokens", "uses", "rotating", "oldest_key_days")} == {
        "cards": 2,
        "cards_with_date": 1,
        "tokens": 1,
        "uses": 0,
        "rotating": False,
        "oldest_key_days": 0,
    }
    assert [(key["client_id"], key["state"], key["cards"]) for key in held["keys"]] == [
        (SHOP, "ACTIVE", 1),
        (OTHER_SHOP, "ACTIVE", 1),
    ]
    assert people.exit_code == 0
    assert f"{SHOP}" in people.stdout


def test_status_of_an_empty_vault_is_no_trouble(database: Database, data_address: str) -> None:
    told = gerbang(data_address, "status")

    assert told.exit_code == 0, told.output
    assert "No keys yet" in told.stderr


def test_rotate_says_what_it_did_and_fails_when_a_card_does_not_open(
    database: Database, data_address: str, vault: Vault, tmp_path: Path
) -> None:
    kept(database, vault)
    altered = kept(database, vault)
    file = key_file(tmp_path, "vault.key", KEK)

    fine = gerbang(data_address, "rotate", GERBANG_VAULT_KEY_FILE=file)
    run(database, "update vault_card set sealed = :sealed where id = :id", sealed=b"\0" * 44, id=altered.id)
    broken = gerbang(data_address, "rotate", GERBANG_VAULT_KEY_FILE=file)

    assert (fine.exit_code, fine.stdout) == (0, "1 key replaced, 2 cards sealed anew, 1 old key deleted\n")
    assert broken.exit_code == 1
    assert altered.id in broken.stderr


def test_rewrap_moves_the_keys_from_the_old_file_to_the_key_of_the_settings(
    database: Database, data_address: str, vault: Vault, tmp_path: Path
) -> None:
    card = kept(database, vault)
    old, new = key_file(tmp_path, "old.key", KEK), key_file(tmp_path, "new.key", NEW_KEK)

    done = gerbang(data_address, "rewrap", "--old-key-file", old, GERBANG_VAULT_KEY_FILE=new)

    assert done.stdout == "2 keys wrapped with the new vault key\n"
    assert number_of(database, Vault(KeyRing(NEW_KEK)), card) == VISA
    for command in (("status",), ("rotate",)):
        told = gerbang(data_address, *command, GERBANG_VAULT_KEY_FILE=old)
        assert told.exit_code == 2
        assert len(told.stderr.splitlines()) == 1
        assert "gerbang vault rewrap" in told.stderr


def test_the_vault_loads_cryptography_only_when_there_is_a_card() -> None:
    code = "import sys; import gerbang.vault, gerbang.cli.vault; print('cryptography' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
