"""The wallet: one number has one account, PINs cannot be guessed, limits hold to the rupiah."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from gerbang.clock import WIB
from gerbang.errors import Reason, Refused
from gerbang.ledger import Transfer, account, post
from gerbang.money import Rupiah
from gerbang.phones import mask_phone, normalise_phone
from gerbang.settings import Settings, load_settings
from gerbang.storage import Database, StorageBusy, Tx, open_database
from gerbang.wallet import (
    Account,
    AccountStatus,
    Level,
    PinHasher,
    PinOutcome,
    WalletLimits,
    balance,
    confirm_pin,
    create_account,
    find_account,
    get_account,
    history,
    list_accounts,
    pins,
    set_pin,
    top_up,
    unlock,
    wallet_ledger_account,
)
from gerbang.wallet.pins import MAX_WRONG_PINS, PIN_BLOCK, PinCheck, send_unblocking_code, unblock
from support.gateway import NOON

LIMITS = WalletLimits.of(Settings())
PHONE = "081234567890"
PIN = "246810"

# Hashing is slow on purpose: once for all tests.
HASHER = PinHasher(b"k" * 32)
PIN_HASH = HASHER.hash(PIN)


def an_account(tx: Tx, phone: str = PHONE, **other: Any) -> Account:
    return create_account(tx, **{"phone": phone, "name": "Siti Rahmawati", "pin_hash": PIN_HASH, "now": NOON, **other})


@pytest.fixture
def siti(database: Database) -> Account:
    return database.transact_now(an_account)


def current(database: Database, customer: Account) -> Account:
    return database.read_now(lambda tx: get_account(tx, customer.id))


class QuickHasher(PinHasher):
    """The real thing is tested below; where only the counting matters, a comparison does."""

    def __init__(self) -> None:
        super().__init__(b"k" * 32)
        self.asked: list[tuple[str | None, str]] = []

    def verify(self, pin_hash: str | None, pin: str) -> bool:
        self.asked.append((pin_hash, pin))
        return pin_hash is not None and pin == PIN


def guess(database: Database, pin: str, phone: str = PHONE, hasher: PinHasher | None = None) -> PinCheck:
    return asyncio.run(confirm_pin(database, hasher or QuickHasher(), phone, pin))


# -- phone numbers (decision D-6)


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("081234567890", "6281234567890"),
        ("81234567890", "6281234567890"),
        ("6281234567890", "6281234567890"),
        ("+6281234567890", "6281234567890"),
        ("+62 812-3456-7890", "6281234567890"),
        ("(0812) 3456.7890", "6281234567890"),
        (" 0812 3456 7890 ", "6281234567890"),
        ("0812\u00a03456\u00a07890", "6281234567890"),
        (81234567890, "6281234567890"),
        (6281234567890, "6281234567890"),
        ("021 5551234", "62215551234"),
        ("+65 6123 4567", "6561234567"),
        ("0062 812 3456 7890", "6281234567890"),
        ("+62 0812 3456 7890", "6281234567890"),
        ("0062081234567890", "6281234567890"),
        ("0622 123456", "62622123456"),  # a landline in Pematangsiantar
        ("0812345", "62812345"),  # 8 digits, the shortest
        ("0" + "8" * 14, "62" + "8" * 14),  # 16 digits, the longest
    ],
)
def test_a_phone_number_has_one_form_however_it_was_written(sent: str | int, canonical: str) -> None:
    assert normalise_phone(sent) == canonical
    assert normalise_phone(canonical) == canonical


@pytest.mark.parametrize(
    "sent",
    ["6262 812 3456 7890", "062 812 3456 7890", "+62 62812345678", "0006281234567890", "62 00 812 3456 789", "", " ", "+", "0", "081234", "0" + "8" * 15, "0812-CALL-ME", "++6281234567890", "62+81234567890", "0812/3456789", "08१२३४५६७८९०",
     "０８１２３４５６７８９０", "٠٨١٢٣٤٥٦٧٨٩٠", "²²²²²²²²²²", "0812\x003456789", "siti@example.com", 0, 123, -81234567890, True],
)  # fmt: skip
def test_what_is_no_phone_number_is_refused(sent: str | int) -> None:
    with pytest.raises(Refused) as refused:
        normalise_phone(sent)

    assert refused.value.reason is Reason.FIELD_INVALID
    assert refused.value.facts == {"field": "phone"}


@pytest.mark.parametrize(
    ("phone", "shown"), [("6281234567890", "0812 •••• 7890"), ("628123456789", "0812 •••• 6789"), ("62812345", "0812 ••••")]
)
def test_a_masked_phone_number_hides_at_least_three_digits(phone: str, shown: str) -> None:
    assert mask_phone(phone) == shown


# -- accounts


def test_an_account_is_found_by_its_id_and_by_its_number_in_any_form(database: Database, siti: Account) -> None:
    for written in (siti.id, f" {siti.id} ", PHONE, "+62 812-3456-7890", "81234567890"):
        assert database.read_now(lambda tx, written=written: find_account(tx, written)) == siti  # type: ignore[misc]
    for unknown in ("", "nobody", "081234567899", "9999999999", "siti@example.com", "x" * 10_000):
        assert database.read_now(lambda tx, unknown=unknown: find_account(tx, unknown)) is None  # type: ignore[misc]
    assert siti.phone_as_sent == PHONE


def test_one_number_has_one_account_however_it_is_written(database: Database, siti: Account) -> None:
    with pytest.raises(Refused) as refused:
        database.transact_now(lambda tx: an_account(tx, "+62 812 3456 7890"))

    assert refused.value.reason is Reason.ACCOUNT_EXISTS
    assert database.read_now(list_accounts) == [siti]


def test_of_16_who_open_an_account_with_one_number_at_once_one_does(database: Database) -> None:
    def try_to_open(_: int) -> str:
        try:
            database.transact_now(an_account)
        except Refused as refused:
            return refused.reason.name
        return "opened"

    with ThreadPoolExecutor(16) as threads:
        assert Counter(threads.map(try_to_open, range(16))) == {"opened": 1, "ACCOUNT_EXISTS": 15}


def test_a_doku_id_has_ten_digits_and_is_never_read_as_a_phone_number(database: Database) -> None:
    for n in range(20):
        made = database.transact_now(lambda tx, n=n: an_account(tx, f"0812345678{n:02d}"))  # type: ignore[misc]
        assert (len(made.id), made.id.isdigit(), made.id[0]) == (10, True, "1")


def test_an_id_that_is_taken_is_refused(database: Database, siti: Account) -> None:
    with pytest.raises(Refused) as refused:
        database.transact_now(lambda tx: an_account(tx, "081234567899", account_id=siti.id))

    assert refused.value.reason is Reason.ACCOUNT_EXISTS


@pytest.mark.parametrize(("wrong", "reason"), [({"name": " "}, Reason.FIELD_MISSING), ({"phone": "12"}, Reason.FIELD_INVALID)])
def test_an_account_needs_a_name_and_a_number(database: Database, wrong: dict[str, str], reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        database.transact_now(lambda tx: an_account(tx, **wrong))

    assert refused.value.reason is reason


def test_an_account_nobody_has_is_refused(database: Database) -> None:
    for ask in (get_account, unlock, lambda tx, account_id: set_pin(tx, account_id, PIN_HASH)):
        with pytest.raises(Refused) as refused:
            database.transact_now(lambda tx, ask=ask: ask(tx, "1000000000"))  # type: ignore[misc]
        assert refused.value.reason is Reason.ACCOUNT_NOT_FOUND


# -- PINs


def test_a_pin_is_six_digits(siti: Account) -> None:
    for wrong in ("", "12345", "1234567", "12345a", "١٢٣٤٥٦", "１２３４５６", "12 456", "-12345"):
        with pytest.raises(Refused) as refused:
            HASHER.hash(wrong)
        assert refused.value.facts == {"field": "pin"}


def test_the_hasher_knows_the_pin_and_no_other_and_another_key_knows_none() -> None:
    assert HASHER.verify(PIN_HASH, PIN)
    assert not HASHER.verify(PIN_HASH, "246811")
    assert not HASHER.verify(PIN_HASH, "\ud800")
    assert not HASHER.verify("not a hash", PIN)
    assert not HASHER.verify(None, PIN)
    assert not PinHasher(b"z" * 32).verify(PIN_HASH, PIN)


def test_the_real_hasher_opens_the_account(database: Database, siti: Account) -> None:
    assert guess(database, PIN, hasher=HASHER).outcome is PinOutcome.RIGHT
    assert guess(database, "000000", hasher=HASHER).outcome is PinOutcome.WRONG


def wrong_pins(database: Database, phone: str = "6281234567890") -> int:
    """How many are counted against a number."""
    row = database.read_now(lambda tx: tx.one("select wrong from pin_count where phone = :phone", {"phone": phone}))
    return row["wrong"] if row else 0


@pytest.mark.parametrize("phone", [PHONE, "081199999999"])
def test_three_wrong_pins_block_the_number_for_half_an_hour_whether_it_has_an_account_or_not(
    database: Database, siti: Account, phone: str
) -> None:
    checks = [guess(database, pin, phone) for pin in ("000000", "000001", "000002", PIN)]

    assert [(check.outcome, check.attempts_left, check.blocked_now) for check in checks] == [
        (PinOutcome.WRONG, 2, False),
        (PinOutcome.WRONG, 1, False),
        (PinOutcome.BLOCKED, 0, True),
        (PinOutcome.BLOCKED, 0, False),
    ]
    assert {check.account for check in checks} == {None}
    assert current(database, siti).status is AccountStatus.ACTIVE
    after = datetime.now(UTC) + PIN_BLOCK
    again = asyncio.run(confirm_pin(database, QuickHasher(), phone, PIN, now=after))
    assert again.outcome is (PinOutcome.RIGHT if phone == PHONE else PinOutcome.WRONG)


def test_a_right_pin_resets_the_count(database: Database, siti: Account) -> None:
    for _ in range(3):
        guess(database, "000000")
        assert guess(database, "000000").attempts_left == 1
        assert guess(database, PIN).outcome is PinOutcome.RIGHT

    assert current(database, siti) == siti


def test_unlocking_lets_the_customer_in_again_with_three_new_attempts(database: Database, siti: Account) -> None:
    for _ in range(3):
        guess(database, "000000")

    database.transact_now(lambda tx: unlock(tx, siti.id))

    assert guess(database, "000000").attempts_left == 2
    assert guess(database, PIN).outcome is PinOutcome.RIGHT


def test_of_20_wrong_guesses_at_once_at_most_three_are_evaluated(database: Database, siti: Account) -> None:
    hasher = QuickHasher()

    async def at_once() -> list[PinCheck]:
        return await asyncio.gather(*[confirm_pin(database, hasher, PHONE, f"{n:06d}") for n in range(20)])

    checks = asyncio.run(at_once())

    assert len(hasher.asked) == MAX_WRONG_PINS
    assert Counter(check.outcome for check in checks) == {PinOutcome.WRONG: 2, PinOutcome.BLOCKED: 18}


def test_the_right_pin_twenty_times_at_once_is_right_twenty_times(database: Database, siti: Account) -> None:
    """A button that is pressed again and again is no guessing."""

    async def at_once() -> list[PinCheck]:
        return await asyncio.gather(*[confirm_pin(database, HASHER, PHONE, PIN) for _ in range(20)])

    assert {check.outcome for check in asyncio.run(at_once())} == {PinOutcome.RIGHT}
    assert wrong_pins(database) == 0


def test_the_right_pin_among_many_guesses_at_once_never_opens_a_locked_account(database: Database, siti: Account) -> None:
    hasher = QuickHasher()

    async def at_once() -> list[PinCheck]:
        pins = ["000000", "000001", PIN, *[f"{n:06d}" for n in range(2, 17)]]
        return await asyncio.gather(*[confirm_pin(database, hasher, PHONE, pin) for pin in pins])

    opened = [check.account for check in asyncio.run(at_once()) if check.outcome is PinOutcome.RIGHT]

    assert all(account is not None and account.status is AccountStatus.ACTIVE for account in opened)


def test_a_crash_between_counting_and_settling_leaves_a_counted_attempt(database: Database, siti: Account) -> None:
    class Crash(QuickHasher):
        def verify(self, pin_hash: str | None, pin: str) -> bool:
            raise MemoryError("the process died here")

    for _ in range(MAX_WRONG_PINS):
        with pytest.raises(MemoryError):
            guess(database, "000000", hasher=Crash())
    database.transact_now(lambda tx: tx.execute("update pin_count set touched_real_at = touched_real_at - 60001"))

    assert guess(database, PIN).outcome is PinOutcome.BLOCKED
    assert guess(database, PIN).outcome is PinOutcome.BLOCKED
    later = datetime.now(UTC) + PIN_BLOCK
    assert asyncio.run(confirm_pin(database, QuickHasher(), PHONE, PIN, now=later)).outcome is PinOutcome.RIGHT


def test_waiting_for_tries_whose_process_died_does_not_keep_them_alive(
    database: Database, siti: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "_LONGEST_WAIT", timedelta(seconds=0))
    tries_of_a_dead_process = MAX_WRONG_PINS
    database.transact_now(lambda tx: [pins._begin(tx, PHONE, NOON) for _ in range(tries_of_a_dead_process)])

    for _ in range(2):
        with pytest.raises(StorageBusy):
            guess(database, PIN)
        more_than_half = {"ms": pins._DEAD_AFTER / timedelta(milliseconds=2) + 1}
        database.transact_now(
            lambda tx, ms=more_than_half: tx.execute("update pin_count set touched_real_at = touched_real_at - :ms", ms)
        )

    assert guess(database, PIN).outcome is PinOutcome.BLOCKED
    later = datetime.now(UTC) + PIN_BLOCK
    assert asyncio.run(confirm_pin(database, QuickHasher(), PHONE, PIN, now=later)).outcome is PinOutcome.RIGHT


@pytest.mark.parametrize("meanwhile", ["locked", "closed", "another PIN"])
def test_a_right_pin_opens_nothing_when_the_account_changed_while_it_was_checked(
    database: Database, siti: Account, meanwhile: str
) -> None:
    change = {
        "locked": "update wallet_account set status = 'LOCKED'",
        "closed": "update wallet_account set status = 'CLOSED'",
        "another PIN": "update wallet_account set pin_hash = 'another'",
    }[meanwhile]

    class Slow(QuickHasher):
        def verify(self, pin_hash: str | None, pin: str) -> bool:
            database.transact_now(lambda tx: tx.execute(change))
            return super().verify(pin_hash, pin)

    assert guess(database, PIN, hasher=Slow()).outcome is not PinOutcome.RIGHT


@pytest.mark.parametrize("who", ["a number nobody has", "no number at all", "an account without a PIN", "a closed account"])
def test_who_cannot_sign_in_is_answered_the_same_way_and_as_slowly(database: Database, siti: Account, who: str) -> None:
    database.transact_now(lambda tx: an_account(tx, "081100000001", pin_hash=None))
    database.transact_now(lambda tx: an_account(tx, "081100000002", status=AccountStatus.CLOSED))
    phone = {
        "a number nobody has": "081199999999",
        "no number at all": "siti@example.com",
        "an account without a PIN": "081100000001",
        "a closed account": "081100000002",
    }[who]
    hasher = QuickHasher()

    checks = [guess(database, PIN, phone, hasher) for _ in range(4)]

    others = [guess(database, "000000", "081234567893", hasher) for _ in range(4)]
    assert [(one.outcome, one.account, one.attempts_left) for one in checks] == [
        (one.outcome, one.account, one.attempts_left) for one in others
    ]
    assert hasher.asked[:3] == [(None, PIN)] * 3  # the slow hash is computed all the same


def test_known_and_unknown_numbers_cost_the_same_statements(database: Database, siti: Account) -> None:
    def statements(phone: str) -> list[list[str]]:
        said: list[list[str]] = []

        class Counting(QuickHasher):
            pass

        async def watched() -> None:
            transact = database.transact

            async def counted(fn: Callable[[Tx], Any]) -> Any:
                return await transact(lambda tx: fn(Overheard(tx, said)))

            database.transact = counted  # type: ignore[method-assign]
            try:
                await confirm_pin(database, Counting(), phone, "000000")
            finally:
                database.transact = transact  # type: ignore[method-assign]

        asyncio.run(watched())
        return said

    assert statements(PHONE) == statements("081199999999")


class Overheard:
    """A transaction that says which statements it ran."""

    def __init__(self, tx: Tx, said: list[list[str]]) -> None:
        self._tx = tx
        self._said: list[str] = []
        said.append(self._said)

    def __getattr__(self, name: str) -> Any:
        ask = getattr(self._tx, name)

        def asked(sql: str, *params: Any) -> Any:
            self._said.append(sql)
            return ask(sql, *params)

        return asked


def test_the_owner_ends_a_block_with_a_code_and_nobody_else_does(database: Database, siti: Account) -> None:
    settings = load_settings(env={}, given={"fixed_otp": "271828"})
    for _ in range(3):
        guess(database, "000000")

    def ask(phone: str) -> None:
        database.transact_now(lambda tx: send_unblocking_code(tx, phone, settings=settings, now=NOON))

    def enter(phone: str, code: str) -> bool:
        return database.transact_now(lambda tx: unblock(tx, phone, code, settings=settings, now=NOON))

    assert not enter(PHONE, "271828"), "none was sent"
    ask("081199999999")
    ask(PHONE)
    assert database.read_now(lambda tx: [row["phone"] for row in tx.all("select phone from message")]) == ["6281234567890"]
    assert not enter("081199999999", "271828")
    assert not enter(PHONE, "000000")
    assert guess(database, PIN).outcome is PinOutcome.BLOCKED
    assert enter("+62 812-3456-7890", "271828")
    assert not enter(PHONE, "271828"), "a code opens once"
    assert guess(database, PIN).outcome is PinOutcome.RIGHT


def test_asking_for_a_code_and_entering_one_tell_nobody_who_has_an_account(database: Database, siti: Account) -> None:
    settings = load_settings(env={}, given={"fixed_otp": "271828"})
    said: list[list[str]] = []
    entered = []
    for phone in (PHONE, "081199999999"):
        for _ in range(3):
            guess(database, "000000", phone)

        def ask(tx: Tx, phone: str = phone) -> None:
            send_unblocking_code(cast(Tx, Overheard(tx, said)), phone, settings=settings, now=NOON)

        def enter(tx: Tx, code: str, phone: str = phone) -> bool:
            return unblock(cast(Tx, Overheard(tx, said)), phone, code, settings=settings, now=NOON)

        database.transact_now(ask)
        entered.append([database.transact_now(partial(enter, code=code)) for code in ("000000", "271828", "271828")])
        entered[-1].append(guess(database, "000000", phone).attempts_left)

    known, unknown = said[:4], said[4:]
    assert entered[0] == entered[1] == [False, True, False, 2]
    assert [[sql for sql in one if "into message" not in sql] for one in known] == unknown
    assert database.read_now(lambda tx: [row["phone"] for row in tx.all("select phone from message")]) == ["6281234567890"]


def test_a_new_pin_replaces_the_old_one(database: Database, siti: Account) -> None:
    guess(database, "000000")

    database.transact_now(lambda tx: set_pin(tx, siti.id, HASHER.hash("135790")))

    assert wrong_pins(database) == 0
    assert guess(database, PIN, hasher=HASHER).outcome is PinOutcome.WRONG
    assert guess(database, "135790", hasher=HASHER).outcome is PinOutcome.RIGHT


def test_a_pin_is_nowhere_in_the_database_file(tmp_path: Path) -> None:
    pin = "739164"
    hasher = PinHasher(b"k" * 32)
    path = tmp_path / "gerbang.db"
    database = open_database(str(path))
    made = database.transact_now(lambda tx: an_account(tx, pin_hash=None, account_id="1140340010"))
    database.transact_now(lambda tx: set_pin(tx, made.id, hasher.hash(pin)))
    for attempt in ("739165", pin):
        guess(database, attempt, hasher=hasher)

    files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    database.close()

    assert any(b"$argon2id$" in content for content in files.values())
    assert [name for name, content in files.items() if pin.encode() in content or b"739165" in content] == []


# -- money and limits


def brought(database: Database, customer: Account, amount: int, *, now: datetime = NOON, limits: WalletLimits = LIMITS) -> str:
    try:
        database.transact_now(lambda tx: top_up(tx, customer, Rupiah(amount), limits=limits, now=now))
    except Refused as refused:
        return refused.reason.name
    return "in"


def spent(database: Database, customer: Account, amount: int, cause: str) -> None:
    transfer = Transfer(wallet_ledger_account(customer.id), account("merchant", "BRN-1", "payable"), Rupiah(amount))
    database.transact_now(lambda tx: post(tx, [transfer], cause=cause, now=NOON))


def holds(database: Database, customer: Account) -> int:
    return database.read_now(lambda tx: balance(tx, customer.id))


@pytest.mark.parametrize(("level", "most"), [(Level.BASIC, 2_000_000), (Level.PREMIUM, 20_000_000)])
def test_an_account_holds_up_to_its_limit_and_not_a_rupiah_more(database: Database, level: Level, most: int) -> None:
    customer = database.transact_now(lambda tx: an_account(tx, level=level))

    assert brought(database, customer, most + 1) == "BALANCE_LIMIT_EXCEEDED"
    assert brought(database, customer, most - 1) == "in"
    assert brought(database, customer, 2) == "BALANCE_LIMIT_EXCEEDED"
    assert brought(database, customer, 1) == "in"
    assert brought(database, customer, 1) == "BALANCE_LIMIT_EXCEEDED"
    assert holds(database, customer) == most


@pytest.mark.parametrize(
    ("level", "most", "step"), [(Level.BASIC, 20_000_000, 2_000_000), (Level.PREMIUM, 40_000_000, 20_000_000)]
)
def test_an_account_receives_up_to_its_monthly_limit_and_not_a_rupiah_more(
    database: Database, level: Level, most: int, step: int
) -> None:
    customer = database.transact_now(lambda tx: an_account(tx, level=level))
    for n in range(most // step):
        assert brought(database, customer, step - (1 if n == 0 else 0)) == "in"
        spent(database, customer, step - (1 if n == 0 else 0), f"pay_{n}")  # what goes out does not give the limit back

    assert brought(database, customer, 2) == "MONTHLY_LIMIT_EXCEEDED"
    assert brought(database, customer, 1) == "in"
    assert brought(database, customer, 1) == "MONTHLY_LIMIT_EXCEEDED"


def test_the_month_begins_at_midnight_in_jakarta(database: Database, siti: Account) -> None:
    limits = replace(LIMITS, basic_monthly=100, basic_balance=1_000)
    midnight = datetime(2026, 6, 1, tzinfo=WIB)
    assert midnight.astimezone(UTC) == datetime(2026, 5, 31, 17, tzinfo=UTC)
    last_of_may = (midnight - timedelta(milliseconds=1)).astimezone(UTC)

    assert brought(database, siti, 100, now=last_of_may, limits=limits) == "in"
    assert brought(database, siti, 1, now=last_of_may, limits=limits) == "MONTHLY_LIMIT_EXCEEDED"
    assert brought(database, siti, 100, now=midnight.astimezone(UTC), limits=limits) == "in"
    assert brought(database, siti, 1, now=midnight + timedelta(days=29, hours=23), limits=limits) == "MONTHLY_LIMIT_EXCEEDED"
    assert brought(database, siti, 1, now=datetime(2026, 7, 1, tzinfo=WIB), limits=limits) == "in"


def test_what_comes_from_another_customer_counts_too(database: Database, siti: Account) -> None:
    budi = database.transact_now(lambda tx: an_account(tx, "081234567891", name="Budi"))
    limits = replace(LIMITS, basic_monthly=100)
    brought(database, budi, 60)
    transfer = Transfer(wallet_ledger_account(budi.id), wallet_ledger_account(siti.id), Rupiah(60))
    database.transact_now(lambda tx: post(tx, [transfer], cause="p2p_1", now=NOON))

    assert brought(database, siti, 41, limits=limits) == "MONTHLY_LIMIT_EXCEEDED"
    assert brought(database, siti, 40, limits=limits) == "in"


@pytest.mark.parametrize(
    ("limits", "fitting"), [(replace(LIMITS, basic_balance=1_000), 10), (replace(LIMITS, basic_monthly=700), 7)]
)
def test_of_40_top_ups_at_once_no_more_come_in_than_the_limit_allows(
    database: Database, siti: Account, limits: WalletLimits, fitting: int
) -> None:
    with ThreadPoolExecutor(40) as threads:
        outcomes = Counter(threads.map(lambda _: brought(database, siti, 100, limits=limits), range(40)))

    assert outcomes["in"] == fitting
    assert holds(database, siti) == 100 * fitting


@pytest.mark.parametrize("amount", [0, -1])
def test_a_top_up_of_nothing_is_refused(database: Database, siti: Account, amount: int) -> None:
    assert brought(database, siti, amount) == "FIELD_INVALID"


def test_a_closed_account_receives_nothing_and_a_locked_one_does(database: Database) -> None:
    closed = database.transact_now(lambda tx: an_account(tx, status=AccountStatus.CLOSED))
    locked = database.transact_now(lambda tx: an_account(tx, "081234567892", status=AccountStatus.LOCKED))

    assert brought(database, closed, 10) == "ACCOUNT_CLOSED"
    assert brought(database, locked, 10) == "in"


def test_the_history_shows_what_came_in_and_went_out_newest_first(database: Database, siti: Account) -> None:
    brought(database, siti, 1_000, now=NOON - timedelta(days=1))
    for n in range(5):  # all in the same millisecond of business time
        spent(database, siti, 10 + n, f"buy_{n}")

    lines = database.read_now(lambda tx: history(tx, siti.id))

    assert [line.amount for line in lines] == [14, 13, 12, 11, 10, 1_000]
    assert [line.amount for line in database.read_now(lambda tx: history(tx, siti.id, limit=2))] == [14, 13]


def test_a_closed_account_stays_closed(database: Database, siti: Account) -> None:
    database.transact_now(lambda tx: tx.execute("update wallet_account set status = 'CLOSED'"))

    with pytest.raises(Refused) as refused:
        database.transact_now(lambda tx: unlock(tx, siti.id))

    assert refused.value.reason is Reason.ACCOUNT_CLOSED
    assert current(database, siti).status is AccountStatus.CLOSED
