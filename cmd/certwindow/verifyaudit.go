package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"certwindow/ra/audit"
	"certwindow/ra/certpath"
)

// auditVerdict is what verify audit prints. Of a log that is not valid it tells what held before the fault.
type auditVerdict struct {
	Valid       bool     `json:"valid"`
	Reason      string   `json:"reason"`
	Rows        int64    `json:"rows"`
	Last        auditRow `json:"last"`
	Checkpoints int      `json:"checkpoints"`
	Row         int64    `json:"row,omitzero"` // the first row that does not fit, where one is to blame
}

type auditRow struct {
	Seq  int64      `json:"seq"`
	Hash audit.Hash `json:"hash"`
}

// maxKeptFile bounds the file of kept checkpoints, in bytes.
const maxKeptFile = 4 << 20

// verifyAudit judges an exported audit log off line: edits, gaps, reordering, cut ends (HCA-8.1.6).
func verifyAudit(_ context.Context, args []string, s streams) int {
	f := newVerifyFlags("verify audit", s)
	in := f.String("in", "", "the exported log, `FILE`")
	windowCert := f.String("window-cert", "", "the certificate the window signs with, `PEM`; several if it was renewed")
	checkpoint := f.text("checkpoint", "a checkpoint that was kept elsewhere, `FILE`: the log must still have what it says")
	if code, done := f.parse(args, s, "in", "window-cert"); done {
		return code
	}
	certFile := f.read(*windowCert, maxBundleFile)
	var keptFile []byte
	if *checkpoint != "" {
		if keptFile = f.read(*checkpoint, maxKeptFile); keptFile == nil {
			keptFile = []byte{}
		}
	}
	file, err := openFile(*in)
	if err != nil {
		f.misused(err)
	}
	if code, done := f.usable(s); done {
		return code
	}
	defer file.Close()
	verdict, err := judgeAudit(file, certFile, keptFile)
	return conclude(s, f.asJSON, verdict, err)
}

// openFile opens what can be read as a file: a directory opens, too, and cannot.
func openFile(path string) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || info.IsDir() {
		return nil, errors.Join(err, file.Close(), fmt.Errorf("%s cannot be read as a file", path))
	}
	return file, nil
}

// judgeAudit verifies the export; kept is nil where no checkpoint was given.
func judgeAudit(in io.Reader, certs, kept []byte) (auditVerdict, error) {
	refused := func(err error) (auditVerdict, error) {
		return auditVerdict{Reason: err.Error(), Last: auditRow{Hash: audit.Genesis}}, err
	}
	window, err := certpath.ParseCertificates(certs)
	if err == nil && len(window) == 0 {
		err = errors.New("no certificate was given")
	}
	if err != nil {
		return refused(fmt.Errorf("window certificate: %w", err))
	}
	var checkpoints []audit.Kept
	if kept != nil {
		if checkpoints, err = audit.ParseKept(kept, window); err != nil {
			return refused(err)
		}
	}
	r, err := audit.Verify(in, window, checkpoints)
	v := auditVerdict{Valid: err == nil, Reason: reasonOf(err), Rows: r.Rows, Last: auditRow{r.Seq, r.Hash}, Checkpoints: r.Checkpoints}
	var broken *audit.Broken
	if errors.As(err, &broken) {
		v.Row = broken.Seq
	}
	return v, err
}
