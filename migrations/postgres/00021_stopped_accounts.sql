-- A holder's account that one person stopped, at any hour (HCA-5.2.2, HCA-8.1.6); identifying the holder opens it again.
-- +goose Up
ALTER TABLE holder_accounts ADD COLUMN stopped_at TIMESTAMPTZ;

-- +goose Down
ALTER TABLE holder_accounts DROP COLUMN stopped_at;
