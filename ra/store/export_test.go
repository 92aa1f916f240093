package store

import (
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/custody"
	"certwindow/ra/intake"
	"certwindow/ra/settings"
)

// Models are the types that this package reads and writes its tables by.
func Models() []any {
	return []any{&ra.Application{}, &ra.Certificate{}, &holder{}, &nonce{}, &holderKey{}, &hcaRequest{}, &crl{}, &notice{}, &lease{}, &sweepRun{}, &intake.Import{}, &importLine{},
		&setting{}, &auditEvent{}, &auditHead{}, &phoneNews{}, &auditCheckpoint{}, &approve.Proposal{}, &settings.Row{}, &custody.Ceremony{}, &signatureAuthorisation{}, &signatureHash{},
		&apiClient{}, &oauthToken{}, &accessRequest{}, &bulkRow{}, &bulkItem{}}
}
