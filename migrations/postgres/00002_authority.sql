-- Applications, certificates, keys, and what holds them to the rules (HCA-5, HCA-6, HCA-7).
-- +goose Up
-- The lock that is taken before a person's certificates are counted, and an exemption from five (HCA-7.5).
CREATE TABLE holders (
    person_id       TEXT PRIMARY KEY,
    exempt_limit    INTEGER NOT NULL DEFAULT 0,
    exempt_until    TIMESTAMPTZ,
    exempt_reply    TEXT NOT NULL DEFAULT ''    -- the number of HCA's reply
);

CREATE TABLE applications (
    id             TEXT PRIMARY KEY,
    kind           TEXT NOT NULL,
    state          TEXT NOT NULL,
    person_id      TEXT NOT NULL,
    device_id      TEXT NOT NULL,
    generation     INTEGER NOT NULL,
    device_key     TEXT NOT NULL,
    institution    TEXT NOT NULL,
    scope          TEXT NOT NULL,               -- JSON array
    key_design     TEXT NOT NULL,
    carrier        TEXT NOT NULL,
    algorithm      TEXT NOT NULL,
    slot           INTEGER CHECK (slot >= 1),   -- one of the person's numbered places; NULL: none is held
    certificate_id TEXT,
    reason         TEXT NOT NULL,
    ground         TEXT NOT NULL,
    note           TEXT NOT NULL,
    text           BYTEA NOT NULL,              -- sealed, as consent, proof and csr are (HCA-8.1.5)
    nonce          TEXT NOT NULL,
    challenge      BYTEA NOT NULL,
    deadline       TIMESTAMPTZ NOT NULL,
    consent        BYTEA,
    consent_bare   BOOLEAN NOT NULL,
    proof          BYTEA,
    insertion      TEXT NOT NULL,
    csr            BYTEA,
    key_proof      BYTEA,
    failure_code   TEXT NOT NULL,
    failure_detail TEXT NOT NULL,
    created_by     TEXT NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL,
    updated_at     TIMESTAMPTZ NOT NULL
);
-- Never two live certificates in one of a person's places, whatever the code above believes (HCA-7.5).
CREATE UNIQUE INDEX applications_slot ON applications (person_id, slot);
CREATE INDEX applications_institution ON applications (institution, id);
CREATE INDEX applications_open ON applications (state, deadline) WHERE state IN ('awaiting-signature', 'awaiting-key', 'requested', 'sent', 'disputed');
CREATE INDEX applications_device ON applications (device_id, state);
CREATE INDEX applications_insertion ON applications (insertion) WHERE insertion <> '';
CREATE INDEX applications_certificate ON applications (certificate_id);

-- What left for the HCA and what came back. Written before it is sent.
CREATE TABLE hca_requests (
    transaction_id TEXT PRIMARY KEY REFERENCES applications (id),
    adapter        TEXT NOT NULL,
    kind           TEXT NOT NULL,
    sender_nonce   BYTEA NOT NULL,
    request        BYTEA NOT NULL,              -- sealed, as the answer is
    prepared_at    TIMESTAMPTZ NOT NULL,
    token          BYTEA,                       -- what the HCA gave to ask by
    attempts       INTEGER NOT NULL,
    sent_at        TIMESTAMPTZ,
    answer         BYTEA,
    answered_at    TIMESTAMPTZ
);

CREATE TABLE certificates (
    id             TEXT PRIMARY KEY,
    application_id TEXT NOT NULL UNIQUE REFERENCES applications (id),
    person_id      TEXT NOT NULL,
    device_id      TEXT NOT NULL,
    generation     INTEGER NOT NULL,            -- of the device's binding it was applied for under
    institution    TEXT NOT NULL,
    scope          TEXT NOT NULL,
    key_design     TEXT NOT NULL,
    serial         TEXT NOT NULL,
    issuer_key     TEXT NOT NULL,
    der            BYTEA NOT NULL,              -- sealed, as the chain is
    chain          BYTEA NOT NULL,
    not_before     TIMESTAMPTZ NOT NULL,
    not_after      TIMESTAMPTZ NOT NULL,
    state          TEXT NOT NULL,
    state_note     TEXT NOT NULL,
    reason         TEXT NOT NULL,
    revoked_at     TIMESTAMPTZ,
    delivered_at   TIMESTAMPTZ,
    created_at     TIMESTAMPTZ NOT NULL,
    updated_at     TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX certificates_serial ON certificates (issuer_key, serial);
CREATE INDEX certificates_person ON certificates (person_id, state);
CREATE INDEX certificates_device ON certificates (device_id, state);
CREATE INDEX certificates_institution ON certificates (institution, id);
CREATE INDEX certificates_expiry ON certificates (state, not_after);

-- A holder's private key, encrypted under the HSM's master key and bound by a MAC to person, device and application (HCA-6.3.5).
CREATE TABLE holder_keys (
    application_id TEXT PRIMARY KEY REFERENCES applications (id),
    person_id      TEXT NOT NULL,
    device_id      TEXT NOT NULL,
    generation     INTEGER NOT NULL,            -- of the master key
    algorithm      TEXT NOT NULL,
    blob           BYTEA NOT NULL,
    spki           BYTEA NOT NULL,
    mac            BYTEA NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL         -- after the application (HCA-6.0)
);
CREATE INDEX holder_keys_device ON holder_keys (device_id);

-- One use each (HCA-8.1.4).
CREATE TABLE nonces (
    hash           BYTEA PRIMARY KEY,
    purpose        TEXT NOT NULL,
    person_id      TEXT NOT NULL,
    device_id      TEXT NOT NULL,
    session        TEXT NOT NULL,
    expires_at     TIMESTAMPTZ NOT NULL,
    redeemed_at    TIMESTAMPTZ
);
CREATE INDEX nonces_expiry ON nonces (expires_at);

-- +goose Down
DROP TABLE nonces;
DROP TABLE holder_keys;
DROP TABLE certificates;
DROP TABLE hca_requests;
DROP TABLE applications;
DROP TABLE holders;
