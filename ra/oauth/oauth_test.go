package oauth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/oauth"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// RFC 7636: a request without a challenge is not begun; a code is worth nothing without its verifier, the challenge itself
// is none (S256 alone), and one wrong try uses the code up.
func TestPKCE(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		for _, c := range []string{"", "short", strings.Repeat("a", 44), verifier + "="} {
			a := w.asked(oauth.Service)
			a.Challenge = c
			_, _, err := w.a.Begin(ctx, system, a)
			w.refused("challenge "+c, err, "invalid_request")
		}
		for _, wrong := range []string{strings.Repeat("b", 43), challenge(verifier), verifier[:42], verifier + "k", ""} {
			code := w.code(oauth.Service)
			_, err := w.b.ForCode(ctx, system, w.his, code, back, wrong)
			w.refused("verifier "+wrong, err, "invalid_grant")
			_, err = w.a.ForCode(ctx, system, w.his, code, back, verifier)
			if len(wrong) == 43 && err == nil {
				t.Errorf("%s: the code is good after a wrong verifier", wrong)
			}
		}
		if n := w.rows("oauth.token", ra.OutcomeRefused); n == 0 {
			t.Error("no row of a wrong verifier")
		}
	})
}

// RFC 6749 section 3.1.2.3 and RFC 9700 section 4.1.3: addresses are compared whole, when the request begins and when its code
// is exchanged.
func TestRedirectIsTheRegisteredOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		for _, to := range []string{"", back + "/", "https://his.example/back", "HTTPS://his.example/back?tenant=1", back + "&x=1", "https://evil.example/", back + "#"} {
			a := w.asked(oauth.Service)
			a.Redirect = to
			_, _, err := w.a.Begin(ctx, system, a)
			w.refused(to, err, "invalid_request")
		}
		for _, to := range []string{"https://his.example/other", "", back + "/"} {
			_, err := w.a.ForCode(ctx, system, w.his, w.code(oauth.Service), to, verifier)
			w.refused("exchanged for "+to, err, "invalid_grant")
		}
	})
}

// RFC 6749 section 4.1.2: a code is used once, in its minute, by its own system; a second use ends what came of it, on
// every replica.
func TestCodeIsUsedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		code := w.code(oauth.Credential)
		g, err := w.a.ForCode(ctx, system, w.his, code, back, verifier)
		w.must(err)
		p, err := w.b.Authenticate(ctx, system, g.Access, w.shown)
		if w.must(err); p.Token.Scope != oauth.Credential || p.CredentialOf() == "" || p.Token.Person != w.doctor || p.Client.ID != "his" {
			t.Fatalf("%+v", p.Token)
		}
		if a, err := w.b.Release(ctx, p.Token); err != nil || a.Certificate != w.cert.ID || len(a.Items) != 1 {
			t.Errorf("%+v %v", a, err)
		}
		_, err = w.b.ForCode(ctx, system, w.his, code, back, verifier)
		w.refused("again", err, "invalid_grant")
		_, err = w.a.Authenticate(ctx, system, g.Access, w.shown)
		w.refused("what came of it", err, "expired_token")
		if n := w.rows("oauth.reuse", ra.OutcomeDone); n != 1 {
			t.Errorf("%d rows of the reuse", n)
		}

		other := w.register("other", w.certificate())
		code = w.code(oauth.Service)
		_, err = w.a.ForCode(ctx, system, other, code, back, verifier)
		w.refused("another system", err, "invalid_grant")
		w.Clock.Advance(oauth.CodeLife)
		_, err = w.a.ForCode(ctx, system, w.his, code, back, verifier)
		w.refused("late", err, "invalid_grant")
		_, err = w.a.ForCode(ctx, system, w.his, strings.Repeat("A", 43), back, verifier)
		w.refused("a guess", err, "invalid_grant")
		_, err = w.a.Authenticate(ctx, system, code, w.shown)
		w.refused("a code as a token", err, "invalid_token")
	})
}

// Of many who use one code at once on both replicas at most one gets a token, and it is good for nothing once the others
// were there.
func TestCodeIsUsedOnceAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		for round := range 5 {
			code := w.code(oauth.Service)
			var got []string
			var mu sync.Mutex
			var all sync.WaitGroup
			for i := range 6 {
				all.Go(func() {
					s := w.a
					if i%2 == 1 {
						s = w.b
					}
					if g, err := s.ForCode(ctx, system, w.his, code, back, verifier); err == nil {
						mu.Lock()
						got = append(got, g.Access)
						mu.Unlock()
					}
				})
			}
			all.Wait()
			if len(got) > 1 {
				t.Fatalf("round %d: %d tokens of one code", round, len(got))
			}
			for _, access := range got {
				if _, err := w.a.Authenticate(ctx, system, access, w.shown); err == nil {
					t.Error("a token is good although its code was used again")
				}
			}
		}
	})
}

