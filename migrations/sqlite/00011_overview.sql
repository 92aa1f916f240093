-- What the home page and the auditor's reports count by: each of their statements reads one index, never the table.
-- +goose Up
CREATE INDEX certificates_live ON certificates (institution, key_design, not_after) WHERE state = 'live';
CREATE INDEX certificates_created ON certificates (created_at, institution);
CREATE INDEX certificates_revoked ON certificates (revoked_at, institution) WHERE revoked_at IS NOT NULL;
CREATE INDEX devices_silent ON devices (COALESCE(last_seen_at, created_at)) WHERE state = 'bound';
CREATE INDEX holders_exempt ON holders (exempt_until) WHERE exempt_until IS NOT NULL;
CREATE INDEX audit_events_act ON audit_events (act, seq);

-- +goose Down
DROP INDEX audit_events_act;
DROP INDEX holders_exempt;
DROP INDEX devices_silent;
DROP INDEX certificates_revoked;
DROP INDEX certificates_created;
DROP INDEX certificates_live;
