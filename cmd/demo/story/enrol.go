package story

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// wish is what a clerk chooses at the counter.
type wish struct {
	who    person
	device device
	scope  []string
	key    string // app, chip, hsm
}

// begin makes an application and returns its id and the text that the counter shows.
func (s *Story) begin(ctx context.Context, w wish) (application, text string, err error) {
	page, err := s.clerk.post(ctx, "/applications/new", url.Values{"person": {w.who.id}, "device": {w.device.id}, "scope": w.scope, "key": {w.key}, "algorithm": {"P-256"}})
	if err != nil {
		return "", "", err
	}
	text, err = found(page, "data-text")
	return page.id(), text, err
}

// submit hands a signed message to the window, as the counter's script does.
func (s *Story) submit(ctx context.Context, application string, message []byte, insertion string) error {
	_, err := s.clerk.post(ctx, "/counter/"+application+"/sign", url.Values{"signature": {base64.StdEncoding.EncodeToString(message)}, "insertion": {insertion}})
	return err
}

// sign has a card sign an application's text and hands the message in.
func (s *Story) sign(ctx context.Context, application, text, card string) ([]byte, error) {
	signed, err := s.cards.sign(ctx, card, text)
	if err != nil {
		return nil, err
	}
	message, err := signed.message()
	if err != nil {
		return nil, err
	}
	return message, s.submit(ctx, application, message, signed.Insertion)
}

// consent begins an application and signs it with the person's own card.
func (s *Story) consent(ctx context.Context, w wish) (application string, message []byte, err error) {
	application, text, err := s.begin(ctx, w)
	if err != nil {
		return "", nil, err
	}
	if message, err = s.sign(ctx, application, text, w.who.card); err != nil {
		return application, nil, err
	}
	return application, message, s.secret(ctx, w, application)
}

// secret has the phone send the secret that a key in the HSM obeys, where the key is one. A key of the phone's own is
// made later.
func (s *Story) secret(ctx context.Context, w wish, application string) error {
	if w.key != "hsm" {
		return nil
	}
	return w.device.phone.enrol(ctx, application)
}

// completed waits until the HCA has issued, or revoked, and returns the certificate's id.
func (s *Story) completed(ctx context.Context, application string) (string, error) {
	state, err := s.clerk.poll(ctx, "/counter/"+application+"/state", "completed", "refused", "disputed")
	if err != nil {
		return "", err
	}
	if state["state"] != "completed" {
		return "", fmt.Errorf("the application is %v", state["state"])
	}
	result, _ := state["result"].(string)
	return strings.TrimPrefix(result, "/certificates/"), nil
}

// enrolInHSM is the scene of a key that stays in the HSM (HCA-6.3).
func (s *Story) enrolInHSM() scene {
	var application string
	var mails int
	return scene{"Enrolment with a key in the HSM, on the shared tablet", []act{
		{"the counter shows the text, the card signs it, the window verifies (HCA-5.1.1)", func(ctx context.Context) (_ string, err error) {
			mails = len(s.st.Mail.Messages())
			application, s.hsmCert.message, err = s.consent(ctx, wish{s.wang, s.tablet, []string{"EMR-SIGN", "E-PRESCRIPTION"}, "hsm"})
			s.hsmCert.application = application
			return fmt.Sprintf("%d bytes of CMS", len(s.hsmCert.message)), err
		}},
		{"the HSM has made the key under the tablet's own secret, the HCA issues over CMC, the certificate fits its request", func(ctx context.Context) (_ string, err error) {
			s.hsmCert.id, err = s.completed(ctx, application)
			return "certificate " + s.hsmCert.id, err
		}},
		{"the holder is told by mail (HCA-3.4)", func(ctx context.Context) (string, error) { return s.mail(ctx, mails+1) }},
		{"the tablet releases a hash with its secret, the HSM key signs, and openssl verifies it (HCA-6.3.5)", func(ctx context.Context) (string, error) {
			return s.signInHSM(ctx)
		}},
	}}
}

