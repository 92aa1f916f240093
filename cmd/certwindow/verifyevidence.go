package main

import (
	"context"
	"errors"
	"fmt"

	"certwindow/ra/certpath"
	"certwindow/ra/evidence"
)

// evidenceVerdict is what verify evidence prints. Nothing of evidence that is not valid is shown.
type evidenceVerdict struct {
	Valid    bool             `json:"valid"`
	Reason   string           `json:"reason"`
	Evidence *evidence.Report `json:"evidence"`
}

// verifyEvidence judges one enrolment's or revocation's evidence off line, at the moment of its decision (HCA-3.3).
func verifyEvidence(ctx context.Context, args []string, s streams) int {
	f := newVerifyFlags("verify evidence", s)
	in := f.String("in", "", "the evidence, `ZIP`")
	anchors := f.String("anchors", "", "pinned trust anchors, `PEM`")
	window := f.String("window-cert", "", "the certificate the window signs evidence with, `PEM`; several if it was renewed")
	if code, done := f.parse(args, s, "in", "anchors", "window-cert"); done {
		return code
	}
	zip := f.read(*in, evidence.MaxZip)
	anchorFile := f.read(*anchors, maxBundleFile)
	windowFile := f.read(*window, maxBundleFile)
	if code, done := f.usable(s); done {
		return code
	}
	report, err := judgeEvidence(ctx, zip, anchorFile, windowFile)
	return conclude(s, f.asJSON, evidenceVerdict{err == nil, reasonOf(err), report}, err)
}

func judgeEvidence(ctx context.Context, zip, anchors, window []byte) (*evidence.Report, error) {
	var o evidence.Options
	var err error
	if o.Anchors, err = certpath.ParseCertificates(anchors); err != nil {
		return nil, fmt.Errorf("anchors: %w", err)
	}
	if o.Window, err = certpath.ParseCertificates(window); err != nil {
		return nil, fmt.Errorf("window certificate: %w", err)
	}
	if len(o.Window) == 0 {
		return nil, errors.New("no window certificate was given")
	}
	return evidence.Verify(ctx, zip, o)
}
