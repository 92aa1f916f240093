package remotesign

import (
	"crypto"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// StatementType is the JWS "typ" of a status statement.
const StatementType = "certwindow-status+jwt"

// signJWS makes a compact JWS (RFC 7515) with ES256 by a P-256 key that sits in the HSM.
func signJWS(key crypto.Signer, typ jose.ContentType, keyID string, claims any) (string, error) {
	opts := (&jose.SignerOptions{}).WithType(typ).WithHeader("kid", keyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: cryptosigner.Opaque(key)}, opts)
	if err != nil {
		return "", fmt.Errorf("remotesign: status key: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("remotesign: status key: %w", err)
	}
	return jws.CompactSerialize()
}
