// Package news lets phones wait for what concerns their holders: a system that asks for a signature or for access, a key
// to be made, a certificate that was suspended. Whoever changes such a thing marks its topic in the same transaction;
// one watcher of each process asks which topics were marked, for every phone that waits there.
//
// What a phone is told is how things stand and not what happened, so that nothing is lost between two questions, however
// long the phone was away, and nothing is told twice. To add a kind: its field of Standing, its line in ra/store/news.go,
// and the topic where it is written.
package news

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"certwindow/ra"
	"certwindow/ra/remotesign"
)

// Topic is what a phone waits on: its device, and the person who signed in there.
type Topic string

const (
	ofDevice = "device/"
	ofPerson = "person/"
)

// OfDevice is the topic of a device.
func OfDevice(id ra.DeviceID) Topic { return Topic(ofDevice + string(id)) }

// OfPerson is the topic of a person.
func OfPerson(id ra.PersonID) Topic { return Topic(ofPerson + string(id)) }

// Of is the topic of an audit row's object: what the log says was done to a device or a person may have ended the login
// of whoever waits there. False for a refusal, and for every other object.
func Of(e ra.Event) (Topic, bool) {
	about := strings.HasPrefix(e.Object, ofDevice) || strings.HasPrefix(e.Object, ofPerson)
	return Topic(e.Object), about && e.Outcome == ra.OutcomeDone
}

// Holder is who waits, and where.
type Holder struct {
	Device      ra.DeviceID
	Generation  int // of the device's binding
	Institution ra.InstitutionCode
	Person      ra.PersonID
}

// Standing is how things stand for a holder on a device: the ids of what waits for an answer, for a key or to be
// renewed, and the states of the certificates. It is the answer of the phones' API as it is.
type Standing struct {
	Authorisations []remotesign.AuthorisationID             `json:"authorisations"`
	AccessRequests []string                                 `json:"access_requests"`
	Applications   []ra.ApplicationID                       `json:"applications"`
	Certificates   map[ra.CertificateID]ra.CertificateState `json:"certificates"`
	Renewals       []ra.CertificateID                       `json:"renewals"` // that it is time to renew (HCA-7.2)
}

// NewStanding is one in which nothing waits.
func NewStanding() Standing {
	return Standing{[]remotesign.AuthorisationID{}, []string{}, []ra.ApplicationID{}, map[ra.CertificateID]ra.CertificateState{}, []ra.CertificateID{}}
}

// Tag names a standing: the same as long as nothing changes, whichever replica is asked (RFC 9110 section 8.8.3).
func (s Standing) Tag() (string, error) {
	raw, err := json.Marshal(s)
	sum := sha256.Sum256(raw)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, err
}

// Store keeps when topics were marked.
type Store interface {
	// NewsMark is how far the marks have come.
	NewsMark(ctx context.Context) (int64, error)
	// NewsAfter are the topics that were marked after a mark, in the order of the commits, at most limit of them, and
	// how far they reach.
	NewsAfter(ctx context.Context, mark int64, limit int) ([]Topic, int64, error)
	// NewsCommitted is closed at the next commit of this process that marks a topic. Other processes' commits are not
	// seen by it.
	NewsCommitted() <-chan struct{}
	// Standing is how things stand for a holder.
	Standing(ctx context.Context, h Holder, at time.Time) (Standing, error)
}
