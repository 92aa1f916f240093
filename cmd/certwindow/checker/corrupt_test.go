package checker_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/certwindow/checker"
	"certwindow/ra"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// corruption is what somebody does to the database, and the finding that has to tell of it.
type corruption struct {
	do     string
	args   []any
	check  string
	object string
	says   string
}

func application(id ra.ApplicationID) string { return "application/" + string(id) }

// corruptions are one of each kind of thing that the checker is there to find.
func (h *house) corruptions(t testing.TB) map[string]corruption {
	t.Helper()
	live, hsm, gone, going := h.live, h.onHSM, h.revoked, h.revoking
	app, cert := application(live.ApplicationID), "certificate/"+string(live.ID)
	seal := func(column, id string, value []byte) []byte {
		v, err := storetest.Sealer().Seal(column+"/"+id, value)
		h.ok(t, err)
		return v
	}
	liveApp, hsmApp := h.Application(t, live.ApplicationID), h.Application(t, hsm.ApplicationID)
	setApp := func(set string) string {
		return fmt.Sprintf("UPDATE applications SET %s WHERE id = '%s'", set, live.ApplicationID)
	}
	setCert := func(set string, c ra.Certificate) string {
		return fmt.Sprintf("UPDATE certificates SET %s WHERE id = '%s'", set, c.ID)
	}
	setNonce := func(set string, a ra.Application) string {
		return fmt.Sprintf("UPDATE nonces SET %s WHERE hash = x'%x'", set, ra.NonceHash(a.Nonce))
	}
	another := seal("applications.consent", string(live.ApplicationID), hsmApp.Consent)
	otherText := seal("applications.text", string(live.ApplicationID), []byte(strings.Replace(string(liveApp.Text), "EMR-SIGN", "E-PRESCRIPTION", 1)))
	later := h.Clock.Now().UTC().Add(time.Hour)
	return map[string]corruption{
		"place given up":        {setApp("slot = NULL"), nil, checker.Slot, app, "holds no place"},
		"place of nobody":       {setApp("slot = 0"), nil, "", "", ""}, // the database forbids it
		"place kept":            {fmt.Sprintf("UPDATE applications SET slot = 5 WHERE id = '%s'", gone.ApplicationID), nil, checker.Slot, application(gone.ApplicationID), "over, and holds place 5"},
		"place beyond five":     {setApp("slot = 6"), nil, checker.Limit, "person/" + string(h.doctor), "6 is the number"},
		"place held twice":      {"DROP INDEX applications_slot; UPDATE applications SET slot = 1 WHERE slot = 2", nil, checker.Slot, "person/" + string(h.doctor), "held by 2"},
		"more than five":        {h.sixth(), nil, checker.Limit, "person/" + string(h.doctor), "6 certificates are valid or in flight"},
		"completed set back":    {setApp("state = 'sent'"), nil, checker.State, app, "was issued for it"},
		"state of nothing":      {setApp("state = 'perfect'"), nil, checker.State, app, "unknown state"},
		"signed set back":       {setApp("state = 'awaiting-signature'"), nil, checker.State, app, "waits for a signature that it has"},
		"certificate vanished":  {"DELETE FROM certificates WHERE id = '" + string(live.ID) + "'", nil, checker.State, app, "no certificate of it"},
		"vanished, log":         {"DELETE FROM certificates WHERE id = '" + string(live.ID) + "'", nil, checker.Row, app, "its certificate is there: false"},
		"application vanished":  {"DELETE FROM applications WHERE id = '" + string(h.waiting.ID) + "'", nil, checker.Row, application(h.waiting.ID), "not there"},
		"certificate orphaned":  {"DELETE FROM applications WHERE id = '" + string(live.ApplicationID) + "'", nil, checker.State, "certificates/" + string(live.ID), "gone"},
		"key orphaned":          {"DELETE FROM applications WHERE id = '" + string(hsm.ApplicationID) + "'", nil, checker.Key, "holder_keys/", "gone"},
		"request vanished":      {"DELETE FROM hca_requests WHERE transaction_id = '" + string(live.ApplicationID) + "'", nil, checker.State, app, "no request left"},
		"answer vanished":       {"UPDATE hca_requests SET answer = NULL WHERE transaction_id = '" + string(live.ApplicationID) + "'", nil, checker.State, app, "without an answer"},
		"revoked made live":     {setCert("state = 'live'", gone), nil, checker.State, "certificate/" + string(gone.ID), "a revocation of it was decided"},
		"revoking made live":    {setCert("state = 'live'", going), nil, checker.State, "certificate/" + string(going.ID), "a revocation of it was decided"},
		"revoked without time":  {setCert("revoked_at = NULL", gone), nil, checker.State, "certificate/" + string(gone.ID), "time of its revocation"},
		"live made revoked":     {setCert("state = 'revoked', revoked_at = created_at", live), nil, checker.Row, cert, "no row of the log says hca.revoked"},
		"live made expired":     {setCert("state = 'expired'", live), nil, checker.State, cert, "before its time"},
		"live made revoking":    {setCert("state = 'revoking'", live), nil, checker.State, cert, "no revocation of it is open"},
		"another serial":        {setCert("serial = 'abc'", live), nil, checker.Certificate, cert, "serial number"},
		"another issuer":        {setCert("issuer_key = 'abc'", live), nil, checker.Certificate, cert, "issuer"},
		"longer validity":       {setCert("not_after = ?", live), []any{live.NotAfter.UTC().AddDate(1, 0, 0)}, checker.Certificate, cert, "validity"},
		"another person's":      {setCert("person_id = 'x'", live), nil, checker.Certificate, cert, "person"},
		"sealed value edited":   {setCert("der = x'00'", live), nil, checker.Sealed, cert, "does not open"},
		"sealed value moved":    {setCert(fmt.Sprintf("der = (SELECT der FROM certificates WHERE id = '%s')", hsm.ID), live), nil, checker.Sealed, cert, "moved"},
		"another certificate":   {setCert("der = ?", live), []any{seal("certificates.der", string(live.ID), hsm.DER)}, checker.Certificate, cert, "not that of the request"},
		"another request":       {setApp("csr = ?"), []any{seal("applications.csr", string(live.ApplicationID), hsmApp.CSR)}, checker.Certificate, cert, "its key is not that of the request"},
		"no certificate at all": {setCert("der = ?", live), []any{seal("certificates.der", string(live.ID), []byte("x"))}, checker.Certificate, cert, "cannot be read"},
		"another text":          {setApp("text = ?"), []any{otherText}, checker.Consent, app, "does not hold"},
		"another signature":     {setApp("consent = ?"), []any{another}, checker.Consent, app, "does not hold"},
		"no proof":              {setApp("proof = ?"), []any{seal("applications.proof", string(live.ApplicationID), []byte("{}"))}, checker.Consent, app, "judged by"},
		"signature removed":     {setApp("consent = NULL"), nil, checker.State, app, "without a card's signature"},
		"signature removed too": {setApp("consent = NULL"), nil, checker.Row, app, "has no card's signature"},
		"mobile signed":         {h.cardAsMobile(), nil, checker.Consent, app, "in place of a card"},
		"nonce usable again":    {setNonce("redeemed_at = NULL", liveApp), nil, checker.Nonce, app, "redeemed: false"},
		"nonce redeemed late":   {setNonce("redeemed_at = ?", liveApp), []any{later}, checker.Nonce, fmt.Sprintf("nonce/%x", ra.NonceHash(liveApp.Nonce)), "had ended"},
		"nonce of another use":  {setNonce("purpose = 'revoke'", liveApp), nil, checker.Nonce, app, "another purpose"},
		"nonce lives longer":    {setNonce("expires_at = ?", liveApp), []any{later}, checker.Nonce, app, "does not end when"},
		"nonce removed":         {fmt.Sprintf("DELETE FROM nonces WHERE hash = x'%x'", ra.NonceHash(liveApp.Nonce)), nil, checker.Nonce, app, "never issued"},
		"nonce served twice":    {setApp("nonce = '" + hsmApp.Nonce + "'"), nil, checker.Nonce, "application/", "as well"},
		"key removed":           {"DELETE FROM holder_keys", nil, checker.Key, application(hsm.ApplicationID), "is not there"},
		"key kept":              {fmt.Sprintf("UPDATE certificates SET state = 'revoked', revoked_at = created_at WHERE id = '%s'", hsm.ID), nil, checker.Key, application(hsm.ApplicationID), "nobody may use"},
		"key of another":        {"UPDATE holder_keys SET person_id = 'x'", nil, checker.Key, application(hsm.ApplicationID), "another person's"},
		"key exchanged":         {"UPDATE holder_keys SET blob = x'00'", nil, checker.Key, application(hsm.ApplicationID), "does not vouch"},
		"key MAC changed":       {"UPDATE holder_keys SET mac = x'00'", nil, checker.Key, application(hsm.ApplicationID), "does not vouch"},
		"key made before":       {"UPDATE holder_keys SET created_at = ?", []any{later.AddDate(-1, 0, 0)}, checker.Key, application(hsm.ApplicationID), "before the application"},
		"device bound anew":     {"UPDATE devices SET generation = 2", nil, checker.Key, application(hsm.ApplicationID), "bound anew"},
		"log edited":            {"UPDATE audit_events SET actor = 'x' WHERE seq = 5", nil, checker.Chain, "audit", "row 5"},
		"log row removed":       {"DELETE FROM audit_events WHERE seq = 5", nil, checker.Chain, "audit", "row 6"},
		"log cut":               {"DELETE FROM audit_events WHERE seq > 10", nil, checker.Chain, "audit", "cut off"},
		"log emptied":           {"DELETE FROM audit_events", nil, checker.Chain, "audit", "cut off"},
		"log head removed":      {"DELETE FROM audit_head", nil, checker.Chain, "audit", "no head"},
		"head changed":          {"UPDATE audit_head SET hash = x'00'", nil, checker.Chain, "audit", "head"},
		"log cut and signed":    {"DELETE FROM audit_events WHERE seq > 10", nil, checker.Checkpoint, "audit", "was signed"},
		"checkpoint forged":     {"UPDATE audit_checkpoints SET signed = x'3000' WHERE seq > 0", nil, checker.Checkpoint, "audit", "signature"},
		"checkpoint moved":      {"UPDATE audit_checkpoints SET seq = 2 WHERE seq = 0", nil, checker.Checkpoint, "audit", "something else"},
		"act without row":       {"UPDATE audit_events SET object = 'x' WHERE act = 'enrol.begin'", nil, checker.Row, app, "no row of the log says enrol.begin"},
		"delivered without row": {"UPDATE audit_events SET object = 'x' WHERE act = 'certificate.deliver'", nil, checker.Row, cert, "certificate.deliver"},
		"lapsed without row":    {"UPDATE audit_events SET object = 'x' WHERE act = 'application.lapse'", nil, checker.Row, "application/", "application.lapse"},
		"cancelled without row": {"UPDATE audit_events SET object = 'x' WHERE act = 'enrol.cancel'", nil, checker.Row, "application/", "enrol.cancel"},
	}
}

