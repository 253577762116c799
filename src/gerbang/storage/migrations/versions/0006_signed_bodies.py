"""check sums of bodies belong to one body each"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "signed_body",
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("check_sum", sa.Text(), nullable=False),
        sa.Column("meaning", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "check_sum"),
        comment="What a check sum without separators was first seen with, so that it stands for nothing else (OVO)",
    )
