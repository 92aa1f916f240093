package api

import "certwindow/ra"

// How many requests a second are looked at in the long run, and how many at once. A doctor who signs two hundred
// records asks twice for each. Behind one address may be a whole hospital, but phones are bound one by one.
const (
	deviceRate, deviceBurst   = 20, 100
	addressRate, addressBurst = 2, 60
	loginRate, loginBurst     = 0.5, 20
)

func tooMany() error {
	return ra.Errorf(ra.KindTooMany, "too-many", nil, "Too many requests. Nothing was done; wait a moment and try again.")
}
