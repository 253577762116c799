"""snap and the wallet's own life"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "auth_code",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("binding_id", sa.Text(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("auth_code", schema=None) as batch_op:
        batch_op.create_index("auth_code_age", ["expires_at"], unique=False)

    op.create_table(
        "binding",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("public_user_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        comment="A customer's consent to one partner; the id is the wire's linkId. PENDING: told to the partner, not yet given",
    )
    with op.batch_alter_table("binding", schema=None) as batch_op:
        batch_op.create_index("binding_account", ["account_id"], unique=False)
        batch_op.create_index(
            "binding_one",
            ["merchant_id", "account_id"],
            unique=True,
            sqlite_where=sa.text("state <> 'UNBOUND'"),
            postgresql_where=sa.text("state <> 'UNBOUND'"),
        )

    op.create_table(
        "binding_request",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("partner_reference", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("binding_id", sa.Text(), nullable=True),
        sa.Column("redirect_url", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="BIND: a page where a customer may consent, single use. UNBIND: waits for its OTP",
    )
    with op.batch_alter_table("binding_request", schema=None) as batch_op:
        batch_op.create_index("binding_request_binding", ["binding_id"], unique=False)

    op.create_table(
        "kyc",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account_id"),
        comment="What a customer gave to be registered (NIK, name, birth, address), sealed",
    )
    op.create_table(
        "message",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_real_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        comment="SMS to send, sealed; production forgets the text when it is sent, the sandbox's inbox shows it",
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(
            "message_due",
            ["due_real_at"],
            unique=False,
            sqlite_where=sa.text("due_real_at is not null"),
            postgresql_where=sa.text("due_real_at is not null"),
        )
        batch_op.create_index("message_phone", ["phone", "created_at"], unique=False)

    op.create_table(
        "one_time_code",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("phone", "number", name="one_time_code_phone"),
        comment="One-time passwords, hashed; the newest of a subject counts. The id is that of the message it went out with",
    )
    with op.batch_alter_table("one_time_code", schema=None) as batch_op:
        batch_op.create_index("one_time_code_age", ["expires_at"], unique=False)
        batch_op.create_index("one_time_code_subject", ["subject"], unique=False)

    op.create_table(
        "partner_reference",
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("service_code", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "service_code", "reference"),
        comment="partnerReferenceNo and partnerRefundNo: used once per partner and service, for ever; subject is what it made",
    )
    with op.batch_alter_table("partner_reference", schema=None) as batch_op:
        batch_op.create_index("partner_reference_subject", ["subject"], unique=False)

    op.create_table(
        "simulated_transfer",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("real_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="Sandbox: the memory of the pretend bank",
    )
    op.create_table(
        "snap_external_id",
        sa.Column("scope", sa.LargeBinary(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope"),
        comment="X-EXTERNAL-ID of creating calls, per partner, service, Jakarta day and body (decision D-3)",
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("snap_external_id", schema=None) as batch_op:
        batch_op.create_index("snap_external_id_age", ["at"], unique=False)

    op.create_table(
        "snap_token",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("binding_id", sa.Text(), nullable=True),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("lapses_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        comment="SHA-256 of B2B, B2B2C and refresh tokens. Each use moves lapses_at on, never past ends_at (decision D-1)",
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("snap_token", schema=None) as batch_op:
        batch_op.create_index("snap_token_lapse", ["lapses_at"], unique=False)
        batch_op.create_index("snap_token_merchant", ["merchant_id", "kind", "binding_id"], unique=False)

    op.create_table(
        "wallet_operation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("partner_reference", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), server_default="{}", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("due_real_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        comment="TOP_UP, BANK_TRANSFER and the inquiries before them; the id is the wire's referenceNo",
    )
    with op.batch_alter_table("wallet_operation", schema=None) as batch_op:
        batch_op.create_index("wallet_operation_account", ["account_id", "created_at"], unique=False)
        batch_op.create_index("wallet_operation_reference", ["merchant_id", "partner_reference"], unique=False)
        batch_op.create_index("wallet_operation_external", ["merchant_id", "external_id"], unique=False)
        batch_op.create_index(
            "wallet_operation_due",
            ["due_real_at"],
            unique=False,
            sqlite_where=sa.text("due_real_at is not null"),
            postgresql_where=sa.text("due_real_at is not null"),
        )

    op.create_table(
        "wallet_registration",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("partner_reference", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("phone_as_sent", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("redirect_url", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("page_token", sa.Text(), nullable=True),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("page_token"),
    )
    with op.batch_alter_table("wallet_registration", schema=None) as batch_op:
        batch_op.create_index(
            "wallet_registration_unfinished",
            ["expires_at"],
            unique=False,
            sqlite_where=sa.text("state <> 'DONE'"),
            postgresql_where=sa.text("state <> 'DONE'"),
        )
        batch_op.create_index(
            "wallet_registration_open",
            ["phone"],
            unique=True,
            sqlite_where=sa.text("state in ('OTP_SENT', 'VERIFIED')"),
            postgresql_where=sa.text("state in ('OTP_SENT', 'VERIFIED')"),
        )

    with op.batch_alter_table("wallet_account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pin_blocked_until", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.add_column(sa.Column("call_before", sa.Text(), nullable=True))
