package csc

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
)

// timestamp makes a time stamp by the configured authority (section 11.13).
func (c *call) timestamp() error {
	var b struct {
		Hash       *string `json:"hash"`
		HashAlgo   *string `json:"hashAlgo"`
		Nonce      *string `json:"nonce"`
		ClientData *string `json:"clientData"`
	}
	if err := c.into(&b); err != nil {
		return err
	}
	switch {
	case b.Hash == nil:
		return missing("string", "hash")
	case *b.Hash == "":
		return malformed("Empty hash parameter")
	case b.HashAlgo == nil:
		return missing("string", "hashAlgo")
	case hashNames[*b.HashAlgo] == "":
		return invalid("hashAlgo")
	}
	digest, ok := octets(*b.Hash)
	if !ok {
		return malformed("Invalid Base64 hash string parameter")
	}
	if len(digest) != sizeOf(hashNames[*b.HashAlgo]) {
		return malformed("Invalid digest value length")
	}
	var nonce []byte
	if b.Nonce != nil {
		var ok bool
		if nonce, ok = number(*b.Nonce); !ok {
			return invalid("nonce")
		}
	}
	token, err := c.api.Stamper.Stamp(c.ctx(), hashNames[*b.HashAlgo], digest, nonce)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"timestamp": base64.StdEncoding.EncodeToString(token)})
}

// number reads a number in hexadecimal digits, of which there may be an odd count: 1 to 64.
func number(s string) ([]byte, bool) {
	if s == "" || len(s) > 64 {
		return nil, false
	}
	if len(s)%2 == 1 {
		s = "0" + s
	}
	raw, err := hex.DecodeString(s)
	return raw, err == nil
}
