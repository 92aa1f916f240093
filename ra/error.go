package ra

import (
	"errors"
	"fmt"

	"certwindow/policy"
)

// Kind says what sort of trouble an Error is. Package web/problem alone knows which HTTP status it becomes.
type Kind int

const (
	KindInternal        Kind = iota // ours; nothing about it is told to the outside
	KindMalformed                   // cannot be read, or out of its bounds
	KindRefused                     // a rule refused; Clause says which
	KindConflict                    // the thing has moved on since it was read
	KindNotFound                    // there is none, or none that the caller may see
	KindUnauthenticated             // not known who asks
	KindForbidden                   // known, and not allowed
	KindTooMany                     // too many requests
	KindUnavailable                 // a part that is needed does not answer
)

// Error is what every use case returns when it does not do what it was asked. Detail is one sentence for a
// person and goes outside; Err is the cause and goes to the log alone.
type Error struct {
	Kind   Kind
	Clause policy.Clause // set when a rule refused
	Code   string        // stable word; the message catalogue translates it
	Detail string
	Err    error
}

func (e *Error) Error() string {
	s := e.Detail
	if e.Clause != "" {
		s = string(e.Clause) + ": " + s
	}
	if e.Err != nil {
		s = fmt.Sprintf("%s (%v)", s, e.Err)
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Refused turns a rule's refusal into an error, and an allowance into nil.
func Refused(d policy.Decision) error {
	if d.Allowed {
		return nil
	}
	return &Error{Kind: KindRefused, Clause: d.Clause, Code: d.Code, Detail: d.Detail}
}

// Refuse is a refusal under a clause that a use case found by itself.
func Refuse(c policy.Clause, code, detail string, cause error) error {
	return &Error{Kind: KindRefused, Clause: c, Code: code, Detail: detail, Err: cause}
}

// Errorf makes an Error of another kind; err may be nil.
func Errorf(k Kind, code string, err error, format string, args ...any) error {
	return &Error{Kind: k, Code: code, Detail: fmt.Sprintf(format, args...), Err: err}
}

// AsError finds the Error in a chain. An error that holds none is internal.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: KindInternal, Code: "internal", Detail: "Something went wrong on our side.", Err: err}
}

// KindOf is the kind of an error, KindInternal when it holds no Error.
func KindOf(err error) Kind { return AsError(err).Kind }