// RFC 8705 section 3: a token is good under the certificate that fetched it alone, even where the system has a new one.
func TestTokenIsBoundToItsCertificate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		g, err := w.a.ForClient(ctx, system, w.his, "")
		w.must(err)
		if g.Scope != oauth.Service || g.ExpiresIn != oauth.ServiceLife || g.Token.Person != "" {
			t.Errorf("%+v", g.Token)
		}
		_, err = w.b.Authenticate(ctx, system, g.Access, w.shown)
		w.must(err)
		stranger, others := w.certificate(), w.certificate()
		w.register("other", others)
		_, err = w.b.Authenticate(ctx, system, g.Access, stranger)
		w.refused("a stranger", err, "invalid_token")
		_, err = w.b.Authenticate(ctx, system, g.Access, others)
		w.refused("another system", err, "invalid_token")
		_, err = w.b.Authenticate(ctx, system, g.Access, nil)
		w.refused("none", err, "invalid_token")
		if n := w.rows("oauth.use", ra.OutcomeRefused); n != 3 {
			t.Errorf("%d rows of a token in wrong hands, 3 are due", n)
		}
		renewed := w.certificate()
		// An edited register does not move a token to another certificate.
		w.must(w.DB.Gorm.Exec("UPDATE api_clients SET thumbprint = ? WHERE id = 'his'", apiclient.Thumbprint(renewed.Raw)).Error)
		_, err = w.a.Authenticate(ctx, system, g.Access, renewed)
		w.refused("a certificate that was put in its place", err, "invalid_token")
		w.register("his", renewed)
		_, err = w.a.Authenticate(ctx, system, g.Access, renewed)
		w.refused("the new certificate", err, "expired_token")
		_, err = w.a.Authenticate(ctx, system, g.Access, w.shown)
		w.refused("the old one", err, "expired_token")
		_, err = w.a.ForClient(ctx, system, w.his, oauth.Credential)
		w.refused("a holder's scope", err, "invalid_scope")
		_, err = w.a.ForClient(ctx, system, w.his, "service credential")
		w.refused("both", err, "invalid_scope")
	})
}

// HCA-8.1.6: a system that is stopped, or whose institution is, has nothing any more, at once and on both replicas.
func TestStoppedSystemHasNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		g, err := w.a.ForClient(ctx, system, w.his, oauth.Service)
		w.must(err)
		code := w.code(oauth.Service)
		w.Register.Institution(storetest.Window, func(i *ra.InstitutionFacts) { i.Active = false })
		for _, s := range []*oauth.Server{w.a, w.b} {
			_, err = s.Authenticate(ctx, system, g.Access, w.shown)
			w.refused("of a suspended institution", err, "invalid_token")
		}
		w.Register.Institution(storetest.Window, func(i *ra.InstitutionFacts) { i.Active = true })
		_, err = w.b.Authenticate(ctx, system, g.Access, w.shown)
		w.must(err)
		w.must(w.systems.Stop(ctx, ra.Actor{Kind: ra.ActorStaff, ID: "admin"}, "his"))
		for _, s := range []*oauth.Server{w.a, w.b} {
			_, err = s.Authenticate(ctx, system, g.Access, w.shown)
			w.refused("its token", err, "expired_token")
			_, err = s.ForCode(ctx, system, w.his, code, back, verifier)
			w.refused("its code", err, "invalid_grant")
			_, _, err = s.Begin(ctx, system, w.asked(oauth.Service))
			w.refused("its request", err, "client-unknown")
		}
		w.register("his", w.shown) // it may call again, with new tokens
		_, err = w.a.Authenticate(ctx, system, g.Access, w.shown)
		w.refused("the old token after that", err, "expired_token")
	})
}

