package oauth_test

import (
	"crypto/rand"
	"testing"

	"certwindow/ra"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-7.4: the holder alone answers, once and in time; the code goes to the browser that asked, and a name that nobody has,
// or a holder of another institution, is asked just so and answered by nobody.
func TestHolderAnswersForTheBrowserThatAsked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		phone, somebody := ra.Actor{Kind: ra.ActorDevice}, w.Doctor(t, "陳小華", "2002")
		r, browser, err := w.a.Begin(ctx, system, w.asked(oauth.Service))
		w.must(err)
		for _, other := range []string{"", browser[:42] + "_", rand.Text()} {
			_, err := w.b.Stand(ctx, r.ID, other)
			w.refused("another browser", err, "not-found")
			_, _, err = w.b.CodeFor(ctx, system, r.ID, other)
			w.refused("another browser's code", err, "not-found")
		}
		_, _, err = w.b.CodeFor(ctx, system, r.ID, browser)
		w.refused("before the answer", err, "moved-on")
		w.refused("another holder", w.b.Answer(ctx, phone, somebody, r.ID, true), "not-found")
		w.must(w.b.Answer(ctx, phone, w.doctor, r.ID, true))
		if err := w.b.Answer(ctx, phone, w.doctor, r.ID, false); ra.KindOf(err) != ra.KindConflict {
			t.Errorf("a second answer: %v", err)
		}
		_, _, err = w.a.CodeFor(ctx, system, r.ID, browser)
		w.must(err)
		_, _, err = w.b.CodeFor(ctx, system, r.ID, browser)
		w.refused("the code again", err, "moved-on")

		r, browser, err = w.a.Begin(ctx, system, w.asked(oauth.Service))
		w.must(err)
		w.must(w.a.Answer(ctx, phone, w.doctor, r.ID, false))
		if got, err := w.b.Stand(ctx, r.ID, browser); err != nil || got.Standing != oauth.Denied {
			t.Errorf("refused: %+v %v", got.Standing, err)
		}
		r, browser, err = w.a.Begin(ctx, system, w.asked(oauth.Service))
		w.must(err)
		w.Clock.Advance(oauth.RequestLife)
		w.refused("late", w.a.Answer(ctx, phone, w.doctor, r.ID, true), "access-over")
		if got, err := w.b.Stand(ctx, r.ID, browser); err != nil || got.Standing != oauth.Denied {
			t.Errorf("late: %+v %v", got.Standing, err)
		}
	})
}

// HCA-7.4: what is asked of a name that nobody has, or of a holder of another institution, looks like any other and waits for nobody.
func TestUnknownAccountIsAskedLikeAny(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		a := w.asked(oauth.Service)
		a.Account = "nobody"
		unknown, _, err := w.a.Begin(ctx, system, a)
		w.must(err)
		w.Register.Person(w.doctor, func(p *ra.PersonFacts) { p.Institutions = []ra.InstitutionCode{storetest.Clinic} })
		elsewhere, _, err := w.a.Begin(ctx, system, w.asked(oauth.Service))
		w.must(err)
		for _, r := range []oauth.Request{unknown, elsewhere} {
			if r.Person != "" || len(r.ShortCode) != 6 || r.Standing != oauth.Pending {
				t.Errorf("%+v", r)
			}
			for _, who := range []ra.PersonID{w.doctor, ""} {
				if err := w.a.Answer(ctx, ra.Actor{Kind: ra.ActorDevice}, who, r.ID, true); ra.KindOf(err) != ra.KindNotFound {
					t.Errorf("%q answers: %v", who, err)
				}
				if list, err := w.a.Waiting(ctx, who); err != nil || len(list) != 0 {
					t.Errorf("%q: %d %v", who, len(list), err)
				}
			}
		}
	})
}

// Section 8.4.2 of the CSC API: the release of the signatures is the holder's answer, and nothing else is.
func TestSignaturesAreGrantedByTheirRelease(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		for _, c := range []struct {
			state remotesign.State
			want  oauth.Standing
		}{{remotesign.Released, oauth.Approved}, {remotesign.Denied, oauth.Denied}, {remotesign.Expired, oauth.Denied}} {
			a := w.asked(oauth.Credential)
			a.Rich = true
			r, browser, err := w.a.Begin(ctx, system, a)
			w.must(err)
			w.refused("by an answer", w.a.Answer(ctx, ra.Actor{Kind: ra.ActorDevice}, w.doctor, r.ID, true), "not-found")
			if list, err := w.b.Waiting(ctx, w.doctor); err != nil || len(list) != 0 {
				t.Errorf("it waits for two answers: %v %v", list, err)
			}
			w.decide(r.Authorisation, c.state)
			got, err := w.b.Stand(ctx, r.ID, browser)
			if w.must(err); got.Standing != c.want {
				t.Errorf("%s: %s", c.state, got.Standing)
			}
			code, _, err := w.b.CodeFor(ctx, system, r.ID, browser)
			if (err == nil) != (c.want == oauth.Approved) {
				t.Errorf("%s: %v", c.state, err)
			}
			if err == nil {
				g, err := w.a.ForCode(ctx, system, w.his, code, back, verifier)
				if w.must(err); !g.Token.Rich || g.Token.Authorisation != r.Authorisation {
					t.Errorf("%+v", g.Token)
				}
			}
		}
		a := w.asked("everything")
		_, _, err := w.a.Begin(ctx, system, a)
		w.refused("another scope", err, "invalid_scope")
	})
}
