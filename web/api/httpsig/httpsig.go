// Package httpsig signs and verifies HTTP requests with the key of a device: a strict subset of HTTP Message
// Signatures (RFC 9421) with Content-Digest (RFC 9530). There is one way to sign a request, and every other one
// is refused: label "device", algorithm ecdsa-p256-sha256, the components "@method" "@path" "@query", and
// "content-digest" when, and only when, there is a body; the parameters created, nonce, keyid and alg.
//
// Both sides use it: the server to verify, the phone to sign.
package httpsig

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/dunglas/httpsfv"
)

const (
	// Label is the one name that a signature may have in the two header fields.
	Label = "device"
	// Algorithm is the RFC 9421 section 3.3.4 name of ECDSA on P-256 with SHA-256.
	Algorithm = "ecdsa-p256-sha256"
	// Skew is how far a signature's created may lie from the verifier's clock, either way.
	Skew = 60 * time.Second
)

// The header fields of a signed request.
const (
	HeaderInput     = "Signature-Input"
	HeaderSignature = "Signature"
	HeaderDigest    = "Content-Digest"
)

const (
	maxField      = 1024 // bytes; ours are below 350
	signatureSize = 64   // r and s, 32 bytes each, big endian
	digestName    = "sha-256"
)

var (
	nonceForm = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)
	keyForm   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// ErrSignature is in every error of this package's reading side: the request is not signed as it must be.
var ErrSignature = errors.New("httpsig: not signed as required")

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSignature, fmt.Sprintf(format, args...))
}

// ErrClock is in the error of a signature whose created lies too far from the verifier's clock. It wraps
// ErrSignature.
var ErrClock = fmt.Errorf("%w: created is more than %v from now", ErrSignature, Skew)

// Params are what a signature says of itself.
type Params struct {
	Created time.Time // whole seconds
	Nonce   string    // 16 to 64 characters of base64url, used once per key
	KeyID   string    // "sha256:" and the hex SHA-256 of the key's SubjectPublicKeyInfo
}

func (p Params) check() error {
	switch {
	case !nonceForm.MatchString(p.Nonce):
		return refused("the nonce is 16 to 64 characters of base64url")
	case !keyForm.MatchString(p.KeyID):
		return refused("keyid is sha256: and 64 hexadecimal digits")
	case p.Created.Unix() < 0:
		return refused("created is before 1970")
	}
	return nil
}

// covered are the components that a signature must cover, in the order they must have.
func covered(hasBody bool) []string {
	c := []string{"@method", "@path", "@query"}
	if hasBody {
		c = append(c, "content-digest")
	}
	return c
}

// input is the inner list of Signature-Input (RFC 9421 section 2.3).
func (p Params) input(hasBody bool) httpsfv.InnerList {
	l := httpsfv.InnerList{Params: httpsfv.NewParams()}
	for _, name := range covered(hasBody) {
		l.Items = append(l.Items, httpsfv.NewItem(name))
	}
	l.Params.Add("created", p.Created.Unix())
	l.Params.Add("nonce", p.Nonce)
	l.Params.Add("keyid", p.KeyID)
	l.Params.Add("alg", Algorithm)
	return l
}

// base is the text that is signed (RFC 9421 section 2.5). The input's parameters keep the order they came in.
func base(r *http.Request, digest string, input httpsfv.InnerList) ([]byte, error) {
	params, err := httpsfv.Marshal(httpsfv.List{input})
	if err != nil {
		return nil, refused("the parameters cannot be written: %v", err)
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	text := fmt.Sprintf("\"@method\": %s\n\"@path\": %s\n\"@query\": ?%s\n", r.Method, path, r.URL.RawQuery)
	if digest != "" {
		text += fmt.Sprintf("\"content-digest\": %s\n", digest)
	}
	return []byte(text + "\"@signature-params\": " + params), nil
}

// contentDigest is the header field's value for a body (RFC 9530 section 2).
func contentDigest(body []byte) (string, error) {
	sum := sha256.Sum256(body)
	return dictionary(digestName, httpsfv.NewItem(sum[:]))
}

func dictionary(name string, m httpsfv.Member) (string, error) {
	d := httpsfv.NewDictionary()
	d.Add(name, m)
	return httpsfv.Marshal(d)
}

// single reads a header field that must be there once, as a dictionary of one member with the given name. It
// must be written the way RFC 9651 section 4.1 serialises it: then nothing in it was read twice or passed over.
func single(h http.Header, field, name string) (httpsfv.Member, error) {
	values := h.Values(field)
	if len(values) != 1 {
		return nil, refused("%s must be there once", field)
	}
	if len(values[0]) > maxField {
		return nil, refused("%s is too long", field)
	}
	d, err := httpsfv.UnmarshalDictionary(values)
	if err != nil {
		return nil, refused("%s cannot be read", field)
	}
	if again, err := httpsfv.Marshal(d); err != nil || again != values[0] {
		return nil, refused("%s is not written in its canonical form", field)
	}
	m, ok := d.Get(name)
	if !ok || len(d.Names()) != 1 {
		return nil, refused("%s must hold %q and nothing else", field, name)
	}
	return m, nil
}

// octets reads a header field that holds one byte sequence without parameters.
func octets(h http.Header, field, name string) ([]byte, error) {
	m, err := single(h, field, name)
	if err != nil {
		return nil, err
	}
	item, ok := m.(httpsfv.Item)
	if !ok || len(item.Params.Names()) != 0 {
		return nil, refused("%s must hold one byte sequence", field)
	}
	value, ok := item.Value.([]byte)
	if !ok {
		return nil, refused("%s must hold one byte sequence", field)
	}
	return value, nil
}

// readInput reads Signature-Input and holds it against what it must cover.
func readInput(h http.Header, hasBody bool) (httpsfv.InnerList, Params, error) {
	m, err := single(h, HeaderInput, Label)
	if err != nil {
		return httpsfv.InnerList{}, Params{}, err
	}
	l, ok := m.(httpsfv.InnerList)
	if !ok {
		return l, Params{}, refused("%s must hold an inner list", HeaderInput)
	}
	var names []string
	for _, item := range l.Items {
		name, ok := item.Value.(string)
		if !ok || len(item.Params.Names()) != 0 {
			return l, Params{}, refused("a covered component is a name without parameters")
		}
		names = append(names, name)
	}
	if want := covered(hasBody); !slices.Equal(names, want) {
		return l, Params{}, refused("the covered components must be %q", want)
	}
	p, err := readParams(l.Params)
	return l, p, err
}

// readParams takes the four parameters, each there once, and no other.
func readParams(from *httpsfv.Params) (p Params, err error) {
	if len(from.Names()) != 4 {
		return p, refused("the parameters must be created, nonce, keyid and alg")
	}
	text := func(name string) (s string) {
		v, _ := from.Get(name)
		s, _ = v.(string)
		return s
	}
	created, _ := from.Get("created")
	seconds, ok := created.(int64)
	if !ok {
		return p, refused("created is a whole number of seconds")
	}
	if text("alg") != Algorithm {
		return p, refused("alg must be %q", Algorithm)
	}
	p = Params{Created: time.Unix(seconds, 0), Nonce: text("nonce"), KeyID: text("keyid")}
	return p, p.check()
}
