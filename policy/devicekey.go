package policy

// DeviceKey decides whether what is known of a phone's device key is enough to bind it (HCA-6.1): what the platform
// proves of the key and of the app that holds it, or the app's word, where the window takes that.
func DeviceKey(f KeyFacts, s KeySetting) Decision {
	s.RequireUserAuth = false // it signs every request, most of them while nobody looks
	switch f.Proof {
	case "android":
		return androidKey(f, s)
	case "apple":
		return attested(f, s)
	case "declared":
		if s.AllowDeclared {
			return Allow()
		}
		return Refuse("HCA-6.1", "device-key-not-attested", "The window binds phones of this platform only with an attestation of their key; update the app.")
	}
	return Refuse("HCA-6.1", "device-key-not-proved", "Nothing is known of where this device key is kept.")
}
