-- Generated from tables.py by `make snapshots`; do not edit.
CREATE TABLE balance (
  account TEXT NOT NULL,
  amount BIGINT NOT NULL,
  floor BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (account),
  CONSTRAINT balance_floor CHECK (amount >= floor)
);
CREATE TABLE event (
  id INTEGER NOT NULL,
  subject TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  event TEXT NOT NULL,
  state TEXT NOT NULL,
  facts TEXT DEFAULT '{}' NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX event_subject ON event (subject);
CREATE TABLE instance (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name)
);
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
CREATE TABLE notification (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  order_id TEXT NOT NULL,
  payment_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  url TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  request_id TEXT NOT NULL,
  body BLOB NOT NULL,
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
CREATE TABLE orders (
  id TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  invoice_number TEXT NOT NULL,
  amount BIGINT NOT NULL,
  state TEXT NOT NULL,
  request_id TEXT NOT NULL,
  details TEXT DEFAULT '{}' NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT orders_invoice UNIQUE (merchant_id, invoice_number),
  CONSTRAINT orders_amount CHECK (amount > 0)
);
CREATE INDEX orders_request ON orders (merchant_id, request_id);
CREATE TABLE reply (
  scope BLOB NOT NULL,
  body_hash BLOB NOT NULL,
  merchant_id TEXT NOT NULL,
  status INTEGER NOT NULL,
  body BLOB NOT NULL,
  stored_real_at BIGINT NOT NULL,
  PRIMARY KEY (scope, body_hash)
)
 WITHOUT ROWID;
CREATE INDEX reply_age ON reply (stored_real_at);
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
  prev_hash BLOB NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT transfer_amount CHECK (amount > 0),
  CONSTRAINT transfer_accounts CHECK (debit <> credit),
  CONSTRAINT transfer_chain UNIQUE (chain, seq),
  CONSTRAINT transfer_once UNIQUE (cause, entry)
);
CREATE INDEX transfer_credit ON transfer (credit, at);
CREATE INDEX transfer_debit ON transfer (debit, at);
CREATE TABLE wallet_account (
  id TEXT NOT NULL,
  phone TEXT NOT NULL,
  phone_as_sent TEXT NOT NULL,
  name TEXT NOT NULL,
  email TEXT,
  pin_hash TEXT,
  wrong_pins INTEGER NOT NULL,
  level TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (phone)
);
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
  PRIMARY KEY (id),
  CONSTRAINT payment_amount CHECK (amount > 0),
  FOREIGN KEY(order_id) REFERENCES orders (id)
);
CREATE INDEX payment_open ON payment (expires_at) WHERE state = 'PENDING';
CREATE INDEX payment_order ON payment (order_id);
create table alembic_version (version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num));
insert into alembic_version (version_num) values ('0001');
