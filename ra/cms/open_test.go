package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.mozilla.org/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func rawAttr(oid asn1.ObjectIdentifier, values ...[]byte) []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid)
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(values...)) })
		})
	})
}

func oidDER(oid asn1.ObjectIdentifier) []byte {
	return build(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
}

func octets(v []byte) []byte {
	return build(func(b *cryptobyte.Builder) { b.AddASN1OctetString(v) })
}

// forge signs whatever attributes are given, as a hostile component could with a card in its reader.
func forge(t testing.TB, id identity, content []byte, attrs ...[]byte) []byte {
	t.Helper()
	set := slices.Concat(attrs...)
	signed := asSet(set)
	if len(attrs) == 0 {
		signed = content
	}
	sig, err := signDigest(id.key, id.cert, sum(crypto.SHA256, signed), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := encode(content, id.cert, set, sig, id.key.Public(), SignOptions{ContentType: OIDData, Hash: crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestAttributes goes through what the library does not look at: content type, digest and time have to be
// there, once each, with one value, and right. HCA-5.1.1
func TestAttributes(t *testing.T) {
	id := p256Identity()
	ct := rawAttr(OIDContentType, oidDER(OIDData))
	md := rawAttr(OIDMessageDigest, octets(sum(crypto.SHA256, text)))
	st := rawAttr(OIDSigningTime, encodeTime(at))
	timeText := func(tag byte, s string) []byte {
		return rawAttr(OIDSigningTime, append([]byte{tag, byte(len(s))}, s...))
	}
	for name, c := range map[string]struct {
		attrs  [][]byte
		reason string
	}{
		"all":                      {[][]byte{ct, st, md}, ""},
		"in another order":         {[][]byte{md, st, ct}, ""},
		"unknown ones beside them": {[][]byte{ct, st, md, rawAttr(asn1.ObjectIdentifier{1, 2, 3}, octets(nil))}, ""},
		"generalized time":         {[][]byte{ct, timeText(24, "20261122040000Z"), md}, ""},
		"none":                     {nil, ReasonNoAttributes},
		"no content type":          {[][]byte{st, md}, ReasonAttrMissing},
		"no digest":                {[][]byte{ct, st}, ReasonAttrMissing},
		"no time":                  {[][]byte{ct, md}, ReasonAttrMissing},
		"content type twice":       {[][]byte{ct, ct, st, md}, ReasonAttrDuplicate},
		"digest twice":             {[][]byte{ct, st, md, md}, ReasonAttrDuplicate},
		"time twice":               {[][]byte{ct, st, rawAttr(OIDSigningTime, encodeTime(at.AddDate(0, 0, 1))), md}, ReasonAttrDuplicate},
		"nonce twice":              {[][]byte{ct, st, md, rawAttr(OIDRandomNonce, UTF8String("a")), rawAttr(OIDRandomNonce, UTF8String("b"))}, ReasonAttrDuplicate},
		"two values":               {[][]byte{ct, rawAttr(OIDSigningTime, encodeTime(at), encodeTime(at)), md}, ReasonAttrDuplicate},
		"no value":                 {[][]byte{ct, rawAttr(OIDSigningTime), md}, ReasonAttrMalformed},
		"other content type":       {[][]byte{rawAttr(OIDContentType, oidDER(OIDPKIData)), st, md}, ReasonContentType},
		"content type no OID":      {[][]byte{rawAttr(OIDContentType, octets(nil)), st, md}, ReasonAttrMalformed},
		"other digest":             {[][]byte{ct, st, rawAttr(OIDMessageDigest, octets(sum(crypto.SHA256, []byte("other"))))}, ReasonDigest},
		"short digest":             {[][]byte{ct, st, rawAttr(OIDMessageDigest, octets(nil))}, ReasonDigest},
		"digest no octets":         {[][]byte{ct, st, rawAttr(OIDMessageDigest, oidDER(OIDData))}, ReasonAttrMalformed},
		"time without seconds":     {[][]byte{ct, timeText(23, "2611220400Z"), md}, ReasonAttrMalformed},
		"time with offset":         {[][]byte{ct, timeText(23, "261122040000+0800"), md}, ReasonAttrMalformed},
		"time with fraction":       {[][]byte{ct, timeText(24, "20261122040000.5Z"), md}, ReasonAttrMalformed},
		"no such day":              {[][]byte{ct, timeText(23, "260230040000Z"), md}, ReasonAttrMalformed},
		"time as text":             {[][]byte{ct, timeText(12, "261122040000Z"), md}, ReasonAttrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			sd, err := Open(forge(t, id, text, c.attrs...), OpenOptions{RequireSigningTime: true})
			if c.reason != "" {
				wantReason(t, err, c.reason)
				return
			}
			if err != nil || !sd.SigningTime.Equal(at) {
				t.Fatalf("%v", err)
			}
		})
	}
	many := [][]byte{ct, st, md}
	for i := range maxAttributes {
		many = append(many, rawAttr(asn1.ObjectIdentifier{1, 2, 3, i}, octets(nil)))
	}
	_, err := Open(forge(t, id, text, many...), OpenOptions{})
	wantReason(t, err, ReasonTooManyAttribute)
}

// TestAttributesReplayedAsContent: the signature of one message over its attributes is also a signature over
// a content that happens to be those attributes. Neither way of opening lets that pass for a text.
func TestAttributesReplayedAsContent(t *testing.T) {
	id := rsaIdentity()
	der, err := Sign(text, id.key, id.cert, SignOptions{SigningTime: at})
	if err != nil {
		t.Fatal(err)
	}
	m, err := parse(der)
	if err != nil {
		t.Fatal(err)
	}
	replay, err := WrapBare(asSet(m.attributes), m.signature, id.cert, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(replay, OpenOptions{})
	wantReason(t, err, ReasonNoAttributes)
	_, err = OpenBare(replay, OpenOptions{Content: text})
	wantReason(t, err, ReasonContent)
	_, err = OpenBare(der, OpenOptions{})
	wantReason(t, err, ReasonAttributes)
}

func TestBare(t *testing.T) {
	for _, id := range []identity{rsaIdentity(), p256Identity()} {
		sig, err := signDigest(id.key, id.cert, sum(crypto.SHA384, text), crypto.SHA384)
		if err != nil {
			t.Fatal(err)
		}
		der, err := WrapBare(text, sig, id.cert, crypto.SHA384)
		if err != nil {
			t.Fatal(err)
		}
		sd, err := OpenBare(der, OpenOptions{Content: text})
		if err != nil || !bytes.Equal(sd.Signer, id.cert) {
			t.Fatal(err)
		}
		sig[9] ^= 1
		if der, err = WrapBare(text, sig, id.cert, crypto.SHA384); err != nil {
			t.Fatal(err)
		}
		_, err = OpenBare(der, OpenOptions{Content: text})
		wantReason(t, err, ReasonSignature)
	}
}

// TestOptions: what the caller wants of content, its type and its place.
func TestOptions(t *testing.T) {
	id := p256Identity()
	attached, err := Sign(text, id.key, id.cert, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	detached, err := Sign(text, id.key, id.cert, SignOptions{Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	pki, err := Sign(text, id.key, id.cert, SignOptions{ContentType: OIDPKIData})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		der    []byte
		o      OpenOptions
		reason string
	}{
		"content differs":           {attached, OpenOptions{Content: append([]byte("x"), text...)}, ReasonContent},
		"content wanted empty":      {attached, OpenOptions{Content: []byte{}}, ReasonContent},
		"detached":                  {detached, OpenOptions{}, ReasonDetached},
		"detached with the content": {detached, OpenOptions{Content: text}, ReasonDetached},
		"detached without content":  {detached, OpenOptions{Detached: true}, ReasonDetached},
		"detached, other content":   {detached, OpenOptions{Detached: true, Content: []byte("other")}, ReasonDigest},
		"attached, wanted detached": {attached, OpenOptions{Detached: true, Content: text}, ReasonNotDetached},
		"PKIData for data":          {pki, OpenOptions{}, ReasonContentType},
		"data for PKIData":          {attached, OpenOptions{ContentType: OIDPKIData}, ReasonContentType},
		"too large":                 {attached, OpenOptions{Max: len(attached) - 1}, ReasonTooLarge},
		"a byte after the end":      {append(slices.Clone(attached), 0), OpenOptions{}, ReasonTrailing},
		"a message after the end":   {append(slices.Clone(attached), attached...), OpenOptions{}, ReasonTrailing},
		"empty":                     {nil, OpenOptions{}, ReasonEmpty},
		"a certificate":             {id.cert, OpenOptions{}, ReasonNotSignedData},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(c.der, c.o)
			wantReason(t, err, c.reason)
		})
	}
}

// TestOpenSSLMessages opens what OpenSSL makes, and refuses each thing that it can be told to do otherwise.
func TestOpenSSLMessages(t *testing.T) {
	dir := t.TempDir()
	content := filepath.Join(dir, "content")
	write(t, content, text)
	cert, key := rsaIdentity().files(t)
	ecCert, ecKey := p384Identity().files(t)
	for name, c := range map[string]struct {
		args   []string
		reason string
	}{
		"RSA":          {[]string{"-md", "sha256"}, ""},
		"RSA SHA-512":  {[]string{"-md", "sha512"}, ""},
		"with chain":   {[]string{"-certfile", ecCert}, ""},
		"SHA-1":        {[]string{"-md", "sha1"}, ReasonSHA1},
		"MD5":          {[]string{"-md", "md5"}, ReasonAlgorithm},
		"SHA-224":      {[]string{"-md", "sha224"}, ReasonAlgorithm},
		"PSS":          {[]string{"-keyopt", "rsa_padding_mode:pss"}, ReasonAlgorithm},
		"no attrs":     {[]string{"-noattr"}, ReasonNoAttributes},
		"key id":       {[]string{"-keyid"}, ReasonSignerKeyID},
		"no cert":      {[]string{"-nocerts"}, ReasonSignerMissing},
		"streamed BER": {[]string{"-stream"}, ReasonNotDER},
		"two signers":  {[]string{"-signer", ecCert, "-inkey", ecKey}, ReasonSignerCount},
		"receipt type": {[]string{"-econtent_type", "1.2.3.4"}, ReasonContentType},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.p7")
			args := []string{"cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-in", content, "-out", out, "-signer", cert, "-inkey", key}
			if name == "key id" { // needs a subject key identifier
				skid := filepath.Join(t.TempDir(), "skid.pem")
				if b, err := openssl(t, "req", "-new", "-x509", "-key", key, "-subj", "/CN=x", "-out", skid); err != nil {
					t.Fatalf("%s", b)
				}
				args = append(args, "-signer", skid)
				args = slices.Delete(args, 10, 14)
				args = append(args, "-inkey", key)
			}
			if b, err := openssl(t, append(args, c.args...)...); err != nil {
				t.Fatalf("openssl: %v\n%s", err, b)
			}
			der, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(der, OpenOptions{Content: text})
			if c.reason != "" {
				wantReason(t, err, c.reason)
			} else if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestMutations flips bits of every byte of good messages. What is still accepted must say the same thing
// under the same key: only bytes of the certificate that its issuer's signature protects may differ.
func TestMutations(t *testing.T) {
	for _, id := range []identity{rsaIdentity(), p256Identity()} {
		der, err := Sign(text, id.key, id.cert, SignOptions{SigningTime: at})
		if err != nil {
			t.Fatal(err)
		}
		start := bytes.Index(der, id.cert)
		for i := range der {
			for _, mask := range []byte{0x01, 0x20, 0x80, 0xff} {
				m := slices.Clone(der)
				m[i] ^= mask
				for _, one := range []bool{false, true} {
					sd, err := Open(m, OpenOptions{OneReading: one})
					if err != nil {
						continue
					}
					inside := i >= start && i < start+len(id.cert)
					if !inside || !bytes.Equal(sd.Content, text) || !sd.SigningTime.Equal(at) {
						t.Errorf("byte %d xor %#x was accepted, one reading %v", i, mask, one)
					}
				}
			}
		}
	}
}

// TestUnsignedAttributes: what nobody signed is refused unless the caller says otherwise.
func TestUnsignedAttributes(t *testing.T) {
	id := rsaIdentity()
	cert, err := x509.ParseCertificate(id.cert)
	if err != nil {
		t.Fatal(err)
	}
	sd, err := pkcs7.NewSignedData(text)
	if err != nil {
		t.Fatal(err)
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	config := pkcs7.SignerInfoConfig{ExtraUnsignedAttributes: []pkcs7.Attribute{{Type: OIDRandomNonce, Value: "nonce"}}}
	if err := sd.AddSigner(cert, id.key, config); err != nil {
		t.Fatal(err)
	}
	der, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(der, OpenOptions{})
	wantReason(t, err, ReasonUnsignedAttrs)
	opened, err := Open(der, OpenOptions{AllowUnsignedAttributes: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := opened.Attribute(OIDRandomNonce); ok {
		t.Error("an attribute that nobody signed reads as signed")
	}
}

// TestAlgorithms: digest and signature algorithms that do not fit each other or hold parameters.
func TestAlgorithms(t *testing.T) {
	for name, c := range map[string]struct {
		digest, set, signature asn1.ObjectIdentifier
		simple                 bool
		reason                 string
	}{
		"rsaEncryption":        {oidSHA384, oidSHA384, oidRSA, true, ""},
		"sha256WithRSA":        {oidSHA256, oidSHA256, oidSHA256RSA, true, ""},
		"other hash, RSA":      {oidSHA256, oidSHA256, oidSHA512RSA, true, ReasonAlgorithms},
		"other hash, ECDSA":    {oidSHA512, oidSHA512, oidECDSASHA256, true, ReasonAlgorithms},
		"announced otherwise":  {oidSHA256, oidSHA384, oidRSA, true, ReasonAlgorithms},
		"parameters":           {oidSHA256, oidSHA256, oidRSA, false, ReasonAlgorithm},
		"curve as algorithm":   {oidSHA256, oidSHA256, asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, true, ReasonAlgorithm},
		"DSA":                  {oidSHA256, oidSHA256, asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 1}, true, ReasonAlgorithm},
		"SHA-1 signature":      {oidSHA256, oidSHA256, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, true, ReasonSHA1},
		"SHA-1 digest":         {asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, oidSHA256, oidRSA, true, ReasonSHA1},
		"no digest algorithms": {oidSHA256, nil, oidRSA, true, ReasonAlgorithms},
	} {
		t.Run(name, func(t *testing.T) {
			m := message{digest: algorithm{c.digest, true}, signatureAlg: algorithm{c.signature, c.simple}}
			if c.set != nil {
				m.digests = []algorithm{{c.set, true}}
			}
			h, err := m.hash()
			if c.reason != "" {
				wantReason(t, err, c.reason)
			} else if err != nil || !h.Available() {
				t.Fatal(err)
			}
		})
	}
	m := message{digest: algorithm{oidSHA256, false}, signatureAlg: algorithm{oidRSA, true}, digests: []algorithm{{oidSHA256, true}}}
	_, err := m.hash()
	wantReason(t, err, ReasonAlgorithm)
}

// TestAmbiguousSigner: two certificates with the signer's issuer and serial number and different keys.
func TestAmbiguousSigner(t *testing.T) {
	id := rsaIdentity()
	twin := newIdentity(t, p256Identity().key, 77)
	der, err := signUnchecked(text, id.key, id.cert, SignOptions{ContentType: OIDData, Hash: crypto.SHA256, Certificates: [][]byte{twin.cert}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(der, OpenOptions{})
	wantReason(t, err, ReasonSignerAmbiguous)
}

func TestTooManyCertificates(t *testing.T) {
	id := p256Identity()
	var more [][]byte
	for i := range int64(maxCertificates) {
		more = append(more, newIdentity(t, id.key, 1000+i).cert)
	}
	der, err := signUnchecked(text, id.key, id.cert, SignOptions{ContentType: OIDData, Hash: crypto.SHA256, Certificates: more})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(der, OpenOptions{})
	wantReason(t, err, ReasonTooManyCerts)
}

// TestUnsupportedSays: a refusal for what is not supported says so in its reason.
func TestUnsupportedSays(t *testing.T) {
	for _, r := range []string{ReasonAlgorithm, ReasonSHA1, ReasonKeySize, ReasonSignerKeyID} {
		if !strings.Contains(r, "unsupported") {
			t.Error(strconv.Quote(r))
		}
	}
}
