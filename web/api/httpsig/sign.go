package httpsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"net/http"

	"github.com/dunglas/httpsfv"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Sign adds the header fields of a signature to a request. body is exactly what will be sent, empty for none.
// key holds a P-256 key and signs as a Secure Enclave does: a digest in, ASN.1 DER out.
func Sign(r *http.Request, body []byte, key crypto.Signer, p Params) error {
	pub, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return errors.New("httpsig: the signing key is not on P-256")
	}
	if err := p.check(); err != nil {
		return err
	}
	var digest string
	if len(body) > 0 {
		var err error
		if digest, err = contentDigest(body); err != nil {
			return err
		}
		r.Header.Set(HeaderDigest, digest)
	}
	l := p.input(len(body) > 0)
	text, err := base(r, digest, l)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	der, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return fmt.Errorf("httpsig: %w", err)
	}
	raw, err := rawSignature(der)
	if err != nil {
		return err
	}
	input, err := dictionary(Label, l)
	if err != nil {
		return err
	}
	signature, err := dictionary(Label, httpsfv.NewItem(raw))
	if err != nil {
		return err
	}
	r.Header.Set(HeaderInput, input)
	r.Header.Set(HeaderSignature, signature)
	return nil
}

// rawSignature turns ASN.1 DER into r and s of 32 bytes each (RFC 9421 section 3.3.4).
func rawSignature(der []byte) ([]byte, error) {
	var body cryptobyte.String
	r, s := new(big.Int), new(big.Int)
	in := cryptobyte.String(der)
	if !in.ReadASN1(&body, asn1.SEQUENCE) || !in.Empty() || !body.ReadASN1Integer(r) || !body.ReadASN1Integer(s) || !body.Empty() ||
		r.Sign() <= 0 || s.Sign() <= 0 || r.BitLen() > 256 || s.BitLen() > 256 {
		return nil, errors.New("httpsig: the key's signature is not an ECDSA signature on P-256")
	}
	raw := make([]byte, signatureSize)
	r.FillBytes(raw[:signatureSize/2])
	s.FillBytes(raw[signatureSize/2:])
	return raw, nil
}
