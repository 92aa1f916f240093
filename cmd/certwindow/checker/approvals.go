package checker

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Approval is what two persons have to have agreed on (HCA-8.1.6).
const Approval = "approval"

// agreed is a proposal that was approved, as its own row says.
type agreed struct {
	act, object, institution string
	terms                    struct {
		Act         string            `json:"act"`
		Object      string            `json:"object"`
		Institution string            `json:"institution"`
		Certificate string            `json:"certificate"`
		Limit       int               `json:"limit"`
		Until       *time.Time        `json:"until"`
		Reply       string            `json:"reply"`
		Facts       map[string]string `json:"facts"`
	}
}

// proposal is a row as this package reads it.
type proposal struct {
	id, act, object, institution, hash, by, decidedBy string
	payload                                           []byte
	proposed, expires                                 time.Time
	decided                                           sql.NullTime
}

const proposalColumns = "id, act, object, institution, hash, proposed_by, decided_by, payload, proposed_at, expires_at, decided_at"

func (p *proposal) scan(scan func(...any) error) error {
	return scan(&p.id, &p.act, &p.object, &p.institution, &p.hash, &p.by, &p.decidedBy, &p.payload, &p.proposed, &p.expires, &p.decided)
}

// sound judges what was approved: by two different persons, in its time, and exactly what its payload says.
func (c *check) sound(p proposal) (a agreed, err error) {
	plain, err := c.Sealer.Open("proposals.payload/"+p.id, p.payload)
	if err != nil {
		return a, fmt.Errorf("its content was changed or moved")
	}
	sum := sha256.Sum256(plain)
	a.act, a.object, a.institution = p.act, p.object, p.institution
	switch {
	case json.Unmarshal(plain, &a.terms) != nil || hex.EncodeToString(sum[:]) != p.hash:
		return a, fmt.Errorf("its content is not what was hashed")
	case a.terms.Act != p.act || a.terms.Object != p.object || a.terms.Institution != p.institution:
		return a, fmt.Errorf("its content speaks of something else")
	case p.by == "" || p.decidedBy == "" || p.by == p.decidedBy:
		return a, fmt.Errorf("it was not approved by a second person")
	case !p.decided.Valid || p.decided.Time.Before(p.proposed) || !p.decided.Time.Before(p.expires):
		return a, fmt.Errorf("it was not approved in its time")
	}
	return a, nil
}

