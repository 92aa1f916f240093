package p11

import (
	"context"
	"errors"
	"sync"

	"certwindow/hsm"

	"github.com/miekg/pkcs11"
)

// errClosed is the answer of a Token after Close.
var errClosed = errors.New("p11: the token is closed")

// session is one PKCS#11 session of the pool; open is false before its first use and after it was lost.
type session struct {
	ctx   *pkcs11.Ctx
	h     pkcs11.SessionHandle
	open  bool
	epoch uint64 // of the module, when the session was opened
}

// pool hands out logged-in sessions. A session belongs to one caller at a time, as PKCS#11 asks.
type pool struct {
	mod   *Module
	label string
	pin   hsm.Secret
	idle  chan *session
	done  chan struct{}

	mu     sync.Mutex // guards slot and handles
	slot   uint
	closed bool
	// handles remembers where token objects are: finding them is linear in the number of objects of the token.
	handles map[objectKey]pkcs11.ObjectHandle
	epoch   uint64 // of the module, when the handles were found
}

type objectKey struct {
	class uint
	label string
}

func newPool(mod *Module, label string, pin hsm.Secret, slot uint, size int) *pool {
	p := &pool{mod: mod, label: label, pin: pin, slot: slot, idle: make(chan *session, size),
		done: make(chan struct{}), handles: map[objectKey]pkcs11.ObjectHandle{}}
	for range size {
		p.idle <- &session{ctx: mod.ctx}
	}
	return p
}

// do runs f with a session of its own. When the session turns out to be lost, it is opened again and f runs once
// more, so that a module that restarted needs no restart of this process. f must bear being run twice.
func (p *pool) do(ctx context.Context, f func(*session) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var s *session
	select {
	case s = <-p.idle:
	case <-ctx.Done():
		return ctx.Err()
	case <-p.done:
		return errClosed
	}
	defer func() { p.idle <- s }()
	select {
	case <-p.done:
		return errClosed
	default:
	}
	err := p.attempt(s, f)
	if sessionLost(err) && ctx.Err() == nil {
		err = p.attempt(s, f)
	}
	return err
}

// attempt runs f once. A session that failed is not used again.
func (p *pool) attempt(s *session, f func(*session) error) error {
	if s.epoch != p.mod.shared.epoch.Load() {
		s.open = false
	}
	var err error
	if !s.open {
		err = p.openSession(s)
	}
	if err == nil {
		err = f(s)
	}
	if sessionLost(err) {
		p.lose(s, err)
	} else if dubious(err) {
		s.close()
	}
	return err
}

// close ends the session; it may be gone already, so that the answer means nothing.
func (s *session) close() {
	if s.open {
		s.ctx.CloseSession(s.h)
		s.open = false
	}
}

// lose forgets a session and everything that was looked up through it.
func (p *pool) lose(s *session, cause error) {
	if RV(cause) == pkcs11.CKR_SESSION_HANDLE_INVALID {
		s.open = false // nothing to close, and the number may soon be another session's
	}
	s.close()
	p.mu.Lock()
	clear(p.handles)
	p.mu.Unlock()
	if RV(cause) == pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED {
		// A failure shows itself again when the session is opened.
		_ = p.mod.reinitialize()
	}
}

// openSession opens and logs in. The slot is looked up again where its number is not valid any more.
func (p *pool) openSession(s *session) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	const flags = pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION
	epoch := p.mod.shared.epoch.Load()
	// The number of a slot may now be another token's: the label decides.
	if info, err := p.mod.Slot(p.slot); err != nil || info.Token == nil || info.Token.Label != p.label {
		found, err := p.mod.slotByLabel(p.label)
		if err != nil {
			return err
		}
		p.slot = found.ID
	}
	h, err := s.ctx.OpenSession(p.slot, flags)
	if err != nil {
		return wrap("C_OpenSession", err)
	}
	// Login is the process's, not the session's: the second session finds itself logged in.
	err = wrap("C_Login", s.ctx.Login(h, pkcs11.CKU_USER, string(p.pin.Bytes())))
	if err != nil && RV(err) != pkcs11.CKR_USER_ALREADY_LOGGED_IN {
		s.ctx.CloseSession(h)
		return err
	}
	s.h, s.open, s.epoch = h, true, epoch
	return nil
}

// close waits for the sessions in use and closes them all.
func (p *pool) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	p.mu.Unlock()
	close(p.done)
	for range cap(p.idle) {
		if s := <-p.idle; s.epoch == p.mod.shared.epoch.Load() {
			s.close()
		}
	}
}

// tokenObject finds the one token object of a class and label, from memory where it was found before.
func (p *pool) tokenObject(s *session, class uint, label string) (pkcs11.ObjectHandle, error) {
	return p.remember(s, objectKey{class, label}, func() (pkcs11.ObjectHandle, error) { return s.findOne(class, label) })
}

// remember looks an object up with find unless its handle is known from the session's epoch.
func (p *pool) remember(s *session, key objectKey, find func() (pkcs11.ObjectHandle, error)) (pkcs11.ObjectHandle, error) {
	p.mu.Lock()
	if p.epoch != s.epoch {
		clear(p.handles)
		p.epoch = s.epoch
	}
	h, ok := p.handles[key]
	p.mu.Unlock()
	if ok {
		return h, nil
	}
	h, err := find()
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	if p.epoch == s.epoch {
		p.handles[key] = h
	}
	p.mu.Unlock()
	return h, nil
}

// forget drops a remembered handle, before its object is destroyed.
func (p *pool) forget(class uint, label string) {
	p.mu.Lock()
	delete(p.handles, objectKey{class, label})
	p.mu.Unlock()
}
