// Package hca is the gateway to the certification authority upstream: the words in which the use cases speak of an
// enrolment or a revocation that leaves the window, the seam behind which each of the HCA's protocols is one package,
// and the check of a certificate that comes back against the request it answers (HCA-3.3).
//
// # Using an adapter so that a crash loses nothing and issues nothing twice
//
//  1. Prepare builds and signs the request. It touches no network. The Prepared is committed to the database, in the
//     same transaction that says the request is about to leave.
//  2. Settle brings a committed Prepared to an Outcome. The caller says whether a Send may already have happened; if
//     so Settle asks what became of it and sends the same bytes only when the HCA has never seen them.
//  3. Issued, Revoked and Refused are final. Pending and Unknown are not: Settle is called again later, after
//     Outcome.RetryAfter when that is set.
//
// An error from Send, Query or Settle always comes with an Outcome whose State is Unknown: whatever went wrong, the
// HCA may have acted. Only a signed answer that fits its request says otherwise.
package hca

import (
	"context"
	"math/big"
	"time"

	"github.com/oklog/ulid/v2"
)

// Kind says what a request asks of the HCA.
type Kind string

// The two things the window asks of the HCA (HCA-3.3).
const (
	Enrol  Kind = "enrol"
	Revoke Kind = "revoke"
)

// Request is what a use case wants of the HCA, in no particular protocol.
type Request struct {
	Kind Kind

	// TransactionID is the ULID of the application, in its canonical 26 characters. The HCA answers the same
	// transaction with the same certificate, which is what makes a retry safe.
	TransactionID string

	// SenderNonce binds the answer to this request: 16 to 64 random bytes, fresh for each request.
	SenderNonce []byte

	// CSR is the PKCS#10 request in DER (RFC 2986). Enrolment only.
	CSR []byte

	// Consent is the card-signed message, a CMS SignedData in DER, carried whole. It is nil only for a
	// revocation that the window starts by itself (HCA-5.2.2).
	Consent []byte

	// ConsentBare says that the card gave a bare signature over the text, so that the CMS around it holds no
	// signed attributes (RFC 5652 section 5.4: the signature is then over the content itself).
	ConsentBare bool

	// Serial and Issuer name the certificate to be revoked: its serial number, and its issuer field as DER.
	Serial *big.Int
	Issuer []byte

	// Reason is the CRLReason of RFC 5280 section 5.3.1. Revocation only.
	Reason int

	// RequestedAt is the signing time put into the request.
	RequestedAt time.Time
}

// Prepared is a signed request, ready to leave. All of it is stored before Send is called.
type Prepared struct {
	Adapter       string `json:"adapter"` // the Name of the adapter that made it; no other may send it
	Kind          Kind   `json:"kind"`
	TransactionID string `json:"transaction_id"`
	SenderNonce   []byte `json:"sender_nonce"`
	Bytes         []byte `json:"bytes"` // what goes over the wire; kept as evidence

	// Token is what the HCA gave with a Pending outcome to ask by. It is nil until then. A caller stores
	// Outcome.Token here; an adapter that has none asks by the transaction id.
	Token []byte `json:"token,omitempty"`
}

// State is what is known of a request.
type State string

// The states of a request. The zero State is none of them and means a programming error.
const (
	Issued      State = "issued"       // final: Outcome.Certificates holds the certificate, to be checked with CheckCertificate
	Revoked     State = "revoked"      // final
	Refused     State = "refused"      // final: the HCA's definite no, with FailCode and FailText
	Pending     State = "pending"      // the HCA has it and has not decided: Query later
	Unknown     State = "unknown"      // nothing can be said; it holds its slot (HCA-7.5). Query
	NotReceived State = "not-received" // the HCA has never seen the transaction: safe to Send the same bytes
)

// Outcome is what the HCA's answer, or the lack of one, means.
type Outcome struct {
	State        State
	Certificates [][]byte      // DER, the issued certificate first, then whatever CA certificates came with it
	RetryAfter   time.Duration // the HCA's wish when to ask again; zero means it has none
	Token        []byte        // with Pending: store it as Prepared.Token
	FailCode     string        // the protocol's name of the failure, as "badIdentity"
	FailText     string        // the HCA's own words, for the operator; not to be trusted as markup
	Answer       []byte        // the answer as it came, kept as evidence, whatever was wrong with it
}

