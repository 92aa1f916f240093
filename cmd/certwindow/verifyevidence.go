package main

import (
	"context"
	"errors"
	"fmt"

	"certwindow/devices/attest"
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
	roots := f.String("android-roots", "", "judge Android attestations again under the vendor's roots, `JSON`; needs --android-status")
	status := f.String("android-status", "", "the vendor's status list to judge them by, `JSON`")
	chips := f.String("chips", "", "judge chips' proofs again by the list of certified models, `JSON`")
	apple := f.Bool("apple", false, "judge App Attest objects again under Apple's published root")
	if code, done := f.parse(args, s, "in", "anchors", "window-cert"); done {
		return code
	}
	if (*roots == "") != (*status == "") {
		f.misused(errors.New("--android-roots and --android-status go together"))
	}
	zip := f.read(*in, evidence.MaxZip)
	anchorFile := f.read(*anchors, maxBundleFile)
	windowFile := f.read(*window, maxBundleFile)
	var files [3][]byte // roots, status, chips
	for i, path := range []string{*roots, *status, *chips} {
		if path != "" {
			files[i] = f.read(path, attest.MaxStatusFile)
		}
	}
	if code, done := f.usable(s); done {
		return code
	}
	trust, err := attestationTrust(files, *apple)
	var report *evidence.Report
	if err == nil {
		report, err = judgeEvidence(ctx, zip, anchorFile, windowFile, trust)
	}
	return conclude(s, f.asJSON, evidenceVerdict{err == nil, reasonOf(err), report}, err)
}

// attestationTrust is what the attestations of keys are judged by again: as far as it was given.
func attestationTrust(files [3][]byte, apple bool) (*attest.Trust, error) {
	t := &attest.Trust{}
	var err error
	if files[0] != nil {
		if t.Android, err = attest.ParseAndroidRoots(files[0]); err != nil {
			return nil, err
		}
	}
	if files[1] != nil {
		if t.Status, err = attest.ParseAndroidStatus(files[1]); err != nil {
			return nil, err
		}
	}
	if files[2] != nil {
		if t.Chips, err = attest.ParseChipList(files[2]); err != nil {
			return nil, err
		}
	}
	if apple {
		t.Apple, err = attest.AppleRoots()
	}
	return t, err
}

func judgeEvidence(ctx context.Context, zip, anchors, window []byte, trust *attest.Trust) (*evidence.Report, error) {
	o := evidence.Options{Judge: trust.Judge}
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
