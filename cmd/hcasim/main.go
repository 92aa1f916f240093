// Command hcasim simulates the HCA for development and tests: a root and an issuing CA, IC cards in PKCS#11 tokens,
// the window's dedicated certificate, enrolment and revocation over CMC, CRLs and OCSP. Nothing it issues may be
// trusted by anything real.
//
// Exit codes: 0 is yes, 1 is no with the reason, 2 is wrong use. Each command prints one JSON object on standard
// output; everything else goes to standard error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// errUsage is wrapped by every error that is the caller's: wrong flags or arguments.
var errUsage = errors.New("wrong use")

func usagef(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}

// command is one subcommand. setup declares its flags and returns what runs after they were parsed; required names
// the flags that may not be left out.
type command struct {
	name, summary string
	required      []string
	setup         func(*flag.FlagSet) func(context.Context, output) error
}

// output is where results and everything else go.
type output struct{ results, notes io.Writer }

// print writes the one JSON object of a command.
func (o output) print(v any) error {
	e := json.NewEncoder(o.results)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func commands() []command {
	return []command{
		{"init", "make root, issuing CA, responders and TLS certificate", []string{"dir", "base-url"}, setupInit},
		{"card", "make an IC card in a new PKCS#11 token", []string{"dir", "module", "token", "pin-file", "so-pin-file", "name", "serial", "kind"}, setupCard},
		{"dedicated", "issue and acknowledge a window's dedicated certificate", []string{"dir", "csr", "institution", "name", "out"}, setupDedicated},
		{"revoke", "revoke a certificate; a running server shows it at once", []string{"dir", "serial", "reason"}, setupRevoke},
		{"answer", "answer the requests that were brought as files", []string{"dir", "in", "out"}, setupAnswer},
		{"serve", "serve CMC over TLS, and CRL and OCSP over HTTP", []string{"dir"}, setupServe},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], output{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run is main without the process around it.
func run(ctx context.Context, args []string, out output) int {
	if len(args) == 0 {
		usage(out.notes)
		return 2
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], out)
		}
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(out.notes)
		return 0
	}
	fmt.Fprintf(out.notes, "hcasim: there is no command %q\n", args[0])
	usage(out.notes)
	return 2
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "hcasim simulates the HCA. Commands:")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-10s %s (--%s)\n", c.name, c.summary, strings.Join(c.required, " --"))
	}
}

func (c *command) run(ctx context.Context, args []string, out output) int {
	fs := flag.NewFlagSet("hcasim "+c.name, flag.ContinueOnError)
	fs.SetOutput(out.notes)
	do := c.setup(fs)
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	err := c.checkFlags(fs)
	if err == nil {
		err = do(ctx, out)
	}
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintf(out.notes, "hcasim %s: %v\n", c.name, err)
		return 2
	case err != nil:
		fmt.Fprintf(out.notes, "hcasim %s: %v\n", c.name, err)
		return 1
	}
	return 0
}

func (c *command) checkFlags(fs *flag.FlagSet) error {
	if fs.NArg() > 0 {
		return usagef("superfluous argument %q", fs.Arg(0))
	}
	for _, name := range c.required {
		if fs.Lookup(name).Value.String() == "" {
			return usagef("--%s is required", name)
		}
	}
	return nil
}
