package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"certwindow/cmd/phone/client"
	"certwindow/devices/appcred"
	"certwindow/policy"
)

// codeKinds are the kinds of one-time codes: of an authenticator app, of a counter-based generator, sent by the window.
var codeKinds = []string{policy.FactorTOTP, policy.FactorHOTP, policy.FactorCode}

// code is the one-time code in the file, of the kind that was named.
func (s *session) code() (client.Factor, error) {
	if !slices.Contains(codeKinds, s.kind) {
		return client.Factor{}, fmt.Errorf("--kind is one of %v", codeKinds)
	}
	code, err := secretIn(s.codeFile)
	return client.Factor{Kind: s.kind, Value: code.Reveal()}, err
}

// loginByCode signs a holder in by a one-time code.
func loginByCode(ctx context.Context, s *session) error {
	code, err := s.code()
	if err != nil {
		return err
	}
	l, err := s.phone.LoginBy(ctx, s.account, code)
	if err != nil {
		return err
	}
	s.signedIn(l)
	return nil
}

// sendCode has a one-time code sent to the holder's address on file.
func sendCode(ctx context.Context, s *session) error {
	if err := s.phone.SendCode(ctx, s.account, appcred.Channel(s.channel), appcred.Purpose(s.purpose)); err != nil {
		return err
	}
	fmt.Fprintln(s.stderr, "if there is such an account, a code is on its way: it is good for five minutes, once, on this phone")
	return nil
}

// authenticator sets an authenticator app up. What the app reads is written to a file, which only its owner may read.
func authenticator(ctx context.Context, s *session) error {
	out, err := os.OpenFile(s.out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // before the old secret is worth nothing
	if err != nil {
		return err
	}
	_, address, err := s.phone.SetUpAuthenticator(ctx)
	if err == nil {
		_, err = fmt.Fprintln(out, address.Reveal())
	}
	return errors.Join(err, out.Close())
}
