package p11_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/p11/p11test"
)

// selfSigned is a certificate for a key of the token, signed by it.
func selfSigned(t testing.TB, name string, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(2_000_000_000, 0),
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// cardInSlot makes a token look like a card: an RSA key pair and its certificate, nobody logged in.
func cardInSlot(t testing.TB) (*p11.Module, p11.SlotInfo, []byte) {
	t.Helper()
	p := p11test.Prepare(t)
	ctx := context.Background()
	tok, err := p11.Open(ctx, p.Config())
	if err != nil {
		t.Fatal(err)
	}
	key, err := tok.GenerateKeyPair(ctx, "sign", hsm.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	der := selfSigned(t, "林醫師", key)
	if err := errors.Join(tok.ImportCertificate(ctx, "sign", der), tok.Close()); err != nil {
		t.Fatal(err)
	}
	m, err := p11.LoadModule(p.Module)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	slots, err := m.Slots()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slots {
		if s.Token != nil && s.Token.Label == p.Label {
			return m, s, der
		}
	}
	t.Fatal("the card is in no slot")
	return nil, p11.SlotInfo{}, nil
}

// TestCard is what a card agent does: read without a PIN, be told of a wrong one, sign after the right one.
func TestCard(t *testing.T) {
	m, slot, der := cardInSlot(t)
	if slot.Token.MinPIN == 0 || slot.Token.MaxPIN < slot.Token.MinPIN || slot.Token.Serial == "" || !slot.TokenPresent {
		t.Errorf("slot %+v, token %+v", slot, slot.Token)
	}
	c, err := m.OpenSlot(slot.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	certs, err := c.Certificates()
	if err != nil || len(certs) != 1 || !bytes.Equal(certs[0].DER, der) || certs[0].Label != "sign" {
		t.Fatalf("%d certificates, %v", len(certs), err)
	}
	keys, err := c.PublicKeys()
	if err != nil || len(keys) != 1 || !bytes.Equal(keys[0].ID, certs[0].ID) {
		t.Fatalf("%d public keys, %v", len(keys), err)
	}
	if _, err := c.Signer(certs[0].ID); err == nil {
		t.Error("a private key without the PIN")
	}
	right := hsm.NewSecret([]byte(p11test.UserPIN))
	for range 2 { // logged in once, a wrong PIN is a wrong PIN all the same
		if err := c.Login(hsm.NewSecret([]byte("7654321"))); p11.RV(err) != p11.RVPINIncorrect || errors.Is(err, p11.ErrRemoved) {
			t.Errorf("a wrong PIN: %v", err)
		}
		if err := c.Login(right); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Signer(certs[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	signOnce(t, s)
	if _, err := s.Sign(nil, make([]byte, 20), crypto.SHA1); !errors.Is(err, hsm.ErrUnsupported) {
		t.Errorf("SHA-1: %v", err)
	}
	if _, err := c.Signer([]byte("no such key")); !errors.Is(err, hsm.ErrNotFound) {
		t.Errorf("another ID: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(nil, make([]byte, 32), crypto.SHA256); err == nil {
		t.Error("a closed session signs")
	}
	if right.Len() == 0 {
		t.Error("the caller's PIN was wiped")
	}
}

// TestCardRemoved: whatever a module calls it, a failure with nothing in the slot is a removal.
func TestCardRemoved(t *testing.T) {
	m, slot, _ := cardInSlot(t)
	_, err := m.OpenSlot(slot.ID ^ 0x55)
	if !errors.Is(err, p11.ErrRemoved) || p11.RV(err) == 0 {
		t.Errorf("an empty slot: %v", err)
	}
}

func TestCertificateObjects(t *testing.T) {
	tok := p11test.Token(t)
	ctx := context.Background()
	key, err := tok.GenerateKeyPair(ctx, "dedicated", hsm.P256)
	if err != nil {
		t.Fatal(err)
	}
	other, err := tok.GenerateKeyPair(ctx, "other", hsm.P256)
	if err != nil {
		t.Fatal(err)
	}
	der := selfSigned(t, "窗口", key)
	for range 2 {
		if err := tok.ImportCertificate(ctx, "dedicated", der); err != nil {
			t.Fatal(err)
		}
	}
	if err := tok.ImportCertificate(ctx, "dedicated", selfSigned(t, "x", other)); err == nil {
		t.Error("a certificate for another key was stored")
	}
	if err := tok.ImportCertificate(ctx, "dedicated", []byte("x")); err == nil {
		t.Error("something that is no certificate was stored")
	}
	next := selfSigned(t, "next", key)
	if err := tok.ImportCertificate(ctx, "dedicated", next); err != nil {
		t.Fatal(err)
	}
	if all, err := tok.Certificates(ctx); err != nil || len(all) != 1 || !bytes.Equal(all[0].DER, next) {
		t.Errorf("%d certificates, %v", len(all), err)
	}
	if err := tok.DestroyKeyPair(ctx, "dedicated"); err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Signer(ctx, "dedicated"); !errors.Is(err, hsm.ErrNotFound) {
		t.Errorf("after its destruction: %v", err)
	}
	if _, err := key.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, hsm.ErrNotFound) {
		t.Errorf("a destroyed key signs: %v", err)
	}
	if err := tok.DestroyKeyPair(ctx, p11.MACLabel); !errors.Is(err, hsm.ErrNotFound) {
		t.Errorf("the MAC key as a key pair: %v", err)
	}
	signOnce(t, other)
}
