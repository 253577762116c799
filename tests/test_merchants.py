"""Merchants: who may call, with which keys, and where they are notified."""

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gerbang.errors import Reason, Refused
from gerbang.merchants import Merchant, MerchantDirectory, MerchantOptions, create, find, get, list_all, update
from gerbang.merchants.gateway_key import gateway_public_key, gateway_public_key_now
from gerbang.settings import Settings
from gerbang.storage import Database, Tx
from support.gateway import NOON


def a_merchant(tx: Tx, **given: Any) -> Merchant:
    return create(tx, **{"name": "Toko Pagi", "now": NOON, **given})


def refusal(database: Database, **given: Any) -> tuple[Reason, object]:
    with pytest.raises(Refused) as refused:
        database.transact_now(lambda tx: a_merchant(tx, **given))
    return refused.value.reason, refused.value.facts.get("field")


def test_a_merchant_is_found_as_it_was_registered(database: Database) -> None:
    made = database.transact_now(lambda tx: a_merchant(tx, notification_url="https://toko.example/n"))

    assert database.read_now(lambda tx: find(tx, made.client_id)) == made
    assert database.read_now(lambda tx: get(tx, made.client_id)) == made
    assert made.client_id.startswith("BRN-")
    assert made.secret_key.startswith("SK-")
    assert made.secret_key not in repr(made), "what is printed by accident ends in a log"
    assert made.options == MerchantOptions()


def test_an_applications_present_credentials_can_be_taken_over_once(database: Database) -> None:
    made = database.transact_now(lambda tx: a_merchant(tx, client_id="MCH-0001-10791114622547", secret_key="SK-x"))

    assert (made.client_id, made.secret_key) == ("MCH-0001-10791114622547", "SK-x")
    assert refusal(database, client_id="MCH-0001-10791114622547") == (Reason.MERCHANT_EXISTS, None)


@pytest.mark.parametrize("value", ["", "a b", "a\n", "é", "a\x00", "a\tb", "x" * 257])
@pytest.mark.parametrize("field", ["client_id", "secret_key"])
def test_credentials_that_cannot_travel_in_a_header_are_refused(database: Database, field: str, value: str) -> None:
    assert refusal(database, **{field: value}) == (Reason.FIELD_INVALID, field)


@pytest.mark.parametrize(
    "url",
    ["", "toko.example/n", "/n", "ftp://toko.example/n", "https://", "http://:80/", "https://toko.example:port/", "https://toko.example:0/",
     "https://[::1/", "https://to ko.example", "https://toko.example/\n", "javascript:alert(1)", "https:\\\\toko.example"],
)  # fmt: skip
def test_a_notification_url_that_cannot_be_called_is_refused(database: Database, url: str) -> None:
    assert refusal(database, notification_url=url) == (Reason.FIELD_INVALID, "notification_url")


@pytest.mark.parametrize(
    "url", ["https://toko.example/n?a=b", "http://localhost:3000/n", "HTTPS://TOKO.EXAMPLE", "http://[::1]:8080/n"]
)
def test_a_notification_url_that_can_be_called_is_taken(database: Database, url: str) -> None:
    assert database.transact_now(lambda tx: a_merchant(tx, notification_url=url)).notification_url == url


@pytest.mark.parametrize("name", ["", "  "])
def test_a_merchant_has_a_name_from_the_beginning_and_keeps_one(database: Database, name: str) -> None:
    assert refusal(database, name=name) == (Reason.FIELD_MISSING, "name")
    made = database.transact_now(a_merchant)

    with pytest.raises(Refused) as refused:
        database.transact_now(lambda tx: update(tx, made.client_id, name=name))

    assert refused.value.reason is Reason.FIELD_MISSING


