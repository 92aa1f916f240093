package attest

import "strconv"

// KeyDescription is the extension 1.3.6.1.4.1.11129.2.1.17 of an Android attestation: what the key store says
// of a key. Its JSON form is the one that Google's verifier prints: numbers are strings, byte strings are
// standard base64, fields that the extension does not hold are left out.
type KeyDescription struct {
	AttestationVersion       Number            `json:"attestationVersion"`
	AttestationSecurityLevel Level             `json:"attestationSecurityLevel"`
	KeyMintVersion           Number            `json:"keyMintVersion"`
	KeyMintSecurityLevel     Level             `json:"keyMintSecurityLevel"`
	AttestationChallenge     []byte            `json:"attestationChallenge"`
	UniqueID                 []byte            `json:"uniqueId"`
	SoftwareEnforced         AuthorizationList `json:"softwareEnforced"`
	HardwareEnforced         AuthorizationList `json:"hardwareEnforced"`
}

// AuthorizationList says what a key is and may do. The list decides who holds the key to it: the system
// (softwareEnforced) or the secure environment (hardwareEnforced). Nil means that the tag is absent.
type AuthorizationList struct {
	Purposes                    []Number       `json:"purposes,omitzero"`
	Algorithm                   *Number        `json:"algorithms,omitzero"`
	KeySize                     *Number        `json:"keySize,omitzero"`
	BlockModes                  []Number       `json:"blockModes,omitzero"`
	Digests                     []Number       `json:"digests,omitzero"`
	Paddings                    []Number       `json:"paddings,omitzero"`
	CallerNonce                 bool           `json:"callerNonce,omitzero"`
	MinMACLength                *Number        `json:"minMacLength,omitzero"`
	ECCurve                     *Number        `json:"ecCurve,omitzero"`
	MLDSAVariant                *Number        `json:"mlDsaVariant,omitzero"`
	RSAPublicExponent           *Number        `json:"rsaPublicExponent,omitzero"`
	RSAOAEPMGFDigests           []Number       `json:"rsaOaepMgfDigests,omitzero"`
	RollbackResistance          bool           `json:"rollbackResistance,omitzero"`
	EarlyBootOnly               bool           `json:"earlyBootOnly,omitzero"`
	ActiveDateTime              *Number        `json:"activeDateTime,omitzero"`            // ms since 1970
	OriginationExpireDateTime   *Number        `json:"originationExpireDateTime,omitzero"` // ms since 1970
	UsageExpireDateTime         *Number        `json:"usageExpireDateTime,omitzero"`       // ms since 1970
	UsageCountLimit             *Number        `json:"usageCountLimit,omitzero"`
	UserSecureID                *Number        `json:"userSecureId,omitzero"`
	NoAuthRequired              bool           `json:"noAuthRequired,omitzero"`
	UserAuthType                *Number        `json:"userAuthType,omitzero"` // bits: 1 password, 2 biometric
	AuthTimeout                 *Number        `json:"authTimeout,omitzero"`  // seconds; absent: at every use
	AllowWhileOnBody            bool           `json:"allowWhileOnBody,omitzero"`
	TrustedUserPresenceRequired bool           `json:"trustedUserPresenceRequired,omitzero"`
	TrustedConfirmationRequired bool           `json:"trustedConfirmationRequired,omitzero"`
	UnlockedDeviceRequired      bool           `json:"unlockedDeviceRequired,omitzero"`
	AllApplications             bool           `json:"allApplications,omitzero"`
	ApplicationID               []byte         `json:"applicationId,omitzero"`
	CreationDateTime            *Number        `json:"creationDateTime,omitzero"` // ms since 1970
	Origin                      *Origin        `json:"origin,omitzero"`
	RollbackResistant           bool           `json:"rollbackResistant,omitzero"`
	RootOfTrust                 *RootOfTrust   `json:"rootOfTrust,omitzero"`
	OSVersion                   *Number        `json:"osVersion,omitzero"`
	OSPatchLevel                *PatchLevel    `json:"osPatchLevel,omitzero"`
	AttestationApplicationID    *ApplicationID `json:"attestationApplicationId,omitzero"`
	AttestationIDBrand          *string        `json:"attestationIdBrand,omitzero"`
	AttestationIDDevice         *string        `json:"attestationIdDevice,omitzero"`
	AttestationIDProduct        *string        `json:"attestationIdProduct,omitzero"`
	AttestationIDSerial         *string        `json:"attestationIdSerial,omitzero"`
	AttestationIDIMEI           *string        `json:"attestationIdImei,omitzero"`
	AttestationIDMEID           *string        `json:"attestationIdMeid,omitzero"`
	AttestationIDManufacturer   *string        `json:"attestationIdManufacturer,omitzero"`
	AttestationIDModel          *string        `json:"attestationIdModel,omitzero"`
	VendorPatchLevel            *PatchLevel    `json:"vendorPatchLevel,omitzero"`
	BootPatchLevel              *PatchLevel    `json:"bootPatchLevel,omitzero"`
	DeviceUniqueAttestation     bool           `json:"deviceUniqueAttestation,omitzero"`
	AttestationIDSecondIMEI     *string        `json:"attestationIdSecondImei,omitzero"`
	ModuleHash                  []byte         `json:"moduleHash,omitzero"`
}

