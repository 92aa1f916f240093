package ra

import "log/slog"

// PushToken is what a vendor's service or a hospital's gateway finds one app on one phone by. It is no secret of the holder's,
// and still names a phone to whoever knows it, so it is never printed (HCA-8.1.5).
type PushToken string

const hiddenToken = "[push token]"

// Reveal is the token itself, for the service that it is of.
func (t PushToken) Reveal() string { return string(t) }

// String implements fmt.Stringer.
func (PushToken) String() string { return hiddenToken }

// GoString implements fmt.GoStringer.
func (PushToken) GoString() string { return hiddenToken }

// MarshalJSON implements json.Marshaler.
func (PushToken) MarshalJSON() ([]byte, error) { return []byte(`"` + hiddenToken + `"`), nil }

// LogValue implements slog.LogValuer.
func (PushToken) LogValue() slog.Value { return slog.StringValue(hiddenToken) }

// Push is where one device's app is woken.
type Push struct {
	Device     DeviceID
	Generation int    // of the device's binding, whose end is the push's too
	Service    string // whose token it is, in the app's word: apns, fcm or the hospital's own
	Token      PushToken
}
