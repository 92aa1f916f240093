package appcred

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"slices"

	"certwindow/devices/appcred/factor"
	"certwindow/policy"
	"certwindow/ra"
)

// Proof is one thing that a holder gives to show that it is he: a password, a code, or a biometric key's signature.
type Proof struct {
	Kind      string // of policy.Factor…
	Value     Secret
	Signature []byte // of a biometric key, ASN.1 DER, over Statement
	Challenge string // that the signature is over, for a login
}

// maxProofs bounds what one attempt may hold.
const maxProofs = 3

// Statement is what a biometric key signs for a purpose: a challenge that the window gave for a login, the name of the
// activation data for a signature.
func Statement(purpose Purpose, bound string) []byte {
	return []byte("certwindow user verification v1\x00" + string(purpose) + "\x00" + bound)
}

// ProveAct judges a holder's proofs on a device for a signature, and uses codes up (HCA-7.4, HCA-8.2.6 to HCA-8.2.8). That
// he uses the device now, the caller has just judged. What was wrong is told, since the caller has signed in before. act is
// what a biometric key must have signed: a name that the caller takes once and that stands for everything that is released,
// so that no challenge is kept for it.
func (s *Service) ProveAct(ctx context.Context, person ra.PersonID, d ra.DeviceFacts, proofs []Proof, act string) error {
	if act == "" {
		return ra.Errorf(ra.KindInternal, "proof-unbound", nil, "What is to be proved has no name. Nothing was judged.")
	}
	if !d.IsUser {
		return ra.Errorf(ra.KindInternal, "proof-stranger", nil, "The device was not judged for this person. Nothing was judged.")
	}
	var a Account
	err := s.Store.ViewAccounts(ctx, func(tx Tx) (err error) {
		var there bool
		if a, there, err = tx.Account(person); err == nil && !there {
			err = errNoAccount
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := ra.Refused(policy.PasswordInitial(a.MustChange)); err != nil {
		return err
	}
	_, err = s.prove(ctx, a, d, proofs, ForSignature, act)
	return err
}

// prove judges every proof. An account of nobody's is judged against a decoy, for as long.
func (s *Service) prove(ctx context.Context, a Account, d ra.DeviceFacts, proofs []Proof, purpose Purpose, act string) ([]string, error) {
	if len(proofs) > maxProofs {
		return nil, ra.Errorf(ra.KindMalformed, "proofs", nil, "Too many proofs at once. Nothing was judged.")
	}
	rule := policy.Proofs{Shared: d.Shared}
	var refusal error
	for _, p := range proofs {
		kind, err := s.proveOne(ctx, a, d, p, purpose, act)
		if k := ra.KindOf(err); err != nil && k != ra.KindRefused && k != ra.KindUnauthenticated && k != ra.KindMalformed {
			return nil, err
		}
		if err != nil && refusal == nil {
			refusal = err
		}
		if kind != "" {
			rule.Biometric = kind
		}
		rule.Kinds = append(rule.Kinds, p.Kind)
	}
	if refusal != nil {
		return nil, refusal
	}
	if a.Person == "" {
		return nil, ra.Errorf(ra.KindRefused, "no-account", nil, "There is no such account.")
	}
	if a.StoppedAt != nil {
		return nil, stopped()
	}
	err := s.Store.ViewAccounts(ctx, func(tx Tx) (err error) {
		rule.Accepted, err = tx.AcceptedBiometrics(d.Institution)
		return err
	})
	if err != nil {
		return nil, err
	}
	return rule.Kinds, ra.Refused(policy.HolderProofs(rule))
}

func stopped() error {
	return ra.Refuse("HCA-8.1.6", "account-stopped", "This account was stopped. Nothing was done; have yourself identified at the counter.", nil)
}

// proveOne judges one proof, and returns the kind of a biometric one.
func (s *Service) proveOne(ctx context.Context, a Account, d ra.DeviceFacts, p Proof, purpose Purpose, act string) (biometric string, err error) {
	switch p.Kind {
	case policy.FactorPassword:
		return "", s.checkPassword(ctx, a, p.Value)
	case policy.FactorTOTP:
		return "", s.counted(ctx, a, CodeFailures, func() (bool, error) { return s.checkTOTP(ctx, a, p.Value) })
	case policy.FactorHOTP:
		return "", s.counted(ctx, a, CodeFailures, func() (bool, error) { return s.checkHOTP(ctx, a, p.Value) })
	case policy.FactorCode:
		return "", s.counted(ctx, a, CodeFailures, func() (bool, error) { return s.checkCode(ctx, a, d, p.Value, purpose, true) })
	case policy.FactorBiometric:
		return s.checkBiometric(ctx, a, d, p, purpose, act)
	}
	return "", ra.Refused(policy.HolderProofs(policy.Proofs{Kinds: []string{p.Kind}}))
}

func (s *Service) checkPassword(ctx context.Context, a Account, password Secret) error {
	stored := a.Password
	if a.Person == "" {
		stored = s.Hasher.Decoy()
	}
	return s.counted(ctx, a, PasswordFailures, func() (bool, error) { return s.Hasher.Matches(ctx, password, stored) })
}

// lockOf is the rule of each counter.
func lockOf(c Counter, a Account) policy.Decision {
	if c == PasswordFailures {
		return policy.PasswordLock(a.Failures)
	}
	return policy.OTPLock(a.CodeFails)
}

var wrong = map[Counter]error{
	PasswordFailures: ra.Refuse("HCA-8.2.6", "password-wrong", "The password is wrong. Nothing was changed; five failures in a row lock it.", nil),
	CodeFailures:     ra.Refuse("HCA-8.2.7", "otp-wrong", "The code is wrong, was used, or is too old. Nothing was changed; three failures in a row lock codes.", nil),
}

// counted counts a failure before the try, in a transaction of its own, so that neither a rollback nor any number of
// simultaneous guesses gets more tries than the rule allows; a success ends the row of failures. A locked account's try
// is judged all the same, so that it takes as long.
func (s *Service) counted(ctx context.Context, a Account, c Counter, try func() (bool, error)) error {
	refusal := s.reserve(ctx, a, c)
	if refusal != nil && ra.KindOf(refusal) != ra.KindRefused {
		return refusal
	}
	right, err := try()
	switch {
	case err != nil:
		return err
	case refusal != nil:
		return refusal
	case !right || a.Person == "":
		return wrong[c]
	}
	return s.Store.UpdateAccounts(ctx, func(tx Tx) error { return tx.ClearFailures(a.Person, c) })
}

// reserve counts a try ahead, or refuses it. Of nobody, and of an account that is locked, something is written all the same,
// so that the time which the answer takes tells of neither.
func (s *Service) reserve(ctx context.Context, a Account, c Counter) error {
	for range 64 { // each turn somebody else's try was counted, which a lock soon ends
		counted, refusal := false, error(nil)
		err := s.Store.UpdateAccounts(ctx, func(tx Tx) error {
			fresh, there, err := tx.Account(a.Person)
			if err != nil {
				return err
			}
			if refusal = ra.Refused(lockOf(c, fresh)); !there || refusal != nil {
				counted = true
				return tx.FeignFailure()
			}
			n := fresh.Failures
			if c == CodeFailures {
				n = fresh.CodeFails
			}
			counted, err = tx.CountFailure(a.Person, c, n)
			return err
		})
		if err != nil {
			return err
		}
		if counted {
			return refusal
		}
	}
	return ra.Errorf(ra.KindTooMany, "logins-busy", nil, "This account is being tried from many places at once. Try again in a minute.")
}

// checkTOTP finds the code's time step and uses it up: no code twice, at however many replicas (HCA-8.2.7(3)).
func (s *Service) checkTOTP(ctx context.Context, a Account, code Secret) (ok bool, err error) {
	step := int64(0)
	if a.TOTP != "" {
		step = factor.StepOf(a.TOTP, code, s.moment())
	}
	err = s.Store.UpdateAccounts(ctx, func(tx Tx) error {
		if step == 0 {
			return nil
		}
		ok, err = tx.UseTOTP(a.Person, step)
		return err
	})
	return ok, err
}

// checkHOTP looks for the code among the next counters and uses up every one to it (RFC 4226 section 7.4).
func (s *Service) checkHOTP(ctx context.Context, a Account, code Secret) (ok bool, err error) {
	counter := int64(-1)
	if a.HOTP != "" {
		counter = factor.CounterOf(a.HOTP, code, a.HOTPNext)
	}
	err = s.Store.UpdateAccounts(ctx, func(tx Tx) error {
		if counter < 0 {
			return nil
		}
		ok, err = tx.UseHOTP(a.Person, counter)
		return err
	})
	return ok, err
}

// checkBiometric verifies the signature of a key that the platform uses only after verifying its user (HCA-8.2.8): for a
// login over a challenge of the window's that is used up, for a signature over the act that it releases. It cannot be
// guessed, so failures are not counted.
func (s *Service) checkBiometric(ctx context.Context, a Account, d ra.DeviceFacts, p Proof, purpose Purpose, act string) (kind string, err error) {
	refused := ra.Refuse("HCA-8.2.8", "biometric-wrong", "The biometric proof is not right. Nothing was changed.", nil)
	var keys []Biometric
	if err := s.Store.ViewAccounts(ctx, func(tx Tx) error { keys, err = tx.Biometrics(a.Person, d.ID); return err }); err != nil {
		return "", err
	}
	bound := p.Challenge
	if purpose == ForSignature {
		bound = act
	}
	digest := sha256.Sum256(Statement(purpose, bound))
	i := slices.IndexFunc(keys, func(b Biometric) bool {
		pub, err := userKey(b.SPKI)
		return err == nil && b.Generation == d.Generation && ecdsa.VerifyASN1(pub, digest[:], p.Signature)
	})
	switch {
	case i < 0 || bound == "" || purpose == ForSignature && p.Challenge != "":
		return "", refused
	case purpose == ForSignature:
		return keys[i].Kind, nil
	}
	used, err := s.checkCode(ctx, a, d, Secret(p.Challenge), purpose, false)
	if err == nil && !used {
		err = refused
	}
	return keys[i].Kind, err
}

// userKey reads a user-verified key: P-256, as a Secure Enclave and an Android Keystore make.
func userKey(spki []byte) (*ecdsa.PublicKey, error) {
	k, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, err
	}
	pub, ok := k.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, ra.Errorf(ra.KindMalformed, "biometric-key", nil, "The key is not on P-256. Nothing was changed.")
	}
	return pub, nil
}

// sameCode compares a code with what is kept of one, in constant time.
func sameCode(kept, given []byte) bool { return hmac.Equal(kept, given) }

// ownKey refuses a key whose holder does not show that he has it.
func ownKey(spki, signature []byte, challenge string) error {
	pub, err := userKey(spki)
	if err != nil {
		return ra.Errorf(ra.KindMalformed, "biometric-key", err, "The key cannot be read, or is not on P-256. Nothing was changed.")
	}
	digest := sha256.Sum256(Statement(ForLogin, challenge))
	if challenge == "" || !ecdsa.VerifyASN1(pub, digest[:], signature) {
		return ra.Refuse("HCA-8.2.8", "biometric-wrong", "The challenge is not signed by this key. Nothing was changed.", nil)
	}
	return nil
}
