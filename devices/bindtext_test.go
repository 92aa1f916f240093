package devices_test

import (
	"strings"
	"testing"

	"certwindow/devices"
)

var bindText = devices.BindText{Server: "https://window.example.tw:8443", Code: strings.Repeat("A", 43), WindowKeys: devices.WindowKeys{Pin: strings.Repeat("0a", 32), Status: strings.Repeat("0b", 32)}}

func TestBindTextRoundTrip(t *testing.T) {
	got, err := devices.ParseBindText(bindText.String())
	if err != nil || got != bindText {
		t.Fatalf("got %+v, %v", got, err)
	}
}

// HCA-4.1: a phone follows no QR but a counter's.
func TestParseBindTextRefuses(t *testing.T) {
	good := bindText.String()
	for name, s := range map[string]string{
		"empty":             "",
		"another version":   strings.Replace(good, ":2?", ":1?", 1),
		"plain http":        strings.Replace(good, "https", "http", 1),
		"a path":            strings.Replace(good, "8443", "8443%2Fx", 1),
		"user information":  strings.Replace(good, "window", "x%40window", 1),
		"no host":           strings.Replace(good, "window.example.tw%3A8443", "", 1),
		"a short code":      strings.Replace(good, "AAA", "AA", 1),
		"a loose code":      strings.Replace(good, "AA&", "AB&", 1),
		"an upper-case pin": strings.Replace(good, "0a0a", "0A0A", 1),
		"a short pin":       strings.Replace(good, "0a0a", "0a", 1),
		"a short key":       strings.Replace(good, "0b0b", "0b", 1),
		"no status key":     strings.Replace(good, "&status="+bindText.Status, "", 1),
		"a second server":   good + "&server=https%3A%2F%2Fevil.example",
		"an unknown field":  good + "&x=1",
		"another order":     "certwindow-bind:2?roots=" + bindText.Pin + "&server=https%3A%2F%2Fwindow.example.tw&code=" + bindText.Code + "&status=" + bindText.Status,
		"too long":          good + strings.Repeat("a", 1000),
	} {
		if got, err := devices.ParseBindText(s); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}

func FuzzParseBindText(f *testing.F) {
	f.Add(bindText.String())
	f.Add("certwindow-bind:2?server=https%3A%2F%2Fa&code=&roots=")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := devices.ParseBindText(s); err == nil && got.String() != s {
			t.Errorf("%q became %q", s, got.String())
		}
	})
}
