package policy

// DeviceUse is what is known of a person and a device together.
type DeviceUse struct {
	Registered      bool   // the person is registered now as a user of the device (HCA-4.1)
	State           string // of the device: registered, bound, lost, broken, retired
	SameInstitution bool   // the device belongs to the institution that applies
}

// DeviceUser decides whether a person may apply for, hold or use a certificate on a device (HCA-5.1.3 and
// HCA-7.3: applicant, device user and certificate user are one person). The device must be bound, because only
// then is there a key that tells it from another one, and it must be of the institution that applies, whose
// data are kept apart from others' (HCA-3.7).
func DeviceUser(f DeviceUse) Decision {
	switch {
	case !f.SameInstitution:
		return Refuse("HCA-3.7", "device-of-another-institution",
			"The device is registered with another institution; use a device of the institution that applies.")
	case !f.Registered:
		return Refuse("HCA-5.1.3", "not-a-device-user",
			"The person is not a registered user of this device; add the person to its users first.")
	}
	return deviceBound("HCA-5.1.3", f.State)
}

// deviceBound refuses a device that is not bound, saying why.
func deviceBound(c Clause, state string) Decision {
	switch state {
	case "bound":
		return Allow()
	case "registered":
		return Refuse(c, "device-not-bound", "The device is registered but not bound; bind it at the counter first.")
	case "lost":
		return Refuse(c, "device-lost", "The device is reported lost; report it found and bind it anew, or use another device.")
	case "broken":
		return Refuse(c, "device-broken", "The device is reported broken; report it repaired and bind it anew, or use another device.")
	case "retired":
		return Refuse(c, "device-retired", "The device is out of service for good; use another device.")
	}
	return Refuse(c, "device-state-unknown", "The state of the device is not known, so nothing is done with it; ask the window.")
}
