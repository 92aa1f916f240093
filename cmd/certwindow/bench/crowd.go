package bench

import (
	"context"
	"crypto/md5" // PostgreSQL's own function, to make numbers that look like serial numbers
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"certwindow/migrations"
	"certwindow/ra/store"
)

// Crowd is how many rows a throw-away database is filled with.
type Crowd struct{ Institutions, Persons, Devices, Certificates, Events int }

// Country is a window of the size that the lists are promised for.
var Country = Crowd{Institutions: 400, Persons: 400_000, Devices: 500_000, Certificates: 2_000_000, Events: 2_000_000}

// hollow opens every sealed column to the same few letters, and hashes as the rows of a crowd were: what is measured is
// the database, and the sealing of two million rows would take longer than everything else.
type hollow struct{}

func (hollow) Seal(string, []byte) ([]byte, error) { return []byte{0}, nil }
func (hollow) Open(string, []byte) ([]byte, error) { return []byte("王大明"), nil }
func (hollow) Hash(column, value string) []byte {
	sum := sha256.Sum256([]byte(column + "/" + value))
	return sum[:]
}

// Ids of a crowd: a letter for the kind, and the number.
func crowdID(kind string, n int) string { return fmt.Sprintf("01%s%023d", kind, n) }

// Fill makes the rows of a crowd in an empty PostgreSQL database, with that database's own means. One that was filled by it
// before is left as it is.
func (c Crowd) Fill(ctx context.Context, db *store.DB) error {
	if db.Dialect != migrations.Postgres {
		return errors.New("the database is not PostgreSQL")
	}
	if _, err := migrations.Up(ctx, db.SQL, db.Dialect); err != nil {
		return err
	}
	var there, same int
	if err := db.SQL.QueryRowContext(ctx, "SELECT count(*), (SELECT count(*) FROM certificates WHERE id = $1) FROM institutions", crowdID("C", c.Certificates-1)).
		Scan(&there, &same); err != nil {
		return err
	}
	if there == c.Institutions && same == 1 {
		return nil // filled by an earlier run
	}
	if there > 0 {
		return errors.New("the database is not empty: it has to be one that may be thrown away")
	}
	conn, err := db.SQL.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, s := range c.statements() {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("filling the database: %w", err)
		}
	}
	return nil
}

