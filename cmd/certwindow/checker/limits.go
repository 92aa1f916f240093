package checker

import (
	"database/sql"
	"time"
)

// maxValid is how many valid certificates a person may hold without HCA's leave (HCA-7.5).
const maxValid = 5

// States as the database holds them, in SQL.
const (
	validStates  = "('live', 'suspended', 'revoking')"
	flightStates = "('awaiting-key', 'requested', 'sent', 'disputed')"
)

// limits counts what each person holds, from the states and from the places (HCA-7.5). An exemption that ended does
// not make what was issued under it wrong.
func (c *check) limits() error {
	over := func(what string) func(scan func(...any) error) error {
		return func(scan func(...any) error) error {
			var person string
			var held, limit int64
			if err := scan(&person, &held, &limit); err != nil {
				return err
			}
			c.found(Limit, "HCA-7.5", "person/"+person, "%d %s, %d are allowed", held, what, limit)
			return nil
		}
	}
	const limit = `CASE WHEN h.exempt_reply <> '' AND h.exempt_limit > ? THEN h.exempt_limit ELSE ? END`
	err := c.each(`SELECT p.person_id, p.held, `+limit+` FROM (SELECT person_id, COUNT(*) AS held FROM (
			SELECT person_id FROM certificates WHERE state IN `+validStates+` AND not_after >= ?
			UNION ALL SELECT person_id FROM applications WHERE kind = 'enrolment' AND state IN `+flightStates+`) AS live GROUP BY person_id) AS p
		LEFT JOIN holders h ON h.person_id = p.person_id WHERE p.held > `+limit,
		[]any{maxValid, maxValid, c.At.UTC(), maxValid, maxValid}, over("certificates are valid or in flight"))
	if err != nil {
		return err
	}
	return c.each(`SELECT p.person_id, p.held, `+limit+` FROM (SELECT person_id, MAX(slot) AS held FROM applications
			WHERE slot IS NOT NULL GROUP BY person_id) AS p
		LEFT JOIN holders h ON h.person_id = p.person_id WHERE p.held > `+limit,
		[]any{maxValid, maxValid, maxValid, maxValid}, over("is the number of a place that is held"))
}

// slots looks for a place that two hold, whatever became of the key that forbids it (HCA-7.5).
func (c *check) slots() error {
	return c.each(`SELECT person_id, slot, COUNT(*) FROM applications WHERE slot IS NOT NULL GROUP BY person_id, slot HAVING COUNT(*) > 1`, nil,
		func(scan func(...any) error) error {
			var person string
			var slot, n int64
			if err := scan(&person, &slot, &n); err != nil {
				return err
			}
			c.found(Slot, "HCA-7.5", "person/"+person, "place %d is held by %d applications", slot, n)
			return nil
		})
}

// orphans looks for rows whose application is gone.
func (c *check) orphans() error {
	for _, o := range []struct{ table, id, what, column string }{
		{"certificates", "id", State, "application_id"},
		{"holder_keys", "application_id", Key, "application_id"},
		{"hca_requests", "transaction_id", State, "transaction_id"},
	} {
		err := c.each(`SELECT o.`+o.id+` FROM `+o.table+` o LEFT JOIN applications a ON a.id = o.`+o.column+` WHERE a.id IS NULL`, nil,
			func(scan func(...any) error) error {
				var id string
				if err := scan(&id); err != nil {
					return err
				}
				c.found(o.what, "HCA-3.3", o.table+"/"+id, "its application is gone")
				return nil
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// nonces looks for one that was redeemed after its time, and for one text that two cards' signatures are over
// (HCA-8.1.4).
func (c *check) nonces() error {
	after := []byte{}
	for {
		n := 0
		err := c.each(`SELECT hash, purpose, expires_at, redeemed_at FROM nonces WHERE redeemed_at IS NOT NULL AND hash > ? ORDER BY hash LIMIT 1000`,
			[]any{after}, func(scan func(...any) error) error {
				var purpose string
				var expires time.Time
				var redeemed sql.NullTime
				if err := scan(&after, &purpose, &expires, &redeemed); err != nil {
					return err
				}
				n++
				c.must(redeemed.Time.Before(expires), Nonce, "HCA-8.1.4", nonceName(after), "a nonce of purpose %s was redeemed at %s, it had ended at %s",
					purpose, stamp(redeemed.Time), stamp(expires))
				return nil
			})
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	return c.each(`SELECT MIN(id), MAX(id) FROM applications WHERE consent IS NOT NULL GROUP BY nonce HAVING COUNT(*) > 1`, nil,
		func(scan func(...any) error) error {
			var a, b string
			if err := scan(&a, &b); err != nil {
				return err
			}
			c.found(Nonce, "HCA-8.1.4", "application/"+a, "its nonce served application/%s as well", b)
			return nil
		})
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
