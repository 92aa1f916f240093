package csc

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"certwindow/ra"
)

// The table of routes and the contract are the same list, and agree on which need a token.
func TestTableIsContract(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(contract)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]*openapi3.Operation{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			left[method+" "+path] = op
		}
	}
	for _, r := range routes {
		name := r.method + " " + strings.Replace(r.path, ":request", "{request}", 1)
		op := left[name]
		if op == nil {
			t.Errorf("%s is not in the contract", name)
			continue
		}
		delete(left, name)
		if public := op.Security != nil && len(*op.Security) == 0; public != (r.token == "") {
			t.Errorf("%s: public in the contract: %v", name, public)
		}
	}
	for name := range left {
		t.Errorf("%s is in the contract and not in the table", name)
	}
}

// FuzzDecode: no body makes the reader panic, and what is refused is refused as malformed.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"credentialID":"x","numSignatures":2,"hashes":["AA=="],"hashAlgorithmOID":"2.16.840.1.101.3.4.2.1","authData":[{"id":"phone"}],"documents":[{"title":"a"}]}`,
		`{"numSignatures":null}`, `{"a":{"a":{"a":{"a":{}}}}}`, `{"hashes":{}}`, "[]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var b authorizeRequest
		if err := decode(body, &b); err != nil && ra.KindOf(err) != ra.KindMalformed {
			t.Errorf("%q: %v", body, err)
		}
	})
}

// FuzzDetails: the same for what stands in an address.
func FuzzDetails(f *testing.F) {
	f.Add(`[{"type":"credential","credentialID":"x","documentDigests":[{"hash":"AA==","label":"a"}],"hashAlgorithmOID":"2.16.840.1.101.3.4.2.1"}]`)
	f.Add(`[]},"list":[{"type":"credential"}]`)
	f.Add(`[{"type":"credential"},{"type":"credential"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		b, err := readDetails(text)
		if err != nil && ra.KindOf(err) != ra.KindMalformed {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil && (b.NumSignatures == nil || *b.NumSignatures != len(b.Hashes)) {
			t.Errorf("%q: %+v", text, b)
		}
	})
}

// RFC 4514 section 2.1: the parts of a name stand in the reverse of the certificate's order, whatever that is, and what a
// value must escape is escaped (section 11.4).
func TestNamesKeepTheirOrder(t *testing.T) {
	name := pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "王小明, Dr."}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 5}, Value: "0000"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "TW"}}}
	der, err := asn1.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := nameOf(der); err != nil || got != `C=TW,SERIALNUMBER=0000,CN=王小明\, Dr.` {
		t.Errorf("%s %v", got, err)
	}
	if _, err := nameOf(der[:len(der)-1]); err == nil {
		t.Error("a name that is cut")
	}
}
