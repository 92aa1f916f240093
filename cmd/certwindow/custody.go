package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"certwindow/cmd/certwindow/config"
	"certwindow/cmd/certwindow/window"
	"certwindow/hsm"
	"certwindow/hsm/ceremony"
	"certwindow/hsm/p11"
	"certwindow/ra/custody"
)

// approvedFlags are the flags of a ceremony that two persons have to have approved.
type approvedFlags struct {
	tokenFlags
	config, approval *string
}

func newApprovedFlags(name string, s streams) approvedFlags {
	f := newTokenFlags(name, s)
	return approvedFlags{f, f.String("config", "", "the window's configuration, which knows what was approved"),
		f.String("approval", "", "the proposal that two persons agreed on")}
}

// window opens the house for one thing, and closes it again: the ceremony needs the token for itself.
func (f approvedFlags) window(ctx context.Context, do func(*window.Window) error) error {
	if *f.config == "" || *f.approval == "" {
		return errors.New("HCA-6.3.2: this takes an approval by two persons; name it with --approval, and the configuration with --config")
	}
	c, err := config.Load(*f.config)
	if err != nil {
		return err
	}
	w, err := window.Open(ctx, c, logger(c, f.s), now)
	if err != nil {
		return err
	}
	defer w.Close()
	return do(w)
}

// held begins an approved ceremony, holds it, and keeps its record with the approval.
func (f approvedFlags) held(ctx context.Context, kind custody.Kind, generation int, hold func() ([]byte, error)) error {
	actor := window.Operator(f.Name())
	err := f.window(ctx, func(w *window.Window) error { return w.Custody.Begin(ctx, actor, *f.approval, kind, generation) })
	if err != nil {
		return err
	}
	record, err := hold()
	if err != nil {
		return err
	}
	err = f.window(context.WithoutCancel(ctx), func(w *window.Window) error {
		return w.Custody.Finish(context.WithoutCancel(ctx), actor, *f.approval, record)
	})
	if err != nil {
		return fmt.Errorf("the ceremony was held and its record written, but the window could not note it: %w", err)
	}
	return nil
}

// options are those of a ceremony on this command's token.
func (f tokenFlags) options(generation int, people *custodians) (o ceremony.Options, err error) {
	so, user, err := f.pins()
	return ceremony.Options{Module: *f.module, TokenLabel: *f.token, SOPIN: so, UserPIN: user, Generation: generation, Custodians: people.names,
		ReadComponent: people.reader(f.s), Progress: f.s.err, Now: now, Rand: rand.Reader}, err
}

// hasMaster tells whether the token holds a master key, so that making another is no first set-up any more.
func (f tokenFlags) hasMaster(ctx context.Context, pin hsm.Secret) (bool, error) {
	if exists, err := p11.HasToken(*f.module, *f.token); err != nil || !exists {
		return false, err
	}
	token, err := p11.Open(ctx, p11.Config{Module: *f.module, TokenLabel: *f.token, PIN: pin, Sessions: 1})
	if err != nil {
		return false, err
	}
	defer token.Close()
	all, err := token.MasterGenerations(ctx)
	return len(all) > 0, err
}

// cmdCeremonyMaster makes a generation of the master key from the custodians' components, or makes it again in
// a new token from the record of the first time (HCA-6.3.2). Only a token without any master key is set up, or
// restored into, on the custodians' word alone: nobody can sign in to a window that has none.
func cmdCeremonyMaster(ctx context.Context, args []string, s streams) int {
	f := newApprovedFlags("ceremony master", s)
	generation := f.Int("generation", 1, "number of the master key")
	restore := f.String("restore", "", "record of the ceremony that made this generation, to make it again in a new token")
	people := &custodians{files: map[string]string{}}
	f.Var(people, "custodian", "NAME, who types the component alone, or NAME=FILE that holds it; two or more")
	if ok, code := f.parse(args, "module", "token", "so-pin-file", "pin-file", "out"); !ok {
		return code
	}
	o, err := f.options(*generation, people)
	if err != nil {
		return f.fail(err)
	}
	made, err := f.hasMaster(ctx, o.UserPIN)
	if err != nil {
		return f.fail(err)
	}
	if *restore != "" {
		if o.Restore, err = readRecord(*restore); err != nil {
			return f.fail(err)
		}
		if err := f.emptyToken(o); err != nil {
			return f.fail(err)
		}
	}
	hold := func() ([]byte, error) {
		_, record, err := f.record(o, func(o ceremony.Options) (*ceremony.Transcript, error) { return ceremony.Run(ctx, o) })
		return record, err
	}
	if made {
		err = f.held(ctx, custody.Create, *generation, hold)
	} else {
		_, err = hold()
	}
	if err != nil {
		return f.fail(err)
	}
	fmt.Fprintf(s.out, "master key %d is in token %s; its signed record is %s\n", *generation, *f.token, *f.out)
	return exitYes
}