// Adapter speaks one of the HCA's protocols. An adapter is safe for concurrent use. Every error that it returns is an
// *Error.
type Adapter interface {
	// Name is a short constant such as "cmc", stored with each Prepared.
	Name() string

	// Prepare builds the request and signs it with the window's dedicated certificate (HCA-3.1). It has no
	// effect outside the process but the use of the signing key.
	Prepare(ctx context.Context, r Request) (Prepared, error)

	// Send submits a committed request once and never repeats it by itself. Where the answer is lost, or is not
	// one that can be believed, the State is Unknown and the error says why.
	Send(ctx context.Context, p Prepared) (Outcome, error)

	// Query asks what became of a request whose answer was lost or is pending. NotReceived means that sending
	// the same bytes is safe. A refusal of the query itself is an error, never Refused.
	Query(ctx context.Context, p Prepared) (Outcome, error)

	// Enclosed are the holders' certificates, DER, that a kept answer encloses. It touches no network and judges
	// nothing: Send, Query and Read did when the answer came.
	Enclosed(answer []byte) ([][]byte, error)

	// Healthy reports whether requests can be signed and the HCA reached.
	Healthy(ctx context.Context) error
}

// ByHand is an adapter whose requests a person carries to the HCA, and whose answers a person brings back. Send and Query
// take nothing anywhere; Read judges what was brought.
type ByHand interface {
	Adapter

	// Claimed is the transaction that an answer says it is for. It only finds the request to hold the answer against.
	Claimed(answer []byte) (transaction string, err error)

	// Read judges an answer to a request, as Send does with what the network brings.
	Read(ctx context.Context, p Prepared, answer []byte) (Outcome, error)
}

// Settle brings a committed request forward by one step: when it has never been sent it is sent, otherwise the HCA is
// asked what became of it and the same bytes are sent only if it has never seen them. sent is true as soon as a Send
// may have been started, which a caller knows only if it commits that before it calls Settle.
func Settle(ctx context.Context, a Adapter, p Prepared, sent bool) (Outcome, error) {
	if p.Adapter != a.Name() {
		return Outcome{State: Unknown}, Errorf(BadRequest, "request was prepared by adapter %q, this is %q", p.Adapter, a.Name())
	}
	if sent {
		out, err := a.Query(ctx, p)
		if err != nil || out.State != NotReceived {
			return out, err
		}
	}
	return a.Send(ctx, p)
}

// Validate says what is missing or superfluous in r, as an *Error of kind BadRequest. Adapters call it first.
func (r *Request) Validate() error {
	if _, err := ulid.ParseStrict(r.TransactionID); err != nil {
		return Errorf(BadRequest, "transaction id %.40q is not a ULID", r.TransactionID)
	}
	if n := len(r.SenderNonce); n < 16 || n > 64 {
		return Errorf(BadRequest, "sender nonce has %d bytes, 16 to 64 are wanted", n)
	}
	if r.RequestedAt.IsZero() {
		return Errorf(BadRequest, "no time of request")
	}
	switch r.Kind {
	case Enrol:
		return r.validateEnrol()
	case Revoke:
		return r.validateRevoke()
	default:
		return Errorf(BadRequest, "unknown kind of request %.40q", string(r.Kind))
	}
}

func (r *Request) validateEnrol() error {
	switch {
	case len(r.CSR) == 0:
		return Errorf(BadRequest, "enrolment without a certification request")
	case len(r.Consent) == 0:
		return Errorf(BadRequest, "enrolment without the holder's consent") // HCA-3.3
	case r.Serial != nil || r.Issuer != nil || r.Reason != 0:
		return Errorf(BadRequest, "enrolment that names a certificate to revoke")
	}
	return nil
}

func (r *Request) validateRevoke() error {
	switch {
	case r.Serial == nil || r.Serial.Sign() <= 0 || r.Serial.BitLen() > 160:
		return Errorf(BadRequest, "revocation without a usable serial number")
	case len(r.Issuer) == 0:
		return Errorf(BadRequest, "revocation without an issuer name")
	case !ValidReason(r.Reason):
		return Errorf(BadRequest, "%d is not a reason for revocation", r.Reason)
	case len(r.CSR) != 0:
		return Errorf(BadRequest, "revocation that holds a certification request")
	}
	return nil
}

// ValidReason reports whether code is a CRLReason of RFC 5280 section 5.3.1 that can be asked for: removeFromCRL (8)
// belongs to delta lists, 7 is unassigned.
func ValidReason(code int) bool { return code >= 0 && code <= 10 && code != 7 && code != 8 }
