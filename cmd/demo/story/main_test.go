package story

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"certwindow/cmd/demo/stage"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// programsDir is where the programs of this test binary are.
var programsDir string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "certwindow-programs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programsDir = dir
	return storetest.Tests(m)
}

// programs builds what runs on the stage, once.
var programs = sync.OnceValue(func() error {
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", programsDir+"/", "certwindow/cmd/certwindow", "certwindow/cmd/cardagent",
		"certwindow/cmd/hcasim").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
})

// newStage sets up a whole window. It is ended after the test.
func newStage(t *testing.T, opt stage.Options) *stage.Stage {
	t.Helper()
	_, err := exec.LookPath("openssl")
	if _, serr := os.Stat(stage.Module); serr != nil || err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("SoftHSM or openssl is not installed")
		}
		t.Skip("SoftHSM or openssl is not installed")
	}
	if err := programs(); err != nil {
		t.Fatal(err)
	}
	opt.Bin, opt.Dir = programsDir, t.TempDir()
	st, err := stage.New(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		st.Close()
		if t.Failed() {
			logs, _ := st.Logs()
			for _, log := range logs {
				t.Logf("%s, warnings:\n%s", filepath.Base(log), warnings(log))
			}
		}
	})
	return st
}

// warnings are the last lines of a log that tell of more than a request.
func warnings(log string) string {
	raw, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		if !strings.Contains(line, `"msg":"request"`) && !strings.Contains(line, "maintenance.") {
			out = append(out, line)
		}
	}
	return strings.Join(out[max(0, len(out)-40):], "")
}

// prepared is a stage with everybody registered and every phone bound.
func prepared(t *testing.T, opt stage.Options) (*stage.Stage, *Story) {
	t.Helper()
	st := newStage(t, opt)
	s := New(st, t.Output())
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return st, s
}

// onPostgres gives a throw-away PostgreSQL database, and the configuration that names it by a file, as a secret.
func onPostgres(t *testing.T) (address, configured string) {
	t.Helper()
	address = storetest.PostgresAddress(t)
	file := filepath.Join(t.TempDir(), "database.address")
	if err := os.WriteFile(file, []byte(address+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return address, "file:" + file
}

// onSQLite is the address of a stage's own file.
func onSQLite(st *stage.Stage) string { return "sqlite:" + st.Path("certwindow.db") }

// row is one row of what a test asks the database for.
type row []string

// ask reads from the window's database, beside the server.
func ask(t *testing.T, address, query string) (rows []row) {
	t.Helper()
	db, err := store.Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := db.SQL.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	names, err := r.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for r.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := r.Scan(into...); err != nil {
			t.Fatal(err)
		}
		out := make(row, len(names))
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			out[i] = fmt.Sprint(v)
		}
		rows = append(rows, out)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// journal is what the HCA did, by its own record.
type journal struct {
	issued  map[string]int // mobile certificates, by transaction
	keys    map[string]int // mobile certificates, by public key
	revoked map[string]int // by serial
}

func readJournal(t *testing.T, st *stage.Stage) journal {
	t.Helper()
	f, err := os.Open(st.Path("hca/journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j := journal{map[string]int{}, map[string]int{}, map[string]int{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Certificate *struct{ Class, Key string }
			Revocation  *struct{ Serial string }
			Transaction *struct{ ID, Serial string }
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Certificate != nil && e.Certificate.Class == "mobile" {
			j.keys[e.Certificate.Key]++
		}
		if e.Transaction != nil && e.Transaction.Serial != "" {
			j.issued[e.Transaction.ID]++
		}
		if e.Revocation != nil {
			j.revoked[e.Revocation.Serial]++
		}
	}
	return j
}

// until asks again and again until it is so, and fails the test when it takes too long.
func until(t *testing.T, most time.Duration, what string, so func() (bool, string)) {
	t.Helper()
	end := time.Now().Add(most)
	for {
		ok, seen := so()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: still not after %s: %s", what, most, seen)
		}
		pause(t.Context(), 50*time.Millisecond)
	}
}

// exitCode is how a command of the stage ended.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}
