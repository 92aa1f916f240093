package hca

import (
	"errors"
	"fmt"
)

// ErrorKind tells apart why no outcome could be had, so that an operator at three in the morning knows whom to call.
type ErrorKind string

// The kinds of error an adapter returns.
const (
	BadRequest       ErrorKind = "bad-request"       // our own request is malformed; nothing was sent
	NoSigner         ErrorKind = "no-signer"         // the dedicated certificate or its key cannot be used; nothing was sent
	Network          ErrorKind = "network"           // no connection, TLS failure, time-out, or the connection ended before the answer
	Unavailable      ErrorKind = "unavailable"       // the HCA says that it cannot now: an HTTP error, tryLater, internalCAError
	Undecodable      ErrorKind = "undecodable"       // the answer is not of the protocol, too large, or contradicts itself
	Unsigned         ErrorKind = "unsigned"          // the answer bears no signature
	BadSignature     ErrorKind = "bad-signature"     // the answer's signature does not verify
	UntrustedSigner  ErrorKind = "untrusted-signer"  // the answer is signed by somebody who is not the HCA
	WrongTransaction ErrorKind = "wrong-transaction" // the answer belongs to another request
	WrongNonce       ErrorKind = "wrong-nonce"       // the answer is a replay
	QueryRefused     ErrorKind = "query-refused"     // the HCA would not say what became of a request
)

// Error is the reason why an adapter has no outcome. Detail never holds secrets or personal data.
type Error struct {
	Kind   ErrorKind
	Detail string // what happened, cause included
	Err    error  // the cause, or nil
}

// Error says kind and detail.
func (e *Error) Error() string { return "hca: " + string(e.Kind) + ": " + e.Detail }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an *Error with a formatted detail. The operand of a %w verb becomes its cause.
func Errorf(kind ErrorKind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Detail: err.Error(), Err: errors.Unwrap(err)}
}

// KindOf returns the kind of the first *Error in err's tree, or "" if there is none.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
