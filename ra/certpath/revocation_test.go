package certpath

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// reasonOf gives the reason of a refusal, "" where there is none.
func reasonOf(err error) string {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return ""
}

// HCA-5.1.1: what OCSP responses and CRLs at hand say about a holder's certificate.
func TestRevocationSources(t *testing.T) {
	root := issue(t, nil, "root", asCA)
	leaf := issue(t, root, "holder", withServices)
	other := issue(t, root, "other", withServices)
	namesake := issue(t, nil, "root", asCA)
	delegate := func(edit func(*x509.Certificate)) *entity {
		return issue(t, root, "responder", func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageDigitalSignature
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
			if edit != nil {
				edit(c)
			}
		})
	}
	responder := delegate(nil)
	unfit := delegate(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	expired := delegate(func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Hour) })
	foreign := issue(t, namesake, "responder", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} })
	answer := func(by *entity, edit func(*ocsp.Response)) []*OCSPResponse {
		return []*OCSPResponse{ocspFor(t, root, by, leaf, edit)}
	}
	crls := func(list ...*CRL) []*CRL { return list }
	cases := map[string]struct {
		ocsp []*OCSPResponse
		crls []*CRL
		o    Options
		want string
	}{
		"nothing, nothing asked":  {},
		"nothing, required":       {o: Options{RequireRevocation: true}, want: ReasonNoRevocation},
		"good":                    {ocsp: answer(root, nil), o: Options{RequireRevocation: true}},
		"revoked":                 {ocsp: answer(root, func(r *ocsp.Response) { r.Status, r.RevokedAt = ocsp.Revoked, noon }), want: ReasonRevoked},
		"unknown":                 {ocsp: answer(root, func(r *ocsp.Response) { r.Status = ocsp.Unknown }), want: ReasonRevocationSource},
		"unknown, but on a CRL":   {ocsp: answer(root, func(r *ocsp.Response) { r.Status = ocsp.Unknown }), crls: crls(root.crl(t, nil))},
		"delegated":               {ocsp: answer(responder, nil), o: Options{RequireRevocation: true}},
		"delegated, revoked":      {ocsp: answer(responder, nil), crls: crls(root.crl(t, func(l *x509.RevocationList) { revoking(responder, 1)(l); l.NextUpdate = noon.Add(30 * time.Minute) })), want: ""},
		"delegated without usage": {ocsp: answer(unfit, nil), want: ReasonRevocationSource},
		"delegated, expired":      {ocsp: answer(expired, nil), want: ReasonRevocationSource},
		"delegated by a namesake": {ocsp: answer(foreign, nil), want: ReasonRevocationSource},
		"signed by a namesake":    {ocsp: []*OCSPResponse{ocspFor(t, root, &entity{key: namesake.key, std: root.std}, leaf, nil)}, want: ReasonRevocationSource},
		"key hash of a namesake":  {ocsp: []*OCSPResponse{ocspFor(t, namesake, &entity{key: root.key, std: namesake.std}, leaf, func(r *ocsp.Response) { r.Certificate = nil })}, want: ReasonRevocationSource},
		"stale":                   {ocsp: answer(root, func(r *ocsp.Response) { r.NextUpdate = noon.Add(-time.Second) }), want: ReasonRevocationSource},
		"of the future":           {ocsp: answer(root, func(r *ocsp.Response) { r.ThisUpdate = noon.Add(10 * time.Minute) }), want: ReasonRevocationSource},
		"a little of the future":  {ocsp: answer(root, func(r *ocsp.Response) { r.ThisUpdate = noon.Add(4 * time.Minute) }), o: Options{RequireRevocation: true}},
		"without skew":            {ocsp: answer(root, func(r *ocsp.Response) { r.ThisUpdate = noon.Add(time.Minute) }), o: Options{ClockSkew: -1}, want: ReasonRevocationSource},
		"older than allowed":      {ocsp: answer(root, func(r *ocsp.Response) { r.ThisUpdate = noon.Add(-2 * time.Hour) }), o: Options{OCSPMaxAge: time.Hour}, want: ReasonRevocationSource},
		"no nextUpdate, fresh":    {ocsp: answer(root, func(r *ocsp.Response) { r.NextUpdate = time.Time{} }), o: Options{RequireRevocation: true}},
		"no nextUpdate, old":      {ocsp: answer(root, func(r *ocsp.Response) { r.NextUpdate, r.ThisUpdate = time.Time{}, noon.Add(-25*time.Hour) }), want: ReasonRevocationSource},
		"SHA-256 in the CertID":   {ocsp: answer(root, func(r *ocsp.Response) { r.IssuerHash = crypto.SHA256 }), o: Options{RequireRevocation: true}},
		"SHA-384 in the CertID":   {ocsp: answer(root, func(r *ocsp.Response) { r.IssuerHash = crypto.SHA384 }), o: Options{RequireRevocation: true}},
		"SHA-512 in the CertID":   {ocsp: answer(root, func(r *ocsp.Response) { r.IssuerHash = crypto.SHA512 }), o: Options{RequireRevocation: true}},
		"about another":           {ocsp: []*OCSPResponse{ocspFor(t, root, root, other, nil)}, o: Options{RequireRevocation: true}, want: ReasonNoRevocation},
		"OCSP good, CRL revoked":  {ocsp: answer(root, nil), crls: crls(root.crl(t, revoking(leaf, 1))), want: ReasonRevoked},
		"CRL good":                {crls: crls(root.crl(t, revoking(other, 1))), o: Options{RequireRevocation: true}},
		"CRL revoked":             {crls: crls(root.crl(t, revoking(leaf, 1))), want: ReasonRevoked},
		"CRL on hold":             {crls: crls(root.crl(t, revoking(leaf, reasonHold))), want: ReasonRevoked},
		"CRL revoked, indexed":    {crls: crls(root.crl(t, revoking(leaf, 1)).Indexed()), want: ReasonRevoked},
		"CRL stale":               {crls: crls(root.crl(t, func(l *x509.RevocationList) { l.NextUpdate = noon.Add(-time.Second) })), want: ReasonRevocationSource},
		"CRL of the future":       {crls: crls(root.crl(t, func(l *x509.RevocationList) { l.ThisUpdate = noon.Add(10 * time.Minute) })), want: ReasonRevocationSource},
		"CRL older than allowed":  {crls: crls(root.crl(t, nil)), o: Options{CRLMaxAge: time.Minute}, want: ReasonRevocationSource},
		"CRL of a namesake":       {crls: crls(namesake.crl(t, nil)), o: Options{RequireRevocation: true}, want: ReasonNoRevocation},
		"CRL of somebody else":    {crls: crls(issue(t, nil, "stranger", asCA).crl(t, revoking(leaf, 1)))},
		"newer CRL, off hold":     {crls: crls(root.crl(t, revoking(leaf, reasonHold)), root.crl(t, func(l *x509.RevocationList) { l.ThisUpdate = noon.Add(-time.Minute) }))},
		"CRL, unknown critical": {crls: crls(root.crl(t, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		})), want: ReasonRevocationSource},
		"CRL forged, OCSP answers": {ocsp: answer(root, nil), crls: crls((&entity{key: namesake.key, std: root.std}).crl(t, nil))},
		"CRL forged":               {crls: crls((&entity{key: namesake.key, std: root.std}).crl(t, nil)), want: ReasonSignature},
	}
	// In "delegated, revoked" the answer of the responder does not count; the CRL that revokes it answers good.
	for name, c := range cases {
		c.o.Anchors, c.o.At, c.o.OCSP, c.o.CRLs = []*Certificate{root.cert}, noon, c.ocsp, c.crls
		res, err := Validate(context.Background(), leaf.cert, c.o)
		if got := reasonOf(err); got != c.want || (err == nil) != (c.want == "") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if name == "delegated, revoked" && (err != nil || len(res.Revocation) != 1 || res.Revocation[0].Kind != EvidenceCRL) {
			t.Errorf("%s: the answer rests on %+v", name, res)
		}
		if err == nil && c.o.RequireRevocation && (len(res.Revocation) != 1 || res.Revocation[0].Cert != leaf.cert || len(res.Revocation[0].DER) == 0) {
			t.Errorf("%s: evidence %+v", name, res.Revocation)
		}
	}
}

