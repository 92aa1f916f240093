package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/certpath"
)

// Options say whom to trust: the pinned roots for the card and for what the HCA issued, and the certificate
// the window signed with. Nothing in a zip is trusted.
type Options struct {
	Anchors []*certpath.Certificate
	Window  []*certpath.Certificate // the manifest is signed under one of these, byte for byte
	Limits  Limits
	// Judge judges the key's attestation again, as an ra.Attestor does; nil: it is shown and not judged.
	Judge func(ra.Attestation, ra.AttestationWant) (ra.Attested, error)
}

// Report is what was found to hold.
type Report struct {
	Purpose     cardmsg.Purpose  `json:"purpose"`
	Application ra.ApplicationID `json:"application"`
	DecidedAt   time.Time        `json:"decided_at"`
	SealedAt    time.Time        `json:"sealed_at"`
	SignedAt    time.Time        `json:"signed_at,omitzero"` // by the card; zero in a bare message
	Holder      string           `json:"holder"`
	Name        string           `json:"name"`
	Card        string           `json:"card"`                  // SHA-256 of the card's certificate
	Message     string           `json:"message"`               // SHA-256 of the card's message
	Certificate string           `json:"certificate,omitempty"` // serial number of what was issued, lower hex
	Key         *Key             `json:"key,omitempty"`         // nil: nothing was kept of it
	Decision    Decision         `json:"decision"`
	Files       []string         `json:"files"`
}