// statements fill the tables. States, kinds and acts are as uneven as in a window that has worked for years; references
// are right by making, so that they are not checked row by row.
func (c Crowd) statements() []string {
	const day = "TIMESTAMPTZ '2026-01-01'"
	id := func(kind, n string) string { return "'01" + kind + "' || lpad((" + n + ")::text, 23, '0')" }
	at := func(n string) string { return fmt.Sprintf("lpad((((%s) %% %d))::text, 10, '0')", n, c.Institutions) }
	hash := func(column, value string) string {
		return "sha256(convert_to('" + column + "/' || " + value + ", 'UTF8'))"
	}
	series := func(n int) string { return fmt.Sprintf("generate_series(0, %d) AS i", n-1) }
	return []string{
		"SET session_replication_role = replica",
		"INSERT INTO institutions (code, name, agreement, created_at, updated_at) SELECT " + at("i") + ", 'H' || i, 'ab', " + day + ", " + day + " FROM " + series(c.Institutions),
		"INSERT INTO persons (id, national_id_hash, national_id_sealed, name_sealed, name_hash, holder_hash, holder_sealed, locale, created_at, updated_at) SELECT " +
			id("P", "i") + ", " + hash("persons.national_id", "'N' || i") + ", '\\x00', '\\x00', " + hash("persons.name", "'M' || i / 3") + ", " + hash("persons.holder", "'H' || i") +
			", '\\x00', 'zh-Hant-TW', " + day + ", " + day + " FROM " + series(c.Persons),
		"INSERT INTO memberships (person_id, institution, since) SELECT " + id("P", "i") + ", " + at("i") + ", " + day + " FROM " + series(c.Persons),
		"INSERT INTO devices (id, code, institution, platform, model, shared, state, key_hash, last_seen_at, created_at, updated_at) SELECT " + id("D", "i") +
			", 'D-' || lpad(i::text, 7, '0'), " + at("i") + ", CASE i % 3 WHEN 0 THEN 'android' ELSE 'ios' END, 'Model ' || i % 20, false, CASE WHEN i % 100 < 90 THEN 'bound' WHEN i % 100 < 96 " +
			"THEN 'registered' WHEN i % 100 < 97 THEN 'lost' WHEN i % 100 < 98 THEN 'broken' ELSE 'retired' END, md5(i::text), CASE WHEN i % 100 < 90 THEN " + day + " + i * INTERVAL '37 seconds' END, " +
			day + ", " + day + " FROM " + series(c.Devices),
		"INSERT INTO device_users (id, device_id, person_id, added_at, added_by) SELECT " + id("U", "i") + ", " + id("D", "i") + ", " + id("P", fmt.Sprintf("i %% %d", c.Persons)) +
			", " + day + ", '' FROM " + series(c.Devices),
		"INSERT INTO applications (id, kind, state, person_id, device_id, generation, device_key, institution, scope, key_design, carrier, algorithm, reason, ground, note, text, nonce, challenge, " +
			"deadline, consent_bare, insertion, failure_code, failure_detail, created_by, created_at, updated_at) SELECT " + id("A", "i") + ", CASE WHEN i % 20 = 0 THEN 'revocation' ELSE 'enrolment' END, " +
			"CASE WHEN i % 200 < 190 THEN 'completed' WHEN i % 200 < 194 THEN 'lapsed' WHEN i % 200 < 197 THEN 'voided' WHEN i % 200 < 199 THEN 'refused' ELSE 'sent' END, " +
			id("P", fmt.Sprintf("i %% %d", c.Persons)) + ", " + id("D", fmt.Sprintf("i %% %d", c.Devices)) + ", 1, '', " + at("i") + ", '[\"EMR-SIGN\"]', 'app', 'device', 'P-256', '', '', '', '\\x00', '', '\\x00', " +
			day + ", false, '', '', '', '', " + day + ", " + day + " FROM " + series(c.Certificates),
		"INSERT INTO certificates (id, application_id, person_id, device_id, generation, institution, scope, key_design, serial, issuer_key, der, chain, not_before, not_after, state, state_note, " +
			"reason, created_at, updated_at) SELECT " + id("C", "i") + ", " + id("A", "i") + ", " + id("P", fmt.Sprintf("i %% %d", c.Persons)) + ", " + id("D", fmt.Sprintf("i %% %d", c.Devices)) +
			", 1, " + at("i") + ", '[\"EMR-SIGN\"]', CASE WHEN i % 100 < 90 THEN 'app' WHEN i % 100 < 99 THEN 'hsm' ELSE 'chip' END, 'a' || md5(i::text), 'ff', '\\x00', '\\x00', " + day + ", " +
			day + " + i * INTERVAL '50 seconds', CASE WHEN i % 1000 < 600 THEN 'live' WHEN i % 1000 < 899 THEN 'expired' WHEN i % 1000 < 998 THEN 'revoked' WHEN i % 1000 = 998 THEN 'revoking' " +
			"ELSE 'suspended' END, '', '', " + day + ", " + day + " FROM " + series(c.Certificates),
		"INSERT INTO audit_events (seq, at, actor_kind, actor, address, request_id, act, object, institution, outcome, clause, code, details, hash) SELECT i + 1, " + day +
			" + i * INTERVAL '10 seconds', 'staff', " + id("S", "i % 900") + ", '', '', CASE WHEN i % 10000 = 7 THEN 'person.exempt' WHEN i % 3 = 0 THEN 'enrol.begin' ELSE 'enrol.consent' END, " +
			"'application/' || " + id("A", "i / 4") + ", " + at("i") + ", CASE WHEN i % 500 = 0 THEN 'refused' WHEN i % 7000 = 1 THEN 'failed' ELSE 'done' END, CASE WHEN i % 500 = 0 THEN 'HCA-7.5' " +
			"WHEN i % 2 = 0 THEN 'HCA-5.1.1' ELSE '' END, '', '{}', '\\x00' FROM " + series(c.Events),
		fmt.Sprintf("UPDATE audit_head SET seq = %d", c.Events),
		"SET session_replication_role = DEFAULT", "ANALYZE",
	}
}

// crowdSerial is the serial number of certificate n.
func crowdSerial(n int) string { return fmt.Sprintf("a%x", md5.Sum(fmt.Append(nil, n))) }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
