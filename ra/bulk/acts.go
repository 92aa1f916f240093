package bulk

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/revoke"
)

// Names of the facts that two persons decide on.
const (
	factInstitution = "bulk-institution"
	factExpires     = "bulk-expires"
	factStanding    = "bulk-standing"
	factDevice      = "bulk-device"
	factGround      = "bulk-ground"
	factNote        = "bulk-note"
	factCount       = "bulk-count"
	factList        = "bulk-list"
)

// Facts are exactly what is approved when many are revoked: the search, why, and the list that it found.
func Facts(f Filter, ground, note string, count int, list string) approve.Facts {
	out := approve.Facts{factInstitution: string(f.Institution), factExpires: "", factStanding: string(f.Standing), factDevice: string(f.Device),
		factGround: ground, factNote: strings.TrimSpace(note), factCount: strconv.Itoa(count), factList: list}
	if !f.Expires.IsZero() {
		out[factExpires] = f.Expires.UTC().Format(time.RFC3339)
	}
	return out
}

// NewObject names work that is still to be agreed on; its page is there once it is.
func (s *Service) NewObject() (string, error) {
	id, err := ra.NewID(s.now(), s.rand)
	return "bulk/" + id, err
}

// ofFacts reads the facts back: they must be those of the act, no more and no fewer.
func ofFacts(facts approve.Facts) (b Bulk, err error) {
	b = Bulk{Kind: Revoke, Ground: facts[factGround], Note: facts[factNote], List: facts[factList],
		Filter: Filter{Institution: ra.InstitutionCode(facts[factInstitution]), Standing: ra.CertificateState(facts[factStanding]), Device: ra.DeviceState(facts[factDevice])}}
	b.Total, err = strconv.Atoi(facts[factCount])
	if t := facts[factExpires]; err == nil && t != "" {
		b.Expires, err = time.Parse(time.RFC3339, t)
	}
	if err != nil || !maps.Equal(facts, Facts(b.Filter, b.Ground, b.Note, b.Total, b.List)) {
		return b, ra.Errorf(ra.KindMalformed, "approval-facts", err, "This is not what an approval to revoke many holds. Nothing was changed.")
	}
	return b, nil
}

// judge holds what is proposed against the register as it stands: a list that differs voids it.
func (s *Service) judge(tx approve.Tx, actor ra.Actor, facts approve.Facts) (x Tx, b Bulk, ids []ra.CertificateID, err error) {
	x, ok := tx.(Tx)
	if !ok {
		return nil, b, nil, fmt.Errorf("%T is no transaction of bulk work", tx)
	}
	if b, err = ofFacts(facts); err != nil {
		return nil, b, nil, err
	}
	if b.Note, err = ground(b.Ground, b.Note); err != nil {
		return nil, b, nil, err
	}
	if ids, err = s.found(x, actor, b.Filter); err != nil {
		return nil, b, nil, err
	}
	if err := same(ids, b.List); err != nil {
		return nil, b, nil, err
	}
	if len(ids) != b.Total {
		return nil, b, nil, ra.Errorf(ra.KindMalformed, "approval-facts", nil, "The number of certificates is not that of the list. Nothing was changed.")
	}
	return x, b, ids, nil
}

// Acts are what two persons decide: to revoke what a search finds. A certificate that the search finds only after the
// approval is not on the list, and is not touched.
func (s *Service) Acts() map[approve.Act]approve.Executor {
	return map[approve.Act]approve.Executor{approve.RevokeMany: {
		Check: func(tx approve.Tx, actor ra.Actor, _ string, facts approve.Facts) error {
			_, _, _, err := s.judge(tx, actor, facts)
			return err
		},
		CarryOut: func(tx approve.Tx, a approve.Approval) error {
			x, b, ids, err := s.judge(tx, a.Actor, a.Facts)
			if err != nil {
				return err
			}
			id, ok := strings.CutPrefix(a.Proposal.Object, "bulk/")
			if !ok || a.Proposal.Institution != b.Institution {
				return ra.Errorf(ra.KindMalformed, "approval-facts", nil, "This is not what an approval to revoke many is about. Nothing was changed.")
			}
			b.ID, b.Proposal, b.CreatedBy, b.ApprovedBy = id, a.Proposal.ID, a.Proposal.ProposedBy, a.Actor.ID
			if err := s.begin(x, b, ids); err != nil {
				return err
			}
			e := a.Event("bulk.revoke", a.Proposal.Object)
			e.At, e.Clause = s.now(), "HCA-5.2.2"
			e.Details["ground"], e.Details["count"], e.Details["list"] = b.Ground, strconv.Itoa(b.Total), b.List
			return tx.Audit(e)
		}}}
}

// second are the two persons of a piece of work that was agreed on.
func (b Bulk) second() revoke.Second {
	return revoke.Second{ProposedBy: b.CreatedBy, Approver: ra.Actor{Kind: ra.ActorStaff, ID: b.ApprovedBy, Institution: b.Institution}, Proposal: b.Proposal}
}
