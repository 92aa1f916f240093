package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"flag"
	"fmt"
	"os"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/ra/hca/hcasim"
)

// Labels of the objects on a card, as cards of the government PKI have them.
const (
	labelSign    = "cert1"
	labelEncrypt = "cert2"
	labelCA      = "CA Cert"
	labelRoot    = "ROOT CA Cert"
)

// cardFlags is whom a card is for and where it is made.
type cardFlags struct {
	dir, module, token, pinFile, soPINFile, name, serial, kind, out string
}

func setupCard(fs *flag.FlagSet) func(context.Context, output) error {
	var c cardFlags
	fs.StringVar(&c.dir, "dir", "", "the simulator's directory")
	fs.StringVar(&c.module, "module", "", "PKCS#11 library")
	fs.StringVar(&c.token, "token", "", "label of the token to make; must be new")
	fs.StringVar(&c.pinFile, "pin-file", "", "file with the card's PIN")
	fs.StringVar(&c.soPINFile, "so-pin-file", "", "file with the security officer's PIN")
	fs.StringVar(&c.name, "name", "", "name of the holder")
	fs.StringVar(&c.serial, "serial", "", "subject serialNumber: 16 digits, or the institution code")
	fs.StringVar(&c.kind, "kind", "", "person or institution")
	fs.StringVar(&c.out, "out", "", "also write the signing certificate to this file, PEM")
	return c.make
}

// make initialises the token, makes both key pairs in it, and puts four certificates beside them.
func (c *cardFlags) make(ctx context.Context, out output) error {
	kind := hcasim.Kind(c.kind)
	if kind != hcasim.Person && kind != hcasim.Institution {
		return usagef("--kind is person or institution")
	}
	pin, err := hsm.ReadSecretFile(c.pinFile)
	if err != nil {
		return usagef("%v", err)
	}
	defer pin.Destroy()
	soPIN, err := hsm.ReadSecretFile(c.soPINFile)
	if err != nil {
		return usagef("%v", err)
	}
	defer soPIN.Destroy()
	sim, err := hcasim.Open(hcasim.Options{Dir: c.dir})
	if err != nil {
		return err
	}
	defer sim.Close()
	if err := p11.InitToken(c.module, c.token, soPIN, pin); err != nil {
		return err
	}
	token, err := p11.Open(ctx, p11.Config{Module: c.module, TokenLabel: c.token, PIN: pin, Sessions: 1})
	if err != nil {
		return err
	}
	defer token.Close()
	number, err := sim.NewCardNumber()
	if err != nil {
		return err
	}
	issue := func(pub crypto.PublicKey) (*x509.Certificate, error) {
		return sim.IssueCardCertificate(pub, c.name, c.serial, kind, number)
	}
	cert, err := personalise(ctx, token, labelSign, issue)
	if err != nil {
		return err
	}
	_, err = personalise(ctx, token, labelEncrypt, func(pub crypto.PublicKey) (*x509.Certificate, error) {
		return sim.IssueEncryptionCertificate(pub, c.name, c.serial, kind, number)
	})
	if err != nil {
		return err
	}
	if err := token.ImportCertificate(ctx, labelCA, sim.CA().Raw); err != nil {
		return err
	}
	if err := token.ImportCertificate(ctx, labelRoot, sim.Root().Raw); err != nil {
		return err
	}
	if c.out != "" {
		if err := os.WriteFile(c.out, hcasim.PEM(cert), 0o644); err != nil {
			return err
		}
	}
	return out.print(map[string]string{"token": c.token, "card_number": number, "certificate_serial": cert.SerialNumber.Text(16), "holder": c.serial})
}

// personalise makes a key pair and stores the certificate that is issued for it.
func personalise(ctx context.Context, token *p11.Token, label string, issue func(crypto.PublicKey) (*x509.Certificate, error)) (*x509.Certificate, error) {
	key, err := token.GenerateKeyPair(ctx, label, hsm.RSA2048)
	if err != nil {
		return nil, fmt.Errorf("key pair %s: %w", label, err)
	}
	cert, err := issue(key.Public())
	if err != nil {
		return nil, err
	}
	return cert, token.ImportCertificate(ctx, label, cert.Raw)
}
