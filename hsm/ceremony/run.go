package ceremony

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"certwindow/hsm"
	"certwindow/hsm/p11"
)

// Options say what a ceremony is to do and who takes part.
type Options struct {
	Module     string
	TokenLabel string
	SOPIN      hsm.Secret // not needed by Retire
	UserPIN    hsm.Secret
	Generation int // of the master key that is made, restored, rolled over or retired
	// Custodians are two or more people of different units (HCA-6.3.2), in the order of their components.
	Custodians []string
	// ReadComponent asks one custodian, alone at the keyboard, for the printed component (see NewComponent).
	ReadComponent func(custodian string) (hsm.Secret, error)
	// Out receives the signed record at the end.
	Out io.Writer
	// Progress shows check values to the custodians while it happens; nil shows nothing.
	Progress io.Writer
	Now      func() time.Time
	Rand     io.Reader // for the record's id
	// Restore is the record of the ceremony that made the generation, where Run is to make it again in a new token.
	Restore *Transcript
}

// Run makes a generation of the master key from the custodians' components (HCA-6.3.2), or makes it again from the
// same components in a new token (Options.Restore), together with the MAC key of that time. It refuses a generation
// that exists. Everything that can be checked is checked before the token is changed, and a ceremony that cannot
// leave its record leaves no key either.
func Run(ctx context.Context, o Options) (*Transcript, error) {
	kind := KindCreate
	if o.Restore != nil {
		kind = KindRestore
	}
	t, err := o.begin(kind)
	if err != nil {
		return nil, err
	}
	restoreMAC, err := o.before(ctx)
	if err != nil {
		return nil, err
	}
	spec := p11.MasterSpec{Generation: o.Generation, Master: true}
	if restoreMAC {
		spec.MACBackup = o.Restore.MACBackup
	}
	if err := o.create(ctx, t, spec); err != nil {
		return nil, err
	}
	return t, o.finish(ctx, t, func(tok *p11.Token) error { return tok.DestroyMaster(context.WithoutCancel(ctx), o.Generation) })
}

// Rollover makes the rollover object of an existing generation, from its custodians' components: with it, and only
// with it, that generation's keys can be wrapped under a newer master key (HCA-6.3.4, p11.Token.Rewrap).
func Rollover(ctx context.Context, o Options) (*Transcript, error) {
	if o.Restore != nil {
		return nil, errors.New("ceremony: a rollover restores nothing")
	}
	t, err := o.begin(KindRollover)
	if err != nil {
		return nil, err
	}
	if err := o.create(ctx, t, p11.MasterSpec{Generation: o.Generation, Rollover: true}); err != nil {
		return nil, err
	}
	return t, o.finish(ctx, t, func(tok *p11.Token) error { return tok.DestroyRollover(context.WithoutCancel(ctx), o.Generation) })
}

