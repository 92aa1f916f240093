package cardmsg

import (
	"errors"
	"fmt"

	"certwindow/policy"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
)

// Clauses that this package enforces.
const (
	ClauseEnrolment  policy.Clause = "HCA-5.1.1" // signature, chain, validity, revocation, kind of certificate
	ClauseRevocation policy.Clause = "HCA-5.2.1" // the same for a revocation by the holder
	ClauseContent    policy.Clause = "HCA-8.1.3" // what was signed is what was shown
	ClauseReplay     policy.Clause = "HCA-8.1.4" // nonce and time
)

// Reasons that are this package's own. Package cms's and package certpath's reasons pass through.
const (
	ReasonValue              = "value-refused"
	ReasonPurpose            = "purpose-unknown"
	ReasonContentMissing     = "content-not-given"
	ReasonNonce              = "nonce-differs"
	ReasonNonceAttribute     = "nonce-attribute-differs"
	ReasonAttribute          = "attribute-unreadable"
	ReasonNonceNotYet        = "nonce-not-yet-valid"
	ReasonNonceExpired       = "nonce-expired"
	ReasonSigningTimeAhead   = "signing-time-in-future"
	ReasonSigningTimeOld     = "signing-time-too-old"
	ReasonSigningTimeEarly   = "signing-time-before-nonce"
	ReasonKeyUsage           = "not-a-signing-certificate"
	ReasonSubjectTypeMissing = "subject-type-missing"
	ReasonSubjectType        = "subject-type-wrong"
	ReasonInstitution        = "institution-certificate"
	ReasonHolder             = "holder-differs"
	ReasonName               = "name-differs"
	ReasonSubject            = "subject-ambiguous"
	ReasonNoPath             = "no-path"
	ReasonMark               = "not-a-card-certificate"
	ReasonMobile             = "mobile-certificate"
	ReasonRegister           = "register-unavailable"
	ReasonMisuse             = "misuse"
)

// Error says why a message was refused and by which clause.
type Error struct {
	Reason string // a stable word in kebab case
	Clause policy.Clause
	Detail string // for a person
	Err    error  // the cause, where there is one
}

func (e *Error) Error() string {
	s := e.Reason
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Clause != "" {
		s += " (" + string(e.Clause) + ")"
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

func refuse(reason string, clause policy.Clause, format string, args ...any) *Error {
	return &Error{Reason: reason, Clause: clause, Detail: fmt.Sprintf(format, args...)}
}

// passOn gives an error of package cms or certpath its clause. What cannot be recognised is still a refusal.
func passOn(err error, clause policy.Clause) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var c *cms.Error
	if errors.As(err, &c) {
		if c.Reason == cms.ReasonContent {
			clause = ClauseContent
		}
		detail := c.Detail
		if c.Err != nil {
			detail = c.Err.Error()
		}
		return &Error{Reason: c.Reason, Clause: clause, Detail: detail, Err: err}
	}
	var p *certpath.Error
	if errors.As(err, &p) {
		detail := p.Detail
		if p.Cert != "" {
			detail += " (" + p.Cert + ")"
		}
		return &Error{Reason: p.Reason, Clause: clause, Detail: detail, Err: err}
	}
	return &Error{Reason: ReasonNoPath, Clause: clause, Detail: err.Error(), Err: err}
}
