package p11

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"sync"

	"certwindow/hsm"

	"github.com/miekg/pkcs11"
)

// CardCertificate is a certificate on a card; its ID leads to its key.
type CardCertificate struct {
	ID    []byte
	Label string
	DER   []byte
}

// CardPublicKey is a public key object on a card.
type CardPublicKey struct {
	ID    []byte
	Label string
	Key   crypto.PublicKey
}

// CardSession is one session with the card in one slot. Its calls follow one another, whatever goroutine makes
// them. Every error of a call while the slot is empty is ErrRemoved.
type CardSession struct {
	mod  *Module
	slot uint

	mu       sync.Mutex
	s        *session
	pin      hsm.Secret // kept for keys that ask at every signature (CKA_ALWAYS_AUTHENTICATE)
	loggedIn bool
}

// OpenSlot opens a session with the card in a slot. It logs nobody in.
func (m *Module) OpenSlot(slotID uint) (*CardSession, error) {
	c := &CardSession{mod: m, slot: slotID, s: &session{ctx: m.ctx}}
	h, err := m.ctx.OpenSession(slotID, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return nil, c.removal(wrap("C_OpenSession", err))
	}
	c.s.h, c.s.open = h, true
	return c, nil
}

// removal turns any error into ErrRemoved while the slot is empty; the CK_RV stays readable with RV.
func (c *CardSession) removal(err error) error {
	if err == nil || errors.Is(err, ErrRemoved) {
		return err
	}
	if i, serr := c.mod.ctx.GetSlotInfo(c.slot); serr != nil || i.Flags&pkcs11.CKF_TOKEN_PRESENT == 0 {
		return fmt.Errorf("%w: %w", ErrRemoved, err)
	}
	return err
}

// Close logs out and ends the session; the PIN that was kept is wiped.
func (c *CardSession) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pin.Destroy()
	if !c.s.open {
		return nil
	}
	c.s.open = false
	if c.loggedIn {
		c.s.ctx.Logout(c.s.h) // a pulled card has logged out already
		c.loggedIn = false
	}
	return wrap("C_CloseSession", c.s.ctx.CloseSession(c.s.h))
}

// Login checks the PIN with the card. Where this process is logged in to the card already, it is logged out first,
// so that success always means that this PIN was right. An empty PIN asks a reader with its own key pad.
func (c *CardSession) Login(pin hsm.Secret) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := wrap("C_Login", c.s.ctx.Login(c.s.h, pkcs11.CKU_USER, string(pin.Bytes())))
	if RV(err) == pkcs11.CKR_USER_ALREADY_LOGGED_IN {
		if err = wrap("C_Logout", c.s.ctx.Logout(c.s.h)); err == nil {
			err = wrap("C_Login", c.s.ctx.Login(c.s.h, pkcs11.CKU_USER, string(pin.Bytes())))
		}
	}
	if err != nil {
		return c.removal(err)
	}
	c.pin.Destroy()
	c.pin, c.loggedIn = hsm.NewSecret(pin.Bytes()), true
	return nil
}

// Certificates reads every certificate of the card.
func (c *CardSession) Certificates() ([]CardCertificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, err := c.s.certificates()
	if err != nil {
		return nil, c.removal(err)
	}
	all := make([]CardCertificate, len(found))
	for i, f := range found {
		all[i] = CardCertificate{ID: f.ID, Label: f.Label, DER: f.DER}
	}
	return all, nil
}

// PublicKeys reads the public keys of the card; those of kinds that this program does not use are left out.
func (c *CardSession) PublicKeys() ([]CardPublicKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hs, err := c.s.find(attr(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY))
	if err != nil {
		return nil, c.removal(err)
	}
	var all []CardPublicKey
	for _, h := range hs {
		pub, err := c.s.publicKey(h)
		if errors.Is(err, hsm.ErrUnsupported) {
			continue
		}
		if err != nil {
			return nil, c.removal(err)
		}
		id, err := c.s.optional(h, pkcs11.CKA_ID)
		if err != nil {
			return nil, c.removal(err)
		}
		label, err := c.s.optional(h, pkcs11.CKA_LABEL)
		if err != nil {
			return nil, c.removal(err)
		}
		all = append(all, CardPublicKey{ID: id, Label: string(label), Key: pub})
	}
	return all, nil
}

// Signer returns the private key of an ID, after Login. Its public half is read from the certificate of that ID, or
// from the public key object where there is no certificate.
func (c *CardSession) Signer(id []byte) (crypto.Signer, error) {
	if len(id) == 0 {
		return nil, errors.New("p11: no key ID")
	}
	pub, err := c.publicByID(id)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	hs, err := c.s.find(attr(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), attr(pkcs11.CKA_ID, id))
	if err != nil {
		return nil, c.removal(err)
	}
	if len(hs) != 1 {
		return nil, c.removal(fmt.Errorf("%w: %d private keys with ID %x on the card", hsm.ErrNotFound, len(hs), id))
	}
	always, err := c.s.optional(hs[0], pkcs11.CKA_ALWAYS_AUTHENTICATE)
	if err != nil {
		return nil, c.removal(err)
	}
	return &cardSigner{card: c, key: hs[0], pub: pub, always: len(always) == 1 && always[0] != 0}, nil
}

func (c *CardSession) publicByID(id []byte) (crypto.PublicKey, error) {
	certs, err := c.Certificates()
	if err != nil {
		return nil, err
	}
	for _, cert := range certs {
		if bytes.Equal(cert.ID, id) {
			return publicFromCertificate(cert.DER)
		}
	}
	keys, err := c.PublicKeys()
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if bytes.Equal(k.ID, id) {
			return k.Key, nil
		}
	}
	return nil, fmt.Errorf("%w: no public key with ID %x on the card", hsm.ErrNotFound, id)
}

// cardSigner signs with a private key of a card.
type cardSigner struct {
	card   *CardSession
	key    pkcs11.ObjectHandle
	pub    crypto.PublicKey
	always bool
}

// Public is the key of the card's certificate.
func (k *cardSigner) Public() crypto.PublicKey { return k.pub }

// Sign makes one signature on the card.
func (k *cardSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	op, err := prepare(k.pub, digest, opts)
	if err != nil {
		return nil, err
	}
	c := k.card
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.s.ctx.SignInit(c.s.h, []*pkcs11.Mechanism{op.mechanism}, k.key); err != nil {
		return nil, c.removal(wrap("C_SignInit", err))
	}
	if k.always {
		if err := c.s.ctx.Login(c.s.h, pkcs11.CKU_CONTEXT_SPECIFIC, string(c.pin.Bytes())); err != nil {
			return nil, c.removal(wrap("C_Login (context specific)", err))
		}
	}
	raw, err := c.s.ctx.Sign(c.s.h, op.input)
	if err != nil {
		return nil, c.removal(wrap("C_Sign", err))
	}
	return op.finish(raw)
}