// Verify verifies a zip that Write made: the seal, every file, the card's message with its chain and
// revocation at the moment of the decision, and that request, consent and certificate belong together. It
// uses neither network nor clock. The error is an *Error.
func Verify(ctx context.Context, zip []byte, o Options) (*Report, error) {
	files, err := unpack(zip, o.Limits.withDefaults())
	if err != nil {
		return nil, err
	}
	m, sealedAt, err := checkSeal(files, o.Window)
	if err != nil {
		return nil, err
	}
	v, err := checkMessage(ctx, files, m, o.Anchors)
	if err != nil {
		return nil, err
	}
	card, message := v.Signer().Fingerprint(), v.SHA256()
	r := &Report{
		Purpose: m.Purpose, Application: m.Application, DecidedAt: m.DecidedAt, SealedAt: sealedAt,
		SignedAt: v.SigningTime(), Holder: v.Holder(), Name: v.Name(),
		Card: hex.EncodeToString(card[:]), Message: hex.EncodeToString(message[:]),
		Files: slices.Sorted(maps.Keys(files)),
	}
	if r.Decision, err = checkDecision(files[FileDecision], m); err != nil {
		return nil, err
	}
	if err := checkRequest(files[FileHCARequest], v.Message(), files[FileCSR]); err != nil {
		return nil, err
	}
	if m.Purpose == cardmsg.PurposeEnrolment {
		issued, err := checkIssued(ctx, files, o.Anchors)
		if err != nil {
			return nil, err
		}
		r.Certificate = issued.SerialNumber.Text(16)
		if r.Key, err = checkKey(files[FileKey], files[FileCSR], o.Judge); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// checkSeal verifies the manifest under one of the window's certificates, and every file against it.
func checkSeal(files map[string][]byte, window []*certpath.Certificate) (*manifest, time.Time, error) {
	none := time.Time{}
	der, there := files[FileManifest]
	if !there {
		return nil, none, refuse(ReasonMissing, nil, FileManifest)
	}
	sd, err := openManifest(der)
	if err != nil {
		return nil, none, refuse(ReasonSeal, err, "the manifest")
	}
	if !slices.ContainsFunc(window, func(c *certpath.Certificate) bool { return bytes.Equal(c.Raw, sd.Signer) }) {
		return nil, none, refuse(ReasonWindow, nil, "the manifest is signed with another certificate than the window's")
	}
	var m manifest
	if err := strictJSON(sd.Content, &m); err != nil {
		return nil, none, refuse(ReasonManifest, err, "cannot be read")
	}
	if m.Version != formatVersion {
		return nil, none, refuse(ReasonManifest, nil, "version %d is unsupported", m.Version)
	}
	return &m, sd.SigningTime, checkFiles(files, &m)
}

// checkFiles wants the files of the manifest, all of them, no others, and unchanged.
func checkFiles(files map[string][]byte, m *manifest) error {
	listed := map[string]bool{FileManifest: true}
	for _, f := range m.Files {
		data, there := files[f.Name]
		sum := sha256.Sum256(data)
		switch {
		case listed[f.Name]:
			return refuse(ReasonDuplicate, nil, "%s is listed twice", f.Name)
		case !there:
			return refuse(ReasonMissing, nil, "%s", f.Name)
		case int64(len(data)) != f.Size || hex.EncodeToString(sum[:]) != f.SHA256:
			return refuse(ReasonHash, nil, "%s", f.Name)
		}
		listed[f.Name] = true
	}
	for name := range files {
		if !listed[name] {
			return refuse(ReasonExtra, nil, "%s", name)
		}
	}
	needed := []string{FileText, FileMessage, FileCertificates, FileDecision, FileHCARequest, FileHCAAnswer}
	switch m.Purpose {
	case cardmsg.PurposeEnrolment:
		needed = append(needed, FileCSR, FileIssued)
	case cardmsg.PurposeRevocation:
	default:
		return refuse(ReasonManifest, nil, "there is no evidence of a %q", m.Purpose)
	}
	for _, name := range needed {
		if len(files[name]) == 0 {
			return refuse(ReasonMissing, nil, "%s", name)
		}
	}
	return nil
}

// checkMessage judges the card's message as it was judged then: at the moment of the decision, with the
// revocation data that was used, from the anchors that are pinned now.
func checkMessage(ctx context.Context, files map[string][]byte, m *manifest, anchors []*certpath.Certificate) (*cardmsg.Verified, error) {
	text := files[FileText]
	o := cardmsg.Options{Content: text, Nonce: m.Nonce, Path: certpath.Options{Anchors: anchors, At: m.DecidedAt}}
	if m.Purpose == cardmsg.PurposeRevocation {
		o.Clause = cardmsg.ClauseRevocation
	}
	purpose, _ := cardmsg.PurposeOf(text)
	if purpose != m.Purpose || !cardmsg.ValidNonce(m.Nonce) || !hasLine(text, "application: "+string(m.Application)) {
		return nil, refuse(ReasonText, nil, "the text is not of this application and nonce")
	}
	var err error
	if o.HolderOID, err = parseOID(m.HolderOID); err != nil {
		return nil, refuse(ReasonManifest, err, "holder's attribute")
	}
	if err := addStatus(files, &o.Path); err != nil {
		return nil, err
	}
	u, err := cardmsg.Decode(files[FileMessage])
	if err != nil {
		return nil, refuse(ReasonMessage, err, "the card's message")
	}
	verify := u.Verify
	if m.Bare {
		verify = u.VerifyBare
	}
	v, err := verify(ctx, o)
	if err != nil {
		return nil, refuse(ReasonMessage, err, "the card's message")
	}
	if !hasLine(text, "holder: "+v.Holder()) || m.Purpose == cardmsg.PurposeEnrolment && !hasLine(text, "name: "+v.Name()) {
		return nil, refuse(ReasonText, nil, "the text names another holder than the card")
	}
	return v, nil
}

// addStatus parses certificates, OCSP responses and CRLs of the zip.
func addStatus(files map[string][]byte, o *certpath.Options) error {
	var err error
	if o.Intermediates, err = certpath.ParseCertificates(files[FileCertificates]); err != nil {
		return refuse(ReasonMessage, err, FileCertificates)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch {
		case strings.HasPrefix(name, "ocsp-"):
			r, err := certpath.ParseOCSP(files[name])
			if err != nil {
				return refuse(ReasonMessage, err, "%s", name)
			}
			o.OCSP = append(o.OCSP, r)
		case strings.HasPrefix(name, "crl-"):
			c, err := certpath.ParseCRL(files[name])
			if err != nil {
				return refuse(ReasonMessage, err, "%s", name)
			}
			o.CRLs = append(o.CRLs, c)
		}
	}
	return nil
}

// checkDecision wants the decision to be of the moment at which everything is judged.
func checkDecision(data []byte, m *manifest) (Decision, error) {
	var d Decision
	if err := strictJSON(data, &d); err != nil {
		return d, refuse(ReasonDecision, err, FileDecision)
	}
	if !d.DecidedAt.Equal(m.DecidedAt) {
		return d, refuse(ReasonDecision, nil, "decision and manifest name different moments")
	}
	return d, nil
}

func hasLine(text []byte, line string) bool {
	return bytes.Contains(text, []byte("\n"+line+"\n"))
}

// strictJSON takes one JSON value of known fields and nothing after it.
func strictJSON(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return refuse(ReasonManifest, nil, "something after the end")
	}
	return nil
}

// parseOID reads a dotted identifier; "" is nil.
func parseOID(s string) (asn1.ObjectIdentifier, error) {
	if s == "" {
		return nil, nil
	}
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, refuse(ReasonManifest, err, "%q is no object identifier", s)
		}
		oid = append(oid, n)
	}
	return oid, nil
}
