-- When something last changed that a phone waits for, in the order of the commits (HCA-6.3.5), and by what a phone without
-- an open connection is told to look.
-- +goose Up
ALTER TABLE audit_head ADD COLUMN news INTEGER NOT NULL DEFAULT 0; -- counts changes: who may append to the log may count

CREATE TABLE phone_news (
    topic TEXT PRIMARY KEY,                     -- device/ID or person/ID
    seq   INTEGER NOT NULL UNIQUE               -- audit_head.news as it was counted for the last change
);

CREATE TABLE device_pushes (
    device_id     TEXT PRIMARY KEY REFERENCES devices (id),
    generation    INTEGER NOT NULL,             -- of the device's binding: the next one ends it
    service       TEXT NOT NULL,
    token         BLOB NOT NULL,                -- sealed (HCA-8.1.5)
    registered_at DATETIME NOT NULL
);

-- +goose Down
DROP TABLE device_pushes;
DROP TABLE phone_news;
ALTER TABLE audit_head DROP COLUMN news;
