package story

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/demo/stage"
	"certwindow/ra/store"
)

// ended is how a command ended and what it wrote.
type ended struct {
	code     int
	out, err string
}

// command runs certwindow beside the stage's server. What does not end by itself is ended after a while.
func command(t *testing.T, st *stage.Stage, args ...string) ended {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, programsDir+"/certwindow", args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = st.Path(""), &out, &errs
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+st.Path("window-softhsm.conf"))
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Errorf("certwindow %v does not end", args)
	}
	return ended{exitCode(err), out.String(), errs.String()}
}

// configured writes a copy of the stage's configuration with some text replaced.
func configured(t *testing.T, st *stage.Stage, oldnew ...string) string {
	t.Helper()
	raw, err := os.ReadFile(st.Config())
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for i := 0; i+1 < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			t.Fatalf("the configuration has no %q", oldnew[i])
		}
		text = strings.ReplaceAll(text, oldnew[i], oldnew[i+1])
	}
	f, err := os.CreateTemp(st.Path(""), "config-*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// oneObject tells whether text is exactly one JSON object on a line of its own.
func oneObject(text string) bool {
	dec := json.NewDecoder(strings.NewReader(text))
	var v map[string]any
	if dec.Decode(&v) != nil {
		return false
	}
	_, err := dec.Token()
	return errors.Is(err, io.EOF)
}

// A server that is set up wrongly does not start, and says what is wrong. A command ends with 0 for yes, 1 for no,
// 2 for wrong use, and writes one JSON object and nothing else where it is asked to (HCA-6.3.1).
func TestModes(t *testing.T) {
	t.Parallel()
	st := newStage(t, stage.Options{})
	t.Run("WrongConfigurations", func(t *testing.T) { wrongConfigurations(t, st) })
	t.Run("ModeOfTheDatabase", func(t *testing.T) { modeOfTheDatabase(t, st) })
	t.Run("WrongUse", func(t *testing.T) { wrongUse(t, st) })
	t.Run("JSON", func(t *testing.T) { jsonResults(t, st) })
	t.Run("Doctor", func(t *testing.T) {
		healthy := command(t, st, "doctor", "--config", st.Config(), "--json")
		if healthy.code != 0 || !strings.Contains(healthy.out, `"healthy":true`) {
			t.Errorf("%+v", healthy)
		}
		st.StopHCA()
		ill := command(t, st, "doctor", "--config", st.Config(), "--json")
		if ill.code != 1 || !oneObject(ill.out) || !strings.Contains(ill.out, `{"what":"hca","ok":false`) {
			t.Errorf("with the simulator down: %+v", ill)
		}
	})
}

// HCA-3.1, HCA-6.3.1, HCA-8.1.1, HCA-8.1.4, HCA-9.
func wrongConfigurations(t *testing.T, st *stage.Stage) {
	free := []string{"ready_file: " + st.Path("certwindow.ready"), "ready_file: other.ready"}
	for name, x := range map[string]struct {
		change []string
		code   int
		says   []string
	}{
		"production with SoftHSM": {[]string{"mode: development", "mode: production", "from: window@hospital.example}", "from: window@hospital.example, tls: true}",
			"pin_file: user.pin", `pin_file: user.pin, certification: {scheme: FIPS 140-3, level: 3, number: "4567"}`},
			1, []string{"HCA-6.3.1", "SoftHSM"}},
		"production without TLS for mail": {[]string{"mode: development", "mode: production"}, 2, []string{"smtp.tls"}},
		"another certificate's key":       {[]string{"dedicated: dedicated.pem", "dedicated: hca/ca.pem"}, 1, []string{"HCA-3.1", "dedicated"}},
		"unknown key":                     {[]string{"sweep: {", "sweeep: {"}, 2, []string{"sweeep", "[27:1]"}},
		"text that lives too long":        {[]string{"message_life: 5m0s", "message_life: 6m"}, 2, []string{"limits.message_life", "HCA-8.1.4"}},
		"session that idles too long":     {[]string{"limits: {", "limits: {idle: 11m, "}, 2, []string{"limits.idle", "HCA-8.1.1"}},
		"sweep that is too rare":          {[]string{"sweep: {", "sweep: {every: 25h, "}, 2, []string{"sweep.every", "HCA-3.6"}},
		"missing PIN":                     {[]string{"pin_file: user.pin", "pin_file: no.pin"}, 1, []string{"hsm.pin_file", "no.pin"}},
		"missing anchor":                  {[]string{"anchors: hca/root.pem", "anchors: no.pem"}, 1, []string{"hca.anchors", "no.pem"}},
		"other token":                     {[]string{"token: certwindow", "token: elsewhere"}, 1, []string{"elsewhere"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, st, "serve", "--config", configured(t, st, append(free, x.change...)...))
			if got.code != x.code || got.out != "" {
				t.Errorf("ends with %d, not %d: %s%s", got.code, x.code, got.out, got.err)
			}
			for _, want := range x.says {
				if !strings.Contains(got.err, want) {
					t.Errorf("does not say %q: %s", want, got.err)
				}
			}
		})
	}
}

