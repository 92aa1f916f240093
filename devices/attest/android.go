package attest

import (
	"bytes"
	"crypto/subtle"
	"crypto/x509"
	"slices"
	"strings"
	"time"
)

// AndroidWant is what an Android attestation has to show. The zero values of the optional fields are the
// defaults of the rule book's reading; Roots, Status, Challenge and At are always needed.
type AndroidWant struct {
	Roots     *AndroidRoots
	Status    *AndroidStatus
	Challenge []byte    // the application's challenge (HCA-6.0), not empty
	At        time.Time // the moment of judging

	MinLevel            Level  // zero means LevelTEE
	RequireUserAuth     bool   // the key works only after the user's authentication
	RequireVerifiedBoot bool   // the system was verified at boot and the device is locked
	SPKI                []byte // if set, the key (SubjectPublicKeyInfo, DER) that must be the attested one
	App                 *AndroidApp
}

// AndroidApp is the application that must own the key, alone.
type AndroidApp struct {
	Package       string
	SigningDigest []byte // SHA-256 of the certificate that signs the app
}

// AndroidKey is what a verified attestation proves of a key.
type AndroidKey struct {
	SPKI         []byte // SubjectPublicKeyInfo, DER
	Level        Level  // the weaker of where the key lives and where the attestation was made
	UserAuth     bool   // the secure environment demands the user's authentication
	VerifiedBoot bool   // verified and locked
	Description  *KeyDescription
	Leaf         *x509.Certificate
}

// VerifyAndroid judges an attestation chain, the leaf first. The error is of type Refusals and lists
// everything that is against it; what the attestation says of the key is then the sender's word only.
// HCA-6.0, HCA-6.1.
func VerifyAndroid(chain []*x509.Certificate, want AndroidWant) (*AndroidKey, error) {
	if want.Roots == nil || want.Status == nil || len(want.Challenge) == 0 || want.At.IsZero() {
		return nil, refuse(CodeMalformed, "roots, status list, challenge and time are needed to judge an attestation")
	}
	if len(chain) == 0 {
		return nil, refuse(CodeMalformed, "no certificate was found")
	}
	var refusals Refusals
	if err := want.Roots.judge(chain, want.At); err != nil {
		refusals = append(refusals, asRefusals(err)...)
	}
	for i, cert := range chain {
		if status, listed := want.Status.of(cert); listed {
			refusals.add(CodeRevoked, "certificate %d (serial %x) is on the vendor's status list: %s", i+1, cert.SerialNumber, status)
		}
	}
	leaf := chain[0]
	description, err := keyDescriptionOf(leaf)
	if err != nil {
		return nil, append(refusals, asRefusals(err)...)
	}
	if description == nil {
		if !refusals.Has(CodePlacement) {
			refusals.add(CodePlacement, "the leaf certificate holds no attestation")
		}
		return nil, refusals
	}
	key := &AndroidKey{SPKI: leaf.RawSubjectPublicKeyInfo, Description: description, Leaf: leaf,
		Level: effectiveLevel(chain, description)}
	if leaf.PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm {
		refusals.add(CodeUnsupported, "the attested key is of an unsupported algorithm")
	}
	refusals = append(refusals, key.judge(want)...)
	if err := refusals.err(); err != nil {
		return nil, err
	}
	return key, nil
}

// ReadAndroid is what the leaf of a chain claims, unverified; nil when it claims nothing.
func ReadAndroid(chain []*x509.Certificate) (*KeyDescription, error) {
	if len(chain) == 0 {
		return nil, refuse(CodeMalformed, "no certificate was found")
	}
	return keyDescriptionOf(chain[0])
}

// effectiveLevel is the weaker of the two levels stated. A StrongBox counts only where the vendor certified the
// attestation key as one: its certificate, or the one above, says so by name. Otherwise it is a TEE's word.
func effectiveLevel(chain []*x509.Certificate, d *KeyDescription) Level {
	level := min(d.AttestationSecurityLevel, d.KeyMintSecurityLevel)
	if level == LevelStrongBox && !certifiedStrongBox(chain) {
		level = LevelTEE
	}
	return level
}

func certifiedStrongBox(chain []*x509.Certificate) bool {
	for _, cert := range chain[1:min(3, len(chain))] {
		for _, rdn := range cert.Subject.Names {
			if text, ok := rdn.Value.(string); ok && strings.Contains(strings.ToLower(text), "strongbox") {
				return true
			}
		}
	}
	return false
}

