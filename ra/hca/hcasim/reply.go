package hcasim

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"io"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"certwindow/ra/cms"
	"certwindow/ra/hca/cmc"
)

// reply builds and signs the answer to a request, spoiled as the faults say.
func (s *Simulator) reply(r *request, v *verdict, faults faultSet) ([]byte, error) {
	if err := s.spoilCertificate(v, faults); err != nil {
		return nil, err
	}
	body, err := s.replyBody(r, v, faults)
	if err != nil {
		return nil, err
	}
	certs := [][]byte{s.ca.cert.Raw}
	if v.cert != nil {
		certs = append(certs, v.cert.Raw)
	}
	if faults.has(FaultUnsigned) {
		return unsigned(body, certs)
	}
	by, err := s.replySigner(faults)
	if err != nil {
		return nil, err
	}
	out, err := cms.Sign(body, by.key, by.cert.Raw, cms.SignOptions{ContentType: cms.OIDPKIResponse, SigningTime: s.now(), Certificates: certs})
	if err != nil {
		return nil, err
	}
	switch {
	case faults.has(FaultAnswerTwice):
		out = append(out, out...)
	case faults.has(FaultTampered):
		out = bytes.Replace(out, r.nonce, bytes.Repeat([]byte{0x5a}, len(r.nonce)), 1)
	case faults.has(FaultGarbage):
		out = []byte("<html><body>The service is being maintained.</body></html>")
	}
	return out, nil
}

func (s *Simulator) replyBody(r *request, v *verdict, faults faultSet) ([]byte, error) {
	transaction, nonce := r.transaction, r.nonce
	if faults.has(FaultWrongTransaction) {
		transaction = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
	}
	fresh := make([]byte, 32)
	if _, err := io.ReadFull(s.rand, fresh); err != nil {
		return nil, err
	}
	if faults.has(FaultWrongNonce) {
		nonce = fresh
	}
	tc, err := cmc.TransactionControl(1, transaction)
	if err != nil {
		return nil, err
	}
	rn, err := cmc.OctetControl(2, cmc.OIDRecipientNonce, nonce)
	if err != nil {
		return nil, err
	}
	sn, err := cmc.OctetControl(3, cmc.OIDSenderNonce, fresh)
	if err != nil {
		return nil, err
	}
	st, err := v.status.Control(4)
	if err != nil {
		return nil, err
	}
	return (&cmc.PKIResponse{Controls: []cmc.Control{tc, rn, sn, st}}).Marshal()
}

// replySigner is the CMC responder, or who a fault puts in its place.
func (s *Simulator) replySigner(faults faultSet) (authority, error) {
	from := s.now().UTC().Truncate(time.Second).Add(-time.Hour)
	switch {
	case faults.has(FaultOtherSigner):
		key, err := newP256()
		if err != nil {
			return authority{}, err
		}
		cert, err := sign(s.rand, cmcTemplate(from, from.Add(year)), key.Public(), nil, key)
		return authority{cert, key}, err
	case faults.has(FaultCardSigner):
		card, err := s.IssueCard("測試者", "0000000000000001", Person)
		if err != nil {
			return authority{}, err
		}
		return authority{card.Certificate, card.Key}, nil
	case faults.has(FaultOCSPSigner):
		return s.ocsp, nil
	}
	return s.cmc, nil
}

// spoilCertificate puts a wrong certificate in place of the one that was issued. Nothing of it is recorded.
func (s *Simulator) spoilCertificate(v *verdict, faults faultSet) error {
	if v.cert == nil {
		return nil
	}
	name, serial, pub, by := v.cert.Subject.CommonName, v.cert.Subject.SerialNumber, v.cert.PublicKey, s.ca
	usage := x509.KeyUsageDigitalSignature
	switch {
	case faults.has(FaultNoCertificate):
		v.cert = nil
		return nil
	case faults.has(FaultWrongKey):
		key, err := newP256()
		if err != nil {
			return err
		}
		pub = key.Public()
	case faults.has(FaultWrongPerson):
		name, serial = "他人", "9999999999999999"
	case faults.has(FaultWrongIssuer):
		other, err := s.otherGeneration()
		if err != nil {
			return err
		}
		by = other
	case faults.has(FaultWrongProfile):
		usage = x509.KeyUsageKeyEncipherment
	default:
		return nil
	}
	return s.replaceCertificate(v, name, serial, pub, usage, by)
}

func (s *Simulator) replaceCertificate(v *verdict, name, serial string, pub crypto.PublicKey, usage x509.KeyUsage, by authority) error {
	t, err := s.mobileTemplate(name, serial)
	if err != nil {
		return err
	}
	t.KeyUsage = usage
	v.cert, err = s.mint(t, pub, by)
	return err
}

// otherGeneration is a CA of the same name with another key, as generations of a government CA are.
func (s *Simulator) otherGeneration() (authority, error) {
	key, err := newP256()
	if err != nil {
		return authority{}, err
	}
	t := caTemplate(caName(), 0, s.ca.cert.NotBefore, s.ca.cert.NotAfter)
	cert, err := sign(s.rand, t, key.Public(), nil, key)
	return authority{cert, key}, err
}

// unsigned is a SignedData around body that nobody signed.
func unsigned(body []byte, certs [][]byte) ([]byte, error) {
	var b cryptobyte.Builder
	explicit := cbasn1.Tag(0).ContextSpecific().Constructed()
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSignedData)
		b.AddASN1(explicit, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(3)
				b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(cms.OIDPKIResponse)
					b.AddASN1(explicit, func(b *cryptobyte.Builder) { b.AddASN1OctetString(body) })
				})
				b.AddASN1(explicit, func(b *cryptobyte.Builder) {
					for _, c := range certs {
						b.AddBytes(c)
					}
				})
				b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
			})
		})
	})
	return b.Bytes()
}
