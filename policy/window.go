package policy

import "time"

// WindowStanding is what is known of the window and of its dedicated certificate (HCA-3.1).
type WindowStanding struct {
	Suspended       bool      // HCA suspended the window (HCA-3.8)
	Acknowledged    bool      // HCA's acknowledgement of the dedicated certificate is recorded
	OwnInstitution  bool      // the certificate is this institution's
	NotBefore       time.Time // of the dedicated certificate
	NotAfter        time.Time // its last valid moment (RFC 5280 section 4.1.2.5)
	Revoked         bool
	RevocationKnown bool // a fresh answer or list says whether it is revoked
	KeyMatches      bool // the key at hand is the certificate's
}

// WindowMayEnrol decides whether an enrolment may leave the window: it is not suspended (HCA-3.8), and its
// dedicated certificate is reported, its own, within its validity and known not to be revoked (HCA-3.1).
func WindowMayEnrol(w WindowStanding, at time.Time) Decision {
	if w.Suspended {
		return Refuse("HCA-3.8", "window-suspended",
			"HCA suspended this service window, so nobody can be enrolled; revocation and status still work.")
	}
	if d := dedicatedCertificate(w, at); !d.Allowed {
		return d
	}
	if !w.RevocationKnown {
		return Refuse("HCA-3.1", "dedicated-status-unknown",
			"It is not known whether the dedicated certificate is revoked, so no enrolment is sent; check the connection to HCA's status services.")
	}
	return Allow()
}

// WindowMayRevoke decides whether a revocation may leave the window. A suspended window still revokes
// (HCA-3.8), and one that cannot learn its own certificate's status does too, because a certificate left
// standing does more harm than a request that HCA turns down. But HCA takes a request only under a dedicated
// certificate that holds (HCA-3.3), so without one the request waits.
func WindowMayRevoke(w WindowStanding, at time.Time) Decision { return dedicatedCertificate(w, at) }

func dedicatedCertificate(w WindowStanding, at time.Time) Decision {
	switch {
	case !w.OwnInstitution:
		return Refuse("HCA-3.1", "dedicated-of-another-institution",
			"The dedicated certificate is another institution's; configure the one issued to this institution.")
	case !w.Acknowledged:
		return Refuse("HCA-3.1", "dedicated-not-acknowledged",
			"HCA's acknowledgement of the dedicated certificate is not recorded; report the certificate to HCA and record the answer.")
	case !w.KeyMatches:
		return Refuse("HCA-3.1", "dedicated-key-mismatch",
			"The key in the token is not that of the dedicated certificate; configure the pair that belongs together.")
	case w.Revoked:
		return Refuse("HCA-3.1", "dedicated-revoked",
			"The dedicated certificate is revoked, so nothing is sent to HCA; report and configure a new one.")
	case at.Before(w.NotBefore):
		return Refuse("HCA-3.1", "dedicated-not-yet-valid", "The dedicated certificate is not valid yet; wait until it is, or use the one before it.")
	case at.After(w.NotAfter):
		return Refuse("HCA-3.1", "dedicated-expired",
			"The dedicated certificate has expired, so nothing is sent to HCA; report and configure a new one.")
	}
	return Allow()
}
