package apiclient

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
)

// Names of the facts that two persons decide on.
const (
	factKind        = "client-kind"
	factName        = "client-name"
	factInstitution = "institution"
	factScopes      = "client-scopes"
	factRedirects   = "client-redirects"
	factThumbprint  = "client-thumbprint"
	factNotAfter    = "client-until"
	factBefore      = "client-before" // a digest of how the system stood; empty: it is new
)

// between separates the values of a list in a fact. No address and no scope holds one.
const between = " "

// Facts are exactly what is approved: the system as it is to be, and by its digest as it stands now.
func (c Client) Facts(before *Client) approve.Facts {
	f := approve.Facts{factKind: string(c.Kind), factName: c.Name, factInstitution: string(c.Institution), factScopes: strings.Join(c.Scopes, between),
		factRedirects: strings.Join(c.Redirects, between), factThumbprint: c.Thumbprint, factNotAfter: c.NotAfter.UTC().Format(time.RFC3339), factBefore: ""}
	if before != nil {
		f[factBefore] = before.digest()
	}
	return f
}

// digest names the state of a system in sixteen digits, to compare and to read out.
func (c Client) digest() string {
	c.CreatedAt, c.UpdatedAt, c.NotAfter = time.Time{}, time.Time{}, c.NotAfter.UTC()
	raw, err := json.Marshal(c)
	if err != nil { // strings, lists of them and a time
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// ofFacts reads the facts back. They must be those of the act, no more and no fewer.
func ofFacts(object string, f approve.Facts) (Client, error) {
	id, ok := strings.CutPrefix(object, "client/")
	until, err := time.Parse(time.RFC3339, f[factNotAfter])
	if !ok || err != nil || !slices.Equal(slices.Sorted(maps.Keys(f)), slices.Sorted(maps.Keys(Client{}.Facts(nil)))) {
		return Client{}, ra.Errorf(ra.KindMalformed, "approval-facts", err, "This is not what an approval of a system holds. Nothing was changed.")
	}
	return Client{ID: id, Kind: Kind(f[factKind]), Name: f[factName], Institution: ra.InstitutionCode(f[factInstitution]), Scopes: strings.Fields(f[factScopes]),
		Redirects: strings.Fields(f[factRedirects]), Thumbprint: f[factThumbprint], NotAfter: until, Active: true}, nil
}

// ActOf is the act that two persons decide on for a system of a kind.
func ActOf(k Kind) approve.Act {
	if k == Staffing {
		return approve.StaffingClient
	}
	return approve.SignClient
}

// Acts are what two persons decide of systems: to put one on the register, to change it, to let it call again.
func (s *Service) Acts() map[approve.Act]approve.Executor {
	out := map[approve.Act]approve.Executor{}
	for _, k := range Kinds {
		out[ActOf(k)] = s.registering(k)
	}
	return out
}

// registering is the act for systems of one kind, so that what the approver is told of its effect is what it has.
func (s *Service) registering(k Kind) approve.Executor {
	return approve.Executor{WholeWindow: true,
		Check: func(tx approve.Tx, _ ra.Actor, object string, f approve.Facts) error {
			_, _, err := s.judge(tx, k, object, f)
			return err
		},
		CarryOut: func(tx approve.Tx, a approve.Approval) error {
			x, c, err := s.judge(tx, k, a.Proposal.Object, a.Facts)
			if err != nil {
				return err
			}
			if err := x.SaveAPIClient(c); err != nil {
				return err
			}
			e := a.Event("client.register", a.Proposal.Object)
			e.At, e.Institution = s.now(), c.Institution
			e.Details["scopes"], e.Details["thumbprint"] = a.Facts[factScopes], c.Thumbprint
			return tx.Audit(e)
		}}
}

// judge reads what is proposed and holds it against the register as it stands in this transaction.
func (s *Service) judge(tx approve.Tx, k Kind, object string, f approve.Facts) (Tx, Client, error) {
	x, ok := tx.(Tx)
	if !ok {
		return nil, Client{}, fmt.Errorf("%T is no transaction of the register of systems", tx)
	}
	c, err := ofFacts(object, f)
	if err != nil {
		return nil, c, err
	}
	now := s.now()
	if err := c.check(now); err != nil {
		return nil, c, err
	}
	if c.Kind != k {
		return nil, c, errKind
	}
	if err := allowed(x, c); err != nil {
		return nil, c, err
	}
	stands, before, err := standing(x, c.ID)
	if err != nil {
		return nil, c, err
	}
	if before != f[factBefore] || stands != nil && stands.Institution != c.Institution {
		return nil, c, ra.Refuse("HCA-8.1.6", "approval-object-changed", "What this is about has changed since it was proposed. Nothing was done; propose it anew.", nil)
	}
	if stands != nil && stands.Kind != c.Kind {
		return nil, c, errKind
	}
	c.CreatedAt, c.UpdatedAt = now, now
	if stands != nil {
		c.CreatedAt = stands.CreatedAt
	}
	return x, c, nil
}

// errKind keeps an id to one kind: rows of the log name a system by its id, and must go on meaning the same.
var errKind = ra.Errorf(ra.KindConflict, "client-kind", nil, "A system keeps its kind. Nothing was changed; register it under another id.")

// allowed tells whether the institution may have this system, with this certificate.
func allowed(x Tx, c Client) error {
	i, err := x.Institution(c.Institution)
	if err != nil {
		return err
	}
	if !i.Active {
		return ra.Refuse("HCA-3.7", "institution-inactive", "The institution is suspended. Nothing was changed.", nil)
	}
	showing, err := x.APIClientsShowing(c.Thumbprint)
	if err != nil {
		return err
	}
	for _, other := range showing { // who tells of professionals is known by the certificate alone
		if other.ID != c.ID && (c.Kind == Staffing || other.Kind == Staffing) {
			return ra.Errorf(ra.KindConflict, "client-certificate-taken", nil, "Another system is registered with this certificate. Nothing was changed; make one for this system.")
		}
	}
	if c.Kind != Signing {
		return nil
	}
	approved, err := x.Scopes()
	if err != nil {
		return err
	}
	return ra.Refused(policy.Scope(c.Scopes, string(c.Institution), approved))
}

// standing is a system as it is on the register, with its digest; nil and empty where there is none.
func standing(tx Tx, id string) (*Client, string, error) {
	c, err := tx.APIClient(id)
	switch {
	case err == nil:
		return &c, c.digest(), nil
	case ra.KindOf(err) == ra.KindNotFound:
		return nil, "", nil
	}
	return nil, "", err
}
