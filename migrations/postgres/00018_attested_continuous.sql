-- What platforms say of device keys (HCA-6.1), and the value by which two copies of one device are told apart (HCA-7.3).
-- +goose Up
ALTER TABLE device_bindings ADD COLUMN attestation TEXT NOT NULL DEFAULT '';

CREATE TABLE device_continuity (
    device_id  TEXT PRIMARY KEY REFERENCES devices (id),
    generation INTEGER NOT NULL,                -- of the binding under which it is handed on
    presented  BYTEA,                            -- hash of the last value that the device brought; null: none yet
    issued     BYTEA NOT NULL,                   -- hash of the one that it got for it
    at         TIMESTAMPTZ NOT NULL
);

-- +goose Down
DROP TABLE device_continuity;
ALTER TABLE device_bindings DROP COLUMN attestation;
