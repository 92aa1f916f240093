-- The holders' accounts on phones, and what they show that it is they by (HCA-7.4, HCA-8.2.6 to HCA-8.2.8).
-- +goose Up
CREATE TABLE holder_accounts (
    person_id   TEXT PRIMARY KEY REFERENCES persons (id),
    name        TEXT NOT NULL UNIQUE,
    password    TEXT NOT NULL,                  -- Argon2id over an HMAC made in the HSM (HCA-8.2.6(6))
    password_at DATETIME NOT NULL,
    must_change BOOLEAN NOT NULL,
    failures    INTEGER NOT NULL,
    code_fails  INTEGER NOT NULL,
    totp_sealed BLOB,
    totp_step   INTEGER NOT NULL,               -- the last time step that was used (HCA-8.2.7(3))
    hotp_sealed BLOB,
    hotp_next   INTEGER NOT NULL,               -- the first counter that was not used
    created_at  DATETIME NOT NULL
);

-- One-time codes that were sent, and challenges for biometric keys (channel empty). Codes of nobody's account are kept
-- as well, with no person, so that asking for one takes as long.
CREATE TABLE holder_codes (
    id         TEXT PRIMARY KEY,
    person_id  TEXT NOT NULL,
    device_id  TEXT NOT NULL,
    app        TEXT NOT NULL,
    purpose    TEXT NOT NULL,
    channel    TEXT NOT NULL,
    hash       BLOB NOT NULL,                   -- keyed in the HSM
    sent_at    DATETIME NOT NULL,
    expires_at DATETIME NOT NULL,
    used_at    DATETIME
);
CREATE INDEX holder_codes_open ON holder_codes (person_id, device_id, purpose, id);
CREATE INDEX holder_codes_expiry ON holder_codes (expires_at);

CREATE TABLE holder_biometrics (
    id         TEXT PRIMARY KEY,
    person_id  TEXT NOT NULL,
    device_id  TEXT NOT NULL,
    generation INTEGER NOT NULL,                -- of the device's binding
    kind       TEXT NOT NULL,
    spki       BLOB NOT NULL,
    added_at   DATETIME NOT NULL,
    removed_at DATETIME
);
CREATE UNIQUE INDEX holder_biometrics_now ON holder_biometrics (person_id, device_id) WHERE removed_at IS NULL;

CREATE TABLE holder_logins (
    hash        BLOB PRIMARY KEY,               -- SHA-256 of the token
    person_id   TEXT NOT NULL,
    account     TEXT NOT NULL,
    device_id   TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    thumbprint  TEXT NOT NULL,                  -- of the certificate that the token is bound to (RFC 8705)
    kinds       TEXT NOT NULL,                  -- JSON array
    must_change BOOLEAN NOT NULL,
    remind      BOOLEAN NOT NULL,
    started_at  DATETIME NOT NULL,
    last_used   DATETIME NOT NULL
);
CREATE INDEX holder_logins_person ON holder_logins (person_id);
CREATE INDEX holder_logins_used ON holder_logins (last_used);

-- What an institution accepts by its risk (HCA-8.2.8(2)): a JSON array.
ALTER TABLE institutions ADD COLUMN biometrics TEXT NOT NULL DEFAULT '["fingerprint","face"]';

-- +goose Down
ALTER TABLE institutions DROP COLUMN biometrics;
DROP TABLE holder_logins;
DROP TABLE holder_biometrics;
DROP TABLE holder_codes;
DROP TABLE holder_accounts;
