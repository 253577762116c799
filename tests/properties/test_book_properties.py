"""Random histories of wallets and of cards: whatever happens in whatever order, the books equal a model of some dozen lines."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gerbang.errors import Reason, Refused
from gerbang.ledger import Transfer, account, balance_of, post, statement, verify
from gerbang.money import Rupiah
from gerbang.payments import (
    Move,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    RefundType,
    advance,
    authorise,
    complete_refund,
    fail_refund,
    finish,
    get_payment,
    let_go,
    open_order,
    open_refund,
    payments_of,
    refunds_of,
    refuse_refund,
    take,
    verify_payments,
)
from gerbang.storage import Database, open_database
from gerbang.wallet import Level, WalletLimits, balance, create_account, get_account, top_up, wallet_ledger_account
from support.gateway import NOON

pytestmark = pytest.mark.slow


LIMITS = WalletLimits(basic_balance=10_000, basic_monthly=25_000, premium_balance=50_000, premium_monthly=80_000)
SHOPS = ("BRN-1", "BRN-2")
SHOP = {shop: account("merchant", shop, "payable") for shop in SHOPS}
FEES = account("income", "mdr")
TABLES = ("event", "refund", "payment", "orders", "transfer", "balance", "wallet_account")

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


# -- cards

BANK = account("acquirer", "BCA")
CARD_FEES = account("fee", "CREDIT_CARD")
PROMISED = account("promised", "issuers")
HELD = {shop: account("merchant", shop, "authorised") for shop in SHOPS}
REFUNDING = {shop: account("merchant", shop, "refunding") for shop in SHOPS}

PENDING, AUTHORISED, SUCCESS = PaymentState.PENDING, PaymentState.AUTHORISED, PaymentState.SUCCESS
REFUNDABLE = (SUCCESS, PaymentState.PARTIALLY_REFUNDED)


picks = st.integers(0, 99)
mostly = st.sampled_from([True, True, True, False])


@dataclass
class Attempt:
    """The model's payment."""

    shop: str
    opened: Payment
    state: PaymentState = PENDING
    held: int = 0
    charged: int = 0
    fee: int = 0
    going: dict[str, tuple[int, RefundType]] = field(default_factory=dict)  # refunds on their way
    gone: int = 0

    @property
    def refunded(self) -> int:
        return self.gone + sum(amount for amount, _ in self.going.values())

    @property
    def fee_back(self) -> int:
        """The fee's part that goes with the refunds, rounded down."""
        return int(Fraction(self.fee * self.refunded, self.charged)) if self.charged else 0


