package main

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"strconv"
	"strings"

	"certwindow/devices/card"
	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/ra/cms"
)

// module lets the protocol use a PKCS#11 library.
type module struct{ m *p11.Module }

// moduleError carries the CK_RV over to the protocol's own type.
func moduleError(err error) error {
	var e *p11.Error
	if errors.As(err, &e) {
		return errors.Join(err, &card.ModuleError{Op: e.Op, RV: e.RV})
	}
	return err
}

func (m module) Info() (card.ModuleInfo, error) {
	i, err := m.m.Info()
	return card.ModuleInfo{
		CryptokiVersion: card.Version(i.CryptokiVersion), LibraryVersion: card.Version(i.LibraryVersion),
		Description: i.Description, Manufacturer: i.Manufacturer,
	}, moduleError(err)
}

func (m module) Slots() ([]card.Slot, error) {
	found, err := m.m.Slots()
	if err != nil {
		return nil, moduleError(err)
	}
	slots := make([]card.Slot, len(found))
	for i, s := range found {
		slots[i] = card.Slot{
			ID: s.ID, Description: s.Description, Manufacturer: s.Manufacturer, Flags: s.Flags, Present: s.TokenPresent,
			HardwareVersion: card.Version(s.HardwareVersion), FirmwareVersion: card.Version(s.FirmwareVersion),
		}
		if blank(s.Token) {
			slots[i].Present = false
			continue
		}
		if t := s.Token; t != nil {
			slots[i].Token = &card.Token{
				Label: t.Label, Manufacturer: t.Manufacturer, Model: t.Model, Serial: t.Serial, Flags: t.Flags,
				MinPIN: t.MinPIN, MaxPIN: t.MaxPIN,
				HardwareVersion: card.Version(t.HardwareVersion), FirmwareVersion: card.Version(t.FirmwareVersion),
			}
		}
	}
	return slots, nil
}

// initialized is CKF_TOKEN_INITIALIZED.
const initialized = 0x400

// blank tells whether a token was never personalised: it is nobody's card, and a reader that holds it counts as empty.
func blank(t *p11.TokenInfo) bool { return t != nil && t.Flags&initialized == 0 }

func (m module) Open(slotID uint) (card.Session, error) {
	s, err := m.m.OpenSlot(slotID)
	if err != nil {
		return nil, moduleError(err)
	}
	return session{s}, nil
}

// session lets the protocol use a session with a card.
type session struct{ s *p11.CardSession }

func (s session) Certificates() ([]card.Certificate, error) {
	found, err := s.s.Certificates()
	if err != nil {
		return nil, moduleError(err)
	}
	certs := make([]card.Certificate, len(found))
	for i, c := range found {
		certs[i] = card.Certificate(c)
	}
	return certs, nil
}

func (s session) PublicKeys() ([]card.PublicKey, error) {
	found, err := s.s.PublicKeys()
	if err != nil {
		return nil, moduleError(err)
	}
	keys := make([]card.PublicKey, len(found))
	for i, k := range found {
		keys[i] = card.PublicKey(k)
	}
	return keys, nil
}

func (s session) Login(pin card.PIN) error {
	secret := hsm.NewSecret(pin.Bytes())
	defer secret.Destroy()
	return moduleError(s.s.Login(secret))
}

func (s session) Signer(id []byte) (crypto.Signer, error) {
	signer, err := s.s.Signer(id)
	return signer, moduleError(err)
}

func (s session) Close() error { return moduleError(s.s.Close()) }

// signCMS makes the message with the project's own CMS.
func signCMS(in card.CMSInput) ([]byte, error) {
	o := cms.SignOptions{SigningTime: in.SigningTime, Hash: in.Hash}
	for _, a := range in.Attributes {
		oid, err := parseOID(a.OID)
		if err != nil {
			return nil, err
		}
		o.Attributes = append(o.Attributes, cms.Attribute{OID: oid, Value: a.Value})
	}
	der, err := cms.Sign(in.Content, in.Signer, in.Certificate, o)
	return der, moduleError(err)
}

func parseOID(dotted string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(dotted, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, err
		}
		oid = append(oid, n)
	}
	return oid, nil
}
