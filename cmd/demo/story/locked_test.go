package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"certwindow/cmd/demo/stage"
	"certwindow/devices/appcred"
)

// Passwords that the doctor chooses, one after the other.
const (
	secondPassword appcred.Secret = "violet tractor seven"
	thirdPassword  appcred.Secret = "marble kettle ninety"
)

// lockedOut is the scene of a password that somebody tries (HCA-8.2.6).
func (s *Story) lockedOut(d *doctor, w *watcher) scene {
	var initial appcred.Secret
	return scene{"A wrong password, to the lock and back", []act{
		{"four wrong passwords are refused, and the right one ends the row", func(ctx context.Context) (string, error) {
			for range 4 {
				if err := s.wrongPassword(ctx, &d.phone, d); err != nil {
					return "", err
				}
			}
			return "", s.signsIn(ctx, &d.phone, d.account, byPassword(d.password))
		}},
		{"eight at once, from two phones, lock the account: the right one is refused", func(ctx context.Context) (string, error) {
			if err := atOnce(8, func(i int) error { return s.wrongPassword(ctx, []*device{&d.phone, &d.other}[i%2], d) }); err != nil {
				return "", err
			}
			if err := refusedAs("the right password", s.signsIn(ctx, &d.phone, d.account, byPassword(d.password)), "login-refused"); err != nil {
				return "", err
			}
			return "", s.clerkReads(ctx, d, "The password is locked after five failures.")
		}},
		{"the answer is, word for word, that of an account that there is not", func(ctx context.Context) (string, error) {
			locked, err := lastAnswer(w, "/holder/login")
			if err != nil {
				return "", err
			}
			if err := refusedAs("nobody's account", s.signsIn(ctx, &d.phone, "guo.nobody", byPassword(d.password)), "login-refused"); err != nil {
				return "", err
			}
			nobody, err := lastAnswer(w, "/holder/login")
			if err == nil && !maps.Equal(locked, nobody) {
				err = fmt.Errorf("%v is told from %v", locked, nobody)
			}
			return "", err
		}},
		{"his IC card sets another password at a page of the window, with nobody at the counter; an institution's card does not", func(ctx context.Context) (string, error) {
			var r *refusal
			if err := s.newPassword(ctx, cardHospital, secondPassword); !errors.As(err, &r) || !strings.HasPrefix(r.clause, "HCA-") {
				return "", fmt.Errorf("the institution's card: %v", err)
			}
			return "", s.newPassword(ctx, d.card, secondPassword)
		}},
		{"his logins have ended, the old password is worth nothing, the new one opens", func(ctx context.Context) (string, error) {
			old := d.password
			d.password = secondPassword
			_, err := d.other.phone.Certificates(ctx)
			return "", errors.Join(refusedAs("the other phone's login", err, "no-login"),
				refusedAs("the old password", s.signsIn(ctx, &d.other, d.account, byPassword(old)), "login-refused"),
				s.signsIn(ctx, &d.phone, d.account, byPassword(d.password)))
		}},
		{"locked again, he is identified at the counter, which hands him an initial password", func(ctx context.Context) (_ string, err error) {
			for range 5 {
				if err := s.wrongPassword(ctx, &d.other, d); err != nil {
					return "", err
				}
			}
			if err := refusedAs("the right password", s.signsIn(ctx, &d.other, d.account, byPassword(d.password)), "login-refused"); err != nil {
				return "", err
			}
			initial, err = s.counterResets(ctx, d)
			return "", err
		}},
		{"it opens nothing but its own change, to a password of eight characters or more", func(ctx context.Context) (string, error) {
			if err := s.signsIn(ctx, &d.phone, d.account, byPassword(initial)); err != nil {
				return "", err
			}
			_, err := d.phone.phone.Certificates(ctx)
			return "", errors.Join(refusedAs("certificates, by the initial password", err, "password-must-change"),
				refusedAs("a short password", s.changes(ctx, d, initial, "seven77"), "password-too-short"),
				s.changes(ctx, d, initial, thirdPassword), s.signsIn(ctx, &d.other, d.account, byPassword(thirdPassword)))
		}},
		{"and then he is in", func(ctx context.Context) (string, error) {
			_, err := d.phone.phone.Certificates(ctx)
			return "", err
		}},
	}}
}

// wrongPassword tries one that is not right, each time another.
func (s *Story) wrongPassword(ctx context.Context, on *device, d *doctor) error {
	guess := byPassword(appcred.Secret(fmt.Sprintf("guess of %d", time.Now().UnixNano())))
	return refusedAs("a wrong password", s.signsIn(ctx, on, d.account, guess), "login-refused")
}

// atOnce does something n times at the same moment.
func atOnce(n int, do func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// lastAnswer is the last refusal at an address, without the number of its request.
func lastAnswer(w *watcher, end string) (map[string]string, error) {
	all := w.all()
	for i := len(all) - 1; i >= 0; i-- {
		if x := all[i]; strings.HasSuffix(x.Request.URL.Path, end) {
			out := map[string]any{}
			if err := json.Unmarshal(x.Body, &out); err != nil {
				return nil, err
			}
			delete(out, "request_id")
			texts := map[string]string{"WWW-Authenticate": x.Header.Get("WWW-Authenticate"), "Content-Length": x.Header.Get("Content-Length")}
			for name, v := range out {
				texts[name] = fmt.Sprint(v)
			}
			return texts, nil
		}
	}
	return nil, errors.New("nobody asked " + end)
}

var nonceField = regexp.MustCompile(`name="nonce" value="([^"]+)"`)

// newPassword is a holder at any computer of the hospital's with a reader: he signs the page's text with a card, and types
// the password that he wants.
func (s *Story) newPassword(ctx context.Context, card string, next appcred.Secret) error {
	s.hide("password of a holder", next.Reveal())
	browser, err := s.st.Client()
	if err != nil {
		return err
	}
	if browser.Jar, err = cookiejar.New(nil); err != nil {
		return err
	}
	c := &clerk{base: s.st.URL, http: browser, who: stage.Account{}}
	page, err := c.get(ctx, "/new-password")
	if err != nil {
		return err
	}
	text, err := found(page, "data-text")
	if err != nil {
		return err
	}
	nonce := nonceField.FindStringSubmatch(page.body)
	if nonce == nil {
		return errors.New("the page has no nonce")
	}
	signed, err := s.cards.sign(ctx, card, text)
	if err != nil {
		return err
	}
	_, err = c.post(ctx, "/new-password", url.Values{"nonce": {nonce[1]}, "signature": {signed.Signature}, "insertion": {signed.Insertion},
		"next": {next.Reveal()}, "repeat": {next.Reveal()}})
	return err
}