// emptyToken makes the token that a generation is restored into. It is made empty: setting it up first would give it
// another MAC key than the lost one's.
func (f tokenFlags) emptyToken(o ceremony.Options) error {
	exists, err := p11.HasToken(*f.module, *f.token)
	if err != nil || exists {
		return err
	}
	return p11.InitToken(*f.module, *f.token, o.SOPIN, o.UserPIN)
}

// cmdCeremonyRollover lets an old generation's keys move to the newest (HCA-6.3.4). Each is sealed under its holder's
// own secret as well, which only the phone has: so it moves when its holder signs next, and until then the old
// generation still serves, and no signature is refused.
func cmdCeremonyRollover(ctx context.Context, args []string, s streams) int {
	f := newApprovedFlags("ceremony rollover", s)
	generation := f.Int("generation", 0, "number of the old master key")
	people := &custodians{files: map[string]string{}}
	f.Var(people, "custodian", "NAME, who types the old component alone, or NAME=FILE that holds it; two or more")
	if ok, code := f.parse(args, "module", "token", "so-pin-file", "pin-file", "out"); !ok {
		return code
	}
	o, err := f.options(*generation, people)
	if err != nil {
		return f.fail(err)
	}
	err = f.held(ctx, custody.Rollover, *generation, func() ([]byte, error) {
		_, record, err := f.record(o, func(o ceremony.Options) (*ceremony.Transcript, error) { return ceremony.Rollover(ctx, o) })
		return record, err
	})
	if err != nil {
		return f.fail(err)
	}
	fmt.Fprintf(s.out, "the keys of generation %d move to the newest as their holders sign; certwindow ceremony status tells how many are left\n", *generation)
	return exitYes
}

// cmdCeremonyRetire destroys an old generation, under which no key is left (HCA-6.3.4).
func cmdCeremonyRetire(ctx context.Context, args []string, s streams) int {
	f := newApprovedFlags("ceremony retire", s)
	generation := f.Int("generation", 0, "number of the old master key")
	if ok, code := f.parse(args, "module", "token", "pin-file", "out"); !ok {
		return code
	}
	o, err := f.options(*generation, &custodians{})
	if err != nil {
		return f.fail(err)
	}
	err = f.held(ctx, custody.Retire, *generation, func() ([]byte, error) {
		_, record, err := f.record(o, func(o ceremony.Options) (*ceremony.Transcript, error) { return ceremony.Retire(ctx, o) })
		return record, err
	})
	if err != nil {
		return f.fail(err)
	}
	fmt.Fprintf(s.out, "master key %d is destroyed; the signed record is %s\n", *generation, *f.out)
	return exitYes
}

// cmdCeremonyStatus tells which generations the token holds, and how many holders' keys are under each.
func cmdCeremonyStatus(ctx context.Context, args []string, s streams) int {
	f := newOperatorFlags("ceremony status", s)
	w, code := f.open(ctx, args)
	if w == nil {
		return code
	}
	defer w.Close()
	all, err := w.Generations(ctx)
	if err != nil {
		return f.fail(err)
	}
	f.result(map[string]any{"generations": all}, func() {
		for _, g := range all {
			fmt.Fprintf(s.out, "generation %d: in the token %s, rollover prepared %s, holders' keys %d\n", g.Number, yes(g.Held), yes(g.Rollover), g.Keys)
		}
	})
	return exitYes
}

func yes(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }

// cmdCeremonyExport seals one custodian's component under the custodian's own passphrase, for the carrier that he keeps:
// the custodians' files together are the backup of the master key (HCA-6.3.2), and one of them is of no use.
func cmdCeremonyExport(ctx context.Context, args []string, s streams) int {
	f := newApprovedFlags("ceremony export", s)
	generation := f.Int("generation", 0, "number of the master key")
	people := &custodians{files: map[string]string{}}
	f.Var(people, "custodian", "NAME=FILE that holds the component and is to be destroyed afterwards, or NAME, who types it")
	passphrase := f.String("passphrase-file", "", "file with the custodian's passphrase")
	if ok, code := f.parse(args, "passphrase-file", "out"); !ok {
		return code
	}
	if len(people.names) != 1 {
		fmt.Fprintf(s.err, "%s: one --custodian at a time, each alone at the keyboard\n", f.Name())
		return exitUsage
	}
	err := f.window(ctx, func(w *window.Window) error {
		return w.Custody.Begin(ctx, window.Operator(f.Name()), *f.approval, custody.Export, *generation)
	})
	if err == nil {
		err = f.export(people, *passphrase, *generation)
	}
	if err != nil {
		return f.fail(err)
	}
	fmt.Fprintf(s.out, "%s is the sealed component of %s\n", *f.out, people.names[0])
	return exitYes
}

