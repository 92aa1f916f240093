// Package cardmsg is the message that a holder signs with their IC card: it builds the text, and verifies
// what the card component returns (HCA-5.1.1, HCA-5.2.1, HCA-8.1.3, HCA-8.1.4).
//
// Each use of a card has a first line of its own, so that no signature serves two purposes. The text is
// never parsed to decide anything: the window keeps the bytes it issued, and compares.
package cardmsg

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"certwindow/ra"
)

// Purpose is what a signature by a card is for.
type Purpose string

// The purposes.
const (
	PurposeEnrolment     Purpose = "enrolment"
	PurposeRevocation    Purpose = "revocation"
	PurposeLogin         Purpose = "login"
	PurposePasswordReset Purpose = "password-reset"
	PurposeLink          Purpose = "account-link"
)

// preambles are what each text begins with: the line that names its purpose and version, and what the
// signer consents to, in both languages. None is the beginning of another.
var preambles = map[Purpose][3]string{
	PurposeEnrolment: {
		"醫事人員行動憑證申辦 HCA mobile certificate enrolment v1",
		"本人同意服務窗口以此訊息代為向醫事憑證管理中心申辦下列行動憑證。",
		"I consent to the service window applying to the HCA for this mobile certificate on my behalf.",
	},
	PurposeRevocation: {
		"醫事人員行動憑證廢止 HCA mobile certificate revocation v1",
		"本人同意服務窗口以此訊息代為向醫事憑證管理中心廢止下列行動憑證。",
		"I consent to the service window applying to the HCA for the revocation of this mobile certificate on my behalf.",
	},
	PurposeLogin: {
		"行動憑證服務管理系統登入 HCA service window login v1",
		"本人以此訊息登入下列網站，此訊息不作其他用途。",
		"With this message I log in to the site below, and do nothing else.",
	},
	PurposeLink: {
		"行動憑證服務管理系統卡片連結 HCA service window card link v1",
		"本人以此訊息將本人之卡片連結至下列帳號，作為登入之用，此訊息不作其他用途。",
		"With this message I link my card to the account below, to log in with, and do nothing else.",
	},
	PurposePasswordReset: {
		"行動憑證帳號密碼重設 HCA mobile account password reset v1",
		"本人以此訊息於下列網站重設本人行動裝置帳號之密碼，此訊息不作其他用途。",
		"With this message I set a new password for my account on phones at the site below, and do nothing else.",
	},
}

// PurposeOf tells which purpose a text begins with. It serves to show a message and to refuse what is not
// one; what was consented to is decided by comparing with the text that was issued.
func PurposeOf(content []byte) (Purpose, bool) {
	for p, lines := range preambles {
		if bytes.HasPrefix(content, []byte(lines[0]+"\n")) {
			return p, true
		}
	}
	return "", false
}

// Enrolment is what the holder consents to when applying for a mobile certificate (HCA-5.1.1, HCA-3.3).
type Enrolment struct {
	Application ra.ApplicationID
	Nonce       string // base64url of 32 random bytes, no padding (HCA-8.1.4)
	Issued      time.Time
	Expires     time.Time
	Window      ra.InstitutionCode
	Institution ra.InstitutionCode
	Holder      string   // the card certificate's subject serialNumber, or the attribute configured in its place
	Name        string   // the card certificate's subject CN
	Device      string   // the device's unique code (HCA-4.1)
	DeviceKey   [32]byte // SHA-256 of the device key's SubjectPublicKeyInfo
	Carrier     ra.Carrier
	Scope       []string // HCA-5.1.2
	Key         ra.KeyDesign
}

// Text returns the bytes to be signed. The error is an *Error with ReasonValue.
func (e Enrolment) Text() ([]byte, error) {
	t := begin(PurposeEnrolment)
	t.id("application", string(e.Application))
	t.nonce(e.Nonce, e.Issued, e.Expires)
	t.line("window", string(e.Window))
	t.line("institution", string(e.Institution))
	t.line("holder", e.Holder)
	t.line("name", e.Name)
	t.line("device", e.Device)
	t.line("device-key", "sha256:"+hex.EncodeToString(e.DeviceKey[:]))
	t.word("carrier", string(e.Carrier), string(ra.CarrierDevice), string(ra.CarrierMemoryCard), string(ra.CarrierSecureChip))
	t.list("scope", e.Scope)
	t.word("key", string(e.Key), string(ra.KeyApp), string(ra.KeyChip), string(ra.KeyHSM))
	if e.DeviceKey == [32]byte{} {
		t.fail("device-key", "is not set")
	}
	return t.bytes()
}

// Revocation is what the holder consents to when asking for a revocation (HCA-5.2.1).
type Revocation struct {
	Application ra.ApplicationID
	Nonce       string
	Issued      time.Time
	Expires     time.Time
	Window      ra.InstitutionCode
	Institution ra.InstitutionCode
	Holder      string
	Certificate string // serial number, lower hex
	IssuerKey   string // authority key identifier, lower hex
	Reason      ra.RevocationReason
}

