package p11

import (
	"context"

	"github.com/miekg/pkcs11"
)

// HoldSession keeps one session of the token until release is closed.
func HoldSession(t *Token, busy, release chan struct{}) error {
	return t.pool.do(context.Background(), func(*session) error {
		close(busy)
		<-release
		return nil
	})
}

// OpenSessions returns the numbers of the token's open sessions; nobody else may use the token meanwhile.
func OpenSessions(t *Token) (hs []pkcs11.SessionHandle) {
	for range cap(t.pool.idle) {
		s := <-t.pool.idle
		if s.open {
			hs = append(hs, s.h)
		}
		t.pool.idle <- s
	}
	return hs
}

// ECPublicKey and RSAPublicKey read what a module says of a key.
var (
	ECPublicKey  = ecPublicKey
	RSAPublicKey = rsaPublicKey
	ECDSADER     = ecdsaDER
)
