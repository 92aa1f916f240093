package cardmsg

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"certwindow/policy"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
)

// world is a PKI with one good card, shared by the tests: RSA keys take their time.
type world struct {
	pki  *cardtest.PKI
	card *cardtest.Card
	text []byte
}

var shared struct {
	sync.Once
	world
}

func theWorld(tb testing.TB) world {
	tb.Helper()
	shared.Do(func() {
		pki := cardtest.New(tb, now)
		text, err := enrolment().Text()
		if err != nil {
			tb.Fatal(err)
		}
		shared.world = world{pki, pki.Card(tb, cardtest.CardOptions{}), text}
	})
	return shared.world
}

// options are what a use case sets for the good card's enrolment.
func (w world) options(tb testing.TB, good ...*cardtest.Card) Options {
	tb.Helper()
	if len(good) == 0 {
		good = []*cardtest.Card{w.card}
	}
	return Options{
		Path: w.pki.Path(tb, now, good...), Content: w.text, Nonce: testNonce,
		Holder: "0000000112345678", Name: "王小明", MaxAge: 5 * time.Minute,
		NotBefore: now.Add(-2 * time.Minute), NotAfter: now.Add(3 * time.Minute),
	}
}

func verify(der []byte, o Options) (*Verified, error) {
	u, err := Decode(der)
	if err != nil {
		return nil, err
	}
	return u.Verify(context.Background(), o)
}

func wantReason(t *testing.T, err error, reason string, clause policy.Clause) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a refusal for %q", err, reason)
	}
	if e.Reason != reason || e.Clause != clause {
		t.Fatalf("refused for %q by %q (%v), want %q by %q", e.Reason, e.Clause, e, reason, clause)
	}
}

// HCA-5.1.1, HCA-8.1.3, HCA-8.1.4: a good message is accepted, and what was verified is handed on.
func TestVerify(t *testing.T) {
	w := theWorld(t)
	der := w.card.Sign(t, w.text, now.Add(-time.Minute), testNonce)
	v, err := verify(der, w.options(t))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(v.Content(), w.text) || !bytes.Equal(v.Message(), der) || !bytes.Equal(v.Signer().Raw, w.card.Cert.Raw) {
		t.Error("handed on something else than was signed")
	}
	if v.Nonce() != testNonce || v.CardNumber() != w.card.Number || v.Holder() != "0000000112345678" || v.Name() != "王小明" {
		t.Errorf("nonce %q, card %q, holder %q, name %q", v.Nonce(), v.CardNumber(), v.Holder(), v.Name())
	}
	if !v.SigningTime().Equal(now.Add(-time.Minute)) || v.Bare() || len(v.Path()) != 3 || len(v.Revocation()) != 2 {
		t.Errorf("signed at %v, bare %v, path of %d, %d revocation answers", v.SigningTime(), v.Bare(), len(v.Path()), len(v.Revocation()))
	}
	v.Content()[0] ^= 1
	if !bytes.Equal(v.Content(), w.text) {
		t.Error("what was verified can be changed from outside")
	}
}

