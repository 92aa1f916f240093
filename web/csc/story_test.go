package csc_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
	"certwindow/ra/store"
)

// refusals counts the rows of refused acts in the audit log.
func (x *ward) refusals(act string) (n int) {
	x.t.Helper()
	err := x.w.Store.View(x.t.Context(), func(tx *store.Tx) error {
		rows, err := tx.AuditRows(store.AuditQuery{Act: act, Outcome: ra.OutcomeRefused, Limit: 200})
		n = len(rows)
		return err
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return n
}

// HCA-6.3.5: a record system asks under its own name, the holder's phone releases, and the system gets the signatures,
// each once; nobody else gets any.
func TestHospitalSystemAsksAndThePhoneReleases(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	token := x.token(x.his, "his")
	var list struct {
		IDs   []string `json:"credentialIDs"`
		Infos []struct {
			SCAL string
			Cert struct{ Status, SerialNumber string }
		} `json:"credentialInfos"`
	}
	x.call(x.his, token, "credentials/list", map[string]any{"userID": "doctor", "credentialInfo": true, "certInfo": true, "certificates": "chain"}).into(t, &list)
	if len(list.IDs) != 1 || list.IDs[0] != string(x.cert.ID) || list.Infos[0].SCAL != "2" || list.Infos[0].Cert.Status != "valid" {
		t.Fatalf("%+v", list)
	}
	handle := x.ask(token, 2)
	if a := x.call(x.his, token, "credentials/authorizeCheck", map[string]string{"handle": handle}); a.status != http.StatusAccepted || strings.Contains(a.body, "SAD") {
		t.Fatalf("before the release: %d %s", a.status, a.body)
	}
	x.release()
	s := x.check(token, handle)
	if s.Progress.Signed != 2 || len(s.Ready) != 2 {
		t.Fatalf("%+v", s)
	}
	before := x.refusals("sign.collect")
	other := x.w.NewSystem(t)
	x.w.RegisterSystem(t, "other", other)
	theirs := x.token(other, "other")
	x.call(other, theirs, "signatures/signHash", x.signing(s.SAD, hashes(1))).want(t, "another system", 400, "invalid_request", "Invalid parameter SAD")
	x.call(other, theirs, "credentials/authorizeCheck", map[string]string{"handle": handle}).want(t, "another system's handle", 400, "invalid_request", "Invalid parameter handle")
	x.call(x.his, token, "signatures/signHash", x.signing(s.SAD[:42]+"_", hashes(1))).want(t, "another SAD", 400, "invalid_request", "Invalid parameter SAD")
	x.call(x.his, token, "signatures/signHash", x.signing(s.SAD, hashes(3)[2:])).want(t, "another hash", 400, "invalid_request", "HCA-6.3.5: Hash is not authorized by the SAD")
	if got := x.refusals("sign.collect") - before; got != 3 {
		t.Errorf("%d rows of refusals, 3 are due", got)
	}
	var got struct{ Signatures [][]byte }
	x.call(x.his, token, "signatures/signHash", x.signing(s.SAD, hashes(2))).into(t, &got)
	cert, err := x509.ParseCertificate(x.cert.DER)
	if err != nil {
		t.Fatal(err)
	}
	for i, sig := range got.Signatures {
		if !ecdsa.VerifyASN1(cert.PublicKey.(*ecdsa.PublicKey), hash(i), sig) {
			t.Errorf("signature %d does not verify", i)
		}
	}
	if len(got.Signatures) != 2 {
		t.Fatalf("%d signatures", len(got.Signatures))
	}
	x.call(x.his, token, "signatures/signHash", x.signing(s.SAD, hashes(1))).want(t, "a second time", 400, "invalid_request", "HCA-6.3.5")
}

// HCA-6.3.5, HCA-8.1.6, RFC 8705 section 3: a token is good in the hands of the certificate that fetched it, and no other's; stopped, nobody's.
func TestTokenOfAnotherCertificate(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	token := x.token(x.his, "his")
	other := x.w.NewSystem(t)
	x.w.RegisterSystem(t, "other", other)
	list := map[string]string{"userID": "doctor"}
	x.call(other, token, "credentials/list", list).want(t, "another registered system", 401, "invalid_token", "")
	x.call(x.w.NewSystem(t), token, "credentials/list", list).want(t, "a stranger", 401, "invalid_token", "")
	x.call(x.his, "", "credentials/list", list).want(t, "no token", 401, "invalid_token", "")
	if n := x.refusals("oauth.use"); n != 2 {
		t.Errorf("%d rows of a token in wrong hands", n)
	}
	x.form(other, "/oauth2/token", map[string][]string{"grant_type": {"client_credentials"}, "client_id": {"his"}}).want(t, "in another's name", 401, "invalid_client", "")
	if a := x.call(x.his, token, "credentials/list", list); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := x.call(x.his, token, "auth/revoke", map[string]string{"token": token}); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	x.call(x.his, token, "credentials/list", list).want(t, "revoked", 401, "expired_token", "")
	late := x.token(x.his, "his")
	x.w.Pass(11 * time.Minute)
	x.call(x.his, late, "credentials/list", list).want(t, "expired", 401, "expired_token", "")
	last := x.token(x.his, "his")
	if err := x.w.Systems.Stop(t.Context(), phonetest.Clerk, "his"); err != nil {
		t.Fatal(err)
	}
	x.call(x.his, last, "credentials/list", list).want(t, "stopped", 401, "expired_token", "")
	x.form(x.his, "/oauth2/token", map[string][]string{"grant_type": {"client_credentials"}, "client_id": {"his"}}).want(t, "a stopped system", 401, "invalid_client", "")
}

// HCA-7.2: a certificate that is revoked in the middle of a batch of 200 stops the rest, and the system collects what was
// signed before.
func TestBatchRevokedInTheMiddle(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	token := x.token(x.his, "his")
	handle := x.ask(token, 200)
	// Somebody suspends the certificate while the second of four chunks is being committed.
	if err := x.w.DB.Gorm.Exec(`CREATE TRIGGER midway AFTER UPDATE ON signature_hashes WHEN NEW.n = 60 AND NEW.state = 'signed'
		BEGIN UPDATE certificates SET state = 'suspended'; END`).Error; err != nil {
		t.Fatal(err)
	}
	list, err := x.phone.Pending(t.Context(), string(x.cert.ID))
	if err != nil {
		t.Fatal(err)
	}
	out, err := x.phone.Release(t.Context(), list[0])
	if err != nil {
		t.Fatal(err)
	}
	s := x.check(token, handle)
	if s.Progress.Signed != 100 || s.Progress.Refused != 100 || len(s.Ready) != 100 || out.Stopped == nil {
		t.Fatalf("%+v %+v", s.Progress, out.Stopped)
	}
	if a := x.call(x.his, token, "signatures/signHash", x.signing(s.SAD, hashes(100))); a.status != http.StatusOK {
		t.Errorf("what was signed before: %d %s", a.status, a.body)
	}
	x.call(x.his, token, "signatures/signHash", x.signing(s.SAD, hashes(101)[100:])).want(t, "what was stopped", 400, "invalid_request", "HCA-7.2")
}
