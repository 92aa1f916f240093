package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/certwindow/config"
	"certwindow/cmd/certwindow/window"
	"certwindow/hsm"
	"certwindow/hsm/p11/p11test"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/custody"
)

// command runs this program's own command in this process.
func (f *firstDay) command(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := dispatch(context.Background(), args, streams{strings.NewReader(""), &out, &errs})
	return code, out.String(), errs.String()
}

// approved is the id of a ceremony that two persons approved.
func (f *firstDay) approved(t *testing.T, p custody.Plan) string {
	t.Helper()
	var id string
	f.inWindow(t, func(w *window.Window) {
		ctx := context.Background()
		x, err := w.Approve.Propose(ctx, ra.Actor{Kind: ra.ActorStaff, ID: "one"}, approve.HoldCeremony, p.Object(), "", p.Facts())
		if err == nil {
			err = w.Approve.Approve(ctx, ra.Actor{Kind: ra.ActorStaff, ID: "two"}, x.ID, x.Hash)
		}
		if err != nil {
			t.Fatal(err)
		}
		id = x.ID
	})
	return id
}

func (f *firstDay) inWindow(t *testing.T, do func(*window.Window)) {
	t.Helper()
	c, err := config.Load(f.config)
	if err != nil {
		t.Fatal(err)
	}
	w, err := window.Open(context.Background(), c, logger(c, streams{err: os.Stderr}), func() time.Time { return time.Now().UTC() })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	do(w)
}

