package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"certwindow/ra/audit"
	"certwindow/ra/certpath"
	"certwindow/ra/store/storetest"
)

func storedCert(d *desk) []*certpath.Certificate { return []*certpath.Certificate{d.cert} }

// lines are an export's: the header, rows 1 to 4, a checkpoint, rows 5 to 9, a checkpoint, the seal.
func lines(export []byte) []string {
	return strings.SplitAfter(strings.TrimSuffix(string(export), "\n"), "\n")
}

func join(lines []string) []byte {
	out := strings.Join(lines, "")
	if !strings.HasSuffix(out, "\n") {
		out += "\n"
	}
	return []byte(out)
}

// forged is a row with the hash that the chain has for it, made by whoever knows the format but has no key.
func forged(t testing.TB, prev string, change func(*audit.Record)) string {
	t.Helper()
	var before, r audit.Record
	if err := json.Unmarshal([]byte(prev), &before); err != nil {
		t.Fatal(err)
	}
	r = before
	r.Seq++
	change(&r)
	r.Hash = audit.Chain(before.Hash, r)
	out, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

// HCA-8.1.6: every edit, gap, insertion, exchange and cut is found, and the row named.
func TestVerifyFindsTampering(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	d.log(t, 4)
	older := d.sign(t)
	d.log(t, 5)
	export := d.export(t, 1)
	whole := lines(export)
	if len(whole) != 13 {
		t.Fatalf("%d lines", len(whole))
	}
	other := lines(newLog(t, 9))
	edit := func(i int, from, to string) []string {
		out := slices.Clone(whole)
		if out[i] = strings.Replace(out[i], from, to, 1); out[i] == whole[i] {
			t.Fatalf("line %d has no %s", i+1, from)
		}
		return out
	}
	header := func(from, to string, rest []string) []string {
		return append([]string{strings.Replace(whole[0], from, to, 1)}, rest...)
	}
	for name, c := range map[string]struct {
		lines []string
		row   int64 // 0: no row is to blame
		says  string
	}{
		"edited":                    {edit(3, "clerk", "clark"), 3, "line 4: "},
		"time edited":               {edit(3, "2026-", "2025-"), 3, ""},
		"hash edited":               {edit(3, `"hash":"`, `"hash":"`+"00")[:], 0, "row 3"},
		"field moved":               {edit(3, `"address":"10.1.2.3","request_id":""`, `"address":"","request_id":"10.1.2.3"`), 3, ""},
		"field unknown":             {edit(3, `{"seq":3`, `{"seq":3,"x":1`), 0, "row 3"},
		"field doubled":             {edit(3, `{"seq":3`, `{"seq":3,"seq":3`), 0, "row 3"},
		"other spelling":            {edit(3, `"act":`, `"Act":`), 0, "row 3"},
		"white space":               {edit(3, `{"seq":3,`, `{"seq":3, `), 0, "row 3"},
		"removed":                   {slices.Delete(slices.Clone(whole), 3, 4), 4, "row 3 was expected"},
		"first removed":             {slices.Delete(slices.Clone(whole), 1, 2), 2, "row 1 was expected"},
		"last removed":              {slices.Delete(slices.Clone(whole), 10, 11), 8, "row 9"},
		"doubled":                   {slices.Insert(slices.Clone(whole), 3, whole[3-1]), 2, "row 3 was expected"},
		"exchanged":                 {swapped(whole, 2, 3), 3, "row 2 was expected"},
		"inserted":                  {slices.Insert(slices.Clone(whole), 4, forged(t, whole[3], func(*audit.Record) {})), 4, ""},
		"forged at the end":         {slices.Insert(slices.Clone(whole), 11, forged(t, whole[10], func(*audit.Record) {})), 10, "row 9"},
		"forged in place":           {replaced(whole, 10, forged(t, whole[9], func(r *audit.Record) { r.Actor = "nobody" })), 9, "checkpoint"},
		"cut in a row":              {[]string{strings.Join(whole[:5], "")[:900]}, 0, ""},
		"cut after a row":           {whole[:7], 5, "cut off"},
		"cut after a checkpoint":    {whole[:6], 4, "cut off"},
		"cut, header adapted":       {header(`"to":9`, `"to":4`, whole[1:6]), 4, "seal"},
		"seal removed":              {whole[:12], 9, "seal"},
		"checkpoint removed":        {slices.Delete(slices.Clone(whole), 5, 6), 0, "2 checkpoints"},
		"checkpoint moved":          {swapped(whole, 4, 5), 3, "checkpoint of row 4"},
		"checkpoint doubled":        {slices.Insert(slices.Clone(whole), 5, whole[5]), 4, ""},
		"another log's checkpoint":  {replaced(whole, 11, other[10]), 0, "another certificate"},
		"another log's seal":        {replaced(whole, 12, other[11]), 0, "another certificate"},
		"checkpoint in seal's line": {replaced(whole, 12, whole[11]), 9, ""},
		"begins later":              {header(`"from":1`, `"from":3`, whole[3:]), 3, ""},
		"after the seal":            {append(slices.Clone(whole), "\n"+whole[12]), 0, "after the seal"},
		"another window":            {header(`"0101090517"`, `"3501200000"`, whole[1:]), 0, "window"},
		"another version":           {header(`"version":1`, `"version":2`, whole[1:]), 0, "unsupported"},
		"no header":                 {whole[1:], 0, "header"},
		"an empty line":             {slices.Insert(slices.Clone(whole), 3, "\n"), 0, "neither"},
		"too long a line":           {slices.Insert(slices.Clone(whole), 3, strings.Repeat(" ", 1<<20)+"\n"), 0, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := audit.Verify(bytes.NewReader(join(c.lines)), storedCert(d), nil)
			var broken *audit.Broken
			errors.As(err, &broken)
			switch {
			case err == nil:
				t.Fatalf("taken: %+v", report)
			case c.row == 0 && broken != nil || c.row > 0 && (broken == nil || broken.Seq != c.row):
				t.Errorf("%v, want row %d", err, c.row)
			case !strings.Contains(err.Error(), c.says):
				t.Errorf("%v, want it to say %q", err, c.says)
			}
		})
	}
	if r, err := audit.Verify(bytes.NewReader(export), storedCert(d), nil); err != nil || r.Rows != 9 || r.Checkpoints != 2 || older.Seq != 4 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, empty := range []string{"", "\n", "{}\n"} {
		if _, err := audit.Verify(strings.NewReader(empty), storedCert(d), nil); err == nil {
			t.Errorf("%q was taken", empty)
		}
	}
	if _, err := audit.Verify(bytes.NewReader(export), nil, nil); err == nil {
		t.Error("taken without a certificate")
	}
}

