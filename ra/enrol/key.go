package enrol

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"certwindow/hsm"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/csr"
	"certwindow/ra/jobs"
)

// request commits the certification request and has it sent.
func (s *Service) request(tx Tx, a ra.Application, request []byte, proof KeyProof) error {
	from := a.State
	next, err := ra.NextApplication(a.Kind, from, ra.AppKeyMade, a.Deadline, s.now())
	if err != nil {
		return err
	}
	if a.KeyProof, err = json.Marshal(proof); err != nil {
		return err
	}
	a.State, a.CSR, a.UpdatedAt = next, request, s.now()
	if err := tx.UpdateApplication(a, from); err != nil {
		return err
	}
	return tx.Enqueue(jobs.Exchange{Application: a.ID})
}

// subject is the name that a request asks for: the holder's, as the card has it.
func subject(p ra.PersonFacts) pkix.Name {
	return pkix.Name{Country: []string{"TW"}, CommonName: p.Name, SerialNumber: p.Holder}
}

// KeyTask is what a phone needs to make a key for an application (HCA-6.0).
type KeyTask struct {
	Application   ra.Application
	Holder        string
	Name          string
	ConsentSHA256 string // of the card-signed message, hex: the device key signs it together with the request
}

// Waiting lists what waits for the device to make a key.
func (s *Service) Waiting(ctx context.Context, device ra.DeviceID) (out []ra.Application, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Applications(Query{Kind: ra.Enrolment, State: ra.AppAwaitingKey, Device: device, Limit: 50})
		return err
	})
	return out, err
}

// KeyTask is one application, for the device that it is meant for.
func (s *Service) KeyTask(ctx context.Context, device ra.DeviceID, id ra.ApplicationID) (t KeyTask, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		a, p, err := s.ofDevice(tx, device, id)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(a.Consent)
		t = KeyTask{Application: a, Holder: p.Holder, Name: p.Name, ConsentSHA256: hex.EncodeToString(sum[:])}
		return nil
	})
	return t, err
}

// ofDevice loads a signed application that belongs to the device; any other is not found.
func (s *Service) ofDevice(tx Tx, device ra.DeviceID, id ra.ApplicationID) (ra.Application, ra.PersonFacts, error) {
	a, err := tx.Application("", id)
	if err != nil {
		return a, ra.PersonFacts{}, err
	}
	if a.DeviceID != device || a.Kind != ra.Enrolment || a.Consent == nil {
		return a, ra.PersonFacts{}, ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such application for this device.")
	}
	p, err := tx.Person(a.PersonID)
	return a, p, err
}

// ChainMessage is what the device key signs when it hands in a request: the consent, the phone and the key
// become one chain. It is SHA-256 of the card-signed message, followed by SHA-256 of the request's DER.
func ChainMessage(consentCMS, request []byte) []byte {
	c, r := sha256.Sum256(consentCMS), sha256.Sum256(request)
	return append(c[:], r[:]...)
}

// SubmitRequest takes the request for a key that the phone made, with the device key's signature over
// ChainMessage (ECDSA P-256, SHA-256, ASN.1 DER). proof is what the platform or the chip says of the key, nil when
// nothing was sent; a wrong one is refused, whether one was needed or not (HCA-6.1, HCA-6.2).
func (s *Service) SubmitRequest(ctx context.Context, actor ra.Actor, device ra.DeviceID, id ra.ApplicationID, der, signature []byte, proof *ra.Attestation) (a ra.Application, err error) {
	e := ra.Event{Actor: actor, Act: "enrol.key", Object: object(id)}
	err = s.act(ctx, e, func(tx Tx, e *ra.Event) error {
		var p ra.PersonFacts
		if a, p, err = s.ofDevice(tx, device, id); err != nil {
			return err
		}
		e.Institution = a.Institution
		if err := goesOn(a); err != nil {
			return err
		}
		if a.KeyDesign == ra.KeyHSM {
			return ra.Errorf(ra.KindConflict, "key-in-hsm", nil, "This application's key is made by the window's HSM. Nothing was changed.")
		}
		if a.State != ra.AppAwaitingKey {
			return ra.Errorf(ra.KindConflict, "state-conflict", nil, "This application does not wait for a key any more. Nothing was changed.")
		}
		d, err := tx.Device(device, a.PersonID)
		if err != nil {
			return err
		}
		if err := s.mayMakeKey(d, a, p); err != nil {
			return err
		}
		req, err := checkRequest(a, d, der, signature)
		if err != nil {
			return err
		}
		made, err := s.judgeKey(tx, d, a, req, proof)
		if err != nil {
			return err
		}
		e.Details = map[string]string{"key": ra.KeyHash(req.SPKI), "design": string(a.KeyDesign), "proof": made.Kind}
		if err := s.request(tx, a, der, made); err != nil {
			return err
		}
		a, err = tx.Application("", id)
		return err
	})
	return a, err
}

// mayMakeKey judges device and person again, at the moment the key arrives (HCA-7.3, HCA-6.0).
func (s *Service) mayMakeKey(d ra.DeviceFacts, a ra.Application, p ra.PersonFacts) error {
	return ra.Refused(policy.All(
		policy.SameBinding(a.DeviceKey, ra.KeyHash(d.KeySPKI), a.Generation, d.Generation),
		policy.DeviceUser(policy.DeviceUse{Registered: d.IsUser, State: string(d.State), SameInstitution: d.Institution == a.Institution}),
		policy.Person(policy.Applicant{Active: p.Active, Member: p.MemberOf(a.Institution), SameHolder: true, SameName: true}),
	))
}

// checkRequest holds the request against its application: proof of possession, the challenge, the device's
// countersignature, and a key that is not the device's own.
func checkRequest(a ra.Application, d ra.DeviceFacts, der, signature []byte) (*csr.Request, error) {
	req, err := csr.Parse(der)
	if err != nil {
		return nil, ra.Errorf(ra.KindMalformed, "csr", err, "The certification request cannot be read, or its signature is wrong. Nothing was changed.")
	}
	if subtle.ConstantTimeCompare([]byte(req.Challenge), []byte(csr.Challenge(a.Challenge))) != 1 {
		return nil, ra.Refuse("HCA-6.0", "challenge-differs", "The request does not hold this application's challenge. Nothing was changed.", nil)
	}
	alg, err := hsm.AlgorithmOf(req.PublicKey)
	if err != nil || string(alg) != a.Algorithm {
		return nil, ra.Errorf(ra.KindMalformed, "algorithm", err, "The request's key is not of the algorithm that was applied for. Nothing was changed.")
	}
	if ra.KeyHash(req.SPKI) == a.DeviceKey {
		return nil, ra.Refuse("HCA-6.0", "device-key-reused", "The device's own key cannot be the holder's as well. Nothing was changed.", nil)
	}
	if err := verifyDeviceSignature(d.KeySPKI, ChainMessage(a.Consent, der), signature); err != nil {
		return nil, ra.Refuse("HCA-6.0", "countersignature", "The request is not countersigned by this device's key. Nothing was changed.", err)
	}
	return req, nil
}

// verifyDeviceSignature checks an ASN.1 DER ECDSA signature over SHA-256 of the message. Device keys are P-256:
// that is what a Secure Enclave and an Android Keystore make.
func verifyDeviceSignature(spki, message, signature []byte) error {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return err
	}
	pub, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return fmt.Errorf("device key of type %T", key)
	}
	digest := sha256.Sum256(message)
	if !ecdsa.VerifyASN1(pub, digest[:], signature) {
		return errors.New("the signature does not verify under the device key")
	}
	return nil
}
