"""Every table, described once with SQLAlchemy Core; migrations and the schema snapshots are made from this.

Conventions: money is whole rupiah (BIGINT); moments are milliseconds since 1970 UTC (BIGINT, `…_at`) in business time,
except `…_real_at`, which is the machine's time; JSON is TEXT. Every table carries the merchant where it has one, so that rows
can be spread by merchant. Not imported at run time (decision 0001).
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

Serial = BigInteger().with_variant(Integer, "sqlite")

instance = Table(
    "instance",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="Facts about this installation: keys it made for itself, the clock's offset",
)

merchant = Table(
    "merchant",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_key", Text, nullable=False),
    Column("notification_url", Text),
    Column("snap_public_key", Text),
    Column("options", Text, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
)

orders = Table(
    "orders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("invoice_number", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("details", Text, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
    # How many payments it has: their numbers are given here, because clocks of two servers give no order.
    Column("attempts", Integer, nullable=False, server_default="1"),
    UniqueConstraint("merchant_id", "invoice_number", name="orders_invoice"),
    CheckConstraint("amount > 0", name="orders_amount"),
    Index("orders_request", "merchant_id", "request_id"),
)

payment = Table(
    "payment",
    metadata,
    Column("id", Text, primary_key=True),
    Column("order_id", Text, ForeignKey("orders.id"), nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("payer", Text),
    Column("approval_code", Text),
    Column("failure", Text),
    Column("details", Text, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    # What the buyer really paid: less than `amount` after a promo or a partial capture. Refunds reserve their share of it.
    Column("charged", BigInteger),
    Column("refunded", BigInteger, nullable=False, server_default="0"),
    Column("settles_at", BigInteger),
    Column("capture_before", BigInteger),
    # The how-many-th payment of its order.
    Column("attempt", Integer, nullable=False, server_default="1"),
    CheckConstraint("amount > 0", name="payment_amount"),
    Index("payment_order", "order_id", "attempt", unique=True),
    Index(
        "payment_authorised",
        "capture_before",
        sqlite_where=text("state = 'AUTHORISED'"),
        postgresql_where=text("state = 'AUTHORISED'"),
    ),
    # The sweeper looks for what is still open only, so the index stays as small as that is.
    Index("payment_open", "expires_at", sqlite_where=text("state = 'PENDING'"), postgresql_where=text("state = 'PENDING'")),
)

refund = Table(
    "refund",
    metadata,
    Column("id", Text, primary_key=True),
    Column("payment_id", Text, ForeignKey("payment.id"), nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("message", Text),
    Column("approval_code", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    CheckConstraint("amount > 0", name="refund_amount"),
    Index("refund_payment", "payment_id"),
    Index("refund_request", "merchant_id", "request_id"),
    Index("refund_open", "created_at", sqlite_where=text("state = 'PENDING'"), postgresql_where=text("state = 'PENDING'")),
)

event = Table(
    "event",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("subject", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("facts", Text, nullable=False, server_default="{}"),
    Column("at", BigInteger, nullable=False),
    Index("event_subject", "subject"),
)

reply = Table(
    "reply",
    metadata,
    Column("scope", LargeBinary, nullable=False),
    Column("body_hash", LargeBinary, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("stored_real_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("scope", "body_hash"),
    Index("reply_age", "stored_real_at"),
    sqlite_with_rowid=False,
    comment="First answers, for repeats of the same request. Its age is real time: repeats come from real clients",
)

balance = Table(
    "balance",
    metadata,
    Column("account", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("amount >= floor", name="balance_floor"),
)

transfer = Table(
    "transfer",
    metadata,
    Column("id", Text, primary_key=True),
    Column("debit", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("entry", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("chain", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("prev_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("amount > 0", name="transfer_amount"),
    CheckConstraint("debit <> credit", name="transfer_accounts"),
    UniqueConstraint("chain", "seq", name="transfer_chain"),
    # One cause cannot be booked twice, whatever the code above does.
    UniqueConstraint("cause", "entry", name="transfer_once"),
    Index("transfer_debit", "debit", "at"),
    Index("transfer_credit", "credit", "at"),
)

wallet_account = Table(
    "wallet_account",
    metadata,
    Column("id", Text, primary_key=True),
    Column("phone", Text, nullable=False, unique=True),
    Column("phone_as_sent", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("pin_hash", Text),
    Column("level", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

pin_count = Table(
    "pin_count",
    metadata,
    Column("phone", Text, primary_key=True),
    Column("wrong", Integer, nullable=False, server_default="0"),
    Column("under_way", Integer, nullable=False, server_default="0"),
    Column("blocked_until", BigInteger),
    Column("touched_real_at", BigInteger, nullable=False),
    comment="Wrong PINs by phone number, whether it has an account or not: what is answered tells nobody who has one",
)

notification = Table(
    "notification",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("resend", Integer, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("lease_real_until", BigInteger, nullable=False),
    Index("notification_payment", "payment_id"),
    Index("notification_order", "order_id"),
    Index(
        "notification_due",
        "due_at",
        sqlite_where=text("due_at is not null"),
        postgresql_where=text("due_at is not null"),
    ),
)

attempt = Table(
    "attempt",
    metadata,
    Column("notification_id", Text, ForeignKey("notification.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("started_real_at", BigInteger, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("url", Text, nullable=False),
    Column("request_headers", Text, nullable=False),
    Column("string_to_sign", Text, nullable=False),
    Column("status", Integer),
    Column("answer_headers", Text, nullable=False),
    Column("answer_body", Text, nullable=False),
    Column("error", Text),
    Column("call_before", Text),
    PrimaryKeyConstraint("notification_id", "number"),
)

vault_key = Table(
    "vault_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_real_at", BigInteger, nullable=False),
    Index(
        "vault_key_active",
        "merchant_id",
        unique=True,
        sqlite_where=text("state = 'ACTIVE'"),
        postgresql_where=text("state = 'ACTIVE'"),
    ),
    comment="Data keys, one active per merchant, each wrapped by the key-encryption key. Merchant '' holds the fingerprint key",
)

vault_card = Table(
    "vault_card",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    # A key cannot be deleted while a card needs it, whichever transactions run side by side.
    Column("key_id", Text, ForeignKey("vault_key.id"), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("masked", Text, nullable=False),
    Column("bin", Text, nullable=False),
    Column("last4", Text, nullable=False),
    Column("brand", Text, nullable=False),
    Column("card_type", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("expiry", Text, nullable=False),
    Column("holder", Text),
    Column("keep_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Index("vault_card_key", "key_id"),
    Index(
        "vault_card_due",
        "keep_until",
        sqlite_where=text("keep_until is not null"),
        postgresql_where=text("keep_until is not null"),
    ),
)

card_token = Table(
    "card_token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("card_id", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("active", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("unbound_at", BigInteger),
    Index("card_token_card", "card_id"),
    # One token per customer and card, as long as it lives.
    Index(
        "card_token_one",
        "merchant_id",
        "customer_id",
        "fingerprint",
        unique=True,
        sqlite_where=text("active = 1"),
        postgresql_where=text("active = 1"),
    ),
)

vault_use = Table(
    "vault_use",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("card_id", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("vault_use_card", "card_id"),
    comment="Every reading of a card number, for auditors",
)

_CHARGE_OPEN = "state in ('AUTHENTICATING', 'AUTHORISING', 'REVERSING')"

card_charge = Table(
    "card_charge",
    metadata,
    Column("id", Text, primary_key=True),
    Column("payment_id", Text, ForeignKey("payment.id"), nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("card_id", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("customer_id", Text),
    Column("authentication_id", Text),
    Column("authorize_id", Text),
    Column("response_code", Text),
    Column("sealed_cvv", LargeBinary),
    Column("details", Text, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
    Column("deadline_at", BigInteger, nullable=False),
    CheckConstraint("amount > 0", name="card_charge_amount"),
    # A page submitted twice has one charge under way.
    Index("card_charge_one", "payment_id", unique=True, sqlite_where=text(_CHARGE_OPEN), postgresql_where=text(_CHARGE_OPEN)),
    Index("card_charge_payment", "payment_id"),
    Index("card_charge_card", "merchant_id", "fingerprint", "created_at"),
    Index("card_charge_customer", "merchant_id", "customer_id", "created_at"),
    Index("card_charge_authentication", "authentication_id"),
    Index("card_charge_authorize", "merchant_id", "authorize_id"),
    Index("card_charge_open", "deadline_at", sqlite_where=text(_CHARGE_OPEN), postgresql_where=text(_CHARGE_OPEN)),
    comment="One attempt to charge one card for a payment",
)

card_authentication = Table(
    "card_authentication",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("charge_id", Text),
    Column("card_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("trans_status", Text),
    Column("details", Text, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("card_authentication_charge", "charge_id"),
    comment="One 3-D Secure authentication: of a page's charge, or host-to-host with charge_id set when it is used",
)

card_question = Table(
    "card_question",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("payment_id", Text, ForeignKey("payment.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("details", Text, nullable=False, server_default="{}"),
    Column("asked_at", BigInteger, nullable=False),
    Column("due_real_at", BigInteger),
    # Refunds may run side by side, each reserves its share; everything else about a payment's money happens one at a time.
    Index(
        "card_question_one",
        "payment_id",
        unique=True,
        sqlite_where=text("state = 'ASKED' and kind <> 'REFUND'"),
        postgresql_where=text("state = 'ASKED' and kind <> 'REFUND'"),
    ),
    Index(
        "card_question_due",
        "due_real_at",
        sqlite_where=text("due_real_at is not null"),
        postgresql_where=text("due_real_at is not null"),
    ),
    Index("card_question_subject", "subject"),
    comment="What an acquirer was asked, written down before it was asked; the id is its idempotency key",
)

simulated_answer = Table(
    "simulated_answer",
    metadata,
    Column("question_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("real_at", BigInteger, nullable=False),
    comment="Sandbox: the memory of the pretend acquirer",
)

simulated_challenge = Table(
    "simulated_challenge",
    metadata,
    Column("acs_trans_id", Text, primary_key=True),
    Column("details", Text, nullable=False),
    Column("wrong_codes", Integer, nullable=False),
    Column("codes_sent", Integer, nullable=False),
    Column("trans_status", Text),
    Column("created_at", BigInteger, nullable=False),
    comment="Sandbox: the memory of the pretend issuing bank's 3-D Secure page",
)

snap_token = Table(
    "snap_token",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("binding_id", Text),
    Column("issued_at", BigInteger, nullable=False),
    Column("lapses_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Index("snap_token_merchant", "merchant_id", "kind", "binding_id"),
    Index("snap_token_lapse", "lapses_at"),
    sqlite_with_rowid=False,
    comment="SHA-256 of B2B, B2B2C and refresh tokens. Each use moves lapses_at on, never past ends_at (decision D-1)",
)

snap_external_id = Table(
    "snap_external_id",
    metadata,
    Column("scope", LargeBinary, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("snap_external_id_age", "at"),
    sqlite_with_rowid=False,
    comment="X-EXTERNAL-ID of creating calls, per partner, service, Jakarta day and body (decision D-3)",
)

partner_reference = Table(
    "partner_reference",
    metadata,
    Column("merchant_id", Text, nullable=False),
    Column("service_code", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("merchant_id", "service_code", "reference"),
    Index("partner_reference_subject", "subject"),
    comment="partnerReferenceNo and partnerRefundNo: used once per partner and service, for ever; subject is what it made",
)

wallet_registration = Table(
    "wallet_registration",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("partner_reference", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("phone_as_sent", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("redirect_url", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("page_token", Text, unique=True),
    Column("account_id", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(
        "wallet_registration_unfinished",
        "expires_at",
        sqlite_where=text("state <> 'DONE'"),
        postgresql_where=text("state <> 'DONE'"),
    ),
    # One registration of a phone number is open; the next one replaces it.
    Index(
        "wallet_registration_open",
        "phone",
        unique=True,
        sqlite_where=text("state in ('OTP_SENT', 'VERIFIED')"),
        postgresql_where=text("state in ('OTP_SENT', 'VERIFIED')"),
    ),
)

one_time_code = Table(
    "one_time_code",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("phone", Text, nullable=False),
    # Counts what was sent to a phone number: two that are sent at once cannot both be its fifth.
    Column("number", BigInteger, nullable=False),
    Column("code_hash", LargeBinary, nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("one_time_code_subject", "subject"),
    Index("one_time_code_age", "expires_at"),
    UniqueConstraint("phone", "number", name="one_time_code_phone"),
    comment="One-time passwords, hashed; the newest of a subject counts. The id is that of the message it went out with",
)

message = Table(
    "message",
    metadata,
    Column("id", Text, primary_key=True),
    Column("phone", Text, nullable=False),
    Column("sealed", LargeBinary),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_real_at", BigInteger),
    Index("message_phone", "phone", "created_at"),
    Index(
        "message_due",
        "due_real_at",
        sqlite_where=text("due_real_at is not null"),
        postgresql_where=text("due_real_at is not null"),
    ),
    comment="SMS to send, sealed; production forgets the text when it is sent, the sandbox's inbox shows it",
)

binding = Table(
    "binding",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("public_user_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("binding_account", "account_id"),
    Index(
        "binding_one",
        "merchant_id",
        "account_id",
        unique=True,
        sqlite_where=text("state <> 'UNBOUND'"),
        postgresql_where=text("state <> 'UNBOUND'"),
    ),
    comment="A customer's consent to one partner; the id is the wire's linkId. PENDING: told to the partner, not yet given",
)

binding_request = Table(
    "binding_request",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("partner_reference", Text, nullable=False),
    Column("account_id", Text),
    Column("binding_id", Text),
    Column("redirect_url", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("binding_request_binding", "binding_id"),
    comment="BIND: a page where a customer may consent, single use. UNBIND: waits for its OTP",
)

auth_code = Table(
    "auth_code",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("binding_id", Text, nullable=False),
    Column("used", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("auth_code_age", "expires_at"),
    sqlite_with_rowid=False,
)

wallet_operation = Table(
    "wallet_operation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("partner_reference", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("details", Text, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("due_real_at", BigInteger),
    Index("wallet_operation_account", "account_id", "created_at"),
    Index("wallet_operation_reference", "merchant_id", "partner_reference"),
    Index("wallet_operation_external", "merchant_id", "external_id"),
    Index(
        "wallet_operation_due",
        "due_real_at",
        sqlite_where=text("due_real_at is not null"),
        postgresql_where=text("due_real_at is not null"),
    ),
    comment="TOP_UP, BANK_TRANSFER and the inquiries before them; the id is the wire's referenceNo",
)

kyc = Table(
    "kyc",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),
    comment="What a customer gave to be registered (NIK, name, birth, address), sealed",
)

simulated_transfer = Table(
    "simulated_transfer",
    metadata,
    Column("id", Text, primary_key=True),
    Column("answer", Text, nullable=False),
    Column("real_at", BigInteger, nullable=False),
    comment="Sandbox: the memory of the pretend bank",
)

unexpected_money = Table(
    "unexpected_money",
    metadata,
    Column("id", Text, primary_key=True),
    Column("payment_id", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("receipt", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("ask_again_real_at", BigInteger),
    UniqueConstraint("channel", "receipt", name="unexpected_money_receipt"),
    Index("unexpected_money_payment", "payment_id"),
    Index(
        "unexpected_money_held",
        "channel",
        "ask_again_real_at",
        sqlite_where=text("ask_again_real_at is not null"),
        postgresql_where=text("ask_again_real_at is not null"),
    ),
    comment="Money a provider took that no payment waited for: HELD until it is RETURNED, or KEPT for a person to send back",
)

payment_code = Table(
    "payment_code",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("payment_id", Text, nullable=False),
    comment="The payment that a code paid at somebody else's counter stands for; another's once that one is over",
)

signed_body = Table(
    "signed_body",
    metadata,
    Column("merchant_id", Text, primary_key=True),
    Column("check_sum", Text, primary_key=True),
    Column("meaning", Text, nullable=False),
    comment="What a check sum without separators was first seen with, so that it stands for nothing else (OVO)",
)

further_payment = Table(
    "further_payment",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("receipt", Text, primary_key=True),
    Column("payment_id", Text, nullable=False),
    comment="Payments of a code that can be paid many times, after the first: one for each receipt of whoever took the money",
)

simulated_order = Table(
    "simulated_order",
    metadata,
    Column("payment_id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("asked", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("chosen", Text),
    Column("details", Text, nullable=False, server_default="{}"),
    Column("expires_at", BigInteger, nullable=False),
    Column("code", Text),
    Index("simulated_order_code", "channel", "code"),
    Index(
        "simulated_order_waiting",
        "channel",
        "expires_at",
        sqlite_where=text("state = 'WAITING'"),
        postgresql_where=text("state = 'WAITING'"),
    ),
    comment="Sandbox: what a pretend provider knows about an order",
)

simulated_report = Table(
    "simulated_report",
    metadata,
    Column("receipt", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("due_at", BigInteger),
    Column("given_back", BigInteger, nullable=False, server_default="0"),
    Index("simulated_report_payment", "payment_id"),
    Index(
        "simulated_report_due",
        "channel",
        "due_at",
        sqlite_where=text("due_at is not null"),
        postgresql_where=text("due_at is not null"),
    ),
    comment="Sandbox: what a pretend provider has to say about an order; without due_at it was heard",
)
