package policy

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// UnmaskReasons are why one person's data may be shown unmasked (HCA-8.1.5), in the order that pages show them.
var UnmaskReasons = []string{"identify", "contact", "correct", "holder-asks", "investigation"}

const (
	// MaxUnmaskings is how many records one member of staff may see unmasked within UnmaskWindow; more is a list, for
	// which it takes two.
	MaxUnmaskings = 20
	UnmaskWindow  = time.Hour
	// MinUnmaskNote is how many characters say what it is for, at least.
	MinUnmaskNote = 6
	maxUnmaskNote = 500
	// MaxUnmaskedList is how many persons two may agree to unmask at once, and UnmaskedListLife how long the one who
	// asked has to fetch them.
	MaxUnmaskedList  = 5000
	UnmaskedListLife = time.Hour
)

// Unmask decides whether a record may be shown unmasked (HCA-8.1.5: with a reason, and not by the dozen). before is how
// many the same member of staff has seen within UnmaskWindow.
func Unmask(reason, note string, before int) Decision {
	switch n := utf8.RuneCountInString(strings.TrimSpace(note)); {
	case !slices.Contains(UnmaskReasons, reason):
		return Refuse("HCA-8.1.5", "unmask-reason", "Choose why the data is to be shown. Nothing was shown.")
	case n < MinUnmaskNote || n > maxUnmaskNote:
		return Refuse("HCA-8.1.5", "unmask-note", "Write in 6 to 500 characters what the data is needed for. Nothing was shown.")
	case before >= MaxUnmaskings:
		return Refuse("HCA-8.1.5", "unmask-too-many", "You have seen as many records as one may in an hour. Nothing was shown; for a list, propose one to a second person.")
	}
	return Allow()
}
