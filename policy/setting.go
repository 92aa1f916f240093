package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SettingName names a limit that a window may tighten.
type SettingName string

const (
	Idle             SettingName = "idle"
	SessionLife      SettingName = "session"
	MessageTextLife  SettingName = "message-life"
	KeyLife          SettingName = "key-life"
	MostCertificates SettingName = "most-certificates"
	ProposalLife     SettingName = "proposal-life"
	StatementLife    SettingName = "statement-life"
	SilentDays       SettingName = "silent-days"
	SweepPercent     SettingName = "sweep-percent"
	SweepAbsolute    SettingName = "sweep-absolute"
	PINOnPage        SettingName = "pin-on-page"
	WindowSuspended  SettingName = "window-suspended"
)

// SettingKind says how a setting's value is written.
type SettingKind string

const (
	LifeSetting   SettingKind = "life"   // a duration such as 10m; counted in seconds
	NumberSetting SettingKind = "number" // a whole number
	MarkSetting   SettingKind = "mark"   // yes or no; counted as 1 and 0
)

// Setting is one limit that a window may tighten, and never loosen past its rule (HCA-9).
type Setting struct {
	Name        SettingName
	Clause      Clause
	Kind        SettingKind
	Least, Most int64 // the bounds, in seconds for a life; the rule's own bound among them
	Start       int64 // what holds until somebody decides otherwise
}

const (
	second = 1
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

var settings = []Setting{
	{Idle, "HCA-8.1.1", LifeSetting, minute, int64(MaxIdle / time.Second), int64(MaxIdle / time.Second)},
	{SessionLife, "HCA-8.1.1", LifeSetting, 10 * minute, int64(MaxSession / time.Second), int64(MaxSession / time.Second)},
	{MessageTextLife, "HCA-8.1.4", LifeSetting, second, int64(MaxMessageLife / time.Second), int64(MaxMessageLife / time.Second)},
	{KeyLife, "HCA-6.0", LifeSetting, minute, 7 * day, day},
	{MostCertificates, "HCA-7.5", NumberSetting, 1, MaxValidCertificates, MaxValidCertificates},
	{ProposalLife, "HCA-8.1.6", LifeSetting, hour, 3 * day, 3 * day},
	{StatementLife, "HCA-7.2", LifeSetting, minute, 10 * minute, 10 * minute},
	{SilentDays, "HCA-3.6", NumberSetting, 1, 90, 30},
	{SweepPercent, "HCA-3.6", NumberSetting, 1, 100, 10},
	{SweepAbsolute, "HCA-3.6", NumberSetting, 1, 100_000, 100},
	{PINOnPage, "HCA-8.1.3", MarkSetting, 0, 1, 0},
	{WindowSuspended, "HCA-3.8", MarkSetting, 0, 1, 0},
}

// AllSettings lists every setting, in the order that pages show them. The slice is the caller's own.
func AllSettings() []Setting { return slices.Clone(settings) }

// SettingOf finds a setting by its name.
func SettingOf(name SettingName) (Setting, bool) {
	for _, s := range settings {
		if s.Name == name {
			return s, true
		}
	}
	return Setting{}, false
}

// Parse reads a value as people write it, and refuses one past the bounds (HCA-9: limits may be tightened, never
// loosened past the rule).
func (s Setting) Parse(text string) (int64, Decision) {
	var v int64
	var err error
	switch text = strings.TrimSpace(text); s.Kind {
	case LifeSetting:
		var d time.Duration
		d, err = time.ParseDuration(text)
		if v = int64(d / time.Second); err == nil && d%time.Second != 0 {
			err = strconv.ErrSyntax
		}
	case NumberSetting:
		v, err = strconv.ParseInt(text, 10, 64)
	case MarkSetting:
		switch text {
		case "yes":
			v = 1
		case "no":
		default:
			err = strconv.ErrSyntax
		}
	default:
		err = strconv.ErrSyntax
	}
	if err != nil {
		return 0, Refuse("HCA-9", "setting-malformed", "A value is written as 10m or 24h, as a whole number, or as yes or no. Nothing was changed.")
	}
	if v < s.Least || v > s.Most {
		return 0, Refuse("HCA-9", "setting-out-of-bounds", fmt.Sprintf(
			"It lies between %s and %s: a limit may be tightened, and never loosened past its rule (%s). Nothing was changed.", s.Text(s.Least), s.Text(s.Most), s.Clause))
	}
	return v, Allow()
}

// Text writes a value as Parse reads it.
func (s Setting) Text(v int64) string {
	switch s.Kind {
	case LifeSetting:
		text := (time.Duration(v) * time.Second).String()
		if strings.HasSuffix(text, "m0s") {
			text = strings.TrimSuffix(text, "0s")
		}
		if strings.HasSuffix(text, "h0m") {
			text = strings.TrimSuffix(text, "0m")
		}
		return text
	case MarkSetting:
		if v != 0 {
			return "yes"
		}
		return "no"
	}
	return strconv.FormatInt(v, 10)
}

// Settings are the values that hold where they are not those that every window starts with. One that lies past its
// bounds, wherever it came from, counts as the bound: nothing in a database or a file loosens a rule.
type Settings map[SettingName]int64

// Value is what holds of a setting. An unknown name is zero, which allows nothing.
func (s Settings) Value(name SettingName) int64 {
	x, ok := SettingOf(name)
	if !ok {
		return 0
	}
	v, ok := s[name]
	if !ok {
		return x.Start
	}
	return min(max(v, x.Least), x.Most)
}

// Life is a setting's duration.
func (s Settings) Life(name SettingName) time.Duration {
	return time.Duration(s.Value(name)) * time.Second
}

// Number is a setting's whole number.
func (s Settings) Number(name SettingName) int { return int(s.Value(name)) }

// Mark tells whether a setting is on.
func (s Settings) Mark(name SettingName) bool { return s.Value(name) != 0 }

// Always is a setting that nobody changes.
func Always[T any](v T) func() T { return func() T { return v } }