// Text returns the bytes to be signed. The error is an *Error with ReasonValue.
func (r Revocation) Text() ([]byte, error) {
	t := begin(PurposeRevocation)
	t.id("application", string(r.Application))
	t.nonce(r.Nonce, r.Issued, r.Expires)
	t.line("window", string(r.Window))
	t.line("institution", string(r.Institution))
	t.line("holder", r.Holder)
	t.hex("certificate", r.Certificate)
	t.hex("issuer-key", r.IssuerKey)
	t.word("reason", string(r.Reason), reasons...)
	return t.bytes()
}

// reasons are the CRLReasons of RFC 5280 section 5.3.1 that a holder can give.
var reasons = []string{
	"unspecified", "keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation", "privilegeWithdrawn",
}

// Login is what the holder signs to log in (SSP-1). Who they are is read from the verified certificate.
type Login struct {
	Nonce   string
	Issued  time.Time
	Expires time.Time
	Window  ra.InstitutionCode
	Site    string // the origin of the page, e.g. https://window.example
}

// Text returns the bytes to be signed. The error is an *Error with ReasonValue.
func (l Login) Text() ([]byte, error) {
	t := begin(PurposeLogin)
	t.nonce(l.Nonce, l.Issued, l.Expires)
	t.line("window", string(l.Window))
	t.line("site", l.Site)
	return t.bytes()
}

// Link is what a member of staff signs to have his card open his account. His login's text cannot serve for it, nor
// this for a login.
type Link struct {
	Nonce   string
	Issued  time.Time
	Expires time.Time
	Window  ra.InstitutionCode
	Site    string // the origin of the page
	Account string
}

// Text returns the bytes to be signed. The error is an *Error with ReasonValue.
func (l Link) Text() ([]byte, error) {
	t := begin(PurposeLink)
	t.nonce(l.Nonce, l.Issued, l.Expires)
	t.line("window", string(l.Window))
	t.line("site", l.Site)
	t.line("account", l.Account)
	return t.bytes()
}

// PasswordReset is what a holder signs to give his locked or forgotten account a new password (HCA-8.2.6(4)). Whose
// account it is, is read from the verified certificate: a person has one.
type PasswordReset struct {
	Nonce   string
	Issued  time.Time
	Expires time.Time
	Window  ra.InstitutionCode
	Site    string // the origin of the page
}

// Text returns the bytes to be signed. The error is an *Error with ReasonValue.
func (p PasswordReset) Text() ([]byte, error) {
	t := begin(PurposePasswordReset)
	t.nonce(p.Nonce, p.Issued, p.Expires)
	t.line("window", string(p.Window))
	t.line("site", p.Site)
	return t.bytes()
}

// text collects lines, and the first thing that is wrong with them.
type text struct {
	buf bytes.Buffer
	err *Error
}

func begin(p Purpose) *text {
	t := &text{}
	for _, l := range preambles[p] {
		t.buf.WriteString(l + "\n")
	}
	return t
}

func (t *text) bytes() ([]byte, error) {
	if t.err != nil {
		return nil, t.err
	}
	return t.buf.Bytes(), nil
}

func (t *text) fail(name, what string) {
	if t.err == nil {
		t.err = refuse(ReasonValue, ClauseContent, "%s %s", name, what)
	}
}

// line writes one line, whose value cannot forge another (see CheckValue).
func (t *text) line(name, value string) {
	if what := CheckValue(value); what != "" {
		t.fail(name, what)
		return
	}
	t.buf.WriteString(name + ": " + value + "\n")
}

func (t *text) nonce(nonce string, issued, expires time.Time) {
	if !ValidNonce(nonce) {
		t.fail("nonce", "is not base64url of 32 bytes")
	}
	if issued.IsZero() || !expires.After(issued) {
		t.fail("expires", "is not after issued")
	}
	t.line("nonce", nonce)
	t.line("issued", issued.UTC().Format(time.RFC3339))
	t.line("expires", expires.UTC().Format(time.RFC3339))
}

func (t *text) id(name, value string) {
	if !validULID(value) {
		t.fail(name, "is not a ULID")
	}
	t.line(name, value)
}

func (t *text) word(name, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		t.fail(name, "is not one of "+strings.Join(allowed, ", "))
	}
	t.line(name, value)
}

func (t *text) hex(name, value string) {
	if value == "" || strings.Trim(value, "0123456789abcdef") != "" {
		t.fail(name, "is not lower hex")
	}
	t.line(name, value)
}

// list writes entries on one line. None may hold a comma or blanks at its ends, or two would read as one.
func (t *text) list(name string, entries []string) {
	if len(entries) > maxEntries {
		t.fail(name, "has too many entries")
		return
	}
	for i, e := range entries {
		if what := CheckValue(e); what != "" {
			t.fail(name, what)
		}
		if strings.Contains(e, ",") || slices.Contains(entries[:i], e) {
			t.fail(name, "has an entry with a comma, or one twice")
		}
	}
	t.line(name, strings.Join(entries, ", "))
}
