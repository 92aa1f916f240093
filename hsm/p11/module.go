// Package p11 talks to PKCS#11 modules: hardware security modules through Token, which keeps a pool of logged-in
// sessions, and cards in readers through Module and CardSession. Handles never leave it; keys are crypto.Signers.
//
// It is the only package that imports the PKCS#11 binding.
package p11

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/miekg/pkcs11"
)

// Version is a PKCS#11 CK_VERSION.
type Version struct{ Major, Minor byte }

// String is "major.minor", as the PKCS#11 standard writes versions.
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// ModuleInfo is what C_GetInfo says of the library.
type ModuleInfo struct {
	Manufacturer    string
	Description     string
	LibraryVersion  Version
	CryptokiVersion Version
}

// SlotInfo is one reader, or one partition of a module, and what is in it.
type SlotInfo struct {
	ID              uint
	Description     string
	Manufacturer    string
	Flags           uint
	HardwareVersion Version
	FirmwareVersion Version
	TokenPresent    bool
	Token           *TokenInfo // nil when the slot is empty or its card cannot be read
}

// TokenInfo is a card or a token.
type TokenInfo struct {
	Label           string
	Manufacturer    string
	Model           string
	Serial          string
	Flags           uint
	MinPIN, MaxPIN  uint // bytes
	HardwareVersion Version
	FirmwareVersion Version
}

// Module is a loaded PKCS#11 library. C_Initialize runs once for each path in a process, and C_Finalize when the
// last user of it closes; both belong to the process, not to one caller, by the standard.
type Module struct {
	ctx    *pkcs11.Ctx
	path   string
	shared *shared
	once   sync.Once
}

// loaded is what the process has loaded: the library's state is the process's, whoever opened it.
var loaded = struct {
	sync.Mutex
	modules map[string]*shared
}{modules: map[string]*shared{}}

type shared struct {
	ctx   *pkcs11.Ctx
	users int
	// initialized is false where somebody else's code in this process did it: then finalizing is not ours.
	initialized bool
	// epoch counts how often the library was initialized again: handles of an earlier epoch may by now be the
	// numbers of something else, and must not be used.
	epoch atomic.Uint64
}

// LoadModule loads the library at path, or shares it when it is loaded already. Close it after use.
func LoadModule(path string) (*Module, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("p11: module: %w", err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return nil, fmt.Errorf("p11: module: %w", err)
	}
	loaded.Lock()
	defer loaded.Unlock()
	s := loaded.modules[real]
	if s == nil {
		ctx := pkcs11.New(real)
		if ctx == nil {
			return nil, fmt.Errorf("p11: %s is not a PKCS#11 module that can be loaded", real)
		}
		s = &shared{ctx: ctx}
		switch err := wrap("C_Initialize", ctx.Initialize()); {
		case err == nil:
			s.initialized = true
		case RV(err) != pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED:
			ctx.Destroy()
			return nil, err
		}
		loaded.modules[real] = s
	}
	s.users++
	return &Module{ctx: s.ctx, path: real, shared: s}, nil
}

// Close gives up this use of the library; the last one finalizes and unloads it.
func (m *Module) Close() error {
	var err error
	m.once.Do(func() {
		loaded.Lock()
		defer loaded.Unlock()
		s := loaded.modules[m.path]
		if s.users--; s.users > 0 {
			return
		}
		delete(loaded.modules, m.path)
		if s.initialized {
			err = wrap("C_Finalize", s.ctx.Finalize())
		}
		s.ctx.Destroy()
	})
	return err
}

// reinitialize brings a library back that answered CKR_CRYPTOKI_NOT_INITIALIZED.
func (m *Module) reinitialize() error {
	loaded.Lock()
	defer loaded.Unlock()
	err := wrap("C_Initialize", m.ctx.Initialize())
	if RV(err) == pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED {
		return nil // another session was here first
	}
	if err == nil {
		m.shared.epoch.Add(1)
	}
	return err
}

// Path is the library's file, symbolic links resolved.
func (m *Module) Path() string { return m.path }

// Info asks the library about itself.
func (m *Module) Info() (ModuleInfo, error) {
	i, err := m.ctx.GetInfo()
	if err != nil {
		return ModuleInfo{}, wrap("C_GetInfo", err)
	}
	return ModuleInfo{
		Manufacturer:    text(i.ManufacturerID),
		Description:     text(i.LibraryDescription),
		LibraryVersion:  Version(i.LibraryVersion),
		CryptokiVersion: Version(i.CryptokiVersion),
	}, nil
}

// Slots lists every slot, empty ones too. A card that is pulled while it is being read counts as absent.
func (m *Module) Slots() ([]SlotInfo, error) {
	ids, err := m.ctx.GetSlotList(false)
	if err != nil {
		return nil, wrap("C_GetSlotList", err)
	}
	slots := make([]SlotInfo, 0, len(ids))
	for _, id := range ids {
		s, err := m.Slot(id)
		if err != nil {
			return nil, err
		}
		slots = append(slots, s)
	}
	return slots, nil
}

// Slot asks about one slot. It is cheap enough to poll for insertion and removal.
func (m *Module) Slot(id uint) (SlotInfo, error) {
	i, err := m.ctx.GetSlotInfo(id)
	if err != nil {
		return SlotInfo{}, wrap("C_GetSlotInfo", err)
	}
	s := SlotInfo{
		ID:              id,
		Description:     text(i.SlotDescription),
		Manufacturer:    text(i.ManufacturerID),
		Flags:           i.Flags,
		HardwareVersion: Version(i.HardwareVersion),
		FirmwareVersion: Version(i.FirmwareVersion),
		TokenPresent:    i.Flags&pkcs11.CKF_TOKEN_PRESENT != 0,
	}
	if !s.TokenPresent {
		return s, nil
	}
	t, err := m.ctx.GetTokenInfo(id)
	if err != nil {
		return s, nil
	}
	s.Token = &TokenInfo{
		Label:           text(t.Label),
		Manufacturer:    text(t.ManufacturerID),
		Model:           text(t.Model),
		Serial:          text(t.SerialNumber),
		Flags:           t.Flags,
		MinPIN:          t.MinPinLen,
		MaxPIN:          t.MaxPinLen,
		HardwareVersion: Version(t.HardwareVersion),
		FirmwareVersion: Version(t.FirmwareVersion),
	}
	return s, nil
}

// slotByLabel finds the one initialized token of that label. Slot numbers change between starts; labels do not.
func (m *Module) slotByLabel(label string) (SlotInfo, error) {
	slots, err := m.Slots()
	if err != nil {
		return SlotInfo{}, err
	}
	var found []SlotInfo
	for _, s := range slots {
		if s.Token != nil && s.Token.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 && s.Token.Label == label {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return SlotInfo{}, &Error{Op: "find token " + label, RV: pkcs11.CKR_TOKEN_NOT_PRESENT}
	case 1:
		return found[0], nil
	}
	return SlotInfo{}, fmt.Errorf("p11: %d tokens have the label %q", len(found), label)
}

// text removes the blanks (and, from careless modules, NULs) that pad fixed-width fields.
func text(s string) string { return strings.TrimRight(s, " \x00") }
