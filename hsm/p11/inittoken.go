package p11

import (
	"errors"
	"fmt"

	"certwindow/hsm"

	"github.com/miekg/pkcs11"
)

// minPIN is the shortest PIN that a new token is given, in bytes.
const minPIN = 4

// InitToken makes a token in a free slot and sets both PINs. It never touches a slot whose token is initialized,
// and refuses a label that is in use (hsm.ErrExists).
func InitToken(module, label string, soPIN, userPIN hsm.Secret) error {
	if label == "" || len(label) > 32 {
		return errors.New("p11: a token's label has 1 to 32 bytes")
	}
	if soPIN.Len() < minPIN || userPIN.Len() < minPIN {
		return fmt.Errorf("p11: the PINs of a token have at least %d bytes", minPIN)
	}
	mod, err := LoadModule(module)
	if err != nil {
		return err
	}
	defer mod.Close()
	slot, err := mod.freeSlot(label)
	if err != nil {
		return err
	}
	if err := wrap("C_InitToken", mod.ctx.InitToken(slot, string(soPIN.Bytes()), label)); err != nil {
		return err
	}
	// The new token may be in another slot now.
	made, err := mod.slotByLabel(label)
	if err != nil {
		return err
	}
	h, err := mod.ctx.OpenSession(made.ID, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return wrap("C_OpenSession", err)
	}
	defer mod.ctx.CloseSession(h)
	if err := wrap("C_Login (security officer)", mod.ctx.Login(h, pkcs11.CKU_SO, string(soPIN.Bytes()))); err != nil {
		return err
	}
	err = wrap("C_InitPIN", mod.ctx.InitPIN(h, string(userPIN.Bytes())))
	return errors.Join(err, wrap("C_Logout", mod.ctx.Logout(h)))
}

// freeSlot finds a slot that holds an uninitialized token, after making sure that no token has the label.
func (m *Module) freeSlot(label string) (uint, error) {
	slots, err := m.Slots()
	if err != nil {
		return 0, err
	}
	free, found := uint(0), false
	for _, s := range slots {
		switch {
		case s.Token == nil:
		case s.Token.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0:
			free, found = s.ID, true
		case s.Token.Label == label:
			return 0, fmt.Errorf("%w: token %q", hsm.ErrExists, label)
		}
	}
	if !found {
		return 0, errors.New("p11: the module has no free slot for a new token")
	}
	return free, nil
}

// HasToken says whether the module has an initialized token of that label.
func HasToken(module, label string) (bool, error) {
	mod, err := LoadModule(module)
	if err != nil {
		return false, err
	}
	defer mod.Close()
	_, err = mod.slotByLabel(label)
	if RV(err) == pkcs11.CKR_TOKEN_NOT_PRESENT {
		return false, nil
	}
	return err == nil, err
}
