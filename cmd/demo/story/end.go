package story

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// revocation is a scene of its own (HCA-5.2.1, HCA-7.2).
func (s *Story) revocation() scene {
	var mails int
	return scene{"Revocation by card", []act{
		{"the card signs the revocation of the iPhone's certificate, and the HCA revokes it", func(ctx context.Context) (string, error) {
			mails = len(s.st.Mail.Messages())
			return "", s.revoke(ctx, s.phoneCert.id)
		}},
		{"the HCA's CRL says so", func(ctx context.Context) (string, error) {
			return s.crlSays(ctx, s.iphone.phone.certificatePEM(s.phoneCert.id))
		}},
		{"the HCA's OCSP says so", func(ctx context.Context) (string, error) {
			return s.ocspSays(ctx, s.iphone.phone.certificatePEM(s.phoneCert.id))
		}},
		s.refusal("the phone asks for a status statement before it uses its key", "HCA-7.2", func(ctx context.Context) error {
			_, err := s.iphone.phone.signDocument(ctx, s.phoneCert.id, []byte(document))
			return err
		}),
		{"the card revokes the certificate of the HSM key too", func(ctx context.Context) (string, error) { return "", s.revoke(ctx, s.hsmCert.id) }},
		s.refusal("the HSM key's next signature", "HCA-7.2", func(ctx context.Context) error {
			_, err := s.tablet.phone.signWithHSM(ctx, s.hsmCert.id, []byte(document))
			return err
		}),
		{"the holder is told by mail, twice", func(ctx context.Context) (string, error) { return s.mail(ctx, mails+2) }},
	}}
}

// revoke revokes a certificate with its holder's card.
func (s *Story) revoke(ctx context.Context, certificate string) error {
	page, err := s.clerk.post(ctx, "/certificates/"+certificate+"/revoke", url.Values{"reason": {"superseded"}})
	if err != nil {
		return err
	}
	text, err := found(page, "data-text")
	if err != nil {
		return err
	}
	if _, err := s.sign(ctx, page.id(), text, s.wang.card); err != nil {
		return err
	}
	_, err = s.completed(ctx, page.id())
	return err
}

// crlSays fetches the HCA's complete CRL and has openssl read the certificate's serial number in it.
func (s *Story) crlSays(ctx context.Context, certificate string) (string, error) {
	list := s.st.Path("complete.crl")
	if err := download(ctx, s.st.HCABase+"/crl/complete.crl", list); err != nil {
		return "", err
	}
	serial, err := s.st.Run(ctx, "openssl", "x509", "-in", certificate, "-noout", "-serial")
	if err != nil {
		return "", err
	}
	text, err := s.st.Run(ctx, "openssl", "crl", "-inform", "DER", "-in", list, "-noout", "-text")
	if err != nil {
		return "", err
	}
	number := strings.TrimPrefix(strings.TrimSpace(string(serial)), "serial=")
	if !strings.Contains(string(text), number) {
		return "", fmt.Errorf("the CRL does not hold serial %s", number)
	}
	return "serial " + strings.ToLower(number), nil
}

func (s *Story) ocspSays(ctx context.Context, certificate string) (string, error) {
	out, err := s.st.Run(ctx, "openssl", "ocsp", "-issuer", s.st.Path("hca/ca.pem"), "-cert", certificate, "-url", s.st.HCABase+"/ocsp",
		"-CAfile", s.st.Path("hca/root.pem"), "-verify_other", s.st.Path("hca/ca.pem"))
	if err != nil {
		return "", err
	}
	if !strings.Contains(string(out), ": revoked") {
		return "", fmt.Errorf("openssl ocsp said %s", out)
	}
	return "revoked", nil
}

// sweep is the last scene of what happens (HCA-3.6, HCA-5.2.2).
func (s *Story) sweep() scene {
	return scene{"The sweep revokes by itself", []act{
		{"the tablet is reported lost", func(ctx context.Context) (string, error) {
			_, err := s.clerk.post(ctx, "/devices/"+s.tablet.id+"/report", url.Values{"event": {"lose"}})
			return "", err
		}},
		{"certwindow sweep finds its certificates and revokes them", s.runSweep},
	}}
}

