package attest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"slices"
	"testing"
	"time"
)

// akita is a device of the corpora that is accepted as it is.
func akita(t *testing.T) ([]*x509.Certificate, AndroidWant) {
	t.Helper()
	for _, d := range devices(t) {
		if d.name == "akita/sdk34/TEE_EC_NONE" {
			chain, err := ParseChain(d.pem)
			if err != nil {
				t.Fatal(err)
			}
			return chain, want(t, d)
		}
	}
	t.Fatal("akita is not there")
	return nil, AndroidWant{}
}

// One bit changed anywhere in any certificate of a real chain, the root's included, is noticed.
func TestAndroidTampered(t *testing.T) {
	chain, want := akita(t)
	tried := 0
	for i, cert := range chain {
		for offset := 0; offset < len(cert.Raw); offset += 3 {
			der := slices.Clone(cert.Raw)
			der[offset] ^= 1 << (offset % 8)
			changed, err := x509.ParseCertificate(der)
			if err != nil {
				continue
			}
			tried++
			tampered := slices.Clone(chain)
			tampered[i] = changed
			if _, err := VerifyAndroid(tampered, want); err == nil {
				t.Errorf("certificate %d with byte %d changed was accepted", i, offset)
			}
		}
	}
	if tried < 500 {
		t.Errorf("only %d changed chains could be parsed", tried)
	}
}

// HCA-6.0 HCA-6.1: a real chain that is reordered, cut, repeated or asked for something else is refused.
func TestAndroidRefused(t *testing.T) {
	whole, _ := akita(t)
	for _, c := range []struct {
		name   string
		code   string
		change func(chain []*x509.Certificate, want *AndroidWant) []*x509.Certificate
	}{
		{"another challenge", CodeChallenge, func(chain []*x509.Certificate, w *AndroidWant) []*x509.Certificate {
			w.Challenge = []byte("challengf")
			return chain
		}},
		{"part of the challenge", CodeChallenge, func(chain []*x509.Certificate, w *AndroidWant) []*x509.Certificate {
			w.Challenge = w.Challenge[:4]
			return chain
		}},
		{"no challenge", CodeMalformed, func(chain []*x509.Certificate, w *AndroidWant) []*x509.Certificate {
			w.Challenge = nil
			return chain
		}},
		{"reordered", CodeChain, func(chain []*x509.Certificate, _ *AndroidWant) []*x509.Certificate {
			chain[1], chain[2] = chain[2], chain[1]
			return chain
		}},
		{"root first", CodeRoot, func(chain []*x509.Certificate, _ *AndroidWant) []*x509.Certificate {
			slices.Reverse(chain)
			return chain
		}},
		{"without its leaf", CodePlacement, func(chain []*x509.Certificate, _ *AndroidWant) []*x509.Certificate { return chain[1:] }},
		{"without its root", CodeRoot, func(chain []*x509.Certificate, _ *AndroidWant) []*x509.Certificate { return chain[:4] }},
		{"without an intermediate", CodeChain, func(chain []*x509.Certificate, _ *AndroidWant) []*x509.Certificate { return slices.Delete(chain, 2, 3) }},
		{"root alone", CodeChain, func(chain []*x509.Certificate, _ *AndroidWant) []*x509.Certificate { return chain[4:] }},
		{"root twice", CodeChain, func(chain []*x509.Certificate, _ *AndroidWant) []*x509.Certificate { return append(chain, chain[4]) }},
		{"expired", CodeDates, func(chain []*x509.Certificate, w *AndroidWant) []*x509.Certificate {
			w.At = chain[1].NotAfter.Add(time.Second)
			return chain
		}},
		{"not yet valid", CodeDates, func(chain []*x509.Certificate, w *AndroidWant) []*x509.Certificate {
			w.At = chain[2].NotBefore.Add(-time.Second)
			return chain
		}},
		{"below the level", CodeLevel, func(chain []*x509.Certificate, w *AndroidWant) []*x509.Certificate {
			w.MinLevel = LevelStrongBox
			return chain
		}},
		{"without the user", CodeUserAuth, func(chain []*x509.Certificate, w *AndroidWant) []*x509.Certificate {
			w.RequireUserAuth = true
			return chain
		}},
		{"unlocked", CodeBoot, func(chain []*x509.Certificate, w *AndroidWant) []*x509.Certificate {
			w.RequireVerifiedBoot = true
			return chain
		}},
		{"another key", CodeKey, func(chain []*x509.Certificate, w *AndroidWant) []*x509.Certificate {
			w.SPKI = chain[1].RawSubjectPublicKeyInfo
			return chain
		}},
		{"another app", CodeApp, func(chain []*x509.Certificate, w *AndroidWant) []*x509.Certificate {
			w.App = &AndroidApp{"tw.example.app", []byte{1}}
			return chain
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, want := akita(t)
			_, err := VerifyAndroid(c.change(slices.Clone(whole), &want), want)
			mustRefuse(t, err, c.code)
		})
	}
}

