// Command phone is a reference mobile client of the service window, for app developers to read and for tests and
// the demonstration to drive. What it does is in package client; this file is its command line.
//
//	phone bind   --dir DIR --qr TEXT                         scan the counter's QR and wait for the clerk
//	phone login  --dir DIR --account NAME --password-file FILE
//	phone otp    --dir DIR --account NAME --kind totp|hotp|code --code-file FILE    sign in by a one-time code
//	phone code   --dir DIR --account NAME --channel mail|sms|push --purpose login|signature    have one sent
//	phone authenticator --dir DIR --out FILE                 set up an authenticator app with what is in the file
//	phone passwd --dir DIR --password-file FILE --new-file FILE
//	phone list   --dir DIR                                   applications that wait, certificates that are here
//	phone enrol  --dir DIR --application ID                  make the key, hand in the request, fetch the certificate
//	phone renew  --dir DIR --certificate ID                  the same for the application that renews a certificate
//	phone sign   --dir DIR --certificate ID --in FILE --out FILE
//	             the three with --password-file FILE where the key is in the window's HSM; who signs proves who he is by
//	             --account-password-file FILE, or --kind and --code-file
//	             (a certificate that is renewed is used no more: the newer one signs in its place)
//	phone status --dir DIR                                   what the window says of this phone and its certificates
//	phone asked  --dir DIR                                   wait until a system asks something of the holder, and show it
//	phone release --dir DIR --authorisation ID --password-file FILE --account-password-file FILE
//	phone deny   --dir DIR --authorisation ID
//	phone access --dir DIR --request ID --answer yes|no      let a system act in the holder's name, or not
//
// Exit 0: yes. Exit 1: no, with the reason. Exit 2: used wrongly. Results go to standard output, everything else to
// standard error.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"certwindow/cmd/phone/client"
	"certwindow/devices/appcred"
	"certwindow/hsm"
)

const (
	exitYes = iota
	exitNo
	exitUsage
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr, time.Now)
	stop()
	os.Exit(code)
}

// options are the flags of all commands.
type options struct {
	dir, qr, application, certificate, in, out string
	account, password, own, next               string
	authorisation, request, answer             string
	kind, codeFile, channel, purpose           string
	wait                                       time.Duration
}

// session is one run of a command.
type session struct {
	options
	phone          *client.Phone
	stdout, stderr io.Writer
}

// command is one thing to do, and the flags that it cannot do without.
type command struct {
	needs []string
	do    func(context.Context, *session) error
}

var commands = map[string]command{
	"bind":   {[]string{"dir", "qr"}, bind},
	"login":  {[]string{"dir", "account", "password-file"}, login},
	"otp":    {[]string{"dir", "account", "kind", "code-file"}, loginByCode},
	"code":   {[]string{"dir", "account", "channel", "purpose"}, sendCode},
	"passwd": {[]string{"dir", "password-file", "new-file"}, changePassword},
	"list":   {[]string{"dir"}, list},
	"enrol":  {[]string{"dir", "application"}, enrol},
	"renew":  {[]string{"dir", "certificate"}, renew},
	"sign":   {[]string{"dir", "certificate", "in", "out"}, sign},
	"status": {[]string{"dir"}, status},
	"asked":  {[]string{"dir"}, asked},

	"authenticator": {[]string{"dir", "out"}, authenticator},

	"release": {[]string{"dir", "authorisation", "password-file", "account-password-file"}, release},
	"deny":    {[]string{"dir", "authorisation"}, deny},
	"access":  {[]string{"dir", "request", "answer"}, access},
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer, now func() time.Time) int {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	cmd, ok := commands[name]
	if !ok {
		fmt.Fprintln(stderr, "usage: phone bind|login|otp|code|authenticator|passwd|list|enrol|renew|sign|status|asked|release|deny|access --dir DIR [flags]")
		return exitUsage
	}
	o, err := parse(name, cmd, args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitYes
	}
	if err != nil {
		fmt.Fprintln(stderr, "phone "+name+":", err)
		return exitUsage
	}
	ctx, stop := context.WithTimeout(ctx, o.wait)
	defer stop()
	s := &session{options: o, stdout: stdout, stderr: stderr}
	about := client.About{Platform: "android", Model: "reference phone", OSVersion: "1", App: "tw.certwindow.phone", AppVersion: "1.0.0"}
	if s.phone, err = client.Open(o.dir, about, now); err == nil {
		if err = s.unlock(); err == nil {
			err = cmd.do(ctx, s)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "phone "+name+":", err)
		return exitNo
	}
	return exitYes
}

