package checker

import (
	"strings"
)

// applications walks every application with what belongs to it.
func (c *check) applications() error {
	after := ""
	for {
		p, err := c.load(after)
		if err != nil {
			return err
		}
		if len(p.applications) == 0 {
			return nil
		}
		for _, a := range p.applications {
			after = a.id
			c.counts.Applications++
			if err := c.application(p, a); err != nil {
				return err
			}
		}
	}
}

func (c *check) application(p *page, a *application) error {
	own := p.own[a.id]
	switch a.kind {
	case "enrolment":
		c.enrolment(p, a, own)
		c.slot(a, own)
	case "adoption":
		c.adoption(p, a, own)
		return nil
	case "revocation":
		c.revocation(p, a)
		c.must(own == nil, State, "HCA-3.3", a.object(), "a revocation has a certificate of its own")
		c.must(!a.slot.Valid, Slot, "HCA-7.5", a.object(), "a revocation holds place %d", a.slot.Int64)
	default:
		c.found(State, "HCA-5.1.1", a.object(), "it is of the unknown kind %q", a.kind)
		return nil
	}
	if a.erased {
		if err := c.erasure(a); err != nil {
			return err
		}
	}
	c.exchanged(p, a)
	c.nonce(p, a)
	c.applicationLog(p, a)
	v, err := c.consent(p, a)
	if err != nil {
		return err
	}
	if own != nil {
		c.counts.Certificates++
		c.certificate(p, a, own, v)
		c.certificateLog(p, own)
	}
	c.key(p, a, own)
	return nil
}

// enrolment holds an enrolment's state against what it has (HCA-3.3).
func (c *check) enrolment(p *page, a *application, own *certificate) {
	c.must(a.is("awaiting-signature", "awaiting-key", "requested", "sent", "disputed", "completed", "refused", "lapsed", "voided"),
		State, "HCA-3.3", a.object(), "it is in the unknown state %q", a.state)
	signed := a.is("awaiting-key", "requested", "sent", "disputed", "completed", "refused")
	c.must(!signed || a.consent != nil, State, "HCA-5.1.1", a.object(), "it is %s without a card's signature", a.state)
	c.must(!a.is("awaiting-signature") || a.consent == nil, State, "HCA-5.1.1", a.object(), "it waits for a signature that it has")
	made := a.is("requested", "sent", "disputed", "completed", "refused")
	c.must(!made || a.csr != nil, State, "HCA-6.0", a.object(), "it is %s without a certification request", a.state)
	c.must(!a.is("awaiting-signature", "awaiting-key") || a.csr == nil, State, "HCA-6.0", a.object(), "it is %s and has a certification request", a.state)
	switch {
	case a.is("completed") && own == nil:
		c.found(State, "HCA-3.3", a.object(), "it is completed and there is no certificate of it")
	case a.is("completed"):
		c.must(a.certificate.String == own.id, State, "HCA-3.3", a.object(), "it names certificate %q, its certificate is %s", a.certificate.String, own.id)
	case own != nil:
		c.found(State, "HCA-3.3", a.object(), "it is %s and certificate %s was issued for it", a.state, own.id)
	default:
		c.must(!a.certificate.Valid, State, "HCA-3.3", a.object(), "it is %s and names certificate %s", a.state, a.certificate.String)
	}
}

// adoption holds a certificate that was there before this software against what stands in place of its application: no
// card signed here and no request left, so that there is nothing of these to judge.
func (c *check) adoption(p *page, a *application, own *certificate) {
	c.must(a.is("completed"), State, "HCA-3.3", a.object(), "it is in the unknown state %q", a.state)
	c.must(a.consent == nil && a.csr == nil, State, "HCA-3.3", a.object(), "a certificate that was taken over has a consent or a request")
	_, sent := p.requests[a.id]
	c.must(!sent, State, "HCA-3.3", a.object(), "a certificate that was taken over has a request to the HCA")
	if own == nil {
		c.found(State, "HCA-3.3", a.object(), "it is completed and there is no certificate of it")
		return
	}
	c.slot(a, own)
	c.counts.Certificates++
	c.certificate(p, a, own, nil)
	c.certificateLog(p, own)
	c.must(p.log[done(own.object(), "certificate.adopt")], Row, "HCA-8.1.6", own.object(), "it was taken over, and no row of the log says certificate.adopt")
	c.key(p, a, own)
}

// slot holds the place that an enrolment has against its state and its certificate's (HCA-7.5).
func (c *check) slot(a *application, own *certificate) {
	held := a.slot.Valid
	needs := a.is("awaiting-key", "requested", "sent", "disputed")
	if a.is("completed") && own != nil && own.valid() {
		if own.expired(c.At) {
			return // over, and not yet recorded as over: held or not, nothing is wrong
		}
		needs = true
	}
	switch {
	case needs && !held:
		c.found(Slot, "HCA-7.5", a.object(), "it is %s and holds no place", a.state)
	case !needs && held:
		c.found(Slot, "HCA-7.5", a.object(), "it is %s, over, and holds place %d", a.state, a.slot.Int64)
	case held:
		c.must(a.slot.Int64 >= 1, Slot, "HCA-7.5", a.object(), "there is no place %d", a.slot.Int64)
	}
}

