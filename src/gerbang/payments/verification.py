"""Do payments and the journal tell the same story?"""

from gerbang.ledger import Problem
from gerbang.payments.states import ORDER_AFTER
from gerbang.storage import Tx

# Each asks for the rows that should not be: the check's name, the words for it, the query. `{…}` are the query's columns.
_CHECKS = (
    (
        "closing",
        "payment {id} is paid with {amount}, but its journal entry holds {booked}",
        "select p.id as id, p.amount as amount, t.amount as booked from payment p"
        " left join transfer t on t.cause = p.id and t.entry = 'gross'"
        " where p.state = 'SUCCESS' and (t.amount is null or t.amount <> p.amount)",
    ),
    (
        "closing",
        "payment {id} is {state}, but money was booked for it",
        "select p.id as id, p.state as state from payment p"
        " where p.state <> 'SUCCESS' and exists (select 1 from transfer t where t.cause = p.id)",
    ),
    (
        "closing",
        "transfer {id} was booked for payment {cause}, which does not exist",
        "select t.id as id, t.cause as cause from transfer t where substr(t.cause, 1, 4) = 'pay_' and length(t.cause) = 30"
        " and not exists (select 1 from payment p where p.id = t.cause)",
    ),
    (
        "payment",
        "payment {id} is {state}, but its history ends with {last}",
        "select id, state, last from (select p.id as id, p.state as state, coalesce("
        " (select e.state from event e where e.subject = p.id order by e.id desc limit 1), 'nothing') as last from payment p) told"
        " where state <> last",
    ),
    (
        "payment",
        "payment {id} is {state}, but finished at {finished_at}",
        "select id, state, finished_at from payment where (state = 'PENDING') <> (finished_at is null)",
    ),
    (
        "payment",
        "payment {id} of {merchant_id} over {amount} does not belong to order {order_id} of {owner} over {ordered}",
        "select p.id as id, p.merchant_id as merchant_id, p.amount as amount, p.order_id as order_id,"
        " o.merchant_id as owner, o.amount as ordered"
        " from payment p left join orders o on o.id = p.order_id"
        " where o.id is null or o.merchant_id <> p.merchant_id or (p.state = 'SUCCESS' and o.amount <> p.amount)",
    ),
    (
        "order",
        "order {id} is {state}, its payments say otherwise",
        # Paid exactly when a payment is; otherwise it stands as one of its attempts does.
        "select o.id as id, o.state as state from orders o where (o.state = 'PAID') <>"  # noqa: S608 - our own words
        " exists (select 1 from payment p where p.order_id = o.id and p.state = 'SUCCESS')"
        " or not exists (select 1 from payment p where p.order_id = o.id and o.state = case p.state"
        + "".join([f" when '{payment}' then '{order}'" for payment, order in ORDER_AFTER.items()])
        + " else 'OPEN' end)",
    ),
)


def verify_payments(tx: Tx) -> list[Problem]:
    """Payments, orders, their history and the journal agree; an empty list means they do.

    A paid payment has its gross amount booked once, no other has any money booked, and no money was booked for a payment that is
    not there. A payment stands where its last event left it and belongs to its order. An order is PAID exactly when one
    of its payments is.
    """
    return [Problem(check, row["id"], words.format_map(row)) for check, words, sql in _CHECKS for row in tx.all(sql)]
