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
    created_at  TIMESTAMPTZ NOT NULL,
    started_at  TIMESTAMPTZ,
    finished_at TIMESTAMPTZ
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
    cells     BYTEA,                             -- sealed JSON; forgotten when the line is done
    PRIMARY KEY (import_id, line)
);
CREATE INDEX import_lines_verdict ON import_lines (import_id, verdict, line);

-- +goose Down
DROP TABLE import_lines;
DROP TABLE imports;
