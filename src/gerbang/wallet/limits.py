"""How much an account may hold and receive (PBI 20/6/PBI/2018 and the BI decision of April 2022; amounts are settings)."""

from dataclasses import dataclass
from datetime import datetime

from gerbang.clock import WIB, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ledger import hold
from gerbang.money import Rupiah
from gerbang.settings import Settings
from gerbang.storage import Tx
from gerbang.wallet.accounts import Account, Level, wallet_ledger_account


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
    name = wallet_ledger_account(customer.id)
    holds, allowed = hold(tx, name), limits.balance_of(customer.level)
    if holds + amount > allowed:
        raise Refused(Reason.BALANCE_LIMIT_EXCEEDED, account_id=customer.id, balance=holds, amount=amount, limit=allowed)
    month = now.astimezone(WIB).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    row = tx.one(
        "select coalesce(sum(amount), 0) as received from transfer where credit = :account and at >= :since",
        {"account": name, "since": to_ms(month)},
    )
    assert row is not None
    received, allowed = int(row["received"]), limits.monthly_of(customer.level)
    if received + amount > allowed:
        raise Refused(Reason.MONTHLY_LIMIT_EXCEEDED, account_id=customer.id, received=received, amount=amount, limit=allowed)