def test_a_change_changes_what_is_given_and_nothing_else(database: Database) -> None:
    made = database.transact_now(lambda tx: a_merchant(tx, notification_url="https://toko.example/n"))
    options = MerchantOptions(strict_request_id=True, frame_ancestors="https://toko.example")

    database.transact_now(lambda tx: update(tx, made.client_id, name=" Toko Sore ", options=options))
    changed = database.transact_now(lambda tx: update(tx, made.client_id, secret_key="SK-new"))

    assert (changed.name, changed.secret_key, changed.options) == ("Toko Sore", "SK-new", options)
    assert (changed.notification_url, changed.created_at) == (made.notification_url, made.created_at)
    assert database.transact_now(lambda tx: update(tx, made.client_id, notification_url="")).notification_url is None


def test_a_change_is_held_to_the_same_rules_as_the_beginning(database: Database) -> None:
    made = database.transact_now(a_merchant)

    for wrong in (
        {"secret_key": "has blanks"},
        {"secret_key": ""},
        {"notification_url": "nonsense"},
        *({"options": MerchantOptions(frame_ancestors=text)} for text in ("*; script-src *", "a,b", "a\r\nSet-Cookie: b", "é")),
    ):
        with pytest.raises(Refused) as refused:
            database.transact_now(lambda tx, wrong=wrong: update(tx, made.client_id, **wrong))  # type: ignore[misc]
        assert refused.value.reason is Reason.FIELD_INVALID

    assert database.read_now(lambda tx: get(tx, made.client_id)) == made


@pytest.mark.parametrize("own", [None, True, False])
@pytest.mark.parametrize("everyones", [True, False])
def test_a_merchants_own_choice_goes_before_the_installations(database: Database, own: bool | None, everyones: bool) -> None:
    made = database.transact_now(a_merchant)
    options = MerchantOptions(strict_request_id=own, strict_override_path=own)
    merchant = database.transact_now(lambda tx: update(tx, made.client_id, options=options))
    settings = Settings(strict_request_id=everyones, strict_override_path=everyones)

    holds = everyones if own is None else own
    assert (merchant.strict_request_id(settings), merchant.strict_override_path(settings)) == (holds, holds)


def test_a_merchant_nobody_knows_is_refused(database: Database) -> None:
    assert database.read_now(lambda tx: find(tx, "BRN-0")) is None
    for ask in (get, update):
        with pytest.raises(Refused) as refused:
            database.transact_now(lambda tx, ask=ask: ask(tx, "BRN-0"))  # type: ignore[misc]
        assert refused.value.reason is Reason.MERCHANT_NOT_FOUND


def test_merchants_are_listed_oldest_first(database: Database) -> None:
    made = [database.transact_now(lambda tx, n=n: a_merchant(tx, client_id=f"BRN-{n}")) for n in (1, 2, 3)]  # type: ignore[misc]

    assert database.read_now(list_all) == made


def test_the_directory_remembers_and_fresh_asks_again(database: Database) -> None:
    made = database.transact_now(a_merchant)
    directory = MerchantDirectory(database)

    async def look() -> None:
        assert await directory.find("BRN-0") is None
        assert await directory.find(made.client_id) == made
        changed = await database.transact(lambda tx: update(tx, made.client_id, secret_key="SK-new"))
        assert await directory.find(made.client_id) == made  # for a moment
        assert await directory.find(made.client_id, fresh=True) == changed
        assert await directory.find(made.client_id) == changed
        await database.transact(lambda tx: tx.execute("delete from merchant"))
        directory.forget()
        assert await directory.find(made.client_id) is None

    asyncio.run(look())


def test_the_gateway_keeps_one_key_pair_and_tells_its_public_half(database: Database) -> None:
    first = gateway_public_key_now(database, Settings())

    assert asyncio.run(gateway_public_key(database, Settings())) == first
    assert load_pem_public_key(first.encode()).key_size == 2_048  # type: ignore[union-attr]
    assert "PRIVATE" not in first


def test_the_gateway_key_is_of_no_use_without_the_installations_key(database: Database) -> None:
    gateway_public_key_now(database, Settings())

    stored = database.read_now(lambda tx: tx.one("select value from instance where name = 'gateway_private_key'"))
    assert stored is not None
    assert "ENCRYPTED" in stored["value"]
    with pytest.raises(ValueError, match=r"(?i)decrypt|password"):
        gateway_public_key_now(database, Settings(encryption_key="another key of thirty-two letters"))
