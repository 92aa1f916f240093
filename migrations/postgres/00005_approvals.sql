-- What one member of staff proposes and another approves (HCA-5.2.2, HCA-7.5, HCA-8.1.6).
-- +goose Up
CREATE TABLE proposals (
    id          TEXT PRIMARY KEY,
    act         TEXT NOT NULL,
    object      TEXT NOT NULL,
    institution TEXT NOT NULL,                  -- whose approvers decide; empty: those of the whole window alone
    payload     BYTEA NOT NULL,                 -- sealed JSON: exactly what is approved
    hash        TEXT NOT NULL,                  -- SHA-256 of that JSON, hex
    proposed_by TEXT NOT NULL,
    proposed_at TIMESTAMPTZ NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL,
    state       TEXT NOT NULL,
    decided_by  TEXT NOT NULL,
    decided_at  TIMESTAMPTZ,
    reason      TEXT NOT NULL,                  -- why it was rejected
    -- Nobody approves his own, whatever the code above believes.
    CHECK (state <> 'approved' OR (decided_by <> '' AND decided_by <> proposed_by))
);
CREATE UNIQUE INDEX proposals_open ON proposals (act, object) WHERE state = 'proposed';
CREATE INDEX proposals_expiry ON proposals (state, expires_at);
CREATE INDEX proposals_object ON proposals (object, id);
CREATE INDEX proposals_institution ON proposals (institution, id);

-- +goose Down
DROP TABLE proposals;
