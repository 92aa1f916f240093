package story

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime/quotedprintable"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"certwindow/cmd/phone/client"
	"certwindow/devices/appcred"
	"certwindow/policy"
)

const fourthPassword appcred.Secret = "copper meadow twelve"

// authenticator is the app that shows a holder's codes.
type authenticator struct {
	secret string
	last   int64 // step that was shown last
}

// next is a code that was not shown yet, of a step that the window takes (RFC 6238 section 5.2).
func (a *authenticator) next(ctx context.Context) (client.Factor, error) {
	const period = 30
	for a.last >= time.Now().Unix()/period+1 {
		if pause(ctx, time.Second); ctx.Err() != nil {
			return client.Factor{}, ctx.Err()
		}
	}
	a.last = max(a.last+1, time.Now().Unix()/period)
	code, err := totp.GenerateCode(a.secret, time.Unix(a.last*period, 0))
	return client.Factor{Kind: policy.FactorTOTP, Value: code}, err
}

// generator is a counter-based one, as the counter hands it out.
type generator struct{ secret string }

func (g generator) press(counter uint64) (client.Factor, error) {
	code, err := hotp.GenerateCode(g.secret, counter)
	return client.Factor{Kind: policy.FactorHOTP, Value: code}, err
}

// oneTime is the scene of one-time codes (HCA-8.2.7).
func (s *Story) oneTime(d *doctor) scene {
	app, gen := &authenticator{}, generator{}
	var used client.Factor
	var cert string
	in := func(ctx context.Context, on *device, proof client.Factor) error {
		return s.signsIn(ctx, on, d.account, proof)
	}
	out := func(what string, err error) error { return refusedAs(what, err, "login-refused") }
	sign := func(ctx context.Context, code client.Factor) error {
		s.hide("one-time code of a holder", code.Value)
		d.phone.phone.ProveByCode(code.Kind, appcred.Secret(code.Value))
		defer d.phone.phone.ProveBy(d.password)
		_, err := d.phone.phone.signWithHSM(ctx, cert, []byte(document))
		return err
	}
	return scene{"One-time codes, each good once, where and for what it was given", []act{
		{"he takes the spare phone, and enrols a key in the HSM to sign with", func(ctx context.Context) (string, error) {
			d.phone, d.spare = d.spare, d.phone
			application, _, err := s.consent(ctx, wish{d.person, d.phone, []string{"EMR-SIGN"}, "hsm"})
			if err != nil {
				return "", err
			}
			if cert, err = s.completed(ctx, application); err != nil {
				return "", err
			}
			return "", d.phone.phone.fetch(ctx, application)
		}},
		{"he sets an authenticator app up, and signs in by its code", func(ctx context.Context) (string, error) {
			if err := in(ctx, &d.phone, byPassword(d.password)); err != nil {
				return "", err
			}
			secret, address, err := d.phone.phone.SetUpAuthenticator(ctx)
			if err != nil {
				return "", err
			}
			app.secret = secret.Reveal()
			s.hide("authenticator's secret of a holder", app.secret)
			s.hide("authenticator's address of a holder", address.Reveal())
			if used, err = app.next(ctx); err != nil {
				return "", err
			}
			return "", in(ctx, &d.phone, used)
		}},
		{"the same code once more opens neither phone, at whichever server", func(ctx context.Context) (string, error) {
			return "", errors.Join(out("the code again", in(ctx, &d.phone, used)), out("the code on the other phone", in(ctx, &d.other, used)))
		}},
		{"a generator of the counter's: each code once, none that was passed over", func(ctx context.Context) (string, error) {
			return "", s.pressed(ctx, d, &gen)
		}},
		{"a code by mail opens the phone that asked for it, once, and no other phone and no signature", func(ctx context.Context) (string, error) {
			code, err := s.mailed(ctx, d, appcred.ForLogin)
			if err != nil {
				return "", err
			}
			return "", errors.Join(out("the code on another phone", in(ctx, &d.other, code)), refusedAs("the code of a login, for a signature", sign(ctx, code), "otp-wrong"),
				in(ctx, &d.phone, code), out("the code again", in(ctx, &d.phone, code)))
		}},
		{"a code for a signature releases one, and opens nothing; the authenticator's used one releases none", func(ctx context.Context) (string, error) {
			code, err := s.mailed(ctx, d, appcred.ForSignature)
			if err != nil {
				return "", err
			}
			return "", errors.Join(out("a signature's code for a login", in(ctx, &d.phone, code)), sign(ctx, code), refusedAs("the code again", sign(ctx, code), "otp-wrong"),
				refusedAs("the authenticator's used code", sign(ctx, used), "otp-wrong"), s.anew(ctx, d, gen, 5))
		}},
		{"a code that one app asked for opens nothing in another app on the same phone", func(ctx context.Context) (string, error) {
			return "", s.otherApp(ctx, d)
		}},
		{"three wrong codes at once lock them; the right one is refused, the password still opens", func(ctx context.Context) (string, error) {
			if err := atOnce(4, func(i int) error {
				return out("a wrong code", in(ctx, []*device{&d.phone, &d.other}[i%2], wrongCode()))
			}); err != nil {
				return "", err
			}
			right, err := gen.press(6)
			if err != nil {
				return "", err
			}
			return "", errors.Join(out("the right code", in(ctx, &d.phone, right)), in(ctx, &d.phone, byPassword(d.password)),
				s.clerkReads(ctx, d, "Codes are locked after three failures."))
		}},
		{"identified at the counter, he uses codes again", func(ctx context.Context) (string, error) {
			initial, err := s.counterResets(ctx, d)
			if err != nil {
				return "", err
			}
			if err := errors.Join(in(ctx, &d.phone, byPassword(initial)), s.changes(ctx, d, initial, fourthPassword)); err != nil {
				return "", err
			}
			right, err := app.next(ctx)
			if err != nil {
				return "", err
			}
			return "", in(ctx, &d.phone, right)
		}},
	}}
}

