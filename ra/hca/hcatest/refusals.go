package hcatest

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"certwindow/ra/hca"
	"certwindow/ra/hca/hcasim"
)

// testWrongAnswers: an answer that is not the HCA's answer to this request leaves the state unknown, says what is
// wrong with it, is kept, and does not hinder the truth from being learnt.
func testWrongAnswers(t *testing.T, b *bench) {
	for fault, kind := range map[hcasim.FaultKind]hca.ErrorKind{
		hcasim.FaultUnsigned:         hca.Unsigned,
		hcasim.FaultTampered:         hca.BadSignature,
		hcasim.FaultOtherSigner:      hca.UntrustedSigner,
		hcasim.FaultCardSigner:       hca.UntrustedSigner,
		hcasim.FaultOCSPSigner:       hca.UntrustedSigner,
		hcasim.FaultWrongTransaction: hca.WrongTransaction,
		hcasim.FaultWrongNonce:       hca.WrongNonce,
		hcasim.FaultGarbage:          hca.Undecodable,
		hcasim.FaultAnswerTwice:      hca.Undecodable,
		hcasim.FaultNoCertificate:    hca.Undecodable,
	} {
		t.Run(string(fault), func(t *testing.T) {
			key := NewKey(t)
			p := b.prepare(t, b.Enrolment(t, key, pkix.Name{}))
			b.fault(t, fault, 2)
			out, err := b.adapter.Send(context.Background(), p)
			wantError(t, kind, out, err)
			if len(out.Answer) == 0 {
				t.Error("the wrong answer is not kept")
			}
			out, err = b.adapter.Query(context.Background(), p)
			wantError(t, kind, out, err)
			out, err = hca.Settle(context.Background(), b.adapter, p, true)
			b.issued(t, key, want(t, hca.Issued, out, err))
		})
	}
}

// testWrongCertificates: a certificate, properly signed and sent, that is not what was asked for.
func testWrongCertificates(t *testing.T, b *bench) {
	for fault, reason := range map[hcasim.FaultKind]hca.MismatchReason{
		hcasim.FaultWrongKey:     hca.MismatchKey,
		hcasim.FaultWrongPerson:  hca.MismatchHolder,
		hcasim.FaultWrongIssuer:  hca.MismatchIssuer,
		hcasim.FaultWrongProfile: hca.MismatchProfile,
	} {
		t.Run(string(fault), func(t *testing.T) {
			key := NewKey(t)
			p := b.prepare(t, b.Enrolment(t, key, pkix.Name{}))
			b.fault(t, fault, 1)
			out, err := b.adapter.Send(context.Background(), p)
			want(t, hca.Issued, out, err)
			if err := hca.CheckCertificate(out.Certificates[0], b.Facts(t, key)); mismatchReason(err) != reason {
				t.Errorf("%v, want %s", err, reason)
			}
		})
	}
}

// testHCARefuses: what the HCA has to refuse comes back as a definite refusal (HCA-3.3, HCA-5.1.1).
func testHCARefuses(t *testing.T, b *bench) {
	institution, err := b.Server.IssueCard("測試醫院", "0101090517", hcasim.Institution)
	if err != nil {
		t.Fatal(err)
	}
	revoked, err := b.Server.IssueCard("王美麗", "1111222233334444", hcasim.Person)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Server.Revoke(revoked.Certificate.SerialNumber, 1); err != nil {
		t.Fatal(err)
	}
	used := NewKey(t)
	first := b.Enrolment(t, used, pkix.Name{})
	out, err := b.adapter.Send(context.Background(), b.prepare(t, first))
	mobile := &hcasim.Card{Key: used, Certificate: b.issued(t, used, want(t, hca.Issued, out, err))}

	for name, c := range map[string]struct {
		code   string
		change func(r *hca.Request)
	}{
		"institution card":   {"badIdentity", func(r *hca.Request) { r.Consent = b.SignEnrolment(t, institution, r.TransactionID) }},
		"revoked card":       {"badIdentity", func(r *hca.Request) { r.Consent = b.SignEnrolment(t, revoked, r.TransactionID) }},
		"mobile certificate": {"badIdentity", func(r *hca.Request) { r.Consent = b.SignEnrolment(t, mobile, r.TransactionID) }},
		"transaction id of another request": {"badRequest", func(r *hca.Request) {
			r.TransactionID, r.Consent = first.TransactionID, first.Consent
		}},
		"another application": {"badIdentity", func(r *hca.Request) { r.Consent = b.SignEnrolment(t, b.Card, "01ARZ3NDEKTSV4RRFFQ69G5FAV") }},
		"subject is another": {"badIdentity", func(r *hca.Request) {
			r.CSR = b.Enrolment(t, NewKey(t), pkix.Name{CommonName: "他人", SerialNumber: "9999999999999999"}).CSR
		}},
		"key certified before": {"noKeyReuse", func(r *hca.Request) { r.CSR = b.Enrolment(t, used, pkix.Name{}).CSR }},
	} {
		r := b.Enrolment(t, NewKey(t), pkix.Name{})
		c.change(&r)
		out, err := b.adapter.Send(context.Background(), b.prepare(t, r))
		if err != nil || out.State != hca.Refused || out.FailCode != c.code {
			t.Errorf("%s: %s %s, %v; want a refusal with %s", name, out.State, out.FailCode, err, c.code)
		}
	}
}

