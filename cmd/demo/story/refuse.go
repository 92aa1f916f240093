package story

import (
	"bytes"
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"certwindow/cmd/phone/client"
	"certwindow/ra/cms"
)

// refusals is a scene: what must not work does not, says under which rule, and changes nothing.
func (s *Story) refusals() scene {
	var late struct{ application, text string }
	var tooLate time.Time
	var good wish
	return scene{"Refusals, each under its clause, with nothing changed", []act{
		{"(an application is left to grow old, in the moment in which two persons let texts live for a second)", func(ctx context.Context) (_ string, err error) {
			good = wish{s.wang, s.spare, []string{"EMR-SIGN"}, "app"}
			if err := s.textsLive(ctx, shortLife); err != nil {
				return "", err
			}
			if late.application, late.text, err = s.begin(ctx, wish{s.wang, s.iphone, []string{"EMR-SIGN"}, "app"}); err != nil {
				return "", err
			}
			tooLate = time.Now().Add(shortLife)
			return "", s.textsLive(ctx, longLife)
		}},
		s.refusal("a replayed message", "HCA-8.1.4", func(ctx context.Context) error {
			return s.submit(ctx, s.phoneCert.application, s.phoneCert.message, "replayed")
		}),
		s.refusal("a message with one byte changed", "HCA-", s.fromCard(&good, s.wang.card, flip)),
		s.refusal("a revoked card", "HCA-5.1.1", func(ctx context.Context) error {
			if err := s.revokeCard(ctx); err != nil {
				return err
			}
			return s.fromCard(&good, cardRevoked, nil)(ctx)
		}),
		s.refusal("a card of another person", "HCA-5.1.1", s.fromCard(&good, s.chen.card, nil)),
		s.refusal("an institution card", "HCA-5.1.1", s.fromCard(&good, cardHospital, nil)),
		s.refusal("a mobile certificate used in place of the card", "HCA-5.1.1", func(ctx context.Context) error {
			return s.withMobile(ctx, good)
		}),
		s.refusal("a device that is not his", "HCA-5.1.3", func(ctx context.Context) error {
			_, _, err := s.begin(ctx, wish{s.chen, s.iphone, []string{"EMR-SIGN"}, "app"})
			return err
		}),
		s.refusal("a scope that is not approved", "HCA-5.1.2", func(ctx context.Context) error {
			_, _, err := s.begin(ctx, wish{s.wang, s.spare, []string{"EMR-SIGN", "PARKING"}, "app"})
			return err
		}),
		s.refusal("a request that another device's key countersigned", "HCA-6.0", func(ctx context.Context) error {
			return s.countersigned(ctx, good)
		}),
		s.refusal("a device bound again since the signature", "HCA-6.0", func(ctx context.Context) error {
			return s.boundAgain(ctx, good)
		}),
		{"three more certificates make five", s.fillUp},
		s.refusal("the sixth certificate", "HCA-7.5", func(ctx context.Context) error {
			_, _, err := s.consent(ctx, wish{s.wang, s.tablet, []string{"EMR-SIGN"}, "hsm"})
			return err
		}),
		s.refusal("an expired nonce", "HCA-8.1.4", func(ctx context.Context) error {
			pause(ctx, time.Until(tooLate))
			_, err := s.sign(ctx, late.application, late.text, s.wang.card)
			return err
		}),
	}}
}

// refusal plays an act that must be refused under the clause and leave every certificate as it was.
func (s *Story) refusal(what, clause string, do func(context.Context) error) act {
	return act{what, func(ctx context.Context) (string, error) {
		before, err := s.certificates(ctx)
		if err != nil {
			return "", err
		}
		err = do(ctx)
		said, text := clauseOf(err)
		if err == nil || !strings.HasPrefix(said, clause) {
			return "", fmt.Errorf("it should have been refused under %s, but: %v", clause, err)
		}
		after, err := s.certificates(ctx)
		if err != nil {
			return "", err
		}
		if before != after {
			return "", errors.New("it was refused, but the certificates changed")
		}
		return "refused under " + said + ": " + text, nil
	}}
}

// clauseOf reads the rule from a page's or the API's refusal.
func clauseOf(err error) (clause, text string) {
	var r *refusal
	var c *client.Refusal
	var n *no
	switch {
	case errors.As(err, &r):
		return r.clause, r.text
	case errors.As(err, &c):
		return c.Clause, c.Detail
	case errors.As(err, &n):
		return n.clause(), strings.TrimPrefix(n.Text, n.clause()+": ")
	}
	return "", ""
}

