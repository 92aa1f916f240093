package story

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
)

// stamped is the scene of time stamps: the window fetches them from an authority (RFC 3161), and OpenSSL verifies one.
func (s *Story) stamped() scene {
	var b *batch
	return scene{"A signature's time stamp", []act{
		{"the doctor signs, and the record system has the signature stamped", func(ctx context.Context) (_ string, err error) {
			if b, err = s.asked(ctx, s.ward.stays, "死亡證明書", 1); err != nil {
				return "", err
			}
			shown, err := s.ward.phone.phone.shows(ctx, b)
			if err != nil {
				return "", err
			}
			if err := errors.Join(s.releases(ctx, shown), b.collect(ctx, nil), b.verify()); err != nil {
				return "", err
			}
			var got struct{ Timestamp string }
			if err := s.records.call(ctx, "signatures/timestamp", map[string]string{"hash": hashOf(b.signatures[0]), "hashAlgo": oidSHA256, "nonce": "8001020304"}, &got); err != nil {
				return "", err
			}
			token, err := base64.StdEncoding.DecodeString(got.Timestamp)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%d bytes", len(token)), errors.Join(os.WriteFile(s.st.Path("stamped.sig"), b.signatures[0], 0o600), os.WriteFile(s.st.Path("stamped.tst"), token, 0o600))
		}},
		{"openssl ts -verify proves it", func(ctx context.Context) (string, error) {
			out, err := s.st.Run(ctx, "openssl", "ts", "-verify", "-data", s.st.Path("stamped.sig"), "-in", s.st.Path("stamped.tst"), "-token_in", "-CAfile", s.st.Path("tsa/root.pem"))
			return string(out), err
		}},
	}}
}