// A database that was ever used in one mode serves no other.
func modeOfTheDatabase(t *testing.T, st *stage.Stage) {
	db, err := store.Open(t.Context(), onSQLite(st))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	stamp := func(mode string) {
		if _, err := db.SQL.Exec(`UPDATE system SET value = '` + mode + `' WHERE name = 'mode'`); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask(t, onSQLite(st), `SELECT value FROM system WHERE name = 'mode'`); len(got) != 1 || got[0][0] != "development" {
		t.Errorf("the database is stamped %v", got)
	}
	stamp("production")
	defer stamp("development")
	if got := command(t, st, "doctor", "--config", st.Config()); got.code != 1 || !strings.Contains(got.out, "the database belongs to production mode") {
		t.Errorf("%+v", got)
	}
}

func wrongUse(t *testing.T, st *stage.Stage) {
	for _, args := range [][]string{{}, {"nonsense"}, {"serve"}, {"serve", "--config", "no.yaml"}, {"serve", "--config", st.Config(), "more"}, {"migrate"},
		{"migrate", "up"}, {"migrate", "status", "--nonsense"}, {"staff", "create"}, {"sweep"}, {"evidence"}, {"ceremony"}, {"ceremony", "setup"},
		{"ceremony", "component"}, {"ceremony", "master"}, {"ceremony", "request"}, {"doctor"}, {"doctor", "--clauses", "--config", st.Config()},
		{"verify", "chain"}, {"verify", "message"}, {"verify", "signature"}, {"verify", "evidence"}, {"verify", "attestation", "android"},
		{"verify", "attestation", "apple"}, {"verify", "audit"}, {"check"}, {"bench", "nonsense"}} {
		if got := command(t, st, args...); got.code != 2 || got.out != "" || got.err == "" {
			t.Errorf("certwindow %v: ends with %d, not 2; says %q and %q", args, got.code, got.out, got.err)
		}
	}
	if got := command(t, st, "staff", "create", "--config", st.Config(), "--account", "second", "--name", "x"); got.code != 1 || got.out != "" {
		t.Errorf("a second first administrator: %+v", got)
	}
}

func jsonResults(t *testing.T, st *stage.Stage) {
	root, ca := st.Path("hca/root.pem"), st.Path("hca/ca.pem")
	leaf := []string{"verify", "chain", "--anchors", root, "--intermediates", ca, "--leaf", st.Path("dedicated.pem"), "--json", "--at"}
	for _, x := range []struct {
		code int
		args []string
	}{
		{0, []string{"doctor", "--config", st.Config(), "--json"}},
		{0, []string{"doctor", "--clauses", "--json"}},
		{0, []string{"sweep", "--config", st.Config(), "--dry-run", "--json"}},
		{0, []string{"sweep", "--config", st.Config(), "--json"}},
		{0, []string{"migrate", "status", "--config", st.Config(), "--json"}},
		{0, []string{"migrate", "up", "--config", st.Config(), "--json"}},
		{0, append(leaf, time.Now().UTC().Format(time.RFC3339))},
		{1, append(leaf, "2001-01-01T00:00:00Z")},
		{1, []string{"verify", "message", "--in", st.Path("dedicated.pem"), "--anchors", root, "--at", "2026-11-22T04:00:00Z", "--json"}},
		{1, []string{"verify", "evidence", "--in", root, "--anchors", root, "--window-cert", st.Path("dedicated.pem"), "--json"}},
	} {
		if got := command(t, st, x.args...); got.code != x.code || !oneObject(got.out) {
			t.Errorf("certwindow %v: ends with %d, not %d; writes %q; says %s", x.args, got.code, x.code, got.out, got.err)
		}
	}
}