// fakeNet answers as it is told and records what was asked.
type fakeNet struct {
	ocsp, crl []byte
	ocspErr   error
	crlErr    error
	requests  [][]byte
	urls      []string
}

func (n *fakeNet) OCSP(_ context.Context, url string, request []byte) ([]byte, error) {
	n.requests, n.urls = append(n.requests, request), append(n.urls, url)
	return n.ocsp, n.ocspErr
}

func (n *fakeNet) CRL(_ context.Context, url string) ([]byte, error) {
	n.urls = append(n.urls, url)
	return n.crl, n.crlErr
}

// HCA-5.1.1: OCSP first, the CRL when OCSP fails, and a refusal when neither answers.
func TestFetching(t *testing.T) {
	root := issue(t, nil, "root", asCA)
	leaf := issue(t, root, "holder", withServices)
	silent := issue(t, root, "silent", nil)
	nonce := []byte("0123456789abcdef")
	good := ocspFor(t, root, root, leaf, nil).Raw
	down := errors.New("unreachable")
	cases := map[string]struct {
		leaf *entity
		net  fakeNet
		o    Options
		want string
		kind string
	}{
		"OCSP":                  {net: fakeNet{ocsp: good, crlErr: down}, kind: EvidenceOCSP},
		"OCSP revoked":          {net: fakeNet{ocsp: ocspFor(t, root, root, leaf, func(r *ocsp.Response) { r.Status, r.RevokedAt = ocsp.Revoked, noon }).Raw}, want: ReasonRevoked},
		"OCSP down, CRL":        {net: fakeNet{ocspErr: down, crl: root.crl(t, nil).Raw}, kind: EvidenceCRL},
		"OCSP down, revoked":    {net: fakeNet{ocspErr: down, crl: root.crl(t, revoking(leaf, 1)).Raw}, want: ReasonRevoked},
		"OCSP garbage, CRL":     {net: fakeNet{ocsp: []byte("<html>"), crl: root.crl(t, nil).Raw}, kind: EvidenceCRL},
		"OCSP try later":        {net: fakeNet{ocsp: []byte{0x30, 3, 0x0a, 1, 3}, crlErr: down}, want: ReasonRevocationSource},
		"both down":             {net: fakeNet{ocspErr: down, crlErr: down}, want: ReasonNoRevocation},
		"OCSP down, stale CRL":  {net: fakeNet{ocspErr: down, crl: root.crl(t, func(l *x509.RevocationList) { l.NextUpdate = noon.Add(-time.Minute) }).Raw}, want: ReasonRevocationSource},
		"no addresses":          {leaf: silent, net: fakeNet{ocsp: good}, want: ReasonNoRevocation},
		"nonce not given back":  {net: fakeNet{ocsp: good, crlErr: down}, o: Options{Nonce: nonce}, want: ReasonRevocationSource},
		"given, so not fetched": {net: fakeNet{ocspErr: down, crlErr: down}, o: Options{OCSP: []*OCSPResponse{ocspFor(t, root, root, leaf, nil)}}, kind: EvidenceOCSP},
	}
	for name, c := range cases {
		if c.leaf == nil {
			c.leaf = leaf
		}
		c.o.Anchors, c.o.At, c.o.Fetcher = []*Certificate{root.cert}, noon, &c.net
		res, err := Validate(context.Background(), c.leaf.cert, c.o)
		if got := reasonOf(err); got != c.want || (err == nil) != (c.want == "") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
			continue
		}
		if err == nil && (len(res.Revocation) != 1 || res.Revocation[0].Kind != c.kind) {
			t.Errorf("%s: evidence %+v", name, res.Revocation)
		}
		for _, req := range c.net.requests {
			parsed, err := ocsp.ParseRequest(req)
			if err != nil || parsed.SerialNumber.Cmp(leaf.std.SerialNumber) != 0 {
				t.Errorf("%s: request: %v", name, err)
			}
		}
	}
}

