package checker_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/adopt"
	"certwindow/ra/certpath"
	"certwindow/ra/hca/hcasim"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// onlyDoctor is a register of one person with one device.
type onlyDoctor struct{ h *house }

func (o onlyDoctor) PersonBy(context.Context, ra.Actor, string) (ra.PersonID, string, bool, error) {
	return o.h.doctor, o.h.hca.Card.Certificate.Subject.CommonName, true, nil
}

func (o onlyDoctor) DeviceBy(context.Context, ra.Actor, string, ra.PersonID) (ra.DeviceID, ra.InstitutionCode, bool, error) {
	return o.h.phone.ID, storetest.Window, true, nil
}

// HCA-3.3, HCA-7.5: a certificate that was taken over has no consent and no request, and is in order; one that nobody took
// over by the rules, that has a request, or that lost its place is found.
func TestTakenOverCertificates(t *testing.T) {
	sim := hcatest.NewWindow(t)
	subject := sim.Card.Certificate.Subject
	old, err := sim.Server.IssueCard(subject.CommonName, subject.SerialNumber, hcasim.Person)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db, sim)
		rows := adopt.New(store.AdoptStore{Store: h.Store}, onlyDoctor{h}, adopt.Config{Issuers: [][]byte{sim.Server.CA().Raw}, MaxValidity: 20 * 366 * 24 * time.Hour,
			Most: policy.Always(policy.MaxValidCertificates), IsCard: func(*certpath.Certificate) bool { return false },
			Revoked: func(ra.Certificate) (bool, error) { return false, nil }}, h.Clock.Now, rand.Reader)
		row := map[string]string{"certificate": base64.StdEncoding.EncodeToString(old.Certificate.Raw), "scope": "EMR-SIGN", "key": "app"}
		_, _, err := rows.Apply(context.Background(), h.clerk, storetest.Window, row)
		h.ok(t, err)
		for _, f := range h.check(t) {
			t.Errorf("%+v", f)
		}
		for name, harm := range map[string][2]string{
			"without a place":  {"UPDATE applications SET slot = NULL WHERE kind = 'adoption'", "UPDATE applications SET slot = 5 WHERE kind = 'adoption'"},
			"without a result": {"UPDATE applications SET state = 'sent' WHERE kind = 'adoption'", "UPDATE applications SET state = 'completed' WHERE kind = 'adoption'"},
			"with a request":   {"UPDATE applications SET csr = 'x' WHERE kind = 'adoption'", "UPDATE applications SET csr = NULL WHERE kind = 'adoption'"},
		} {
			h.exec(t, harm[0])
			if len(h.check(t)) == 0 {
				t.Errorf("%s: nothing was found", name)
			}
			h.exec(t, harm[1])
		}
	})
}
