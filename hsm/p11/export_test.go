package p11

import "context"

// HoldSession keeps one session of the token until release is closed.
func HoldSession(t *Token, busy, release chan struct{}) error {
	return t.pool.do(context.Background(), func(*session) error {
		close(busy)
		<-release
		return nil
	})
}

// ECPublicKey and RSAPublicKey read what a module says of a key.
var (
	ECPublicKey  = ecPublicKey
	RSAPublicKey = rsaPublicKey
	ECDSADER     = ecdsaDER
)