// RFC 7009: a system ends its own tokens; another's, and what there is not, is answered just so and changes nothing.
func TestRevocation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		mine, err := w.a.ForClient(ctx, system, w.his, "")
		w.must(err)
		second, err := w.a.ForClient(ctx, system, w.his, "")
		w.must(err)
		other := w.register("other", w.certificate())
		for _, token := range []string{mine.Access, "", "x", strings.Repeat("A", 43)} {
			w.must(w.b.Revoke(ctx, system, other, token))
		}
		_, err = w.a.Authenticate(ctx, system, mine.Access, w.shown)
		w.must(err)
		for range 2 {
			w.must(w.b.Revoke(ctx, system, w.his, mine.Access))
		}
		_, err = w.a.Authenticate(ctx, system, mine.Access, w.shown)
		w.refused("revoked", err, "expired_token")
		_, err = w.a.Authenticate(ctx, system, second.Access, w.shown)
		w.must(err)
		if n := w.rows("oauth.revoke", ra.OutcomeRefused); n != 1 {
			t.Errorf("%d rows of another's token", n)
		}
	})
}

// What is granted lives its time by the window's clock and not a second longer.
func TestLives(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		for scope, life := range map[string]time.Duration{oauth.Service: oauth.ServiceLife, oauth.Credential: oauth.CredentialLife} {
			g, err := w.a.ForCode(ctx, system, w.his, w.code(scope), back, verifier)
			w.must(err)
			if g.ExpiresIn != life || g.Scope != scope {
				t.Errorf("%s: %s", scope, g.ExpiresIn)
			}
			w.Clock.Advance(life - time.Second)
			_, err = w.b.Authenticate(ctx, system, g.Access, w.shown)
			w.must(err)
			w.Clock.Advance(time.Second)
			_, err = w.b.Authenticate(ctx, system, g.Access, w.shown)
			w.refused(scope, err, "expired_token")
		}
		w.must(w.a.Forget(ctx))
		if w.Count(t, "oauth_tokens") == 0 || w.Count(t, "access_requests") == 0 {
			t.Error("forgotten within a day: a reuse would not be told")
		}
		w.Clock.Advance(25 * time.Hour)
		w.must(w.a.Forget(ctx))
		if n := w.Count(t, "oauth_tokens") + w.Count(t, "access_requests"); n != 0 {
			t.Errorf("%d rows are kept of what is over", n)
		}
	})
}

// No code, token or browser's word is kept as it is, or told to the audit log; each act has its row.
func TestSecretsAreKeptAsHashes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		r, browser, err := w.a.Begin(ctx, system, w.asked(oauth.Service))
		w.must(err)
		w.must(w.a.Answer(ctx, ra.Actor{Kind: ra.ActorDevice}, w.doctor, r.ID, true))
		code, _, err := w.a.CodeFor(ctx, system, r.ID, browser)
		w.must(err)
		g, err := w.a.ForCode(ctx, system, w.his, code, back, verifier)
		w.must(err)
		w.must(w.a.Revoke(ctx, system, w.his, g.Access))
		var kept strings.Builder
		for _, table := range []string{"oauth_tokens", "access_requests"} {
			var rows []map[string]any
			w.must(w.DB.Gorm.Table(table).Find(&rows).Error)
			for _, row := range rows {
				for name, v := range row {
					if raw, ok := v.([]byte); ok {
						v = string(raw)
					}
					fmt.Fprintf(&kept, "%s=%v\n", name, v)
				}
			}
		}
		raw, err := json.Marshal(w.Audit(t))
		w.must(err)
		kept.Write(raw)
		for what, secret := range map[string]string{"code": code, "token": g.Access, "browser": browser, "verifier": verifier} {
			if len(secret) != 43 || strings.Contains(kept.String(), secret) {
				t.Errorf("the %s is kept", what)
			}
		}
		for _, act := range []string{"oauth.ask", "oauth.approve", "oauth.code", "oauth.token", "oauth.revoke"} {
			if n := w.rows(act, ra.OutcomeDone); n != 1 {
				t.Errorf("%s: %d rows", act, n)
			}
		}
	})
}

type dry struct{}

func (dry) Read([]byte) (int, error) { return 0, errors.New("no randomness") }

// Without randomness, and with a dependency that is missing, nothing is granted.
func TestFailsClosed(t *testing.T) {
	w := newWard(t, storetest.SQLite(t))
	c := w.a.Config
	c.Rand = dry{}
	s, err := oauth.New(c)
	w.must(err)
	if _, err := s.ForClient(ctx, system, w.his, ""); err == nil {
		t.Error("a token without randomness")
	}
	if _, _, err := s.Begin(ctx, system, w.asked(oauth.Service)); err == nil {
		t.Error("a request without randomness")
	}
	c.Clients = nil
	if _, err := oauth.New(c); err == nil {
		t.Error("a server without a register")
	}
}
