package p11

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"certwindow/hsm"

	"github.com/miekg/pkcs11"
)

// ComponentSize is the length of a custodian's component in bytes: an AES-256 key of its own.
const ComponentSize = 32

// Admin opens a token with both of its PINs, for a ceremony. No other session of this process may be logged in to
// the token meanwhile: PKCS#11 allows one user at a time.
type Admin struct {
	Module     string
	TokenLabel string
	SOPIN      hsm.Secret
	UserPIN    hsm.Secret
}

// MasterSpec says what CreateMaster makes from the components of one generation.
type MasterSpec struct {
	Generation int
	Components []hsm.Secret // of ComponentSize bytes, two or more; their order counts
	Master     bool         // make the master key; it must not exist
	Rollover   bool         // make the rollover object (see Token.Rewrap)
	MACBackup  []byte       // restore the MAC key from what ExportMACKey gave; it must not exist
	// Confirm, where it is set, sees the check values before anything is stored; its error stops everything.
	Confirm func(MasterResult) error
}

// MasterResult holds the key check values, three bytes in hexadecimal, as the module computed them.
type MasterResult struct {
	ComponentChecks []string
	MasterCheck     string
}

// CreateMaster makes the master key of a generation from its components (HCA-6.3.2). The components are joined
// inside the token by a chain of derivations, K1 = C1, Ki = AES-K(i-1)(Ci): every component is needed, and none
// alone says anything of the result.
//
// The security officer derives the key, because only that role may mark a key trusted; the user then copies it into
// the token as a private object that cannot be modified. It wraps and unwraps with AES key wrap, nothing else, and
// what it unwraps is never extractable.
func CreateMaster(ctx context.Context, a Admin, spec MasterSpec) (MasterResult, error) {
	if err := spec.validate(); err != nil {
		return MasterResult{}, err
	}
	if err := ctx.Err(); err != nil {
		return MasterResult{}, err
	}
	mod, err := LoadModule(a.Module)
	if err != nil {
		return MasterResult{}, err
	}
	defer mod.Close()
	slot, err := mod.slotByLabel(a.TokenLabel)
	if err != nil {
		return MasterResult{}, err
	}
	h, err := mod.ctx.OpenSession(slot.ID, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return MasterResult{}, wrap("C_OpenSession", err)
	}
	defer mod.ctx.CloseSession(h) // destroys what is left of session objects, and logs out
	m := maker{s: &session{ctx: mod.ctx, h: h, open: true}, spec: spec}
	if err := wrap("C_Login (security officer)", mod.ctx.Login(h, pkcs11.CKU_SO, string(a.SOPIN.Bytes()))); err != nil {
		return MasterResult{}, err
	}
	err = m.derive()
	if err := errors.Join(err, wrap("C_Logout", mod.ctx.Logout(h))); err != nil {
		return MasterResult{}, err
	}
	if err := wrap("C_Login", mod.ctx.Login(h, pkcs11.CKU_USER, string(a.UserPIN.Bytes()))); err != nil {
		return MasterResult{}, err
	}
	if err := m.check(); err != nil {
		return MasterResult{}, err
	}
	if err := m.store(); err != nil {
		return MasterResult{}, err
	}
	return m.result, nil
}

func (spec MasterSpec) validate() error {
	if spec.Generation < 1 || spec.Generation > MaxGeneration {
		return fmt.Errorf("p11: generation %d is not between 1 and %d", spec.Generation, MaxGeneration)
	}
	if len(spec.Components) < 2 || len(spec.Components) > 16 {
		return fmt.Errorf("p11: %d components; a master key has two to sixteen (HCA-6.3.2)", len(spec.Components))
	}
	for i, c := range spec.Components {
		if c.Len() != ComponentSize {
			return fmt.Errorf("p11: component %d has %d bytes, not %d", i+1, c.Len(), ComponentSize)
		}
	}
	if !spec.Master && !spec.Rollover {
		return errors.New("p11: nothing to make")
	}
	return nil
}

// maker is one run of CreateMaster: the objects of its session, and what is known of them.
type maker struct {
	s        *session
	spec     MasterSpec
	master   pkcs11.ObjectHandle
	rollover pkcs11.ObjectHandle
	result   MasterResult
}

// derive makes both session objects from the components, as the security officer.
func (m *maker) derive() error {
	var base pkcs11.ObjectHandle
	for i, c := range m.spec.Components {
		h, err := m.s.ctx.CreateObject(m.s.h, append(chainTemplate(), attr(pkcs11.CKA_VALUE, c.Bytes())))
		if err != nil {
			return wrap("C_CreateObject (component)", err)
		}
		check, err := m.s.checkValue(h)
		if err != nil {
			return err
		}
		m.result.ComponentChecks = append(m.result.ComponentChecks, check)
		switch last := len(m.spec.Components) - 1; {
		case i == 0:
			base = h
			continue
		case i < last:
			next, err := m.s.deriveFrom(base, c, append(chainTemplate(), attr(pkcs11.CKA_VALUE_LEN, 32)))
			if err != nil {
				return err
			}
			m.s.discard(base)
			base = next
		default:
			if err := m.deriveLast(base, c); err != nil {
				return err
			}
			m.s.discard(base)
		}
		m.s.discard(h)
	}
	var err error
	m.result.MasterCheck, err = m.s.checkValue(m.master)
	return err
}

