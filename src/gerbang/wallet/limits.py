"""How much an account may hold and receive (PBI 20/6/PBI/2018 and the BI decision of April 2022; amounts are settings)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gerbang.clock import WIB, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ledger import account, balance_of, hold
from gerbang.money import Rupiah
from gerbang.settings import Settings
from gerbang.storage import Tx
from gerbang.wallet.accounts import Account, Level, wallet_ledger_account

# How long money of a wallet may stay reserved: so far back one has to look for what is.
LONGEST_HOLD = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class WalletLimits:
    """Whole rupiah per level; `monthly` counts what comes in per calendar month, Jakarta time."""

    basic_balance: int
    basic_monthly: int
    premium_balance: int
    premium_monthly: int

    @classmethod
    def of(cls, settings: Settings) -> "WalletLimits":
        """The limits as set."""
        return cls(
            basic_balance=settings.wallet_basic_balance_limit,
            basic_monthly=settings.wallet_basic_monthly_limit,
            premium_balance=settings.wallet_premium_balance_limit,
            premium_monthly=settings.wallet_premium_monthly_limit,
        )

    def balance_of(self, level: Level) -> int:
        return self.premium_balance if level is Level.PREMIUM else self.basic_balance

    def monthly_of(self, level: Level) -> int:
        return self.premium_monthly if level is Level.PREMIUM else self.basic_monthly


def check_incoming(tx: Tx, customer: Account, amount: Rupiah, *, limits: WalletLimits, now: datetime) -> None:
    """Raise Refused(BALANCE_LIMIT_EXCEEDED or MONTHLY_LIMIT_EXCEEDED) when the account may not receive this amount.

    The account is held until the transaction ends, so what is allowed here cannot be taken by somebody else before it is booked.
    """
    hold(tx, wallet_ledger_account(customer.id))
    allowance = allowance_of(tx, customer, limits=limits, now=now)
    if amount > allowance.balance:
        allowed = limits.balance_of(customer.level)
        held = allowed - allowance.balance
        raise Refused(Reason.BALANCE_LIMIT_EXCEEDED, account_id=customer.id, balance=held, amount=amount, limit=allowed)
    if amount > allowance.month:
        allowed = limits.monthly_of(customer.level)
        received = allowed - allowance.month
        raise Refused(Reason.MONTHLY_LIMIT_EXCEEDED, account_id=customer.id, received=received, amount=amount, limit=allowed)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much more an account may hold, and receive this month; below 0 where it is over already."""

    balance: int
    month: int

    @property
    def incoming(self) -> Rupiah:
        """The most that may come in now."""
        return Rupiah(max(0, min(self.balance, self.month)))


def allowance_of(tx: Tx, customer: Account, *, limits: WalletLimits, now: datetime) -> Allowance:
    """What the level leaves. Money on its way out may come back, so it counts as held; what came back was not received."""
    name = wallet_ledger_account(customer.id)
    month = now.astimezone(WIB).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    row = tx.one(
        "select coalesce(sum(amount), 0) as received from transfer"
        " where credit = :account and at >= :since and entry not in ('release', 'return')",
        {"account": name, "since": to_ms(month)},
    )
    assert row is not None
    holds = balance_of(tx, name) + money_held(tx, customer.id, now=now)
    return Allowance(limits.balance_of(customer.level) - holds, limits.monthly_of(customer.level) - int(row["received"]))


def money_held(tx: Tx, account_id: str, *, now: datetime) -> Rupiah:
    """The customer's money that they cannot spend and nobody else has: reserved for merchants, or on its way to a bank."""
    row = tx.one(
        "select coalesce(sum(h.amount), 0) as held from transfer h where h.debit = :account and h.at >= :since and h.entry = 'hold'"
        " and not exists (select 1 from transfer r where r.cause = h.cause and r.entry = 'release')",
        {"account": wallet_ledger_account(account_id), "since": to_ms(now - LONGEST_HOLD - timedelta(days=1))},
    )
    assert row is not None
    return Rupiah(int(row["held"]) + balance_of(tx, transit_account(account_id)))


def transit_account(account_id: str) -> str:
    """The ledger account of a customer's money that is on its way to a bank."""
    return account("wallet", account_id, "transit")
