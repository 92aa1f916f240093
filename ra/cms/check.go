package cms

import (
	"errors"
	"fmt"
)

// Check looks at bytes from outside before any parser does: not empty, no larger than max, one DER value and
// nothing after it, definite and minimal lengths throughout, nested no deeper than MaxDepth. It looks at
// every byte once and does not recurse, so that its cost is linear in max whatever is sent.
//
// Values inside an OCTET STRING or BIT STRING are not looked into.
func Check(der []byte, max int) error {
	switch {
	case len(der) == 0:
		return refuse(ReasonEmpty, "there are no bytes")
	case len(der) > max:
		return refuse(ReasonTooLarge, "%d bytes, at most %d are looked at", len(der), max)
	}
	first, err := readHeader(der)
	if err != nil {
		return &Error{Reason: ReasonNotDER, Detail: "at byte 0", Err: err}
	}
	if total := first.size + first.length; total != len(der) {
		return refuse(ReasonTrailing, "%d bytes after the end", len(der)-total)
	}

	// ends holds where each constructed value we are inside of ends.
	var ends [MaxDepth]int
	depth, at := 0, 0
	for {
		for depth > 0 && at == ends[depth-1] {
			depth--
		}
		if at == len(der) {
			return nil
		}
		limit := len(der)
		if depth > 0 {
			limit = ends[depth-1]
		}
		h, err := readHeader(der[at:limit])
		if err != nil {
			return &Error{Reason: ReasonNotDER, Detail: fmt.Sprintf("at byte %d", at), Err: err}
		}
		at += h.size
		if !h.constructed {
			at += h.length
			continue
		}
		if depth == MaxDepth {
			return refuse(ReasonTooDeep, "more than %d levels", MaxDepth)
		}
		ends[depth] = at + h.length
		depth++
	}
}

// header is what stands before a value's content.
type header struct {
	size, length int
	constructed  bool
}

var (
	errTruncated  = errors.New("truncated")
	errIndefinite = errors.New("indefinite length, which is BER and not DER")
	errLength     = errors.New("length is not minimal")
	errTag        = errors.New("tag is not minimal")
	errReserved   = errors.New("end-of-contents tag")
)

// readHeader reads one identifier and length (X.690 section 8.1, 10.1) and sees to it that the content is there.
func readHeader(b []byte) (header, error) {
	if len(b) < 2 {
		return header{}, errTruncated
	}
	h := header{constructed: b[0]&0x20 != 0}
	if b[0] == 0 {
		return h, errReserved
	}
	at := 1
	if b[0]&0x1f == 0x1f {
		n, err := longTag(b[1:])
		if err != nil {
			return h, err
		}
		at += n
	}
	if at >= len(b) {
		return h, errTruncated
	}
	l := int(b[at])
	at++
	switch {
	case l < 0x80:
		h.length = l
	case l == 0x80:
		return h, errIndefinite
	default:
		n := l & 0x7f
		if n > 4 || at+n > len(b) {
			return h, errTruncated
		}
		for _, c := range b[at : at+n] {
			h.length = h.length<<8 | int(c)
		}
		if b[at] == 0 || h.length < 0x80 {
			return h, errLength
		}
		at += n
	}
	h.size = at
	if h.length > len(b)-at {
		return h, errTruncated
	}
	return h, nil
}

// longTag returns how many bytes a tag number of 31 or more takes; more than four are refused.
func longTag(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, errTruncated
	}
	if b[0] == 0x80 || b[0] < 0x1f {
		return 0, errTag
	}
	for i := 0; i < len(b) && i < 4; i++ {
		if b[i] < 0x80 {
			return i + 1, nil
		}
	}
	return 0, errTag
}
