package policy

import "testing"

// HCA-2.1: iOS or Android, by their exact words.
func TestPlatform(t *testing.T) {
	for p, code := range map[string]string{
		"ios": "", "android": "",
		"": "platform-not-allowed", "windows": "platform-not-allowed", "iOS": "platform-not-allowed",
		"android ": "platform-not-allowed", "harmonyos": "platform-not-allowed",
	} {
		t.Run(p, func(t *testing.T) { wantDecision(t, Platform(p), "HCA-2.1", code) })
	}
}

// HCA-2.2, HCA-3.5, HCA-7.1: each carrier with each key design, and what is neither.
func TestCarrier(t *testing.T) {
	type pair struct{ carrier, design string }
	want := map[pair]Clause{ // empty: allowed
		{"device", "app"}:       "",
		{"device", "hsm"}:       "", // HCA-2.2: the certificate is on the device, the key elsewhere
		{"device", "chip"}:      "HCA-6.2",
		{"memory-card", "app"}:  "",
		{"memory-card", "hsm"}:  "",
		{"memory-card", "chip"}: "HCA-6.2",
		{"secure-chip", "app"}:  "HCA-3.5",
		{"secure-chip", "hsm"}:  "HCA-3.5",
		{"secure-chip", "chip"}: "",
	}
	for p, clause := range want {
		code := ""
		if clause != "" {
			code = "carrier-key-mismatch"
		}
		t.Run(p.carrier+" "+p.design, func(t *testing.T) { wantDecision(t, Carrier(p.carrier, p.design), clause, code) })
	}
	for _, carrier := range []string{"", "Device", "laptop", "usb-stick", "cloud"} {
		t.Run("carrier "+carrier, func(t *testing.T) {
			wantDecision(t, Carrier(carrier, "app"), "HCA-3.5", "carrier-not-allowed")
		})
	}
	for _, design := range []string{"", "APP", "software"} {
		t.Run("design "+design, func(t *testing.T) {
			wantDecision(t, Carrier("device", design), "HCA-6.0", "key-design-unknown")
		})
	}
}

// HCA-5.1.3, HCA-7.3: a registered user of a bound device of the same institution, and nobody else.
func TestDeviceUser(t *testing.T) {
	for _, c := range []struct {
		name   string
		use    DeviceUse
		clause Clause
		code   string
	}{
		{"a user of it", DeviceUse{true, "bound", true}, "", ""},
		{"no facts", DeviceUse{}, "HCA-3.7", "device-of-another-institution"},
		{"another institution's", DeviceUse{true, "bound", false}, "HCA-3.7", "device-of-another-institution"},
		{"not a user", DeviceUse{false, "bound", true}, "HCA-5.1.3", "not-a-device-user"},
		{"not bound", DeviceUse{true, "registered", true}, "HCA-5.1.3", "device-not-bound"},
		{"lost", DeviceUse{true, "lost", true}, "HCA-5.1.3", "device-lost"},
		{"broken", DeviceUse{true, "broken", true}, "HCA-5.1.3", "device-broken"},
		{"retired", DeviceUse{true, "retired", true}, "HCA-5.1.3", "device-retired"},
		{"no state", DeviceUse{true, "", true}, "HCA-5.1.3", "device-state-unknown"},
		{"unknown state", DeviceUse{true, "Bound", true}, "HCA-5.1.3", "device-state-unknown"},
	} {
		t.Run(c.name, func(t *testing.T) { wantDecision(t, DeviceUser(c.use), c.clause, c.code) })
	}
}

// HCA-6.0: what was begun under one binding of a device does not go on under another.
func TestSameBinding(t *testing.T) {
	const k1, k2 = "sha256:aa", "sha256:bb"
	for _, c := range []struct {
		name         string
		text, device string
		tg, dg       int
		code         string
	}{
		{"the same", k1, k1, 3, 3, ""},
		{"the first binding", k1, k1, 1, 1, ""},
		{"another key", k1, k2, 3, 3, "device-bound-again"},
		{"the same key bound anew", k1, k1, 3, 4, "device-bound-again"},
		{"an older generation", k1, k1, 4, 3, "device-bound-again"},
		{"no keys at all", "", "", 1, 1, "device-bound-again"},
		{"never bound", k1, k1, 0, 0, "device-bound-again"},
	} {
		t.Run(c.name, func(t *testing.T) { wantDecision(t, SameBinding(c.text, c.device, c.tg, c.dg), "HCA-6.0", c.code) })
	}
}
