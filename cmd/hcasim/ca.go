package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"certwindow/ra/csr"
	"certwindow/ra/hca/hcasim"
)

// shutdownTime is how long requests in flight may take when the server is told to stop.
const shutdownTime = 10 * time.Second

// names collects a flag that may be repeated.
type names []string

func (n *names) String() string     { return strings.Join(*n, ",") }
func (n *names) Set(v string) error { *n = append(*n, v); return nil }

func setupInit(fs *flag.FlagSet) func(context.Context, output) error {
	var o hcasim.Options
	fs.StringVar(&o.Dir, "dir", "", "directory to make; must be empty or missing")
	fs.StringVar(&o.BaseURL, "base-url", "", "http://host:port that certificates name for CRL and OCSP")
	fs.IntVar(&o.RootBits, "root-bits", 4096, "RSA modulus of the root")
	fs.IntVar(&o.CABits, "ca-bits", 2048, "RSA modulus of the issuing CA")
	fs.IntVar(&o.Partitions, "partitions", 0, "number of partitioned CRLs (4)")
	fs.DurationVar(&o.Lifetime, "mobile-lifetime", 0, "lifetime of mobile certificates (8760h)")
	o.Marks = hcasim.DefaultMarks()
	fs.StringVar(&o.Marks.Mobile, "mobile-policy", o.Marks.Mobile, "policy that marks mobile certificates")
	fs.StringVar(&o.Marks.CardRank, "card-rank", o.Marks.CardRank, "card rank that marks IC cards")
	fs.Var((*names)(&o.TLSNames), "tls-name", "further name or address in the TLS certificate; may be repeated")
	return func(_ context.Context, out output) error {
		if err := hcasim.Init(o); err != nil {
			return err
		}
		return out.print(map[string]string{
			"root": filepath.Join(o.Dir, hcasim.RootFile), "issuer": filepath.Join(o.Dir, hcasim.CAFile),
			"cmc_signer": filepath.Join(o.Dir, hcasim.CMCFile), "tls_root": filepath.Join(o.Dir, hcasim.TLSRootFile),
			"control_token": filepath.Join(o.Dir, hcasim.ControlTokenFile), "base_url": o.BaseURL,
		})
	}
}

func setupDedicated(fs *flag.FlagSet) func(context.Context, output) error {
	dir := fs.String("dir", "", "the simulator's directory")
	csr := fs.String("csr", "", "file with the PKCS#10 request, PEM or DER")
	institution := fs.String("institution", "", "institution code of the window")
	name := fs.String("name", "", "name of the institution")
	path := fs.String("out", "", "file to write the certificate to, PEM, followed by the issuing CA's; must not exist")
	return func(_ context.Context, out output) error {
		der, err := readCSR(*csr)
		if err != nil {
			return err
		}
		sim, err := hcasim.Open(hcasim.Options{Dir: *dir})
		if err != nil {
			return err
		}
		defer sim.Close()
		// The file comes first: a certificate that nobody can write down would be acknowledged all the same.
		f, err := os.OpenFile(*path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return usagef("%v", err)
		}
		defer f.Close()
		cert, err := sim.IssueDedicated(der, *institution, *name)
		if err != nil {
			os.Remove(*path)
			return err
		}
		if _, err := f.Write(hcasim.PEM(cert, sim.CA())); err != nil {
			return err
		}
		return out.print(map[string]string{"certificate": *path, "serial": cert.SerialNumber.Text(16), "institution": *institution})
	}
}

// readCSR reads a request in PEM or DER.
func readCSR(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usagef("%v", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 4*csr.MaxSize))
	if err != nil {
		return nil, usagef("%v", err)
	}
	if block, _ := pem.Decode(raw); block != nil {
		return block.Bytes, nil
	}
	return raw, nil
}

func setupRevoke(fs *flag.FlagSet) func(context.Context, output) error {
	dir := fs.String("dir", "", "the simulator's directory")
	serial := fs.String("serial", "", "serial number, hexadecimal")
	reason := fs.String("reason", "", "CRLReason of RFC 5280, such as keyCompromise")
	return func(_ context.Context, out output) error {
		n, ok := new(big.Int).SetString(strings.ReplaceAll(*serial, ":", ""), 16)
		if !ok || n.Sign() <= 0 {
			return usagef("%q is not a serial number", *serial)
		}
		code, ok := hcasim.ReasonCode(*reason)
		if !ok {
			return usagef("%q is not a CRLReason", *reason)
		}
		sim, err := hcasim.Open(hcasim.Options{Dir: *dir})
		if err != nil {
			return err
		}
		defer sim.Close()
		if err := sim.Revoke(n, code); err != nil {
			return err
		}
		return out.print(map[string]string{"revoked": n.Text(16), "reason": *reason})
	}
}

func setupServe(fs *flag.FlagSet) func(context.Context, output) error {
	var at hcasim.Listen
	o := hcasim.Options{}
	fs.StringVar(&o.Dir, "dir", "", "the simulator's directory")
	fs.StringVar(&at.TLS, "listen", "127.0.0.1:0", "address for CMC and control, TLS")
	fs.StringVar(&at.HTTP, "http-listen", "", "address for CRL, OCSP and CA certificates (that of the base URL)")
	fs.BoolVar(&o.NoSync, "no-sync", false, "do not wait for the disk; quicker, and a power cut loses state")
	ready := fs.String("ready-file", "", "file to write the addresses to once requests are served")
	return func(ctx context.Context, out output) error {
		if _, err := os.Stat(filepath.Join(o.Dir, hcasim.RootFile)); err != nil {
			return usagef("%s was not made by hcasim init", o.Dir)
		}
		at.Log = log.New(out.notes, "hcasim: ", log.LstdFlags)
		s, err := hcasim.Start(o, at)
		if err != nil {
			return err
		}
		where := map[string]any{"cmc": s.CMCURL, "control": strings.TrimSuffix(s.CMCURL, hcasim.PathCMC) + hcasim.PathFaults, "base_url": s.BaseURL(), "pid": os.Getpid()}
		if err := announce(*ready, where); err != nil {
			s.Close()
			return err
		}
		if err := out.print(where); err != nil {
			s.Close()
			return err
		}
		select {
		case err := <-s.Failed():
			s.Close()
			return err
		case <-ctx.Done():
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		return s.Shutdown(stop)
	}
}

// announce writes the ready file so that whoever waits for it finds it whole.
func announce(path string, v any) error {
	if path == "" {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("ready file: %w", err)
	}
	return os.Rename(path+".new", path)
}