// certificates is what the list of certificates shows, with their states.
func (s *Story) certificates(ctx context.Context) (string, error) {
	p, err := s.clerk.get(ctx, "/certificates")
	if err != nil {
		return "", err
	}
	_, list, ok := strings.Cut(p.body, "<main")
	if !ok {
		return "", errors.New("the page of certificates has no main part")
	}
	list, _, _ = strings.Cut(list, "</main>")
	return list, nil
}

// fromCard begins an application, has some card sign it, and hands in what change makes of the message.
func (s *Story) fromCard(w *wish, card string, change func([]byte) []byte) func(context.Context) error {
	return func(ctx context.Context) error {
		application, text, err := s.begin(ctx, *w)
		if err != nil {
			return err
		}
		signed, err := s.cards.sign(ctx, card, text)
		if err != nil {
			return err
		}
		message, err := signed.message()
		if err != nil {
			return err
		}
		if change != nil {
			message = change(message)
		}
		return s.submit(ctx, application, message, signed.Insertion)
	}
}

// flip changes one byte of the text inside a message.
func flip(message []byte) []byte {
	out := bytes.Clone(message)
	out[bytes.Index(out, []byte("scope: "))+len("scope: ")] ^= 1
	return out
}

// revokeCard has the simulator revoke the card that plays the revoked one.
func (s *Story) revokeCard(ctx context.Context) error {
	serial, err := s.st.Run(ctx, "openssl", "x509", "-in", s.st.Path(cardRevoked+".pem"), "-noout", "-serial")
	if err != nil {
		return err
	}
	_, err = s.st.Run(ctx, "hcasim", "revoke", "--dir", s.st.Path("hca"), "--serial", strings.TrimPrefix(strings.TrimSpace(string(serial)), "serial="),
		"--reason", "keyCompromise")
	return err
}

// withMobile signs an application with the key and the certificate on the phone.
func (s *Story) withMobile(ctx context.Context, w wish) error {
	application, text, err := s.begin(ctx, w)
	if err != nil {
		return err
	}
	key, err := s.iphone.phone.key(s.phoneCert.application)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(s.iphone.phone.certificatePEM(s.phoneCert.id))
	if err != nil {
		return err
	}
	block, _ := pem.Decode(raw)
	message, err := cms.Sign([]byte(text), key, block.Bytes, cms.SignOptions{SigningTime: time.Now(), Hash: crypto.SHA256, Certificates: [][]byte{block.Bytes}})
	if err != nil {
		return err
	}
	return s.submit(ctx, application, message, "no card")
}

// countersigned has a good consent, and a request that an attacker's own phone countersigned.
func (s *Story) countersigned(ctx context.Context, w wish) error {
	application, message, err := s.consent(ctx, w)
	if err != nil {
		return err
	}
	challenge, err := s.spare.phone.challenge(ctx, application)
	if err != nil {
		return err
	}
	err = s.spare.phone.submit(ctx, application, challenge, message, s.tablet.phone)
	if _, cerr := s.clerk.post(ctx, "/applications/"+application+"/cancel", map[string][]string{}); cerr != nil {
		return cerr
	}
	return err
}

// boundAgain consents, binds the device to another phone, and lets that phone go on.
func (s *Story) boundAgain(ctx context.Context, w wish) error {
	application, message, err := s.consent(ctx, w)
	if err != nil {
		return err
	}
	challenge, err := s.spare.phone.challenge(ctx, application)
	if err != nil {
		return err
	}
	if _, err := s.bind(&s.spare)(ctx); err != nil {
		return err
	}
	return s.spare.phone.submit(ctx, application, challenge, message, s.spare.phone)
}

func (s *Story) fillUp(ctx context.Context) (string, error) {
	var applications []string
	for range 3 {
		a, _, err := s.consent(ctx, wish{s.wang, s.tablet, []string{"EMR-SIGN"}, "hsm"})
		if err != nil {
			return "", err
		}
		applications = append(applications, a)
	}
	for _, a := range applications {
		if _, err := s.completed(ctx, a); err != nil {
			return "", err
		}
	}
	return "", nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
