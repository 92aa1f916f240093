package hcasim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// entry is one line of the journal. One line is one change, so that a certificate and the transaction that it answers
// are there together or not at all.
type entry struct {
	At          time.Time    `json:"at"`
	Certificate *certificate `json:"certificate,omitempty"`
	Revocation  *revocation  `json:"revocation,omitempty"`
	Dedicated   *dedicated   `json:"dedicated,omitempty"`
	Transaction *transaction `json:"transaction,omitempty"`
}

// class is what a certificate of the issuing CA is for.
type class string

const (
	classCard      class = "card"
	classKeyX      class = "card-encryption"
	classMobile    class = "mobile"
	classDedicated class = "dedicated"
	classService   class = "service"
)

type certificate struct {
	Serial string `json:"serial"` // lower hex without leading zeros
	Class  class  `json:"class"`
	Kind   Kind   `json:"kind,omitempty"`
	Key    string `json:"key"` // hex SHA-256 of the SubjectPublicKeyInfo
	Holder string `json:"holder,omitempty"`
	DER    []byte `json:"der"`
}

type revocation struct {
	Serial string    `json:"serial"`
	Reason int       `json:"reason"`
	At     time.Time `json:"at"`
}

type dedicated struct {
	Fingerprint string `json:"fingerprint"` // hex SHA-256 of the certificate
	Institution string `json:"institution"`
}

// transaction is what became of a request. A later entry for the same id replaces an earlier one: pending, then
// decided.
type transaction struct {
	ID          string `json:"id"`
	Institution string `json:"institution"`
	Digest      string `json:"digest"` // hex SHA-256 of the request's body
	Part        uint32 `json:"part"`   // the body part that a status is about
	Pending     bool   `json:"pending,omitempty"`
	Body        []byte `json:"body,omitempty"` // of a pending request, to be decided later
	Fail        int    `json:"fail"`           // cmc.FailInfo; cmc.NoFailInfo means success
	Text        string `json:"text,omitempty"`
	Serial      string `json:"serial,omitempty"` // of the certificate that was issued
}

// state is the journal folded up.
type state struct {
	certificates map[string]*certificate
	byKey        map[string][]*certificate
	revocations  map[string]*revocation
	revoked      []*revocation // in the order of the journal
	dedicated    map[string]string
	transactions map[string]*transaction
}

func newState() *state {
	return &state{
		certificates: map[string]*certificate{}, byKey: map[string][]*certificate{}, revocations: map[string]*revocation{},
		dedicated: map[string]string{}, transactions: map[string]*transaction{},
	}
}

func (s *state) apply(e *entry) {
	if c := e.Certificate; c != nil {
		s.certificates[c.Serial] = c
		s.byKey[c.Key] = append(s.byKey[c.Key], c)
	}
	if r := e.Revocation; r != nil && s.revocations[r.Serial] == nil {
		s.revocations[r.Serial] = r
		s.revoked = append(s.revoked, r)
	}
	if d := e.Dedicated; d != nil {
		s.dedicated[d.Fingerprint] = d.Institution
	}
	if t := e.Transaction; t != nil {
		s.transactions[t.ID] = t
	}
}

// journal is an append-only file of JSON lines that several processes may write at once, each line under a lock on
// the file: the server, and a command beside it.
type journal struct {
	mu     sync.Mutex
	file   *os.File
	offset int64 // what of the file is in state
	state  *state
	sync   bool
}

func openJournal(path string, sync bool) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("hcasim: journal: %w", err)
	}
	j := &journal{file: f, state: newState(), sync: sync}
	if err := j.catchUp(); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

func (j *journal) close() error { return j.file.Close() }

// catchUp folds whole lines that were written since, by whichever process. A line without its end is left for later.
func (j *journal) catchUp() error {
	info, err := j.file.Stat()
	if err != nil {
		return fmt.Errorf("hcasim: journal: %w", err)
	}
	if info.Size() == j.offset {
		return nil
	}
	tail, err := io.ReadAll(io.NewSectionReader(j.file, j.offset, info.Size()-j.offset))
	if err != nil {
		return fmt.Errorf("hcasim: journal: %w", err)
	}
	for {
		end := bytes.IndexByte(tail, '\n')
		if end < 0 {
			return nil
		}
		var e entry
		if err := json.Unmarshal(tail[:end], &e); err != nil {
			return fmt.Errorf("hcasim: journal at byte %d: %w", j.offset, err)
		}
		j.state.apply(&e)
		j.offset += int64(end) + 1
		tail = tail[end+1:]
	}
}

// view calls f with the state as it is now.
func (j *journal) view(f func(*state)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.catchUp(); err != nil {
		return err
	}
	f(j.state)
	return nil
}

// update lets f decide on the newest state, while nobody else can write, and makes its entry durable before anything
// can see it. f returns nil when there is nothing to write.
func (j *journal) update(now time.Time, f func(*state) (*entry, error)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	fd := int(j.file.Fd())
	if err := syscall.Flock(fd, syscall.LOCK_EX); err != nil {
		return fmt.Errorf("hcasim: journal lock: %w", err)
	}
	defer syscall.Flock(fd, syscall.LOCK_UN)
	if err := j.catchUp(); err != nil {
		return err
	}
	e, err := f(j.state)
	if e == nil || err != nil {
		return err
	}
	e.At = now.UTC()
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	// What a killed writer left unfinished goes, or the next line would be lost with it.
	if err := j.file.Truncate(j.offset); err != nil {
		return fmt.Errorf("hcasim: journal: %w", err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("hcasim: journal: %w", err)
	}
	if j.sync {
		if err := j.file.Sync(); err != nil {
			return fmt.Errorf("hcasim: journal: %w", err)
		}
	}
	return j.catchUp()
}