// Every status that the vendor's list gives counts against every certificate of the chain, in hex and in the
// decimal of older entries.
func TestAndroidRevoked(t *testing.T) {
	chain, want := akita(t)
	for i, cert := range chain {
		for _, text := range []string{cert.SerialNumber.Text(16), "00" + cert.SerialNumber.Text(16), cert.SerialNumber.Text(10)} {
			for _, word := range []string{"REVOKED", "SUSPENDED", "SOMETHING NEW"} {
				status, err := ParseAndroidStatus(fmt.Appendf(nil, `{"entries":{%q:{"status":%q}}}`, text, word))
				if err != nil {
					t.Fatal(err)
				}
				want.Status = status
				if _, err = VerifyAndroid(chain, want); err == nil || !asRefusals(err).Has(CodeRevoked) {
					t.Errorf("certificate %d, listed as %s %s: %v", i, text, word, err)
				}
			}
		}
	}
}

// Lists that cannot be read protect nobody, so they are errors.
func TestAndroidListsRefused(t *testing.T) {
	for _, text := range []string{``, `{}`, `[]`, `{"entries":[]}`, `{"entries":{"xyz":{"status":"REVOKED"}}}`, `{"entries":{"":{}}}`, `{"entries":{"-1":{}}}`} {
		if _, err := ParseAndroidStatus([]byte(text)); err == nil {
			t.Errorf("status list %s was accepted", text)
		}
	}
	for _, text := range []string{``, `{}`, `[]`, `[""]`, `["x"]`, `["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]`} {
		if _, err := ParseAndroidRoots([]byte(text)); err == nil {
			t.Errorf("root list %s was accepted", text)
		}
	}
}

// A root of the vendor's name with another key is no root.
func TestAndroidForeignRoot(t *testing.T) {
	description := describe(t, "fresh", nil, signingKey(t))
	mine, theirs := fromFactory(t, description, nil), fromFactory(t, description, nil)
	if _, err := VerifyAndroid(mine.certs(), mine.want(t, "fresh")); err != nil {
		t.Fatal(err)
	}
	_, err := VerifyAndroid(mine.certs(), theirs.want(t, "fresh"))
	mustRefuse(t, err, CodeRoot)
	swapped := append(mine.certs()[:3], theirs.root.cert)
	_, err = VerifyAndroid(swapped, theirs.want(t, "fresh"))
	mustRefuse(t, err, CodeChain)
}

// The known attack: the owner of an attested key signs one more certificate with it, holding whatever
// attestation is asked for. HCA-6.1
func TestAndroidExtendedChain(t *testing.T) {
	honest := fromFactory(t, describe(t, "old", nil, signingKey(t)), nil)
	forged := certify(t, honest.leaf, pkix.Name{CommonName: "Android Keystore Key"},
		attestation(describe(t, "fresh", nil, signingKey(t))))
	_, err := VerifyAndroid(append([]*x509.Certificate{forged.cert}, honest.certs()...), honest.want(t, "fresh"))
	mustRefuse(t, err, CodePlacement)

	plain := certify(t, honest.leaf, pkix.Name{CommonName: "software key"}, nil)
	_, err = VerifyAndroid(append([]*x509.Certificate{plain.cert}, honest.certs()...), honest.want(t, "old"))
	mustRefuse(t, err, CodePlacement)
}

// chainOf makes a chain of our own root, the leaf first; above edits the certificates between leaf and root, from the root
// downwards. It is of the kind that the name below the root says.
func chainOf(t *testing.T, below pkix.Name, above ...func(*x509.Certificate)) ([]*x509.Certificate, AndroidWant) {
	t.Helper()
	c := phoneChain{root: certify(t, made{}, pkix.Name{SerialNumber: "f9"}, authority)}
	issuer, certs := c.root, []*x509.Certificate{c.root.cert}
	for i, change := range above {
		name := pkix.Name{CommonName: fmt.Sprint("intermediate ", i)}
		if i == 0 {
			name = below
		}
		issuer = certify(t, issuer, name, change)
		certs = append(certs, issuer.cert)
	}
	leaf := certify(t, issuer, pkix.Name{CommonName: "Android Keystore Key"}, attestation(describe(t, "fresh", nil, signingKey(t))))
	certs = append(certs, leaf.cert)
	slices.Reverse(certs)
	return certs, c.want(t, "fresh")
}

