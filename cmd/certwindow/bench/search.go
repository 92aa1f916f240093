package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"certwindow/devices"
	devicestore "certwindow/devices/store"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/jobs"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
)

// Search measures the pages' lists and searches in a throw-away PostgreSQL database. It takes minutes, most of them to
// fill the database, so that it runs only when it is asked for by name.
const Search Group = "search"

// searchBound is how long any of them may take, in ms, 99 times of 100.
const searchBound = 100

// page and export are how many rows the staff's pages and their exports read at a time.
const page, export = 51, 200

// question is one thing that a page asks: n makes each time another one of its kind. It gives the rows that it found.
type question struct {
	name string
	ask  func(ctx context.Context, n int) (rows int, err error)
}

// library asks what the pages ask, through the same use cases and stores.
type library struct {
	crowd Crowd
	ra    *store.Store
	reg   *devices.Service
}

func newLibrary(db *store.DB, c Crowd) *library {
	reg := devicestore.New(db.Gorm, hollow{}, devicestore.Hooks{}, time.Now, rand.Reader)
	return &library{crowd: c, reg: devices.New(reg, time.Now, rand.Reader),
		ra: store.New(db, reg, func(*gorm.DB, jobs.Args) error { return nil }, hollow{}, time.Now, rand.Reader)}
}

// search fills the database and measures every question.
func search(ctx context.Context, o Options) ([]Figure, error) {
	if o.Database == "" {
		return nil, errors.New("it needs an empty PostgreSQL database that may be thrown away: --database postgres://…")
	}
	db, err := store.Open(ctx, o.Database)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	begun := time.Now()
	fmt.Fprintf(o.Log, "filling the database with %d certificates\n", o.Crowd.Certificates)
	if err := o.Crowd.Fill(ctx, db); err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Log, "filled in %s\n", time.Since(begun).Round(time.Second))
	var out []Figure
	for _, q := range newLibrary(db, o.Crowd).questions() {
		f, err := q.measure(ctx, o.For)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.name, err)
		}
		out = append(out, f)
	}
	return out, nil
}

// measure asks again and again, by the clock.
func (q question) measure(ctx context.Context, span time.Duration) (Figure, error) {
	var took []float64
	rows := 0
	for begun, n := time.Now(), 0; n < 30 || n < 1000 && time.Since(begun) < span; n++ {
		start := time.Now()
		found, err := q.ask(ctx, n)
		if err != nil {
			return Figure{}, err
		}
		took, rows = append(took, float64(time.Since(start).Microseconds())/1000), found
	}
	slices.Sort(took)
	return Figure{Name: q.name, Unit: "ms, p99", Ours: took[(len(took)*99-1)/100], Bound: searchBound,
		Note: fmt.Sprintf("median %.1f ms of %d, %d rows", took[len(took)/2], len(took), rows)}, nil
}

func (l *library) questions() []question {
	return slices.Concat(l.certificates(), l.applications(), l.people(), l.phones(), l.log())
}

func (l *library) institution(n int) ra.InstitutionCode {
	return ra.InstitutionCode(fmt.Sprintf("%010d", n*7%l.crowd.Institutions))
}
func (l *library) person(n int) ra.PersonID { return ra.PersonID(crowdID("P", n*7919%l.crowd.Persons)) }
func (l *library) device(n int) ra.DeviceID { return ra.DeviceID(crowdID("D", n*7919%l.crowd.Devices)) }

// middle is a place in the middle of a list that is sorted by ids.
func (l *library) middle(kind string, of, n int) *ra.Mark {
	return &ra.Mark{ID: crowdID(kind, of/2+n*101%(of/4))}
}