// judge compares what the extension says with what is wanted, one check after the other.
func (k *AndroidKey) judge(want AndroidWant) Refusals {
	var r Refusals
	d := k.Description
	if subtle.ConstantTimeCompare(d.AttestationChallenge, want.Challenge) != 1 {
		r.add(CodeChallenge, "the attestation holds another challenge")
	}
	if want.SPKI != nil && !bytes.Equal(want.SPKI, k.SPKI) {
		r.add(CodeKey, "the attestation is of another key")
	}
	minimum := want.MinLevel
	if minimum == 0 {
		minimum = LevelTEE
	}
	if k.Level < minimum {
		r.add(CodeLevel, "the security level is %s, below %s", k.Level, minimum)
	}
	// A key and its attestation are of one place, or one speaks for the other. Who asks for software asks for no place.
	if minimum > LevelSoftware && d.AttestationSecurityLevel != d.KeyMintSecurityLevel {
		r.add(CodeLevel, "a key of %s is attested by %s", d.KeyMintSecurityLevel, d.AttestationSecurityLevel)
	}
	k.judgeKey(&r)
	k.judgeUser(want, &r)
	if want.App != nil {
		d.judgeApp(want.App, &r)
	}
	return r
}

// enforced is the list that binds: the secure environment's, or the system's where only software is claimed.
func (k *AndroidKey) enforced() *AuthorizationList {
	if k.Level == LevelSoftware && k.Description.HardwareEnforced.Origin == nil {
		return &k.Description.SoftwareEnforced
	}
	return &k.Description.HardwareEnforced
}

// Purposes of a key, as KeyMint numbers them.
const (
	purposeSign   Number = 2
	purposeVerify Number = 3
)

// judgeKey: made in place, for signing only, for its own application only. A key store has no way to export a
// private key that it made, so origin is also the proof that no copy exists (HCA-6.1).
func (k *AndroidKey) judgeKey(r *Refusals) {
	list := k.enforced()
	switch {
	case list.Origin == nil:
		r.add(CodeOrigin, "the secure environment states no origin of the key")
	case *list.Origin != OriginGenerated:
		r.add(CodeOrigin, "the key was not generated in place: its origin is %s", *list.Origin)
	}
	if !slices.Contains(list.Purposes, purposeSign) {
		r.add(CodePurpose, "the key is not for signing")
	}
	for _, p := range list.Purposes {
		if p != purposeSign && p != purposeVerify {
			r.add(CodePurpose, "the key has another purpose than signing: %d", p)
		}
	}
	if k.Description.SoftwareEnforced.AllApplications || k.Description.HardwareEnforced.AllApplications {
		r.add(CodeAllApps, "every application of the device may use the key")
	}
}

// judgeUser: the user's authentication, and the boot state on which the system's own statements rest. A secure
// environment always states the latter.
func (k *AndroidKey) judgeUser(want AndroidWant, r *Refusals) {
	d, list := k.Description, k.enforced()
	free := d.SoftwareEnforced.NoAuthRequired || d.HardwareEnforced.NoAuthRequired
	k.UserAuth = !free && list.UserAuthType != nil && *list.UserAuthType != 0
	if want.RequireUserAuth && !k.UserAuth {
		r.add(CodeUserAuth, "the key works without the user's authentication")
	}
	root := d.HardwareEnforced.RootOfTrust
	k.VerifiedBoot = root != nil && root.VerifiedBootState == BootVerified && root.DeviceLocked
	switch {
	case root == nil && (want.RequireVerifiedBoot || k.Level > LevelSoftware):
		r.add(CodeBoot, "the secure environment says nothing of how the system was booted")
	case root == nil || k.VerifiedBoot || !want.RequireVerifiedBoot:
	case root.VerifiedBootState != BootVerified:
		r.add(CodeBoot, "the verified boot state is %s", root.VerifiedBootState)
	default:
		r.add(CodeBoot, "the device's boot loader is unlocked")
	}
}

// judgeApp: exactly the one application. Several share a key when they share a user id, and then one of them
// was never reviewed (HCA-6.1).
func (d *KeyDescription) judgeApp(app *AndroidApp, r *Refusals) {
	id := d.SoftwareEnforced.AttestationApplicationID
	if id == nil {
		r.add(CodeApp, "the attestation names no application")
		return
	}
	if len(id.Packages) != 1 || id.Packages[0].Name != app.Package {
		r.add(CodeApp, "the key does not belong to %q alone", app.Package)
	}
	signed := func(digest []byte) bool { return bytes.Equal(digest, app.SigningDigest) }
	if !slices.ContainsFunc(id.Signatures, signed) {
		r.add(CodeApp, "the application is signed by another certificate")
	}
}
