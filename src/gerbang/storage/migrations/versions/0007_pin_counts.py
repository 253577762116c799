"""wrong PINs counted by phone number; they block for a while and lock no account"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "pin_count",
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("wrong", sa.Integer(), server_default="0", nullable=False),
        sa.Column("under_way", sa.Integer(), server_default="0", nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=True),
        sa.Column("touched_real_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("phone"),
        comment="Wrong PINs by phone number, whether it has an account or not: what is answered tells nobody who has one",
    )
    # Locked by three wrong PINs, and by nobody else: such a lock is a block now, and this one has lasted long enough.
    op.execute("update wallet_account set status = 'ACTIVE', wrong_pins = 0 where status = 'LOCKED' and wrong_pins >= 3")
    op.execute(
        "insert into pin_count (phone, wrong, blocked_until, touched_real_at)"
        " select phone, wrong_pins, pin_blocked_until, 0 from wallet_account where wrong_pins > 0"
    )
    with op.batch_alter_table("wallet_account", schema=None) as batch_op:
        batch_op.drop_column("wrong_pins")
        batch_op.drop_column("pin_blocked_until")