func (l *library) certificates() (out []question) {
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	filters := map[string]func(n int) revoke.Query{
		"all":                    func(int) revoke.Query { return revoke.Query{} },
		"live":                   func(int) revoke.Query { return revoke.Query{State: ra.CertLive} },
		"suspended":              func(int) revoke.Query { return revoke.Query{State: ra.CertSuspended} },
		"by key design":          func(int) revoke.Query { return revoke.Query{KeyDesign: ra.KeyChip} },
		"suspended, of a design": func(int) revoke.Query { return revoke.Query{State: ra.CertSuspended, KeyDesign: ra.KeyChip} },
		"of an institution":      func(n int) revoke.Query { return revoke.Query{Institution: l.institution(n)} },
		"of an institution, revoked": func(n int) revoke.Query {
			return revoke.Query{Institution: l.institution(n), State: ra.CertRevoked}
		},
		"by serial number": func(n int) revoke.Query { return revoke.Query{Serial: crowdSerial(n * 7919 % l.crowd.Certificates)} },
		"of a person":      func(n int) revoke.Query { return revoke.Query{Person: l.person(n)} },
		"of a device":      func(n int) revoke.Query { return revoke.Query{Device: l.device(n)} },
		"that end in a month": func(n int) revoke.Query {
			return revoke.Query{From: day.AddDate(0, n%12, 0), To: day.AddDate(0, n%12+1, 0)}
		},
	}
	for _, name := range sorted(filters) {
		filter := filters[name]
		for _, o := range []struct {
			name  string
			order ra.Order
			deep  func(n int) *ra.Mark
			limit int
		}{{"newest first", ra.Order{By: "id", Desc: true}, nil, page}, {"newest first, deep", ra.Order{By: "id", Desc: true}, func(n int) *ra.Mark { return l.middle("C", l.crowd.Certificates, n) }, page},
			{"by end", ra.Order{By: "until"}, nil, page}, {"by end, deep, exported", ra.Order{By: "until", Desc: true}, func(n int) *ra.Mark {
				return &ra.Mark{Key: ra.MarkTime(day.Add(time.Duration(l.crowd.Certificates/2) * 50 * time.Second)), ID: crowdID("C", n)}
			}, export}} {
			if name == "that end in a month" && o.order.By != "until" {
				continue // the page sorts these by their end alone
			}
			out = append(out, question{"certificates " + name + ", " + o.name, func(ctx context.Context, n int) (int, error) {
				q := filter(n)
				q.Order, q.Brief, q.Limit = o.order, true, o.limit
				if o.deep != nil {
					q.Order.After = o.deep(n)
				}
				if q.Order.After != nil && !q.From.IsZero() {
					q.Order.After.Key = ra.MarkTime(q.From.AddDate(0, 0, 15)) // a place in a list is of one of its rows
				}
				return l.certificatePage(ctx, q)
			}})
		}
	}
	return out
}

// certificatePage is what a page of the list reads: its rows, their count and their holders.
func (l *library) certificatePage(ctx context.Context, q revoke.Query) (rows int, err error) {
	var ids []ra.PersonID
	err = l.ra.View(ctx, func(tx *store.Tx) error {
		list, err := tx.Certificates(q)
		if err != nil {
			return err
		}
		rows = len(list)
		for _, c := range list {
			ids = append(ids, c.PersonID)
		}
		_, err = tx.CountCertificates(q)
		return err
	})
	if err == nil && len(ids) > 0 {
		_, err = l.reg.Persons(ctx, ra.Actor{}, devices.PersonQuery{IDs: ids, Limit: export})
	}
	return rows, err
}

func (l *library) applications() (out []question) {
	filters := map[string]func(n int) enrol.Query{
		"all":               func(int) enrol.Query { return enrol.Query{} },
		"sent":              func(int) enrol.Query { return enrol.Query{State: ra.AppSent} },
		"revocations":       func(int) enrol.Query { return enrol.Query{Kind: ra.Revocation} },
		"revocations, sent": func(int) enrol.Query { return enrol.Query{Kind: ra.Revocation, State: ra.AppSent} },
		"of an institution": func(n int) enrol.Query { return enrol.Query{Institution: l.institution(n)} },
		"of an institution, lapsed": func(n int) enrol.Query {
			return enrol.Query{Institution: l.institution(n), State: ra.AppLapsed}
		},
		"of an institution, revocations": func(n int) enrol.Query { return enrol.Query{Institution: l.institution(n), Kind: ra.Revocation} },
		"of a person":                    func(n int) enrol.Query { return enrol.Query{Person: l.person(n)} },
		"of a device":                    func(n int) enrol.Query { return enrol.Query{Device: l.device(n)} },
	}
	for _, name := range sorted(filters) {
		filter := filters[name]
		for _, deep := range []bool{false, true} {
			out = append(out, question{"applications " + name + map[bool]string{true: ", deep"}[deep], func(ctx context.Context, n int) (rows int, err error) {
				q := filter(n)
				q.Order, q.Brief, q.Limit = ra.Order{By: "id", Desc: true}, true, page
				if deep {
					q.Order.After = l.middle("A", l.crowd.Certificates, n)
				}
				err = l.ra.View(ctx, func(tx *store.Tx) error {
					list, err := tx.Applications(q)
					rows = len(list)
					if err == nil {
						_, err = tx.CountApplications(q)
					}
					return err
				})
				return rows, err
			}})
		}
	}
	return out
}