// approvals looks at everything that was ever approved, and then for what stands without an approval.
func (c *check) approvals() error {
	after := ""
	for {
		n := 0
		err := c.each("SELECT "+proposalColumns+" FROM proposals WHERE state = 'approved' AND id > ? ORDER BY id LIMIT 500", []any{after}, func(scan func(...any) error) error {
			var p proposal
			if err := p.scan(scan); err != nil {
				return err
			}
			n, after = n+1, p.id
			c.counts.Approvals++
			if _, err := c.sound(p); err != nil {
				c.found(Approval, "HCA-8.1.6", "approval/"+p.id, "%v", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	for _, step := range []func() error{c.staff, c.settings, c.exemptions, c.revokedByTwo, c.ceremonies, c.settled} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// approved finds the approval that a condition names: the last one that was given. ok is false when there is none that
// is sound.
func (c *check) approved(where string, args ...any) (a agreed, ok bool, err error) {
	err = c.each("SELECT "+proposalColumns+" FROM proposals WHERE state = 'approved' AND "+where+" ORDER BY decided_at DESC, id DESC LIMIT 1", args,
		func(scan func(...any) error) error {
			var p proposal
			if err := p.scan(scan); err != nil {
				return err
			}
			var bad error
			a, bad = c.sound(p)
			ok = bad == nil
			return nil
		})
	return a, ok, err
}

// member is an account of the staff.
type member struct {
	id, account, role, institution string
	contractor, active             bool
}

// staff wants every role to be one that two persons gave, but for the first administrator and the first approver, and
// every account that was stopped to be resumed by two.
func (c *check) staff() error {
	var all []member
	err := c.each("SELECT id, account, role, institution, contractor, active FROM staff ORDER BY id", nil, func(scan func(...any) error) error {
		var m member
		err := scan(&m.id, &m.account, &m.role, &m.institution, &m.contractor, &m.active)
		all = append(all, m)
		return err
	})
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := c.member(m); err != nil {
			return err
		}
	}
	return nil
}

func (c *check) member(m member) error {
	object := "staff/" + m.id
	a, ok, err := c.approved("object = ? AND act IN ('create-staff', 'change-staff')", object)
	if err != nil {
		return err
	}
	first, stopped := "", false
	err = c.each("SELECT act FROM audit_events WHERE object = ? AND outcome = 'done' AND act IN ('staff.create-first', 'staff.create-first-approver', 'staff.stop', 'staff.resume') ORDER BY seq",
		[]any{object}, func(scan func(...any) error) error {
			var act string
			err := scan(&act)
			switch act {
			case "staff.stop", "staff.resume":
				stopped = act == "staff.stop"
			default:
				first = act
			}
			return err
		})
	if err != nil {
		return err
	}
	f := a.terms.Facts
	switch {
	case ok:
		c.must(f["account"] == m.account && f["role"] == m.role && f["institution"] == m.institution && (f["contractor"] == "yes") == m.contractor, Approval, "HCA-8.1.6", object,
			"the account's role, institution or contractor's mark is not what two persons agreed on")
	case first == "staff.create-first":
		c.must(m.role == "window-admin" && m.institution == "" && !m.contractor, Approval, "HCA-8.1.6", object, "the first administrator became something else without an approval")
	case first == "staff.create-first-approver":
		c.must(m.role == "approver" && m.institution == "" && !m.contractor, Approval, "HCA-8.1.6", object, "the first approver became something else without an approval")
	default:
		c.found(Approval, "HCA-8.1.6", object, "nobody approved this account")
	}
	c.must(!m.contractor || m.role != "approver" && m.role != "window-admin", Approval, "HCA-3.2", object, "a contractor's account is %s", m.role)
	c.must(!stopped || !m.active, Approval, "HCA-8.1.6", object, "the account was stopped, and is active without an approval")
	return nil
}

// settings wants each limit in force to be one that two persons agreed on (HCA-9). Only to suspend the window takes one.
func (c *check) settings() error {
	type limit struct{ name, value, approval string }
	var all []limit
	err := c.each("SELECT name, value, approval FROM settings ORDER BY name", nil, func(scan func(...any) error) error {
		var l limit
		err := scan(&l.name, &l.value, &l.approval)
		all = append(all, l)
		return err
	})
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.approval == "" && l.name == "window-suspended" && l.value == "yes" {
			continue
		}
		a, ok, err := c.approved("id = ?", l.approval)
		if err != nil {
			return err
		}
		c.must(ok && a.act == "change-setting" && a.object == "setting/"+l.name && a.terms.Facts["value"] == l.value, Approval, "HCA-9", "setting/"+l.name,
			"its value %q is not what two persons agreed on", l.value)
	}
	return nil
}

// exemptions wants HCA's leave for more than five to have been recorded by two persons (HCA-7.5).
func (c *check) exemptions() error {
	type leave struct {
		person, reply string
		limit         int
		until         sql.NullTime
	}
	var all []leave
	err := c.each("SELECT person_id, exempt_limit, exempt_until, exempt_reply FROM holders WHERE exempt_reply <> '' ORDER BY person_id", nil, func(scan func(...any) error) error {
		var l leave
		err := scan(&l.person, &l.limit, &l.until, &l.reply)
		all = append(all, l)
		return err
	})
	if err != nil {
		return err
	}
	for _, l := range all {
		a, ok, err := c.approved("object = ? AND act = 'exemption'", "person/"+l.person)
		if err != nil {
			return err
		}
		c.must(ok && a.terms.Limit == l.limit && a.terms.Reply == l.reply && a.terms.Until != nil && l.until.Valid && a.terms.Until.Sub(l.until.Time).Abs() < time.Second, Approval, "HCA-7.5", "person/"+l.person,
			"the exemption to %d is not what two persons agreed on", l.limit)
	}
	return nil
}

// revokedByTwo wants each revocation that a person of the window started to name an approval that was given for it
// (HCA-5.2.2). What the sweep proved needs none.
func (c *check) revokedByTwo() error {
	type started struct{ application, kind, details string }
	after := ""
	for {
		var page []started
		err := c.each(`SELECT a.id, COALESCE(e.actor_kind, ''), COALESCE(e.details, '') FROM applications a
			LEFT JOIN audit_events e ON e.object = 'application/' || a.id AND e.act = 'revoke.window' AND e.outcome = 'done'
			WHERE a.kind = 'revocation' AND a.ground <> '' AND a.id > ? ORDER BY a.id LIMIT 500`, []any{after}, func(scan func(...any) error) error {
			var s started
			err := scan(&s.application, &s.kind, &s.details)
			page = append(page, s)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].application
		for _, s := range page {
			if s.kind == "sweep" {
				continue
			}
			var named struct {
				Approval    string `json:"approval"`
				Certificate string `json:"certificate"`
			}
			_ = json.Unmarshal([]byte(s.details), &named) // what cannot be read names no approval
			a, ok, err := c.approved("id = ?", named.Approval)
			if err != nil {
				return err
			}
			if ok {
				if ok, err = c.covers(a, named.Approval, named.Certificate); err != nil {
					return err
				}
			}
			c.must(ok, Approval, "HCA-5.2.2", "application/"+s.application, "the window revoked a certificate without the approval of two persons")
		}
	}
}

// covers tells whether what two persons agreed on is to revoke this certificate: it alone, or as one of a list that was
// approved whole.
func (c *check) covers(a agreed, approval, certificate string) (ok bool, err error) {
	switch a.act {
	case "revoke-certificate":
		return a.terms.Certificate == certificate && a.object == "certificate/"+certificate, nil
	case "revoke-many":
		err = c.each("SELECT i.certificate_id FROM bulk_items i JOIN bulks b ON b.id = i.bulk_id WHERE b.proposal = ? AND i.certificate_id = ? AND i.result = 'done'", []any{approval, certificate},
			func(scan func(...any) error) error {
				ok = a.object != ""
				return scan(&certificate)
			})
	}
	return ok, err
}

// ceremonies wants each that was allowed to have been approved as it was held (HCA-6.3.2).
func (c *check) ceremonies() error {
	type held struct {
		approval, kind string
		generation     int
	}
	var all []held
	err := c.each("SELECT approval, kind, generation FROM ceremonies ORDER BY approval", nil, func(scan func(...any) error) error {
		var h held
		err := scan(&h.approval, &h.kind, &h.generation)
		all = append(all, h)
		return err
	})
	if err != nil {
		return err
	}
	for _, h := range all {
		a, ok, err := c.approved("id = ?", h.approval)
		if err != nil {
			return err
		}
		f := a.terms.Facts
		c.must(ok && a.act == "hold-ceremony" && f["ceremony"] == h.kind && f["generation"] == fmt.Sprint(h.generation), Approval, "HCA-6.3.2", "ceremony/"+h.approval,
			"this ceremony is not one that two persons agreed on")
	}
	return nil
}
