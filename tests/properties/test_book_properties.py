"""Random histories of a wallet: whatever happens in whatever order, the books equal a model of a dozen lines."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gerbang.errors import Reason, Refused
from gerbang.ledger import Transfer, account, balance_of, statement, verify
from gerbang.money import Rupiah
from gerbang.payments import Move, Payment, PaymentState, advance, finish, get_payment, open_order, verify_payments
from gerbang.storage import Database, open_database
from gerbang.wallet import Level, WalletLimits, balance, create_account, get_account, top_up, wallet_ledger_account
from support.gateway import NOON

LIMITS = WalletLimits(basic_balance=10_000, basic_monthly=25_000, premium_balance=50_000, premium_monthly=80_000)
SHOPS = ("BRN-1", "BRN-2")
SHOP = {shop: account("merchant", shop, "payable") for shop in SHOPS}
FEES = account("income", "mdr")
TABLES = ("event", "payment", "orders", "transfer", "balance", "wallet_account")

amounts = st.one_of(st.integers(1, 3_000), st.sampled_from([1, 9_999, 10_000, 10_001, 50_000]))


@contextmanager
def refusing(expected: Reason | None) -> Iterator[None]:
    """The block is refused for exactly this reason, or, with None, not at all."""
    said = None
    try:
        yield
    except Refused as refused:
        said = refused.reason
    assert said == expected


class Book(RuleBasedStateMachine):
    """Top-ups, payments, failures and crashes on a real database, and beside it the model: some numbers in dictionaries."""

    database: Database  # given by each test

    customers = Bundle("customers")
    payments = Bundle("payments")

    @initialize()
    def empty(self) -> None:
        self.database.transact_now(lambda tx: [tx.execute(f"delete from {table}") for table in TABLES])
        self.now = NOON
        self.money: Counter[str] = Counter()
        self.received: Counter[tuple[str, int]] = Counter()
        self.level: dict[str, Level] = {}
        self.state: dict[str, PaymentState] = {}
        self.of: dict[str, Payment] = {}
        self.made = 0

    @rule(target=customers, level=st.sampled_from(Level))
    def join(self, level: Level) -> str:
        phone = f"0812{len(self.level):07d}"
        made = self.database.transact_now(lambda tx: create_account(tx, phone=phone, name="A", level=level, now=self.now))
        self.level[made.id] = level
        return made.id

    @rule(customer=customers, amount=amounts)
    def pay_in(self, customer: str, amount: int) -> None:
        name, month = wallet_ledger_account(customer), self.now.month
        expected = None
        if self.money[name] + amount > LIMITS.balance_of(self.level[customer]):
            expected = Reason.BALANCE_LIMIT_EXCEEDED
        elif self.received[customer, month] + amount > LIMITS.monthly_of(self.level[customer]):
            expected = Reason.MONTHLY_LIMIT_EXCEEDED

        with refusing(expected):
            self.database.transact_now(
                lambda tx: top_up(tx, get_account(tx, customer), Rupiah(amount), limits=LIMITS, now=self.now)
            )

        if expected is None:
            self.money[name] += amount
            self.money["cash:topup"] -= amount
            self.received[customer, month] += amount

    @rule(target=payments, shop=st.sampled_from(SHOPS), amount=amounts)
    def order(self, shop: str, amount: int) -> str:
        self.made += 1
        _, payment = self.database.transact_now(
            lambda tx: open_order(
                tx,
                merchant_id=shop,
                invoice_number=f"INV-{self.made}",
                amount=Rupiah(amount),
                channel="EMONEY_DOKU",
                request_id=f"req-{self.made}",
                details={},
                expires_at=self.now + timedelta(hours=1),
                now=self.now,
            )
        )
        self.state[payment.id] = PaymentState.PENDING
        self.of[payment.id] = payment
        return payment.id

    @rule(payment=payments, customer=customers, stale=st.booleans(), crash=st.booleans(), with_fee=st.booleans())
    def pay(self, payment: str, customer: str, stale: bool, crash: bool, with_fee: bool) -> None:
        opened = self.of[payment]
        name, shop, fee = wallet_ledger_account(customer), SHOP[opened.merchant_id], 5 if with_fee and opened.amount > 5 else 0
        expected = None
        if self.state[payment] is not PaymentState.PENDING:
            expected = Reason.PAYMENT_MOVED_ON
        elif self.money[name] < opened.amount:
            expected = Reason.BALANCE_TOO_SMALL
        transfers = [Transfer(name, shop, opened.amount)]
        if fee:
            transfers.append(Transfer(shop, FEES, Rupiah(fee), "fee"))

        def settle(tx):  # type: ignore[no-untyped-def]
            # A stale caller decides on what it saw when the order was opened.
            current = opened if stale else get_payment(tx, payment)[1]
            finish(tx, current, transfers=transfers, payer=customer, approval_code="123456", now=self.now)
            if crash:
                raise ConnectionError

        with refusing(expected):
            try:
                self.database.transact_now(settle)
            except ConnectionError:
                return
        if expected is None:
            self.state[payment] = PaymentState.SUCCESS
            self.money[name] -= opened.amount
            self.money[shop] += opened.amount - fee
            self.money[FEES] += fee

    @rule(payment=payments, move=st.sampled_from([Move.DECLINED, Move.CANCELLED, Move.TIMED_OUT]), stale=st.booleans())
    def end_unpaid(self, payment: str, move: Move, stale: bool) -> None:
        expected = None if self.state[payment] is PaymentState.PENDING else Reason.PAYMENT_MOVED_ON

        with refusing(expected):
            self.database.transact_now(
                lambda tx: advance(tx, self.of[payment] if stale else get_payment(tx, payment)[1], move, now=self.now)
            )

        if expected is None:
            self.state[payment] = {
                Move.DECLINED: PaymentState.FAILED,
                Move.CANCELLED: PaymentState.CANCELLED,
                Move.TIMED_OUT: PaymentState.EXPIRED,
            }[move]

    @rule(days=st.integers(0, 20))
    def time_passes(self, days: int) -> None:
        if self.now + timedelta(days=days) < NOON + timedelta(days=200):  # within one year, so that a month has one number
            self.now += timedelta(days=days)

    @invariant()
    def the_books_equal_the_model(self) -> None:
        def look(tx):  # type: ignore[no-untyped-def]
            return (
                verify(tx) + verify_payments(tx),
                {name: credit - debit for name, (debit, credit) in statement(tx).items()},
                {customer: balance(tx, customer) for customer in self.level},
                {shop: balance_of(tx, name) for shop, name in SHOP.items()},
                {payment: get_payment(tx, payment)[1].state for payment in self.of},
            )

        problems, totals, wallets, shops, states = self.database.read_now(look)

        assert problems == []
        assert sum(totals.values()) == 0
        assert Counter(totals) == self.money
        assert wallets == {customer: self.money[wallet_ledger_account(customer)] for customer in self.level}
        assert shops == {shop: self.money[name] for shop, name in SHOP.items()}
        assert states == self.state
        assert all(held >= 0 for held in wallets.values())


def test_any_history_keeps_every_invariant_and_equals_the_model(data_address: str, engine: str) -> None:
    with closing(open_database(data_address, connections=2)) as opened:

        class OnThisDatabase(Book):
            database = opened

        run_state_machine_as_test(
            OnThisDatabase,
            settings=settings(
                max_examples=60 if engine == "sqlite" else 20,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
