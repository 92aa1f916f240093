package overview

import (
	"time"

	"certwindow/ra"
)

// Exemption is a person's leave to hold more than five certificates (HCA-7.5).
type Exemption struct {
	PersonID ra.PersonID
	Limit    int
	Until    time.Time // the first moment at which it no longer holds
	Reply    string    // the number of HCA's reply
}

// ActQuery selects rows of the audit log by what was done, newest first.
type ActQuery struct {
	Acts        []string
	Institution ra.InstitutionCode // empty: all
	From, To    time.Time          // From is in it, To is not
	Limit       int
}
