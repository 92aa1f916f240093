package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"certwindow/devices/attest/attesttest"
	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/cms"
	"certwindow/ra/csr"
	"certwindow/ra/evidence"
	"certwindow/ra/hca/cmc"
)

// keyEvidence is the evidence of an enrolment whose key was attested as a maker says.
func (b messageBench) keyEvidence(t *testing.T, window *cardtest.Card, attested func(public crypto.PublicKey, challenge []byte) *ra.Attestation) []byte {
	t.Helper()
	text, err := cardmsg.Enrolment{Application: "01JD8Z0000000000000000000A", Nonce: judgedNonce, Issued: judged.Add(-time.Minute), Expires: judged.Add(time.Minute),
		Window: "0101090517", Institution: "0101090517", Holder: "0000000112345678", Name: "王小明", Device: "TABLET-7", DeviceKey: [32]byte{1}, Carrier: ra.CarrierDevice,
		Scope: []string{"EMR-SIGN"}, Key: ra.KeyApp}.Text()
	noErr(t, err)
	message := b.card.Sign(t, text, judged, judgedNonce)
	u, err := cardmsg.Decode(message)
	noErr(t, err)
	v, err := u.Verify(context.Background(), cardmsg.Options{Path: b.pki.Path(t, judged, b.card), Content: text, Nonce: judgedNonce})
	noErr(t, err)
	key, challenge := b.pki.NewKey(t, false), bytes.Repeat([]byte{7}, 32)
	request, err := csr.Make(key, pkix.Name{CommonName: "王小明"}, challenge)
	noErr(t, err)
	mobile := b.pki.Card(t, cardtest.CardOptions{Key: key}).Cert.Raw
	answer, err := cms.CertsOnly([][]byte{mobile, b.pki.CA.Cert.Raw})
	noErr(t, err)
	asked, err := (&cmc.PKIData{Messages: []cmc.Part{{ID: 2, DER: message}}, CSRs: []cmc.Part{{ID: 1, DER: request}}}).Marshal()
	noErr(t, err)
	made, err := json.Marshal(map[string]any{"kind": "proved", "made_at": judged, "attested": ra.Attested{Format: ra.AttestAndroid}, "proof": attested(key.Public(), challenge),
		"package": "tw.example.app", "digests": []string{hex.EncodeToString(make([]byte, 32)), "ABCDE12345.tw.example.app"}})
	noErr(t, err)
	bundle := evidence.Bundle{Purpose: cardmsg.PurposeEnrolment, Application: "01JD8Z0000000000000000000A", Nonce: judgedNonce, CSR: request,
		HCARequest: window.SignWith(t, asked, cms.SignOptions{ContentType: cms.OIDPKIData, SigningTime: judged}), HCAAnswer: answer, Issued: mobile,
		Decision: evidence.Decision{DecidedAt: judged, Outcome: "allowed"}, Extra: []evidence.File{{Name: evidence.FileKey, Data: made}}, SealedAt: judged}
	bundle.Adopt(v)
	var zip bytes.Buffer
	noErr(t, evidence.Write(&zip, bundle, window.Key, window.Cert.Raw))
	return zip.Bytes()
}