class CardBook(RuleBasedStateMachine):
    """Authorisations, captures, voids, refunds, failures and second attempts, by callers that know the newest or the oldest."""

    database: Database  # given by each test

    orders = Bundle("orders")

    @initialize()
    def empty(self) -> None:
        self.database.transact_now(lambda tx: [tx.execute(f"delete from {table}") for table in TABLES])
        self.attempts: dict[str, list[Attempt]] = {}
        self.refunds: list[tuple[Refund, Attempt]] = []
        self.spent: Counter[str] = Counter()
        self.made = 0

    def now_or_then(self, tx, attempt: Attempt, stale: bool) -> Payment:  # type: ignore[no-untyped-def]
        # A stale caller decides on what it saw when the payment was opened.
        return attempt.opened if stale else get_payment(tx, attempt.opened.id)[1]

    def payable(self, shop: str) -> int:
        of_shop = [one for attempts in self.attempts.values() for one in attempts if one.shop == shop]
        return sum(one.charged - one.fee - one.refunded + one.fee_back for one in of_shop if not one.held) - self.spent[shop]

    def ask(self, tx, shop: str, invoice: str, amount: int):  # type: ignore[no-untyped-def]
        at = NOON + timedelta(seconds=self.made)
        return open_order(
            tx,
            merchant_id=shop,
            invoice_number=invoice,
            amount=Rupiah(amount),
            channel="CREDIT_CARD",
            request_id=f"req-{self.made}",
            details={},
            expires_at=at + timedelta(hours=1),
            now=at,
            retriable=True,
        )

    @rule(target=orders, shop=st.sampled_from(SHOPS), amount=amounts)
    def order(self, shop: str, amount: int) -> str:
        self.made += 1
        order, payment = self.database.transact_now(lambda tx: self.ask(tx, shop, f"INV-{self.made}", amount))
        self.attempts[order.invoice_number] = [Attempt(shop, payment)]
        return str(order.invoice_number)

    @rule(target=orders, shop=st.sampled_from(SHOPS), amount=amounts, rate=st.sampled_from([0, 29, 500]), hold=st.booleans())
    def sale(self, shop: str, amount: int, rate: int, hold: bool) -> str:
        """What most orders become; the rules one by one would seldom come this far."""
        order = self.order(shop, amount)
        if hold:
            self.authorise(order, -1, 100, False)
        if not hold or rate:
            self.take(order, -1, 100, rate)
        return order

    @rule(order=orders, amount=amounts)
    def reopen(self, order: str, amount: int) -> None:
        attempts = self.attempts[order]
        last = attempts[-1]
        unpaid = (PENDING, PaymentState.FAILED, PaymentState.CANCELLED, PaymentState.EXPIRED)
        expected = None if last.state in unpaid else Reason.INVOICE_ALREADY_PAID
        self.made += 1

        with refusing(expected):
            _, payment = self.database.transact_now(lambda tx: self.ask(tx, last.shop, order, amount))

        if expected is None:
            if last.state is PENDING:
                last.state = PaymentState.REPLACED
            attempts.append(Attempt(last.shop, payment))

    @rule(order=orders, which=st.sampled_from([0, -1]), percent=st.integers(1, 100), stale=st.booleans())
    def authorise(self, order: str, which: int, percent: int, stale: bool) -> None:
        attempt = self.attempts[order][which]
        amount = max(1, attempt.opened.amount * percent // 100)  # less after a promo
        expected = None if attempt.state is PENDING else Reason.PAYMENT_MOVED_ON

        with refusing(expected):
            self.database.transact_now(
                lambda tx: authorise(
                    tx,
                    self.now_or_then(tx, attempt, stale),
                    amount=Rupiah(amount),
                    payer="4811",
                    approval_code="123456",
                    capture_before=NOON + timedelta(days=7),
                    now=NOON,
                )
            )

        if expected is None:
            attempt.state, attempt.held, attempt.charged = AUTHORISED, amount, amount

    @rule(order=orders, which=st.sampled_from([0, -1]), percent=st.integers(1, 101), rate=st.sampled_from([0, 29, 500, 1_000]))
    def take(self, order: str, which: int, percent: int, rate: int) -> None:
        """A sale, or the capture of an authorisation: of all, of a part, or of too much."""
        attempt = self.attempts[order][which]
        whole = attempt.held or attempt.opened.amount
        amount = whole + 1 if percent > 100 and attempt.held else max(1, whole * min(percent, 100) // 100)
        fee = amount * rate // 1_000
        expected = None
        if attempt.state not in (PENDING, AUTHORISED):
            expected = Reason.PAYMENT_MOVED_ON
        elif attempt.going:
            expected = Reason.PAYMENT_BUSY
        elif attempt.held and amount > attempt.held:
            expected = Reason.CAPTURE_TOO_LARGE

        with refusing(expected):
            self.database.transact_now(
                lambda tx: take(
                    tx,
                    get_payment(tx, attempt.opened.id)[1],
                    source=BANK,
                    amount=Rupiah(amount),
                    fee=Rupiah(fee),
                    settles_at=NOON + timedelta(hours=1),
                    now=NOON,
                )
            )

        if expected is None:
            attempt.state, attempt.held, attempt.charged, attempt.fee = SUCCESS, 0, amount, fee

    @rule(order=orders, which=st.sampled_from([0, -1]))
    def release(self, order: str, which: int) -> None:
        attempt = self.attempts[order][which]
        if not attempt.held:  # nobody looks for anything but authorisations to release
            return
        expected = Reason.PAYMENT_BUSY if attempt.going else None

        with refusing(expected):
            self.database.transact_now(lambda tx: let_go(tx, get_payment(tx, attempt.opened.id)[1], Move.RELEASED, now=NOON))

        if expected is None:
            attempt.state, attempt.held, attempt.charged = PaymentState.RELEASED, 0, 0

    @rule(order=orders, move=st.sampled_from([Move.DECLINED, Move.CANCELLED, Move.TIMED_OUT]), stale=st.booleans())
    def end_unpaid(self, order: str, move: Move, stale: bool) -> None:
        attempt = self.attempts[order][-1]
        expected = None if attempt.state is PENDING else Reason.PAYMENT_MOVED_ON

        with refusing(expected):
            self.database.transact_now(lambda tx: advance(tx, self.now_or_then(tx, attempt, stale), move, now=NOON))

        if expected is None:
            attempt.state = {
                Move.DECLINED: PaymentState.FAILED,
                Move.CANCELLED: PaymentState.CANCELLED,
                Move.TIMED_OUT: PaymentState.EXPIRED,
            }[move]

    @rule(shop=st.sampled_from(SHOPS), percent=st.integers(1, 100))
    def pay_out(self, shop: str, percent: int) -> None:
        amount = self.payable(shop) * percent // 100
        if amount > 0:
            self.made += 1
            out = [Transfer(SHOP[shop], "cash:payout", Rupiah(amount), "payout")]
            self.database.transact_now(lambda tx: post(tx, out, cause=f"out_{self.made}", now=NOON))
            self.spent[shop] += amount

    @rule(
        n=picks,
        lively=mostly,
        percent=st.sampled_from([1, 10, 33, 50, 67, 100]),
        void=st.sampled_from([False, False, False, True]),
        stale=st.booleans(),
    )
    def open_refund(self, n: int, lively: bool, percent: int, void: bool, stale: bool) -> None:
        every = [one for attempts in self.attempts.values() for one in attempts]
        chosen = [one for one in every if not lively or one.state in (AUTHORISED, *REFUNDABLE)]
        if not chosen:
            return
        attempt = chosen[n % len(chosen)]
        amount = max(1, attempt.charged if void else attempt.charged * percent // 100)
        expected = None
        if attempt.state not in (AUTHORISED, *REFUNDABLE):
            expected = Reason.REFUND_TOO_LARGE if attempt.gone else Reason.PAYMENT_NOT_PAID
        elif attempt.refunded + amount > attempt.charged:
            expected = Reason.REFUND_TOO_LARGE
        elif attempt.state is AUTHORISED and not void:
            expected = Reason.PAYMENT_NOT_PAID
        elif attempt.state is not AUTHORISED:
            after = replace(attempt, gone=attempt.gone + amount)
            if self.payable(attempt.shop) + after.fee_back - attempt.fee_back < amount:
                expected = Reason.BALANCE_TOO_SMALL
        type = RefundType.VOID if void else RefundType.PARTIAL_REFUND

        with refusing(expected):
            refund = self.database.transact_now(
                lambda tx: open_refund(
                    tx,
                    self.now_or_then(tx, attempt, stale),
                    amount=Rupiah(amount),
                    type=type,
                    request_id="req-r",
                    now=NOON,
                )
            )

        if expected is None:
            attempt.going[refund.id] = (amount, type)
            self.refunds.append((refund, attempt))

    @rule(n=picks, lively=mostly, succeeds=mostly, crash=st.sampled_from([False, False, False, True]))
    def end_refund(self, n: int, lively: bool, succeeds: bool, crash: bool) -> None:
        chosen = [(opened, attempt) for opened, attempt in self.refunds if not lively or opened.id in attempt.going]
        if not chosen:
            return
        opened, attempt = chosen[n % len(chosen)]
        expected = None if opened.id in attempt.going else Reason.PAYMENT_MOVED_ON

        def end(tx):  # type: ignore[no-untyped-def]
            if succeeds:
                complete_refund(tx, opened, approval_code="654321", message=None, now=NOON)
            else:
                fail_refund(tx, opened, message="no", now=NOON)
            if crash:
                raise ConnectionError

        with refusing(expected):
            try:
                self.database.transact_now(end)
            except ConnectionError:
                return
        if expected is not None:
            return
        amount, type = attempt.going.pop(opened.id)
        if not succeeds:
            return
        attempt.gone += amount
        if type is RefundType.VOID:
            attempt.state, attempt.held = PaymentState.VOIDED, 0
        else:
            attempt.state = PaymentState.REFUNDED if attempt.gone == attempt.charged else PaymentState.PARTIALLY_REFUNDED

    @rule(order=orders, which=st.sampled_from([0, -1]), stale=st.booleans())
    def refuse_refund(self, order: str, which: int, stale: bool) -> None:
        attempt = self.attempts[order][which]
        self.database.transact_now(
            lambda tx: refuse_refund(
                tx,
                self.now_or_then(tx, attempt, stale),
                amount=Rupiah(1),
                type=RefundType.VOID,
                request_id="req-r",
                message="not the whole",
                now=NOON,
            )
        )

    @invariant()
    def the_books_equal_the_model(self) -> None:
        def look(tx):  # type: ignore[no-untyped-def]
            orders = {
                invoice: (order.state.value, [one.state for one in payments_of(tx, order.id)])
                for invoice, attempts in self.attempts.items()
                for order in [get_payment(tx, attempts[0].opened.id)[0]]
            }
            gone = {
                one.opened.id: sum(
                    refund.amount for refund in refunds_of(tx, one.opened.id) if refund.state is RefundState.SUCCESS
                )
                for attempts in self.attempts.values()
                for one in attempts
            }
            return verify(tx) + verify_payments(tx), statement(tx), orders, gone

        problems, totals, orders, gone = self.database.read_now(look)
        every = [one for attempts in self.attempts.values() for one in attempts]
        taken = [one for one in every if one.charged and not one.held and one.state is not PaymentState.RELEASED]

        assert problems == []
        assert orders == {
            invoice: (ORDER_WORD.get(attempts[-1].state, attempts[-1].state.value), [one.state for one in attempts])
            for invoice, attempts in self.attempts.items()
        }
        for one in every:
            assert gone[one.opened.id] == one.gone <= one.charged
        for one in taken:
            ideal = one.fee * (one.charged - one.refunded) / one.charged
            assert 0 <= one.fee - one.fee_back - ideal < 1
        for shop in SHOPS:
            assert self.payable(shop) >= 0
        money: Counter[str] = Counter()
        for one in every:
            money[HELD[one.shop]] += one.held
            money[PROMISED] -= one.held
        for one in taken:
            money[BANK] -= one.charged - one.gone
            money[REFUNDING[one.shop]] += one.refunded - one.gone
            money[CARD_FEES] += one.fee - one.fee_back
        for shop in SHOPS:
            money[SHOP[shop]] += self.payable(shop)
            money["cash:payout"] += self.spent[shop]
        assert {name: credit - debit for name, (debit, credit) in totals.items() if credit != debit} == {
            name: amount for name, amount in money.items() if amount
        }


# Where an order's word is another than its payment's.
ORDER_WORD = {PENDING: "OPEN", SUCCESS: "PAID"}


def test_any_history_of_cards_keeps_every_invariant_and_equals_the_model(data_address: str, engine: str) -> None:
    with closing(open_database(data_address, connections=2)) as opened:

        class OnThisDatabase(CardBook):
            database = opened

        run_state_machine_as_test(
            OnThisDatabase,
            settings=settings(
                max_examples=80 if engine == "sqlite" else 20,
                stateful_step_count=50,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
