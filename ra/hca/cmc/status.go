package cmc

import (
	"strconv"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Status is a CMCStatus (RFC 5272 section 6.1.3).
type Status int

// The statuses of RFC 5272.
const (
	StatusSuccess         Status = 0
	StatusFailed          Status = 2
	StatusPending         Status = 3
	StatusNoSupport       Status = 4
	StatusConfirmRequired Status = 5
	StatusPopRequired     Status = 6
	StatusPartial         Status = 7
)

// FailInfo is a CMCFailInfo (RFC 5272 section 6.1.4).
type FailInfo int

// The failures of RFC 5272. NoFailInfo is ours and means that there is none.
const (
	BadAlg          FailInfo = 0
	BadMessageCheck FailInfo = 1
	BadRequest      FailInfo = 2
	BadTime         FailInfo = 3
	BadCertID       FailInfo = 4
	UnsupportedExt  FailInfo = 5
	MustArchiveKeys FailInfo = 6
	BadIdentity     FailInfo = 7
	PopRequired     FailInfo = 8
	PopFailed       FailInfo = 9
	NoKeyReuse      FailInfo = 10
	InternalCAError FailInfo = 11
	TryLater        FailInfo = 12
	AuthDataFail    FailInfo = 13
	NoFailInfo      FailInfo = -1
)

var failNames = [...]string{
	"badAlg", "badMessageCheck", "badRequest", "badTime", "badCertId", "unsupportedExt", "mustArchiveKeys",
	"badIdentity", "popRequired", "popFailed", "noKeyReuse", "internalCAError", "tryLater", "authDataFail",
}

// String gives the name of RFC 5272, "none", or the number of a failure that is not in it.
func (f FailInfo) String() string {
	if f == NoFailInfo {
		return "none"
	}
	if f >= 0 && int(f) < len(failNames) {
		return failNames[f]
	}
	return "failInfo-" + strconv.Itoa(int(f))
}

// StatusInfo is the statusInfoV2 control (RFC 5272 section 6.1.1).
type StatusInfo struct {
	Status   Status
	BodyList []uint32 // the parts of the request it is about
	Text     string   // at most 1024 bytes
	Fail     FailInfo // NoFailInfo where there is none
	Token    []byte   // pendInfo: what to ask by
	PendTime time.Time
}

// maxText bounds statusString, in bytes.
const maxText = 1024

// About reports whether the status is about the body part id.
func (s *StatusInfo) About(id uint32) bool {
	for _, b := range s.BodyList {
		if b == id {
			return true
		}
	}
	return false
}

// Control encodes the status.
func (s *StatusInfo) Control(id uint32) (Control, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(int64(s.Status))
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, part := range s.BodyList {
				b.AddASN1Uint64(uint64(part))
			}
		})
		if s.Text != "" {
			b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(s.Text)) })
		}
		switch {
		case s.Token != nil:
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(s.Token)
				b.AddASN1GeneralizedTime(s.PendTime.UTC().Truncate(time.Second))
			})
		case s.Fail != NoFailInfo:
			b.AddASN1Int64(int64(s.Fail))
		}
	})
	return control(id, OIDStatusInfoV2, &b)
}

// ParseStatusInfo reads the value of a statusInfoV2 control. An extendedFailInfo is taken as a failure without a
// number.
func ParseStatusInfo(der []byte) (*StatusInfo, error) {
	s := StatusInfo{Fail: NoFailInfo}
	var body, parts cryptobyte.String
	var status int
	in := cryptobyte.String(der)
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !in.Empty() || !body.ReadASN1Integer(&status) ||
		!body.ReadASN1(&parts, cbasn1.SEQUENCE) || parts.Empty() {
		return nil, malformed("statusInfoV2")
	}
	s.Status = Status(status)
	for !parts.Empty() {
		var id uint64
		if len(s.BodyList) == maxParts || !parts.ReadASN1Integer(&id) || id > 1<<32-1 {
			return nil, malformed("bodyList")
		}
		s.BodyList = append(s.BodyList, uint32(id))
	}
	if body.PeekASN1Tag(cbasn1.UTF8String) {
		var text cryptobyte.String
		if !body.ReadASN1(&text, cbasn1.UTF8String) || len(text) == 0 || len(text) > maxText || !utf8.Valid(text) {
			return nil, malformed("statusString")
		}
		s.Text = string(text)
	}
	if err := s.readOtherInfo(&body); err != nil {
		return nil, err
	}
	if !body.Empty() {
		return nil, malformed("bytes after statusInfoV2")
	}
	return &s, nil
}

func (s *StatusInfo) readOtherInfo(body *cryptobyte.String) error {
	extended := cbasn1.Tag(1).ContextSpecific().Constructed()
	switch {
	case body.PeekASN1Tag(cbasn1.INTEGER):
		var n int
		if !body.ReadASN1Integer(&n) || n < 0 {
			return malformed("failInfo")
		}
		s.Fail = FailInfo(n)
	case body.PeekASN1Tag(cbasn1.SEQUENCE):
		var pend, token cryptobyte.String
		var ok bool
		if !body.ReadASN1(&pend, cbasn1.SEQUENCE) || !pend.ReadASN1(&token, cbasn1.OCTET_STRING) ||
			len(token) == 0 || len(token) > maxNonce {
			return malformed("pendInfo")
		}
		if s.PendTime, ok = generalizedTime(&pend); !ok || !pend.Empty() {
			return malformed("pendTime")
		}
		s.Token = token
	case body.PeekASN1Tag(extended):
		if !body.SkipASN1(extended) {
			return malformed("extendedFailInfo")
		}
	}
	return nil
}