// mail waits until that many mails have come, and tells the last one's subject.
func (s *Story) mail(ctx context.Context, n int) (string, error) {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if err := s.st.Mail.Wait(ctx, n); err != nil {
		return "", err
	}
	all := s.st.Mail.Messages()
	return all[len(all)-1].Subject, nil
}

// enrolOnPhone is the scene of a key that a phone makes (HCA-6.1).
func (s *Story) enrolOnPhone() scene {
	var mails int
	return scene{"Enrolment with a key made on the iPhone", []act{
		{"the card signs the application", func(ctx context.Context) (_ string, err error) {
			mails = len(s.st.Mail.Messages())
			s.phoneCert.application, s.phoneCert.message, err = s.consent(ctx, wish{s.wang, s.iphone, []string{"EMR-SIGN"}, "app"})
			return "", err
		}},
		{"the phone fetches the challenge, makes the key, and its device key signs hash(card message) and request", func(ctx context.Context) (string, error) {
			return "", s.iphone.phone.enrol(ctx, s.phoneCert.application)
		}},
		{"the HCA issues, the phone fetches its certificate", func(ctx context.Context) (_ string, err error) {
			if s.phoneCert.id, err = s.completed(ctx, s.phoneCert.application); err != nil {
				return "", err
			}
			return "certificate " + s.phoneCert.id, s.iphone.phone.fetch(ctx, s.phoneCert.application)
		}},
		{"the holder is told by mail", func(ctx context.Context) (string, error) { return s.mail(ctx, mails+1) }},
		{"the phone gets a signed status statement, signs a document, and openssl verifies signature and chain", func(ctx context.Context) (string, error) {
			return s.signOnPhone(ctx)
		}},
	}}
}

// document is what gets signed in this story.
const document = "出院病歷摘要\n診斷：示範\n"

func (s *Story) signOnPhone(ctx context.Context) (string, error) {
	doc, sig := s.st.Path("document.txt"), s.st.Path("document.sig")
	if err := os.WriteFile(doc, []byte(document), 0o600); err != nil {
		return "", err
	}
	signature, err := s.iphone.phone.signDocument(ctx, s.phoneCert.id, []byte(document))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(sig, signature, 0o600); err != nil {
		return "", err
	}
	return s.opensslVerifies(ctx, s.iphone.phone.certificatePEM(s.phoneCert.id), doc, sig)
}

func (s *Story) signInHSM(ctx context.Context) (string, error) {
	doc, sig := s.st.Path("prescription.txt"), s.st.Path("prescription.sig")
	if err := os.WriteFile(doc, []byte(document), 0o600); err != nil {
		return "", err
	}
	if err := s.tablet.phone.fetch(ctx, s.hsmCert.application); err != nil {
		return "", err
	}
	signature, err := s.tablet.phone.signWithHSM(ctx, s.hsmCert.id, []byte(document))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(sig, signature, 0o600); err != nil {
		return "", err
	}
	return s.opensslVerifies(ctx, s.tablet.phone.certificatePEM(s.hsmCert.id), doc, sig)
}

// opensslVerifies has openssl, as a second opinion, verify a signature and the certificate's chain.
func (s *Story) opensslVerifies(ctx context.Context, certificate, doc, sig string) (string, error) {
	key := s.st.Path("public.pem")
	pub, err := s.st.Run(ctx, "openssl", "x509", "-in", certificate, "-noout", "-pubkey")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(key, pub, 0o600); err != nil {
		return "", err
	}
	said, err := s.st.Run(ctx, "openssl", "dgst", "-sha256", "-verify", key, "-signature", sig, doc)
	if err != nil {
		return "", err
	}
	chain, err := s.st.Run(ctx, "openssl", "verify", "-CAfile", s.st.Path("hca/root.pem"), "-untrusted", s.st.Path("hca/ca.pem"), certificate)
	if err != nil {
		return "", err
	}
	ok := strings.HasSuffix(strings.TrimSpace(string(chain)), ": OK")
	if !ok {
		return "", fmt.Errorf("openssl verify said %s", chain)
	}
	return strings.TrimSpace(string(said)) + ", chain OK", nil
}
