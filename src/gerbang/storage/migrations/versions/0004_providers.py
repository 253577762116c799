"""providers outside: money nobody waited for, and the pretend ones' books"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "payment_code",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "code"),
        comment="The payment that a code paid at somebody else's counter stands for; another's once that one is over",
    )
    op.create_table(
        "further_payment",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "receipt"),
        comment="Payments of a code that can be paid many times, after the first: one for each receipt of whoever took the money",
    )

    op.create_table(
        "simulated_order",
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("chosen", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), server_default="{}", nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("payment_id"),
        comment="Sandbox: what a pretend provider knows about an order",
    )
    with op.batch_alter_table("simulated_order", schema=None) as batch_op:
        batch_op.create_index("simulated_order_code", ["channel", "code"], unique=False)
        batch_op.create_index(
            "simulated_order_waiting",
            ["channel", "expires_at"],
            unique=False,
            sqlite_where=sa.text("state = 'WAITING'"),
            postgresql_where=sa.text("state = 'WAITING'"),
        )

    op.create_table(
        "simulated_report",
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("given_back", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("receipt"),
        comment="Sandbox: what a pretend provider has to say about an order; without due_at it was heard",
    )
    with op.batch_alter_table("simulated_report", schema=None) as batch_op:
        batch_op.create_index("simulated_report_payment", ["payment_id"], unique=False)
        batch_op.create_index(
            "simulated_report_due",
            ["channel", "due_at"],
            unique=False,
            sqlite_where=sa.text("due_at is not null"),
            postgresql_where=sa.text("due_at is not null"),
        )

    op.create_table(
        "unexpected_money",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ask_again_real_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("channel", "receipt", name="unexpected_money_receipt"),
        comment="Money a provider took that no payment waited for: HELD until it is RETURNED, or KEPT for a person to send back",
    )
    with op.batch_alter_table("unexpected_money", schema=None) as batch_op:
        batch_op.create_index("unexpected_money_payment", ["payment_id"], unique=False)
        batch_op.create_index(
            "unexpected_money_held",
            ["channel", "ask_again_real_at"],
            unique=False,
            sqlite_where=sa.text("ask_again_real_at is not null"),
            postgresql_where=sa.text("ask_again_real_at is not null"),
        )