// testDedicated: HCA-3.1. Only an acknowledged certificate in force signs; a rollover loses nothing in flight.
func testDedicated(t *testing.T, b *bench) {
	key := NewKey(t)
	p := b.prepare(t, b.Enrolment(t, key, pkix.Name{}))
	b.fault(t, hcasim.FaultLoseAnswer, 1)
	out, err := b.adapter.Send(context.Background(), p)
	wantError(t, hca.Network, out, err)
	old, err := b.Signer.Dedicated(context.Background())
	if err != nil {
		t.Fatal(err)
	}

	// Another institution learns nothing of this one's transaction.
	b.Signer.Set(b.NewDedicated(t, "0101090518"))
	out, err = b.adapter.Query(context.Background(), p)
	want(t, hca.NotReceived, out, err)

	b.Signer.Set(b.NewDedicated(t, Institution))
	out, err = b.adapter.Query(context.Background(), p)
	b.issued(t, key, want(t, hca.Issued, out, err))

	// A card of the CA that was never acknowledged does not sign requests, and its query decides nothing.
	stranger := old
	stranger.Key, stranger.Certificate = b.Card.Key, b.Card.Certificate.Raw
	b.Signer.Set(stranger)
	out, err = b.adapter.Send(context.Background(), b.prepare(t, b.Enrolment(t, NewKey(t), pkix.Name{})))
	want(t, hca.Refused, out, err)
	out, err = b.adapter.Query(context.Background(), p)
	wantError(t, hca.QueryRefused, out, err)

	// A revoked one does not either.
	b.Signer.Set(old)
	cert, err := x509.ParseCertificate(old.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Server.Revoke(cert.SerialNumber, 1); err != nil {
		t.Fatal(err)
	}
	out, err = b.adapter.Send(context.Background(), b.prepare(t, b.Enrolment(t, NewKey(t), pkix.Name{})))
	want(t, hca.Refused, out, err)
}

// testMalformed: nothing that is not a request leaves the house.
func testMalformed(t *testing.T, b *bench) {
	_, _, cert := b.enrol(t)
	for name, change := range map[string]func(r *hca.Request){
		"no consent":          func(r *hca.Request) { r.Consent = nil },
		"consent not CMS":     func(r *hca.Request) { r.Consent = []byte("yes") },
		"consent tampered":    func(r *hca.Request) { r.Consent[len(r.Consent)-1] ^= 1 },
		"consent not bare":    func(r *hca.Request) { r.ConsentBare = true },
		"no CSR":              func(r *hca.Request) { r.CSR = nil },
		"CSR tampered":        func(r *hca.Request) { r.CSR[len(r.CSR)-1] ^= 1 },
		"CSR with more":       func(r *hca.Request) { r.CSR = append(r.CSR, 0) },
		"short nonce":         func(r *hca.Request) { r.SenderNonce = r.SenderNonce[:8] },
		"transaction no ULID": func(r *hca.Request) { r.TransactionID = "42" },
		"no kind":             func(r *hca.Request) { r.Kind = "" },
		"no time":             func(r *hca.Request) { r.RequestedAt = time.Time{} },
	} {
		r := b.Enrolment(t, NewKey(t), pkix.Name{})
		change(&r)
		if _, err := b.adapter.Prepare(context.Background(), r); hca.KindOf(err) != hca.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(r *hca.Request){
		"serial zero":    func(r *hca.Request) { r.Serial = new(big.Int) },
		"no issuer":      func(r *hca.Request) { r.Issuer = nil },
		"issuer no name": func(r *hca.Request) { r.Issuer = []byte{1, 2, 3} },
		"reason 7":       func(r *hca.Request) { r.Reason = 7 },
		"reason 8":       func(r *hca.Request) { r.Reason = 8 },
		"with a CSR":     func(r *hca.Request) { r.CSR = []byte{0x30, 0} },
	} {
		r := b.Revocation(t, cert, 1)
		change(&r)
		if _, err := b.adapter.Prepare(context.Background(), r); hca.KindOf(err) != hca.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := b.prepare(t, b.Revocation(t, cert, 1))
	p.Adapter = "pigeon"
	for _, send := range []func() (hca.Outcome, error){
		func() (hca.Outcome, error) { return b.adapter.Send(context.Background(), p) },
		func() (hca.Outcome, error) { return hca.Settle(context.Background(), b.adapter, p, true) },
	} {
		out, err := send()
		wantError(t, hca.BadRequest, out, err)
	}
}
