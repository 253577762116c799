"""Account names. The first part says what kind of account it is, and with that whether it keeps a balance row."""

# Accounts of these kinds belong to somebody and may not fall below their floor (0): they keep a balance row, updated by
# compare-and-set. All others are the system's own; they keep none, so that no row is shared by all payments.
_KINDS_WITH_BALANCE = frozenset({"wallet", "merchant"})

# What such an account may not fall below. The row says it again, and the schema checks it there.
FLOOR = 0


def account(kind: str, *parts: str) -> str:
    """`account("wallet", "1140340010")` is `wallet:1140340010`."""
    assert kind, parts
    assert ":" not in kind, kind
    return ":".join((kind, *parts))


def keeps_balance(name: str) -> bool:
    """Whether the account has a balance row. Its balance is credits less debits: what we owe its owner."""
    return name.split(":", 1)[0] in _KINDS_WITH_BALANCE


def chain_of(debit: str, credit: str) -> str | None:
    """The account whose hash chain a transfer belongs to: the debited one if it keeps a balance, else the credited one."""
    return next((name for name in (debit, credit) if keeps_balance(name)), None)
