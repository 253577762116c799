"""The DOKU Wallet: customers' accounts, their PINs, limits and money."""

from gerbang.wallet.accounts import (
    Account,
    AccountStatus,
    Level,
    create_account,
    find_account,
    get_account,
    list_accounts,
    wallet_ledger_account,
)
from gerbang.wallet.limits import WalletLimits, check_incoming
from gerbang.wallet.money import balance, history, top_up
from gerbang.wallet.pins import PinHasher, PinOutcome, confirm_pin, set_pin, unlock

__all__ = [
    "Account",
    "AccountStatus",
    "Level",
    "PinHasher",
    "PinOutcome",
    "WalletLimits",
    "balance",
    "check_incoming",
    "confirm_pin",
    "create_account",
    "find_account",
    "get_account",
    "history",
    "list_accounts",
    "set_pin",
    "top_up",
    "unlock",
    "wallet_ledger_account",
]
