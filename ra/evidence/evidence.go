// Package evidence keeps what an enrolment or a revocation rests on: one zip for each, with everything that
// was signed, asked, answered and decided, and a manifest of hashes signed by the window (HCA-3.3). It can be
// verified years later, off line, from pinned anchors; by hand it needs unzip and openssl alone.
package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/cms"
)

// Names of the files in the zip. Revocation data is numbered: ocsp-1.der, crl-1.der and so on.
const (
	FileText         = "text.txt"         // what the window issued and the card signed
	FileMessage      = "message.p7"       // the card's CMS SignedData, DER, as it came
	FileCertificates = "certificates.pem" // the card's path, signer first, and the issuers of the mobile certificate
	FileDecision     = "decision.json"    // what was decided, and by which clauses
	FileCSR          = "request.csr"      // PKCS #10, DER; enrolments alone
	FileHCARequest   = "hca-request.der"  // what was sent to the HCA
	FileHCAAnswer    = "hca-answer.der"   // what the HCA answered
	FileIssued       = "issued.der"       // the mobile certificate; enrolments alone
	FileManifest     = "manifest.p7"      // CMS SignedData around the manifest, signed by the window
)

// formatVersion is the version of the manifest that this package writes, and the only one it reads.
const formatVersion = 1

// nameRule is what a file in the zip may be called: no folder, no hidden name, nothing that a file system
// could read as something else.
var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,47}\.[a-z0-9]{1,8}$`)

// Decision is what the window decided and why.
type Decision struct {
	DecidedAt time.Time    `json:"decided_at"` // the moment at which message, chain and revocation were judged
	Outcome   string       `json:"outcome"`
	Clauses   []ClauseNote `json:"clauses"`
}

// ClauseNote is one rule that was looked at.
type ClauseNote struct {
	Clause policy.Clause `json:"clause"`
	Result string        `json:"result"`
	Detail string        `json:"detail,omitempty"`
}

// File is a further file of a bundle, such as an attestation.
type File struct {
	Name string
	Data []byte
}

// Bundle is everything about one enrolment or revocation.
type Bundle struct {
	Purpose      cardmsg.Purpose // PurposeEnrolment or PurposeRevocation
	Application  ra.ApplicationID
	Nonce        string // of the text
	HolderOID    string // dotted; empty is the subject's serialNumber
	Bare         bool   // the message wraps a bare signature (see cardmsg.VerifyBare)
	Text         []byte
	Message      []byte
	Certificates [][]byte // DER: the card's path, signer first, then issuers of the mobile certificate where others
	OCSP         [][]byte // DER, as used
	CRLs         [][]byte // DER, as used
	CSR          []byte
	HCARequest   []byte
	HCAAnswer    []byte
	Issued       []byte // DER
	Decision     Decision
	Extra        []File
	SealedAt     time.Time // when the manifest is signed
}

// manifest is what the window signs.
type manifest struct {
	Version     int              `json:"version"`
	Purpose     cardmsg.Purpose  `json:"purpose"`
	Application ra.ApplicationID `json:"application"`
	Nonce       string           `json:"nonce"`
	HolderOID   string           `json:"holder_oid,omitempty"`
	Bare        bool             `json:"bare"`
	DecidedAt   time.Time        `json:"decided_at"`
	Files       []fileHash       `json:"files"`
}

type fileHash struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Adopt takes what a verified message knows of itself into the bundle.
func (b *Bundle) Adopt(v *cardmsg.Verified) {
	b.Text, b.Message, b.Bare = v.Content(), v.Message(), v.Bare()
	b.Certificates = nil
	for _, c := range v.Path() {
		b.Certificates = append(b.Certificates, c.Raw)
	}
	b.OCSP, b.CRLs = revocation(v)
}

// files lists the bundle's files in the order in which they are written.
func (b *Bundle) files() ([]File, error) {
	if b.Purpose != cardmsg.PurposeEnrolment && b.Purpose != cardmsg.PurposeRevocation {
		return nil, fmt.Errorf("evidence: there is none of a %q", b.Purpose)
	}
	if b.Decision.DecidedAt.IsZero() || b.SealedAt.IsZero() {
		return nil, fmt.Errorf("evidence: the times of decision and sealing are needed")
	}
	decision, err := json.MarshalIndent(b.Decision, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("evidence: decision: %w", err)
	}
	var certificates bytes.Buffer
	for _, der := range b.Certificates {
		if err := pem.Encode(&certificates, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return nil, fmt.Errorf("evidence: certificates: %w", err)
		}
	}
	out := []File{
		{FileText, b.Text}, {FileMessage, b.Message}, {FileCertificates, certificates.Bytes()},
		{FileDecision, append(decision, '\n')}, {FileHCARequest, b.HCARequest}, {FileHCAAnswer, b.HCAAnswer},
	}
	if b.Purpose == cardmsg.PurposeEnrolment {
		out = append(out, File{FileCSR, b.CSR}, File{FileIssued, b.Issued})
	}
	for i, der := range b.OCSP {
		out = append(out, File{fmt.Sprintf("ocsp-%d.der", i+1), der})
	}
	for i, der := range b.CRLs {
		out = append(out, File{fmt.Sprintf("crl-%d.der", i+1), der})
	}
	out = append(out, b.Extra...)
	seen := map[string]bool{FileManifest: true}
	for _, f := range out {
		if !nameRule.MatchString(f.Name) || seen[f.Name] {
			return nil, fmt.Errorf("evidence: a file cannot be called %q, or is there twice", f.Name)
		}
		if len(f.Data) == 0 {
			return nil, fmt.Errorf("evidence: %s is empty", f.Name)
		}
		seen[f.Name] = true
	}
	return out, nil
}

// manifestFor hashes the files.
func (b *Bundle) manifestFor(files []File) ([]byte, error) {
	m := manifest{
		Version: formatVersion, Purpose: b.Purpose, Application: b.Application, Nonce: b.Nonce,
		HolderOID: b.HolderOID, Bare: b.Bare, DecidedAt: b.Decision.DecidedAt.UTC(),
	}
	for _, f := range files {
		sum := sha256.Sum256(f.Data)
		m.Files = append(m.Files, fileHash{f.Name, int64(len(f.Data)), hex.EncodeToString(sum[:])})
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("evidence: manifest: %w", err)
	}
	return append(text, '\n'), nil
}

// maxManifest bounds the signed manifest: two hundred files have forty KiB.
const maxManifest = 256 << 10

func openManifest(der []byte) (*cms.SignedData, error) {
	return cms.Open(der, cms.OpenOptions{Max: maxManifest, RequireSigningTime: true})
}
