package checker

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"time"

	"certwindow/hsm"
	"certwindow/ra/cardmsg"
	"certwindow/ra/certpath"
	"certwindow/ra/csr"
)

// certificate holds a certificate against its row, its application, its request and the card that asked for it
// (HCA-3.3, HCA-7.3). v is nil where the card's signature did not hold.
func (c *check) certificate(p *page, a *application, x *certificate, v *cardmsg.Verified) {
	bad := func(format string, args ...any) { c.found(Certificate, "HCA-3.3", x.object(), format, args...) }
	if x.person != a.person || x.device != a.device || x.institution != a.institution || x.design != a.design || x.generation != a.generation {
		bad("person, device, institution, design or binding is not that of application %s", a.id)
	}
	c.certificateState(p, x)
	if a.erased {
		return
	}
	cert, err := certpath.ParseCertificate(x.der)
	if err != nil {
		bad("it cannot be read: %v", err)
		return
	}
	if cert.SerialNumber.Text(16) != x.serial || hex.EncodeToString(cert.AuthorityKeyID) != x.issuerKey {
		bad("serial number or issuer are not those of its row")
	}
	if !cert.NotBefore.Equal(x.notBefore) || !cert.NotAfter.Equal(x.notAfter) {
		bad("its validity is not that of its row")
	}
	if a.kind != "adoption" {
		requested(a, cert, bad)
	}
	if err := c.issued(cert, x); err != nil {
		bad("no pinned root issued it: %v", err)
	}
	if v != nil && !sameHolder(cert, v, c.HolderOID == nil) {
		bad("its holder is not the holder of the card that signed")
	}
}

// requested holds a certificate against the request that it answers.
func requested(a *application, cert *certpath.Certificate, bad func(string, ...any)) {
	if request, err := csr.Parse(a.csr); err != nil {
		bad("its request does not hold: %v", err)
	} else {
		k, ok := request.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		if !ok || !k.Equal(cert.PublicKey) {
			bad("its key is not that of the request")
		}
		if request.Challenge != base64.RawURLEncoding.EncodeToString(a.challenge) {
			bad("the request's challenge is not the application's")
		}
	}
}

// issued validates the path at the moment at which the certificate was stored.
func (c *check) issued(cert *certpath.Certificate, x *certificate) error {
	chain, err := certpath.ParseCertificates(x.chain)
	if err != nil {
		return err
	}
	at := x.created
	if cert.NotBefore.After(at) && cert.NotBefore.Sub(at) < clockSkew {
		at = cert.NotBefore
	}
	_, err = certpath.Validate(c.ctx, cert, certpath.Options{AnchorPool: c.Anchors, Intermediates: append(chain, c.Intermediates...), At: at,
		KeyUsage: certpath.KeyUsageDigitalSignature})
	return err
}

func sameHolder(cert *certpath.Certificate, v *cardmsg.Verified, bySerial bool) bool {
	only := func(values []string, want string) bool { return len(values) == 1 && values[0] == want }
	return only(cert.Subject.All(cardmsg.OIDCommonName), v.Name()) && (!bySerial || only(cert.Subject.All(cardmsg.OIDSerialNumber), v.Holder()))
}

// certificateState holds a certificate's state against its times and its revocations.
func (c *check) certificateState(p *page, x *certificate) {
	var open, carriedOut bool
	for _, r := range p.revocations[x.id] {
		open = open || oneOf(r.state, "requested", "sent", "disputed")
		carriedOut = carriedOut || r.state == "completed"
	}
	c.must(oneOf(x.state, "live", "suspended", "revoking", "revoked", "expired"), State, "HCA-3.3", x.object(), "it is in the unknown state %q", x.state)
	c.must((x.state == "revoked") == x.revoked.Valid, State, "HCA-7.2", x.object(), "it is %s, the time of its revocation is there: %v", x.state, x.revoked.Valid)
	c.must(x.state != "expired" || x.expired(c.At), State, "HCA-7.2", x.object(), "it is expired before its time, %s", x.notAfter.UTC().Format(time.RFC3339))
	c.must(x.state != "revoking" || open, State, "HCA-5.2.1", x.object(), "it is being revoked, and no revocation of it is open")
	c.must(oneOf(x.state, "revoking", "revoked", "expired") || !open && !carriedOut, State, "HCA-7.2", x.object(), "it is %s, and a revocation of it was decided", x.state)
}

// certificateLog wants the audit row of each act that the certificate shows (HCA-8.1.6).
func (c *check) certificateLog(p *page, x *certificate) {
	c.must(!x.delivered.Valid || p.log[done("application/"+x.application, "certificate.deliver")], Row, "HCA-8.1.6", x.object(),
		"it was delivered, and no row of the log says certificate.deliver")
	c.must(x.state != "expired" || p.log[done(x.object(), "certificate.expire")], Row, "HCA-8.1.6", x.object(),
		"it is expired, and no row of the log says certificate.expire")
	if x.state != "revoked" {
		return
	}
	told := p.log[done(x.object(), "sweep.revoked-at-hca")]
	for _, r := range p.revocations[x.id] {
		told = told || p.log[done("application/"+r.id, "hca.revoked")]
	}
	c.must(told, Row, "HCA-8.1.6", x.object(), "it is revoked, and no row of the log says hca.revoked or sweep.revoked-at-hca")
}

// key wants a holder's key to be there exactly as long as it may be used, made for this person, device and
// application, and vouched for by the module (HCA-6.3.5).
func (c *check) key(p *page, a *application, own *certificate) {
	k, there := p.keys[a.id]
	needed := !a.erased && a.kind == "enrolment" && a.design == "hsm" && (a.is("requested", "sent", "disputed") || a.is("completed") && own != nil && own.valid())
	bound, known := p.devices[a.device]
	switch {
	case needed && !known:
		c.found(Key, "HCA-6.3.5", a.object(), "its device is not registered, so its key cannot be judged")
	case needed && bound != a.generation:
		c.must(!there, Key, "HCA-6.0", a.object(), "its device was bound anew, and its key is still there")
	case needed:
		c.must(there, Key, "HCA-6.3.5", a.object(), "it is %s and its key is not there", a.state)
	default:
		c.must(!there, Key, "HCA-6.3.5", a.object(), "it is %s, and a key of it is kept that nobody may use", a.state)
	}
	if !there {
		return
	}
	c.counts.Keys++
	c.must(k.person == a.person && k.device == a.device, Key, "HCA-6.3.5", a.object(), "its key is another person's or another device's")
	c.must(!k.created.Before(a.created), Key, "HCA-6.0", a.object(), "its key was made before the application")
	if request, err := csr.Parse(a.csr); err == nil {
		c.must(bytes.Equal(request.SPKI, k.spki), Key, "HCA-6.3.5", a.object(), "its key is not that of its request")
	}
	if _, err := x509.ParsePKIXPublicKey(k.spki); err != nil {
		c.found(Key, "HCA-6.3.5", a.object(), "its public key cannot be read")
		return
	}
	err := c.Keys.VerifyBinding(c.ctx, hsm.WrappedKey{Generation: int(k.generation), Algorithm: hsm.Algorithm(k.algorithm), Blob: k.blob, SPKI: k.spki, MAC: k.mac},
		hsm.Binding{Person: a.person, Device: a.device, Application: a.id})
	if err != nil {
		c.found(Key, "HCA-6.3.5", a.object(), "the module does not vouch for its key: %v", err)
	}
}