// Retire destroys a generation's master key and rollover object, and refuses the newest generation. The caller has
// made sure that no key is wrapped under it any more. The record is written before the key goes.
func Retire(ctx context.Context, o Options) (*Transcript, error) {
	t, err := o.start(KindRetire)
	if err != nil {
		return nil, err
	}
	tok, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	defer tok.Close()
	all, err := tok.MasterGenerations(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(all, o.Generation) {
		return nil, fmt.Errorf("%w: master key of generation %d", hsm.ErrNotFound, o.Generation)
	}
	if o.Generation == all[len(all)-1] {
		return nil, fmt.Errorf("ceremony: generation %d is the newest and in use", o.Generation)
	}
	if t.MasterCheckValue, err = tok.MasterCheckValue(ctx, o.Generation); err != nil {
		return nil, err
	}
	if err := o.write(ctx, tok, t); err != nil {
		return nil, err
	}
	return t, tok.DestroyMaster(ctx, o.Generation)
}

// start checks what every ceremony needs and begins its transcript.
func (o Options) start(kind Kind) (*Transcript, error) {
	switch {
	case o.Generation < 1 || o.Generation > p11.MaxGeneration:
		return nil, fmt.Errorf("ceremony: generation %d is not between 1 and %d", o.Generation, p11.MaxGeneration)
	case o.Out == nil || o.Now == nil || o.Rand == nil:
		return nil, errors.New("ceremony: no place for the record, no clock or no random source")
	}
	id := make([]byte, 16)
	if _, err := io.ReadFull(o.Rand, id); err != nil {
		return nil, fmt.Errorf("ceremony: random source: %w", err)
	}
	return &Transcript{Format: transcriptFormat, ID: hex.EncodeToString(id), Kind: kind, Started: o.Now().UTC(),
		Module: o.Module, Generation: o.Generation}, nil
}

// begin is start for ceremonies with custodians.
func (o Options) begin(kind Kind) (*Transcript, error) {
	if len(o.Custodians) < 2 || len(o.Custodians) > 16 {
		return nil, fmt.Errorf("ceremony: %d custodians; a master key has two to sixteen (HCA-6.3.2)", len(o.Custodians))
	}
	seen := map[string]bool{}
	for _, c := range o.Custodians {
		name := strings.ToLower(strings.TrimSpace(c))
		if name == "" || seen[name] {
			return nil, errors.New("ceremony: every custodian has a name, and no two the same")
		}
		seen[name] = true
	}
	if o.ReadComponent == nil {
		return nil, errors.New("ceremony: no way to read the components")
	}
	if r := o.Restore; r != nil {
		if r.Generation != o.Generation || len(r.Custodians) != len(o.Custodians) || len(r.MACBackup) == 0 ||
			r.Kind != KindCreate && r.Kind != KindRestore {
			return nil, fmt.Errorf("ceremony: the record is not of making generation %d with %d custodians", o.Generation, len(o.Custodians))
		}
	}
	return o.start(kind)
}

func (o Options) open(ctx context.Context) (*p11.Token, error) {
	return p11.Open(ctx, p11.Config{Module: o.Module, TokenLabel: o.TokenLabel, PIN: o.UserPIN, Sessions: 1})
}

// before refuses, ahead of the first component, what could only fail later. It says whether the MAC key is to be
// restored: one that is there already must be the record's.
func (o Options) before(ctx context.Context) (restoreMAC bool, err error) {
	tok, err := o.open(ctx)
	if err != nil {
		return false, err
	}
	defer tok.Close()
	all, err := tok.MasterGenerations(ctx)
	if err != nil {
		return false, err
	}
	if slices.Contains(all, o.Generation) {
		return false, fmt.Errorf("%w: master key of generation %d", hsm.ErrExists, o.Generation)
	}
	if o.Restore == nil {
		if len(all) > 0 && o.Generation < all[len(all)-1] {
			return false, fmt.Errorf("ceremony: generation %d is older than %d, which the token holds", o.Generation, all[len(all)-1])
		}
		return false, nil
	}
	check, err := tok.MACCheckValue(ctx)
	if errors.Is(err, hsm.ErrNotFound) {
		return true, nil
	}
	if err == nil && check != o.Restore.MACCheckValue {
		err = fmt.Errorf("%w: a MAC key other than the record's; restore into a token without one", hsm.ErrExists)
	}
	return false, err
}

// create reads the components and has the token make the key from them.
func (o Options) create(ctx context.Context, t *Transcript, spec p11.MasterSpec) error {
	defer func() {
		for _, c := range spec.Components {
			c.Destroy()
		}
	}()
	for i, name := range o.Custodians {
		c, check, err := o.component(name)
		if err != nil {
			return err
		}
		for _, other := range spec.Components {
			if bytes.Equal(other.Bytes(), c.Bytes()) {
				c.Destroy()
				return fmt.Errorf("ceremony: %s entered the same component as another custodian", name)
			}
		}
		spec.Components = append(spec.Components, c)
		if o.Restore != nil && o.Restore.Custodians[i].CheckValue != check {
			return fmt.Errorf("ceremony: component %d has check value %s, the record says %s", i+1, check, o.Restore.Custodians[i].CheckValue)
		}
		t.Custodians = append(t.Custodians, Custodian{Name: name, CheckValue: check})
		o.show("component %d, %s: check value %s\n", i+1, name, check)
	}
	spec.Confirm = func(r p11.MasterResult) error { return o.confirm(t, r) }
	_, err := p11.CreateMaster(ctx, p11.Admin{Module: o.Module, TokenLabel: o.TokenLabel, SOPIN: o.SOPIN, UserPIN: o.UserPIN}, spec)
	return err
}

// component asks one custodian.
func (o Options) component(name string) (raw hsm.Secret, check string, err error) {
	text, err := o.ReadComponent(name)
	if err != nil {
		return hsm.Secret{}, "", fmt.Errorf("ceremony: component of %s: %w", name, err)
	}
	defer text.Destroy()
	if raw, err = ParseComponent(text); err != nil {
		return hsm.Secret{}, "", fmt.Errorf("component of %s: %w", name, err)
	}
	check, err = checkValue(raw.Bytes())
	return raw, check, err
}

// confirm compares the module's check values with ours and the record's, before anything is stored.
func (o Options) confirm(t *Transcript, r p11.MasterResult) error {
	for i, c := range t.Custodians {
		if r.ComponentChecks[i] != c.CheckValue {
			return fmt.Errorf("ceremony: the module got another component from %s than was entered", c.Name)
		}
	}
	if o.Restore != nil && r.MasterCheck != o.Restore.MasterCheckValue {
		return fmt.Errorf("ceremony: the master key has check value %s, the record says %s", r.MasterCheck, o.Restore.MasterCheckValue)
	}
	t.MasterCheckValue = r.MasterCheck
	o.show("master key, generation %d: check value %s\n", o.Generation, r.MasterCheck)
	return nil
}

// finish signs and writes the record; where that fails, undo takes the new key back.
func (o Options) finish(ctx context.Context, t *Transcript, undo func(*p11.Token) error) error {
	tok, err := o.open(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Errorf("ceremony: the key of generation %d was made, but the token does not open again to record it: %w", o.Generation, err)
	}
	defer tok.Close()
	if err = o.backupMAC(ctx, tok, t); err == nil {
		err = o.write(ctx, tok, t)
	}
	if err != nil {
		return errors.Join(err, undo(tok))
	}
	return nil
}

// backupMAC puts the MAC key, wrapped under the generation's master key, into the record: what a lost token's
// successor needs beside the custodians.
func (o Options) backupMAC(ctx context.Context, tok *p11.Token, t *Transcript) error {
	if t.Kind == KindRollover {
		return nil
	}
	if _, err := ensureMAC(ctx, tok); err != nil {
		return err
	}
	var err error
	if t.MACCheckValue, err = tok.MACCheckValue(ctx); err != nil {
		return err
	}
	if o.Restore != nil && t.MACCheckValue != o.Restore.MACCheckValue {
		return fmt.Errorf("ceremony: the restored MAC key has check value %s, the record says %s", t.MACCheckValue, o.Restore.MACCheckValue)
	}
	t.MACBackup, err = tok.ExportMACKey(ctx, o.Generation)
	return err
}

func (o Options) write(ctx context.Context, tok *p11.Token, t *Transcript) error {
	if _, err := ensureKey(ctx, tok, KeySpec{LabelCeremony, hsm.P256}); err != nil {
		return err
	}
	key, err := tok.Signer(ctx, LabelCeremony)
	if err != nil {
		return err
	}
	t.Token, t.Finished = tok.Info(), o.Now().UTC()
	file, err := signRecord(t, key)
	if err != nil {
		return err
	}
	if _, err := o.Out.Write(file); err != nil {
		return fmt.Errorf("ceremony: writing the record: %w", err)
	}
	return nil
}

func (o Options) show(format string, args ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, format, args...)
	}
}
