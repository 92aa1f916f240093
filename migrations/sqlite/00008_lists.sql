-- What the lists of the staff's pages are filtered and sorted by: each order has an index that ends with the id, so that a
-- page is read from where the one before it ended.
-- +goose Up
CREATE INDEX devices_state ON devices (state, id);
CREATE INDEX devices_institution_code ON devices (institution, code);
CREATE INDEX devices_seen ON devices ((COALESCE(last_seen_at, created_at)), id);
CREATE INDEX devices_institution_seen ON devices (institution, (COALESCE(last_seen_at, created_at)), id);
CREATE INDEX applications_institution_kind ON applications (institution, kind, id);
CREATE INDEX applications_state ON applications (state, id);
CREATE INDEX applications_kind ON applications (kind, id);
CREATE INDEX applications_kind_state ON applications (kind, state, id);
CREATE INDEX applications_institution_state ON applications (institution, state, id);
CREATE INDEX certificates_number ON certificates (serial);
CREATE INDEX certificates_state ON certificates (state, id, key_design);
DROP INDEX certificates_expiry;
CREATE INDEX certificates_expiry ON certificates (state, not_after, id, key_design);
CREATE INDEX certificates_key_design ON certificates (key_design, id);
CREATE INDEX certificates_until ON certificates (not_after, id);
CREATE INDEX certificates_institution_state ON certificates (institution, state, id);
CREATE INDEX certificates_institution_until ON certificates (institution, not_after, id, state);
CREATE INDEX proposals_act ON proposals (act, id);
CREATE INDEX devices_platform ON devices (platform, id);
CREATE INDEX audit_events_actor ON audit_events (actor, seq);
CREATE INDEX audit_events_clause ON audit_events (clause, seq);
CREATE INDEX audit_events_institution ON audit_events (institution, seq);
CREATE INDEX audit_events_outcome ON audit_events (outcome, seq);

-- +goose Down
DROP INDEX audit_events_outcome;
DROP INDEX audit_events_institution;
DROP INDEX audit_events_clause;
DROP INDEX audit_events_actor;
DROP INDEX devices_platform;
DROP INDEX proposals_act;
DROP INDEX certificates_institution_until;
DROP INDEX certificates_institution_state;
DROP INDEX certificates_until;
DROP INDEX certificates_key_design;
DROP INDEX certificates_expiry;
CREATE INDEX certificates_expiry ON certificates (state, not_after);
DROP INDEX certificates_state;
DROP INDEX certificates_number;
DROP INDEX applications_institution_state;
DROP INDEX applications_kind_state;
DROP INDEX applications_kind;
DROP INDEX applications_state;
DROP INDEX applications_institution_kind;
DROP INDEX devices_institution_seen;
DROP INDEX devices_seen;
DROP INDEX devices_institution_code;
DROP INDEX devices_state;