// Names below the root that say how an attestation key was provisioned.
var (
	factory  = pkix.Name{SerialNumber: "11"}
	server   = pkix.Name{CommonName: "Droid CA2", Organization: []string{"Google LLC"}}
	whatever = pkix.Name{CommonName: "another way"}
)

// Factory chains outlive their intermediates' dates and no others do; nothing counts before it began.
func TestAndroidDates(t *testing.T) {
	expired := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = noon.AddDate(-10, 0, 0), noon.AddDate(-1, 0, 0) }
	early := func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Second) }
	info := func(value ...byte) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: oidProvisioningInfo, Value: value}}
		}
	}
	for _, c := range []struct {
		name  string
		below pkix.Name
		above []func(*x509.Certificate)
		code  string
	}{
		{"factory", factory, []func(*x509.Certificate){expired, nil}, ""},
		{"factory, not yet", factory, []func(*x509.Certificate){nil, early}, CodeDates},
		{"server", server, []func(*x509.Certificate){nil, nil, info(0xa1, 1, 0x18, 40)}, ""},
		{"server, expired", server, []func(*x509.Certificate){nil, expired, nil}, CodeDates},
		{"server, not yet", server, []func(*x509.Certificate){nil, nil, early}, CodeDates},
		{"server of a new name, expired", factory, []func(*x509.Certificate){expired, nil, info(0xa1, 1, 0x18, 40)}, CodeDates},
		{"server, unreadable", server, []func(*x509.Certificate){nil, nil, info(0xa2, 1, 2, 1, 3)}, CodeMalformed},
		{"another way", whatever, []func(*x509.Certificate){nil, nil}, ""},
		{"another way, expired", whatever, []func(*x509.Certificate){expired, nil}, CodeDates},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain, want := chainOf(t, c.below, c.above...)
			_, err := VerifyAndroid(chain, want)
			mustBe(t, err, c.code)
		})
	}
}

// A chain has exactly the certificates of its kind: one more, and somebody extended it (HCA-6.1).
func TestAndroidLength(t *testing.T) {
	for _, c := range []struct {
		name    string
		below   pkix.Name
		between int
		ok      bool
	}{
		{"factory", factory, 1, false}, {"factory", factory, 2, true}, {"factory", factory, 3, false}, {"factory", factory, 6, false},
		{"server", server, 2, false}, {"server", server, 3, true}, {"server", server, 4, false}, {"server", server, 7, false},
		{"another way", whatever, 1, true}, {"another way", whatever, 2, true}, {"another way", whatever, 3, false},
	} {
		t.Run(fmt.Sprint(c.name, c.between), func(t *testing.T) {
			chain, want := chainOf(t, c.below, make([]func(*x509.Certificate), c.between)...)
			_, err := VerifyAndroid(chain, want)
			mustBe(t, err, map[bool]string{false: CodeChain}[c.ok])
		})
	}
}

// A certificate under another name than its issuer's is none of that issuer's, even where the key fits.
func TestAndroidNames(t *testing.T) {
	chain := fromFactory(t, describe(t, "fresh", nil, signingKey(t)), nil)
	renamed := made{&x509.Certificate{Subject: pkix.Name{CommonName: "another"}}, chain.batch.key}
	chain.leaf = certify(t, renamed, pkix.Name{CommonName: "Android Keystore Key"}, attestation(describe(t, "fresh", nil, signingKey(t))))
	_, err := VerifyAndroid(chain.certs(), chain.want(t, "fresh"))
	mustRefuse(t, err, CodeChain)
}

// PEM that holds anything but readable certificates is refused, not skipped.
func TestParseChainRefused(t *testing.T) {
	chain := fromFactory(t, describe(t, "fresh", nil, signingKey(t)), nil)
	good := pemOf(chain.certs()...)
	other := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}))
	for name, text := range map[string]string{
		"empty": "", "text": "hello", "another kind": good + other, "half a block": good + good[:100],
		"too many": good + good + good, "too large": good + string(make([]byte, MaxObject)),
	} {
		if _, err := ParseChain([]byte(text)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
