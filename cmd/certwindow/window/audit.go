package window

import (
	"context"
	"errors"
	"io"
	"strconv"

	"certwindow/ra"
	"certwindow/ra/audit"
	"certwindow/ra/certpath"
	"certwindow/ra/store"
)

// SigningCertificates are the certificates of the file hca.dedicated: the present dedicated certificate, and after
// it those that it replaced, whose signatures under the audit log stay good.
func (w *Window) SigningCertificates() ([]*certpath.Certificate, error) {
	return w.certificates("hca.dedicated", w.Config.HCA.Dedicated)
}

func (w *Window) notary() (*audit.Notary, error) {
	if !w.Dedicated.KeyMatches() {
		return nil, errors.New("HCA-3.1: the dedicated certificate is not of the key in the token; configure the pair that belongs together")
	}
	certs, err := w.SigningCertificates()
	if err != nil {
		return nil, err
	}
	signer := audit.Signer{Key: w.Dedicated.Key(), Certificate: w.Dedicated.Certificate().Raw, Window: w.Config.Window.Institution}
	return audit.NewNotary(store.AuditLog{Store: w.Store}, signer, certs, w.now), nil
}

// Checkpoint signs the audit log as it stands, unless it does not hold together (HCA-8.1.6).
func (w *Window) Checkpoint(ctx context.Context) (audit.Saved, error) {
	n, err := w.notary()
	if err != nil {
		return audit.Saved{}, err
	}
	s, err := n.Checkpoint(ctx)
	if err != nil && ctx.Err() == nil {
		w.Log.Error("the audit log was not signed: run certwindow check", "clause", "HCA-8.1.6", "cause", err.Error())
	}
	return s, err
}

// ExportAudit writes the audit log from a row on, as certwindow verify audit reads it. That it was exported is in
// the log, and in the export.
func (w *Window) ExportAudit(ctx context.Context, actor ra.Actor, from int64, out io.Writer) (audit.Exported, error) {
	n, err := w.notary()
	if err != nil {
		return audit.Exported{}, err
	}
	e := ra.Event{Actor: actor, Act: "audit.export", Object: "audit", Institution: ra.InstitutionCode(w.Config.Window.Institution), Clause: "HCA-8.1.6",
		Details: map[string]string{"from": strconv.FormatInt(from, 10)}}
	if err := ra.Act[*store.Tx](ctx, w.Store, w.now(), e, func(*store.Tx, *ra.Event) error { return nil }); err != nil {
		return audit.Exported{}, err
	}
	return n.Export(ctx, out, from)
}
