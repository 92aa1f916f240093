package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// good is a configuration that is accepted; cases change one line of it.
const good = `mode: development
listen: 127.0.0.1:0
public_url: https://window.example:8443
tls: {certificate: tls.pem, key: tls.key}
database: sqlite:window.db
window: {institution: "0101090517", name: 示範醫院}
hsm: {module: /usr/lib/softhsm/libsofthsm2.so, token: certwindow, pin_file: user.pin}
hca: {adapter: cmc, url: "https://hca.example/cmc", tls_roots: t.pem, anchors: a.pem, intermediates: i.pem, crl: "http://hca.example/c.crl", dedicated: d.pem}
card: {component: "http://localhost:61161", policies: ["2.16.886.101.0.3.3"]}
smtp: {host: mail.example, port: 25, from: window@hospital.example}
limits: {idle: 10m, message_life: 5m}
sweep: {every: 1h}
network: {closed: ["10.0.0.0/8"]}
`

func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "certwindow.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

// HCA-6.3.1: production wants the module's certification on record, of level 3 or better.
func TestProductionRecordsTheModulesCertification(t *testing.T) {
	production := strings.NewReplacer("mode: development", "mode: production", "port: 25, ", "port: 25, tls: true, ").Replace(good)
	for level, accepted := range map[string]bool{"": false, "2": false, "3": true} {
		text := production
		if level != "" {
			text = strings.Replace(production, "pin_file: user.pin}", "pin_file: user.pin, certification: {scheme: FIPS 140-3, level: "+level+", number: \"4567\"}}", 1)
		}
		_, err := load(t, text)
		if (err == nil) != accepted || (err != nil && !strings.Contains(err.Error(), "HCA-6.3.1")) {
			t.Errorf("level %q: %v", level, err)
		}
	}
}

// HCA-6.1: on an unlocked phone the system can name any app, so production judges no Android attestation without verified boot.
func TestProductionDemandsVerifiedBoot(t *testing.T) {
	production := strings.NewReplacer("mode: development", "mode: production", "port: 25, ", "port: 25, tls: true, ",
		"pin_file: user.pin}", "pin_file: user.pin, certification: {scheme: FIPS 140-3, level: 3, number: \"4567\"}}")
	const judged = "\nattestation: {android: required, android_roots: r.json, android_status: s.json%s}\n"
	for _, c := range []struct {
		text, more string
		accepted   bool
	}{
		{production.Replace(good), "", false}, {production.Replace(good), ", verified_boot: false", false},
		{production.Replace(good), ", verified_boot: true", true}, {good, "", true},
	} {
		_, err := load(t, c.text+strings.Replace(judged, "%s", c.more, 1))
		if (err == nil) != c.accepted || err != nil && !strings.Contains(err.Error(), "verified_boot") {
			t.Errorf("%q: %v", c.more, err)
		}
	}
}

// HCA-9: a limit of the rule book may be tightened and never loosened; what is not understood is refused.
func TestLimitsCanOnlyBeTightened(t *testing.T) {
	if _, err := load(t, good); err != nil {
		t.Fatalf("the configuration that all cases start from is refused: %v", err)
	}
	for _, c := range []struct {
		name, from, to, want string // want: part of the refusal; empty: accepted
	}{
		{"tighter idle limit", "idle: 10m", "idle: 2m", ""},
		{"looser idle limit", "idle: 10m", "idle: 11m", "HCA-8.1.1"},
		{"tighter message life", "message_life: 5m", "message_life: 30s", ""},
		{"looser message life", "message_life: 5m", "message_life: 5m1s", "HCA-8.1.4"},
		{"negative limit", "idle: 10m", "idle: -1m", "HCA-8.1.1"},
		{"rare sweep", "every: 1h", "every: 25h", "HCA-3.6"},
		{"a counter's clock that is far off", `policies: ["2.16.886.101.0.3.3"]`, `policies: ["2.16.886.101.0.3.3"], skew: 6m`, "card.skew"},
		{"unknown level of the log", "mode: development", "mode: development\nlog: loud", "log is"},
		{"no port", "port: 25", "port: 0", "smtp.port"},
		{"unknown key", "sweep: {every: 1h}", "sweeep: {every: 1h}", "sweeep"},
		{"no marks of an IC card", `policies: ["2.16.886.101.0.3.3"]`, `policies: []`, "HCA-5.1.1"},
		{"no such mode", "mode: development", "mode: test", "mode"},
		{"short institution code", `"0101090517"`, `"010109051"`, "HCA-2.3"},
		{"plain http", "https://window.example:8443", "http://window.example:8443", "public_url"},
		{"mail without TLS in production", "mode: development", "mode: production", "smtp.tls"},
		{"not an address range", "10.0.0.0/8", "10.0.0.0", "network.closed"},
		{"requests carried by hand, without an address", `adapter: cmc, url: "https://hca.example/cmc", tls_roots: t.pem`, "adapter: file", ""},
		{"no address to send to", `url: "https://hca.example/cmc", `, "", "hca.url"},
		{"no such adapter", "adapter: cmc", "adapter: fax", "hca.adapter"},
		{"no duration", "idle: 10m", "idle: ten", "duration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(good, c.from) {
				t.Fatalf("the case changes nothing: %q", c.from)
			}
			_, err := load(t, strings.Replace(good, c.from, c.to, 1))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want a refusal with %q", err, c.want)
			}
		})
	}
}
