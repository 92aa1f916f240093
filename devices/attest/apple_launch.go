package attest

import (
	"encoding/binary"

	"github.com/fxamacker/cbor/v2"
)

// AppleCategory is how the system that started an app found it signed. Systems from iOS 27 on say it in every
// attestation and assertion; those before say nothing, which is 0.
type AppleCategory uint32

// The categories that an app on a phone can have in the field. An app of the system, of another platform, or of a kind to
// come is none that this window could have approved.
const (
	AppleTestFlight      AppleCategory = 2
	AppleDeveloperSigned AppleCategory = 3 // signed by a developer for his own devices
	AppleStore           AppleCategory = 4
	AppleEnterprise      AppleCategory = 5 // in-house or ad hoc distribution
)

// fits says whether an app of this category can run in an environment of App Attest.
func (c AppleCategory) fits(e AppleEnvironment) bool {
	switch c {
	case 0, AppleTestFlight, AppleStore, AppleEnterprise:
		return true
	case AppleDeveloperSigned:
		return e == AppleDevelopment
	}
	return false
}

// launch is the extension data of authenticator data: what the system says of the app that it started.
type launch struct {
	category AppleCategory
	version  string // the bundle's; empty where the system does not say it
}

// maxBundleVersion is far above any version, in bytes.
const maxBundleVersion = 64

// parseLaunch reads what follows in authenticator data: nothing, or one map with names as keys. Apple's own sample has
// the map and leaves the flag for it clear, so the flag obliges and the bytes decide. Names to come are passed over: the
// nonce or the signature covers them all the same.
func parseLaunch(flags byte, data []byte) (l launch, ok bool) {
	if len(data) == 0 {
		return l, flags&flagExtensions == 0
	}
	var names map[string]cbor.RawMessage
	if strictCBOR().Unmarshal(data, &names) != nil || names == nil {
		return l, false
	}
	if raw, there := names["apple_bundle_version_01"]; there {
		if strictCBOR().Unmarshal(raw, &l.version) != nil || l.version == "" || len(l.version) > maxBundleVersion {
			return l, false
		}
	}
	if raw, there := names["apple_validation_category_01"]; there {
		if l.category, ok = parseCategory(raw); !ok {
			return l, false
		}
	}
	return l, true
}

// parseCategory reads the number, which systems write as four bytes, little endian, and Apple documents as an integer.
func parseCategory(raw []byte) (AppleCategory, bool) {
	var four []byte
	var number uint32
	switch {
	case strictCBOR().Unmarshal(raw, &four) == nil && len(four) == 4:
		number = binary.LittleEndian.Uint32(four)
	case strictCBOR().Unmarshal(raw, &number) != nil:
		return 0, false
	}
	return AppleCategory(number), number != 0
}