func swapped(lines []string, i, j int) []string {
	out := slices.Clone(lines)
	out[i], out[j] = out[j], out[i]
	return out
}

func replaced(lines []string, i int, line string) []string {
	out := slices.Clone(lines)
	out[i] = strings.TrimSuffix(line, "\n") + "\n"
	return out
}

// newLog is the export of another window.
func newLog(t testing.TB, rows int) []byte {
	t.Helper()
	d := newDesk(t, storetest.SQLite(t))
	d.log(t, rows)
	return d.export(t, 1)
}

// HCA-8.1.6: a checkpoint that was kept elsewhere shows that the log was rewritten or cut since, even by somebody who
// has the whole database and gets the window to sign again.
func TestKeptCheckpoint(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	d.log(t, 3)
	first := d.sign(t)
	d.log(t, 3)
	kept := d.sign(t)
	whole := d.export(t, 1)
	seal := lines(whole)[9]
	d.log(t, 3)
	later := d.export(t, 1)
	for name, file := range map[string][]byte{"DER": kept.Signed, "line": []byte(lines(whole)[8]), "seal": []byte(seal), "both": []byte(lines(whole)[4] + seal)} {
		k, err := audit.ParseKept(file, storedCert(d))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := audit.Verify(bytes.NewReader(later), storedCert(d), k); err != nil {
			t.Errorf("%s: the log still has it: %v", name, err)
		}
		if _, err := audit.Verify(bytes.NewReader(d.export(t, k[0].Seq+1)), storedCert(d), k); err != nil {
			t.Errorf("%s: an export that begins right after it: %v", name, err)
		}
		if _, err := audit.Verify(bytes.NewReader(d.export(t, 8)), storedCert(d), k); err == nil || !strings.Contains(err.Error(), "cannot be compared") {
			t.Errorf("%s: an export that begins after it: %v", name, err)
		}
	}
	k, err := audit.ParseKept(kept.Signed, storedCert(d))
	if err != nil {
		t.Fatal(err)
	}
	// The attacker deletes the checkpoints as well, and the window signs what is left.
	d.exec(t, "DELETE FROM audit_checkpoints", "UPDATE audit_events SET actor = 'nobody' WHERE seq = 5")
	d.rewrite(t)
	rewritten := d.export(t, 1)
	if _, err := audit.Verify(bytes.NewReader(rewritten), storedCert(d), nil); err != nil {
		t.Fatalf("the forgery is not good enough to prove anything: %v", err)
	}
	broken(t, rewritten, d, k, 6)
	d.exec(t, "DELETE FROM audit_checkpoints", "DELETE FROM audit_events WHERE seq > 5")
	d.rewrite(t)
	cut := d.export(t, 1)
	broken(t, cut, d, k, 5)
	if _, err := audit.ParseKept(nil, storedCert(d)); err == nil {
		t.Error("nothing is a checkpoint")
	}
	if _, err := audit.ParseKept([]byte(`{"checkpoint":""}`), storedCert(d)); err == nil {
		t.Error("an empty checkpoint is none")
	}
	if _, err := audit.ParseKept(first.Signed, []*certpath.Certificate{newCredential(t).cert}); err == nil {
		t.Error("a checkpoint under another certificate was taken")
	}
}

