"""Account names. The first part says what kind of account it is, and with that whether it keeps a balance row."""

# Accounts of these kinds belong to somebody and may not fall below their floor (0): they keep a balance row, updated by
# compare-and-set. All others are the system's own; they keep none, so that no row is shared by all payments.
_KINDS_WITH_BALANCE = frozenset({"wallet", "merchant"})


def account(kind: str, *parts: str) -> str:
    """`account("wallet", "1140340010")` is `wallet:1140340010`."""
    assert kind and ":" not in kind, kind
    return ":".join((kind, *parts))


def keeps_balance(name: str) -> bool:
    """Whether the account has a balance row. Its balance is credits less debits: what we owe its owner."""
    return name.split(":", 1)[0] in _KINDS_WITH_BALANCE
