package session

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/ra"
)

// Ten thousand attempts to sign in, from many addresses and at many accounts, all at the same time: few are worked on, a
// bounded number is under way, the rest are told to wait; memory stays where it was; and who signs in from elsewhere
// meanwhile, and does as he is told, gets in.
func TestTenThousandLogins(t *testing.T) { each(t, testTenThousandLogins) }

func testTenThousandLogins(t *testing.T, b *bench) {
	const attempts, addresses, accounts = 10_000, 400, 1000
	honest := b.clerk("lin.mei", "correct horse")
	var hashing, most, judged, busy atomic.Int32
	b.whilePeppering = func() {
		n := hashing.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(100 * time.Microsecond) // as an HSM answers
		hashing.Add(-1)
	}
	before := memory()
	var peak atomic.Uint64
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var wg sync.WaitGroup
	for i := range attempts {
		wg.Go(func() {
			_, err := b.Login(ctx, Attempt{Account: fmt.Sprintf("nobody%d", i%accounts), Password: "x", Code: "000000", Address: fmt.Sprintf("2001:db8:%x::1", i%addresses)})
			switch codeOf(err) {
			case "login-refused", "too-many-logins":
				judged.Add(1)
			case "logins-busy":
				busy.Add(1)
			default:
				t.Error(err)
			}
			if i%500 == 0 {
				if m := memory(); m > peak.Load() {
					peak.Store(m)
				}
			}
		})
	}
	in, tries := false, 0
	for ; !in && ctx.Err() == nil; tries++ {
		_, err := b.Login(ctx, Attempt{Account: honest.Account, Password: "correct horse", Code: b.code(honest), Address: "192.0.2.7"})
		if in = err == nil; !in {
			if k := ra.KindOf(err); k != ra.KindTooMany {
				t.Fatalf("the honest one is refused: %v", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	wg.Wait()
	if !in {
		t.Error("the honest one did not get in")
	}
	if int(most.Load()) > b.hasher.Slots() {
		t.Errorf("%d passwords were hashed at once, the bound is %d", most.Load(), b.hasher.Slots())
	}
	if grown := int64(peak.Load()) - int64(before); grown > 256<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	if b.door.all != 0 || len(b.door.of) != 0 {
		t.Errorf("%d attempts of %d addresses are still at the door", b.door.all, len(b.door.of))
	}
	t.Logf("%d judged, %d told to wait, the honest one in after %d tries, %d hashed at once", judged.Load(), busy.Load(), tries, most.Load())
}

// memory is what the process has of the system, in bytes.
func memory() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}

// One visitor gets a share of what is under way, however much he sends.
func TestDoorIsShared(t *testing.T) {
	var d door
	var leave []func()
	for range maxUnderWayOfOne {
		out, err := d.enter("2001:db8::1")
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, out)
	}
	if _, err := d.enter("2001:db8::2"); codeOf(err) != "logins-busy" {
		t.Errorf("the same network: %v", err)
	}
	out, err := d.enter("2001:db8:1::1")
	if err != nil {
		t.Errorf("another: %v", err)
	}
	for _, f := range append(leave, out) {
		f()
	}
	if d.all != 0 || len(d.of) != 0 {
		t.Errorf("%d left, %v", d.all, d.of)
	}
	for i := range maxUnderWay {
		if _, err := d.enter(fmt.Sprintf("192.0.2.%d", i)); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := d.enter("198.51.100.1"); codeOf(err) != "logins-busy" {
		t.Errorf("over the bound: %v", err)
	}
}
