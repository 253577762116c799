"""Double-entry bookkeeping: transfers with one debit and one credit, balances with a floor, and their verification."""

from gerbang.ledger.accounts import account, keeps_balance
from gerbang.ledger.journal import Line, Transfer, balance_of, entries, hold, post, statement
from gerbang.ledger.verification import Problem, extent, verify

__all__ = [
    "Line",
    "Problem",
    "Transfer",
    "account",
    "balance_of",
    "entries",
    "extent",
    "hold",
    "keeps_balance",
    "post",
    "statement",
    "verify",
]