func (f tokenFlags) export(people *custodians, passphrase string, generation int) error {
	component, err := people.reader(f.s)(people.names[0])
	if err != nil {
		return err
	}
	defer component.Destroy()
	secret, err := hsm.ReadSecretFile(passphrase)
	if err != nil {
		return err
	}
	defer secret.Destroy()
	sealed, err := ceremony.SealComponent(component, secret, people.names[0], generation, rand.Reader)
	if err != nil {
		return err
	}
	return f.write(sealed)
}

// write writes a file that must not exist; part of one is of no use to anybody.
func (f tokenFlags) write(content []byte) error {
	file, err := create(*f.out)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(*f.out)
		return err
	}
	return nil
}

// cmdCeremonyUnseal opens what export sealed, for a ceremony on a new token.
func cmdCeremonyUnseal(_ context.Context, args []string, s streams) int {
	f := newTokenFlags("ceremony unseal", s)
	in := f.String("in", "", "the sealed component")
	passphrase := f.String("passphrase-file", "", "file with the custodian's passphrase")
	if ok, code := f.parse(args, "in", "passphrase-file", "out"); !ok {
		return code
	}
	secret, err := hsm.ReadSecretFile(*passphrase)
	if err != nil {
		return f.fail(err)
	}
	defer secret.Destroy()
	raw, err := readCapped(*in)
	if err != nil {
		return f.fail(err)
	}
	component, info, err := ceremony.OpenComponent(raw, secret)
	if err != nil {
		return f.fail(err)
	}
	defer component.Destroy()
	if err := f.write(append(slices.Clone(component.Bytes()), '\n')); err != nil {
		return f.fail(err)
	}
	fmt.Fprintf(s.out, "component of %s, generation %d, check value %s\n", info.Custodian, info.Generation, info.CheckValue)
	return exitYes
}

// maxCeremonyFile is above any record or sealed component, in bytes.
const maxCeremonyFile = 1 << 20

func readCapped(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxCeremonyFile+1))
	if err == nil && len(raw) > maxCeremonyFile {
		err = fmt.Errorf("%s: larger than any record of a ceremony", path)
	}
	return raw, err
}

// cmdCeremonyVerify judges the signature of a ceremony's record, off line. Whose key signed it is told by the record of
// the first ceremony, which the auditors keep: without that the signature proves only that the file is whole.
func cmdCeremonyVerify(_ context.Context, args []string, s streams) int {
	fs := flag.NewFlagSet("certwindow ceremony verify", flag.ContinueOnError)
	fs.SetOutput(s.err)
	in := fs.String("in", "", "the record")
	first := fs.String("first", "", "the record of the first ceremony, whose key is trusted")
	asJSON := fs.Bool("json", false, "print one JSON object")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitYes
		}
		return exitUsage
	}
	if *in == "" || fs.NArg() > 0 {
		fmt.Fprintln(s.err, "certwindow ceremony verify: --in FILE is needed, and nothing beside the flags")
		return exitUsage
	}
	t, err := judgeRecord(*in, *first)
	out := map[string]any{"valid": err == nil, "reason": "", "trusted": err == nil && *first != ""}
	if err != nil {
		out["reason"] = err.Error()
	} else {
		out["record"] = t
	}
	switch {
	case *asJSON:
		_ = json.NewEncoder(s.out).Encode(out)
	case err != nil:
		fmt.Fprintln(s.err, err)
	default:
		fmt.Fprintf(s.out, "%s of generation %d, %s to %s, %d custodians: the signature is good\n", t.Kind, t.Generation, t.Started, t.Finished, len(t.Custodians))
	}
	if err != nil {
		return exitNo
	}
	return exitYes
}

func judgeRecord(in, first string) (*ceremony.Transcript, error) {
	var trusted []byte
	if first != "" {
		raw, err := readCapped(first)
		if err != nil {
			return nil, err
		}
		_, key, err := ceremony.ParseRecord(raw, nil)
		if err != nil {
			return nil, fmt.Errorf("the first record: %w", err)
		}
		if trusted, err = x509.MarshalPKIXPublicKey(key); err != nil {
			return nil, err
		}
	}
	raw, err := readCapped(in)
	if err != nil {
		return nil, err
	}
	t, _, err := ceremony.ParseRecord(bytes.TrimSpace(raw), trusted)
	return t, err
}
