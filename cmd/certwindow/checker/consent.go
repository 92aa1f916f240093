package checker

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"time"

	"certwindow/policy"
	"certwindow/ra/cardmsg"
	"certwindow/ra/certpath"
)

// proof is what a card's signature was judged by, as it is stored.
type proof struct {
	JudgedAt   time.Time `json:"judged_at"`
	Path       [][]byte  `json:"path"`
	Revocation []struct {
		Kind string `json:"kind"`
		DER  []byte `json:"der"`
	} `json:"revocation"`
}

// clockSkew is how far a counter's clock may have been off.
const clockSkew = 5 * time.Minute

// consent judges a card's signature again, over the text that is stored, at the moment and with the answers of its
// first judgement, from the roots that are pinned now. It gives the message when it holds. What is not judged again
// are the marks of an IC card, which may have changed.
func (c *check) consent(p *page, a *application) (*cardmsg.Verified, error) {
	if a.consent == nil || a.erased {
		return nil, nil
	}
	c.counts.Consents++
	clause, purpose := policy.Clause("HCA-5.1.1"), cardmsg.PurposeEnrolment
	if a.kind == "revocation" {
		clause, purpose = "HCA-5.2.1", cardmsg.PurposeRevocation
	}
	bad := func(format string, args ...any) { c.found(Consent, clause, a.object(), format, args...) }
	var pr proof
	if err := json.Unmarshal(a.proof, &pr); err != nil || pr.JudgedAt.IsZero() {
		bad("what it was judged by is not there, or cannot be read")
		return nil, nil
	}
	o, err := c.options(pr)
	if err != nil {
		bad("what it was judged by cannot be read: %v", err)
		return nil, nil
	}
	o.Clause, o.Content, o.Nonce = clause, a.text, a.nonce
	if n, there := p.nonces[string(nonceHash(a.nonce))]; there {
		o.NotBefore, o.NotAfter = a.created, n.expires
	}
	u, err := cardmsg.Decode(a.consent)
	var v *cardmsg.Verified
	if err == nil && a.bare {
		v, err = u.VerifyBare(c.ctx, o)
	} else if err == nil {
		v, err = u.Verify(c.ctx, o)
	}
	if err != nil {
		bad("the card's signature does not hold: %v", err)
		return nil, nil
	}
	is, _ := cardmsg.PurposeOf(a.text)
	switch {
	case is != purpose:
		bad("the text that was signed is a %s's", is)
	case !hasLine(a.text, "application: "+a.id) || !hasLine(a.text, "window: "+c.Window) || !hasLine(a.text, "institution: "+a.institution):
		bad("the text that was signed is of another application, window or institution")
	case !hasLine(a.text, "holder: "+v.Holder()) || a.kind == "enrolment" && !hasLine(a.text, "name: "+v.Name()):
		bad("another person's card signed")
	}
	return v, c.notMobile(a, v, clause)
}

// options gives the verifier what was stored of the first judgement.
func (c *check) options(pr proof) (cardmsg.Options, error) {
	o := cardmsg.Options{HolderOID: c.HolderOID, Skew: clockSkew, Path: certpath.Options{AnchorPool: c.Anchors, At: pr.JudgedAt}}
	o.Path.Intermediates = append(o.Path.Intermediates, c.Intermediates...)
	for _, der := range pr.Path {
		cert, err := certpath.ParseCertificate(der)
		if err != nil {
			return o, err
		}
		o.Path.Intermediates = append(o.Path.Intermediates, cert)
	}
	for _, r := range pr.Revocation {
		if r.Kind == certpath.EvidenceOCSP {
			answer, err := certpath.ParseOCSP(r.DER)
			if err != nil {
				return o, err
			}
			o.Path.OCSP = append(o.Path.OCSP, answer)
			continue
		}
		list, err := certpath.ParseCRL(r.DER)
		if err != nil {
			return o, err
		}
		o.Path.CRLs = append(o.Path.CRLs, list)
	}
	return o, nil
}

// notMobile wants the signer not to be one of this window's own mobile certificates (HCA-5.1.1).
func (c *check) notMobile(a *application, v *cardmsg.Verified, clause policy.Clause) error {
	signer := v.Signer()
	return c.each(`SELECT id FROM certificates WHERE serial = ? AND issuer_key = ?`,
		[]any{signer.SerialNumber.Text(16), hex.EncodeToString(signer.AuthorityKeyID)}, func(scan func(...any) error) error {
			var id string
			if err := scan(&id); err != nil {
				return err
			}
			c.found(Consent, clause, a.object(), "mobile certificate %s signed in place of a card", id)
			return nil
		})
}

func hasLine(text []byte, line string) bool { return bytes.Contains(text, []byte("\n"+line+"\n")) }
