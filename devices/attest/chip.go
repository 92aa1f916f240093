package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"time"
)

// ChipWant is what a chip's proof has to show. All fields are needed.
type ChipWant struct {
	List      *ChipList
	Challenge []byte    // the application's challenge (HCA-6.0)
	SPKI      []byte    // the key in the request, SubjectPublicKeyInfo in DER
	At        time.Time // the moment of judging
}

// ChipKey is what a verified proof shows: the key lives in a chip of this model and cannot leave it.
type ChipKey struct {
	Chip          Chip
	SPKI          []byte
	ChallengeHeld bool // false for FormLeaf: then when the key was made is not proved
}

// ChipStatement is the text that a chip of FormStatement signs: UTF-8, LF line ends, nothing else.
func ChipStatement(model string, challenge, spki []byte) []byte {
	return fmt.Appendf(nil, "certwindow secure chip key v1\nmodel: %s\nchallenge: %s\nkey: sha256:%x\nexportable: no\n",
		model, base64.RawURLEncoding.EncodeToString(challenge), sha256.Sum256(spki))
}

// chipProof is what the phone sends, as JSON. The statement itself is not sent: we write it, so there is
// nothing in it to parse.
type chipProof struct {
	Model     string   `json:"model"`
	Chain     [][]byte `json:"chain"`               // DER in base64, the leaf first, without the root
	Signature []byte   `json:"signature,omitempty"` // over ChipStatement, by the leaf's key; absent for FormLeaf
}

func parseChipProof(data []byte) (*chipProof, []*x509.Certificate, error) {
	if len(data) == 0 || len(data) > MaxObject {
		return nil, nil, refuse(CodeMalformed, "the chip's proof has %d bytes, not 1 to %d", len(data), MaxObject)
	}
	var proof chipProof
	if err := strictJSON(data, &proof); err != nil {
		return nil, nil, refuse(CodeMalformed, "the chip's proof cannot be parsed: %v", err)
	}
	chain, err := parseChainDER(proof.Chain, "the chip's proof")
	if err != nil {
		return nil, nil, err
	}
	return &proof, chain, nil
}

// VerifyChip judges a chip's proof of a key: the model is listed and its certification in force, the chain
// leads to its maker's root, and the chain or the chip's own signature speaks of the key. Unlike a phone's
// attestation keys these chains are ordinary ones, so RFC 5280 holds, dates included. HCA-6.2.
func VerifyChip(data []byte, want ChipWant) (*ChipKey, error) {
	if want.List == nil || len(want.Challenge) == 0 || len(want.SPKI) == 0 || want.At.IsZero() {
		return nil, refuse(CodeMalformed, "list, challenge, key and time are needed to judge a chip's proof")
	}
	proof, chain, err := parseChipProof(data)
	if err != nil {
		return nil, err
	}
	chip, listed := want.List.byModel[proof.Model]
	if !listed {
		return nil, refuse(CodeChip, "the chip model is not on the list of certified ones")
	}
	var refusals Refusals
	if !want.At.Before(chip.Certification.Expires) {
		refusals.add(CodeCertification, "the certification %s of %q has expired", chip.Certification.Number, chip.Model)
	}
	if err := chip.judge(chain, want.At); err != nil {
		refusals = append(refusals, asRefusals(err)...)
	} else if err := chip.vouches(proof, chain[0], want); err != nil {
		refusals = append(refusals, asRefusals(err)...)
	}
	if err := refusals.err(); err != nil {
		return nil, err
	}
	return &ChipKey{Chip: chip, SPKI: bytes.Clone(want.SPKI), ChallengeHeld: chip.Form == FormStatement}, nil
}

// judge judges the chain up to the maker's root, from the root downwards.
func (c *Chip) judge(chain []*x509.Certificate, at time.Time) error {
	issuer := c.root
	for i, cert := range slices.Backward(chain) {
		if err := issued(issuer, cert, i+1); err != nil {
			return err
		}
		issuer = cert
	}
	if err := pathOf(chain[0], chain[1:], []*x509.Certificate{c.root}, at); err != nil {
		return err
	}
	if chain[0].IsCA {
		return refuse(CodeChain, "the chip's certificate is that of a certification authority")
	}
	if len(c.mark) > 0 && !slices.ContainsFunc(chain[0].PolicyIdentifiers, c.mark.Equal) {
		return refuse(CodeChip, "the chip's certificate does not bear the mark of model %q", c.Model)
	}
	return nil
}

// vouches judges what the chip says of the key.
func (c *Chip) vouches(proof *chipProof, leaf *x509.Certificate, want ChipWant) error {
	if c.Form == FormLeaf {
		if len(proof.Signature) != 0 {
			return refuse(CodeMalformed, "a proof of this model holds no signature")
		}
		if !bytes.Equal(leaf.RawSubjectPublicKeyInfo, want.SPKI) {
			return refuse(CodeKey, "the chip's certificate is of another key")
		}
		return nil
	}
	var algorithm x509.SignatureAlgorithm
	switch leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		algorithm = x509.ECDSAWithSHA256
	case *rsa.PublicKey:
		algorithm = x509.SHA256WithRSA
	case ed25519.PublicKey:
		algorithm = x509.PureEd25519
	default:
		return refuse(CodeUnsupported, "the chip's attestation key is of an unsupported algorithm")
	}
	statement := ChipStatement(c.Model, want.Challenge, want.SPKI)
	if leaf.CheckSignature(algorithm, statement, proof.Signature) != nil {
		return refuse(CodeSignature, "the chip's signature is not over this challenge, key and model")
	}
	return nil
}
