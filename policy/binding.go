package policy

// SameBinding decides whether the device is still the one whose key the holder signed for (HCA-6.0: each key
// is tied to its application). A device that was bound anew has another key or another generation, and what
// the old binding began is void. Generations count confirmed bindings from 1.
func SameBinding(textKey, deviceKey string, textGeneration, deviceGeneration int) Decision {
	if textKey == "" || textKey != deviceKey || textGeneration < 1 || textGeneration != deviceGeneration {
		return Refuse("HCA-6.0", "device-bound-again",
			"The device was bound anew since the application was made; begin a new application.")
	}
	return Allow()
}
