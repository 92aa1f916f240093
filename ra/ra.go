// Package ra holds the registration authority's own words: the persons, devices, applications and
// certificates it decides about, the states they go through, and the errors and events that tell of it.
// It has no database, no network and no clock.
package ra

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"

	"github.com/oklog/ulid/v2"
)

// Identifiers are ULIDs but for InstitutionCode. They are distinct types so that one cannot stand in for another.
type (
	PersonID      string
	DeviceID      string
	ApplicationID string
	CertificateID string
	StaffID       string

	// InstitutionCode is a medical institution's code of ten characters (HCA-2.3).
	InstitutionCode string
)

// NewID makes a ULID from the moment and the randomness that are given.
func NewID(now time.Time, rand io.Reader) (string, error) {
	id, err := ulid.New(ulid.Timestamp(now), rand)
	if err != nil {
		return "", err
	}
	return id.String(), nil
}

// KeyHash is the name of a public key: "sha256:" and the hex digest of its SubjectPublicKeyInfo, as the
// line device-key of a card message shows it.
func KeyHash(spki []byte) string {
	sum := sha256.Sum256(spki)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// KeyDesign is one of the three designs of HCA-6.0 for where a holder's key is made and kept.
type KeyDesign string

const (
	KeyApp  KeyDesign = "app"  // made by the approved app (HCA-6.1)
	KeyChip KeyDesign = "chip" // made by a listed secure chip (HCA-6.2)
	KeyHSM  KeyDesign = "hsm"  // made by the window's HSM (HCA-6.3)
)

// Carrier is what a mobile certificate is installed on (HCA-2.2).
type Carrier string

const (
	CarrierDevice     Carrier = "device"
	CarrierMemoryCard Carrier = "memory-card"
	CarrierSecureChip Carrier = "secure-chip"
)

// Platform is a mobile device's operating system (HCA-2.1).
type Platform string

const (
	PlatformIOS     Platform = "ios"
	PlatformAndroid Platform = "android"
)

// PersonFacts is what the use cases know of a person. It holds the two values a card certificate must
// show; everything else of a person stays in package devices.
type PersonFacts struct {
	ID           PersonID
	Holder       string // the card certificate's subject serialNumber
	Name         string // the card certificate's subject CN
	CardChecked  bool   // that card was linked to the person by somebody who checked an identity document (HCA-7.3)
	Active       bool   // not left, suspended or dead in every institution (HCA-3.7)
	Institutions []InstitutionCode
}

// MemberOf tells whether the person practises at the institution now.
func (p PersonFacts) MemberOf(code InstitutionCode) bool {
	for _, c := range p.Institutions {
		if c == code {
			return true
		}
	}
	return false
}

// DeviceFacts is what the use cases know of a device, seen from one person.
type DeviceFacts struct {
	ID          DeviceID
	Code        string // the unique code of HCA-4.1
	Institution InstitutionCode
	Platform    Platform
	State       DeviceState
	Generation  int    // counts confirmed bindings; a new binding voids what the old one began
	KeySPKI     []byte // the bound device key, DER SubjectPublicKeyInfo
	Shared      bool
	IsUser      bool // the person is registered as a user of it (HCA-4.1)
	// CarrierGone is since when the device has said that the certificates' carrier is not in it (HCA-7.1); nil: it is.
	CarrierGone *time.Time
}

// InstitutionFacts is what the use cases know of an institution (HCA-2.3, HCA-3.7).
type InstitutionFacts struct {
	Code       InstitutionCode
	Name       string
	IsWindow   bool // the institution that runs this window
	Active     bool // licence in force, business not suspended
	Agreement  bool // a written agreement with the window is on file
	AgreedFrom time.Time
	AgreedTo   time.Time // zero: until ended
}
