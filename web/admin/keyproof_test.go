package admin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/store"
	"certwindow/web/session"
)

// HCA-6.0: who looks at an application or a certificate is told whether where its key is kept was proved by the platform, is
// only declared by the app, or is the window's own HSM; of a key that nothing is known of nothing is said.
func TestKeyProofIsShown(t *testing.T) {
	h := build(t)
	p := h.person("王小明", "A123456789", "000000A123456789", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	id := h.certificate(p, d, ownCode, ra.CertLive)
	b := h.signIn(session.Clerk)
	proved := &ra.Attested{Format: ra.AttestAndroid, Level: "strongbox", App: "tw.example.app"}
	for _, c := range []struct {
		proof enrol.KeyProof
		say   string
	}{{enrol.KeyProof{}, ""}, {enrol.KeyProof{Kind: enrol.KindDeclared}, "由應用程式聲明"}, {enrol.KeyProof{Kind: enrol.KindProved, Attested: proved}, "由平台證明"},
		{enrol.KeyProof{Kind: enrol.KindHSM}, "於服務窗口的 HSM 產製並保存"}} {
		c.proof.MadeAt = time.Now()
		var application ra.ApplicationID
		h.ok(h.store.Update(t.Context(), func(tx *store.Tx) error {
			cert, err := tx.Certificate("", id)
			if err != nil {
				return err
			}
			a, err := tx.Application("", cert.ApplicationID)
			if err != nil {
				return err
			}
			application = a.ID
			if a.KeyProof, err = json.Marshal(c.proof); err != nil {
				return err
			}
			return tx.UpdateApplication(a, a.State)
		}))
		for _, path := range []string{"/certificates/" + string(id), "/applications/" + string(application)} {
			rec := b.get(path)
			body := rec.Body.String()
			if rec.Code != 200 || strings.Contains(body, "金鑰保存位置") != (c.say != "") || !strings.Contains(body, c.say) ||
				strings.Contains(body, "strongbox") != (c.proof.Attested != nil) {
				t.Errorf("%s of %q: %d\n%s", path, c.proof.Kind, rec.Code, body)
			}
		}
	}
}
