-- Staff, sessions, audit, notices, the sweep, and what several replicas share (HCA-3.4, HCA-3.6, HCA-8.1).
-- +goose Up
CREATE TABLE system (
    name  TEXT PRIMARY KEY,                     -- e.g. "mode", stamped at the first start
    value TEXT NOT NULL
);

CREATE TABLE staff (
    id              TEXT PRIMARY KEY,
    account         TEXT NOT NULL UNIQUE,
    name_sealed     BLOB NOT NULL,
    institution     TEXT NOT NULL,              -- empty: the whole window
    role            TEXT NOT NULL,
    contractor      BOOLEAN NOT NULL,           -- HCA-3.2
    active          BOOLEAN NOT NULL,
    password        TEXT NOT NULL,              -- Argon2id over an HMAC made in the HSM (HCA-8.2.6(6))
    password_at     DATETIME NOT NULL,
    must_change     BOOLEAN NOT NULL,
    failures        INTEGER NOT NULL,
    totp_sealed     BLOB NOT NULL,
    totp_step       INTEGER NOT NULL,            -- the last time step that was used: no code twice (HCA-8.2.7(3))
    totp_failures   INTEGER NOT NULL,
    created_at      DATETIME NOT NULL,
    updated_at      DATETIME NOT NULL
);

CREATE TABLE sessions (
    hash         BLOB PRIMARY KEY,             -- SHA-256 of the cookie's token
    staff_id     TEXT NOT NULL REFERENCES staff (id),
    csrf         TEXT NOT NULL,
    address      TEXT NOT NULL,
    started_at   DATETIME NOT NULL,
    last_used_at DATETIME NOT NULL
);
CREATE INDEX sessions_staff ON sessions (staff_id);

CREATE TABLE login_attempts (
    subject    TEXT NOT NULL,                   -- an address or a keyed account name
    window_at  DATETIME NOT NULL,
    attempts   INTEGER NOT NULL,
    PRIMARY KEY (subject, window_at)
);

-- Numbered without gaps; each row's hash covers the row before it (HCA-8.1.6).
CREATE TABLE audit_events (
    seq         INTEGER PRIMARY KEY,
    at          DATETIME NOT NULL,
    actor_kind  TEXT NOT NULL,
    actor       TEXT NOT NULL,
    address     TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    act         TEXT NOT NULL,
    object      TEXT NOT NULL,
    institution TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    clause      TEXT NOT NULL,
    code        TEXT NOT NULL,
    details     TEXT NOT NULL,                  -- JSON object, no personal data
    hash        BLOB NOT NULL
);
CREATE INDEX audit_events_object ON audit_events (object, seq);
CREATE TABLE audit_head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, x'0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE notices (
    id         TEXT PRIMARY KEY,
    person_id  TEXT NOT NULL,
    kind       TEXT NOT NULL,
    object     TEXT NOT NULL,
    state      TEXT NOT NULL,                   -- queued, sent, silent
    attempts   INTEGER NOT NULL,
    last_error TEXT NOT NULL,
    created_at DATETIME NOT NULL,
    sent_at    DATETIME
);
CREATE INDEX notices_state ON notices (state, created_at);

CREATE TABLE sweep_runs (
    id          TEXT PRIMARY KEY,
    started_at  DATETIME NOT NULL,
    finished_at DATETIME,
    dry_run     BOOLEAN NOT NULL,
    after_id    TEXT NOT NULL,                  -- the last certificate that was looked at: a run goes on from here
    report      TEXT NOT NULL                   -- JSON
);
CREATE INDEX sweep_runs_started ON sweep_runs (started_at);

CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    expires_at DATETIME NOT NULL
);

-- The HCA's complete CRL, fetched by one replica for all (HCA-3.6).
CREATE TABLE crls (
    issuer    TEXT PRIMARY KEY,                 -- key identifier, hex
    number    TEXT NOT NULL,                    -- decimal; it only goes up
    raw       BLOB NOT NULL,
    stored_at DATETIME NOT NULL
);

-- The same key gives the same answer; a different body under it is a conflict.
CREATE TABLE idempotency_keys (
    principal  TEXT NOT NULL,
    key        TEXT NOT NULL,
    body_hash  BLOB NOT NULL,
    status     INTEGER NOT NULL,                -- 0: under way
    type       TEXT NOT NULL,
    answer     BLOB NOT NULL,
    expires_at DATETIME NOT NULL,
    PRIMARY KEY (principal, key)
);

-- +goose Down
DROP TABLE idempotency_keys;
DROP TABLE crls;
DROP TABLE leases;
DROP TABLE sweep_runs;
DROP TABLE notices;
DROP TABLE audit_head;
DROP TABLE audit_events;
DROP TABLE login_attempts;
DROP TABLE sessions;
DROP TABLE staff;
DROP TABLE system;
