package certpath

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

func validate(leaf *entity, o Options) (*Result, error) {
	if o.At.IsZero() {
		o.At = noon
	}
	return Validate(context.Background(), leaf.cert, o)
}

func certs(list ...*entity) []*Certificate {
	var out []*Certificate
	for _, e := range list {
		out = append(out, e.cert)
	}
	return out
}

// Cross-signed, re-keyed and same-named CAs: one good path among misleading ones is found.
func TestPathAmongMany(t *testing.T) {
	root := issue(t, nil, "root", asCA)
	stranger := issue(t, nil, "root", asCA)
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	good := issueFor(t, root, "CA", key, asCA)
	expired := issueFor(t, root, "CA", key, func(c *x509.Certificate) { asCA(c); c.NotAfter = noon.Add(-time.Hour) })
	untrusted := issueFor(t, stranger, "CA", key, asCA)
	rekeyed := issue(t, root, "CA", asCA)
	leaf := issue(t, good, "holder", nil)
	o := Options{Anchors: certs(root), Intermediates: certs(rekeyed, untrusted, expired, good)}
	res, err := validate(leaf, o)
	if err != nil || len(res.Path) != 3 || res.Path[1] != good.cert || res.Path[2] != root.cert {
		t.Fatalf("%+v, %v", res, err)
	}
	o.Intermediates = certs(rekeyed, untrusted, expired)
	if _, err := validate(leaf, o); err == nil {
		t.Fatal("a path was found where there is none")
	}
	if _, err := validate(leaf, Options{Anchors: certs(stranger), Intermediates: certs(rekeyed, expired, good)}); err == nil {
		t.Fatal("a namesake of the root was trusted")
	}
	if res, err := validate(leaf, Options{Anchors: certs(good)}); err != nil || len(res.Path) != 2 {
		t.Fatalf("an intermediate as anchor: %v", err)
	}
	pool := NewPool(root.cert)
	if res, err := validate(leaf, Options{AnchorPool: pool, Intermediates: certs(good)}); err != nil || len(res.Path) != 3 {
		t.Fatalf("a pool: %v", err)
	}
}

