"""Whose customer token it is: a binding that stands, of an account that may be used."""

from dataclasses import dataclass

from gerbang.storage import Tx
from gerbang.wallet import AccountStatus, get_account
from gerbang.wallet.bindings import get_binding


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer who consented to the partner that calls."""

    account_id: str
    binding_id: str


def customer_of(tx: Tx, binding_id: str) -> Customer | None:
    """The customer; None when the binding ended or the account is not active."""
    binding = get_binding(tx, binding_id)
    if binding is None or binding.state != "ACTIVE":
        return None
    account = get_account(tx, binding.account_id)
    return Customer(account.id, binding.id) if account.status is AccountStatus.ACTIVE else None