// revocation holds a revocation's state against its certificate's (HCA-5.2).
func (c *check) revocation(p *page, a *application) {
	target := p.byID[a.certificate.String]
	if target == nil {
		c.found(State, "HCA-5.2.1", a.object(), "the certificate that it is to revoke, %q, is not there", a.certificate.String)
		return
	}
	c.must(a.is("awaiting-signature", "requested", "sent", "disputed", "completed", "lapsed", "voided"),
		State, "HCA-3.3", a.object(), "it is in the unknown state %q", a.state)
	c.must(a.person == target.person && a.device == target.device && a.institution == target.institution, State, "HCA-5.2.1", a.object(),
		"person, device or institution is not that of certificate %s", target.id)
	c.must(!a.is("awaiting-signature") || a.consent == nil, State, "HCA-5.2.1", a.object(), "it waits for a signature that it has")
	if !a.is("requested", "sent", "disputed", "completed") {
		return
	}
	c.must(a.consent != nil || a.ground != "", State, "HCA-5.2.2", a.object(), "it is %s without a card's signature and without a ground", a.state)
	if a.is("completed") {
		c.must(oneOf(target.state, "revoked", "expired"), State, "HCA-3.3", a.object(), "it is completed and certificate %s is %s", target.id, target.state)
		return
	}
	c.must(oneOf(target.state, "revoking", "revoked", "expired"), State, "HCA-7.2", a.object(), "it is %s and certificate %s is %s: its key can be used",
		a.state, target.id, target.state)
}

// exchanged wants the request that left, and the answer that decided (HCA-3.3).
func (c *check) exchanged(p *page, a *application) {
	r, there := p.requests[a.id]
	c.must(!a.is("sent", "disputed", "completed", "refused") || there && r.sent, State, "HCA-3.3", a.object(), "it is %s and no request left", a.state)
	c.must(!a.is("completed", "refused", "disputed") || r.answered, State, "HCA-3.3", a.object(), "it is %s without an answer of the HCA", a.state)
	c.must(!there || a.is("requested", "sent", "disputed", "completed", "refused"), State, "HCA-3.3", a.object(), "it is %s and there is a request to the HCA",
		a.state)
}

// nonce holds an application against the nonce that its text has (HCA-8.1.4).
func (c *check) nonce(p *page, a *application) {
	if a.nonce == "" { // of a revocation that no card signs
		c.must(a.kind == "revocation" && a.ground != "" && a.consent == nil, Nonce, "HCA-8.1.4", a.object(), "it has no nonce")
		return
	}
	n, there := p.nonces[string(nonceHash(a.nonce))]
	if !there {
		c.found(Nonce, "HCA-8.1.4", a.object(), "its nonce was never issued")
		return
	}
	purpose := map[string]string{"enrolment": "enrol", "revocation": "revoke"}[a.kind]
	c.must(n.purpose == purpose && n.person == a.person && n.device == a.device, Nonce, "HCA-8.1.4", a.object(),
		"its nonce was issued for another purpose, person or device")
	c.must(n.redeemed.Valid == (a.consent != nil), Nonce, "HCA-8.1.4", a.object(), "nonce redeemed: %v, signed: %v", n.redeemed.Valid, a.consent != nil)
	if a.erased {
		return
	}
	c.must(strings.Contains(string(a.text), "\nnonce: "+a.nonce+"\n"), Nonce, "HCA-8.1.4", a.object(), "its text does not hold its nonce")
	c.must(strings.Contains(string(a.text), "\nexpires: "+stamp(n.expires)+"\n"), Nonce, "HCA-8.1.4", a.object(),
		"its text does not end when its nonce ends, at %s", stamp(n.expires))
	c.must(!n.redeemed.Valid || !n.redeemed.Time.Before(a.created), Nonce, "HCA-8.1.4", a.object(), "its nonce was redeemed before it was made")
}

// erasure wants the log to say that the person's data was erased, and nothing of the application to be under way: what
// is called erased is not judged any more.
func (c *check) erasure(a *application) error {
	told := false
	err := c.each(`SELECT seq FROM audit_events WHERE object = ? AND act = 'person.erase' AND outcome = 'done'`, []any{"person/" + a.person},
		func(scan func(...any) error) error {
			var seq int64
			told = true
			return scan(&seq)
		})
	c.must(told, Row, "HCA-9", a.object(), "it is erased, and no row of the log says person.erase")
	c.must(a.is("completed", "refused", "lapsed", "voided"), State, "HCA-9", a.object(), "it is %s, and erased", a.state)
	return err
}

// applicationLog wants the audit row of each act that the application shows (HCA-8.1.6: no row, no act).
func (c *check) applicationLog(p *page, a *application) {
	want := func(shows bool, acts ...string) {
		if !shows {
			return
		}
		for _, act := range acts {
			if p.log[done(a.object(), act)] {
				return
			}
		}
		c.found(Row, "HCA-8.1.6", a.object(), "it is %s, and no row of the log says %s", a.state, strings.Join(acts, " or "))
	}
	if a.kind == "enrolment" {
		want(true, "enrol.begin")
		want(a.consent != nil, "enrol.consent")
		want(a.csr != nil, "enrol.key")
		want(a.is("completed"), "hca.issued")
		want(a.is("voided") && a.failure != "device-bound-again", "enrol.cancel")
		c.must(!a.is("refused") || p.log[row(a.object(), "hca.refused", "refused")] || p.log[done(a.object(), "dispute.close")], Row, "HCA-8.1.6", a.object(),
			"it is refused, and no row of the log says hca.refused or dispute.close")
	} else {
		want(a.ground == "", "revoke.begin")
		want(a.ground != "", "revoke.window", "revoke.begin", "revoke.request")
		want(a.consent != nil, "revoke.consent")
		want(a.is("completed"), "hca.revoked")
	}
	want(a.is("lapsed"), "application.lapse")
}
