package story

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"certwindow/cmd/demo/stage"
	"certwindow/migrations"
	"certwindow/ra/store"
)

// HCA-8.1.5: after the whole story no log of any process, no metric and no error document holds a name, a number,
// a secret, or anything that could be used again.
func logsHoldNoPersonalData(t *testing.T, st *stage.Stage, s *Story, w *watcher, servers int) {
	list := secretsOf(t, s, w)
	kinds := map[string]int{}
	for _, x := range list {
		kinds[strings.TrimRight(x.what, "0123456789")]++
	}
	for _, want := range []string{"name", "national id", "holder", "e-mail", "phone", "name of staff", "card.pin", "user.pin", "so.pin", "initial password",
		"changed password", "TOTP secret", "TOTP code", "session cookie", "CSRF token", "code of a binding", "nonce of a text", "nonce of a request",
		"challenge of a phone's document", "component-audit-office", "private key tls.key", "private key device.key", "control.token",
		"private key system.key", "access token of a system", "access token that a holder granted", "authorization code", "PKCE verifier", "cookie of a browser",
		"handle of a batch", "SAD of a batch", "phone's secret of a key in the HSM",
		"password of a holder", "initial password of a holder", "token of a holder", "one-time code of a holder", "mailed code of a holder",
		"authenticator's secret of a holder", "authenticator's address of a holder", "generator's secret of a holder"} {
		if kinds[want] == 0 {
			t.Errorf("the story used no %s, or the test does not see it", want)
		}
	}
	for where, text := range said(t, st, w, servers) {
		for _, x := range list {
			if page := strings.Contains(where, "error page"); page && (x.what == "CSRF token" || x.what == "session cookie" || x.what == "nonce of a text") {
				continue // a page's own form holds its token, and a new text to sign where the last one was of no use
			}
			if x.in(text) {
				t.Errorf("%s holds a %s: %s", where, x.what, around(text, x))
			}
		}
	}
}

// said is everything that was written where others than the one concerned read it.
func said(t *testing.T, st *stage.Stage, w *watcher, servers int) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	logs, err := st.Logs()
	if err != nil || len(logs) < 2+servers {
		t.Fatalf("logs: %v %v", logs, err)
	}
	for _, log := range logs {
		raw, err := os.ReadFile(log)
		if err != nil || len(raw) == 0 {
			t.Errorf("%s: %d bytes, %v", log, len(raw), err)
		}
		out[filepath.Base(log)] = raw
	}
	client, err := st.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	for i := range servers {
		res, err := client.Get(st.Replica(i) + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.Contains(raw, []byte("certwindow_http_request_seconds")) {
			t.Errorf("metrics: %v %s", err, raw)
		}
		out[fmt.Sprintf("/metrics of server %d", i+1)] = raw
	}
	for i, x := range w.all() {
		if x.Status < 400 {
			continue
		}
		kind := "error document"
		if strings.HasPrefix(x.Header.Get("Content-Type"), "text/html") {
			kind = "error page"
		}
		out[fmt.Sprintf("%s %d (%s %s)", kind, i, x.Request.Method, x.Request.URL.Path)] = x.Body
	}
	return out
}

// around is where a value was found, cut short.
func around(text []byte, x secret) string {
	for _, f := range x.forms {
		if i := bytes.Index(text, f); i >= 0 {
			return fmt.Sprintf("%q", text[max(0, i-120):min(len(text), i+len(f)+40)])
		}
	}
	return ""
}

// inClear are the columns that hold a person's data unencrypted, and why. Nothing may be added without a reason.
var inClear = map[string]string{}

// HCA-8.1.5: who reads the database finds no name, number, address or secret in any column but those of inClear,
// and those do hold some: the list stays true.
func databaseHoldsNoPersonalData(t *testing.T, address string, s *Story, w *watcher) {
	found, list := map[string][]string{}, secretsOf(t, s, w)
	rows := 0
	eachValue(t, address, func(column string, value []byte) {
		rows++
		for _, x := range list {
			if x.rest && x.in(value) && !slices.Contains(found[column], x.what) {
				found[column] = append(found[column], x.what)
			}
		}
	})
	if rows < 500 {
		t.Errorf("only %d values were looked at", rows)
	}
	for column, what := range found {
		if inClear[column] == "" {
			t.Errorf("column %s holds in clear: %v", column, what)
		}
	}
	for column := range inClear {
		if found[column] == nil {
			t.Errorf("column %s holds nothing in clear and needs no exemption", column)
		}
	}
}

// eachValue shows every value of every table.
func eachValue(t *testing.T, address string, show func(column string, value []byte)) {
	t.Helper()
	db, err := store.Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tables := `SELECT name FROM sqlite_master WHERE type = 'table'`
	if db.Dialect == migrations.Postgres {
		tables = `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`
	}
	for _, table := range ask(t, address, tables) {
		r, err := db.SQL.Query("SELECT * FROM " + table[0])
		if err != nil {
			t.Fatal(err)
		}
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
			for i, v := range values {
				raw, ok := v.([]byte)
				if !ok {
					raw = fmt.Append(nil, v)
				}
				show(table[0]+"."+names[i], raw)
			}
		}
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
}

// HCA-8.1.5: the files themselves, with what was deleted and what waits in the log of the database.
func fileHoldsNoPersonalData(t *testing.T, st *stage.Stage, s *Story, w *watcher) {
	files, err := filepath.Glob(st.Path("certwindow.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no database file: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rawHoldsNone(t, filepath.Base(file), raw, s, w)
	}
}

// HCA-8.1.5: a backup, as it leaves the machine.
func dumpHoldsNoPersonalData(t *testing.T, address string, s *Story, w *watcher) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	if err != nil || len(found) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no pg_dump, and CI needs one")
		}
		t.Skip("skipped: there is no pg_dump")
	}
	slices.Sort(found)
	raw, err := exec.Command(found[len(found)-1], "--dbname", address).Output()
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) < 100_000 {
		t.Errorf("the dump has %d bytes", len(raw))
	}
	rawHoldsNone(t, "pg_dump", raw, s, w)
}

func rawHoldsNone(t *testing.T, where string, raw []byte, s *Story, w *watcher) {
	t.Helper()
	for _, x := range secretsOf(t, s, w) {
		// Six digits stand somewhere in a megabyte of ciphertext by chance.
		if x.rest && !digitsOnly.MatchString(x.value) && x.in(raw) {
			t.Errorf("%s holds a %s: %s", where, x.what, around(raw, x))
		}
	}
}
