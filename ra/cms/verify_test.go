package cms

import (
	"crypto"
	"testing"
)

// TestCrossCheck: a message is held against what the library reads in it, part by part.
func TestCrossCheck(t *testing.T) {
	id := rsaIdentity()
	der, err := Sign(text, id.key, id.cert, SignOptions{SigningTime: at})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*message)
		signer []byte
		reason string
	}{
		"the same":         {func(*message) {}, id.cert, ""},
		"other content":    {func(m *message) { m.content = []byte("other") }, id.cert, ReasonParsersDisagree},
		"other signature":  {func(m *message) { m.signature = []byte("other") }, id.cert, ReasonParsersDisagree},
		"other digest":     {func(m *message) { m.digest.oid = oidSHA512 }, id.cert, ReasonParsersDisagree},
		"other algorithm":  {func(m *message) { m.signatureAlg.oid = oidSHA256RSA }, id.cert, ReasonParsersDisagree},
		"other signer":     {func(*message) {}, p256Identity().cert, ReasonParsersDisagree},
		"detached content": {func(m *message) { m.detached, m.content = true, []byte("given") }, id.cert, ""},
	} {
		m, err := parse(der)
		if err != nil {
			t.Fatal(err)
		}
		c.change(m)
		err = m.crossCheck(der, c.signer)
		if c.reason == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.reason != "" {
			wantReason(t, err, c.reason)
		}
	}
}

// TestUnreadableCertificate: a certificate beside the signer's that is none is refused by one reading and by two,
// and nothing that holds one is signed.
func TestUnreadableCertificate(t *testing.T) {
	id := rsaIdentity()
	none := []byte{0x30, 9, 0x30, 7, 2, 1, 1, 0x30, 0, 0x30, 0}
	o := SignOptions{ContentType: OIDData, Hash: crypto.SHA256, Certificates: [][]byte{none}}
	der, err := signUnchecked(text, id.key, id.cert, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []bool{false, true} {
		_, err = Open(der, OpenOptions{OneReading: one})
		wantReason(t, err, ReasonCertificate)
	}
	if _, err := Sign(text, id.key, id.cert, o); err == nil {
		t.Error("signed")
	}
}
