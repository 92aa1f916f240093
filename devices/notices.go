package devices

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"certwindow/ra"
)

// SafetyNotice is one version of the texts that an app shows: the risks, at every start (HCA-8.2.3), and the advice to
// install antivirus software, when it is installed or first started (HCA-8.2.4).
type SafetyNotice struct {
	Version                  int // from 1
	RiskZH, RiskEN           string
	AntivirusZH, AntivirusEN string
	WrittenBy                string
	CreatedAt                time.Time
}

// Acknowledgement says that a notice was read on a device.
type Acknowledgement struct {
	Version    int
	Device     ra.DeviceID
	Person     ra.PersonID // empty: on a shared device, before anybody has logged in
	AppVersion string
	FirstAt    time.Time
	LastAt     time.Time
	Starts     int // how many times
}

// NoticeTx is what a transaction on the register reads and writes of notices.
type NoticeTx interface {
	// SafetyNotices are the latest versions, newest first.
	SafetyNotices(limit int) ([]SafetyNotice, error)
	// InsertSafetyNotice fails with a conflict when the version exists.
	InsertSafetyNotice(n SafetyNotice) error
	// Acknowledge adds one, or counts one more start to it, and returns it as it is then.
	Acknowledge(a Acknowledgement) (Acknowledgement, error)
	Acknowledgements(id ra.DeviceID, limit int) ([]Acknowledgement, error)
	// CountAcknowledgements tells on how many devices a version was read.
	CountAcknowledgements(version int) (int, error)
}

// maxNotice is how many characters one text may have.
const maxNotice = 4000

// WriteNotices stores a new version of the texts, which apps show from now on.
func (s *Service) WriteNotices(ctx context.Context, actor ra.Actor, n SafetyNotice, last int) (version int, err error) {
	n.WrittenBy, n.CreatedAt, n.Version = actor.ID, s.now(), last+1
	return n.Version, s.act(ctx, actor, "notice.write", "safety-notice/"+strconv.Itoa(n.Version), "", nil, func(tx Tx) error {
		if actor.Institution != "" {
			return forbidden()
		}
		for _, f := range []struct {
			code string
			text *string
		}{{"risk-zh", &n.RiskZH}, {"risk-en", &n.RiskEN}, {"antivirus-zh", &n.AntivirusZH}, {"antivirus-en", &n.AntivirusEN}} {
			*f.text = strings.TrimSpace(strings.ReplaceAll(*f.text, "\r\n", "\n"))
			bad := strings.ContainsFunc(*f.text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })
			if c := utf8.RuneCountInString(*f.text); c < 1 || c > maxNotice || bad {
				return ra.Errorf(ra.KindMalformed, f.code, nil, "A text has 1 to %d printable characters, in both languages. Nothing was changed.", maxNotice)
			}
		}
		return tx.InsertSafetyNotice(n)
	})
}

// SafetyNotices are the latest versions, newest first, with how many devices have acknowledged the newest.
func (s *Service) SafetyNotices(ctx context.Context) (out []SafetyNotice, devices int, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if out, err = tx.SafetyNotices(20); err != nil || len(out) == 0 {
			return err
		}
		devices, err = tx.CountAcknowledgements(out[0].Version)
		return err
	})
	return out, devices, err
}

// Acknowledge records that the notice of a version was shown and read on a device (HCA-8.2.3, HCA-8.2.4). person is a
// user of it, or empty: the only user's, where the device has one. Its first time is audited; later starts are counted.
func (s *Service) Acknowledge(ctx context.Context, actor ra.Actor, d Device, version int, person ra.PersonID, app string) (a Acknowledgement, err error) {
	now := s.now()
	err = s.store.Update(ctx, func(tx Tx) error {
		latest, err := tx.SafetyNotices(1)
		if err != nil {
			return err
		}
		if len(latest) == 0 || latest[0].Version != version {
			return ra.Errorf(ra.KindConflict, "notice-replaced", nil, "This is not the notice that holds now. Nothing was recorded; show the latest one.")
		}
		if person, err = userOf(tx, d, person); err != nil {
			return err
		}
		a, err = tx.Acknowledge(Acknowledgement{Version: version, Device: d.ID, Person: person, AppVersion: app, FirstAt: now, LastAt: now, Starts: 1})
		if err != nil || a.Starts > 1 {
			return err
		}
		return tx.Audit(ra.Event{At: now, Actor: actor, Act: "notice.acknowledge", Object: "device/" + string(d.ID), Institution: d.Institution, Outcome: ra.OutcomeDone,
			Clause: "HCA-8.2.3", Details: map[string]string{"version": strconv.Itoa(version), "person": string(person)}})
	})
	return a, err
}

// userOf is the one of a device's users that is meant.
func userOf(tx Tx, d Device, person ra.PersonID) (ra.PersonID, error) {
	users, err := tx.Users(d.ID)
	if err != nil {
		return "", err
	}
	var now []ra.PersonID
	for _, u := range users {
		if u.RemovedAt == nil {
			if u.Person == person {
				return person, nil
			}
			now = append(now, u.Person)
		}
	}
	switch {
	case person != "":
		return "", ra.Refuse("HCA-7.3", "not-a-user", "This person is no user of the device. Nothing was recorded.", nil)
	case len(now) == 1 && !d.Shared:
		return now[0], nil
	}
	return "", nil
}

// Acknowledgements are what was acknowledged on a device, the newest version first.
func (s *Service) Acknowledgements(ctx context.Context, actor ra.Actor, id ra.DeviceID) (out []Acknowledgement, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if _, err := tx.Device(actor.Institution, id); err != nil {
			return err
		}
		out, err = tx.Acknowledgements(id, 20)
		return err
	})
	return out, err
}
