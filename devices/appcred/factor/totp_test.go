package factor

import (
	"encoding/base32"
	"testing"
	"time"
)

// HCA-2.7: whatever shows codes by RFC 4226, a token or a chip card, is understood: the values of its appendix D.
func TestCounterStandardVectors(t *testing.T) {
	secret := Secret(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte("12345678901234567890")))
	for counter, code := range []Secret{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := CounterOf(secret, code, int64(counter)); got != int64(counter) {
			t.Errorf("code %d is found at %d", counter, got)
		}
		if got := CounterOf(secret, code, int64(counter)+1); got >= 0 {
			t.Errorf("code %d is found after it was used, at %d", counter, got)
		}
	}
}

// HCA-2.7: and by RFC 6238: the last six digits of its appendix B, for SHA-1; a step before and after, and no farther.
func TestTimeStandardVectors(t *testing.T) {
	secret := Secret(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte("12345678901234567890")))
	for at, code := range map[int64]Secret{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		for steps, found := range map[int64]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
			if got := StepOf(secret, code, time.Unix(at+steps*30, 0)); (got == at/30) != found {
				t.Errorf("the code of %d, %d steps later: step %d", at, steps, got)
			}
		}
	}
}
