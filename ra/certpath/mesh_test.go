package certpath

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Among CAs that all certify one another, the short way to the anchor is found before the work runs out.
func TestCrossSignedMesh(t *testing.T) {
	root := issue(t, nil, "root", asCA)
	nowhere := issue(t, nil, "nowhere", asCA)
	const size = 12
	var cas []*entity
	for i := range size {
		cas = append(cas, issue(t, nowhere, fmt.Sprintf("CA %d", i), asCA))
	}
	var mesh []*entity
	for i, subject := range cas {
		for j, issuer := range cas {
			if i != j {
				mesh = append(mesh, issueFor(t, issuer, fmt.Sprintf("CA %d", i), subject.key, asCA))
			}
		}
	}
	leaf := issue(t, cas[0], "leaf", nil)
	if _, err := validate(leaf, Options{Anchors: certs(root), Intermediates: certs(mesh...)}); err == nil {
		t.Error("a path was found where there is none")
	}
	for _, exit := range []int{0, 1, size - 1} {
		way := issueFor(t, root, fmt.Sprintf("CA %d", exit), cas[exit].key, asCA)
		o := Options{Anchors: certs(root), Intermediates: append(certs(mesh...), way.cert)}
		if _, err := validate(leaf, o); err != nil {
			t.Errorf("the way out is by CA %d: %v", exit, err)
		}
	}
}

// Of fifty certificates of one CA's name and key all but the last forbid the leaf; it is found.
func TestFiftyCertificatesOfOneCA(t *testing.T) {
	root := issue(t, nil, "root", asCA)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var list []*entity
	for range 50 {
		list = append(list, issueFor(t, root, "CA", key, func(c *x509.Certificate) {
			asCA(c)
			c.PermittedDNSDomainsCritical, c.ExcludedDNSDomains = true, []string{"example.com"}
		}))
	}
	leaf := issue(t, list[0], "leaf", func(c *x509.Certificate) { c.DNSNames = []string{"a.example.com"} })
	if _, err := validate(leaf, Options{Anchors: certs(root), Intermediates: certs(list...)}); reasonOf(err) != ReasonNameConstraints {
		t.Errorf("all forbid it: %v", err)
	}
	list = append(list, issueFor(t, root, "CA", key, asCA))
	if _, err := validate(leaf, Options{Anchors: certs(root), Intermediates: certs(list...)}); err != nil {
		t.Errorf("the last one allows it: %v", err)
	}
}

// RFC 5280 section 4.2.1.4: a critical certificatePolicies with a qualifier of an unknown type is not understood.
func TestPolicyQualifiers(t *testing.T) {
	root := issue(t, nil, "root", asCA)
	for _, c := range []struct {
		qualifier asn1.ObjectIdentifier
		critical  bool
		want      string
	}{
		{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 2, 1}, true, ""},
		{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 2, 2}, true, ""},
		{asn1.ObjectIdentifier{1, 2, 3, 4}, false, ""},
		{asn1.ObjectIdentifier{1, 2, 3, 4}, true, ReasonCritical},
	} {
		var b cryptobyte.Builder
		sequence := func(f cryptobyte.BuilderContinuation) cryptobyte.BuilderContinuation {
			return func(b *cryptobyte.Builder) { b.AddASN1(casn1.SEQUENCE, f) }
		}
		b.AddASN1(casn1.SEQUENCE, sequence(func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 3})
			b.AddASN1(casn1.SEQUENCE, sequence(func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(c.qualifier)
				b.AddASN1(casn1.IA5String, func(b *cryptobyte.Builder) { b.AddBytes([]byte("http://cps.test/")) })
			}))
		}))
		leaf := issue(t, root, "leaf", func(cert *x509.Certificate) {
			cert.ExtraExtensions = append(cert.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 32}, Critical: c.critical, Value: b.BytesOrPanic()})
		})
		if _, err := validate(leaf, Options{Anchors: certs(root)}); reasonOf(err) != c.want {
			t.Errorf("qualifier %s, critical %v: %v, want %q", c.qualifier, c.critical, err, c.want)
		}
	}
}

// RFC 5321 section 4.1.3: a mailbox may be at an address literal.
func TestMailboxes(t *testing.T) {
	for mailbox, want := range map[string]bool{
		"a@example.com": true, "a.b+c@example.com": true, `"a b"@example.com`: true,
		"a@[192.0.2.1]": true, "a@[IPv6:2001:db8::1]": true,
		"a@[2001:db8::1]": false, "a@[IPv6:192.0.2.1]": false, "a@[]": false, "a@[x]": false, "@[192.0.2.1]": false,
		"a@192.0.2.1]": false, "a@": false, "a": false, "": false, "a..b@example.com": false, "a@b@[192.0.2.1]": false,
	} {
		if got := validMailbox(mailbox); got != want {
			t.Errorf("%q: %v", mailbox, got)
		}
	}
}
