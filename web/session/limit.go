package session

import (
	"context"
	"encoding/hex"
	"net/netip"
	"time"

	"certwindow/ra"
)

// How many attempts to sign in are looked at in one minute. An address may be a whole hospital's.
const (
	limitWindow     = time.Minute
	limitPerAddress = 60
	limitPerAccount = 10
)

// limit counts an attempt against its address and its account, on one database for all replicas, and turns it
// away when there were too many.
func (s *Service) limit(ctx context.Context, address, account string, now time.Time) error {
	if err := s.limitOne(ctx, "address:"+prefixOf(address), limitPerAddress, now); err != nil {
		return err
	}
	return s.limitAccount(ctx, account, now)
}

func (s *Service) limitAccount(ctx context.Context, account string, now time.Time) error {
	return s.limitOne(ctx, "account:"+hex.EncodeToString(s.Sealer.Hash("login.account", account)), limitPerAccount, now)
}

func (s *Service) limitOne(ctx context.Context, subject string, most int, now time.Time) error {
	n, err := s.count(ctx, subject, now.Truncate(limitWindow))
	if err != nil {
		return err
	}
	if n > most {
		return ra.Errorf(ra.KindTooMany, "too-many-logins", nil, "Too many attempts to sign in. Wait a minute and try again.")
	}
	return nil
}

func (s *Service) count(ctx context.Context, subject string, window time.Time) (int, error) {
	var n int
	db := s.db.WithContext(ctx)
	err := db.Raw(`INSERT INTO login_attempts (subject, window_at, attempts) VALUES (?, ?, 1)
		ON CONFLICT (subject, window_at) DO UPDATE SET attempts = login_attempts.attempts + 1 RETURNING attempts`, subject, window).Scan(&n).Error
	if err != nil {
		return 0, internal("limit", err)
	}
	if n == 1 { // the first of a window clears away what is over
		if err := db.Exec("DELETE FROM login_attempts WHERE window_at < ?", window.Add(-limitWindow)).Error; err != nil {
			return 0, internal("limit", err)
		}
	}
	return n, nil
}

// prefixOf is what one visitor commands: an IPv4 address, or an IPv6 network of 64 bits.
func prefixOf(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
