"""Tokens of saved cards: one for each card of a customer, dead once unbound."""

import re

import pytest

from gerbang.storage import Database
from gerbang.vault import CardForgotten, KeyRing, StoredCard, Token, Vault, deactivate, tokens_of
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
    found,
    issued,
    kept,
    number_of,
    rows,
    stored,
)


@pytest.fixture
def vault() -> Vault:
    return Vault(KeyRing(KEK))


def unbind(database: Database, token_id: str, merchant_id: str = SHOP, customer_id: str | None = None) -> bool:
    return database.transact_now(
        lambda tx: deactivate(tx, merchant_id=merchant_id, token_id=token_id, customer_id=customer_id, now=NOON)
    )


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
