-- Approved apps, what devices report of themselves, notices to holders, and who saw whose data unmasked
-- (HCA-2.6, HCA-6.1, HCA-7.1, HCA-8.1.5, HCA-8.2.1 to HCA-8.2.4, HCA-9).
-- +goose Up
-- A row never changes but in its state: what was approved stays as it was shown.
CREATE TABLE app_versions (
    id              TEXT PRIMARY KEY,
    platform        TEXT NOT NULL,
    package         TEXT NOT NULL,              -- bundle or package id
    version         TEXT NOT NULL,
    name            TEXT NOT NULL,
    permissions     TEXT NOT NULL,              -- JSON array (HCA-8.2.1)
    download        TEXT NOT NULL,              -- HCA-8.2.2
    digest          TEXT NOT NULL,              -- Android: SHA-256 of the signing certificate; Apple: TEAM.BUNDLE
    min_os          TEXT NOT NULL,
    scopes          TEXT NOT NULL,              -- JSON array; empty: every approved scope
    evidence        TEXT NOT NULL,              -- the review's document
    evidence_sha256 TEXT NOT NULL,
    reviewer        TEXT NOT NULL,              -- an organisation or unit, no person
    reviewed_on     TIMESTAMPTZ NOT NULL,
    state           TEXT NOT NULL,              -- proposed, approved, withdrawn
    added_by        TEXT NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL,
    approved_at     TIMESTAMPTZ,
    withdrawn_at    TIMESTAMPTZ,
    withdrawal      TEXT NOT NULL               -- why
);
CREATE UNIQUE INDEX app_versions_now ON app_versions (platform, package, version) WHERE state <> 'withdrawn';
CREATE INDEX app_versions_reported ON app_versions (package, version);

-- One row for each change of what a device says of itself; the last of them is what holds.
CREATE TABLE device_checkins (
    device_id       TEXT NOT NULL REFERENCES devices (id),
    seq             INTEGER NOT NULL,
    generation      INTEGER NOT NULL,           -- of the binding under which it was said
    first_at        TIMESTAMPTZ NOT NULL,
    last_at         TIMESTAMPTZ NOT NULL,
    os_version      TEXT NOT NULL,
    app             TEXT NOT NULL,
    app_version     TEXT NOT NULL,
    carrier_present BOOLEAN NOT NULL,
    rooted          BOOLEAN NOT NULL,
    debugged        BOOLEAN NOT NULL,
    emulated        BOOLEAN NOT NULL,
    screen_lock     BOOLEAN NOT NULL,
    PRIMARY KEY (device_id, seq)
);

-- The risk notice and the advice on antivirus software, a row for each version of the texts.
CREATE TABLE safety_notices (
    version      INTEGER PRIMARY KEY,
    risk_zh      TEXT NOT NULL,
    risk_en      TEXT NOT NULL,
    antivirus_zh TEXT NOT NULL,
    antivirus_en TEXT NOT NULL,
    written_by   TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);
CREATE TABLE notice_acknowledgements (
    device_id   TEXT NOT NULL REFERENCES devices (id),
    person_id   TEXT NOT NULL,                  -- empty: of a shared device, before anybody has logged in
    version     INTEGER NOT NULL REFERENCES safety_notices (version),
    app_version TEXT NOT NULL,
    first_at    TIMESTAMPTZ NOT NULL,
    last_at     TIMESTAMPTZ NOT NULL,
    starts      INTEGER NOT NULL,               -- how many starts of the app it was acknowledged at (HCA-8.2.3)
    PRIMARY KEY (device_id, person_id, version)
);

-- Who saw whose data unmasked, and why.
CREATE TABLE unmaskings (
    id          TEXT PRIMARY KEY,
    person_id   TEXT NOT NULL REFERENCES persons (id),
    staff_id    TEXT NOT NULL,
    institution TEXT NOT NULL,
    kind        TEXT NOT NULL,                  -- record, list, copy
    reason      TEXT NOT NULL,                  -- a word of a fixed list
    note        BYTEA NOT NULL,                  -- sealed: people write names into it
    at          TIMESTAMPTZ NOT NULL
);
CREATE INDEX unmaskings_person ON unmaskings (person_id, id);
CREATE INDEX unmaskings_staff ON unmaskings (staff_id, at);
-- Taken before a person's unmaskings are counted, so that two at once count each other.
CREATE TABLE unmaskers (
    staff_id TEXT PRIMARY KEY,
    last_at  TIMESTAMPTZ NOT NULL
);
-- Lists that two persons agreed to unmask: fetched once, by the one who asked, within an hour.
CREATE TABLE unmasked_lists (
    id          TEXT PRIMARY KEY,
    approval    TEXT NOT NULL UNIQUE,
    institution TEXT NOT NULL,
    staff_id    TEXT NOT NULL,
    purpose     BYTEA NOT NULL,                  -- sealed
    people      TEXT NOT NULL,                  -- JSON array of ids
    approved_at TIMESTAMPTZ NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL,
    fetched_at  TIMESTAMPTZ
);
CREATE INDEX unmasked_lists_staff ON unmasked_lists (staff_id, id);

-- Retention (HCA-9): listed first, erased thirty days later.
ALTER TABLE persons ADD COLUMN erasure_listed_at TIMESTAMPTZ;
ALTER TABLE persons ADD COLUMN erased_at TIMESTAMPTZ;
CREATE INDEX persons_erasure ON persons (erasure_listed_at) WHERE erasure_listed_at IS NOT NULL AND erased_at IS NULL;
ALTER TABLE applications ADD COLUMN erased_at TIMESTAMPTZ;
CREATE INDEX applications_of_person ON applications (person_id, id);

-- +goose Down
DROP INDEX applications_of_person;
ALTER TABLE applications DROP COLUMN erased_at;
DROP INDEX persons_erasure;
ALTER TABLE persons DROP COLUMN erased_at;
ALTER TABLE persons DROP COLUMN erasure_listed_at;
DROP TABLE unmasked_lists;
DROP TABLE unmaskers;
DROP TABLE unmaskings;
DROP TABLE notice_acknowledgements;
DROP TABLE safety_notices;
DROP TABLE device_checkins;
DROP TABLE app_versions;