// Attribute encodings that components use, and those that are no text.
func TestAttributeEncodings(t *testing.T) {
	w := theWorld(t)
	value := func(tag byte, s string) []byte { return append([]byte{tag, byte(len(s))}, s...) }
	raw, err := base64.RawURLEncoding.DecodeString(testNonce)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		der    []byte
		reason string
		clause policy.Clause
	}{
		"UTF8String":      {value(12, testNonce), "", ""},
		"PrintableString": {value(19, testNonce), "", ""},
		"IA5String":       {value(22, testNonce), "", ""},
		"OCTET STRING":    {value(4, testNonce), "", ""},
		"another nonce":   {value(12, "AAEC"), ReasonNonceAttribute, ClauseReplay},
		"empty":           {value(12, ""), ReasonNonceAttribute, ClauseReplay},
		"the bytes":       {value(4, string(raw)), "", ""},
		"other bytes":     {value(4, "\xff\xfe"), ReasonNonceAttribute, ClauseReplay},
		"INTEGER":         {value(2, "\x01"), ReasonAttribute, ClauseEnrolment},
		"not UTF-8":       {value(12, "\xff\xfe"), ReasonAttribute, ClauseEnrolment},
		"nested":          {[]byte{0x30, 0}, ReasonAttribute, ClauseEnrolment},
	} {
		t.Run(name, func(t *testing.T) {
			der := w.card.SignWith(t, w.text, cms.SignOptions{SigningTime: now, Attributes: []cms.Attribute{{OID: cms.OIDRandomNonce, Value: c.der}}})
			_, err := verify(der, w.options(t))
			if c.reason != "" {
				wantReason(t, err, c.reason, c.clause)
			} else if err != nil {
				t.Fatal(err)
			}
		})
	}
	der := w.card.SignWith(t, w.text, cms.SignOptions{SigningTime: now, Attributes: []cms.Attribute{{OID: cms.OIDCardNumber, Value: value(4, "HC9")}}})
	if v, err := verify(der, w.options(t)); err != nil || v.CardNumber() != "HC9" || v.Nonce() != "" {
		t.Errorf("card number in an OCTET STRING: %v", err)
	}
}

