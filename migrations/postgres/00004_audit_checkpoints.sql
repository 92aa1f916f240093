-- Signed checkpoints of the audit log: who has the database alone cannot rewrite what they cover (HCA-8.1.6).
-- +goose Up
CREATE TABLE audit_checkpoints (
    seq    BIGINT PRIMARY KEY,                  -- the row that it signs; 0: an empty log
    hash   BYTEA NOT NULL,
    at     TIMESTAMPTZ NOT NULL,
    signed BYTEA NOT NULL                        -- CMS SignedData
);

-- +goose Down
DROP TABLE audit_checkpoints;
