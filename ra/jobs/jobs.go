// Package jobs names what is to be done later. It holds argument types only: a use case inserts one in the
// transaction of its own change, and package jobs/work carries it out.
package jobs

import "certwindow/ra"

// Args is what the queue stores of a job.
type Args interface{ Kind() string }

// Exchange brings an application's request to the HCA forward by one step (HCA-3.3).
type Exchange struct {
	Application ra.ApplicationID `json:"application"`
}

// Notice sends one notice to a holder (HCA-3.4).
type Notice struct {
	Notice string `json:"notice"`
}

// Sweep inventories the certificates (HCA-3.6).
type Sweep struct{}

// Lapse ends applications whose time has passed.
type Lapse struct{}

// Checkpoint signs the audit log as it stands (HCA-8.1.6).
type Checkpoint struct{}

// Import takes the next lines of a table in (HCA-4.1, HCA-7.5).
type Import struct {
	Import string `json:"import"`
}

// Bulk works on the next certificates of many (HCA-5.2.2, HCA-3.4).
type Bulk struct {
	Bulk string `json:"bulk"`
}

// Wake has the app of a device look at the window, or those of all devices of a person.
type Wake struct {
	Device ra.DeviceID `json:"device,omitempty"`
	Person ra.PersonID `json:"person,omitempty"`
}

func (Wake) Kind() string       { return "wake" }
func (Import) Kind() string     { return "import" }
func (Bulk) Kind() string       { return "bulk" }
func (Exchange) Kind() string   { return "exchange" }
func (Notice) Kind() string     { return "notice" }
func (Sweep) Kind() string      { return "sweep" }
func (Lapse) Kind() string      { return "lapse" }
func (Checkpoint) Kind() string { return "checkpoint" }
