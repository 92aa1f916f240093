package story

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"certwindow/cmd/demo/stage"
)

// Furniture names what Furnish put into the house, by the addresses of its pages.
type Furniture struct {
	Person, Staff, App, Import, Broken, Proposal, Sweep, Institution, Client, Bulk string
}

// Furnish fills the house as it looks after a few days of work, through the pages alone: an import of persons and one of
// devices, a file with mistakes that waits, an approved app and one to be approved, notices, a second institution with a
// long name, a sweep, and applications that came to different ends. It needs every card in a reader: see stage.StartAgent.
func (s *Story) Furnish(ctx context.Context) (f Furniture, err error) {
	for _, do := range []func(context.Context, *Furniture) error{s.furnishPeople, s.furnishApps, s.furnishInstitution, s.furnishWork, s.furnishSystem, s.furnishSweep} {
		if err := do(ctx, &f); err != nil {
			return f, err
		}
	}
	return f, nil
}

// letters are the numbers that stand for the first letter of a national id.
const letters = "ABCDEFGHJKLMNPQRSTUVXYWZIO"

// nationalID is a valid one: its last digit checks the others.
func nationalID(letter byte, digits string) string {
	n := strings.IndexByte(letters, letter) + 10
	sum := n/10 + n%10*9
	for i, d := range []byte(digits) {
		sum += int(d-'0') * (8 - i)
	}
	return fmt.Sprintf("%c%s%d", letter, digits, (10-sum%10)%10)
}

var given = []string{"怡君", "志明", "雅婷", "家豪", "淑芬", "俊傑", "美玲", "建宏", "佳穎", "宗翰"}

// longName is as long as names of Taiwan's peoples are, in both scripts.
const longName = "谷辣斯·尤達卡·Kulas Yotaka Lowking Nowbucyang"

func (s *Story) furnishPeople(ctx context.Context, f *Furniture) (err error) {
	var persons, phones strings.Builder
	persons.WriteString("national_id,name,holder,email,phone\n")
	phones.WriteString("code,platform,model,users\n")
	for i := range 60 {
		name := string([]rune("陳林黃張李吳劉蔡楊許")[i%10]) + given[(i*7+i/10)%10]
		switch i {
		case 7:
			name = longName
		case 23:
			name = "Alexandra Montgomery-Featherstonehaugh"
		}
		id := nationalID(letters[i%26], fmt.Sprintf("%d%07d", 1+i%2, 3104729+i*7919))
		fmt.Fprintf(&persons, "%s,%s,88000000000%05d,staff%02d@hospital.example,09%08d\n", id, name, 20000+i, i, 12000000+i*137)
		platform, model := "ios", "iPhone 16 Pro"
		if i%3 == 0 {
			platform, model = "android", "Pixel 9"
		}
		fmt.Fprintf(&phones, "ASSET-%05d,%s,%s,%s\n", 10400+i, platform, model, id)
	}
	if f.Import, err = s.takeIn(ctx, "persons", persons.String()); err != nil {
		return err
	}
	if _, err = s.takeIn(ctx, "devices", phones.String()); err != nil {
		return err
	}
	p, err := s.clerk.post(ctx, "/search", url.Values{"q": {longName}})
	if err != nil {
		return err
	}
	f.Person = p.url.Path
	f.Broken, err = s.bring(ctx, "persons", "national_id,name,holder\nA123456789,王小明,8800000000000017\nA123456788,號碼錯誤,8800000000000033\n,沒有證號,8800000000000041\n")
	return err
}

// bring uploads a table and gives the page of its preview.
func (s *Story) bring(ctx context.Context, kind, table string) (string, error) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range map[string]string{"csrf": s.clerk.csrf, "kind": kind, "institution": stage.Window} {
		if err := w.WriteField(name, value); err != nil {
			return "", err
		}
	}
	part, err := w.CreateFormFile("file", kind+".csv")
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(part, table); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.clerk.base+"/imports", &body)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("Origin", s.clerk.base)
	p, err := s.clerk.send(req)
	return p.url.Path, err
}

