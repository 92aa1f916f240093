-- What holders release for signature with their keys in the HSM (HCA-6.3.5). No secret of a phone is ever here, neither
-- plain nor encrypted.
-- +goose Up
CREATE TABLE signature_authorisations (
    id             TEXT PRIMARY KEY,
    certificate_id TEXT NOT NULL REFERENCES certificates (id),
    person_id      TEXT NOT NULL,
    device_id      TEXT NOT NULL,
    institution    TEXT NOT NULL,
    client         TEXT NOT NULL,                -- the system that asked; "device": the holder's own app
    scope          TEXT NOT NULL,
    hash_algorithm TEXT NOT NULL,
    hash_count     INTEGER NOT NULL,
    challenge      BLOB NOT NULL,
    state          TEXT NOT NULL,
    handle_hash    BLOB,                         -- what the client asks by, hashed
    sad_hash       BLOB,                         -- what the client collects by, hashed
    activation_id  BLOB,                         -- SHA-256 of what the device signed: one activation, one release
    activation     TEXT NOT NULL,                -- the JWS, kept as evidence
    created_at     DATETIME NOT NULL,
    expires_at     DATETIME NOT NULL,
    decided_at     DATETIME
);
CREATE UNIQUE INDEX signature_authorisations_handle ON signature_authorisations (handle_hash);
CREATE UNIQUE INDEX signature_authorisations_sad ON signature_authorisations (sad_hash);
CREATE UNIQUE INDEX signature_authorisations_activation ON signature_authorisations (activation_id);
CREATE INDEX signature_authorisations_device ON signature_authorisations (device_id, person_id, id) WHERE state = 'pending';
CREATE INDEX signature_authorisations_expiry ON signature_authorisations (expires_at) WHERE state = 'pending' OR state = 'released' AND client <> 'device';

CREATE TABLE signature_hashes (
    authorisation_id TEXT NOT NULL REFERENCES signature_authorisations (id),
    n                INTEGER NOT NULL,           -- from 0, in the order that the holder was shown
    hash             BLOB NOT NULL,
    label            BLOB NOT NULL,              -- sealed JSON: title, patients, source
    state            TEXT NOT NULL,
    signature        BLOB,                       -- sealed, and there only until it is collected
    PRIMARY KEY (authorisation_id, n)
);

-- +goose Down
DROP TABLE signature_hashes;
DROP TABLE signature_authorisations;