// slot is where the value of a tag goes; nil for a tag that we do not know.
func (l *AuthorizationList) slot(tag int) any {
	switch tag {
	case 1:
		return &l.Purposes
	case 2:
		return &l.Algorithm
	case 3:
		return &l.KeySize
	case 4:
		return &l.BlockModes
	case 5:
		return &l.Digests
	case 6:
		return &l.Paddings
	case 7:
		return &l.CallerNonce
	case 8:
		return &l.MinMACLength
	case 10:
		return &l.ECCurve
	case 11:
		return &l.MLDSAVariant
	case 200:
		return &l.RSAPublicExponent
	case 203:
		return &l.RSAOAEPMGFDigests
	case 303:
		return &l.RollbackResistance
	case 305:
		return &l.EarlyBootOnly
	case 400:
		return &l.ActiveDateTime
	case 401:
		return &l.OriginationExpireDateTime
	case 402:
		return &l.UsageExpireDateTime
	case 405:
		return &l.UsageCountLimit
	case 502:
		return &l.UserSecureID
	case 503:
		return &l.NoAuthRequired
	case 504:
		return &l.UserAuthType
	case 505:
		return &l.AuthTimeout
	default:
		return l.slotFrom506(tag)
	}
}

// slotFrom506 is the second half of slot.
func (l *AuthorizationList) slotFrom506(tag int) any {
	switch tag {
	case 506:
		return &l.AllowWhileOnBody
	case 507:
		return &l.TrustedUserPresenceRequired
	case 508:
		return &l.TrustedConfirmationRequired
	case 509:
		return &l.UnlockedDeviceRequired
	case 600:
		return &l.AllApplications
	case 601:
		return &l.ApplicationID
	case 701:
		return &l.CreationDateTime
	case 702:
		return &l.Origin
	case 703:
		return &l.RollbackResistant
	case 704:
		return &l.RootOfTrust
	case 705:
		return &l.OSVersion
	case 706:
		return &l.OSPatchLevel
	case 709:
		return &l.AttestationApplicationID
	case 718:
		return &l.VendorPatchLevel
	case 719:
		return &l.BootPatchLevel
	case 720:
		return &l.DeviceUniqueAttestation
	case 723:
		return &l.AttestationIDSecondIMEI
	case 724:
		return &l.ModuleHash
	}
	names := []**string{&l.AttestationIDBrand, &l.AttestationIDDevice, &l.AttestationIDProduct,
		&l.AttestationIDSerial, &l.AttestationIDIMEI, &l.AttestationIDMEID, &l.AttestationIDManufacturer,
		&l.AttestationIDModel}
	if tag >= 710 && tag < 710+len(names) {
		return names[tag-710]
	}
	return nil
}

// RootOfTrust is what the boot loader told the secure environment.
type RootOfTrust struct {
	VerifiedBootKey   []byte    `json:"verifiedBootKey"`
	DeviceLocked      bool      `json:"deviceLocked"`
	VerifiedBootState BootState `json:"verifiedBootState"`
	VerifiedBootHash  []byte    `json:"verifiedBootHash,omitzero"` // absent before version 3
}

// ApplicationID names the applications that share the key's owner, and the digests (SHA-256) of the
// certificates that sign them. The system states it, so it is as good as the verified boot of that system.
type ApplicationID struct {
	Packages   []PackageInfo `json:"packages"`
	Signatures [][]byte      `json:"signatures"`
}

// PackageInfo is one application of an ApplicationID.
type PackageInfo struct {
	Name    string `json:"name"`
	Version Number `json:"version"`
}

// Number is an unsigned number of the extension; its JSON form is a string, since some exceed what
// JavaScript keeps exactly.
type Number uint64

// MarshalText writes the number in decimal.
func (n Number) MarshalText() ([]byte, error) {
	return strconv.AppendUint(nil, uint64(n), 10), nil
}

// PatchLevel is a date as the digits YYYYMM or YYYYMMDD. A device that has none states 0, which is left out.
type PatchLevel Number

// MarshalText writes the digits.
func (p PatchLevel) MarshalText() ([]byte, error) { return Number(p).MarshalText() }

// Level is how well a key is kept. The zero value is no level at all, so that it can never satisfy anything.
type Level int

// The levels, weakest first.
const (
	LevelSoftware  Level = 1 + iota // the system's own process
	LevelTEE                        // the trusted execution environment of the main processor
	LevelStrongBox                  // a separate security processor
)

// String is the level as the extension's schema names it.
func (l Level) String() string {
	return name(int(l)-1, "SOFTWARE", "TRUSTED_ENVIRONMENT", "STRONG_BOX")
}

// MarshalText writes the schema's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Origin is how a key came to be.
type Origin int

// OriginGenerated is the only origin that this system accepts: made in place (HCA-6.1, HCA-6.2).
const OriginGenerated Origin = 0

// String is the origin as the extension's schema names it.
func (o Origin) String() string {
	return name(int(o), "GENERATED", "DERIVED", "IMPORTED", "RESERVED", "SECURELY_IMPORTED")
}

// MarshalText writes the schema's name.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// BootState is what verified boot found.
type BootState int

// BootVerified is the only state in which the whole system was checked against its maker's key.
const BootVerified BootState = 0

// String is the state as the extension's schema names it.
func (s BootState) String() string {
	return name(int(s), "VERIFIED", "SELF_SIGNED", "UNVERIFIED", "FAILED")
}

// MarshalText writes the schema's name.
func (s BootState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// name is the i-th word, or UNKNOWN.
func name(i int, words ...string) string {
	if i < 0 || i >= len(words) {
		return "UNKNOWN"
	}
	return words[i]
}
