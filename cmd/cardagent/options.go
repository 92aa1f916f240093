package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// options are the flags. The file of --config holds the same names, one "name = value" a line.
type options struct {
	module       string
	listen       string
	servisign    string
	certificate  string
	key          string
	origins      list
	pinFromPage  list
	pinentry     string
	originsFile  string
	readyFile    string
	configFile   string
	refuseDirect bool
	pinTries     int
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(v string) error {
	*l = append(*l, v)
	return nil
}

func (o *options) flags(stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("cardagent", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.module, "module", "", "PKCS#11 `library` of the card")
	f.StringVar(&o.listen, "listen", "127.0.0.1:61161", "loopback `address` to answer on; port 0 takes a free one")
	f.StringVar(&o.servisign, "servisign-listen", "", "loopback `address` to answer HCAServiSign's pages on, such as 127.0.0.1:56445; empty: --listen alone, which speaks both")
	f.StringVar(&o.certificate, "servisign-certificate", "", "PEM `file` of the certificate of localhost for --servisign-listen; empty: plain HTTP")
	f.StringVar(&o.key, "servisign-key", "", "PEM `file` of its key")
	f.Var(&o.origins, "origin", "trusted `site` such as https://window.example; may be repeated")
	f.Var(&o.pinFromPage, "pin-from-page", "trusted `site` that sends the PIN itself, or \"direct\" for programs without a browser; may be repeated")
	f.StringVar(&o.pinentry, "pinentry", "pinentry", "`program` that shows the text and asks for the PIN; empty: none")
	f.StringVar(&o.originsFile, "origins-file", "", "`file` with further trusted sites, one a line; with it, the person here may add sites")
	f.StringVar(&o.readyFile, "ready-file", "", "`file` to write the address to when ready")
	f.StringVar(&o.configFile, "config", "", "`file` with these flags as lines \"name = value\"")
	f.BoolVar(&o.refuseDirect, "refuse-direct", false, "refuse programs that call without a browser")
	f.IntVar(&o.pinTries, "pin-tries", 3, "wrong PINs that lock a card, if all cards agree; 0 when they do not")
	return f
}

// parseOptions reads flags and file. A flag that is given wins over the file; lists are joined.
func parseOptions(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	f := o.flags(stderr)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.configFile != "" {
		if err := readConfig(f, o.configFile); err != nil {
			return nil, err
		}
	}
	if o.originsFile != "" {
		added, err := lines(o.originsFile)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		o.origins = append(o.origins, added...)
	}
	return o, o.check()
}

func (o *options) check() error {
	if o.module == "" {
		return errors.New("--module is missing")
	}
	if err := loopback("--listen", o.listen); err != nil {
		return err
	}
	if o.servisign != "" {
		if err := loopback("--servisign-listen", o.servisign); err != nil {
			return err
		}
	}
	if (o.certificate == "") != (o.key == "") || o.certificate != "" && o.servisign == "" {
		return errors.New("--servisign-certificate and --servisign-key go together, and with --servisign-listen")
	}
	if o.pinentry == "" && len(o.pinFromPage) == 0 {
		return errors.New("without --pinentry some site must be named by --pin-from-page")
	}
	return nil
}

// loopback refuses an address that others than this computer can reach.
func loopback(flag, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s %s is not this computer alone", flag, address)
	}
	return nil
}

// readConfig sets from the file every flag that the command line has not set.
func readConfig(f *flag.FlagSet, path string) error {
	given := map[string]bool{"config": true}
	f.Visit(func(fl *flag.Flag) { given[fl.Name] = true })
	all, err := lines(path)
	if err != nil {
		return err
	}
	for _, line := range all {
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		fl := f.Lookup(name)
		if !ok || fl == nil || name == "config" {
			return fmt.Errorf("%s: %q is no setting", path, name)
		}
		if _, isList := fl.Value.(*list); given[name] && !isList {
			continue
		}
		if err := fl.Value.Set(value); err != nil {
			return fmt.Errorf("%s: %s: %w", path, name, err)
		}
	}
	return nil
}

// maxConfig is above any configuration that a person wrote.
const maxConfig = 64 << 10

// lines reads a text file, without empty lines and those that begin with '#'.
func lines(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []string
	scan := bufio.NewScanner(io.LimitReader(file, maxConfig))
	for scan.Scan() {
		if line := strings.TrimSpace(scan.Text()); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all, scan.Err()
}

// appendLine keeps a site that was added.
func appendLine(path, line string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(line + "\n")
	return errors.Join(err, file.Close())
}