// takeIn brings a table and has it taken in.
func (s *Story) takeIn(ctx context.Context, kind, table string) (where string, err error) {
	if where, err = s.bring(ctx, kind, table); err != nil {
		return where, err
	}
	p, err := s.clerk.get(ctx, where)
	if err != nil {
		return where, err
	}
	m := shownCount.FindStringSubmatch(p.body)
	if m == nil {
		return where, fmt.Errorf("nothing of the %s can be taken in", kind)
	}
	if _, err := s.clerk.post(ctx, where+"/start", url.Values{"count": {m[1]}}); err != nil {
		return where, err
	}
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	for {
		if p, err = s.clerk.get(ctx, where); err != nil || !strings.Contains(p.body, "<progress") {
			return where, err
		}
		select {
		case <-ctx.Done():
			return where, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Story) furnishApps(ctx context.Context, f *Furniture) error {
	for _, version := range []string{"1.0.0", "1.1.0"} {
		sum := sha256.Sum256([]byte(version))
		p, err := s.admin.post(ctx, "/apps/new", url.Values{"platform": {"android"}, "name": {"示範醫院行動簽章 Demonstration Hospital Signing"}, "package": {"tw.hospital.signing"},
			"version": {version}, "min_os": {"13"}, "permissions": {"android.permission.CAMERA\nandroid.permission.USE_BIOMETRIC\nandroid.permission.INTERNET"},
			"download": {"https://apps.hospital.example/signing-" + version + ".apk"}, "digest": {hex.EncodeToString(sum[:])}, "scopes": {"EMR-SIGN"},
			"evidence": {"資安檢測報告 115-0421"}, "evidence_sha256": {hex.EncodeToString(sum[:])}, "reviewer": {"李資安"}, "reviewed": {"2026-10-30"}})
		if err != nil {
			return err
		}
		f.App = p.url.Path
		if p, err = s.admin.post(ctx, f.App+"/propose", url.Values{}); err != nil {
			return err
		}
		f.Proposal = p.url.Path
		if version == "1.0.0" {
			if _, err := s.approver.approve(ctx, f.Proposal); err != nil {
				return err
			}
		}
	}
	_, err := s.admin.post(ctx, "/notices", url.Values{"last": {"0"}, "risk_zh": {"行動裝置可能遺失或遭竊，請勿將裝置借予他人。"}, "risk_en": {"A phone can be lost or stolen. Lend it to nobody."},
		"antivirus_zh": {"請安裝並更新防毒軟體。"}, "antivirus_en": {"Install an antivirus program and keep it up to date."}})
	return err
}

func (s *Story) furnishInstitution(ctx context.Context, f *Furniture) error {
	p, err := s.admin.get(ctx, "/staff")
	if err != nil {
		return err
	}
	if m := staffLink.FindStringSubmatch(p.body); m != nil {
		f.Staff = "/staff/" + m[1]
	}
	const code = "1137010024"
	f.Institution = "/institutions/" + code
	_, err = s.admin.post(ctx, "/institutions/new", url.Values{"code": {code}, "name": {"財團法人示範紀念醫療財團法人彰化示範紀念醫院附設居家護理所"},
		"agreement": {strings.Repeat("5e", sha256.Size)}, "from": {time.Now().AddDate(0, -2, 0).Format(time.DateOnly)}, "to": {time.Now().AddDate(2, 0, 0).Format(time.DateOnly)}})
	return err
}

var (
	shownCount = regexp.MustCompile(`name="count" value="([0-9]+)"`)
	shownList  = regexp.MustCompile(`name="list" value="([^"]+)"`)
)

// furnishWork makes a certificate that is revoked again and one that stays, reminds the holders of those that stay, and
// makes an application that its clerk withdraws.
func (s *Story) furnishWork(ctx context.Context, f *Furniture) error {
	ended, err := s.Enrol(ctx)
	if err != nil {
		return err
	}
	if err := s.revoke(ctx, ended); err != nil {
		return err
	}
	if _, err := s.Enrol(ctx); err != nil {
		return err
	}
	p, err := s.clerk.get(ctx, "/bulks/new?institution="+stage.Window+"&state=live")
	if err != nil {
		return err
	}
	count, list := shownCount.FindStringSubmatch(p.body), shownList.FindStringSubmatch(p.body)
	if count == nil || list == nil {
		return fmt.Errorf("the search for live certificates finds none")
	}
	if p, err = s.clerk.post(ctx, "/bulks/remind", url.Values{"institution": {stage.Window}, "state": {"live"}, "count": {count[1]}, "list": {list[1]}}); err != nil {
		return err
	}
	f.Bulk = p.url.Path
	left, err := s.Begin(ctx)
	if err != nil {
		return err
	}
	_, err = s.clerk.post(ctx, "/applications/"+left+"/cancel", url.Values{})
	return err
}

// furnishSystem has two persons register a system that asks for signatures (HCA-8.1.6).
func (s *Story) furnishSystem(ctx context.Context, f *Furniture) error {
	certificate, err := os.ReadFile(s.st.Path("tls.pem"))
	if err != nil {
		return err
	}
	p, err := s.admin.post(ctx, "/clients/new", url.Values{"id": {"his-emr"}, "kind": {"signing"}, "name": {"電子病歷系統"}, "institution": {stage.Window}, "scopes": {"EMR-SIGN"},
		"redirects": {"https://emr.hospital.example/signed"}, "certificate": {string(certificate)}})
	if err != nil {
		return err
	}
	f.Client = "/clients/his-emr"
	_, err = s.approver.approve(ctx, p.url.Path)
	return err
}

var sweepLink = regexp.MustCompile(`href="(/reports/sweeps/[0-9A-Z]{26})"`)

func (s *Story) furnishSweep(ctx context.Context, f *Furniture) error {
	if _, err := s.st.Run(ctx, "certwindow", "sweep", "--config", s.st.Config()); err != nil {
		return err
	}
	p, err := s.admin.get(ctx, "/reports/sweeps")
	if err != nil {
		return err
	}
	m := sweepLink.FindStringSubmatch(p.body)
	if m == nil {
		return fmt.Errorf("no sweep is in the report")
	}
	f.Sweep = m[1]
	return nil
}
