// Command cardagent is the open card component for a counter computer: web pages of trusted sites reach the
// IC card in its reader through it, by the protocol of package devices/card.
//
// Exit codes: 0 after a stop that was asked for, 1 when it cannot work, 2 for wrong use.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"certwindow/devices/card"
	"certwindow/devices/card/pinentry"
	"certwindow/hsm/p11"
)

// stopGrace is how long requests may go on after a stop was asked for.
const stopGrace = 3 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "cardagent:", err)
		return 2
	}
	if err := serve(ctx, o, stderr); err != nil {
		fmt.Fprintln(stderr, "cardagent:", err)
		return 1
	}
	return 0
}

// serve loads the module and answers until ctx ends.
func serve(ctx context.Context, o *options, stderr io.Writer) error {
	mod, err := p11.LoadModule(o.module)
	if err != nil {
		return err
	}
	server, err := card.NewServer(o.config(module{mod}, slog.New(slog.NewTextHandler(stderr, nil))))
	if err != nil {
		return errors.Join(err, mod.Close())
	}
	err = o.listenAndServe(ctx, server, stderr)
	if closeErr := server.Close(); closeErr != nil {
		return errors.Join(err, closeErr) // the library is in use, so it is left alone
	}
	return errors.Join(err, mod.Close())
}

// listenAndServe answers at the addresses of the options until ctx ends.
func (o *options) listenAndServe(ctx context.Context, server *card.Server, stderr io.Writer) error {
	listeners, err := o.listeners()
	if err != nil {
		return err
	}
	requests, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	httpServer := &http.Server{
		Handler:           server,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      promptTimeout + 60*time.Second, // the person's answer and the card's
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	done := make(chan error, len(listeners))
	for i, l := range listeners {
		what := []string{"listening on", "listening for HCAServiSign's pages on"}[i]
		fmt.Fprintf(stderr, "cardagent: %s %s\n", what, l.url)
		go func() { done <- httpServer.Serve(l) }()
	}
	if o.readyFile != "" {
		if err := writeReady(o.readyFile, listeners[0].Addr().String()); err != nil {
			return errors.Join(err, httpServer.Close())
		}
	}
	select {
	case err = <-done:
	case <-ctx.Done():
	}
	hangUp() // streams and questions to the person end with their requests
	grace, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if stopErr := httpServer.Shutdown(grace); stopErr != nil {
		return errors.Join(err, stopErr, httpServer.Close())
	}
	return err
}

// listener is one address that is answered on.
type listener struct {
	net.Listener
	url string
}

// listeners opens the addresses: HTTP, and where a page of HCAServiSign expects one, another with TLS.
func (o *options) listeners() ([]listener, error) {
	main, err := net.Listen("tcp", o.listen)
	if err != nil {
		return nil, err
	}
	out := []listener{{main, "http://" + main.Addr().String()}}
	if o.servisign == "" {
		return out, nil
	}
	var pair tls.Certificate
	if o.certificate != "" {
		if pair, err = tls.LoadX509KeyPair(o.certificate, o.key); err != nil {
			return nil, errors.Join(err, main.Close())
		}
	}
	second, err := net.Listen("tcp", o.servisign)
	if err != nil {
		return nil, errors.Join(err, main.Close())
	}
	if o.certificate == "" {
		return append(out, listener{second, "http://" + second.Addr().String()}), nil
	}
	secure := tls.NewListener(second, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	return append(out, listener{secure, "https://" + second.Addr().String()}), nil
}

// writeReady tells whoever started the program where it listens. The file is there whole or not at all.
func writeReady(path, address string) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(address+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// promptTimeout is how long the person may take; pages wait about two minutes.
const promptTimeout = 100 * time.Second

// config makes the server's configuration of the options.
func (o *options) config(mod card.Module, log *slog.Logger) card.Config {
	c := card.Config{
		Module: mod, SignCMS: signCMS, Origins: o.origins, PINFromPage: o.pinFromPage, RefuseDirect: o.refuseDirect,
		PINTries: o.pinTries, PromptTimeout: promptTimeout, Now: time.Now, Rand: rand.Reader, Log: log,
	}
	if o.pinentry != "" {
		c.Prompter = pinentry.Program{Path: o.pinentry, Options: pinentryOptions()}
	}
	if o.originsFile != "" {
		c.AddOrigin = func(origin string) error { return appendLine(o.originsFile, origin) }
	}
	return c
}

// pinentryOptions tell a pinentry that draws in a terminal which one it is.
func pinentryOptions() []string {
	opts := []string{"lc-ctype=C.UTF-8"}
	if tty := os.Getenv("GPG_TTY"); tty != "" {
		opts = append(opts, "ttyname="+tty)
	}
	if term := os.Getenv("TERM"); term != "" {
		opts = append(opts, "ttytype="+term)
	}
	return opts
}
