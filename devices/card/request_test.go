package card

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
)

// component encodes as encodeURIComponent does in pages.
func component(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// The forms in which pages and programs send one and the same request.
func TestPackageForms(t *testing.T) {
	const want = "a+b%c&d 王"
	asJSON := `{"tbs":"a+b%c&d 王","pin":"246813"}`
	forms := map[string]string{
		"raw JSON":                             asJSON,
		"proper form":                          url.Values{"tbsPackage": {asJSON}}.Encode(),
		"popup, all encoded by the page":       "tbsPackage=" + component(asJSON),
		"popup, plus and percent by the page":  `tbsPackage={"tbs":"a%2Bb%25c%26d 王","pin":"246813"}`,
		"popup, values encoded by the page":    `tbsPackage={"tbs":"` + component(want) + `","pin":"246813"}`,
		"popup, careless plus and ampersand":   `tbsPackage={"tbs":"a+b%25c&d 王","pin":"246813"}`,
		"proper form among further members":    "x=1&" + url.Values{"tbsPackage": {asJSON}}.Encode(),
		"space and line end around a raw JSON": "\n " + asJSON + "\n",
	}
	for name, body := range forms {
		f, err := parsePackage([]byte(body))
		if err != nil || f.get("tbs") != want || f.get("pin") != testPIN {
			t.Errorf("%s: %q, %v", name, f["tbs"], err)
		}
	}
}

// What a form has decoded once is not decoded again.
func TestPackageDecodedOnce(t *testing.T) {
	f, err := parsePackage([]byte(`tbsPackage={"tbs":"100%2525"}`))
	if err != nil || f["tbs"] != "100%25" {
		t.Errorf("got %q, %v", f["tbs"], err)
	}
}

func TestPackageRefused(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":           "",
		"no member":         "other=1",
		"two members":       "tbsPackage=%7B%7D&tbsPackage=%7B%7D",
		"broken escape":     `tbsPackage={"tbs":"100%"}`,
		"array":             `["tbs"]`,
		"nested":            `{"tbs":{"a":1}}`,
		"a name twice":      `{"tbs":"a","tbs":"b"}`,
		"bytes after":       `{"tbs":"a"}{"tbs":"b"}`,
		"cut off":           `{"tbs":"a"`,
		"not UTF-8":         "{\"tbs\":\"\xff\"}",
		"not UTF-8 in form": "tbsPackage=%7B%22tbs%22%3A%22%FF%22%7D",
	} {
		_, err := parsePackage([]byte(body))
		if f := (*failure)(nil); !errors.As(err, &f) || f.code != CodeBadJSON {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := parsePackage([]byte(`{"tbs":"` + strings.Repeat("a", maxBody) + `"}`))
	if f := (*failure)(nil); !errors.As(err, &f) || f.code != CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
}

func TestOptionalFields(t *testing.T) {
	r, err := parseSign(fields{"tbs": "x", "nonce": absent, "keyidb64": absent, "withCardSN": absent, "withSigningTime": absent, "checkValidity": absent})
	if err != nil {
		t.Fatal(err)
	}
	if r.nonce != "" || r.keyID != nil || r.cardNumber || !r.signingTime || r.checkDates || r.hash != hashSHA256 || r.kind != SignPKCS7 {
		t.Errorf("absent fields were read: %+v", r)
	}
	f, err := parseFlat([]byte(`{"tbs":"x","withCardSN":true,"checkValidity":"TRUE","withSigningTime":false,"nonce":12}`))
	if err != nil {
		t.Fatal(err)
	}
	if r, err = parseSign(f); err != nil || !r.cardNumber || !r.checkDates || r.signingTime || r.nonce != "12" {
		t.Errorf("booleans as text or JSON: %+v, %v", r, err)
	}
	for _, v := range []string{"false", "", "1", "yes"} {
		if r, err = parseSign(fields{"tbs": "x", "withCardSN": v}); err != nil || r.cardNumber {
			t.Errorf("withCardSN %q counts as true", v)
		}
	}
}

func TestContentEncoding(t *testing.T) {
	for encoding, want := range map[string]string{"base64": "hi", "BASE64": "hi", "NONE": "aGk=", "": "aGk=", "hex": "aGk="} {
		r, err := parseSign(fields{"tbs": "aGk=", "tbsEncoding": encoding})
		if err != nil || string(r.content) != want {
			t.Errorf("tbsEncoding %q: %q, %v", encoding, r.content, err)
		}
	}
}

// A PIN does not come out of the type by any road that logs or answers use.
func TestPINHidden(t *testing.T) {
	pin := NewPIN([]byte(testPIN))
	b, err := json.Marshal(map[string]any{"pin": pin})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "pin", pin)
	all := string(b) + log.String() + fmt.Sprintf("%v %+v %#v %s %d %x %q", pin, pin, pin, pin, pin, pin, &pin)
	if strings.Contains(all, testPIN) || strings.Contains(all, "50 52") || strings.Contains(all, "323436") {
		t.Error("the PIN is readable in: " + all)
	}
	pin.Wipe()
	if strings.Trim(string(pin.Bytes()), "\x00") != "" {
		t.Error("the PIN is there after Wipe")
	}
}

// FuzzPackage: whatever is posted, the parser ends without a panic, and what it accepts means the same when
// it is written again in each of the other forms.
func FuzzPackage(f *testing.F) {
	for _, s := range []string{
		`{"tbs":"a","pin":"123456","withCardSN":true,"n":1.5,"z":null}`,
		`tbsPackage={"tbs":"a%2Bb+c&d"}`, "tbsPackage=%7B%22tbs%22%3A%22x%22%7D", "a=b&tbsPackage=%7b%7d", "{", "tbsPackage=", "%",
		`{"tbs":"\ud800","signatureType":"RAW"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parsePackage(body)
		if err != nil {
			return
		}
		text, err := json.Marshal(map[string]string(got))
		if err != nil {
			t.Fatal(err)
		}
		for _, again := range []string{string(text), url.Values{"tbsPackage": {string(text)}}.Encode(), "tbsPackage=" + component(string(text))} {
			back, err := parsePackage([]byte(again))
			if len(again) > maxBody {
				continue
			}
			if err != nil || fmt.Sprint(back) != fmt.Sprint(got) {
				t.Fatalf("%q: %v, not %v (%v)", again, back, got, err)
			}
		}
		if r, err := parseSign(got); err == nil && (len(r.content) == 0 || !r.hash.known()) {
			t.Fatalf("accepted without content or hash: %+v", got)
		}
	})
}
