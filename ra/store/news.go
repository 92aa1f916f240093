package store

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"gorm.io/gorm"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/jobs"
	"certwindow/ra/news"
	"certwindow/ra/remotesign"
)

// phoneNews is when a topic was marked last.
type phoneNews struct {
	Topic news.Topic `gorm:"primaryKey"`
	Seq   int64
}

func (phoneNews) TableName() string { return "phone_news" }

// stir notes that phones which wait on a topic are to look again, once this transaction is committed.
func (tx *Tx) stir(topics ...news.Topic) { tx.topics = append(tx.topics, topics...) }

// CallPhones has apps woken from now on when something begins to wait for their holders. It is called before the store is used.
func (s *Store) CallPhones() { s.calls = true }

// call has the app of a device, or those of a person, look, once this transaction is committed.
func (tx *Tx) call(j jobs.Wake) {
	if tx.s.calls {
		tx.calls = append(tx.calls, j)
	}
}

// markTopics marks topics at the end of a transaction. The row that holds the log's end is locked by the first mark if the
// log has not locked it already, so that marks are counted in the order of the commits and no reader overlooks one that
// was committed late.
func markTopics(db *gorm.DB, topics []news.Topic) error {
	marked := make(map[news.Topic]bool, len(topics))
	for _, t := range topics {
		if marked[t] {
			continue
		}
		marked[t] = true
		if err := db.Exec("UPDATE audit_head SET news = news + 1 WHERE id = 1").Error; err != nil {
			return err
		}
		if err := db.Exec(`INSERT INTO phone_news (topic, seq) SELECT ?, news FROM audit_head WHERE id = 1
ON CONFLICT (topic) DO UPDATE SET seq = excluded.seq`, string(t)).Error; err != nil {
			return err
		}
	}
	return nil
}

// topicsOf are the devices and persons that the log says something was done to.
func topicsOf(events []ra.Event) (out []news.Topic) {
	for _, e := range events {
		if t, ok := news.Of(e); ok {
			out = append(out, t)
		}
	}
	return out
}

// NewsMark implements news.Store.
func (s *Store) NewsMark(ctx context.Context) (mark int64, err error) {
	err = s.prepared(ctx).Raw("SELECT news FROM audit_head WHERE id = 1").Scan(&mark).Error
	return mark, mapError(err)
}

// NewsAfter implements news.Store.
func (s *Store) NewsAfter(ctx context.Context, mark int64, limit int) (topics []news.Topic, last int64, err error) {
	var rows []phoneNews
	err = s.prepared(ctx).Where("seq > ?", mark).Order("seq").Limit(limit).Find(&rows).Error
	for _, r := range rows {
		topics, mark = append(topics, r.Topic), r.Seq
	}
	return topics, mark, mapError(err)
}

// standing reads everything that a phone hears of in one statement, and opens nothing of it. States stand in it as they
// do in the partial indexes, which is how both databases find them.
const standing = `SELECT 1 AS kind, id, '' AS state FROM (` + inTurn + `) AS a
UNION ALL SELECT 2, id, '' FROM (SELECT id FROM access_requests
	WHERE person_id = @person AND standing = 'pending' AND authorisation_id = '' AND expires_at > @now ORDER BY id LIMIT 20) AS b
UNION ALL SELECT 3, id, '' FROM (SELECT id FROM applications
	WHERE device_id = @device AND state = 'awaiting-key' AND kind = 'enrolment' AND person_id = @person ORDER BY id LIMIT 50) AS c
UNION ALL SELECT 4, id, state FROM (SELECT id, state FROM certificates
	WHERE device_id = @device AND person_id = @person AND generation = @generation AND institution = @institution ORDER BY id DESC LIMIT 200) AS d
UNION ALL SELECT 5, id, '' FROM (SELECT c.id FROM certificates AS c
	WHERE c.device_id = @device AND c.person_id = @person AND c.generation = @generation AND c.institution = @institution AND c.state = 'live'
	AND c.not_after > @now AND c.not_after <= @renewable AND NOT EXISTS (SELECT 1 FROM applications AS f JOIN certificates AS g ON g.application_id = f.id
		WHERE f.renews = c.id AND f.renews <> '' AND g.state = 'live') ORDER BY c.id DESC LIMIT 200) AS e
ORDER BY 1, 2`

// pendingTold is of how many authorisations a phone hears at once.
const pendingTold = 20

// Standing implements news.Store.
func (s *Store) Standing(ctx context.Context, h news.Holder, at time.Time) (news.Standing, error) {
	out := news.NewStanding()
	var rows []struct {
		Kind      int
		ID, State string
	}
	err := s.prepared(ctx).Raw(standing, sql.Named("device", string(h.Device)), sql.Named("person", string(h.Person)), sql.Named("generation", h.Generation),
		sql.Named("institution", string(h.Institution)), sql.Named("now", at.UTC()), sql.Named("limit", pendingTold), sql.Named("renewable", at.Add(policy.RenewalTime).UTC())).Scan(&rows).Error
	for _, r := range rows {
		switch r.Kind {
		case 1:
			out.Authorisations = append(out.Authorisations, remotesign.AuthorisationID(r.ID))
		case 2:
			out.AccessRequests = append(out.AccessRequests, r.ID)
		case 3:
			out.Applications = append(out.Applications, ra.ApplicationID(r.ID))
		case 4:
			out.Certificates[ra.CertificateID(r.ID)] = ra.CertificateState(r.State)
		case 5:
			out.Renewals = append(out.Renewals, ra.CertificateID(r.ID))
		}
	}
	return out, mapError(err)
}

// commits tells those who wait in this process that something was committed.
type commits struct {
	mu   sync.Mutex
	next chan struct{}
}

func newCommits() *commits { return &commits{next: make(chan struct{})} }

func (c *commits) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.next)
	c.next = make(chan struct{})
}

// NewsCommitted implements news.Store.
func (s *Store) NewsCommitted() <-chan struct{} {
	s.commits.mu.Lock()
	defer s.commits.mu.Unlock()
	return s.commits.next
}
