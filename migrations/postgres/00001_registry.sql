-- Institutions, persons, devices: who may have what (HCA-2, HCA-3.7, HCA-4).
-- +goose Up
CREATE TABLE institutions (
    code             TEXT PRIMARY KEY,          -- ten characters, HCA-2.3
    name             TEXT NOT NULL,
    is_window        BOOLEAN NOT NULL DEFAULT FALSE,
    active           BOOLEAN NOT NULL DEFAULT TRUE,
    agreement        TEXT NOT NULL DEFAULT '',  -- SHA-256 of the written agreement, hex; HCA-3.7
    agreed_from      TIMESTAMPTZ,
    agreed_to        TIMESTAMPTZ,
    created_at       TIMESTAMPTZ NOT NULL,
    updated_at       TIMESTAMPTZ NOT NULL
);

-- Sealed columns are AES-256-GCM under a key that only the HSM can derive; *_hash columns are keyed hashes for search (HCA-8.1.5).
CREATE TABLE persons (
    id                 TEXT PRIMARY KEY,
    national_id_hash   BYTEA NOT NULL UNIQUE,   -- one person is one row, whatever the institution (HCA-7.5)
    national_id_sealed BYTEA NOT NULL,
    name_sealed        BYTEA NOT NULL,
    name_hash          BYTEA NOT NULL,
    holder_hash        BYTEA NOT NULL UNIQUE,   -- the card certificate's subject serialNumber
    holder_sealed      BYTEA NOT NULL,
    email_sealed       BYTEA,
    phone_sealed       BYTEA,
    locale             TEXT NOT NULL,
    active             BOOLEAN NOT NULL DEFAULT TRUE,
    created_at         TIMESTAMPTZ NOT NULL,
    updated_at         TIMESTAMPTZ NOT NULL
);
CREATE INDEX persons_name ON persons (name_hash);

CREATE TABLE memberships (
    person_id   TEXT NOT NULL REFERENCES persons (id),
    institution TEXT NOT NULL REFERENCES institutions (code),
    since       TIMESTAMPTZ NOT NULL,
    until       TIMESTAMPTZ,                    -- set: changed, left, suspended, ceased or died (HCA-3.7)
    reason      TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (person_id, institution)
);
CREATE INDEX memberships_institution ON memberships (institution, person_id);

CREATE TABLE devices (
    id            TEXT PRIMARY KEY,
    code          TEXT COLLATE "C" NOT NULL UNIQUE, -- HCA-4.1; searched from its beginning
    institution   TEXT NOT NULL REFERENCES institutions (code),
    platform      TEXT NOT NULL,
    model         TEXT NOT NULL,
    shared        BOOLEAN NOT NULL,
    state         TEXT NOT NULL,
    generation    INTEGER NOT NULL DEFAULT 0,   -- counts confirmed bindings
    key_spki      BYTEA,
    key_hash      TEXT NOT NULL DEFAULT '',
    last_seen_at  TIMESTAMPTZ,
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL
);
CREATE INDEX devices_institution ON devices (institution, id);
CREATE UNIQUE INDEX devices_key ON devices (key_hash) WHERE key_hash <> '';

-- History is kept: a user who is removed stays as a closed row (HCA-4.2).
CREATE TABLE device_users (
    id          TEXT PRIMARY KEY,
    device_id   TEXT NOT NULL REFERENCES devices (id),
    person_id   TEXT NOT NULL REFERENCES persons (id),
    added_at    TIMESTAMPTZ NOT NULL,
    added_by    TEXT NOT NULL,
    removed_at  TIMESTAMPTZ,
    removed_by  TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX device_users_now ON device_users (device_id, person_id) WHERE removed_at IS NULL;
CREATE INDEX device_users_person ON device_users (person_id);

CREATE TABLE device_bindings (
    id           TEXT PRIMARY KEY,
    device_id    TEXT NOT NULL REFERENCES devices (id),
    code_hash    BYTEA NOT NULL UNIQUE,         -- the one-time code of the QR, hashed
    state        TEXT NOT NULL,                 -- offered, presented, confirmed, rejected
    key_spki     BYTEA,
    short_code   TEXT NOT NULL DEFAULT '',
    client       TEXT NOT NULL DEFAULT '',      -- JSON: what the phone says of itself
    offered_by   TEXT NOT NULL,
    offered_at   TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ NOT NULL,
    presented_at TIMESTAMPTZ,
    decided_at   TIMESTAMPTZ,
    decided_by   TEXT NOT NULL DEFAULT ''
);
CREATE INDEX device_bindings_device ON device_bindings (device_id, offered_at);

-- What a certificate may be used for (HCA-5.1.2). No row in scope_institutions: every recognised institution.
CREATE TABLE scopes (
    code       TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    approved   BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE scope_institutions (
    scope       TEXT NOT NULL REFERENCES scopes (code),
    institution TEXT NOT NULL REFERENCES institutions (code),
    PRIMARY KEY (scope, institution)
);

-- +goose Down
DROP TABLE scope_institutions;
DROP TABLE scopes;
DROP TABLE device_bindings;
DROP TABLE device_users;
DROP TABLE devices;
DROP TABLE memberships;
DROP TABLE persons;
DROP TABLE institutions;
