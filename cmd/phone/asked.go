package main

import (
	"context"
	"errors"
	"fmt"

	"certwindow/cmd/phone/client"
)

// asked waits until somebody asks something of the holder, and lists it: what is to be signed, in the words of the system
// that asks, and who wants access in his name.
func asked(ctx context.Context, s *session) error {
	for seen := ""; ; {
		a, changed, err := s.phone.Asked(ctx, seen)
		if err != nil {
			return err
		}
		seen = a.Seen
		if changed && len(a.Authorisations)+len(a.AccessRequests) > 0 {
			return s.listAsked(ctx)
		}
	}
}

func (s *session) listAsked(ctx context.Context) error {
	signing, err := s.phone.Authorisations(ctx)
	if err != nil {
		return err
	}
	for _, a := range signing {
		fmt.Fprintf(s.stdout, "authorisation %s of %s for %s, code %s, %d documents\n", a.Authorisation, a.Client, a.Scope, a.ShortCode, len(a.Hashes))
		for _, h := range a.Hashes {
			fmt.Fprintf(s.stdout, "\t%s, patients: %d, from %s\n", h.Title, h.Patients, h.Source)
		}
	}
	access, err := s.phone.AccessRequests(ctx)
	if err != nil {
		return err
	}
	for _, r := range access {
		fmt.Fprintf(s.stdout, "access %s of %s, code %s\n", r.Request, r.Client, r.ShortCode)
	}
	return nil
}

// release lets the window sign what was listed. A batch that a rule stopped is not done.
func release(ctx context.Context, s *session) error {
	w, err := s.waiting(ctx)
	if err != nil {
		return err
	}
	out, err := s.phone.Release(ctx, w)
	if err != nil {
		return err
	}
	if out.Stopped != nil {
		return fmt.Errorf("the rest of the batch was not signed: %w", out.Stopped)
	}
	fmt.Fprintf(s.stdout, "released to %s: %d\n", w.Client, len(w.Hashes))
	return nil
}

func (s *session) waiting(ctx context.Context) (client.Authorisation, error) {
	all, err := s.phone.Authorisations(ctx)
	if err != nil {
		return client.Authorisation{}, err
	}
	for _, a := range all {
		if a.Authorisation == s.authorisation {
			return a, nil
		}
	}
	return client.Authorisation{}, errors.New("no such authorisation waits for this holder")
}

func deny(ctx context.Context, s *session) error {
	if err := s.phone.Deny(ctx, s.authorisation); err != nil {
		return err
	}
	fmt.Fprintln(s.stdout, "denied")
	return nil
}

// access is the holder's answer to a system that wants access in his name.
func access(ctx context.Context, s *session) error {
	if s.answer != "yes" && s.answer != "no" {
		return errors.New("--answer is yes or no")
	}
	if err := s.phone.AnswerAccess(ctx, s.request, s.answer == "yes"); err != nil {
		return err
	}
	fmt.Fprintln(s.stdout, "answered", s.answer)
	return nil
}
