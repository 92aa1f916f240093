package policy

import "time"

// Use is what is known when a holder's private key is about to be used.
type Use struct {
	State       string    // of the certificate: live, suspended, revoking, revoked, expired; "": not issued
	NotBefore   time.Time // of the certificate
	NotAfter    time.Time // its last valid moment (RFC 5280 section 4.1.2.5)
	DeviceState string    // registered, bound, lost, broken, retired
	SameBinding bool      // the device asks under the binding that the certificate was made for
	SamePerson  bool      // who asks is the holder, and a user of the device
}

// Usable decides whether a holder's key may be used now (HCA-7.2: not before the certificate is issued, nor
// after it expired or was revoked; HCA-7.3: by the holder alone, on the device it was made for). A revocation
// that HCA has not confirmed yet and a suspension stop the key just as well.
func Usable(u Use, at time.Time) Decision {
	if d := certificateInForce(u, at); !d.Allowed {
		return d
	}
	if !u.SamePerson {
		return Refuse("HCA-7.3", "person-differs",
			"The certificate belongs to somebody else, or its holder is not a user of this device; use your own certificate.")
	}
	if !u.SameBinding {
		return Refuse("HCA-7.3", "device-bound-again",
			"The device was bound anew since the certificate was issued; apply for a new certificate.")
	}
	return deviceBound("HCA-7.3", u.DeviceState)
}

func certificateInForce(u Use, at time.Time) Decision {
	switch u.State {
	case "live":
	case "":
		return Refuse("HCA-7.2", "certificate-not-issued", "The certificate is not issued yet; wait until it is.")
	case "suspended":
		return Refuse("HCA-7.2", "certificate-suspended", "The certificate is suspended; ask the window why.")
	case "revoking", "revoked":
		return Refuse("HCA-7.2", "certificate-revoked", "The certificate is revoked; apply for a new one.")
	case "expired":
		return Refuse("HCA-7.2", "certificate-expired", "The certificate has expired; apply for a new one.")
	default:
		return Refuse("HCA-7.2", "certificate-state-unknown", "The state of the certificate is not known, so its key is not used; ask the window.")
	}
	switch {
	case at.Before(u.NotBefore):
		return Refuse("HCA-7.2", "certificate-not-yet-valid", "The certificate is not valid yet; wait until it is.")
	case at.After(u.NotAfter):
		return Refuse("HCA-7.2", "certificate-expired", "The certificate has expired; apply for a new one.")
	}
	return Allow()
}
