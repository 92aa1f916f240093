package remotesign

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"certwindow/hsm"
	"certwindow/policy"
	"certwindow/ra"
)

// Released is what a phone sends to release signatures.
type Release struct {
	Activation string   // a compact JWS by the device's key
	Secret     []byte   // the phone's secret, encrypted to the window's activation key (hsm.SealActivation)
	Factors    []Factor // the proof of the holder
	// Taken is committed together with the signatures where they are one Chunk at most, or not at all: by it the caller
	// takes the request itself. It may run more than once, each time from the beginning. Nil: nothing.
	Taken func(tx Tx, o Outcome) error
}

// Outcome is what became of a release.
type Outcome struct {
	Signatures [][]byte // in the order of the hashes; those before the one that was stopped
	Stopped    error    // why the rest was not signed; nil: all are
}

// Release signs what a client asked for and the holder's phone releases now. The signatures wait for the client. A
// certificate that is revoked in the middle of a batch stops the rest of it: Stopped says so.
func (s *Service) Release(ctx context.Context, actor ra.Actor, device ra.DeviceID, id AuthorisationID, r Release) (Outcome, error) {
	e := ra.Event{Actor: actor, Act: "sign.release", Object: authorisationObject(id), Institution: actor.Institution}
	if err := s.inNetwork(actor); err != nil {
		return Outcome{}, s.refused(ctx, e, err)
	}
	var a Authorisation
	err := s.Store.View(ctx, func(tx Tx) (err error) { a, err = ofDevice(tx, device, id); return err })
	e.Institution = a.Institution
	if err == nil && (a.State != Pending || !s.Now().Before(a.ExpiresAt)) {
		err = ra.Refuse("HCA-6.3.5", "authorisation-over", "The authorisation was decided before, or its time is over. Nothing was signed.", nil)
	}
	var f facts
	if err == nil {
		f, err = s.allowed(ctx, device, a)
	}
	if err != nil {
		return Outcome{}, s.refused(ctx, e, err)
	}
	return s.carryOut(ctx, a, f, r, e)
}

// Own is what a holder's own app asks to be signed.
type Own struct {
	Certificate   ra.CertificateID
	Scope         string
	HashAlgorithm string
	Items         []Item
	Challenge     string      // from Challenge
	Holder        ra.PersonID // who is signed in on the device: another's certificate is none (HCA-7.4)
}

// Sign signs what the holder's own app asks for, released in the same call. The signatures come back at once.
func (s *Service) Sign(ctx context.Context, actor ra.Actor, device ra.DeviceID, own Own, r Release) (Outcome, error) {
	e := ra.Event{Actor: actor, Act: "sign.hash", Object: certificateObject(own.Certificate), Institution: actor.Institution}
	if err := s.inNetwork(actor); err != nil {
		return Outcome{}, s.refused(ctx, e, err)
	}
	if err := checkItems(own.HashAlgorithm, own.Items); err != nil {
		return Outcome{}, s.refused(ctx, e, err)
	}
	f, err := s.allowed(ctx, device, Authorisation{Certificate: own.Certificate, Person: own.Holder, Client: DeviceClient, Scope: own.Scope})
	if f.certificate.Institution != "" {
		e.Institution = f.certificate.Institution
	}
	var a Authorisation
	if err == nil {
		a, err = s.newAuthorisation(f.certificate, Ask{Client: DeviceClient, Scope: own.Scope, HashAlgorithm: own.HashAlgorithm, Items: own.Items})
	}
	if err == nil {
		a.Challenge, err = s.openChallenge(own.Challenge, device, a.Certificate)
	}
	if err != nil {
		return Outcome{}, s.refused(ctx, e, err)
	}
	return s.carryOut(ctx, a, f, r, e)
}

// run is one release on its way.
type run struct {
	Authorisation
	actor      ra.Actor
	activation []byte // the name of the activation data
	event      ra.Event
	secret     hsm.Secret
	key        hsm.WrappedKey
	moved      int // the generation that key was under before it was moved in this run; 0: it was not
	binding    hsm.Binding
	taken      func(Tx, Outcome) error
	out        [][]byte
}

// Chunk is how many hashes are signed between two checks, and committed together.
const Chunk = 50

