package api

import "certwindow/ra"

// attestation is what a platform or a chip says of a key (HCA-6.1, HCA-6.2).
type attestation struct {
	Format ra.AttestationFormat `json:"format"`
	Chain  []string             `json:"chain"`
	KeyID  string               `json:"key_id"`
	Object string               `json:"object"`
}

// read takes the members that a format has, and no others. Whether it proves anything is not judged here.
func (a *attestation) read() (*ra.Attestation, error) {
	if a == nil {
		return nil, nil
	}
	out := &ra.Attestation{Format: a.Format}
	wrong := malformed("attestation", "An attestation has the members of its format and no others. Nothing was changed.")
	var err error
	switch a.Format {
	case ra.AttestAndroid:
		if a.KeyID != "" || a.Object != "" || len(a.Chain) == 0 || len(a.Chain) > maxCertificatesInChain {
			return nil, wrong
		}
		for _, s := range a.Chain {
			der, err := octets("chain", s)
			if err != nil {
				return nil, err
			}
			out.Chain = append(out.Chain, der)
		}
		return out, nil
	case ra.AttestApple:
		if a.Chain != nil {
			return nil, wrong
		}
		if out.KeyID, err = octets("key_id", a.KeyID); err != nil {
			return nil, err
		}
	case ra.AttestChip:
		if a.Chain != nil || a.KeyID != "" {
			return nil, wrong
		}
	default:
		return nil, wrong
	}
	out.Object, err = octets("object", a.Object)
	return out, err
}

// maxCertificatesInChain is more than any vendor's chain has.
const maxCertificatesInChain = 8
