package remotesign

import (
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"certwindow/ra"
)

// AuthorisationID names an authorisation; it is a ULID.
type AuthorisationID string

// ClientID names a system that asks for signatures.
type ClientID string

// DeviceClient is the holder's own app: it asks, and its signatures go back to it.
const DeviceClient ClientID = "device"

// State is where an authorisation stands.
type State string

// The states of an authorisation.
const (
	Pending  State = "pending"  // the holder has not decided
	Released State = "released" // the holder released it; its hashes tell how far it has come
	Denied   State = "denied"   // the holder said no
	Expired  State = "expired"  // nobody decided in time
	Closed   State = "closed"   // it was released, and its time is over: what was not collected is deleted
)

// HashState is where one hash of an authorisation stands.
type HashState string

// The states of a hash.
const (
	HashWaiting   HashState = "waiting"
	HashSigned    HashState = "signed"    // the signature is there to be collected
	HashCollected HashState = "collected" // handed out, once
	HashRefused   HashState = "refused"   // a rule stopped the batch before it
	HashExpired   HashState = "expired"   // not signed, or not collected, in time
)

// MaxHashes is how many hashes one authorisation holds at most: a shift's records.
const MaxHashes = 500

// Life is how long an authorisation waits for its holder, and collectTime how long its signatures wait for the
// client at least.
const (
	Life        = 15 * time.Minute
	collectTime = 5 * time.Minute
)

// Item is one hash, with what the holder is shown of it before releasing it.
type Item struct {
	Hash      []byte
	Title     string // what is signed, in the words of the system that asks
	Patients  int    // how many patients it concerns
	Source    string // the system that the record is from
	State     HashState
	Signature []byte // there while State is HashSigned
}

// Authorisation is a request for signatures with one holder's key in the HSM, and what became of it (HCA-6.3.5).
type Authorisation struct {
	ID            AuthorisationID
	Certificate   ra.CertificateID
	Person        ra.PersonID
	Device        ra.DeviceID
	Institution   ra.InstitutionCode
	Client        ClientID
	Scope         string
	HashAlgorithm string // SHA-256, SHA-384, SHA-512
	Challenge     []byte // 32 random bytes; the activation data repeats it
	Items         []Item
	Count         int // of items
	State         State
	HandleHash    []byte // SHA-256 of what the client asks by; nil for the app's own
	SADHash       []byte // SHA-256 of what the client collects by
	Activation    string // the holder's activation data as evidence: the JWS, without the secret
	CreatedAt     time.Time
	ExpiresAt     time.Time
	DecidedAt     *time.Time
}

// Hashes are the algorithms that are signed.
var Hashes = map[string]crypto.Hash{"SHA-256": crypto.SHA256, "SHA-384": crypto.SHA384, "SHA-512": crypto.SHA512}

// ItemsDigest is SHA-256 over the algorithm and every hash with its label, in their order and each with its length
// before it. The activation data holds it: change a hash, a label or their order, and it is another.
func ItemsDigest(algorithm string, items []Item) []byte {
	h := sha256.New()
	write := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	write([]byte("certwindow hashes v1"))
	write([]byte(algorithm))
	for _, i := range items {
		write(i.Hash)
		write([]byte(i.Title))
		write(binary.BigEndian.AppendUint64(nil, uint64(i.Patients)))
		write([]byte(i.Source))
	}
	return h.Sum(nil)
}

// Bounds of what a holder is shown, in characters.
const (
	maxTitle    = 200
	maxSource   = 100
	maxPatients = 1_000_000
)

// checkItems holds a list of hashes against its bounds.
func checkItems(algorithm string, items []Item) error {
	hash, known := Hashes[algorithm]
	if !known {
		return malformed("hash_algorithm", "The hash is SHA-256, SHA-384 or SHA-512. Nothing was signed.")
	}
	if len(items) < 1 || len(items) > MaxHashes {
		return malformed("hashes", "An authorisation holds 1 to 500 hashes. Nothing was signed.")
	}
	seen := make(map[string]bool, len(items))
	for _, i := range items {
		switch {
		case len(i.Hash) != hash.Size():
			return malformed("hash", "A hash is not as long as its algorithm makes it. Nothing was signed.")
		case seen[string(i.Hash)]:
			return malformed("hash", "A hash is there twice. Nothing was signed.")
		case !shown(i.Title, 1, maxTitle) || !shown(i.Source, 0, maxSource) || i.Patients < 0 || i.Patients > maxPatients:
			return malformed("label", "A label is not what a holder can be shown: printable, and not too long. Nothing was signed.")
		}
		seen[string(i.Hash)] = true
	}
	return nil
}

// shown tells whether a text can be shown as it is: of that many characters, each of them visible.
func shown(s string, least, most int) bool {
	n := utf8.RuneCountInString(s)
	return utf8.ValidString(s) && n >= least && n <= most && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func malformed(code, detail string) error {
	return ra.Errorf(ra.KindMalformed, code, nil, "%s", detail)
}
