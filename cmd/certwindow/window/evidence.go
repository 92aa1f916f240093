package window

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/certpath"
	"certwindow/ra/consent"
	"certwindow/ra/evidence"
	"certwindow/ra/exchange"
	"certwindow/ra/store"
)

// Evidence writes the zip of one application that has come to an end, sealed with the dedicated certificate
// (HCA-3.3). It holds what the decision rested on, as it was stored when the decision was made.
func (w *Window) Evidence(ctx context.Context, actor ra.Actor, id ra.ApplicationID, out io.Writer) error {
	var a ra.Application
	var request exchange.Request
	var cert ra.Certificate
	err := w.Store.View(ctx, func(tx *store.Tx) (err error) {
		if a, err = tx.Application(actor.Institution, id); err != nil {
			return err
		}
		if a.ErasedAt != nil {
			return ra.Errorf(ra.KindConflict, "person-erased", nil, "The person's data was erased when its retention ended; the evidence with it.")
		}
		if a.State != ra.AppCompleted || a.Consent == nil {
			return ra.Errorf(ra.KindConflict, "no-evidence", nil, "Evidence exists of applications that a card signed and the HCA carried out.")
		}
		if cert, err = tx.Certificate("", *a.CertificateID); err != nil {
			return err
		}
		request, _, err = tx.Request(id)
		return err
	})
	if err != nil {
		return err
	}
	b, err := w.bundle(a, cert, request)
	if err != nil {
		return err
	}
	var zip bytes.Buffer
	if err := evidence.Write(&zip, b, w.Dedicated.Key(), w.Dedicated.Certificate().Raw); err != nil {
		return err
	}
	e := ra.Event{Actor: actor, Act: "evidence.export", Object: "application/" + string(id), Institution: a.Institution}
	if err := ra.Act[*store.Tx](ctx, w.Store, w.now(), e, func(*store.Tx, *ra.Event) error { return nil }); err != nil {
		return err
	}
	_, err = out.Write(zip.Bytes())
	return err
}

func (w *Window) bundle(a ra.Application, cert ra.Certificate, request exchange.Request) (evidence.Bundle, error) {
	var proof consent.Proof
	if err := json.Unmarshal(a.Proof, &proof); err != nil {
		return evidence.Bundle{}, err
	}
	b := evidence.Bundle{Application: a.ID, Nonce: a.Nonce, HolderOID: w.Config.Card.HolderOID, Bare: a.ConsentBare, Text: a.Text, Message: a.Consent,
		Certificates: proof.Path, HCARequest: request.Prepared.Bytes, HCAAnswer: request.Answer, SealedAt: w.now()}
	for _, r := range proof.Revocation {
		if r.Kind == certpath.EvidenceOCSP {
			b.OCSP = append(b.OCSP, r.DER)
		} else {
			b.CRLs = append(b.CRLs, r.DER)
		}
	}
	b.Purpose = cardmsg.PurposeRevocation
	if a.Kind == ra.Enrolment {
		b.Purpose, b.CSR, b.Issued = cardmsg.PurposeEnrolment, a.CSR, cert.DER
		b.Certificates = w.withIssuer(b.Certificates)
		if len(a.KeyProof) > 0 {
			b.Extra = append(b.Extra, evidence.File{Name: evidence.FileKey, Data: a.KeyProof})
		}
	}
	b.Decision = evidence.Decision{DecidedAt: proof.JudgedAt, Outcome: string(a.State), Clauses: notes(proof.Passed)}
	return b, nil
}

// withIssuer adds the issuing CAs that are not in the card's own path, since the mobile certificate may come
// from another generation.
func (w *Window) withIssuer(path [][]byte) [][]byte {
	for _, c := range w.trust.intermediates {
		known := false
		for _, p := range path {
			known = known || bytes.Equal(p, c.Raw)
		}
		if !known {
			path = append(path, c.Raw)
		}
	}
	return path
}

func notes(clauses []policy.Clause) (out []evidence.ClauseNote) {
	for _, c := range clauses {
		out = append(out, evidence.ClauseNote{Clause: c, Result: "passed"})
	}
	return out
}
