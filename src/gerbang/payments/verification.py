"""Do payments and the journal tell the same story?"""

# ruff: noqa: S608 - the queries are put together from words of this file

from gerbang.ledger import Problem
from gerbang.payments.states import ORDER_AFTER
from gerbang.storage import Tx

# Each asks for the rows that should not be: the check's name, the words for it, the query. `{…}` are the query's columns.
_PAID = "('SUCCESS', 'PARTIALLY_REFUNDED', 'REFUNDED')"
_WITH_MONEY = "('AUTHORISED', 'SUCCESS', 'PARTIALLY_REFUNDED', 'REFUNDED', 'VOIDED', 'RELEASED')"

_CHECKS = (
    (
        "closing",
        "payment {id} is paid with {charged}, but its journal entry holds {booked}",
        "select p.id as id, p.charged as charged, t.amount as booked from payment p"
        " left join transfer t on t.cause = p.id and t.entry = 'gross'"
        f" where (p.state in {_PAID} and (t.amount is null or p.charged is null or t.amount <> p.charged))"
        " or (p.state = 'VOIDED' and t.amount <> p.charged)",
    ),
    (
        "closing",
        "payment {id} is {state}, but money was booked for it",
        "select p.id as id, p.state as state from payment p"
        f" where (p.state not in {_WITH_MONEY} and exists (select 1 from transfer t where t.cause = p.id))"
        " or (p.state in ('AUTHORISED', 'RELEASED')"
        " and exists (select 1 from transfer t where t.cause = p.id and t.entry in ('gross', 'fee')))",
    ),
    (
        "hold",
        "payment {id} is {state}, but {holds} were reserved for it and {releases} let go",
        "select id, state, holds, releases from (select p.id as id, p.state as state, coalesce(p.charged, 0) as charged,"
        " exists (select 1 from transfer t where t.cause = p.id and t.entry = 'gross') as taken,"
        " coalesce((select t.amount from transfer t where t.cause = p.id and t.entry = 'hold'), 0) as holds,"
        " coalesce((select t.amount from transfer t where t.cause = p.id and t.entry = 'release'), 0) as releases"
        f" from payment p where p.state in {_WITH_MONEY}) told"
        " where (state = 'AUTHORISED') <> (holds > 0 and releases = 0) or (releases > 0 and releases <> holds)"
        " or (state in ('AUTHORISED', 'RELEASED') and holds <> charged)"
        " or (state = 'VOIDED' and not taken and (holds = 0 or holds <> charged))",
    ),
    (
        "refund",
        "payment {id} says {refunded} of {charged} went back, its refunds say {told}",
        "select id, refunded, charged, told from (select p.id as id, p.refunded as refunded, coalesce(p.charged, 0) as charged,"
        " coalesce((select sum(r.amount) from refund r where r.payment_id = p.id and r.state <> 'FAILED'), 0) as told"
        f" from payment p where p.refunded <> 0 or p.state in {_WITH_MONEY}) given where refunded <> told or refunded > charged",
    ),
    (
        "refund",
        "payment {id} is {state}, but {gone} of {charged} went back",
        "select id, state, gone, charged from (select p.id as id, p.state as state, p.charged as charged,"
        " coalesce((select sum(r.amount) from refund r where r.payment_id = p.id and r.state = 'SUCCESS'), 0) as gone"
        f" from payment p where p.state in {_WITH_MONEY}) given"
        " where (state in ('REFUNDED', 'VOIDED') and gone <> charged) or (state = 'PARTIALLY_REFUNDED' and (gone = 0 or gone >= charged))"
        " or (state in ('AUTHORISED', 'RELEASED', 'SUCCESS') and gone <> 0)",
    ),
    (
        "refund",
        "refund {id} is {state} over {amount}, but {reserved} were reserved for it, {gone} went back and {freed} were freed",
        "select id, state, amount, reserved, gone, freed from (select r.id as id, r.state as state, r.amount as amount,"
        " coalesce((select t.amount from transfer t where t.cause = r.id and t.entry = 'reserve'), 0) as reserved,"
        " coalesce((select t.amount from transfer t where t.cause = r.id and t.entry = 'gross'), 0) as gone,"
        " coalesce((select t.amount from transfer t where t.cause = r.id and t.entry = 'unreserve'), 0) as freed,"
        " exists (select 1 from transfer t where t.cause = r.payment_id and t.entry = 'gross') as taken from refund r) told"
        " where (reserved not in (0, amount)) or (reserved <> 0 and not taken)"
        " or (state <> 'FAILED' and taken and reserved <> amount) or (state = 'SUCCESS' and taken and gone <> amount)"
        " or (state <> 'SUCCESS' and gone <> 0) or (state = 'FAILED' and freed <> reserved) or (state <> 'FAILED' and freed <> 0)",
    ),
    (
        "refund",
        "refund {id} is {state}, but finished at {finished_at}",
        "select id, state, finished_at from refund where (state = 'PENDING') <> (finished_at is null)",
    ),
    (
        "refund",
        "refund {id} of {merchant_id} gives back a payment of {owner}",
        "select r.id as id, r.merchant_id as merchant_id, p.merchant_id as owner from refund r"
        " join payment p on p.id = r.payment_id where p.merchant_id <> r.merchant_id",
    ),
    (
        "refund",
        "transfer {id} was booked for refund {cause}, which does not exist",
        "select t.id as id, t.cause as cause from transfer t where substr(t.cause, 1, 4) = 'rfd_' and length(t.cause) = 30"
        " and not exists (select 1 from refund r where r.id = t.cause)",
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
        "payment {id} is {state} and charged {charged}",
        f"select id, state, charged from payment where (state in {_WITH_MONEY}) <> (charged is not null)",
    ),
    (
        "payment",
        "payment {id} is {state}, but settles at {settles_at} and can be captured before {capture_before}",
        "select id, state, settles_at, capture_before from payment"
        f" where (state = 'AUTHORISED' and capture_before is null) or (state in {_PAID} and settles_at is null)",
    ),
    (
        "payment",
        "payment {id} of {merchant_id} over {amount} does not belong to order {order_id} of {owner} over {ordered}",
        "select p.id as id, p.merchant_id as merchant_id, p.amount as amount, p.order_id as order_id,"
        " o.merchant_id as owner, o.amount as ordered"
        " from payment p left join orders o on o.id = p.order_id"
        " where o.id is null or o.merchant_id <> p.merchant_id or p.charged > p.amount"
        f" or ((p.state = 'PENDING' or p.state in {_WITH_MONEY}) and o.amount <> p.amount)",
    ),
    (
        "order",
        "order {id} is {state}, its payments say otherwise",
        "select o.id as id, o.state as state from orders o left join payment p"
        " on p.order_id = o.id and p.attempt = o.attempts where p.id is null or o.state <> case p.state"
        + "".join([f" when '{payment}' then '{order}'" for payment, order in ORDER_AFTER.items()])
        + " else '' end",
    ),
)