// carryOut does the whole of a release: the checks, the holder's proof, and the signatures, chunk by chunk.
func (s *Service) carryOut(ctx context.Context, a Authorisation, f facts, r Release, e ra.Event) (Outcome, error) {
	ctx, stop := context.WithTimeout(ctx, signTime)
	defer stop()
	x := &run{Authorisation: a, actor: e.Actor, event: e, taken: r.Taken}
	defer x.wipe(r.Factors)
	if err := s.open(ctx, x, f, r); err != nil {
		return Outcome{}, s.refused(ctx, e, err)
	}
	for from := 0; from < len(a.Items); from += Chunk {
		err := s.signChunk(ctx, x, from, min(from+Chunk, len(a.Items)))
		if err == nil {
			continue
		}
		if from == 0 {
			return Outcome{}, s.refused(ctx, e, err)
		}
		return Outcome{Signatures: x.out, Stopped: s.stop(ctx, x, err)}, nil
	}
	return Outcome{Signatures: x.out}, nil
}

// wipe ends the life of every secret of a run.
func (x *run) wipe(factors []Factor) {
	x.secret.Destroy()
	for _, f := range factors {
		f.Value.Destroy()
	}
}

// open goes through what comes between the rules and the first signature, the cheap and the certain first: the
// device's signature over exactly this, the proof of the holder, and the secret.
func (s *Service) open(ctx context.Context, x *run, f facts, r Release) error {
	activation, name, err := openActivation(r.Activation, f.device.KeySPKI)
	if err != nil {
		return ra.Refuse("HCA-6.3.5", "activation", "The activation data is not signed by this device's key. Nothing was signed.", err)
	}
	if err := activation.holds(x.Authorisation, r.Secret, kinds(r.Factors), s.Now()); err != nil {
		return err
	}
	if err := s.Factors.Prove(ctx, x.actor, x.Person, f.device, r.Factors, hex.EncodeToString(name[:])); err != nil {
		return err
	}
	x.activation, x.Activation = name[:], r.Activation
	x.binding = hsm.Binding{Person: string(x.Person), Device: string(x.Device), Application: string(f.certificate.ApplicationID)}
	if x.secret, err = s.Keys.OpenActivation(ctx, activation.SecretInfo(), r.Secret); err != nil {
		if errors.Is(err, hsm.ErrActivation) {
			return ra.Refuse("HCA-6.3.5", "secret", "The phone's secret was not encrypted for this act and this window. Nothing was signed.", err)
		}
		return ra.Errorf(ra.KindUnavailable, "hsm-key", err, "The HSM did not answer. Nothing was signed; try again.")
	}
	return s.holderKey(ctx, x, f.certificate.ApplicationID)
}

// kinds names the factors in their order.
func kinds(factors []Factor) string {
	all := make([]string, len(factors))
	for i, f := range factors {
		all[i] = f.Kind
	}
	return strings.Join(all, "+")
}

// holderKey loads the key, and moves it to the newest master key where a rollover is under way (HCA-6.3.4): what is
// inside the seal is reached with the holder's secret only, so this is the moment.
func (s *Service) holderKey(ctx context.Context, x *run, id ra.ApplicationID) error {
	err := s.Store.View(ctx, func(tx Tx) (err error) { x.key, err = tx.HolderKey(id); return err })
	if err != nil {
		return err
	}
	newest, err := s.newest(ctx)
	if err != nil {
		return unusable(err)
	}
	if x.key.Generation >= newest {
		return nil
	}
	moved, err := s.Keys.RewrapSealed(ctx, x.key, x.binding, x.secret, newest)
	switch {
	case errors.Is(err, hsm.ErrNotFound): // not prepared yet: the older master key still serves
		return nil
	case err != nil:
		return unusable(err)
	}
	x.moved, x.key = x.key.Generation, moved
	return nil
}

// unusable says why a key did not sign. A wrong secret and an edited row are refusals, anything else is the module's.
func unusable(err error) error {
	if errors.Is(err, hsm.ErrSecret) || errors.Is(err, hsm.ErrBinding) {
		return ra.Refuse("HCA-6.3.5", "sole-control", "The phone's secret does not open this holder's key. Nothing was signed.", err)
	}
	return ra.Errorf(ra.KindUnavailable, "hsm-key", err, "The HSM did not sign. Try again.")
}