func parse(name string, cmd command, args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("phone "+name, flag.ContinueOnError)
	f.SetOutput(stderr)
	all := map[string]*string{"dir": &o.dir, "qr": &o.qr, "application": &o.application, "certificate": &o.certificate, "in": &o.in, "out": &o.out,
		"account": &o.account, "password-file": &o.password, "new-file": &o.next, "account-password-file": &o.own,
		"authorisation": &o.authorisation, "request": &o.request, "answer": &o.answer, "kind": &o.kind, "code-file": &o.codeFile, "channel": &o.channel, "purpose": &o.purpose}
	what := map[string]string{"dir": "the phone's `folder`", "qr": "the `text` of the counter's QR", "application": "`id` of the application",
		"certificate": "`id` of the certificate", "in": "`file` to sign", "out": "`file` for the signature",
		"account": "the holder's `account`", "password-file": "`file` that holds his password", "new-file": "`file` that holds the one to be set",
		"account-password-file": "`file` of the account's password, by which the holder proves who he is",
		"authorisation":         "`id` of what a system wants signed", "request": "`id` of a request for access", "answer": "`yes or no`",
		"kind": "`totp, hotp or code`: where a one-time code comes from", "code-file": "`file` that holds a one-time code",
		"channel": "`mail, sms or push`", "purpose": "`login or signature`: what a code is for"}
	for _, n := range cmd.needs {
		f.StringVar(all[n], n, "", what[n])
	}
	if name == "enrol" || name == "renew" || name == "sign" {
		f.StringVar(&o.password, "password-file", "", "`file` of the password that locks keys in the window's HSM on this phone")
	}
	if name == "sign" {
		for _, n := range []string{"account-password-file", "kind", "code-file"} {
			f.StringVar(all[n], n, "", what[n])
		}
	}
	f.DurationVar(&o.wait, "wait", 10*time.Minute, "how long to wait for the window")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	for _, n := range cmd.needs {
		if *all[n] == "" {
			return o, fmt.Errorf("--%s is missing", n)
		}
	}
	if o.wait <= 0 {
		return o, errors.New("--wait is not positive")
	}
	return o, nil
}

// unlock gives the phone the password of a file.
func (s *session) unlock() error {
	if s.own != "" {
		own, err := secretIn(s.own)
		if err != nil {
			return err
		}
		s.phone.ProveBy(own)
	}
	if s.codeFile != "" {
		code, err := s.code()
		if err != nil {
			return err
		}
		s.phone.ProveByCode(code.Kind, appcred.Secret(code.Value))
	}
	if s.password == "" {
		return nil
	}
	password, err := hsm.ReadSecretFile(s.password)
	if err != nil {
		return err
	}
	defer password.Destroy()
	s.phone.SetPassword(string(password.Bytes()))
	return nil
}

func bind(ctx context.Context, s *session) error {
	code, err := s.phone.Bind(ctx, s.qr)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stderr, "window: %s\nshort code: %s (the clerk's screen must show the same)\n", s.phone.Server(), code)
	if err := s.phone.WaitBound(ctx); err != nil {
		return err
	}
	d, err := s.phone.Device(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.stdout, "bound as", d.Code)
	return nil
}

// secretIn is the first line of a file: passwords are no arguments, which every process can see.
func secretIn(path string) (appcred.Secret, error) {
	raw, err := os.ReadFile(path)
	line, _, _ := strings.Cut(string(raw), "\n")
	return appcred.Secret(line), err
}

func login(ctx context.Context, s *session) error {
	password, err := secretIn(s.password)
	if err != nil {
		return err
	}
	l, err := s.phone.Login(ctx, s.account, password)
	if err != nil {
		return err
	}
	s.signedIn(l)
	return nil
}

