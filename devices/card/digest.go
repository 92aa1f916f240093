package card

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // the hashes that crypto.Hash.New is asked for
	_ "crypto/sha512"
	"errors"
)

// hashName is a hash as the protocol spells it.
type hashName string

const (
	hashSHA256 hashName = "SHA256"
	hashSHA384 hashName = "SHA384"
	hashSHA512 hashName = "SHA512"
)

// hashes are the only ones that this component signs with. SHA-1 is left out on purpose.
var hashes = map[hashName]struct {
	hash   crypto.Hash
	prefix []byte // DER of DigestInfo (RFC 8017, section 9.2, note 1) before the hash value
}{
	hashSHA256: {crypto.SHA256, digestInfoPrefix(1, 32)},
	hashSHA384: {crypto.SHA384, digestInfoPrefix(2, 48)},
	hashSHA512: {crypto.SHA512, digestInfoPrefix(3, 64)},
}

// digestInfoPrefix builds the prefix for the hash 2.16.840.1.101.3.4.2.arc with values of size bytes.
func digestInfoPrefix(arc, size byte) []byte {
	return []byte{
		0x30, 0x11 + size,
		0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc, 0x05, 0x00,
		0x04, size,
	}
}

func (n hashName) known() bool { _, ok := hashes[n]; return ok }

func (n hashName) hash() crypto.Hash { return hashes[n].hash }

// sum is the digest of content.
func (n hashName) sum(content []byte) []byte {
	h := n.hash().New()
	h.Write(content)
	return h.Sum(nil)
}

// splitDigestInfo takes apart a DigestInfo: which hash, and its value.
func splitDigestInfo(b []byte) (hashName, []byte, error) {
	for name, h := range hashes {
		digest, ok := bytes.CutPrefix(b, h.prefix)
		if ok && len(digest) == h.hash.Size() {
			return name, digest, nil
		}
	}
	return "", nil, errors.New("not a DigestInfo of a supported hash")
}
