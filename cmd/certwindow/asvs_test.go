package main

import (
	"os"
	"path"
	"regexp"
	"testing"
)

// Each test that docs/threat-model.md names is there, in the package that it names.
func TestThreatModelNamesTests(t *testing.T) {
	raw, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	known := functions(t, true)
	bare := map[string]bool{}
	for full := range known {
		bare[path.Ext(full)[1:]] = true
	}
	named := regexp.MustCompile("`(?:([a-z0-9/]+)\\.)?(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(raw), -1)
	if len(named) < 50 {
		t.Fatalf("%d tests are named", len(named))
	}
	for _, m := range named {
		if !bare[m[2]] || m[1] != "" && known[path.Join(modulePath, m[1])+"."+m[2]] == nil {
			t.Errorf("docs/threat-model.md names %s, which is no test", m[0])
		}
	}
}

// Each test that docs/asvs.md names is there.
func TestASVSNamesTests(t *testing.T) {
	raw, err := os.ReadFile("../../docs/asvs.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for full := range functions(t, true) {
		known[path.Ext(full)[1:]] = true
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(raw), -1)
	if len(named) < 80 {
		t.Fatalf("%d tests are named", len(named))
	}
	for _, m := range named {
		if !known[m[1]] {
			t.Errorf("docs/asvs.md names %s, which is no test", m[1])
		}
	}
}
