"""cards"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "card_authentication",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("charge_id", sa.Text(), nullable=True),
        sa.Column("card_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("trans_status", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), server_default="{}", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="One 3-D Secure authentication: of a page's charge, or host-to-host with charge_id set when it is used",
    )
    with op.batch_alter_table("card_authentication", schema=None) as batch_op:
        batch_op.create_index("card_authentication_charge", ["charge_id"], unique=False)

    op.create_table(
        "card_token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("card_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("unbound_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("card_token", schema=None) as batch_op:
        batch_op.create_index("card_token_card", ["card_id"], unique=False)
        batch_op.create_index(
            "card_token_one",
            ["merchant_id", "customer_id", "fingerprint"],
            unique=True,
            sqlite_where=sa.text("active = 1"),
            postgresql_where=sa.text("active = 1"),
        )

    op.create_table(
        "simulated_answer",
        sa.Column("question_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("real_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("question_id"),
        comment="Sandbox: the memory of the pretend acquirer",
    )
    op.create_table(
        "simulated_challenge",
        sa.Column("acs_trans_id", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("wrong_codes", sa.Integer(), nullable=False),
        sa.Column("codes_sent", sa.Integer(), nullable=False),
        sa.Column("trans_status", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("acs_trans_id"),
        comment="Sandbox: the memory of the pretend issuing bank's 3-D Secure page",
    )
    op.create_table(
        "vault_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_real_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="Data keys, one active per merchant, each wrapped by the key-encryption key. Merchant '' holds the fingerprint key",
    )
    with op.batch_alter_table("vault_key", schema=None) as batch_op:
        batch_op.create_index(
            "vault_key_active",
            ["merchant_id"],
            unique=True,
            sqlite_where=sa.text("state = 'ACTIVE'"),
            postgresql_where=sa.text("state = 'ACTIVE'"),
        )

    op.create_table(
        "vault_card",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("masked", sa.Text(), nullable=False),
        sa.Column("bin", sa.Text(), nullable=False),
        sa.Column("last4", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=False),
        sa.Column("card_type", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("expiry", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("keep_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"],
            ["vault_key.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("vault_card", schema=None) as batch_op:
        batch_op.create_index(
            "vault_card_due",
            ["keep_until"],
            unique=False,
            sqlite_where=sa.text("keep_until is not null"),
            postgresql_where=sa.text("keep_until is not null"),
        )
        batch_op.create_index("vault_card_key", ["key_id"], unique=False)

    op.create_table(
        "vault_use",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("card_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="Every reading of a card number, for auditors",
    )
    with op.batch_alter_table("vault_use", schema=None) as batch_op:
        batch_op.create_index("vault_use_card", ["card_id"], unique=False)

    op.create_table(
        "card_charge",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("card_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("authentication_id", sa.Text(), nullable=True),
        sa.Column("authorize_id", sa.Text(), nullable=True),
        sa.Column("response_code", sa.Text(), nullable=True),
        sa.Column("sealed_cvv", sa.LargeBinary(), nullable=True),
        sa.Column("details", sa.Text(), server_default="{}", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount > 0", name="card_charge_amount"),
        sa.ForeignKeyConstraint(
            ["payment_id"],
            ["payment.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="One attempt to charge one card for a payment",
    )
    with op.batch_alter_table("card_charge", schema=None) as batch_op:
        batch_op.create_index("card_charge_authentication", ["authentication_id"], unique=False)
        batch_op.create_index("card_charge_authorize", ["merchant_id", "authorize_id"], unique=False)
        batch_op.create_index("card_charge_card", ["merchant_id", "fingerprint", "created_at"], unique=False)
        batch_op.create_index("card_charge_customer", ["merchant_id", "customer_id", "created_at"], unique=False)
        batch_op.create_index(
            "card_charge_one",
            ["payment_id"],
            unique=True,
            sqlite_where=sa.text("state in ('AUTHENTICATING', 'AUTHORISING', 'REVERSING')"),
            postgresql_where=sa.text("state in ('AUTHENTICATING', 'AUTHORISING', 'REVERSING')"),
        )
        batch_op.create_index(
            "card_charge_open",
            ["deadline_at"],
            unique=False,
            sqlite_where=sa.text("state in ('AUTHENTICATING', 'AUTHORISING', 'REVERSING')"),
            postgresql_where=sa.text("state in ('AUTHENTICATING', 'AUTHORISING', 'REVERSING')"),
        )
        batch_op.create_index("card_charge_payment", ["payment_id"], unique=False)

    op.create_table(
        "card_question",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), server_default="{}", nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("due_real_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["payment_id"],
            ["payment.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="What an acquirer was asked, written down before it was asked; the id is its idempotency key",
    )
    with op.batch_alter_table("card_question", schema=None) as batch_op:
        batch_op.create_index(
            "card_question_due",
            ["due_real_at"],
            unique=False,
            sqlite_where=sa.text("due_real_at is not null"),
            postgresql_where=sa.text("due_real_at is not null"),
        )
        batch_op.create_index(
            "card_question_one",
            ["payment_id"],
            unique=True,
            sqlite_where=sa.text("state = 'ASKED' and kind <> 'REFUND'"),
            postgresql_where=sa.text("state = 'ASKED' and kind <> 'REFUND'"),
        )
        batch_op.create_index("card_question_subject", ["subject"], unique=False)

    op.create_table(
        "refund",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("approval_code", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("amount > 0", name="refund_amount"),
        sa.ForeignKeyConstraint(
            ["payment_id"],
            ["payment.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.create_index(
            "refund_open",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("state = 'PENDING'"),
            postgresql_where=sa.text("state = 'PENDING'"),
        )
        batch_op.create_index("refund_payment", ["payment_id"], unique=False)
        batch_op.create_index("refund_request", ["merchant_id", "request_id"], unique=False)

    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("charged", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("refunded", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("settles_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("capture_before", sa.BigInteger(), nullable=True))
        batch_op.create_index(
            "payment_authorised",
            ["capture_before"],
            unique=False,
            sqlite_where=sa.text("state = 'AUTHORISED'"),
            postgresql_where=sa.text("state = 'AUTHORISED'"),
        )

    op.execute("update payment set charged = amount, settles_at = finished_at where state = 'SUCCESS'")
