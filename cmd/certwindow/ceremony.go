package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"certwindow/hsm"
	"certwindow/hsm/ceremony"
	"certwindow/hsm/p11"
	"certwindow/ra/csr"
)

// tokenFlags are the flags of a command that works on a PKCS#11 token without a configuration.
type tokenFlags struct {
	*flag.FlagSet
	s                              streams
	module, token, soPIN, pin, out *string
}

func newTokenFlags(name string, s streams) tokenFlags {
	fs := flag.NewFlagSet("certwindow "+name, flag.ContinueOnError)
	fs.SetOutput(s.err)
	return tokenFlags{fs, s, fs.String("module", "", "path of the PKCS#11 module"), fs.String("token", "", "label of the token"),
		fs.String("so-pin-file", "", "file with the security officer's PIN"), fs.String("pin-file", "", "file with the user PIN"),
		fs.String("out", "", "file to write; it must not exist")}
}

// parse reads the flags; every name in need must have been given.
func (f tokenFlags) parse(args []string, need ...string) (ok bool, code int) {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return false, exitYes
		}
		return false, exitUsage
	}
	for _, name := range need {
		if f.Lookup(name).Value.String() == "" {
			fmt.Fprintf(f.s.err, "%s: --%s is needed\n", f.Name(), name)
			return false, exitUsage
		}
	}
	if f.NArg() > 0 {
		fmt.Fprintf(f.s.err, "%s: unexpected argument %q\n", f.Name(), f.Arg(0))
		return false, exitUsage
	}
	return true, exitYes
}

func (f tokenFlags) fail(err error) int {
	fmt.Fprintf(f.s.err, "%s: %v\n", f.Name(), err)
	return exitNo
}

// pins reads both PINs; the security officer's only where its file is named.
func (f tokenFlags) pins() (so, user hsm.Secret, err error) {
	if *f.soPIN != "" {
		if so, err = hsm.ReadSecretFile(*f.soPIN); err != nil {
			return so, user, err
		}
	}
	user, err = hsm.ReadSecretFile(*f.pin)
	return so, user, err
}

// create opens a file that must not exist yet, readable by its owner alone.
func create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// cmdCeremonySetup makes the token and the window's own keys; what exists is left alone.
func cmdCeremonySetup(ctx context.Context, args []string, s streams) int {
	f := newTokenFlags("ceremony setup", s)
	if ok, code := f.parse(args, "module", "token", "pin-file"); !ok {
		return code
	}
	so, user, err := f.pins()
	if err != nil {
		return f.fail(err)
	}
	r, err := ceremony.Setup(ctx, ceremony.SetupOptions{Module: *f.module, TokenLabel: *f.token, SOPIN: so, UserPIN: user, Keys: ceremony.DefaultKeys()})
	if err != nil {
		return f.fail(err)
	}
	for _, i := range r.Items {
		fmt.Fprintf(s.out, "%-8s %-10s %s %s\n", map[bool]string{true: "made", false: "exists"}[i.Created], i.Kind, i.Label, i.Algorithm)
	}
	return exitYes
}

// cmdCeremonyComponent makes one custodian's component of a master key, for that custodian alone (HCA-6.3.2).
func cmdCeremonyComponent(_ context.Context, args []string, s streams) int {
	f := newTokenFlags("ceremony component", s)
	if ok, code := f.parse(args, "out"); !ok {
		return code
	}
	c, err := ceremony.NewComponent(rand.Reader)
	if err != nil {
		return f.fail(err)
	}
	file, err := create(*f.out)
	if err != nil {
		return f.fail(err)
	}
	_, err = file.Write(append(c.Bytes(), '\n'))
	if err := errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(*f.out) // part of a component is of no use to anybody
		return f.fail(err)
	}
	return exitYes
}

// custodians collects NAME or NAME=FILE; without a file the custodian types the component.
type custodians struct {
	names []string
	files map[string]string
}

func (c *custodians) String() string { return strings.Join(c.names, ", ") }

func (c *custodians) Set(v string) error {
	name, file, _ := strings.Cut(v, "=")
	if name == "" {
		return errors.New("a custodian has a name")
	}
	c.names = append(c.names, name)
	c.files[name] = file
	return nil
}

func readRecord(path string) (*ceremony.Transcript, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, _, err := ceremony.ParseRecord(raw, nil)
	return t, err
}

// reader asks each custodian in turn: a file where one was named, else the terminal without echo.
func (c *custodians) reader(s streams) func(string) (hsm.Secret, error) {
	lines := bufio.NewReader(s.in)
	return func(name string) (hsm.Secret, error) {
		if file := c.files[name]; file != "" {
			return hsm.ReadSecretFile(file)
		}
		fmt.Fprintf(s.err, "%s, alone at the keyboard, types the component: ", name)
		if f, ok := s.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			b, err := term.ReadPassword(int(f.Fd()))
			fmt.Fprintln(s.err)
			return hsm.NewSecret(b), err
		}
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) > 0 {
			err = nil
		}
		return hsm.NewSecret(line), err
	}
}

// record runs a ceremony whose record goes to a file that must not exist.
func (f tokenFlags) record(o ceremony.Options, hold func(ceremony.Options) (*ceremony.Transcript, error)) (*ceremony.Transcript, []byte, error) {
	file, err := create(*f.out)
	if err != nil {
		return nil, nil, err
	}
	var kept bytes.Buffer
	o.Out = io.MultiWriter(file, &kept)
	t, err := hold(o)
	if err := errors.Join(err, file.Close()); err != nil {
		if kept.Len() == 0 { // nothing happened that a record tells of
			_ = os.Remove(*f.out)
		}
		return nil, nil, err
	}
	return t, kept.Bytes(), nil
}

// cmdCeremonyRequest writes the certification request for the dedicated certificate, whose key stays in the
// token, to be reported to the HCA (HCA-3.1).
func cmdCeremonyRequest(ctx context.Context, args []string, s streams) int {
	f := newTokenFlags("ceremony request", s)
	institution := f.String("institution", "", "the window's institution code")
	name := f.String("name", "", "the institution's name")
	if ok, code := f.parse(args, "module", "token", "pin-file", "institution", "name", "out"); !ok {
		return code
	}
	_, user, err := f.pins()
	if err != nil {
		return f.fail(err)
	}
	token, err := p11.Open(ctx, p11.Config{Module: *f.module, TokenLabel: *f.token, PIN: user})
	if err != nil {
		return f.fail(err)
	}
	defer token.Close()
	key, err := token.Signer(ctx, ceremony.LabelDedicated)
	if err != nil {
		return f.fail(err)
	}
	der, err := csr.Make(key, pkix.Name{Country: []string{"TW"}, CommonName: *name, SerialNumber: *institution}, nil)
	if err != nil {
		return f.fail(err)
	}
	file, err := create(*f.out)
	if err != nil {
		return f.fail(err)
	}
	err = pem.Encode(file, &pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	if err := errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(*f.out)
		return f.fail(err)
	}
	return exitYes
}
