package window

import (
	"os"
	"sync"
	"time"

	"certwindow/cmd/certwindow/config"
	"certwindow/devices/attest"
	"certwindow/policy"
	"certwindow/ra"
)

// attestor judges what phones and chips say of their keys, by the operator's files. The vendor's status list is read
// again whenever its file has changed, and judges nothing when it is too old (HCA-6.1).
type attestor struct {
	conf  *config.Config
	now   func() time.Time
	trust attest.Trust

	mu     sync.Mutex
	read   time.Time // the file's own time
	status *attest.AndroidStatus
}

func newAttestor(conf *config.Config, now func() time.Time) (*attestor, error) {
	a := &attestor{conf: conf, now: now}
	c := conf.Attestation
	a.trust.Development, a.trust.Verified = conf.Mode == config.Development, c.VerifiedBoot
	if c.MinLevel == "strongbox" {
		a.trust.Minimum = attest.LevelStrongBox
	}
	var err error
	if a.trust.Apple, err = attest.AppleRoots(); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		path string
		take func([]byte) error
	}{
		{c.AppleRoots, func(b []byte) (err error) { a.trust.Apple, err = attest.ParseChain(b); return err }},
		{c.AndroidRoots, func(b []byte) (err error) { a.trust.Android, err = attest.ParseAndroidRoots(b); return err }},
		{c.Chips, func(b []byte) (err error) { a.trust.Chips, err = attest.ParseChipList(b); return err }},
	} {
		if f.path == "" {
			continue
		}
		raw, err := os.ReadFile(conf.Path(f.path))
		if err != nil {
			return nil, err
		}
		if err := f.take(raw); err != nil {
			return nil, err
		}
	}
	if c.AndroidStatus != "" {
		_, err = a.fresh()
	}
	return a, err
}

// fresh is the vendor's list as its file has it now.
func (a *attestor) fresh() (*attest.AndroidStatus, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	path := a.conf.Path(a.conf.Attestation.AndroidStatus)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if a.status == nil || !info.ModTime().Equal(a.read) {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if a.status, err = attest.ParseAndroidStatus(raw); err != nil {
			return nil, err
		}
		a.read = info.ModTime()
	}
	if a.now().Sub(a.read) > time.Duration(a.conf.Attestation.StatusAge) {
		return nil, ra.Errorf(ra.KindUnavailable, "attestation-status-old", nil, "The vendor's list of attestation keys is too old to judge by. Nothing was changed; the operator has to fetch it.")
	}
	return a.status, nil
}

// Judge implements ra.Attestor.
func (a *attestor) Judge(x ra.Attestation, w ra.AttestationWant) (ra.Attested, error) {
	trust := a.trust
	if x.Format == ra.AttestAndroid && trust.Android != nil {
		var err error
		if trust.Status, err = a.fresh(); err != nil {
			if ra.KindOf(err) == ra.KindInternal {
				err = ra.Errorf(ra.KindUnavailable, "attestation-status", err, "The vendor's list of attestation keys cannot be read. Nothing was changed; the operator has to see to it.")
			}
			return ra.Attested{}, err
		}
	}
	return trust.Judge(x, w)
}

// Setting implements ra.Attestor.
func (a *attestor) Setting(p ra.Platform) policy.KeySetting {
	s := ra.Unattested{}.Setting(p)
	s.AllowDeclared = !a.conf.Attestation.Requires(p)
	s.AllowDevelopment = a.trust.Development
	if a.trust.Chips != nil {
		s.Designs = append(s.Designs, string(ra.KeyChip))
	}
	if p == ra.PlatformAndroid {
		s.RequireStrongBox, s.RequireVerifiedBoot, s.RequireUserAuth = a.trust.Minimum == attest.LevelStrongBox, a.trust.Verified, a.conf.Attestation.UserAuth
	}
	return s
}