// sixth makes copies of the signed application, which hold no place, until the person has six.
func (h *house) sixth() string {
	const columns = `kind, state, person_id, device_id, generation, device_key, institution, scope, key_design, carrier, algorithm, certificate_id, reason,
		ground, note, text, nonce, challenge, deadline, consent, consent_bare, proof, insertion, csr, key_proof, failure_code, failure_detail, created_by,
		created_at, updated_at`
	return fmt.Sprintf(`INSERT INTO applications (id, slot, %s) SELECT 'copy1', NULL, %[1]s FROM applications WHERE id = '%[2]s';
		INSERT INTO applications (id, slot, %[1]s) SELECT 'copy2', NULL, %[1]s FROM applications WHERE id = '%[2]s'`, columns, h.signed.ID)
}

// cardAsMobile says that the card that signed everything is a certificate of this window's own.
func (h *house) cardAsMobile() string {
	c := h.hca.Card.Certificate
	return fmt.Sprintf("UPDATE certificates SET serial = '%s', issuer_key = '%x' WHERE id = '%s'", c.SerialNumber.Text(16), c.AuthorityKeyId, h.onHSM.ID)
}

// HCA-3.3, HCA-5.1.1, HCA-6.3.5, HCA-7.5, HCA-8.1.4, HCA-8.1.6: whatever somebody does to the database, the checker
// names it.
func TestEachCorruptionIsFound(t *testing.T) {
	h := newHouse(t, storetest.SQLite(t), hcatest.NewWindow(t))
	if len(h.check(t)) != 0 {
		t.Fatalf("before anything was done: %+v", h.findings)
	}
	original := h.config.DB
	for name, c := range h.corruptions(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "copy.db")
			if _, err := original.Exec("VACUUM INTO ?", path); err != nil {
				t.Fatal(err)
			}
			db := storetest.Open(t, "sqlite:"+path)
			if err := corrupt(db, c); (err != nil) != (c.check == "") {
				t.Fatalf("the database says %v", err)
			}
			if c.check == "" {
				return
			}
			h.config.DB = db.SQL
			for _, f := range h.check(t) {
				if f.Check == c.check && strings.HasPrefix(f.Object, c.object) && strings.Contains(f.Detail, c.says) && f.Clause != "" {
					return
				}
			}
			t.Errorf("not found; instead: %+v", h.findings)
		})
	}
}

// corrupt does what the database's own keys would forbid.
func corrupt(db *store.DB, c corruption) error {
	conn, err := db.SQL.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(context.Background(), "PRAGMA foreign_keys = OFF"); err != nil {
		return err
	}
	_, err = conn.ExecContext(context.Background(), c.do, c.args...)
	return err
}

// HCA-7.5: HCA's leave for more than five is not a finding, and what was issued under it stays none when it ended.
func TestExemption(t *testing.T) {
	h := newHouse(t, storetest.SQLite(t), hcatest.NewWindow(t))
	h.exec(t, "UPDATE holders SET exempt_limit = 7, exempt_reply = '115-001', exempt_until = ?", h.Clock.Now().UTC().Add(-time.Hour))
	h.exec(t, h.sixth())
	for _, f := range h.check(t) {
		if f.Check == checker.Limit {
			t.Errorf("%+v", f)
		}
	}
	h.exec(t, "UPDATE holders SET exempt_reply = ''")
	limits := 0
	for _, f := range h.check(t) {
		if f.Check == checker.Limit {
			limits++
		}
	}
	if limits != 1 {
		t.Errorf("an exemption without HCA's reply: %d findings", limits)
	}
}