def verify_payments(tx: Tx) -> list[Problem]:
    """Payments, refunds, orders, their history and the journal agree; an empty list means they do.

    A paid payment has what was charged booked once; an authorised one holds it; no other has money, and no money was booked for
    a payment that is not there. What went back adds up and is never more than was charged. A payment stands where its last
    event left it and belongs to its order. An order stands as the newest of its payments.
    """
    problems = [Problem(check, row["id"], words.format_map(row)) for check, words, sql in _CHECKS for row in tx.all(sql)]
    problems += [
        Problem("hold", row["account"], "{account} holds {amount}, its payments and refunds say {told}".format_map(row))
        for row in tx.all(_HELD)
    ]
    return problems + [
        Problem(
            "refund",
            row["id"],
            "payment {id} had a fee of {fee}; with {refunded} of {charged}, {back} of it went back".format_map(row),
        )
        for row in tx.all(_FEES)
        if int(row["fee"]) * row["refunded"] // (row["charged"] or 1) != row["back"]
    ]


# What lies on the accounts between: reserved for merchants, and on its way back to buyers.
_HELD = (
    "select account, amount, told from (select b.account as account, b.amount as amount, case"
    " when b.account like '%:authorised' then (select coalesce(sum(p.charged), 0) from payment p"
    " where p.state = 'AUTHORISED' and b.account = 'merchant:' || p.merchant_id || ':authorised')"
    " else (select coalesce(sum(r.amount), 0) from refund r join transfer t on t.cause = r.id and t.entry = 'reserve'"
    " where r.state = 'PENDING' and b.account = 'merchant:' || r.merchant_id || ':refunding') end as told"
    " from balance b where b.account like 'merchant:%:authorised' or b.account like 'merchant:%:refunding') held"
    " where amount <> told"
)

# The fee goes back with the money, by the same part. The products are made here and not in SQL: they outgrow its integers.
_FEES = (
    "select id, charged, refunded, fee, back from (select p.id as id, p.charged as charged, p.refunded as refunded,"
    " coalesce((select t.amount from transfer t where t.cause = p.id and t.entry = 'fee'), 0) as fee,"
    " coalesce((select sum(case t.entry when 'fee' then t.amount else -t.amount end) from refund r"
    " join transfer t on t.cause = r.id and t.entry in ('fee', 'unfee') where r.payment_id = p.id), 0) as back"
    " from payment p where exists (select 1 from refund r where r.payment_id = p.id)) told"
)