func noErr(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// HCA-3.3, HCA-6.0, HCA-6.1, HCA-6.2: what a key's attestation proved is judged again under the roots and lists that are given;
// what they do not cover is shown and not judged, and what they refuse is no evidence.
func TestVerifyEvidenceOfKeys(t *testing.T) {
	b := newMessageBench(t)
	window := b.pki.Card(t, cardtest.CardOptions{EC: true})
	b.put(t, "window.pem", cardtest.PEM(window.Cert))
	vendor, stranger := attesttest.New(t, judged), attesttest.New(t, judged)
	ours := attesttest.Key{Package: "tw.example.app", Digest: make([]byte, 32)}
	android := func(v *attesttest.Vendor, k attesttest.Key) func(crypto.PublicKey, []byte) *ra.Attestation {
		return func(public crypto.PublicKey, challenge []byte) *ra.Attestation {
			return v.Android(t, public, challenge, k)
		}
	}
	b.put(t, "android.zip", b.keyEvidence(t, window, android(vendor, ours)))
	b.put(t, "software.zip", b.keyEvidence(t, window, android(vendor, attesttest.Key{Package: ours.Package, Digest: ours.Digest, Software: true})))
	b.put(t, "foreign.zip", b.keyEvidence(t, window, android(stranger, ours)))
	b.put(t, "chip.zip", b.keyEvidence(t, window, func(public crypto.PublicKey, challenge []byte) *ra.Attestation {
		return vendor.Chip(t, public, challenge)
	}))
	b.put(t, "apple.zip", b.keyEvidence(t, window, func(public crypto.PublicKey, challenge []byte) *ra.Attestation {
		return vendor.Apple(t, ra.ClientData(challenge, challenge), attesttest.App{ID: "ABCDE12345.tw.example.app"})
	}))
	roots, status, chips := vendor.Files(t)
	vendor.Revoke()
	_, revoked, _ := vendor.Files(t)
	b.put(t, "roots.json", roots)
	b.put(t, "status.json", status)
	b.put(t, "revoked.json", revoked)
	b.put(t, "chips.json", chips)
	phones := []string{"--android-roots", b.path("roots.json"), "--android-status", b.path("status.json")}
	for _, c := range []struct {
		name, zip string
		more      []string
		code      int
		judged    bool
		reason    string
	}{
		{"a phone's", "android.zip", phones, exitYes, true, ""},
		{"a phone's, nothing to judge by", "android.zip", nil, exitYes, false, ""},
		{"a phone's, judged by what is not its own", "android.zip", []string{"--chips", b.path("chips.json"), "--apple"}, exitYes, false, ""},
		{"a phone's, revoked since", "android.zip", []string{phones[0], phones[1], phones[2], b.path("revoked.json")}, exitNo, false, "status list"},
		{"kept by software", "software.zip", phones, exitNo, false, "SOFTWARE"},
		{"another vendor's", "foreign.zip", phones, exitNo, false, "known root"},
		{"a chip's", "chip.zip", []string{"--chips", b.path("chips.json")}, exitYes, true, ""},
		{"a chip's, nothing to judge by", "chip.zip", phones, exitYes, false, ""},
		{"an iPhone's, nothing to judge by", "apple.zip", phones, exitYes, false, ""},
		{"an iPhone's that Apple never saw", "apple.zip", []string{"--apple"}, exitNo, false, "attestation"},
		{"no list of chips", "chip.zip", []string{"--chips", b.path("empty")}, exitNo, false, "chips"},
		{"no roots", "android.zip", []string{phones[0], b.path("empty"), phones[2], phones[3]}, exitNo, false, "roots"},
		{"no list", "android.zip", []string{phones[0], phones[1], phones[2], b.path("empty")}, exitNo, false, "status list"},
		{"roots without the list", "android.zip", phones[:2], exitUsage, false, ""},
		{"the list without roots", "android.zip", phones[2:], exitUsage, false, ""},
		{"a path that is none", "android.zip", []string{"--chips", b.path("is not there")}, exitUsage, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, answer := run(t, append([]string{"verify", "evidence", "--in", b.path(c.zip), "--anchors", b.path("root.pem"), "--window-cert", b.path("window.pem"), "--json"}, c.more...))
			if code != c.code {
				t.Fatalf("exit %d, %v", code, answer)
			}
			if reason, _ := answer["reason"].(string); code == exitNo && !strings.Contains(reason, c.reason) {
				t.Errorf("%q", reason)
			}
			if code != exitYes {
				return
			}
			report, _ := answer["evidence"].(map[string]any)
			if key, _ := report["key"].(map[string]any); key["tie"] != "proved" || key["judged"] != c.judged {
				t.Errorf("%v", report["key"])
			}
		})
	}
}