func (s *Story) runSweep(ctx context.Context) (string, error) {
	out, err := s.st.Run(ctx, "certwindow", "sweep", "--config", s.st.Config(), "--json")
	if err != nil {
		return "", err
	}
	var report struct {
		Looked   int `json:"looked_at"`
		Findings []struct{ Certificate, What, Action, Error string }
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return "", err
	}
	if len(report.Findings) != 3 {
		return "", fmt.Errorf("the sweep found %d certificates, not the tablet's three: %s", len(report.Findings), out)
	}
	for _, f := range report.Findings {
		if f.What != "device-lost" || f.Action != "revoke" || f.Error != "" {
			return "", fmt.Errorf("the sweep says %+v", f)
		}
		if err := s.revoked(ctx, f.Certificate); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("looked at %d, revoked %d for a lost device", report.Looked, len(report.Findings)), nil
}

// revoked waits until a certificate's page says that the HCA has revoked it.
func (s *Story) revoked(ctx context.Context, certificate string) error {
	for range 600 {
		p, err := s.clerk.get(ctx, "/certificates/"+certificate)
		if err != nil {
			return err
		}
		if strings.Contains(p.body, `>Revoked</span>`) {
			return nil
		}
		pause(ctx, 50e6)
	}
	return fmt.Errorf("certificate %s is not revoked yet", certificate)
}

// evidence closes the story (HCA-3.3).
func (s *Story) evidence() scene {
	file := s.st.Path("evidence.zip")
	return scene{"The evidence of one enrolment, years later", []act{
		{"certwindow evidence writes one zip", func(ctx context.Context) (string, error) {
			_, err := s.st.Run(ctx, "certwindow", "evidence", "--config", s.st.Config(), "--application", s.hsmCert.application, "--out", file)
			return filepath.Base(file), err
		}},
		{"certwindow verify evidence proves it from the pinned anchors and the window's certificate", func(ctx context.Context) (string, error) {
			out, err := s.st.Run(ctx, "certwindow", "verify", "evidence", "--in", file, "--anchors", s.st.Path("hca/root.pem"),
				"--window-cert", s.st.Path("dedicated.pem"), "--json")
			if err != nil {
				return "", err
			}
			var r struct{ Valid bool }
			if err := json.Unmarshal(out, &r); err != nil || !r.Valid {
				return "", fmt.Errorf("verify evidence said %s (%v)", out, err)
			}
			return "valid", nil
		}},
		{"openssl cms -verify proves the card's message inside", s.opensslEvidence},
	}}
}

func (s *Story) opensslEvidence(ctx context.Context) (string, error) {
	dir := s.st.Path("evidence")
	if err := unzip(s.st.Path("evidence.zip"), dir); err != nil {
		return "", err
	}
	pinned, err := s.pinned()
	if err != nil {
		return "", err
	}
	text := filepath.Join(dir, "shown.txt")
	if _, err := s.st.Run(ctx, "openssl", "cms", "-verify", "-inform", "DER", "-in", filepath.Join(dir, "message.p7"), "-CAfile", pinned,
		"-purpose", "any", "-binary", "-out", text); err != nil {
		return "", err
	}
	signed, err := os.ReadFile(text)
	if err != nil {
		return "", err
	}
	issued, err := os.ReadFile(filepath.Join(dir, "text.txt"))
	if err != nil {
		return "", err
	}
	if string(signed) != string(issued) {
		return "", fmt.Errorf("what the card signed is not what the window issued")
	}
	first, _, _ := strings.Cut(string(signed), "\n")
	return first, nil
}

// pinned is one file with the CA certificates that are trusted by configuration.
func (s *Story) pinned() (string, error) {
	var all []byte
	for _, name := range []string{"hca/root.pem", "hca/ca.pem"} {
		raw, err := os.ReadFile(s.st.Path(name))
		if err != nil {
			return "", err
		}
		all = append(all, raw...)
	}
	return s.st.Path("pinned.pem"), os.WriteFile(s.st.Path("pinned.pem"), all, 0o600)
}

func unzip(file, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	r, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			return err
		}
		raw, err := io.ReadAll(io.LimitReader(in, 16<<20))
		in.Close()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Name)), raw, 0o600); err != nil {
			return err
		}
	}
	return nil
}
