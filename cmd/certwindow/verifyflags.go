package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"certwindow/ra/certpath"
)

// verifyFlags are the flags of one off-line verification, and the first wrong use that was found in them.
type verifyFlags struct {
	*flag.FlagSet
	asJSON bool
	wrong  error
}

func newVerifyFlags(name string, s streams) *verifyFlags {
	f := &verifyFlags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.SetOutput(s.err)
	f.BoolVar(&f.asJSON, "json", false, "print one JSON object")
	return f
}

// text adds a flag that is compared with something: given, it may not be empty, since empty would compare nothing.
func (f *verifyFlags) text(name, usage string) *string {
	value := new(string)
	f.Func(name, usage, func(v string) error {
		if v == "" {
			return errors.New("it is empty")
		}
		*value = v
		return nil
	})
	return value
}

// moment adds a flag for a point in time.
func (f *verifyFlags) moment(name, usage string) *time.Time {
	value := new(time.Time)
	f.Func(name, usage, func(v string) (err error) {
		*value, err = time.Parse(time.RFC3339, v)
		return err
	})
	return value
}

// list adds a flag that may be given several times.
func (f *verifyFlags) list(name, usage string) *[]string {
	values := new([]string)
	f.Func(name, usage, func(v string) error {
		*values = append(*values, v)
		return nil
	})
	return values
}

// parse reads the arguments. done means that the command ends here, with that exit code.
func (f *verifyFlags) parse(args []string, s streams, needed ...string) (code int, done bool) {
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitYes, true
	case err != nil: // the flag package has said why
		return exitUsage, true
	}
	if f.NArg() > 0 {
		f.misused(fmt.Errorf("unexpected argument %q", f.Arg(0)))
	}
	for _, name := range needed {
		if !f.given(name) {
			f.misused(fmt.Errorf("--%s is needed", name))
		}
	}
	return f.usable(s)
}

// given tells whether a flag was set on the command line.
func (f *verifyFlags) given(name string) (there bool) {
	f.Visit(func(one *flag.Flag) { there = there || one.Name == name })
	return there
}

func (f *verifyFlags) misused(err error) {
	if f.wrong == nil {
		f.wrong = err
	}
}

// usable ends the command when something in its use was wrong.
func (f *verifyFlags) usable(s streams) (code int, done bool) {
	if f.wrong == nil {
		return 0, false
	}
	fmt.Fprintf(s.err, "certwindow %s: %v\n", f.Name(), f.wrong)
	return exitUsage, true
}

// read is a file's content, one byte more than limit at most: whoever parses it refuses what is too large. A
// path that cannot be read is a wrong use.
func (f *verifyFlags) read(path string, limit int64) []byte {
	file, err := os.Open(path)
	if err == nil {
		defer file.Close()
		var data []byte
		if data, err = io.ReadAll(io.LimitReader(file, limit+1)); err == nil {
			return data
		}
	}
	f.misused(err)
	return nil
}

func (f *verifyFlags) readAll(paths []string, limit int64) [][]byte {
	out := make([][]byte, 0, len(paths))
	for _, p := range paths {
		out = append(out, f.read(p, limit))
	}
	return out
}

// Bounds of the files that are read, in bytes. The parsers have bounds of their own.
const (
	maxBundleFile = 4 << 20
	maxStatusFile = 64 << 20
)

// pathFiles are the files of a path validation as they were read.
type pathFiles struct {
	anchors, intermediates []byte
	crls, ocsp             [][]byte
}

// options parses them. What cannot be parsed is a no and not a wrong use.
func (p pathFiles) options(at time.Time) (certpath.Options, error) {
	o := certpath.Options{At: at}
	var err error
	if o.Anchors, err = certpath.ParseCertificates(p.anchors); err != nil {
		return o, fmt.Errorf("anchors: %w", err)
	}
	if o.Intermediates, err = certpath.ParseCertificates(p.intermediates); err != nil {
		return o, fmt.Errorf("intermediates: %w", err)
	}
	for _, b := range p.crls {
		lists, err := certpath.ParseCRLs(b)
		if err != nil {
			return o, err
		}
		o.CRLs = append(o.CRLs, lists...)
	}
	for _, b := range p.ocsp {
		r, err := certpath.ParseOCSP(b)
		if err != nil {
			return o, err
		}
		o.OCSP = append(o.OCSP, r)
	}
	return o, nil
}

// conclude prints the answer of a verification, as one JSON object or as one line, and gives the exit code.
func conclude(s streams, asJSON bool, answer any, err error) int {
	code, line := exitYes, "valid"
	if err != nil {
		code, line = exitNo, "not valid: "+err.Error()
	}
	if !asJSON {
		fmt.Fprintln(s.out, line)
		return code
	}
	if err := json.NewEncoder(s.out).Encode(answer); err != nil {
		fmt.Fprintln(s.err, "certwindow: writing the answer:", err)
		return exitNo
	}
	return code
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