func broken(t *testing.T, export []byte, d *desk, k []audit.Kept, row int64) {
	t.Helper()
	_, err := audit.Verify(bytes.NewReader(export), storedCert(d), k)
	var b *audit.Broken
	if !errors.As(err, &b) || b.Seq != row || !strings.Contains(b.Why, "kept checkpoint") {
		t.Errorf("%v, want row %d and the kept checkpoint", err, row)
	}
}

// An export of a part is held to the row before it by the checkpoint of that row.
func TestPartialExport(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	d.log(t, 4)
	d.sign(t)
	d.log(t, 2)
	part := d.export(t, 5)
	r, err := audit.Verify(bytes.NewReader(part), storedCert(d), nil)
	if err != nil || r.Rows != 2 || r.Seq != 6 || r.Checkpoints != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	sum := sha256.Sum256([]byte("another row"))
	changed := lines(part)
	var h map[string]any
	if err := json.Unmarshal([]byte(changed[0]), &h); err != nil {
		t.Fatal(err)
	}
	changed[0] = strings.Replace(changed[0], h["before"].(string), audit.Hash(sum[:]).String(), 1)
	if _, err := audit.Verify(bytes.NewReader(join(changed)), storedCert(d), nil); err == nil {
		t.Error("another row before the first was taken")
	}
}

// memory is a log in memory: each process of a fuzz run makes one at once.
type memory struct {
	rows  []audit.Record
	marks []audit.Saved
}

func (m *memory) add(rows int) {
	for range rows {
		hash := audit.Genesis
		if n := len(m.rows); n > 0 {
			hash = m.rows[n-1].Hash
		}
		r := audit.Record{Seq: int64(len(m.rows)) + 1, At: storetest.Noon.Truncate(time.Microsecond), Act: "test.act", Outcome: "done", Details: "{}"}
		r.Hash = audit.Chain(hash, r)
		m.rows = append(m.rows, r)
	}
}

func (m *memory) Head(context.Context) (int64, audit.Hash, error) {
	return int64(len(m.rows)), m.rows[len(m.rows)-1].Hash, nil
}

func (m *memory) Rows(_ context.Context, after int64, limit int) ([]audit.Record, error) {
	return m.rows[after:min(int(after)+limit, len(m.rows))], nil
}

func (m *memory) LastCheckpoint(context.Context) ([]byte, error) {
	if len(m.marks) == 0 {
		return nil, nil
	}
	return m.marks[len(m.marks)-1].Signed, nil
}

func (m *memory) Checkpoints(_ context.Context, first, last int64, _ int) (out []audit.Saved, err error) {
	for _, s := range m.marks {
		if s.Seq >= first && s.Seq <= last {
			out = append(out, s)
		}
	}
	return out, nil
}

func (m *memory) SaveCheckpoint(_ context.Context, s audit.Saved) error {
	m.marks = append(m.marks, s)
	return nil
}

// FuzzVerify: no file makes the verifier panic, and no change of an export is taken: what it takes has the same rows.
func FuzzVerify(f *testing.F) {
	log, c := &memory{}, newCredential(f)
	window := []*certpath.Certificate{c.cert}
	notary := audit.NewNotary(log, c.signer(string(storetest.Window)), window, func() time.Time { return storetest.Noon })
	log.add(3)
	if _, err := notary.Checkpoint(context.Background()); err != nil {
		f.Fatal(err)
	}
	log.add(2)
	var whole, part bytes.Buffer
	for from, out := range map[int64]*bytes.Buffer{1: &whole, 4: &part} {
		if _, err := notary.Export(context.Background(), out, from); err != nil {
			f.Fatal(err)
		}
	}
	all := lines(whole.Bytes())
	f.Add(whole.Bytes())
	f.Add(part.Bytes())
	f.Add([]byte(all[0]))
	f.Add([]byte(all[4]))
	f.Add(join(slices.Delete(slices.Clone(all), 2, 3)))
	f.Add(join(swapped(all, 1, 2)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := audit.Verify(bytes.NewReader(data), window, nil)
		if err == nil && (r.Seq != 5 || !bytes.Equal(r.Hash, log.rows[4].Hash)) {
			t.Errorf("a log that nobody sealed was taken: %+v", r)
		}
		if k, err := audit.ParseKept(data, window); err == nil && len(k) == 0 {
			t.Error("a file without a checkpoint was taken for one")
		}
	})
}
