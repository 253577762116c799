-- Generated from tables.py by `make snapshots`; do not edit.
CREATE TABLE auth_code (
  hash BYTEA NOT NULL,
  merchant_id TEXT NOT NULL,
  binding_id TEXT NOT NULL,
  used INTEGER NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (hash)
);
CREATE INDEX auth_code_age ON auth_code (expires_at);
CREATE TABLE balance (
  account TEXT NOT NULL,
  amount BIGINT NOT NULL,
  floor BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  PRIMARY KEY (account),
  CONSTRAINT balance_floor CHECK (amount >= floor)
);
CREATE TABLE binding (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  account_id TEXT NOT NULL,
  public_user_id TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  ended_at BIGINT,
  PRIMARY KEY (id)
);
CREATE INDEX binding_account ON binding (account_id);
CREATE UNIQUE INDEX binding_one ON binding (merchant_id, account_id) WHERE state <> 'UNBOUND';
COMMENT ON TABLE binding IS 'A customer''s consent to one partner; the id is the wire''s linkId. PENDING: told to the partner, not yet given';
CREATE TABLE binding_request (
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  partner_reference TEXT NOT NULL,
  account_id TEXT,
  binding_id TEXT,
  redirect_url TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX binding_request_binding ON binding_request (binding_id);
COMMENT ON TABLE binding_request IS 'BIND: a page where a customer may consent, single use. UNBIND: waits for its OTP';
CREATE TABLE card_authentication (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  charge_id TEXT,
  card_id TEXT NOT NULL,
  amount BIGINT NOT NULL,
  state TEXT NOT NULL,
  trans_status TEXT,
  details TEXT DEFAULT '{}' NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX card_authentication_charge ON card_authentication (charge_id);
COMMENT ON TABLE card_authentication IS 'One 3-D Secure authentication: of a page''s charge, or host-to-host with charge_id set when it is used';
CREATE TABLE card_token (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  customer_id TEXT NOT NULL,
  card_id TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  active INTEGER NOT NULL,
  created_at BIGINT NOT NULL,
  unbound_at BIGINT,
  PRIMARY KEY (id)
);
CREATE INDEX card_token_card ON card_token (card_id);
CREATE UNIQUE INDEX card_token_one ON card_token (merchant_id, customer_id, fingerprint) WHERE active = 1;
CREATE TABLE event (
  id BIGSERIAL NOT NULL,
  subject TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  event TEXT NOT NULL,
  state TEXT NOT NULL,
  facts TEXT DEFAULT '{}' NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX event_subject ON event (subject);
CREATE TABLE further_payment (
  channel TEXT NOT NULL,
  receipt TEXT NOT NULL,
  payment_id TEXT NOT NULL,
  PRIMARY KEY (channel, receipt)
);
COMMENT ON TABLE further_payment IS 'Payments of a code that can be paid many times, after the first: one for each receipt of whoever took the money';
CREATE TABLE instance (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name)
);
COMMENT ON TABLE instance IS 'Facts about this installation: keys it made for itself, the clock''s offset';
CREATE TABLE kyc (
  account_id TEXT NOT NULL,
  sealed BYTEA NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  decided_at BIGINT,
  PRIMARY KEY (account_id)
);
COMMENT ON TABLE kyc IS 'What a customer gave to be registered (NIK, name, birth, address), sealed';
CREATE TABLE merchant (
  client_id TEXT NOT NULL,
  name TEXT NOT NULL,
  secret_key TEXT NOT NULL,
  notification_url TEXT,
  snap_public_key TEXT,
  options TEXT DEFAULT '{}' NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (client_id)
);
CREATE TABLE message (
  id TEXT NOT NULL,
  phone TEXT NOT NULL,
  sealed BYTEA,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  created_at BIGINT NOT NULL,
  due_real_at BIGINT,
  PRIMARY KEY (id)
);
CREATE INDEX message_due ON message (due_real_at) WHERE due_real_at is not null;
CREATE INDEX message_phone ON message (phone, created_at);
COMMENT ON TABLE message IS 'SMS to send, sealed; production forgets the text when it is sent, the sandbox''s inbox shows it';
CREATE TABLE notification (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  order_id TEXT NOT NULL,
  payment_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  url TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  request_id TEXT NOT NULL,
  body BYTEA NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  resend INTEGER DEFAULT '0' NOT NULL,
  created_at BIGINT NOT NULL,
  due_at BIGINT,
  lease_real_until BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX notification_due ON notification (due_at) WHERE due_at is not null;
CREATE INDEX notification_order ON notification (order_id);
CREATE INDEX notification_payment ON notification (payment_id);
CREATE TABLE one_time_code (
  id TEXT NOT NULL,
  subject TEXT NOT NULL,
  phone TEXT NOT NULL,
  number BIGINT NOT NULL,
  code_hash BYTEA NOT NULL,
  wrong INTEGER NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT one_time_code_phone UNIQUE (phone, number)
);
CREATE INDEX one_time_code_age ON one_time_code (expires_at);
CREATE INDEX one_time_code_subject ON one_time_code (subject);
COMMENT ON TABLE one_time_code IS 'One-time passwords, hashed; the newest of a subject counts. The id is that of the message it went out with';
CREATE TABLE orders (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  invoice_number TEXT NOT NULL,
  amount BIGINT NOT NULL,
  state TEXT NOT NULL,
  request_id TEXT NOT NULL,
  details TEXT DEFAULT '{}' NOT NULL,
  created_at BIGINT NOT NULL,
  attempts INTEGER DEFAULT '1' NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT orders_invoice UNIQUE (merchant_id, invoice_number),
  CONSTRAINT orders_amount CHECK (amount > 0)
);
CREATE INDEX orders_request ON orders (merchant_id, request_id);
CREATE TABLE partner_reference (
  merchant_id TEXT NOT NULL,
  service_code TEXT NOT NULL,
  reference TEXT NOT NULL,
  subject TEXT NOT NULL,
  external_id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (merchant_id, service_code, reference)
);
CREATE INDEX partner_reference_subject ON partner_reference (subject);
COMMENT ON TABLE partner_reference IS 'partnerReferenceNo and partnerRefundNo: used once per partner and service, for ever; subject is what it made';
CREATE TABLE payment_code (
  channel TEXT NOT NULL,
  code TEXT NOT NULL,
  payment_id TEXT NOT NULL,
  PRIMARY KEY (channel, code)
);
COMMENT ON TABLE payment_code IS 'The payment that a code paid at somebody else''s counter stands for; another''s once that one is over';
CREATE TABLE pin_count (
  phone TEXT NOT NULL,
  wrong INTEGER DEFAULT '0' NOT NULL,
  under_way INTEGER DEFAULT '0' NOT NULL,
  blocked_until BIGINT,
  touched_real_at BIGINT NOT NULL,
  PRIMARY KEY (phone)
);
COMMENT ON TABLE pin_count IS 'Wrong PINs by phone number, whether it has an account or not: what is answered tells nobody who has one';
CREATE TABLE reply (
  scope BYTEA NOT NULL,
  body_hash BYTEA NOT NULL,
  merchant_id TEXT NOT NULL,
  status INTEGER NOT NULL,
  body BYTEA NOT NULL,
  stored_real_at BIGINT NOT NULL,
  PRIMARY KEY (scope, body_hash)
);
CREATE INDEX reply_age ON reply (stored_real_at);
COMMENT ON TABLE reply IS 'First answers, for repeats of the same request. Its age is real time: repeats come from real clients';
CREATE TABLE signed_body (
  merchant_id TEXT NOT NULL,
  check_sum TEXT NOT NULL,
  meaning TEXT NOT NULL,
  PRIMARY KEY (merchant_id, check_sum)
);
COMMENT ON TABLE signed_body IS 'What a check sum without separators was first seen with, so that it stands for nothing else (OVO)';
CREATE TABLE simulated_answer (
  question_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  answer TEXT NOT NULL,
  real_at BIGINT NOT NULL,
  PRIMARY KEY (question_id)
);
COMMENT ON TABLE simulated_answer IS 'Sandbox: the memory of the pretend acquirer';
CREATE TABLE simulated_challenge (
  acs_trans_id TEXT NOT NULL,
  details TEXT NOT NULL,
  wrong_codes INTEGER NOT NULL,
  codes_sent INTEGER NOT NULL,
  trans_status TEXT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (acs_trans_id)
);
COMMENT ON TABLE simulated_challenge IS 'Sandbox: the memory of the pretend issuing bank''s 3-D Secure page';
CREATE TABLE simulated_order (
  payment_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  reference TEXT NOT NULL,
  asked TEXT NOT NULL,
  state TEXT NOT NULL,
  chosen TEXT,
  details TEXT DEFAULT '{}' NOT NULL,
  expires_at BIGINT NOT NULL,
  code TEXT,
  PRIMARY KEY (payment_id)
);
CREATE INDEX simulated_order_code ON simulated_order (channel, code);
CREATE INDEX simulated_order_waiting ON simulated_order (channel, expires_at) WHERE state = 'WAITING';
COMMENT ON TABLE simulated_order IS 'Sandbox: what a pretend provider knows about an order';
CREATE TABLE simulated_report (
  receipt TEXT NOT NULL,
  channel TEXT NOT NULL,
  payment_id TEXT NOT NULL,
  body TEXT NOT NULL,
  due_at BIGINT,
  given_back BIGINT DEFAULT '0' NOT NULL,
  PRIMARY KEY (receipt)
);
CREATE INDEX simulated_report_due ON simulated_report (channel, due_at) WHERE due_at is not null;
CREATE INDEX simulated_report_payment ON simulated_report (payment_id);
COMMENT ON TABLE simulated_report IS 'Sandbox: what a pretend provider has to say about an order; without due_at it was heard';
CREATE TABLE simulated_transfer (
  id TEXT NOT NULL,
  answer TEXT NOT NULL,
  real_at BIGINT NOT NULL,
  PRIMARY KEY (id)
);
COMMENT ON TABLE simulated_transfer IS 'Sandbox: the memory of the pretend bank';
CREATE TABLE snap_external_id (
  scope BYTEA NOT NULL,
  merchant_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (scope)
);
CREATE INDEX snap_external_id_age ON snap_external_id (at);
COMMENT ON TABLE snap_external_id IS 'X-EXTERNAL-ID of creating calls, per partner, service, Jakarta day and body (decision D-3)';
CREATE TABLE snap_token (
  hash BYTEA NOT NULL,
  merchant_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  binding_id TEXT,
  issued_at BIGINT NOT NULL,
  lapses_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  PRIMARY KEY (hash)
);
CREATE INDEX snap_token_lapse ON snap_token (lapses_at);
CREATE INDEX snap_token_merchant ON snap_token (merchant_id, kind, binding_id);
COMMENT ON TABLE snap_token IS 'SHA-256 of B2B, B2B2C and refresh tokens. Each use moves lapses_at on, never past ends_at (decision D-1)';
CREATE TABLE transfer (
  id TEXT NOT NULL,
  debit TEXT NOT NULL,
  credit TEXT NOT NULL,
  amount BIGINT NOT NULL,
  cause TEXT NOT NULL,
  entry TEXT NOT NULL,
  at BIGINT NOT NULL,
  chain TEXT NOT NULL,
  seq BIGINT NOT NULL,
  prev_hash BYTEA NOT NULL,
  hash BYTEA NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT transfer_amount CHECK (amount > 0),
  CONSTRAINT transfer_accounts CHECK (debit <> credit),
  CONSTRAINT transfer_chain UNIQUE (chain, seq),
  CONSTRAINT transfer_once UNIQUE (cause, entry)
);
CREATE INDEX transfer_credit ON transfer (credit, at);
CREATE INDEX transfer_debit ON transfer (debit, at);
CREATE TABLE unexpected_money (
  id TEXT NOT NULL,
  payment_id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  receipt TEXT NOT NULL,
  reason TEXT NOT NULL,
  amount BIGINT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  ended_at BIGINT,
  ask_again_real_at BIGINT,
  PRIMARY KEY (id),
  CONSTRAINT unexpected_money_receipt UNIQUE (channel, receipt)
);
CREATE INDEX unexpected_money_held ON unexpected_money (channel, ask_again_real_at) WHERE ask_again_real_at is not null;
CREATE INDEX unexpected_money_payment ON unexpected_money (payment_id);
COMMENT ON TABLE unexpected_money IS 'Money a provider took that no payment waited for: HELD until it is RETURNED, or KEPT for a person to send back';
CREATE TABLE vault_key (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  wrapped BYTEA NOT NULL,
  state TEXT NOT NULL,
  created_real_at BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX vault_key_active ON vault_key (merchant_id) WHERE state = 'ACTIVE';
COMMENT ON TABLE vault_key IS 'Data keys, one active per merchant, each wrapped by the key-encryption key. Merchant '''' holds the fingerprint key';
CREATE TABLE vault_use (
  id BIGSERIAL NOT NULL,
  card_id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  purpose TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX vault_use_card ON vault_use (card_id);
COMMENT ON TABLE vault_use IS 'Every reading of a card number, for auditors';
CREATE TABLE wallet_account (
  id TEXT NOT NULL,
  phone TEXT NOT NULL,
  phone_as_sent TEXT NOT NULL,
  name TEXT NOT NULL,
  email TEXT,
  pin_hash TEXT,
  level TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (phone)
);
CREATE TABLE wallet_operation (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  account_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  partner_reference TEXT NOT NULL,
  external_id TEXT NOT NULL,
  amount BIGINT NOT NULL,
  fee BIGINT NOT NULL,
  state TEXT NOT NULL,
  details TEXT DEFAULT '{}' NOT NULL,
  created_at BIGINT NOT NULL,
  finished_at BIGINT,
  due_real_at BIGINT,
  PRIMARY KEY (id)
);
CREATE INDEX wallet_operation_account ON wallet_operation (account_id, created_at);
CREATE INDEX wallet_operation_due ON wallet_operation (due_real_at) WHERE due_real_at is not null;
CREATE INDEX wallet_operation_external ON wallet_operation (merchant_id, external_id);
CREATE INDEX wallet_operation_reference ON wallet_operation (merchant_id, partner_reference);
COMMENT ON TABLE wallet_operation IS 'TOP_UP, BANK_TRANSFER and the inquiries before them; the id is the wire''s referenceNo';
CREATE TABLE wallet_registration (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  partner_reference TEXT NOT NULL,
  phone TEXT NOT NULL,
  phone_as_sent TEXT NOT NULL,
  name TEXT NOT NULL,
  email TEXT NOT NULL,
  redirect_url TEXT NOT NULL,
  state TEXT NOT NULL,
  page_token TEXT,
  account_id TEXT,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (page_token)
);
CREATE UNIQUE INDEX wallet_registration_open ON wallet_registration (phone) WHERE state in ('OTP_SENT', 'VERIFIED');
CREATE INDEX wallet_registration_unfinished ON wallet_registration (expires_at) WHERE state <> 'DONE';
CREATE TABLE attempt (
  notification_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  at BIGINT NOT NULL,
  started_real_at BIGINT NOT NULL,
  duration_ms INTEGER NOT NULL,
  url TEXT NOT NULL,
  request_headers TEXT NOT NULL,
  string_to_sign TEXT NOT NULL,
  status INTEGER,
  answer_headers TEXT NOT NULL,
  answer_body TEXT NOT NULL,
  error TEXT,
  call_before TEXT,
  PRIMARY KEY (notification_id, number),
  FOREIGN KEY(notification_id) REFERENCES notification (id)
);
CREATE TABLE payment (
  id TEXT NOT NULL,
  order_id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  amount BIGINT NOT NULL,
  state TEXT NOT NULL,
  payer TEXT,
  approval_code TEXT,
  failure TEXT,
  details TEXT DEFAULT '{}' NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  finished_at BIGINT,
  charged BIGINT,
  refunded BIGINT DEFAULT '0' NOT NULL,
  settles_at BIGINT,
  capture_before BIGINT,
  attempt INTEGER DEFAULT '1' NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT payment_amount CHECK (amount > 0),
  FOREIGN KEY(order_id) REFERENCES orders (id)
);
CREATE INDEX payment_authorised ON payment (capture_before) WHERE state = 'AUTHORISED';
CREATE INDEX payment_open ON payment (expires_at) WHERE state = 'PENDING';
CREATE UNIQUE INDEX payment_order ON payment (order_id, attempt);
CREATE TABLE vault_card (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  sealed BYTEA NOT NULL,
  fingerprint TEXT NOT NULL,
  masked TEXT NOT NULL,
  bin TEXT NOT NULL,
  last4 TEXT NOT NULL,
  brand TEXT NOT NULL,
  card_type TEXT NOT NULL,
  issuer TEXT NOT NULL,
  expiry TEXT NOT NULL,
  holder TEXT,
  keep_until BIGINT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(key_id) REFERENCES vault_key (id)
);
CREATE INDEX vault_card_due ON vault_card (keep_until) WHERE keep_until is not null;
CREATE INDEX vault_card_key ON vault_card (key_id);
CREATE TABLE card_charge (
  id TEXT NOT NULL,
  payment_id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  state TEXT NOT NULL,
  amount BIGINT NOT NULL,
  card_id TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  customer_id TEXT,
  authentication_id TEXT,
  authorize_id TEXT,
  response_code TEXT,
  sealed_cvv BYTEA,
  details TEXT DEFAULT '{}' NOT NULL,
  created_at BIGINT NOT NULL,
  deadline_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT card_charge_amount CHECK (amount > 0),
  FOREIGN KEY(payment_id) REFERENCES payment (id)
);
CREATE INDEX card_charge_authentication ON card_charge (authentication_id);
CREATE INDEX card_charge_authorize ON card_charge (merchant_id, authorize_id);
CREATE INDEX card_charge_card ON card_charge (merchant_id, fingerprint, created_at);
CREATE INDEX card_charge_customer ON card_charge (merchant_id, customer_id, created_at);
CREATE UNIQUE INDEX card_charge_one ON card_charge (payment_id) WHERE state in ('AUTHENTICATING', 'AUTHORISING', 'REVERSING');
CREATE INDEX card_charge_open ON card_charge (deadline_at) WHERE state in ('AUTHENTICATING', 'AUTHORISING', 'REVERSING');
CREATE INDEX card_charge_payment ON card_charge (payment_id);
COMMENT ON TABLE card_charge IS 'One attempt to charge one card for a payment';
CREATE TABLE card_question (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  payment_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  amount BIGINT NOT NULL,
  state TEXT NOT NULL,
  details TEXT DEFAULT '{}' NOT NULL,
  asked_at BIGINT NOT NULL,
  due_real_at BIGINT,
  PRIMARY KEY (id),
  FOREIGN KEY(payment_id) REFERENCES payment (id)
);
CREATE INDEX card_question_due ON card_question (due_real_at) WHERE due_real_at is not null;
CREATE UNIQUE INDEX card_question_one ON card_question (payment_id) WHERE state = 'ASKED' and kind <> 'REFUND';
CREATE INDEX card_question_subject ON card_question (subject);
COMMENT ON TABLE card_question IS 'What an acquirer was asked, written down before it was asked; the id is its idempotency key';
CREATE TABLE refund (
  id TEXT NOT NULL,
  payment_id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  amount BIGINT NOT NULL,
  type TEXT NOT NULL,
  state TEXT NOT NULL,
  message TEXT,
  approval_code TEXT,
  created_at BIGINT NOT NULL,
  finished_at BIGINT,
  PRIMARY KEY (id),
  CONSTRAINT refund_amount CHECK (amount > 0),
  FOREIGN KEY(payment_id) REFERENCES payment (id)
);
CREATE INDEX refund_open ON refund (created_at) WHERE state = 'PENDING';
CREATE INDEX refund_payment ON refund (payment_id);
CREATE INDEX refund_request ON refund (merchant_id, request_id);
create table alembic_version (version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num));
insert into alembic_version (version_num) values ('0009');
