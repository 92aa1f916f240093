package story

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"certwindow/cmd/phone/client"
)

// shiftRecords is how many records a shift leaves to be signed.
const shiftRecords = 200

// shift is the scene at the end of one: a doctor signs all of its records with one proof of himself (HCA-6.3.5).
func (s *Story) shift() scene {
	var b *batch
	var shown client.Authorisation
	sc := scene{"The end of a shift: 200 records of the hospital's record system, released at once", []act{
		{"two persons register the record system by its certificate (HCA-8.1.6)", func(ctx context.Context) (_ string, err error) {
			s.records, err = s.registered(ctx, "emr")
			return "", err
		}},
		{"it asks for 200 signatures by CSC, and the tablet, which waits, is told", func(ctx context.Context) (told string, err error) {
			c, err := s.records.credentialOf(ctx, s.wang.account, s.hsmCert.id)
			if err != nil {
				return "", err
			}
			took, err := s.tablet.phone.told(ctx, func() error { b, err = s.records.asks(ctx, c, "出院病歷", shiftRecords); return err })
			return fmt.Sprintf("%.2f s later", took.Seconds()), err
		}},
		{"the tablet shows what they are", func(ctx context.Context) (_ string, err error) {
			shown, err = s.tablet.phone.shows(ctx, b)
			return summary(shown), err
		}},
		{"the holder releases them with one proof of himself, and the record system collects them as they come", func(ctx context.Context) (string, error) {
			return s.releaseAll(ctx, b, shown)
		}},
		{"each verifies under the certificate, and openssl verifies one", func(ctx context.Context) (string, error) {
			if err := b.verify(); err != nil {
				return "", err
			}
			return s.opensslVerifiesRecord(ctx, b.of, b.records[0], b.signatures[0])
		}},
		s.refusal("the same signatures a second time", "HCA-6.3.5", func(ctx context.Context) error { _, err := b.fetch(ctx, 0, 199); return err }),
		s.refusal("the same release a second time", "HCA-6.3.5", func(ctx context.Context) error { _, err := s.tablet.phone.Release(ctx, shown); return err }),
	}}
	if s.st.WakesApps() {
		sc.acts = slices.Insert(sc.acts, 2, s.woken())
	}
	return sc
}

// woken is one more question, while the tablet's app is asleep: the hospital's gateway is told the app's push token, and
// nothing else (HCA-8.1.5). The holder says no.
func (s *Story) woken() act {
	return act{"it asks again while the app is asleep: the hospital's gateway is told to wake it, and nothing of whom or what", func(ctx context.Context) (string, error) {
		token := rand.Text()
		s.hide("a push token", token)
		if err := s.tablet.phone.WakeBy(ctx, "fcm", token); err != nil {
			return "", err
		}
		c, err := s.records.credentialOf(ctx, s.wang.account, s.hsmCert.id)
		if err != nil {
			return "", err
		}
		begun := time.Now()
		b, err := s.records.asks(ctx, c, "會診單", 1)
		if err != nil {
			return "", err
		}
		wait, stop := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the gateway was told of no such token"))
		defer stop()
		if err := s.st.Woken(wait, token); err != nil {
			return "", err
		}
		took := time.Since(begun)
		shown, err := s.tablet.phone.shows(ctx, b)
		if err == nil {
			err = s.tablet.phone.Deny(ctx, shown.Authorisation)
		}
		return fmt.Sprintf("%.1f s later", took.Seconds()), err
	}}
}

// releaseAll has the tablet release a batch while its system collects.
func (s *Story) releaseAll(ctx context.Context, b *batch, shown client.Authorisation) (string, error) {
	begun := time.Now()
	collected := make(chan error, 1)
	go func() { collected <- b.collect(ctx, nil) }()
	out, err := s.tablet.phone.Release(ctx, shown)
	if err == nil && out.Stopped != nil {
		err = out.Stopped
	}
	if err = errors.Join(err, <-collected); err != nil {
		return "", err
	}
	if b.collected() != len(b.hashes) || b.refused != 0 {
		return "", fmt.Errorf("%d signatures, %d refused", b.collected(), b.refused)
	}
	return fmt.Sprintf("%d signatures in %d parts, %.2f s", b.collected(), b.parts, time.Since(begun).Seconds()), nil
}

// told has a phone's question stand while something is done, and tells how long after that the phone was answered that
// its holder is asked.
func (p *phone) told(ctx context.Context, do func() error) (time.Duration, error) {
	before, _, err := p.Asked(ctx, "")
	if err != nil {
		return 0, err
	}
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	answered := make(chan error, 1)
	go func() {
		for {
			a, changed, err := p.Asked(ctx, before.Seen)
			if err != nil || changed && len(a.Authorisations)+len(a.AccessRequests) > 0 {
				answered <- err
				return
			}
			before = a
		}
	}()
	if err := do(); err != nil {
		stop()
		<-answered
		return 0, err
	}
	begun := time.Now()
	err = <-answered
	return time.Since(begun), err
}

// shows is what a phone shows of a batch before its holder decides: all of it, in the words of the system that asked.
func (p *phone) shows(ctx context.Context, b *batch) (client.Authorisation, error) {
	all, err := p.Authorisations(ctx)
	if err != nil {
		return client.Authorisation{}, err
	}
	for _, a := range all {
		if len(a.Hashes) != len(b.hashes) || hashOf(b.records[0]) != base64.StdEncoding.EncodeToString(a.Hashes[0].Hash) {
			continue
		}
		for i, h := range a.Hashes {
			if base64.StdEncoding.EncodeToString(h.Hash) != b.hashes[i] || h.Patients != 1 || h.Source != source || h.Title == "" {
				return a, fmt.Errorf("the phone shows of record %d: %+v", i+1, h)
			}
		}
		return a, nil
	}
	return client.Authorisation{}, errors.New("the phone does not show what was asked")
}

// summary is how an app tells of a batch before it lists the records.
func summary(a client.Authorisation) string {
	patients := 0
	for _, h := range a.Hashes {
		patients += h.Patients
	}
	return fmt.Sprintf("%s asks for %s: %s to %s, %d patients, from %s", a.Client, a.Scope, a.Hashes[0].Title, a.Hashes[len(a.Hashes)-1].Title, patients, a.Hashes[0].Source)
}
