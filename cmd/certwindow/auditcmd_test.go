package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// database opens the window's database beside the window.
func (f *firstDay) database(t *testing.T) *store.DB {
	t.Helper()
	return storetest.Open(t, "sqlite:"+filepath.Join(f.dir, "window.db"))
}

// refused runs a program that must not succeed, and gives what it printed and its exit code.
func (f *firstDay) refused(t *testing.T, name string, args ...string) ([]byte, int) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = f.env
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("%s %v: %v, it had to be refused", name, args, err)
	}
	return out, exit.ExitCode()
}

// judge runs verify audit in this process and gives its exit code and its one JSON object.
func judge(t *testing.T, args ...string) (code int, v auditVerdict) {
	t.Helper()
	var out, errs bytes.Buffer
	code = dispatch(context.Background(), append([]string{"verify", "audit", "--json"}, args...), streams{strings.NewReader(""), &out, &errs})
	if code == exitUsage {
		if out.Len() > 0 || errs.Len() == 0 {
			t.Errorf("wrong use printed %q and %q", &out, &errs)
		}
		return code, v
	}
	if err := json.Unmarshal(out.Bytes(), &v); err != nil || v.Valid != (code == exitYes) || (v.Reason == "") != v.Valid {
		t.Errorf("code %d, %s, %v", code, &out, err)
	}
	return code, v
}

// HCA-8.1.6: an operator signs and exports the log of a real window, an auditor judges it off line, and the checker
// finds nothing wrong; after somebody edited the database each of them says so.
func TestAuditCommands(t *testing.T) {
	f := newFirstDay(t)
	f.run(t, filepath.Join(repoRoot(t), "deploy", "first-day.sh"))
	program, window := filepath.Join(f.dir, "bin", "certwindow"), filepath.Join(f.state, "dedicated.pem")
	kept, export := filepath.Join(f.dir, "kept.p7"), filepath.Join(f.dir, "audit.jsonl")
	f.run(t, program, "audit", "checkpoint", "--config", f.config, "--out", kept)
	f.run(t, program, "audit", "export", "--config", f.config, "--out", export)
	code, v := judge(t, "--in", export, "--window-cert", window, "--checkpoint", kept)
	if code != exitYes || v.Rows < 2 || v.Last.Seq != v.Rows || v.Checkpoints != 2 {
		t.Errorf("%d %+v", code, v)
	}
	raw, err := os.ReadFile(export)
	if err != nil || !bytes.Contains(raw, []byte(`"act":"audit.export"`)) {
		t.Errorf("the export is not in the export (%v)", err)
	}
	f.run(t, program, "check", "--config", f.config)

	edited := filepath.Join(f.dir, "edited.jsonl")
	if err := os.WriteFile(edited, bytes.Replace(raw, []byte(`"outcome":"done"`), []byte(`"outcome":"gone"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, v := judge(t, "--in", edited, "--window-cert", window); code != exitNo || v.Row != 1 || v.Rows != 0 || !strings.Contains(v.Reason, "row 1") {
		t.Errorf("%d %+v", code, v)
	}
	empty := filepath.Join(f.dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"empty log":         {"--in", empty, "--window-cert", window},
		"empty certificate": {"--in", export, "--window-cert", empty},
		"empty checkpoint":  {"--in", export, "--window-cert", window, "--checkpoint", empty},
		"no checkpoint":     {"--in", export, "--window-cert", window, "--checkpoint", window},
		"another window's":  {"--in", export, "--window-cert", filepath.Join(f.state, "tls.pem")},
	} {
		if code, _ := judge(t, args...); code != exitNo {
			t.Errorf("%s: exit %d", name, code)
		}
	}
	for name, args := range map[string][]string{
		"nothing given":  {},
		"no certificate": {"--in", export},
		"missing file":   {"--in", f.dir + "/none", "--window-cert", window},
		"a directory":    {"--in", f.dir, "--window-cert", window},
		"empty argument": {"--in", export, "--window-cert", window, "--checkpoint", ""},
		"one too many":   {"--in", export, "--window-cert", window, "more"},
	} {
		if code, _ := judge(t, args...); code != exitUsage {
			t.Errorf("%s: exit %d", name, code)
		}
	}
	f.attacked(t, program)
}

// attacked edits the database and wants the window's own commands to notice.
func (f *firstDay) attacked(t *testing.T, program string) {
	t.Helper()
	db := f.database(t)
	if err := db.Gorm.Exec("UPDATE audit_events SET actor = 'nobody' WHERE seq = 1").Error; err != nil {
		t.Fatal(err)
	}
	out, code := f.refused(t, program, "check", "--config", f.config, "--json")
	var report checkReport
	if err := json.Unmarshal(out, &report); err != nil || code != exitNo || report.OK || len(report.Findings) != 1 || report.Findings[0].Check != "audit-chain" {
		t.Errorf("exit %d: %s %v", code, out, err)
	}
}

// HCA-8.1.6: a server that is told to stop has signed the log before it ends.
func TestShutdownSigns(t *testing.T) {
	f := newFirstDay(t)
	f.run(t, filepath.Join(repoRoot(t), "deploy", "first-day.sh"))
	t.Run("serve", func(t *testing.T) { // its end stops the server
		f.start(t, filepath.Join(f.dir, "ready"), "certwindow", "serve", "--config", f.config)
	})
	var signed, head int64
	db := f.database(t)
	if err := db.SQL.QueryRow("SELECT (SELECT MAX(seq) FROM audit_checkpoints), seq FROM audit_head").Scan(&signed, &head); err != nil || head == 0 || signed != head {
		t.Errorf("row %d is signed, the log has %d (%v)", signed, head, err)
	}
}
