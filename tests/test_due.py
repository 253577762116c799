"""What was put off before the machine's clock stepped back is due, and does not wait for as long as the clock jumped."""

import uuid
from datetime import timedelta

import pytest

from gerbang.channels.credit_card.charges import claim_questions
from gerbang.clock import real_now, to_ms
from gerbang.money import Rupiah
from gerbang.payments import open_order
from gerbang.payments.unexpected import claim_unexpected
from gerbang.providers.room import claimable
from gerbang.settings import BadSettings, load_settings
from gerbang.storage import Database, Tx
from gerbang.storage.due import LONGEST_WAIT, due_moments, is_due
from gerbang.wallet.messages import queue_message
from gerbang.wallet.operations import claim_due
from support.gateway import NOON


@pytest.mark.parametrize(
    ("away", "due"),
    [(timedelta(seconds=-1), True), (timedelta(0), True), (timedelta(seconds=1), False), (LONGEST_WAIT, False), (timedelta(hours=1), True)],
)  # fmt: skip
def test_what_lies_further_ahead_than_anything_is_put_off_is_due(database: Database, away: timedelta, due: bool) -> None:
    real = real_now()
    asked = f"select 1 as found from (select :at as due) moments where {is_due('due')}"

    found = database.read_now(lambda tx: tx.one(asked, {"at": to_ms(real + away), **due_moments(real)}))

    assert (found is not None) is due


def test_no_setting_puts_anything_off_longer_than_that() -> None:
    """A question would be taken up while its asker still waits for the answer."""
    longest_s = LONGEST_WAIT.total_seconds()

    assert load_settings(env={}, given={"card_answer_timeout_s": longest_s}).card_answer_timeout_s == longest_s
    with pytest.raises(BadSettings):
        load_settings(env={}, given={"card_answer_timeout_s": longest_s + 1})


def test_each_sweeper_takes_up_what_a_clock_that_stepped_back_left_behind(database: Database) -> None:
    ahead = to_ms(real_now() + timedelta(hours=1))
    settings = load_settings(env={})

    def leave(tx: Tx) -> None:
        _, payment = open_order(
            tx,
            merchant_id="BRN-1",
            invoice_number="INV-1",
            amount=Rupiah(1),
            channel="CREDIT_CARD",
            request_id="r",
            details={},
            expires_at=NOON + timedelta(hours=1),
            now=NOON,
        )
        tx.execute(
            "insert into card_question (id, merchant_id, payment_id, kind, subject, amount, state, details, asked_at, due_real_at)"
            " values ('ask_1', 'BRN-1', :payment, 'REVERSE', 'chg_1', 1, 'ASKED', '{}', 0, :at)",
            {"at": ahead, "payment": payment.id},
        )
        tx.execute(
            "insert into unexpected_money (id, payment_id, merchant_id, channel, receipt, reason, amount, state, created_at,"
            " ask_again_real_at) values ('ump_1', :payment, 'BRN-1', 'EMONEY_OVO', 'r', 'PAID_AGAIN', 1, 'HELD', 0, :at)",
            {"at": ahead, "payment": payment.id},
        )
        queue_message(tx, message_id=f"msg_{uuid.uuid4().hex}", phone="6281234567890", text="Halo", settings=settings, now=NOON)
        tx.execute("update message set due_real_at = :at", {"at": ahead})

    database.transact_now(leave)
    try:
        assert [one.id for one in database.transact_now(lambda tx: claim_questions(tx, again_in_s=60, limit=9))] == ["ask_1"]
        assert database.read_now(lambda tx: claimable(tx, "EMONEY_OVO"))
        claimed = database.transact_now(lambda tx: claim_unexpected(tx, "EMONEY_OVO", again_in_s=60, limit=9))
        assert [one.id for one in claimed] == ["ump_1"]
        assert database.transact_now(lambda tx: claim_due(tx, again_in_s=60)) == []
        assert not database.read_now(lambda tx: claimable(tx, "EMONEY_OVO")), "given to one for a while"
        due = database.read_now(
            lambda tx: tx.one(f"select id from message where {is_due('due_real_at')}", due_moments(real_now()))
        )
        assert due is not None
    finally:
        database.transact_now(lambda tx: [tx.execute(f"delete from {table}") for table in ("card_question", "unexpected_money")])
