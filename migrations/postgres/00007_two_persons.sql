-- What two persons decide of accounts, settings and the master key (HCA-3.2, HCA-6.3.2, HCA-8.1.6, HCA-9).
-- +goose Up
-- The halves of an account's credentials that wait to be handed over: each is another member of staff's to show.
CREATE TABLE staff_handovers (
    staff_id   TEXT NOT NULL REFERENCES staff (id),
    half       TEXT NOT NULL,                   -- password or code
    for_staff  TEXT NOT NULL,                   -- who may show it, once; empty: the operator, at the command line
    approval   TEXT NOT NULL,                   -- empty: the first approver's, whom nobody could approve
    expires_at TIMESTAMPTZ NOT NULL,
    taken_at   TIMESTAMPTZ,
    PRIMARY KEY (staff_id, half)
);
CREATE TABLE settings (
    name     TEXT PRIMARY KEY,
    value    TEXT NOT NULL,
    approval TEXT NOT NULL,                     -- empty: what one person may do at once
    set_by   TEXT NOT NULL,
    set_at   TIMESTAMPTZ NOT NULL
);
-- Leave to hold one ceremony, which a command uses once.
CREATE TABLE ceremonies (
    approval    TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at TIMESTAMPTZ NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL,
    begun_at    TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    record      BYTEA                            -- what the ceremony left, signed by the token
);

-- +goose Down
DROP TABLE ceremonies;
DROP TABLE settings;
DROP TABLE staff_handovers;