// What is refused of time, nonce and content. HCA-8.1.3, HCA-8.1.4
func TestTimeNonceContent(t *testing.T) {
	w := theWorld(t)
	good := w.card.Sign(t, w.text, now, testNonce)
	signedAt := func(at time.Time) []byte { return w.card.Sign(t, w.text, at, "") }
	for name, c := range map[string]struct {
		der    []byte
		edit   func(*Options)
		reason string
		clause policy.Clause
	}{
		"signed after":       {signedAt(now.Add(time.Second)), nil, ReasonSigningTimeAhead, ClauseReplay},
		"within the skew":    {signedAt(now.Add(time.Second)), func(o *Options) { o.Skew = 2 * time.Second }, "", ""},
		"too old":            {signedAt(now.Add(-6 * time.Minute)), func(o *Options) { o.NotBefore = time.Time{} }, ReasonSigningTimeOld, ClauseReplay},
		"old, any age":       {signedAt(now.AddDate(-9, 0, 0)), func(o *Options) { o.NotBefore, o.MaxAge = time.Time{}, 0 }, "", ""},
		"before its nonce":   {signedAt(now.Add(-3 * time.Minute)), nil, ReasonSigningTimeEarly, ClauseReplay},
		"no time":            {w.card.SignWith(t, w.text, cms.SignOptions{}), nil, cms.ReasonAttrMissing, ClauseEnrolment},
		"nonce expired":      {good, func(o *Options) { o.NotAfter = now }, ReasonNonceExpired, ClauseReplay},
		"nonce not yet":      {good, func(o *Options) { o.NotBefore = now.Add(time.Second) }, ReasonNonceNotYet, ClauseReplay},
		"another nonce":      {good, func(o *Options) { o.Nonce = "x" }, ReasonNonce, ClauseReplay},
		"part of the nonce":  {good, func(o *Options) { o.Nonce = testNonce[:40] }, ReasonNonce, ClauseReplay},
		"another content":    {good, func(o *Options) { o.Content = append(slices.Clone(w.text), '\n') }, cms.ReasonContent, ClauseContent},
		"empty content":      {good, func(o *Options) { o.Content = []byte{} }, cms.ReasonContent, ClauseContent},
		"content not given":  {good, func(o *Options) { o.Content = nil }, "", ""},
		"detached":           {w.card.SignWith(t, w.text, cms.SignOptions{SigningTime: now, Detached: true}), nil, cms.ReasonDetached, ClauseEnrolment},
		"bytes after":        {append(slices.Clone(good), 0), nil, cms.ReasonTrailing, ClauseEnrolment},
		"over 64 KiB":        {w.card.Sign(t, bytes.Repeat([]byte("a"), cms.MaxMessage), now, ""), nil, cms.ReasonTooLarge, ClauseEnrolment},
		"holder":             {good, func(o *Options) { o.Holder = "0000000112345679" }, ReasonHolder, ClauseEnrolment},
		"name":               {good, func(o *Options) { o.Name = "王大明" }, ReasonName, ClauseEnrolment},
		"nonce twice":        {w.card.Sign(t, append(slices.Clone(w.text), "nonce: "+testNonce+"\n"...), now, ""), func(o *Options) { o.Content = nil }, ReasonNonce, ClauseReplay},
		"clause of the use":  {good, func(o *Options) { o.Name, o.Clause = "王大明", ClauseRevocation }, ReasonName, ClauseRevocation},
		"no time to judge":   {good, func(o *Options) { o.Path.At = time.Time{} }, ReasonMisuse, ClauseEnrolment},
		"other content type": {w.card.SignWith(t, w.text, cms.SignOptions{SigningTime: now, ContentType: cms.OIDPKIData}), nil, cms.ReasonContentType, ClauseEnrolment},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.options(t)
			if c.edit != nil {
				c.edit(&o)
			}
			_, err := verify(c.der, o)
			if c.reason != "" {
				wantReason(t, err, c.reason, c.clause)
			} else if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// HCA-5.2.1: what was signed to enrol never revokes, and the other way round.
func TestPurposesDoNotMix(t *testing.T) {
	w := theWorld(t)
	revoke, err := revocation().Text()
	if err != nil {
		t.Fatal(err)
	}
	o := w.options(t)
	o.Content = revoke
	_, err = verify(w.card.Sign(t, w.text, now, testNonce), o)
	wantReason(t, err, cms.ReasonContent, ClauseContent)
	_, err = verify(w.card.Sign(t, revoke, now, testNonce), w.options(t))
	wantReason(t, err, cms.ReasonContent, ClauseContent)
}

// HCA-5.1.1: whose certificate it is and what it is for.
func TestCertificates(t *testing.T) {
	w := theWorld(t)
	key := w.card.Key
	for name, c := range map[string]struct {
		card   cardtest.CardOptions
		edit   func(*Options)
		reason string
	}{
		"good":                     {cardtest.CardOptions{}, nil, ""},
		"ECDSA":                    {cardtest.CardOptions{Key: w.pki.NewKey(t, false)}, nil, ""},
		"institution":              {cardtest.CardOptions{SubjectType: []asn1.ObjectIdentifier{cardtest.Institution}}, nil, ReasonInstitution},
		"citizen":                  {cardtest.CardOptions{SubjectType: []asn1.ObjectIdentifier{cardtest.Citizen}}, nil, ReasonSubjectType},
		"personnel and one more":   {cardtest.CardOptions{SubjectType: []asn1.ObjectIdentifier{cardtest.Personnel, cardtest.Institution}}, nil, ReasonSubjectType},
		"longer identifier":        {cardtest.CardOptions{SubjectType: []asn1.ObjectIdentifier{append(slices.Clone(cardtest.Personnel), 1)}}, nil, ReasonSubjectType},
		"shorter identifier":       {cardtest.CardOptions{SubjectType: []asn1.ObjectIdentifier{cardtest.Personnel[:7]}}, nil, ReasonSubjectType},
		"no subject type":          {cardtest.CardOptions{SubjectType: []asn1.ObjectIdentifier{}}, nil, ReasonSubjectTypeMissing},
		"institution where asked":  {cardtest.CardOptions{SubjectType: []asn1.ObjectIdentifier{cardtest.Institution}}, func(o *Options) { o.SubjectTypes = []asn1.ObjectIdentifier{OIDInstitution} }, ""},
		"encryption certificate":   {cardtest.CardOptions{KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment}, nil, ReasonKeyUsage},
		"no key usage":             {cardtest.CardOptions{NoKeyUsage: true}, nil, ReasonKeyUsage},
		"a CA":                     {cardtest.CardOptions{Edit: func(t *x509.Certificate) { t.IsCA, t.BasicConstraintsValid = true, true }}, nil, ReasonKeyUsage},
		"expired":                  {cardtest.CardOptions{NotAfter: now.Add(-time.Second)}, nil, certpath.ReasonExpired},
		"not yet valid":            {cardtest.CardOptions{NotBefore: now.Add(time.Minute)}, nil, certpath.ReasonNotYetValid},
		"signed before it began":   {cardtest.CardOptions{NotBefore: now.Add(-time.Second)}, nil, ""},
		"two serial numbers":       {cardtest.CardOptions{Edit: twoHolders}, nil, ReasonSubject},
		"policy mark":              {cardtest.CardOptions{}, func(o *Options) { o.Marks.Policies = []asn1.ObjectIdentifier{cardtest.Policy} }, ""},
		"policy mark missing":      {cardtest.CardOptions{}, func(o *Options) { o.Marks.Policies = []asn1.ObjectIdentifier{{1, 2, 3}} }, ReasonMark},
		"issuer mark":              {cardtest.CardOptions{}, func(o *Options) { o.Marks.IssuerKeyIDs = [][]byte{{1}, w.pki.CA.Cert.SubjectKeyId} }, ""},
		"issuer mark other":        {cardtest.CardOptions{}, func(o *Options) { o.Marks.IssuerKeyIDs = [][]byte{nil, {1}} }, ReasonMark},
		"rank mark":                {cardtest.CardOptions{}, func(o *Options) { o.Marks.Attributes = rank("primary") }, ""},
		"rank mark, any value":     {cardtest.CardOptions{Rank: "secondary"}, func(o *Options) { o.Marks.Attributes = []AttributeMark{{OID: rankOID}} }, ""},
		"mark that is not there":   {cardtest.CardOptions{}, func(o *Options) { o.Marks.Attributes = []AttributeMark{{OID: asn1.ObjectIdentifier{1, 2, 3}}} }, ReasonMark},
		"rank mark other":          {cardtest.CardOptions{Rank: "secondary"}, func(o *Options) { o.Marks.Attributes = rank("primary") }, ReasonMark},
		"holder by rank attribute": {cardtest.CardOptions{Rank: "A123"}, func(o *Options) { o.HolderOID, o.Holder = rankOID, "A123" }, ""},
		"no such holder attribute": {cardtest.CardOptions{}, func(o *Options) { o.HolderOID = asn1.ObjectIdentifier{1, 2, 3} }, ReasonHolder},
	} {
		t.Run(name, func(t *testing.T) {
			if c.card.Key == nil {
				c.card.Key = key
			}
			card := w.pki.Card(t, c.card)
			o := w.options(t, card)
			if c.edit != nil {
				c.edit(&o)
			}
			_, err := verify(card.Sign(t, w.text, now.Add(-time.Minute), ""), o)
			if c.reason != "" {
				wantReason(t, err, c.reason, ClauseEnrolment)
			} else if err != nil {
				t.Fatal(err)
			}
		})
	}
}

var rankOID = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 2}

func rank(v string) []AttributeMark { return []AttributeMark{{OID: rankOID, Values: []string{v}}} }

func twoHolders(t *x509.Certificate) {
	name := t.Subject.ToRDNSequence()
	name = append(name, slices.Clone(name[len(name)-1]))
	name[len(name)-1][0].Value = "0000000199999999"
	name[len(name)-1][0].Type = asn1.ObjectIdentifier{2, 5, 4, 5}
	t.RawSubject, _ = asn1.Marshal(name)
}

// HCA-5.1.1: chain and revocation, which is always asked for and fails closed.
func TestChainAndRevocation(t *testing.T) {
	w := theWorld(t)
	good := w.card.Sign(t, w.text, now, "")
	foreign := cardtest.New(t, now)
	parse := func(der []byte) *certpath.OCSPResponse {
		r, err := certpath.ParseOCSP(der)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, c := range map[string]struct {
		edit   func(*Options)
		reason string // empty: whichever of package certpath's
	}{
		"no answer":        {func(o *Options) { o.Path.OCSP = nil }, certpath.ReasonNoRevocation},
		"not asked for":    {func(o *Options) { o.Path.OCSP, o.Path.RequireRevocation = nil, false }, certpath.ReasonNoRevocation},
		"no answer for CA": {func(o *Options) { o.Path.CRLs = nil }, certpath.ReasonNoRevocation},
		"revoked": {func(o *Options) {
			o.Path.OCSP = []*certpath.OCSPResponse{parse(w.pki.OCSP(t, w.card.Cert, ocsp.Revoked, now))}
		}, certpath.ReasonRevoked},
		"unknown": {func(o *Options) {
			o.Path.OCSP = []*certpath.OCSPResponse{parse(w.pki.OCSP(t, w.card.Cert, ocsp.Unknown, now))}
		}, ""},
		"stale answer": {func(o *Options) {
			o.Path.OCSP = []*certpath.OCSPResponse{parse(w.pki.OCSP(t, w.card.Cert, ocsp.Good, now.AddDate(0, 0, -2)))}
		}, ""},
		"other PKI's root": {func(o *Options) { o.Path.Anchors = foreign.Path(t, now).Anchors }, ""},
		"no anchor":        {func(o *Options) { o.Path.Anchors = nil }, ""},
		"no intermediate":  {func(o *Options) { o.Path.Intermediates = nil }, certpath.ReasonNoPath},
		"the card is pinned": {func(o *Options) {
			c, err := certpath.ParseCertificate(w.card.Cert.Raw)
			if err != nil {
				t.Fatal(err)
			}
			o.Path.Anchors = []*certpath.Certificate{c}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.options(t)
			c.edit(&o)
			_, err := verify(good, o)
			var e *Error
			if !errors.As(err, &e) || c.reason != "" && e.Reason != c.reason || e.Clause != ClauseEnrolment {
				t.Fatalf("got %v, want %q", err, c.reason)
			}
		})
	}

	crl, err := certpath.ParseCRL(w.pki.CRL(t, w.pki.CA, now))
	if err != nil {
		t.Fatal(err)
	}
	o := w.options(t)
	o.Path.OCSP, o.Path.CRLs = nil, append(slices.Clone(o.Path.CRLs), crl)
	if _, err := verify(good, o); err != nil {
		t.Errorf("a CRL in place of OCSP: %v", err)
	}

	// The message may bring the CA's certificate; the options' list must not grow by it.
	o = w.options(t)
	o.Path.Intermediates = make([]*certpath.Certificate, 0, 4)
	der := w.card.SignWith(t, w.text, cms.SignOptions{SigningTime: now, Certificates: [][]byte{w.pki.CA.Cert.Raw}})
	if _, err := verify(der, o); err != nil || o.Path.Intermediates[:1][0] != nil {
		t.Errorf("with the CA in the message: %v", err)
	}
}

// HCA-5.1.1: a mobile certificate is a personnel certificate too, and never counts as the card.
func TestRegister(t *testing.T) {
	w := theWorld(t)
	good := w.card.Sign(t, w.text, now, "")
	o := w.options(t)
	var asked string
	answer, failure := true, error(nil)
	o.IsRegisteredMobile = func(_ context.Context, issuer []byte, serial *big.Int) (bool, error) {
		asked = string(issuer) + serial.Text(16)
		return answer, failure
	}
	_, err := verify(good, o)
	wantReason(t, err, ReasonMobile, ClauseEnrolment)
	if want := string(w.pki.CA.Cert.SubjectKeyId) + w.card.Cert.SerialNumber.Text(16); asked != want {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	answer, failure = false, errors.New("database is gone")
	_, err = verify(good, o)
	wantReason(t, err, ReasonRegister, ClauseEnrolment)
	failure = nil
	if _, err = verify(good, o); err != nil {
		t.Error(err)
	}
}

// TestMutations flips bits of every byte: nothing that is accepted says anything else or is by anybody else.
func TestMutations(t *testing.T) {
	w := theWorld(t)
	card := w.pki.Card(t, cardtest.CardOptions{EC: true})
	o := w.options(t, card)
	o.Content = nil
	der := card.Sign(t, w.text, now, testNonce)
	for i := range der {
		for _, mask := range []byte{0x01, 0x20, 0x80} {
			m := slices.Clone(der)
			m[i] ^= mask
			if v, err := verify(m, o); err == nil {
				t.Errorf("byte %d xor %#x was accepted: %q by %s", i, mask, v.Content(), v.Signer().Subject)
			}
		}
	}
}
