// Package card is the protocol of the local card component: the small HTTP service on a counter computer
// through which a web page reads an IC card and has it sign. It speaks what pages written for the HiPKI
// LocalSignServer expect, so that a page works with either.
//
// Three things go past that protocol, because the rule book asks for them. The component itself asks for
// the PIN and shows the text that is about to be signed, so that what the holder saw is what the server
// receives (HCA-8.1.3). Every insertion of a card has a random id that comes with each signature, and
// /events tells a page when a card goes (HCA-8.1.2). And a page that is not on the list gets nothing.
//
// The package knows PKCS#11 and CMS only as the interfaces Module and CMSSigner; the command cardagent
// supplies them.
package card

import (
	"crypto"
	"time"
)

// Size limits. What is larger is refused before it is parsed.
const (
	maxBody      = 1 << 20 // bytes of a request body
	maxPackage   = 1 << 20 // bytes of the JSON text inside it
	maxNonce     = 127     // bytes; readers of the attribute expect a one-byte length
	maxCerts     = 32      // certificates or keys listed of one token
	maxSlots     = 32      // readers listed
	maxField     = 256     // bytes of a short field such as slotDescription
	maxPINLength = 64      // bytes
	imageBytes   = 6000    // pixel bytes of /p11Image.bmp
)

// Version texts. Pages compare serverVersion as text with the oldest version they accept, so these name
// the level of the protocol that is spoken here, not this program's own release.
const (
	helperVersion = "2.3.2"
	serverVersion = "1.3.8"
	agentName     = "certwindow cardagent"
)

// Token flags of PKCS#11 (CK_TOKEN_INFO) that the protocol uses.
const (
	flagPINCountLow = 0x00010000
	flagPINFinalTry = 0x00020000
	flagPINLocked   = 0x00040000
)

// Return values of PKCS#11 (CK_RV) that the protocol distinguishes.
const (
	rvFunctionFailed = 0x06
	rvPINIncorrect   = 0xA0
	rvPINInvalid     = 0xA1
	rvPINLenRange    = 0xA2
	rvPINExpired     = 0xA3
	rvPINLocked      = 0xA4
)

// Module is one PKCS#11 library. The server calls it from one goroutine only.
type Module interface {
	// Info describes the library.
	Info() (ModuleInfo, error)
	// Slots lists the readers, with the token in each. An empty list is a computer without a reader.
	Slots() ([]Slot, error)
	// Open begins a session with the token in the slot.
	Open(slotID uint) (Session, error)
}

// Session is one session with one token. Closing it logs out.
type Session interface {
	Certificates() ([]Certificate, error)
	PublicKeys() ([]PublicKey, error)
	// Login presents the PIN. It must not keep the value.
	Login(PIN) error
	// Signer is the private key with this CKA_ID.
	Signer(id []byte) (crypto.Signer, error)
	Close() error
}

// ModuleInfo is what C_GetInfo says.
type ModuleInfo struct {
	CryptokiVersion Version
	LibraryVersion  Version
	Description     string
	Manufacturer    string
}

// Version is a CK_VERSION.
type Version struct{ Major, Minor byte }

// Slot is one reader, by C_GetSlotInfo.
type Slot struct {
	ID              uint
	Description     string // the reader's name, without padding
	Manufacturer    string
	Flags           uint
	HardwareVersion Version
	FirmwareVersion Version
	Present         bool   // a card is in the reader
	Token           *Token // nil when there is no card or it cannot be read
}

// Token is one card, by C_GetTokenInfo.
type Token struct {
	Label           string
	Manufacturer    string
	Model           string
	Serial          string // the card number
	Flags           uint
	MinPIN, MaxPIN  uint // bytes; zero when the token does not say
	HardwareVersion Version
	FirmwareVersion Version
}

// Certificate is a certificate object on a token.
type Certificate struct {
	ID    []byte // CKA_ID
	Label string
	DER   []byte
}

// PublicKey is a public key object on a token. Key is an *rsa.PublicKey or an *ecdsa.PublicKey; another
// type is not listed.
type PublicKey struct {
	ID    []byte // CKA_ID
	Label string
	Key   crypto.PublicKey
}

// ModuleError is a failure that carries a PKCS#11 return value. Implementations of Module and Session
// return it, wrapped or not, wherever the library gave one.
type ModuleError struct {
	Op string // e.g. "C_Login"
	RV uint   // CK_RV
}

func (e *ModuleError) Error() string { return e.Op + ": CK_RV 0x" + hexUint(e.RV) }

// CMSInput is what CMSSigner signs.
type CMSInput struct {
	Content     []byte // the text, which goes into the message
	Signer      crypto.Signer
	Certificate []byte // DER
	Hash        crypto.Hash
	SigningTime time.Time // zero: no signing-time attribute
	Attributes  []Attribute
}

// Attribute is a signed attribute with one value.
type Attribute struct {
	OID   string // dotted
	Value []byte // DER of the value
}

// CMSSigner makes CMS SignedData (RFC 5652) with the content inside, one signer, and that signer's
// certificate alone.
type CMSSigner func(CMSInput) ([]byte, error)
