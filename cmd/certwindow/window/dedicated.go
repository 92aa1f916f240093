package window

import (
	"context"
	"crypto"
	"encoding/asn1"
	"errors"
	"sync"
	"time"

	"certwindow/policy"
	"certwindow/ra/cardmsg"
	"certwindow/ra/certpath"
	"certwindow/ra/hca/cmc"
)

// Dedicated is the window's dedicated certificate (HCA-3.1): whose key signs every request, and whose standing
// decides whether anything may leave. Its chain and revocation are judged when it is first needed and again
// every hour.
type Dedicated struct {
	cert   *certpath.Certificate
	key    crypto.Signer
	w      *Window
	mu     sync.Mutex
	judged time.Time
	last   policy.WindowStanding
}

// recheck is how long a judgement of the dedicated certificate is relied upon; one that could not be made is
// tried again sooner.
const (
	recheck      = time.Hour
	recheckDoubt = 15 * time.Second
)

func newDedicated(w *Window, cert *certpath.Certificate, key crypto.Signer) *Dedicated {
	return &Dedicated{cert: cert, key: key, w: w}
}

// Certificate is the certificate itself.
func (d *Dedicated) Certificate() *certpath.Certificate { return d.cert }

// Key signs with the dedicated certificate's key, which stays in the token.
func (d *Dedicated) Key() crypto.Signer { return d.key }

// Dedicated gives the adapter the certificate to sign a request with.
func (d *Dedicated) Dedicated(context.Context) (cmc.Credential, error) {
	return cmc.Credential{Key: d.key, Certificate: d.cert.Raw}, nil
}

// KeyMatches tells whether the key in the token is the certificate's.
func (d *Dedicated) KeyMatches() bool {
	k, ok := d.key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(d.cert.PublicKey)
}

// judgeTime bounds one judgement, for which the HCA's status services are asked.
const judgeTime = 20 * time.Second

// Standing is how the window stands with the HCA now (HCA-3.1, HCA-3.8). Its answer is for every request that comes
// after this one, so a caller who gives up does not end it.
func (d *Dedicated) Standing(ctx context.Context) policy.WindowStanding {
	d.mu.Lock()
	defer d.mu.Unlock()
	age := d.w.now().Sub(d.judged)
	if age < 0 || age >= recheck || (!d.last.RevocationKnown && age >= recheckDoubt) {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), judgeTime)
		defer stop()
		d.last, d.judged = d.judge(ctx), d.w.now()
	}
	s := d.last
	s.Suspended = d.w.Settings.Now().Mark(policy.WindowSuspended) // holds at once, whenever the rest was judged
	return s
}

func (d *Dedicated) judge(ctx context.Context) policy.WindowStanding {
	s := policy.WindowStanding{
		Acknowledged:   d.w.Config.HCA.Acknowledgement != "",
		OwnInstitution: d.cert.SubjectAttribute(oidSerialNumber) == d.w.Config.Window.Institution && d.cert.SubjectType() == cardmsg.OIDInstitution.String(),
		NotBefore:      d.cert.NotBefore, NotAfter: d.cert.NotAfter,
		KeyMatches: d.KeyMatches(),
	}
	_, err := certpath.Validate(ctx, d.cert, certpath.Options{AnchorPool: d.w.trust.anchors, Intermediates: d.w.trust.intermediates,
		Fetcher: d.w.trust.fetcher, At: d.w.now(), RequireRevocation: true, KeyUsage: certpath.KeyUsageDigitalSignature})
	switch reason := reasonOf(err); {
	case err == nil:
		s.RevocationKnown = true
	case reason == certpath.ReasonRevoked:
		s.Revoked, s.RevocationKnown = true, true
	default:
		d.w.Log.Warn("the dedicated certificate could not be judged; no enrolment leaves until it can", "reason", reason)
	}
	return s
}

var oidSerialNumber = asn1.ObjectIdentifier{2, 5, 4, 5}

func reasonOf(err error) string {
	var e *certpath.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}