func (s *session) signedIn(l client.Login) {
	fmt.Fprintln(s.stdout, "signed in as", l.Account)
	if l.MustChange {
		fmt.Fprintln(s.stderr, "this password was given out at the counter: set your own with phone passwd")
	}
}

func changePassword(ctx context.Context, s *session) error {
	current, err := secretIn(s.password)
	if err != nil {
		return err
	}
	next, err := secretIn(s.next)
	if err != nil {
		return err
	}
	if err := s.phone.ChangePassword(ctx, current, next); err != nil {
		return err
	}
	fmt.Fprintln(s.stdout, "the password is changed")
	return nil
}

func list(ctx context.Context, s *session) error {
	waiting, err := s.phone.Applications(ctx)
	if err != nil {
		return err
	}
	for _, a := range waiting {
		fmt.Fprintf(s.stdout, "application %s %s %s %s until %s\n", a.Application, a.State, a.KeyDesign, a.Algorithm, a.Deadline.Format(time.RFC3339))
	}
	certificates, err := s.phone.Certificates(ctx)
	if err != nil {
		return err
	}
	for _, c := range certificates {
		fmt.Fprintf(s.stdout, "certificate %s %s %s %s until %s%s\n", c.Certificate, c.State, c.KeyDesign, strings.Join(c.Scope, ","), c.NotAfter.Format(time.RFC3339), renewal(c))
	}
	return nil
}

// renewal is what the holder should know of a certificate's renewal.
func renewal(c client.Certificate) string {
	switch {
	case c.RenewedBy != "":
		return ", renewed by " + c.RenewedBy
	case c.RenewBy != nil:
		return ", to be renewed: apply for the next one by card"
	}
	return ""
}

func renew(ctx context.Context, s *session) error {
	c, err := s.phone.Renew(ctx, s.certificate)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "certificate %s serial %s until %s, in place of %s\n", c.Certificate, c.Serial, c.NotAfter.Format(time.RFC3339), s.certificate)
	return nil
}

func enrol(ctx context.Context, s *session) error {
	if err := s.phone.Enrol(ctx, s.application); err != nil {
		return err
	}
	fmt.Fprintln(s.stderr, "the request is handed in; waiting for the certificate")
	c, err := s.phone.Certificate(ctx, s.application)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "certificate %s serial %s until %s\n", c.Certificate, c.Serial, c.NotAfter.Format(time.RFC3339))
	return nil
}

func sign(ctx context.Context, s *session) error {
	document, err := os.ReadFile(s.in)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(document)
	c, err := s.phone.Newest(ctx, s.certificate)
	if err != nil {
		return err
	}
	if c.Certificate != s.certificate {
		fmt.Fprintln(s.stderr, "the certificate is renewed: signing with", c.Certificate)
	}
	with := s.phone.SignDocumentHash
	if c.KeyDesign == "hsm" {
		with = s.phone.SignWithHSM
	}
	signature, err := with(ctx, c.Certificate, digest[:])
	if err != nil {
		return err
	}
	return os.WriteFile(s.out, signature, 0o644)
}

// status fails when one of the keys must not be used.
func status(ctx context.Context, s *session) error {
	d, err := s.phone.Device(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "device %s %s\n", d.Code, d.State)
	certificates, err := s.phone.Certificates(ctx)
	if err != nil {
		return err
	}
	live, err := s.phone.Statuses(ctx)
	if err != nil {
		return err
	}
	var refused []error
	for _, c := range certificates {
		at := slices.IndexFunc(live, func(l client.Standing) bool { return l.Certificate == c.Certificate })
		if at < 0 {
			refused = append(refused, fmt.Errorf("%s: %s", c.Certificate, c.State))
			continue
		}
		if live[at].Refused != nil {
			refused = append(refused, fmt.Errorf("%s: %w", c.Certificate, live[at].Refused))
			continue
		}
		fmt.Fprintf(s.stdout, "certificate %s may be used until %s\n", c.Certificate, time.Unix(live[at].Statement.Expires, 0).UTC().Format(time.RFC3339))
	}
	return errors.Join(refused...)
}
