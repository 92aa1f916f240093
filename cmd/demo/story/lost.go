package story

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"certwindow/cmd/phone/client"
)

// lost is the scene of a phone that is lost while its holder is asked (HCA-5.2.2, HCA-7.3): from that moment nothing is
// released with it, and no system asks it any more.
func (s *Story) lost() scene {
	var b *batch
	var shown client.Authorisation
	var access *visit
	var request, token string
	return scene{"The phone is lost while the record system waits", []act{
		{"a request for signatures and one for access wait; the system has a token in the doctor's name", func(ctx context.Context) (_ string, err error) {
			var code string
			if access, code, err = s.grantAccess(ctx, true); err != nil {
				return "", err
			}
			if token, err = access.token(ctx, code, access.verifier); err != nil {
				return "", err
			}
			if b, err = s.asked(ctx, s.ward.stays, "手術紀錄", 1); err != nil {
				return "", err
			}
			if shown, err = s.ward.phone.phone.shows(ctx, b); err != nil {
				return "", err
			}
			if access, err = s.sends(ctx, s.records, url.Values{"scope": {"service"}, "account": {s.ward.doctor.account}}); err != nil {
				return "", err
			}
			all, err := s.ward.phone.phone.AccessRequests(ctx)
			if err != nil || len(all) != 1 {
				return "", fmt.Errorf("%+v %w", all, err)
			}
			request = all[0].Request
			return "", nil
		}},
		{"the phone is reported lost", func(ctx context.Context) (string, error) {
			_, err := s.clerk.post(ctx, "/devices/"+s.ward.phone.id+"/report", url.Values{"event": {"lose"}})
			return "", err
		}},
		meanwhile("who has it releases the signatures", "HCA-7.3", func(ctx context.Context) error { return s.releases(ctx, shown) }),
		meanwhile("who has it grants the access", "HCA-7.3", func(ctx context.Context) error { return s.ward.phone.phone.AnswerAccess(ctx, request, true) }),
		meanwhile("the record system asks again, under the doctor's token", "HCA-7.", func(ctx context.Context) error {
			return s.records.under(ctx, token, "credentials/authorize", map[string]any{"credentialID": s.ward.stays, "numSignatures": 1, "hashes": []string{hashOf([]byte("x"))},
				"hashAlgorithmOID": oidSHA256}, nil)
		}),
		{"what waited is not signed", func(ctx context.Context) (string, error) {
			x, err := b.stands(ctx)
			if err == nil && (x.SAD != "" || x.Progress.Signed+x.Progress.Collected > 0) {
				err = fmt.Errorf("%+v", x)
			}
			return "", err
		}},
	}}
}

// meanwhile plays an act that must be refused under the clause, while the window revokes certificates by itself.
func meanwhile(what, clause string, do func(context.Context) error) act {
	return act{what, func(ctx context.Context) (string, error) {
		err := do(ctx)
		said, text := clauseOf(err)
		if err == nil || !strings.HasPrefix(said, clause) {
			return "", fmt.Errorf("it should have been refused under %s, but: %v", clause, err)
		}
		return "refused under " + said + ": " + text, nil
	}}
}
