"""Everything that has to be true, recomputed: what `gerbang verify`, the control API and the tests ask."""

from gerbang.ledger import Problem, verify
from gerbang.payments import verify_payments
from gerbang.payments.unexpected import verify_unexpected
from gerbang.storage import Tx
from gerbang.wallet.operations import verify_operations


def problems(tx: Tx) -> list[Problem]:
    """What is not as it must be: in the ledger, among payments and refunds, in unexpected money, among the wallet's operations."""
    return verify(tx) + verify_payments(tx) + verify_unexpected(tx) + verify_operations(tx)
