package evidence

import (
	"archive/zip"
	"crypto"
	"fmt"
	"io"
	"time"

	"certwindow/ra/cardmsg"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
)

// zipTime stands in every entry, so that the zip is made of nothing but what it holds.
var zipTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Write writes the bundle as one zip, with its manifest signed by the window's key. The same bundle and the
// same signature give the same bytes.
func Write(w io.Writer, b Bundle, signer crypto.Signer, cert []byte) error {
	files, err := b.files()
	if err != nil {
		return err
	}
	text, err := b.manifestFor(files)
	if err != nil {
		return err
	}
	signed, err := cms.Sign(text, signer, cert, cms.SignOptions{SigningTime: b.SealedAt})
	if err != nil {
		return fmt.Errorf("evidence: sign the manifest: %w", err)
	}
	z := zip.NewWriter(w)
	for _, f := range append(files, File{FileManifest, signed}) {
		out, err := z.CreateHeader(&zip.FileHeader{Name: f.Name, Method: zip.Deflate, Modified: zipTime})
		if err != nil {
			return fmt.Errorf("evidence: %s: %w", f.Name, err)
		}
		if _, err := out.Write(f.Data); err != nil {
			return fmt.Errorf("evidence: %s: %w", f.Name, err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return nil
}

// revocation sorts what the answers of a verified message rest on, each once.
func revocation(v *cardmsg.Verified) (ocsp, crls [][]byte) {
	seen := map[string]bool{}
	for _, e := range v.Revocation() {
		if seen[string(e.DER)] {
			continue
		}
		seen[string(e.DER)] = true
		if e.Kind == certpath.EvidenceOCSP {
			ocsp = append(ocsp, e.DER)
		} else {
			crls = append(crls, e.DER)
		}
	}
	return ocsp, crls
}