func (l *library) people() (out []question) {
	queries := map[string]func(n int) devices.PersonQuery{
		"all": func(int) devices.PersonQuery { return devices.PersonQuery{} },
		"all, deep": func(n int) devices.PersonQuery {
			return devices.PersonQuery{Order: ra.Order{By: "id", Desc: true, After: l.middle("P", l.crowd.Persons, n)}}
		},
		"of an institution": func(n int) devices.PersonQuery { return devices.PersonQuery{Institution: l.institution(n)} },
		"by name":           func(n int) devices.PersonQuery { return devices.PersonQuery{Name: fmt.Sprint("M", n)} },
		"by name at an institution": func(n int) devices.PersonQuery {
			return devices.PersonQuery{Name: fmt.Sprint("M", n), Institution: l.institution(n)}
		},
		"by national id": func(n int) devices.PersonQuery { return devices.PersonQuery{NationalID: fmt.Sprint("N", n)} },
		"by card":        func(n int) devices.PersonQuery { return devices.PersonQuery{Holder: fmt.Sprint("H", n)} },
	}
	for _, name := range sorted(queries) {
		out = append(out, question{"persons " + name, func(ctx context.Context, n int) (int, error) {
			q := queries[name](n)
			q.Limit = page
			if q.Order.By == "" {
				q.Order = ra.Order{By: "id", Desc: true}
			}
			list, err := l.reg.Persons(ctx, ra.Actor{}, q)
			if err == nil {
				_, err = l.reg.CountPersons(ctx, ra.Actor{}, q)
			}
			return len(list), err
		}})
	}
	return out
}

func (l *library) phones() (out []question) {
	filters := map[string]func(n int) devices.DeviceQuery{
		"all":               func(int) devices.DeviceQuery { return devices.DeviceQuery{} },
		"lost":              func(int) devices.DeviceQuery { return devices.DeviceQuery{State: ra.DeviceLost} },
		"android":           func(int) devices.DeviceQuery { return devices.DeviceQuery{Platform: ra.PlatformAndroid} },
		"of an institution": func(n int) devices.DeviceQuery { return devices.DeviceQuery{Institution: l.institution(n)} },
		"of an institution, lost": func(n int) devices.DeviceQuery {
			return devices.DeviceQuery{Institution: l.institution(n), State: ra.DeviceLost}
		},
		"of a person": func(n int) devices.DeviceQuery { return devices.DeviceQuery{User: l.person(n)} },
		"by code": func(n int) devices.DeviceQuery {
			return devices.DeviceQuery{Code: fmt.Sprintf("D-%07d", n*7919%l.crowd.Devices)}
		},
		"by code begun": func(n int) devices.DeviceQuery { return devices.DeviceQuery{Code: fmt.Sprintf("D-%02d", n%10)} },
	}
	for _, name := range sorted(filters) {
		for _, o := range []ra.Order{{By: "id", Desc: true}, {By: "code"}, {By: "seen"}} {
			if strings.HasPrefix(name, "by code") && o.By != "code" {
				continue // the page sorts these by their code alone
			}
			out = append(out, question{"devices " + name + ", by " + o.By, func(ctx context.Context, n int) (int, error) {
				q := filters[name](n)
				q.Order, q.Limit = o, page
				list, err := l.reg.Devices(ctx, ra.Actor{}, q)
				if err == nil {
					_, err = l.reg.CountDevices(ctx, ra.Actor{}, q)
				}
				return len(list), err
			}})
		}
	}
	return out
}

func (l *library) log() (out []question) {
	day := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	filters := map[string]func(n int) store.AuditQuery{
		"all":               func(int) store.AuditQuery { return store.AuditQuery{} },
		"deep":              func(n int) store.AuditQuery { return store.AuditQuery{Before: int64(l.crowd.Events/2 + n)} },
		"of an act":         func(int) store.AuditQuery { return store.AuditQuery{Act: "person.exempt"} },
		"of an actor":       func(n int) store.AuditQuery { return store.AuditQuery{Actor: crowdID("S", n%900)} },
		"of an object":      func(n int) store.AuditQuery { return store.AuditQuery{Object: "application/" + crowdID("A", n)} },
		"of a clause":       func(int) store.AuditQuery { return store.AuditQuery{Clause: policy.Clause("HCA-7.5")} },
		"that failed":       func(int) store.AuditQuery { return store.AuditQuery{Outcome: ra.OutcomeFailed} },
		"of an institution": func(n int) store.AuditQuery { return store.AuditQuery{Institution: l.institution(n)} },
		"of a day": func(n int) store.AuditQuery {
			return store.AuditQuery{From: day.AddDate(0, 0, n%5), To: day.AddDate(0, 0, n%5+1)}
		},
	}
	for _, name := range sorted(filters) {
		out = append(out, question{"audit log " + name, func(ctx context.Context, n int) (rows int, err error) {
			q := filters[name](n)
			q.Limit = page
			err = l.ra.View(ctx, func(tx *store.Tx) error {
				list, err := tx.AuditRows(q)
				rows = len(list)
				if err == nil {
					_, err = tx.CountAudit(q)
				}
				return err
			})
			return rows, err
		}})
	}
	return out
}
