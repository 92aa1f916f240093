-- Tables that people bring, work on many certificates at once, and the institutions' own programs (HCA-3.7).
-- +goose Up
CREATE TABLE imports (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,                  -- previewed, running, stopped, finished
    institution TEXT NOT NULL,
    sha256      TEXT NOT NULL,                  -- of the file
    encoding    TEXT NOT NULL,
    ignored     TEXT NOT NULL,                  -- JSON: columns that are not known here
    fresh       INTEGER NOT NULL,               -- lines by what the preview found
    known       INTEGER NOT NULL,
    wrong       INTEGER NOT NULL,
    done        INTEGER NOT NULL,               -- lines by what became of them
    failed      INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    created_at  DATETIME NOT NULL,
    started_at  DATETIME,
    finished_at DATETIME
);
CREATE INDEX imports_institution ON imports (institution, id);
CREATE INDEX imports_state ON imports (state, created_at);
CREATE TABLE import_lines (
    import_id TEXT NOT NULL REFERENCES imports (id),
    line      INTEGER NOT NULL,
    verdict   TEXT NOT NULL,                    -- fresh, known, wrong; done, failed
    field     TEXT NOT NULL,
    code      TEXT NOT NULL,
    detail    TEXT NOT NULL,
    object    TEXT NOT NULL,
    cells     BLOB,                             -- sealed JSON; forgotten when the line is done
    PRIMARY KEY (import_id, line)
);
CREATE INDEX import_lines_verdict ON import_lines (import_id, verdict, line);

CREATE TABLE bulks (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,                  -- revoke, remind
    state       TEXT NOT NULL,                  -- running, stopped, finished
    filter      TEXT NOT NULL,                  -- JSON
    ground      TEXT NOT NULL,
    note        TEXT NOT NULL,
    institution TEXT NOT NULL,                  -- of who began it; empty: the whole window
    total       INTEGER NOT NULL,
    done        INTEGER NOT NULL,
    left_alone  INTEGER NOT NULL,               -- those that were not as they were when it was approved
    approval    TEXT NOT NULL,
    proposed_by TEXT NOT NULL,
    created_by  TEXT NOT NULL,
    created_at  DATETIME NOT NULL,
    finished_at DATETIME
);
CREATE INDEX bulks_institution ON bulks (institution, id);
CREATE TABLE bulk_items (
    bulk_id        TEXT NOT NULL REFERENCES bulks (id),
    certificate_id TEXT NOT NULL REFERENCES certificates (id),
    outcome        TEXT NOT NULL,               -- waiting, done, left
    code           TEXT NOT NULL,
    PRIMARY KEY (bulk_id, certificate_id)
);
CREATE INDEX bulk_items_outcome ON bulk_items (bulk_id, outcome, certificate_id);

CREATE TABLE api_clients (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    institution TEXT NOT NULL REFERENCES institutions (code),
    secret_hash BLOB NOT NULL UNIQUE,           -- keyed hash: the secret itself is nowhere
    active      BOOLEAN NOT NULL,
    created_by  TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    created_at  DATETIME NOT NULL,
    last_used_at DATETIME
);
CREATE INDEX api_clients_institution ON api_clients (institution, id);

-- +goose Down
DROP TABLE api_clients;
DROP TABLE bulk_items;
DROP TABLE bulks;
DROP TABLE import_lines;
DROP TABLE imports;
