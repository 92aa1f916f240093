package enrol

import (
	"context"
	"errors"
	"time"

	"certwindow/hsm"
	"certwindow/ra"
	"certwindow/ra/csr"
)

// SecretPurpose says what the encrypted secret of an enrolment is for (hsm.ActivationInfo).
const SecretPurpose = "enrol"

// SecretInfo is what a phone encrypts its secret for when the HSM makes a key: this application and its challenge.
func SecretInfo(id ra.ApplicationID, challenge []byte) []byte {
	return hsm.ActivationInfo(SecretPurpose, string(id), challenge)
}

// makeTime bounds the making of a key: an RSA key takes SoftHSM up to a second, and others may be before it.
const makeTime = 20 * time.Second

// SubmitSecret has the HSM make the key of an application, now and not before (HCA-6.0, HCA-6.3), sealed under the
// secret of the holder's phone. The secret comes encrypted to the window's activation key; the device key signs
// ChainMessage of consent and ciphertext, so that consent, phone and key are one chain. The secret is gone when this
// returns, and only the phone has it.
func (s *Service) SubmitSecret(ctx context.Context, actor ra.Actor, device ra.DeviceID, id ra.ApplicationID, sealed, signature []byte) (ra.Application, error) {
	ctx, stop := context.WithTimeout(ctx, makeTime)
	defer stop()
	e := ra.Event{Actor: actor, Act: "enrol.key", Object: object(id)}
	var a ra.Application
	var p ra.PersonFacts
	err := s.store.View(ctx, func(tx Tx) (err error) {
		if a, p, err = s.ofDevice(tx, device, id); err != nil {
			return err
		}
		e.Institution = a.Institution
		return s.mayMakeInHSM(tx, a, p, sealed, signature)
	})
	if err != nil {
		return a, s.act(ctx, e, func(Tx, *ra.Event) error { return err })
	}
	key, request, err := s.makeSealed(ctx, a, p, sealed)
	if err != nil {
		return a, s.act(ctx, e, func(Tx, *ra.Event) error { return err })
	}
	e.Details = map[string]string{"key": ra.KeyHash(key.SPKI), "design": string(a.KeyDesign)}
	err = s.act(ctx, e, func(tx Tx, _ *ra.Event) error {
		if a, p, err = s.ofDevice(tx, device, id); err != nil {
			return err
		}
		if err := s.mayMakeInHSM(tx, a, p, sealed, signature); err != nil { // what changed meanwhile
			return err
		}
		if err := tx.SaveHolderKey(a, key, s.now()); err != nil {
			return err
		}
		if err := s.request(tx, a, request, KeyProof{Kind: KindHSM, MadeAt: s.now().UTC()}); err != nil {
			return err
		}
		a, err = tx.Application("", id)
		return err
	})
	return a, err
}

// mayMakeInHSM judges an application whose key the HSM is about to make, or has just made.
func (s *Service) mayMakeInHSM(tx Tx, a ra.Application, p ra.PersonFacts, sealed, signature []byte) error {
	if err := goesOn(a); err != nil {
		return err
	}
	if a.KeyDesign != ra.KeyHSM {
		return ra.Errorf(ra.KindConflict, "key-not-in-hsm", nil, "This application's key is made by the phone. Nothing was changed.")
	}
	if a.State != ra.AppAwaitingKey {
		return ra.Errorf(ra.KindConflict, "state-conflict", nil, "This application does not wait for a key any more. Nothing was changed.")
	}
	if _, err := ra.NextApplication(a.Kind, a.State, ra.AppKeyMade, a.Deadline, s.now()); err != nil {
		return err
	}
	d, err := tx.Device(a.DeviceID, a.PersonID)
	if err != nil {
		return err
	}
	if err := s.mayMakeKey(d, a, p); err != nil {
		return err
	}
	if err := verifyDeviceSignature(d.KeySPKI, ChainMessage(a.Consent, sealed), signature); err != nil {
		return ra.Refuse("HCA-6.0", "countersignature", "The secret is not countersigned by this device's key. Nothing was changed.", err)
	}
	return nil
}

// makeSealed makes the key and the request for it. A key that is not stored after that is gone: it is in no module,
// and its sealed form was in this process alone.
func (s *Service) makeSealed(ctx context.Context, a ra.Application, p ra.PersonFacts, sealed []byte) (hsm.WrappedKey, []byte, error) {
	secret, err := s.keys.OpenActivation(ctx, SecretInfo(a.ID, a.Challenge), sealed)
	if errors.Is(err, hsm.ErrActivation) {
		return hsm.WrappedKey{}, nil, ra.Refuse("HCA-6.3.5", "secret", "The secret was not encrypted for this application and this window. Nothing was changed.", err)
	}
	if err != nil {
		return hsm.WrappedKey{}, nil, ra.Errorf(ra.KindUnavailable, "hsm-key", err, "The HSM did not answer. The application waits; try again.")
	}
	defer secret.Destroy()
	binding := hsm.Binding{Person: string(a.PersonID), Device: string(a.DeviceID), Application: string(a.ID)}
	key, err := s.keys.GenerateSealed(ctx, hsm.Algorithm(a.Algorithm), binding, secret)
	if err != nil {
		return key, nil, ra.Errorf(ra.KindUnavailable, "hsm-key", err, "The HSM could not make the key. The application waits; try again.")
	}
	signer, err := s.keys.SealedSigner(ctx, key, binding, secret)
	if err != nil {
		return key, nil, ra.Errorf(ra.KindUnavailable, "hsm-key", err, "The HSM could not use the key. The application waits; try again.")
	}
	request, err := csr.Make(signer, subject(p), a.Challenge)
	if err != nil {
		return key, nil, ra.Errorf(ra.KindUnavailable, "hsm-key", err, "The HSM could not sign the request. The application waits; try again.")
	}
	return key, request, nil
}