// signChunk checks, signs, and commits; the signatures are anybody's only after that (HCA-8.1.6: no row, no
// signature). The module works outside of any transaction.
func (s *Service) signChunk(ctx context.Context, x *run, from, to int) error {
	if from > 0 {
		if _, err := s.allowed(ctx, x.Device, x.Authorisation); err != nil {
			return err
		}
	}
	digests := make([][]byte, 0, to-from)
	for _, i := range x.Items[from:to] {
		digests = append(digests, i.Hash)
	}
	sigs, err := s.Keys.SignSealed(ctx, x.key, x.binding, x.secret, Hashes[x.HashAlgorithm], digests)
	if err != nil {
		return unusable(err)
	}
	e := x.event
	e.Details = map[string]string{"certificate": string(x.Certificate), "client": string(x.Client), "scope": x.Scope, "authorisation": string(x.ID),
		"hashes": hex.EncodeToString(ItemsDigest(x.HashAlgorithm, x.Items)), "signed": strconv.Itoa(from+1) + "-" + strconv.Itoa(to), "count": strconv.Itoa(x.Count)}
	if x.Count == 1 {
		e.Details["hash"] = hex.EncodeToString(x.Items[0].Hash)
	}
	err = s.signed(ctx, x, e, from, sigs)
	if err == nil {
		x.out = append(x.out, sigs...)
	}
	return err
}

// signed commits a chunk with its row. A certificate that was revoked while the module worked stops it here.
func (s *Service) signed(ctx context.Context, x *run, e ra.Event, from int, sigs [][]byte) error {
	e.At, e.Outcome = s.Now(), ra.OutcomeDone
	return s.Store.Together(ctx, func(tx Tx) error {
		state, err := tx.CertificateState(x.Certificate)
		if err != nil {
			return err
		}
		if state != ra.CertLive {
			return ra.Refused(policy.Usable(policy.Use{State: string(state)}, e.At))
		}
		if x.moved > 0 && from == 0 {
			if err := tx.MoveHolderKey(ra.ApplicationID(x.binding.Application), x.moved, x.key); err != nil {
				return err
			}
		}
		if err := s.record(tx, x, from, sigs); err != nil {
			return err
		}
		if x.taken != nil && x.Count <= Chunk {
			if err := x.taken(tx, Outcome{Signatures: sigs}); err != nil {
				return err
			}
		}
		return tx.Audit(e)
	})
}

// record stores what a chunk made. The app's own signatures go back in the answer and are not stored.
func (s *Service) record(tx Tx, x *run, from int, sigs [][]byte) error {
	now := s.Now()
	a := x.Authorisation
	a.State, a.DecidedAt, a.ExpiresAt = Released, &now, later(a.ExpiresAt, now.Add(collectTime))
	switch {
	case a.Client != DeviceClient:
		if from == 0 {
			if err := tx.Decide(a, x.activation); err != nil {
				return err
			}
		}
		return tx.SaveSignatures(a.ID, from, sigs)
	case from == 0:
		a.Items = make([]Item, len(x.Items))
		for i, item := range x.Items {
			if item.State = HashWaiting; i < len(sigs) {
				item.State = HashCollected
			}
			a.Items[i] = item
		}
		return tx.InsertAuthorisation(a, x.activation)
	}
	if err := tx.SaveSignatures(a.ID, from, sigs); err != nil {
		return err
	}
	for n := range sigs {
		if _, there, err := tx.TakeSignature(a.ID, from+n); err != nil || !there {
			return errors.Join(err, errors.New("remotesign: a signature was not there"))
		}
	}
	return nil
}

// stop ends a batch in its middle: what is signed stays, what waits is refused, and the row says by which rule.
func (s *Service) stop(ctx context.Context, x *run, cause error) error {
	ctx = context.WithoutCancel(ctx)
	closed := s.Store.Together(ctx, func(tx Tx) error { return tx.RefuseWaiting(x.ID) })
	e := x.event
	e.Details = map[string]string{"authorisation": string(x.ID), "signed": strconv.Itoa(len(x.out)), "count": strconv.Itoa(x.Count)}
	return errors.Join(s.refused(ctx, e, cause), closed)
}
