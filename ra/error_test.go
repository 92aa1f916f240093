package ra

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"certwindow/policy"
)

// HCA-8.1.6: what a refusal leaves in the audit log names the rule, and a fault of ours is never told as a refusal.
func TestRefusalOf(t *testing.T) {
	for _, c := range []struct {
		name    string
		err     error
		outcome Outcome
		clause  policy.Clause
		code    string
	}{
		{"a rule's", Refused(policy.Refuse("HCA-7.5", "limit-reached", "No.")), OutcomeRefused, "HCA-7.5", "limit-reached"},
		{"wrapped", fmt.Errorf("enrol: %w", Refuse("HCA-5.1.1", "holder-differs", "No.", io.EOF)), OutcomeRefused, "HCA-5.1.1", "holder-differs"},
		{"a conflict", Errorf(KindConflict, "state-conflict", nil, "No."), OutcomeRefused, "", "state-conflict"},
		{"a part is away", Errorf(KindUnavailable, "hsm-away", io.EOF, "No."), OutcomeFailed, "", "hsm-away"},
		{"ours", errors.New("disk full"), OutcomeFailed, "", "internal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := Event{Act: "enrol.consent", Clause: "HCA-2.1", Code: "old"}.RefusalOf(c.err)
			if e.Act != "enrol.consent" || e.Outcome != c.outcome || e.Clause != c.clause || e.Code != c.code {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// An allowance is no error; an error of no kind is internal, and its cause stays out of what a person reads.
func TestErrorKinds(t *testing.T) {
	if err := Refused(policy.Allow()); err != nil {
		t.Errorf("an allowance gave %v", err)
	}
	if err := Refused(policy.Decision{}); KindOf(err) != KindRefused {
		t.Errorf("an unanswered rule gave %v", err)
	}
	secret := errors.New("dial 10.0.0.7: refused")
	if e := AsError(secret); e.Kind != KindInternal || strings.Contains(e.Detail, "10.0.0.7") || !errors.Is(e, secret) {
		t.Errorf("got %+v", e)
	}
	if KindOf(fmt.Errorf("store: %w", Errorf(KindNotFound, "no-device", nil, "None."))) != KindNotFound {
		t.Error("the kind was lost by wrapping")
	}
	if s := Errorf(KindConflict, "gone", nil, "It is gone.").Error(); s != "It is gone." {
		t.Errorf("log line %q", s)
	}
	if s := Refuse("HCA-7.5", "limit-reached", "Five is all.", io.EOF).Error(); s != "HCA-7.5: Five is all. (EOF)" {
		t.Errorf("log line %q", s)
	}
}

// Identifiers sort by time, and fail without randomness instead of repeating.
func TestNewID(t *testing.T) {
	a, err := NewID(moment, bytes.NewReader(make([]byte, 10)))
	if err != nil || len(a) != 26 {
		t.Fatalf("%q, %v", a, err)
	}
	b, err := NewID(moment.Add(time.Millisecond), bytes.NewReader(make([]byte, 10)))
	if err != nil || b <= a {
		t.Errorf("%q does not follow %q: %v", b, a, err)
	}
	if id, err := NewID(moment, bytes.NewReader(make([]byte, 9))); err == nil {
		t.Errorf("too little randomness gave %q", id)
	}
}

// HCA-6.0: a key's name is the SHA-256 of its SubjectPublicKeyInfo.
func TestKeyHash(t *testing.T) {
	const empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if got := KeyHash(nil); got != empty {
		t.Errorf("got %s", got)
	}
}

// HCA-3.7: a member of one institution is none of another.
func TestMemberOf(t *testing.T) {
	p := PersonFacts{Institutions: []InstitutionCode{"0101090517", "1234567890"}}
	if !p.MemberOf("1234567890") || p.MemberOf("9999999999") || p.MemberOf("") || (PersonFacts{}).MemberOf("") {
		t.Error("membership is not what is listed")
	}
}