func (m *maker) deriveLast(base pkcs11.ObjectHandle, c hsm.Secret) error {
	var p runtime.Pinner
	defer p.Unpin()
	var err error
	m.master, err = m.s.deriveFrom(base, c, append(trustedTemplate(generationLabel(masterPrefix, m.spec.Generation), true),
		unwrapTemplate(&p, attr(pkcs11.CKA_SENSITIVE, true), attr(pkcs11.CKA_EXTRACTABLE, false))))
	if err != nil {
		return err
	}
	m.rollover, err = m.s.deriveFrom(base, c, append(trustedTemplate(generationLabel(rolloverPrefix, m.spec.Generation), false),
		unwrapTemplate(&p, attr(pkcs11.CKA_SENSITIVE, true), attr(pkcs11.CKA_WRAP_WITH_TRUSTED, true))))
	return err
}

func (s *session) deriveFrom(base pkcs11.ObjectHandle, c hsm.Secret, template []*pkcs11.Attribute) (pkcs11.ObjectHandle, error) {
	var p runtime.Pinner
	defer p.Unpin()
	mechanism := pkcs11.NewMechanism(pkcs11.CKM_AES_ECB_ENCRYPT_DATA, encryptDataParams(&p, c.Bytes()))
	h, err := s.ctx.DeriveKey(s.h, []*pkcs11.Mechanism{mechanism}, base, template)
	return h, wrap("C_DeriveKey", err)
}

// chainTemplate is a key on the way to the master key: it derives the next one, and nothing else.
func chainTemplate() []*pkcs11.Attribute {
	return append(sessionSecret(),
		attr(pkcs11.CKA_DERIVE, true),
		attr(pkcs11.CKA_WRAP, false),
		attr(pkcs11.CKA_UNWRAP, false),
		allowMechanisms(pkcs11.CKM_AES_ECB_ENCRYPT_DATA),
	)
}

// trustedTemplate is the master key (wraps) or its rollover object (unwraps only).
func trustedTemplate(label string, wraps bool) []*pkcs11.Attribute {
	return append(sessionSecret(),
		attr(pkcs11.CKA_VALUE_LEN, 32),
		attr(pkcs11.CKA_LABEL, label),
		attr(pkcs11.CKA_ID, objectID(label)),
		attr(pkcs11.CKA_TRUSTED, true),
		attr(pkcs11.CKA_WRAP, wraps),
		attr(pkcs11.CKA_UNWRAP, true),
		attr(pkcs11.CKA_DERIVE, false),
		allowMechanisms(pkcs11.CKM_AES_KEY_WRAP_PAD),
	)
}

// sessionSecret is an AES key that dies with the session. The security officer may not make private objects; nobody
// else shares the session's process during a ceremony.
func sessionSecret() []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		attr(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		attr(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		attr(pkcs11.CKA_TOKEN, false),
		attr(pkcs11.CKA_PRIVATE, false),
		attr(pkcs11.CKA_SENSITIVE, true),
		attr(pkcs11.CKA_EXTRACTABLE, false),
		attr(pkcs11.CKA_ENCRYPT, false),
		attr(pkcs11.CKA_DECRYPT, false),
		attr(pkcs11.CKA_SIGN, false),
		attr(pkcs11.CKA_VERIFY, false),
	}
}

// check refuses, as the user, what exists already or does not fit, before anything is stored.
func (m *maker) check() error {
	exists := func(label string) (pkcs11.ObjectHandle, error) { return m.s.findTrusted(label) }
	old, err := exists(generationLabel(masterPrefix, m.spec.Generation))
	switch {
	case err == nil && m.spec.Master:
		return fmt.Errorf("%w: master key of generation %d", hsm.ErrExists, m.spec.Generation)
	case err == nil:
		check, err := m.s.checkValue(old)
		if err != nil {
			return err
		}
		if check != m.result.MasterCheck {
			return fmt.Errorf("p11: the components make a key with check value %s, but generation %d has %s",
				m.result.MasterCheck, m.spec.Generation, check)
		}
	case !errors.Is(err, hsm.ErrNotFound):
		return err
	}
	if m.spec.Rollover {
		if _, err := exists(generationLabel(rolloverPrefix, m.spec.Generation)); !errors.Is(err, hsm.ErrNotFound) {
			return errors.Join(fmt.Errorf("%w: rollover object of generation %d", hsm.ErrExists, m.spec.Generation), err)
		}
	}
	if m.spec.MACBackup != nil {
		if err := m.s.refuseExisting(MACLabel); err != nil {
			return err
		}
	}
	if m.spec.Confirm != nil {
		return m.spec.Confirm(m.result)
	}
	return nil
}

// store copies what was asked for into the token; when a later step fails, the earlier ones are taken back.
func (m *maker) store() (err error) {
	var made []pkcs11.ObjectHandle
	defer func() {
		if err != nil {
			for _, h := range made {
				err = errors.Join(err, wrap("C_DestroyObject", m.s.ctx.DestroyObject(m.s.h, h)))
			}
		}
	}()
	keep := func(h pkcs11.ObjectHandle) error {
		c, err := m.s.ctx.CopyObject(m.s.h, h, []*pkcs11.Attribute{
			attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_PRIVATE, true), attr(pkcs11.CKA_MODIFIABLE, false),
		})
		if err != nil {
			return wrap("C_CopyObject", err)
		}
		made = append(made, c)
		return nil
	}
	if m.spec.MACBackup != nil {
		h, err := m.s.ctx.UnwrapKey(m.s.h, keyWrap, m.rollover, m.spec.MACBackup, macTemplate(MACLabel))
		if err != nil {
			return wrap("C_UnwrapKey (MAC key)", err)
		}
		made = append(made, h)
	}
	if m.spec.Master {
		if err := keep(m.master); err != nil {
			return err
		}
	}
	if m.spec.Rollover {
		return keep(m.rollover)
	}
	return nil
}