// An anchor's own validity and constraints count.
func TestAnchorIsJudged(t *testing.T) {
	cases := map[string]struct {
		edit func(*x509.Certificate)
		want string
	}{
		"plain":       {asCA, ""},
		"no keyUsage": {func(c *x509.Certificate) { asCA(c); c.KeyUsage = 0 }, ""},
		"expired":     {func(c *x509.Certificate) { asCA(c); c.NotAfter = noon.Add(-time.Second) }, ReasonExpired},
		"not yet":     {func(c *x509.Certificate) { asCA(c); c.NotBefore = noon.Add(time.Second) }, ReasonNotYetValid},
		"path length": {func(c *x509.Certificate) { asCA(c); c.MaxPathLen, c.MaxPathLenZero = 0, true }, ReasonPathLength},
		"names": {func(c *x509.Certificate) {
			asCA(c)
			c.PermittedDNSDomainsCritical, c.ExcludedDNSDomains = true, []string{"hospital.test"}
		}, ReasonNameConstraints},
		"unknown critical": {func(c *x509.Certificate) {
			asCA(c)
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}, ReasonCritical},
		"no CA":       {nil, ReasonNotCA},
		"no certSign": {func(c *x509.Certificate) { asCA(c); c.KeyUsage = x509.KeyUsageCRLSign }, ReasonNotCA},
		"usage":       {func(c *x509.Certificate) { asCA(c); c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, ReasonEKU},
	}
	for name, c := range cases {
		root := issue(t, nil, "root", c.edit)
		ca := issue(t, root, "CA", asCA)
		leaf := issue(t, ca, "holder", func(c *x509.Certificate) { c.DNSNames = []string{"pc.hospital.test"} })
		o := Options{Anchors: certs(root), Intermediates: certs(ca), EKU: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}}
		if _, err := validate(leaf, o); reasonOf(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Names of every kind against constraints of every kind (RFC 5280 section 4.2.1.10).
func TestNameConstraints(t *testing.T) {
	_, inner, _ := net.ParseCIDR("10.1.0.0/16")
	uri := func(s string) []*url.URL { u, _ := url.Parse(s); return []*url.URL{u} }
	ca := func(edit func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) { asCA(c); c.PermittedDNSDomainsCritical = true; edit(c) }
	}
	permitDNS := ca(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"a.test"} })
	forbidDNS := ca(func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{"x.a.test"} })
	permitMail := ca(func(c *x509.Certificate) {
		c.PermittedEmailAddresses = []string{"a.test", ".sub.test", "Dr*@exact.test"}
	})
	permitIP := ca(func(c *x509.Certificate) { c.PermittedIPRanges = []*net.IPNet{inner} })
	permitURI := ca(func(c *x509.Certificate) { c.PermittedURIDomains = []string{"a.test", ".sub.test"} })
	dns := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = names }
	}
	mail := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.EmailAddresses = []string{name} }
	}
	cases := []struct {
		name string
		ca   func(*x509.Certificate)
		leaf func(*x509.Certificate)
		ok   bool
	}{
		{"same", permitDNS, dns("a.test"), true},
		{"below, other case", permitDNS, dns("B.A.Test"), true},
		{"wildcard below", permitDNS, dns("*.a.test"), true},
		{"suffix only", permitDNS, dns("ba.test"), false},
		{"second is outside", permitDNS, dns("a.test", "b.test"), false},
		{"other kind", permitDNS, mail("x@b.test"), true},
		{"excluded", forbidDNS, dns("y.x.a.test"), false},
		{"wildcard over the excluded", forbidDNS, dns("*.a.test"), false},
		{"beside the excluded", forbidDNS, dns("z.a.test"), true},
		{"mailbox on host", permitMail, mail("dr@A.test"), true},
		{"mailbox below host", permitMail, mail("dr@b.a.test"), false},
		{"mailbox below domain", permitMail, mail("dr@b.sub.test"), true},
		{"mailbox on domain itself", permitMail, mail("dr@sub.test"), false},
		{"exact mailbox", permitMail, mail("Dr*@exact.test"), true},
		{"asterisk is no pattern", permitMail, mail("Drx@exact.test"), false},
		{"mail in the subject", permitMail, func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "dr@evil.test"}}
		}, false},
		{"address inside", permitIP, func(c *x509.Certificate) { c.IPAddresses = []net.IP{{10, 1, 2, 3}} }, true},
		{"address outside", permitIP, func(c *x509.Certificate) { c.IPAddresses = []net.IP{{10, 2, 2, 3}} }, false},
		{"address of the other family", permitIP, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("::1")} }, false},
		{"URI on host", permitURI, func(c *x509.Certificate) { c.URIs = uri("https://a.test:8443/x") }, true},
		{"URI below domain", permitURI, func(c *x509.Certificate) { c.URIs = uri("https://x.sub.test/") }, true},
		{"URI elsewhere", permitURI, func(c *x509.Certificate) { c.URIs = uri("https://a.test.evil.test/") }, false},
		{"URI with an address", permitURI, func(c *x509.Certificate) { c.URIs = uri("https://10.0.0.1/") }, false},
		{"URI without a host", permitURI, func(c *x509.Certificate) { c.URIs = uri("urn:uuid:0") }, false},
	}
	root := issue(t, nil, "root", asCA)
	for _, c := range cases {
		mid := issue(t, root, "CA", c.ca)
		sub := issue(t, mid, "sub CA", asCA)
		leaf := issue(t, sub, "holder", c.leaf)
		_, err := validate(leaf, Options{Anchors: certs(root), Intermediates: certs(mid, sub)})
		if want := map[bool]string{true: "", false: ReasonNameConstraints}[c.ok]; reasonOf(err) != want {
			t.Errorf("%s: %v, want %q", c.name, err, want)
		}
	}
}

