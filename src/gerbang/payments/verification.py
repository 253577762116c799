"""Do payments and the journal tell the same story?"""

from gerbang.ledger import Problem
from gerbang.storage import Tx


def verify_payments(tx: Tx) -> list[Problem]:
    """Exactly one closing entry set per final payment: a paid one has its gross amount booked once, no other has any.

    Also: an order is PAID exactly when one of its payments is.
    """
    problems = [
        Problem("closing", row["id"], f"payment {row['id']} is paid with {row['amount']}, but its journal entry holds {row['booked']}")
        for row in tx.all(
            "select p.id as id, p.amount as amount, t.amount as booked from payment p"
            " left join transfer t on t.cause = p.id and t.entry = 'gross'"
            " where p.state = 'SUCCESS' and (t.amount is null or t.amount <> p.amount)"
        )
    ]
    problems += [
        Problem("closing", row["id"], f"payment {row['id']} is {row['state']}, but money was booked for it")
        for row in tx.all(
            "select p.id as id, p.state as state from payment p join transfer t on t.cause = p.id and t.entry = 'gross'"
            " where p.state <> 'SUCCESS'"
        )
    ]
    problems += [
        Problem("order", row["id"], f"order {row['id']} is {row['state']}, its payments say otherwise")
        for row in tx.all(
            "select o.id as id, o.state as state from orders o where (o.state = 'PAID') <>"
            " exists (select 1 from payment p where p.order_id = o.id and p.state = 'SUCCESS')"
        )
    ]
    return problems
