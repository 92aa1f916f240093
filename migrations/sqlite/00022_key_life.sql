-- The life of a key: renewed before its certificate ends (HCA-7.2, HCA-7.5), left behind on a phone that is replaced, and
-- copied (HCA-7.3).
-- +goose Up
ALTER TABLE applications ADD COLUMN renews TEXT NOT NULL DEFAULT ''; -- the certificate that its own is to follow; empty: none
CREATE INDEX applications_renews ON applications (renews) WHERE renews <> '';
ALTER TABLE certificates ADD COLUMN reminded INTEGER NOT NULL DEFAULT 0; -- at how many days before its end the holder was told last; 0: not yet
ALTER TABLE devices ADD COLUMN replaces TEXT NOT NULL DEFAULT '';    -- the device whose place it took; empty: none
CREATE UNIQUE INDEX devices_replaces ON devices (replaces) WHERE replaces <> '';
ALTER TABLE devices ADD COLUMN copied_at DATETIME;                         -- since when two copies of its key are known; null: none since it was bound
CREATE INDEX devices_copied ON devices (copied_at) WHERE copied_at IS NOT NULL;

-- +goose Down
DROP INDEX devices_copied;
ALTER TABLE devices DROP COLUMN copied_at;
DROP INDEX devices_replaces;
ALTER TABLE devices DROP COLUMN replaces;
ALTER TABLE certificates DROP COLUMN reminded;
DROP INDEX applications_renews;
ALTER TABLE applications DROP COLUMN renews;
