package story

import (
	"context"
	"encoding/hex"
	"net/url"
	"strings"
	"time"
)

// app is the version that the story's phones run.
const (
	appPackage = "tw.hospital.example"
	appVersion = "1.0.0"
)

// approveApps puts the app on file for both platforms, each with the evidence of its review, and approves it by two
// persons (HCA-2.6, HCA-6.1).
func (s *Story) approveApps(ctx context.Context) (string, error) {
	s.apps = map[string]string{}
	for platform, digest := range map[string]string{"ios": "ABCDE12345." + appPackage, "android": hex.EncodeToString(make([]byte, 32))} {
		page, err := s.admin.post(ctx, "/apps/new", url.Values{"platform": {platform}, "package": {appPackage}, "name": {"示範簽章"}, "version": {appVersion},
			"permissions": {"INTERNET"}, "download": {"https://apps.example.tw/" + platform}, "digest": {digest}, "min_os": {"16"}, "scopes": {"EMR-SIGN", "E-PRESCRIPTION"},
			"evidence": {"review.pdf"}, "evidence_sha256": {hex.EncodeToString(make([]byte, 32))}, "reviewer": {"資訊室"}, "reviewed": {time.Now().AddDate(0, 0, -2).Format(time.DateOnly)}})
		if err != nil {
			return "", err
		}
		s.apps[platform] = page.id()
		if err := s.approveApp(ctx, platform); err != nil {
			return "", err
		}
	}
	return appPackage + " " + appVersion, nil
}

func (s *Story) approveApp(ctx context.Context, platform string) error {
	page, err := s.admin.post(ctx, "/apps/"+s.apps[platform]+"/propose", url.Values{})
	if err != nil {
		return err
	}
	_, err = s.approver.approve(ctx, page.url.Path)
	return err
}

// withdrawal is a scene of its own: one person stops an app version, and no key is used in it from then on
// (HCA-6.1, HCA-8.2.1).
func (s *Story) withdrawal() scene {
	acts := []act{{"the administrator withdraws the app version, which needs no second person", func(ctx context.Context) (string, error) {
		for platform := range s.apps {
			if _, err := s.admin.post(ctx, "/apps/"+s.apps[platform]+"/withdraw", url.Values{"reason": {"vulnerable"}}); err != nil {
				return "", err
			}
		}
		return "", nil
	}}}
	acts = append(acts, s.refusal("the HSM key's next signature, from that app", "HCA-8.2.1", func(ctx context.Context) error {
		_, err := s.tablet.phone.signWithHSM(ctx, s.hsmCert.id, []byte(document))
		return err
	}), s.refusal("a status statement for the key on the iPhone", "HCA-8.2.1", func(ctx context.Context) error {
		_, err := s.iphone.phone.signDocument(ctx, s.phoneCert.id, []byte(document))
		return err
	}), act{"two persons approve it again, and both phones sign", func(ctx context.Context) (string, error) {
		for platform := range s.apps {
			if err := s.approveApp(ctx, platform); err != nil {
				return "", err
			}
		}
		hsm, err := s.signInHSM(ctx)
		if err != nil {
			return "", err
		}
		own, err := s.signOnPhone(ctx)
		return strings.Join([]string{hsm, own}, "; "), err
	}})
	return scene{"An app version withdrawn", acts}
}
