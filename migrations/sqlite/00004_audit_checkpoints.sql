-- Signed checkpoints of the audit log: who has the database alone cannot rewrite what they cover (HCA-8.1.6).
-- +goose Up
CREATE TABLE audit_checkpoints (
    seq    INTEGER PRIMARY KEY,                 -- the row that it signs; 0: an empty log
    hash   BLOB NOT NULL,
    at     DATETIME NOT NULL,
    signed BLOB NOT NULL                        -- CMS SignedData
);

-- +goose Down
DROP TABLE audit_checkpoints;
