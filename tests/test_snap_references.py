"""A partner's reference is used once for ever, but only by a call that made something."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gerbang.clock import real_now, to_ms
from gerbang.endpoint import Call
from gerbang.errors import Reason
from gerbang.merchants import create
from gerbang.protocols.snap.references import (
    find_reference,
    forget_reference,
    hold_reference,
    keep_reference,
    point_reference,
    take_reference,
)
from gerbang.settings import Settings
from gerbang.storage import Database, Tx
from support.customers import at_once, refusal
from support.gateway import NOON

CLIENT_ID, REFERENCE = "BRN-1", "r-1"
IN_USE = Reason.REFERENCE_ALREADY_USED


@pytest.fixture
def call(database: Database) -> Callable[[Tx], Call]:
    """A transfer to a bank (service 43) under one reference, in a transaction."""
    merchant = database.transact_now(lambda tx: create(tx, name="Kasir Kilat", client_id=CLIENT_ID, now=NOON))
    made = Call(
        tx=None,  # type: ignore[arg-type]
        merchant=merchant,
        request_id="",
        now=NOON,
        settings=Settings(),
        public_url="",
        service_code="43",
        reference=REFERENCE,
    )
    return lambda tx: replace(made, tx=tx)


def take(tx: Tx, external_id: str = "1") -> None:
    take_reference(tx, merchant_id=CLIENT_ID, service_code="43", reference=REFERENCE, external_id=external_id, now=NOON)


def a_minute_ago(database: Database, call: Callable[[Tx], Call]) -> str:
    """As `hold_reference` would have written it then, and nobody came back: the hold."""
    hold = f"hold:{to_ms(real_now())}:hld_1"
    database.transact_now(lambda tx: point_reference(call(tx), hold))
    return hold


def test_a_reference_in_use_is_in_use_whoever_asks(database: Database, call: Callable[[Tx], Call]) -> None:
    """S1-91. While the account is looked up, and after the transfer."""
    database.transact_now(take)
    hold = database.transact_now(lambda tx: hold_reference(call(tx)))
    assert refusal(database, take) is IN_USE

    database.transact_now(lambda tx: keep_reference(call(tx), hold))

    assert refusal(database, take) is IN_USE
    database.transact_now(lambda tx: forget_reference(call(tx), hold))
    assert refusal(database, take) is IN_USE, "what was made stays made"


def test_a_reference_that_nobody_came_back_for_is_taken_over_by_one(database: Database, call: Callable[[Tx], Call]) -> None:
    """The process died while it asked whose account it is, and the partner tries again, several times at once."""
    database.transact_now(take)
    a_minute_ago(database, call)

    outcomes = at_once(database, *[lambda tx, n=n: take(tx, external_id=str(n)) for n in range(8)])

    [winner] = [number for number, outcome in enumerate(outcomes) if outcome is None]
    assert sum(outcome is IN_USE for outcome in outcomes) == 7
    found = database.read_now(lambda tx: find_reference(tx, CLIENT_ID, "43", REFERENCE))
    assert found is not None
    assert (found.subject, found.external_id) == ("", str(winner))


def test_a_reference_held_before_the_clock_was_set_back_is_free_again_too(database: Database, call: Callable[[Tx], Call]) -> None:
    """Not an hour later, when the clock is there again."""
    database.transact_now(take)
    ahead = f"hold:{to_ms(real_now() + timedelta(hours=1))}:hld_1"
    database.transact_now(lambda tx: point_reference(call(tx), ahead))

    database.transact_now(take)


def test_whoever_comes_back_too_late_can_neither_go_on_nor_take_the_reference_away(
    database: Database, call: Callable[[Tx], Call]
) -> None:
    database.transact_now(take)
    late = a_minute_ago(database, call)
    database.transact_now(take)
    theirs = database.transact_now(lambda tx: hold_reference(call(tx)))

    assert refusal(database, lambda tx: keep_reference(call(tx), late)) is IN_USE
    database.transact_now(lambda tx: forget_reference(call(tx), late))

    assert refusal(database, take) is IN_USE
    database.transact_now(lambda tx: keep_reference(call(tx), theirs))


def test_whoever_comes_back_late_goes_on_when_nobody_wanted_the_reference(database: Database, call: Callable[[Tx], Call]) -> None:
    database.transact_now(take)
    late = a_minute_ago(database, call)

    database.transact_now(lambda tx: keep_reference(call(tx), late))

    assert refusal(database, take) is IN_USE


def test_a_reference_given_back_is_free_at_once(database: Database, call: Callable[[Tx], Call]) -> None:
    database.transact_now(take)
    hold = database.transact_now(lambda tx: hold_reference(call(tx)))

    database.transact_now(lambda tx: forget_reference(call(tx), hold))

    database.transact_now(take)
