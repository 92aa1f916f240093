//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"certwindow/devices/card/vcard"
)

const (
	openSC  = "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"
	cardPIN = "246813"
)

// presence is one reader as /events tells it.
type presence struct {
	SlotDescription string `json:"slotDescription"`
	Present         bool   `json:"present"`
	Insertion       string `json:"insertion"`
}

// watch listens to /events and returns the next state in which want holds.
func (a *agent) watch(t *testing.T) func(want func(presence) bool) presence {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+a.addr+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	scan := bufio.NewScanner(resp.Body)
	return func(want func(presence) bool) presence {
		t.Helper()
		for scan.Scan() {
			data, ok := strings.CutPrefix(scan.Text(), "data: ")
			if !ok {
				continue
			}
			var list []presence
			if err := json.Unmarshal([]byte(data), &list); err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				if want(p) {
					return p
				}
			}
		}
		t.Fatalf("the stream ended: %v\n%s", scan.Err(), a.log)
		return presence{}
	}
}

func isIn(p presence) bool  { return p.Present }
func isOut(p presence) bool { return !p.Present && strings.HasPrefix(p.SlotDescription, "Virtual PCD") }

// A card behind PC/SC and OpenSC: it signs, it is missed within the second when it goes, it has another
// insertion id when it comes back, and taking it out in the middle of a signature ends the operation (HCA-8.1.2).
func TestVirtualCard(t *testing.T) {
	need(t, openSC, "/usr/bin/openssl")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	reader, err := vcard.Start(ctx, t.TempDir())
	if errors.Is(err, vcard.ErrUnavailable) {
		unavailable(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Stop)

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	cert := certify(t, key)
	guid := [16]byte{0xC4, 0x11, 15: 0x01}
	card := vcard.New(key, cert, guid, cardPIN)
	a := startAgent(t, "--module", openSC, "--pinentry", "", "--pin-from-page", "direct")
	next := a.watch(t)
	sign := func(pin string) answer {
		return a.post(t, "/sign", map[string]string{"tbs": consent, "pin": pin, "hashAlgorithm": "SHA256", "signatureType": "PKCS7", "withCardSN": "true"})
	}

	if got := sign(cardPIN); got.RetCode != 0x76000006 {
		t.Errorf("no card: %08x", got.RetCode)
	}
	in, err := card.Insert(reader.Addr)
	if err != nil {
		t.Fatal(err)
	}
	first := next(isIn).Insertion
	got := sign(cardPIN)
	if got.RetCode != 0 || got.Insertion != first || got.CardSN == "" {
		t.Fatalf("signing: %+v, inserted as %s\n%s", got, first, a.log)
	}
	if content := opensslVerify(t, got.Signature, cert); string(content) != consent {
		t.Errorf("content %q", content)
	}

	start := time.Now()
	in.Remove()
	next(isOut)
	t.Logf("removal was told after %v", time.Since(start))
	if time.Since(start) > 2*time.Second {
		t.Error("that is too late")
	}
	if in, err = card.Insert(reader.Addr); err != nil {
		t.Fatal(err)
	}
	second := next(isIn).Insertion
	if second == first {
		t.Error("the second insertion has the id of the first")
	}

	card.BeforeSign = func() { in.Remove() }
	if got = sign(cardPIN); got.RetCode != 0x76000006 || got.Signature != nil {
		t.Errorf("taken out while it signs: %08x, %x\n%s", got.RetCode, got.LastError, a.log)
	}
	next(isOut)
	<-in.Done()
	card.BeforeSign = nil
	if in, err = card.Insert(reader.Addr); err != nil {
		t.Fatal(err)
	}
	next(isIn)
	if got = sign(cardPIN); got.RetCode != 0 {
		t.Errorf("after it was put in again: %08x, %x\n%s", got.RetCode, got.LastError, a.log)
	}
	for i, want := range []int64{0xA0, -2147483647, 0xA4, 0xA4} {
		if got = sign("999999"); got.RetCode != 0x76100006 || got.LastError != want {
			t.Errorf("wrong PIN %d: %08x, %d", i+1, got.RetCode, got.LastError)
		}
	}
	in.Remove()
}
