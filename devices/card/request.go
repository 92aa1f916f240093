package card

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode/utf8"
)

// absent is the text by which one client library marks an optional field as not given.
const absent = "__NotExistedTag__"

// Signature types of the protocol.
const (
	SignPKCS7 = "PKCS7" // CMS with the content inside
	SignPKCS1 = "PKCS1" // the bare signature value
	SignRAW   = "RAW"   // the bare signature value over a DigestInfo that the caller made
)

// fields are a request's members: every value as text, whether it came as a string, a boolean or a number.
type fields map[string]string

// get is a member's value; a member that is missing or marked absent is empty.
func (f fields) get(name string) string {
	if v := f[name]; v != absent {
		return v
	}
	return ""
}

// flag reads a text boolean: only "true" counts, and an absent one is def.
func (f fields) flag(name string, def bool) bool {
	v := f.get(name)
	if v == "" {
		return def
	}
	return strings.EqualFold(v, "true")
}

// parsePackage reads the body of a request. Three forms are in use:
//   - the JSON text itself;
//   - a form with the member tbsPackage, properly encoded;
//   - the popup's form, "tbsPackage=" and then the JSON text as the page wrote it, in which the page has
//     percent-encoded what a form would spoil, in the whole or only inside its values.
//
// The value of either form is percent-decoded exactly once.
func parsePackage(body []byte) (fields, error) {
	if len(body) > maxBody {
		return nil, failf(CodeTooLarge, "body over %d bytes", maxBody)
	}
	if !utf8.Valid(body) {
		return nil, failf(CodeBadJSON, "body is not UTF-8")
	}
	text := bytes.TrimSpace(body)
	if !bytes.HasPrefix(text, []byte("{")) {
		var err error
		if text, err = formValue(text); err != nil {
			return nil, fail(CodeBadJSON, err)
		}
	}
	f, err := parseFlat(text)
	if err != nil {
		return nil, fail(CodeBadJSON, err)
	}
	return f, nil
}

// formValue takes the JSON text out of a form body.
func formValue(body []byte) ([]byte, error) {
	const name = "tbsPackage="
	// The popup's form: nothing but this member, so an '&' belongs to the text, and a '+' is a plus, for
	// a proper encoder would have written the brace as %7B.
	if rest, ok := bytes.CutPrefix(body, []byte(name)); ok && bytes.HasPrefix(rest, []byte("{")) {
		v, err := url.PathUnescape(string(rest))
		return []byte(v), err
	}
	q, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	v := q["tbsPackage"]
	if len(v) != 1 {
		return nil, fmt.Errorf("%d members tbsPackage in the form", len(v))
	}
	return []byte(v[0]), nil
}

// parseFlat reads one JSON object whose values are strings, booleans, numbers or null. A name that occurs
// twice is refused: two readers of one request must not disagree about it.
func parseFlat(text []byte) (fields, error) {
	if len(text) > maxPackage || !utf8.Valid(text) {
		return nil, errors.New("text too long or not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	f := fields{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errors.New("broken object") // the decoder's own text could quote the PIN
		}
		key, ok := name.(string)
		if !ok {
			return nil, errors.New("broken object")
		}
		if _, twice := f[key]; twice {
			return nil, errors.New("a member occurs twice")
		}
		value, err := dec.Token()
		if err != nil {
			return nil, errors.New("broken object")
		}
		switch v := value.(type) {
		case string:
			f[key] = v
		case bool:
			f[key] = fmt.Sprint(v)
		case json.Number:
			f[key] = v.String()
		case nil:
			f[key] = ""
		default:
			return nil, errors.New("a member is not a plain value")
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("broken object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("bytes after the object")
	}
	return f, nil
}

// signRequest is a MakeSignature request, checked and decoded.
type signRequest struct {
	content     []byte // what is signed; for RAW the DigestInfo
	kind        string // SignPKCS7, SignPKCS1 or SignRAW
	hash        hashName
	slot        string // the reader's name; empty: any
	keyID       []byte // CKA_ID; nil: the signing certificate's
	nonce       string
	cardNumber  bool
	signingTime bool
	checkDates  bool
	pin         PIN // only what the page sent
}

// parseSign turns members into a sign request. Order matters to pages: nothing to sign is said first.
func parseSign(f fields) (*signRequest, error) {
	r := &signRequest{
		kind:        f.get("signatureType"),
		slot:        f.get("slotDescription"),
		nonce:       f.get("nonce"),
		cardNumber:  f.flag("withCardSN", false),
		signingTime: f.flag("withSigningTime", true),
		checkDates:  f.flag("checkValidity", false),
		pin:         NewPIN([]byte(f.get("pin"))),
	}
	tbs := f["tbs"] // required, so the mark of absence is content like any other
	if tbs == "" {
		return nil, failf(CodeNoData, "tbs is empty")
	}
	if len(r.nonce) > maxNonce || len(r.slot) > maxField || r.pin.Len() > maxPINLength {
		return nil, failf(CodeBadParameter, "a field is too long")
	}
	if f.flag("withSCAP", false) {
		return nil, failf(CodeUnsupported, "withSCAP")
	}
	var err error
	if r.content, err = decodeContent(tbs, f.get("tbsEncoding")); err != nil {
		return nil, err
	}
	if id := f.get("keyidb64"); id != "" {
		r.keyID, err = base64.StdEncoding.DecodeString(id)
		if err != nil || len(id) > maxField {
			return nil, failf(CodeBase64, "keyidb64")
		}
	}
	return r, r.setAlgorithm(f.get("hashAlgorithm"))
}

// decodeContent gives the bytes to sign: base64 only when the request says so, else the text itself.
func decodeContent(tbs, encoding string) ([]byte, error) {
	if !strings.EqualFold(encoding, "base64") {
		return []byte(tbs), nil
	}
	b, err := base64.StdEncoding.DecodeString(tbs)
	if err != nil {
		return nil, failf(CodeBase64, "tbs is not base64")
	}
	if len(b) == 0 {
		return nil, failf(CodeNoData, "tbs is empty")
	}
	return b, nil
}

// setAlgorithm settles signature type and hash. SHA-1 is refused whatever the page asks.
func (r *signRequest) setAlgorithm(name string) error {
	switch r.kind {
	case "":
		r.kind = SignPKCS7
	case SignPKCS7, SignPKCS1, SignRAW:
	default:
		return failf(CodeSignType, "signatureType")
	}
	if r.kind == SignRAW {
		h, digest, err := splitDigestInfo(r.content)
		if err != nil {
			return fail(CodeSignContent, err)
		}
		r.hash, r.content = h, digest
		return nil
	}
	if name == "" {
		name = string(hashSHA256)
	}
	r.hash = hashName(strings.ToUpper(name))
	if !r.hash.known() {
		return failf(CodeBadParameter, "hashAlgorithm is unsupported")
	}
	return nil
}