// pressed is the life of a counter-based generator (RFC 4226).
func (s *Story) pressed(ctx context.Context, d *doctor, g *generator) error {
	secret := make([]byte, 20)
	rand.Read(secret)
	g.secret = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	s.hide("generator's secret of a holder", g.secret)
	if _, err := s.clerk.post(ctx, "/persons/"+d.id+"/generator", url.Values{"generator": {g.secret}}); err != nil {
		return err
	}
	for _, try := range []struct {
		counter uint64
		good    bool
	}{{0, true}, {0, false}, {3, true}, {2, false}, {3, false}, {4, true}} {
		code, err := g.press(try.counter)
		if err != nil {
			return err
		}
		err = s.signsIn(ctx, &d.other, d.account, code)
		if !try.good {
			err = refusedAs(fmt.Sprintf("the code of counter %d", try.counter), err, "login-refused")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// anew signs in by the generator, which ends a row of wrong codes.
func (s *Story) anew(ctx context.Context, d *doctor, g generator, counter uint64) error {
	code, err := g.press(counter)
	if err != nil {
		return err
	}
	return s.signsIn(ctx, &d.other, d.account, code)
}

var codeInMail = regexp.MustCompile(`\b[0-9]{6}\b`)

// mailed has a code sent to the doctor, and reads it in his mail.
func (s *Story) mailed(ctx context.Context, d *doctor, purpose appcred.Purpose) (client.Factor, error) {
	before := len(s.st.Mail.Messages())
	if err := patiently(ctx, func() error { return d.phone.phone.SendCode(ctx, d.account, appcred.Mail, purpose) }); err != nil {
		return client.Factor{}, err
	}
	wait, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	for n := before + 1; ; n++ { // other mails may come between
		if err := s.st.Mail.Wait(wait, n); err != nil {
			return client.Factor{}, err
		}
		body, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(s.st.Mail.Messages()[n-1].Body)))
		if err != nil {
			return client.Factor{}, err
		}
		if code := codeInMail.FindString(string(body)); code != "" && strings.Contains(string(body), "一次性密碼") {
			s.hide("mailed code of a holder", code)
			return client.Factor{Kind: policy.FactorCode, Value: code}, nil
		}
	}
}

// otherApp asks for a code, gives it to another app that has been put on the phone, and then to the one that asked.
func (s *Story) otherApp(ctx context.Context, d *doctor) error {
	code, err := s.mailed(ctx, d, appcred.ForLogin)
	if err != nil {
		return err
	}
	own := client.Condition{CarrierPresent: true, ScreenLock: true}
	other, err := d.phone.phone.reopened("tw.other.example")
	if err != nil {
		return err
	}
	if _, err := other.CheckIn(ctx, own); err != nil {
		return err
	}
	if err := refusedAs("the code in another app", s.signsIn(ctx, &device{phone: other}, d.account, code), "login-refused"); err != nil {
		return err
	}
	if d.phone.phone, err = d.phone.phone.reopened(appPackage); err != nil {
		return err
	}
	d.phone.phone.ProveBy(d.password)
	if _, err := d.phone.phone.CheckIn(ctx, own); err != nil {
		return err
	}
	return s.signsIn(ctx, &d.phone, d.account, code)
}

// wrongCode is six digits that are not likely to be right.
func wrongCode() client.Factor {
	n, _ := rand.Int(rand.Reader, big.NewInt(900_000)) // the system has randomness
	return client.Factor{Kind: policy.FactorTOTP, Value: fmt.Sprint(100_000 + n.Int64())}
}
