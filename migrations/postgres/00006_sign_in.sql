-- Signing in by IC card, and what was typed when a session ended (HCA-8.1.1, HCA-8.1.4, HCA-8.1.6).
-- +goose Up
CREATE TABLE staff_cards (
    staff_id      TEXT PRIMARY KEY REFERENCES staff (id),
    holder_hash   BYTEA NOT NULL UNIQUE,          -- one card, one account
    holder_sealed BYTEA NOT NULL,
    linked_at     TIMESTAMPTZ NOT NULL
);

-- A text that was shown to be signed by a card: good once, for one purpose and one browser (HCA-8.1.4).
CREATE TABLE card_challenges (
    hash        BYTEA PRIMARY KEY,                -- SHA-256 of the nonce
    purpose     TEXT NOT NULL,
    bound       BYTEA NOT NULL,                   -- SHA-256 of the browser's token
    text        BYTEA NOT NULL,                   -- exactly what is signed (HCA-8.1.3)
    issued_at   TIMESTAMPTZ NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL,
    redeemed_at TIMESTAMPTZ
);
CREATE INDEX card_challenges_expiry ON card_challenges (expires_at);

ALTER TABLE sessions ADD COLUMN method TEXT NOT NULL DEFAULT 'password';

-- Sessions that are over, for as long as what is still posted into one is kept for its account.
CREATE TABLE ended_sessions (
    hash     BYTEA PRIMARY KEY,
    staff_id TEXT NOT NULL REFERENCES staff (id),
    csrf     TEXT NOT NULL,
    ended_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ended_sessions_staff ON ended_sessions (staff_id, csrf);
CREATE INDEX ended_sessions_ended ON ended_sessions (ended_at);

CREATE TABLE drafts (
    staff_id TEXT NOT NULL REFERENCES staff (id),
    page     TEXT NOT NULL,
    action   TEXT NOT NULL,                      -- where the form is posted to
    session  BYTEA NOT NULL,                      -- in which it was typed
    sealed   BYTEA NOT NULL,
    saved_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (staff_id, page)
);
CREATE INDEX drafts_saved ON drafts (saved_at);

-- Pages that a role did not get to see, once a session each.
CREATE TABLE refused_looks (
    session BYTEA NOT NULL REFERENCES sessions (hash) ON DELETE CASCADE,
    route   TEXT NOT NULL,
    PRIMARY KEY (session, route)
);

CREATE INDEX login_attempts_window ON login_attempts (window_at);

-- +goose Down
DROP INDEX login_attempts_window;
DROP TABLE refused_looks;
DROP TABLE drafts;
DROP TABLE ended_sessions;
ALTER TABLE sessions DROP COLUMN method;
DROP TABLE card_challenges;
DROP TABLE staff_cards;