func TestNameMatching(t *testing.T) {
	root := issue(t, nil, "root", asCA)
	leaf := issue(t, root, "cn.test", func(c *x509.Certificate) {
		c.DNSNames = []string{"a.test", "*.b.test", "*.test"}
		c.IPAddresses = []net.IP{{10, 0, 0, 1}, net.ParseIP("2001:db8::1")}
	})
	for name, ok := range map[string]bool{
		"a.test": true, "A.TEST": true, "a.test.": true, "x.b.test": true, "b.test": false, "x.y.b.test": false, "c.test": false,
		"cn.test": false, "10.0.0.1": true, "10.0.0.2": false, "2001:db8::1": true, "[2001:db8::1]": true, "*.b.test": false, "": true,
	} {
		if _, err := validate(leaf, Options{Anchors: certs(root), Name: name}); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Hostile graphs end soon, and in a refusal.
func TestWorkIsBounded(t *testing.T) {
	root := issue(t, nil, "root", asCA)
	key := func(curve elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	var mesh []*entity // every CA is signed by every other, none by the root
	names := 8
	keys := make([]*ecdsa.PrivateKey, names)
	heads := make([]*entity, names)
	for i := range names {
		keys[i] = key(elliptic.P256())
		heads[i] = issueFor(t, nil, fmt.Sprint("CA ", i), keys[i], asCA)
	}
	for i := range names {
		for j := range names {
			if i != j {
				mesh = append(mesh, issueFor(t, heads[j], fmt.Sprint("CA ", i), keys[i], asCA))
			}
		}
	}
	crowd := make([]*entity, 0, 150) // all of one name, on the dearest curve, none the issuer
	dear := key(elliptic.P521())
	for range 150 {
		crowd = append(crowd, issueFor(t, nil, "crowd", key(elliptic.P521()), func(c *x509.Certificate) { asCA(c); c.SubjectKeyId = []byte{1} }))
	}
	hidden := issueFor(t, nil, "crowd", dear, func(c *x509.Certificate) { asCA(c); c.SubjectKeyId = []byte{1} })
	long := []*entity{issue(t, root, "link", asCA)}
	for i := range 40 {
		long = append(long, issue(t, long[i], fmt.Sprint("link ", i), asCA))
	}
	for name, c := range map[string]struct {
		leaf *entity
		pool []*entity
	}{
		"mesh":  {issueFor(t, heads[0], "holder", key(elliptic.P256()), nil), mesh},
		"crowd": {issueFor(t, hidden, "holder", key(elliptic.P256()), nil), crowd},
		"long":  {issue(t, long[40], "holder", nil), long},
		"names": {manyNames(t, root), nil},
	} {
		begun := time.Now()
		_, err := validate(c.leaf, Options{Anchors: certs(root), Intermediates: certs(c.pool...)})
		took := time.Since(begun)
		t.Logf("%s: %v: %v", name, took, err)
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
		if took > time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// manyNames is a leaf with thousands of names below an intermediate-free root that permits thousands.
func manyNames(t *testing.T, root *entity) *entity {
	ca := issue(t, root, "CA", func(c *x509.Certificate) {
		asCA(c)
		c.PermittedDNSDomainsCritical = true
		for i := range 2000 {
			c.PermittedDNSDomains = append(c.PermittedDNSDomains, fmt.Sprintf("p%d.test", i))
		}
	})
	leaf := issue(t, ca, "holder", func(c *x509.Certificate) {
		for i := range 2000 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("p%d.p1999.test", i))
		}
	})
	if _, err := validate(leaf, Options{Anchors: certs(root), Intermediates: certs(ca)}); reasonOf(err) != ReasonTooMuchWork {
		t.Errorf("many names: %v", err)
	}
	return leaf
}

// Parsed values and pools may be shared between goroutines.
func TestConcurrentUse(t *testing.T) {
	root := issue(t, nil, "root", asCA)
	ca := issue(t, root, "CA", asCA)
	leaf := issue(t, ca, "holder", nil)
	o := Options{AnchorPool: NewPool(root.cert), Intermediates: certs(ca), RequireRevocation: true,
		CRLs: []*CRL{root.crl(t, nil), ca.crl(t, nil).Indexed()}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if _, err := validate(leaf, o); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// The subject type is compared as a whole and only where there is exactly one.
func TestSubjectType(t *testing.T) {
	attr := func(values ...asn1.RawValue) []byte {
		type attribute struct {
			Type   asn1.ObjectIdentifier
			Values []asn1.RawValue `asn1:"set"`
		}
		der, err := asn1.Marshal([]attribute{{asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 1}, values}})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	oid := func(s ...int) asn1.RawValue {
		der, _ := asn1.Marshal(asn1.ObjectIdentifier(s))
		return asn1.RawValue{FullBytes: der}
	}
	personnel := oid(2, 16, 886, 1, 100, 3, 1, 7)
	for name, c := range map[string]struct {
		value []byte
		want  string
	}{
		"personnel": {attr(personnel), "2.16.886.1.100.3.1.7"},
		"two":       {attr(personnel, oid(2, 16, 886, 1, 100, 3, 2, 21)), ""},
		"no OID":    {attr(asn1.RawValue{FullBytes: []byte{0x0c, 1, 'x'}}), ""},
	} {
		e := issue(t, nil, "holder", func(x *x509.Certificate) {
			x.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 9}, Value: c.value}}
		})
		if got := e.cert.SubjectType(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	e := issue(t, nil, "holder", func(x *x509.Certificate) { x.SerialNumber = big.NewInt(200) })
	if got := e.cert.SerialContent(); len(got) != 2 || e.cert.SubjectType() != "" || e.cert.SubjectAttribute(asn1.ObjectIdentifier{2, 5, 4, 3}) != "holder" {
		t.Errorf("serial %x", got)
	}
}
