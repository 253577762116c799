"""payments numbered in their order's row; until now their ids, made by the clock, gave their order"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.add_column(sa.Column("attempts", sa.Integer(), server_default="1", nullable=False))
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("attempt", sa.Integer(), server_default="1", nullable=False))
    op.execute(
        "update payment set attempt = numbered.place from"
        " (select id, row_number() over (partition by order_id order by id) as place from payment) numbered"
        " where numbered.id = payment.id and numbered.place > 1"
    )
    op.execute(
        "update orders set attempts = counted.n from"
        " (select order_id, count(*) as n from payment group by order_id having count(*) > 1) counted"
        " where counted.order_id = orders.id"
    )
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.drop_index("payment_order")
        batch_op.create_index("payment_order", ["order_id", "attempt"], unique=True)
    op.execute(
        "update simulated_order set code = null where code is not null and exists (select 1 from simulated_order n"
        " where n.channel = simulated_order.channel and n.code = simulated_order.code and n.payment_id > simulated_order.payment_id)"
    )