// HCA-6.3.2, HCA-6.3.4: after the first set-up no ceremony is held without two persons' approval, which serves once; the
// master key is rolled over while keys of both generations are in use, and retired when none is left under the old one.
func TestCeremoniesAreApproved(t *testing.T) {
	f := newFirstDay(t)
	f.run(t, filepath.Join(repoRoot(t), "deploy", "first-day.sh"))
	t.Setenv(p11test.EnvName, filepath.Join(f.state, "softhsm2.conf"))
	secrets := filepath.Join(f.dir, "deploy", "secrets")
	path := func(name string) string { return filepath.Join(f.dir, name) }
	token := []string{"--module", p11test.Module(), "--token", "certwindow", "--pin-file", filepath.Join(secrets, "hsm_pin"), "--config", f.config}
	officer := append(token, "--so-pin-file", filepath.Join(secrets, "hsm_so_pin"))
	for _, name := range []string{"a", "b"} {
		if code, _, errs := f.command(t, "ceremony", "component", "--out", path(name)); code != exitYes {
			t.Fatal(errs)
		}
	}
	both := []string{"--custodian", "audit office=" + path("a"), "--custodian", "legal office=" + path("b")}
	old := []string{"--custodian", "first unit=" + filepath.Join(f.state, "component-1"), "--custodian", "second unit=" + filepath.Join(f.state, "component-2")}
	hold := func(name, generation, approval, out string, more ...string) (int, string) {
		flags := officer
		if name == "retire" {
			flags = token
		}
		args := append([]string{"ceremony", name, "--generation", generation, "--out", path(out), "--approval", approval}, flags...)
		code, _, errs := f.command(t, append(args, more...)...)
		return code, errs
	}
	must := func(code int, errs string) {
		t.Helper()
		if code != exitYes {
			t.Fatal(errs)
		}
	}
	custodians := []string{"audit office", "legal office"}
	if code, errs := hold("master", "2", "", "x", both...); code != exitNo || !strings.Contains(errs, "HCA-6.3.2") {
		t.Errorf("a second master key without approval: %d %s", code, errs)
	}
	create := f.approved(t, custody.Plan{Kind: custody.Create, Generation: 2, Custodians: custodians, Note: "generation 1 ends"})
	if code, errs := hold("retire", "1", create, "x"); code != exitNo || !strings.Contains(errs, "ceremony-not-approved") && !strings.Contains(errs, "have not approved") {
		t.Errorf("another ceremony on that approval: %d %s", code, errs)
	}
	must(hold("master", "2", create, "master-2.record", both...))
	if code, _ := hold("master", "3", create, "x", both...); code != exitNo {
		t.Error("an approval served twice")
	}
	must(hold("rollover", "1", f.approved(t, custody.Plan{Kind: custody.Rollover, Generation: 1, Custodians: custodians, Note: "generation 1 ends"}), "rollover-1.record", old...))
	if code, out, errs := f.command(t, "ceremony", "status", "--config", f.config, "--json"); code != exitYes || !strings.Contains(out, `"number":1,"held":true,"rollover":true`) || !strings.Contains(out, `"number":2,"held":true`) {
		t.Errorf("%d %s %s", code, out, errs)
	}
	retire := f.approved(t, custody.Plan{Kind: custody.Retire, Generation: 1, Note: "nothing is left under it"})
	must(hold("retire", "1", retire, "retire-1.record"))
	for _, name := range []string{"master-2", "rollover-1", "retire-1"} {
		code, out, errs := f.command(t, "ceremony", "verify", "--in", path(name+".record"), "--first", filepath.Join(f.state, "master-1.record"), "--json")
		var v struct{ Valid, Trusted bool }
		if err := json.Unmarshal([]byte(out), &v); err != nil || code != exitYes || !v.Valid || !v.Trusted {
			t.Errorf("%s: %d %s %s", name, code, out, errs)
		}
	}
	raw, err := os.ReadFile(path("master-2.record"))
	if err != nil {
		t.Fatal(err)
	}
	forged := path("forged.record")
	if err := os.WriteFile(forged, bytes.Replace(raw, []byte("legal office"), []byte("legal 0ffice"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := f.command(t, "ceremony", "verify", "--in", forged, "--json"); code != exitNo || !strings.Contains(out, "signature") {
		t.Errorf("a record that was edited: %d %s", code, out)
	}
	f.inWindow(t, func(w *window.Window) {
		all, err := w.Generations(context.Background())
		if err != nil || len(all) != 1 || all[0].Number != 2 {
			t.Errorf("after the old one was retired: %+v, %v", all, err)
		}
		list, _, err := w.Custody.Ceremonies(context.Background())
		if err != nil || len(list) != 3 || list[0].FinishedAt == nil || len(list[2].Record) == 0 {
			t.Errorf("%d ceremonies are listed, %v", len(list), err)
		}
	})
	f.exportsComponents(t, path, token)
}

// HCA-6.3.2: the split export leaves each custodian a carrier that his passphrase opens, and nobody else's.
func (f *firstDay) exportsComponents(t *testing.T, path func(string) string, token []string) {
	t.Helper()
	for name, secret := range map[string]string{"right": "a long passphrase", "wrong": "another passphrase"} {
		if err := os.WriteFile(path(name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	export := func(approval string) (int, string) {
		code, _, errs := f.command(t, append([]string{"ceremony", "export", "--generation", "2", "--custodian", "audit office=" + path("a"), "--passphrase-file", path("right"),
			"--out", path("carrier-" + approval), "--approval", approval}, token...)...)
		return code, errs
	}
	if code, _ := export("none"); code != exitNo {
		t.Error("exported without an approval")
	}
	id := f.approved(t, custody.Plan{Kind: custody.Export, Generation: 2, Custodians: []string{"audit office", "legal office"}, Note: "backup"})
	if code, errs := export(id); code != exitYes {
		t.Fatal(errs)
	}
	open := func(passphrase, out string) int {
		code, _, _ := f.command(t, "ceremony", "unseal", "--in", path("carrier-"+id), "--passphrase-file", path(passphrase), "--out", path(out))
		return code
	}
	if open("wrong", "stolen") != exitNo || open("right", "again") != exitYes {
		t.Fatal("the carrier is opened by another passphrase, or not by its own")
	}
	first, err := hsm.ReadSecretFile(path("a"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := hsm.ReadSecretFile(path("again"))
	if err != nil || !bytes.Equal(bytes.TrimSpace(first.Bytes()), bytes.TrimSpace(again.Bytes())) {
		t.Errorf("another component came back: %v", err)
	}
}
