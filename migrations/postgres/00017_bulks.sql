-- Work on many certificates at once (HCA-5.2.2, HCA-3.4).
-- +goose Up
CREATE TABLE bulks (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,                  -- revoke, remind
    state       TEXT NOT NULL,                  -- running, stopped, finished
    institution TEXT NOT NULL,                  -- the search: empty is any
    expires     TEXT NOT NULL,                  -- the first day that is not searched any more; empty: no bound
    standing    TEXT NOT NULL,                  -- of the certificates; empty: every usable one
    device      TEXT NOT NULL,                  -- state of their devices; empty: any
    ground      TEXT NOT NULL,
    note        TEXT NOT NULL,
    list        TEXT NOT NULL,                  -- SHA-256 of the certificates' ids, as it was shown
    total       INTEGER NOT NULL,
    done        INTEGER NOT NULL,
    skipped     INTEGER NOT NULL,
    proposal    TEXT NOT NULL,                  -- empty: one person's act
    created_by  TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    stopped_by  TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    ended_at    TIMESTAMPTZ
);
CREATE INDEX bulks_institution ON bulks (institution, id);
CREATE TABLE bulk_items (
    bulk_id        TEXT NOT NULL REFERENCES bulks (id),
    certificate_id TEXT NOT NULL REFERENCES certificates (id),
    result         TEXT NOT NULL,               -- left, done, skipped
    code           TEXT NOT NULL,               -- why it was skipped
    PRIMARY KEY (bulk_id, certificate_id)
);
CREATE INDEX bulk_items_result ON bulk_items (bulk_id, result, certificate_id);

-- +goose Down
DROP TABLE bulk_items;
DROP TABLE bulks;
