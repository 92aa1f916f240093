package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// nested wraps one INTEGER in so many SEQUENCEs of definite length.
func nested(levels int) []byte {
	der := []byte{2, 1, 0}
	for range levels {
		inner := der
		der = build(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(inner) })
		})
	}
	return der
}

// definiteBomb is as many SEQUENCEs in each other as fit, which is quadratic for a parser that copies.
func definiteBomb() []byte {
	headers := [][]byte{}
	size := 0
	for size < MaxMessage-4 {
		h := []byte{0x30, byte(size)}
		switch {
		case size > 0xff:
			h = []byte{0x30, 0x82, byte(size >> 8), byte(size)}
		case size > 0x7f:
			h = []byte{0x30, 0x81, byte(size)}
		}
		headers = append(headers, h)
		size += len(h)
	}
	slices.Reverse(headers)
	return slices.Concat(headers...)
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		der    []byte
		reason string
	}{
		"primitive":              {[]byte{2, 1, 0}, ""},
		"empty sequence":         {[]byte{0x30, 0}, ""},
		"deepest allowed":        {nested(MaxDepth), ""},
		"long tag":               {[]byte{0x30, 4, 0x9f, 0x1f, 1, 0}, ""},
		"nothing":                {nil, ReasonEmpty},
		"one byte":               {[]byte{0x30}, ReasonNotDER},
		"too deep":               {nested(MaxDepth + 1), ReasonTooDeep},
		"30 80 bomb":             {bytes.Repeat([]byte{0x30, 0x80}, 32<<10), ReasonNotDER},
		"definite bomb":          {definiteBomb(), ReasonTooDeep},
		"30 80 below definite":   {[]byte{0x30, 4, 0x30, 0x80, 0, 0}, ReasonNotDER},
		"end of contents":        {[]byte{0x30, 2, 0, 0}, ReasonNotDER},
		"trailing byte":          {[]byte{2, 1, 0, 0}, ReasonTrailing},
		"length not minimal":     {[]byte{0x30, 0x81, 3, 2, 1, 0}, ReasonNotDER},
		"length with zero":       {append([]byte{0x30, 0x82, 0, 0x80}, make([]byte, 0x80)...), ReasonNotDER},
		"length of five bytes":   {[]byte{0x30, 0x85, 1, 0, 0, 0, 0}, ReasonNotDER},
		"length past the end":    {[]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, ReasonNotDER},
		"inner past outer":       {[]byte{0x30, 3, 2, 2, 0}, ReasonNotDER},
		"inner header past":      {[]byte{0x30, 1, 2}, ReasonNotDER},
		"long tag not minimal":   {[]byte{0x30, 4, 0x9f, 0x1e, 1, 0}, ReasonNotDER},
		"long tag leading zero":  {[]byte{0x30, 5, 0x9f, 0x80, 0x1f, 1, 0}, ReasonNotDER},
		"long tag without end":   {[]byte{0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, ReasonNotDER},
		"too large by one":       {append([]byte{4, 0x83, 1, 0, 0}, make([]byte, 1<<16)...), ReasonTooLarge},
		"sixty-four KiB exactly": {append([]byte{4, 0x82, 0xff, 0xfc}, make([]byte, 0xfffc)...), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(c.der, MaxMessage)
			if c.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantReason(t, err, c.reason)
		})
	}
}

// budget is what no input of MaxMessage bytes may cost, with room for a busy machine: the aim is 50 ms.
const budget = 50 * time.Millisecond

// TestCost sends the most expensive inputs that fit, each through Open.
func TestCost(t *testing.T) {
	id := rsaIdentity()
	der, err := Sign(text, id.key, id.cert, SignOptions{SigningTime: at})
	if err != nil {
		t.Fatal(err)
	}
	fill := func(n int, unit ...byte) []byte { return bytes.Repeat(unit, n/len(unit)) }
	wrap := func(content []byte) []byte {
		return build(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(content) })
		})
	}
	inputs := map[string][]byte{
		"indefinite":     fill(MaxMessage, 0x30, 0x80),
		"definite":       definiteBomb(),
		"tiny values":    wrap(fill(MaxMessage-8, 5, 0)),
		"zeros":          make([]byte, MaxMessage),
		"large content":  forge(t, id, make([]byte, MaxMessage-2000)),
		"giant RSA key":  giantKey(t, der, id.cert, 60000),
		"many tiny sets": wrap(bytes.Repeat([]byte{0x31, 0}, (MaxMessage-8)/2)),
	}
	for name, in := range inputs {
		t.Run(name, func(t *testing.T) {
			best := time.Hour
			for range 3 {
				start := time.Now()
				if _, err := Open(in, OpenOptions{}); err == nil {
					t.Fatal("accepted")
				}
				best = min(best, time.Since(start))
			}
			if best > budget {
				t.Errorf("cost %v, at most %v", best, budget)
			}
		})
	}
}

// giantKey puts a certificate with a modulus of so many bytes, and the name of the signer's, into a message.
func giantKey(t *testing.T, der, cert []byte, size int) []byte {
	t.Helper()
	n := make([]byte, size)
	if _, err := rand.Read(n); err != nil {
		t.Fatal(err)
	}
	n[0] |= 0x80
	n[size-1] |= 1
	pub := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 1<<31 - 1}
	id := newIdentityFor(t, pub, rsaIdentity().key, 77)
	sig := make([]byte, 256)
	out, err := encode(text, id, rawAttr(OIDContentType, oidDER(OIDData)), sig, pub, SignOptions{ContentType: OIDData, Hash: crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestKeySize: keys too small to prove anything and too large to be verified in time are refused by name.
func TestKeySize(t *testing.T) {
	signer := rsaIdentity()
	for _, size := range []int{128, 255, 1025} {
		n := bytes.Repeat([]byte{0xff}, size)
		pub := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
		cert := newIdentityFor(t, pub, signer.key, 77)
		set := slices.Concat(rawAttr(OIDContentType, oidDER(OIDData)), rawAttr(OIDMessageDigest, octets(sum(crypto.SHA256, text))))
		der, err := encode(text, cert, set, make([]byte, size), pub, SignOptions{ContentType: OIDData, Hash: crypto.SHA256})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(der, OpenOptions{})
		wantReason(t, err, ReasonKeySize)
	}
}
