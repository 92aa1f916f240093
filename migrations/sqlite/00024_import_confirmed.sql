-- Who confirmed an import last: it is his act, beside whose file it is (HCA-8.1.6).
-- +goose Up
ALTER TABLE imports ADD COLUMN started_by TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE imports DROP COLUMN started_by;