// A nonce that was sent must come back.
func TestNonceEcho(t *testing.T) {
	nonce := []byte("0123456789abcdef")
	root := issue(t, nil, "root", asCA)
	leaf := issue(t, root, "holder", withServices)
	r := ocspFor(t, root, root, leaf, nil)
	r.Nonce = nonce // as a responder that echoes; the signature is over the original
	o := Options{Anchors: []*Certificate{root.cert}, At: noon}
	v := newValidation(context.Background(), &o)
	if a := v.askOCSP([]*OCSPResponse{r}, leaf.cert, root.cert, nonce); a.status != statusGood {
		t.Errorf("echoed: %v", a.err)
	}
	if a := v.askOCSP([]*OCSPResponse{r}, leaf.cert, root.cert, []byte("another")); a.status != 0 || a.err == nil {
		t.Errorf("another nonce was accepted")
	}
}

// HCA-5.1.1: of two usable answers the one that says revoked counts, whichever is newer and whichever comes first.
func TestRevokedAmongOCSPAnswersWins(t *testing.T) {
	root := issue(t, nil, "root", asCA)
	leaf := issue(t, root, "leaf", nil)
	for _, age := range []time.Duration{time.Second, time.Hour} {
		good := ocspFor(t, root, root, leaf, nil)
		revoked := ocspFor(t, root, root, leaf, func(r *ocsp.Response) {
			r.Status, r.ThisUpdate, r.RevokedAt = ocsp.Revoked, noon.Add(-age), noon.Add(-2*time.Hour)
		})
		for _, both := range [][]*OCSPResponse{{good, revoked}, {revoked, good}} {
			_, err := Validate(t.Context(), leaf.cert, Options{Anchors: []*Certificate{root.cert}, At: noon, OCSP: both, RequireRevocation: true})
			if reasonOf(err) != ReasonRevoked {
				t.Errorf("revoked %s ago: %v", age, err)
			}
		}
	}
}
