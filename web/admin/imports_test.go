package admin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/traditionalchinese"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/adopt"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/certpath"
	"certwindow/ra/hca"
	"certwindow/ra/intake"
	"certwindow/ra/store"
	"certwindow/web/session"
)

// openIntake wires imports as the window does. A certificate with an even serial number counts as revoked.
func (h *house) openIntake() {
	certificates := adopt.New(store.AdoptStore{Store: h.store}, h.registry, adopt.Config{Issuers: [][]byte{h.pki.CA.Cert.Raw}, MaxValidity: 5 * 366 * 24 * time.Hour, Most: policy.Always(policy.MaxValidCertificates),
		IsCard:  func(c *certpath.Certificate) bool { return len(c.Policies) > 0 },
		Revoked: func(c ra.Certificate) (bool, error) { return strings.HasSuffix(c.Serial, "0"), nil }}, h.now, rand.Reader)
	h.intake = intake.New(store.IntakeStore{Store: h.store}, map[intake.Kind]intake.Rows{intake.Persons: devices.PersonRows{Service: h.registry},
		intake.Devices: devices.DeviceRows{Service: h.registry}, intake.Certificates: certificates,
		intake.Staffing: devices.StaffingRows{Service: h.registry}}, h.now, rand.Reader)
}

// mobile is a mobile certificate that the HCA issued before the window was there.
func (h *house) mobile(name, holder string, serial int64) []byte {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.ok(err)
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.ObjectIdentifier `asn1:"set"`
	}
	ext, err := asn1.Marshal([]attribute{{hca.OIDSubjectType, []asn1.ObjectIdentifier{hca.OIDPersonnel}}})
	h.ok(err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{Country: []string{"TW"}, CommonName: name, SerialNumber: holder},
		NotBefore: h.at.AddDate(0, -1, 0), NotAfter: h.at.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: hca.OIDSubjectDirectoryAttributes, Value: ext}}}, h.pki.CA.Cert, key.Public(), h.pki.CA.Key)
	h.ok(err)
	return der
}

var importAt = regexp.MustCompile(`^/imports/[0-9A-Z]{26}$`)

// brings previews a file and gives its page.
func (b *browser) brings(kind intake.Kind, file string) (path, body string) {
	b.h.t.Helper()
	rec := b.upload("/imports", "file", "table.csv", []byte(file), url.Values{"kind": {string(kind)}, "institution": {string(ownCode)}, "scope": {"EMR-SIGN"}})
	if path = rec.Header().Get("Location"); !importAt.MatchString(path) {
		b.h.t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return path, b.get(path).Body.String()
}

// takesIn starts an import of n lines and works it to its end.
func (b *browser) takesIn(path string, n int) string {
	b.h.t.Helper()
	if rec := b.post(path+"/start", url.Values{"count": {fmt.Sprint(n)}}); rec.Code != http.StatusSeeOther {
		b.h.t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if body := b.get(path).Body.String(); !strings.Contains(body, `http-equiv="refresh"`) || !strings.Contains(body, "<progress") {
		b.h.t.Error("a page that waits does not say so")
	}
	b.h.works(strings.TrimPrefix(path, "/imports/"))
	return b.get(path).Body.String()
}

func (h *house) works(id string) {
	h.t.Helper()
	for range 1000 {
		again, err := h.intake.Work(h.t.Context(), id)
		h.ok(err)
		if again == 0 {
			return
		}
	}
	h.t.Fatal("the work does not end")
}

func (h *house) count(from string, args ...any) (n int) {
	h.t.Helper()
	h.ok(h.db.Gorm.Raw("SELECT count(*) FROM "+from, args...).Scan(&n).Error)
	return n
}

const roster = "身分證字號,姓名,卡片識別碼,email,單位\n" +
	"A123456789,王大明,0000000000000001,wang@example.org,內科\n" +
	"B223456789,林美玲,0000000000000002,,外科\n" +
	"C12,陳一,0000000000000003,,\n" +
	"D123456789,=SUM(A1),0000000000000004,,\n" +
	"A123456789,王大明,0000000000000001,,\n" +
	"E123456789,張三,0000000000000001,,\n"

// HCA-4.1, HCA-8.1.5: what each line would do is shown, masked, before anything is written; then the lines without an
// error are taken in, each with its own row of the log; the same file again changes nothing.
func TestPersonsAreImported(t *testing.T) {
	h := build(t)
	b := h.signIn(session.InstitutionAdmin)
	big5, err := traditionalchinese.Big5.NewEncoder().String(roster)
	h.ok(err)
	path, body := b.brings(intake.Persons, big5)
	for _, want := range []string{"Big5", "單位", "王○明", "匯入這 3 列", "身分證字號", "公式", "與第 2 列重複"} {
		if !strings.Contains(body, want) {
			t.Errorf("the preview does not say %s:\n%s", want, body)
		}
	}
	if strings.Contains(body, "王大明") || strings.Contains(body, "A123456789") || len(codeIn(t, body)) > 0 || h.count("persons") != 0 {
		t.Error("the preview shows a name or wrote something")
	}
	if rec := b.post(path+"/start", url.Values{"count": {"2"}}); rec.Code != http.StatusConflict {
		t.Errorf("another count than what was shown: %d", rec.Code)
	}
	// Two lines are of one card: which of them is whose only the second one's taking in shows.
	body = b.takesIn(path, 3)
	if !strings.Contains(body, "已完成") || !strings.Contains(body, "已登記給另一人") || h.count("persons") != 2 ||
		h.count("audit_events WHERE act = 'person.register' AND outcome = 'done'") != 2 || h.count("import_lines WHERE verdict = 'done' AND cells IS NOT NULL") != 0 {
		t.Errorf("%d persons:\n%s", h.count("persons"), body)
	}
	if _, again := b.brings(intake.Persons, roster); !strings.Contains(again, "不會造成任何變更") {
		t.Error("the same file again would change something")
	}
	if rec := b.upload("/imports", "file", "x.csv", []byte("身分證字號\nA1\n"), url.Values{"kind": {"persons"}, "institution": {string(ownCode)}}); rec.Code != 400 || !strings.Contains(rec.Body.String(), `href="#f-file"`) {
		t.Errorf("a column is missing: %d", rec.Code)
	}
	if rec := b.upload("/imports", "file", "x.csv", []byte(roster), url.Values{"kind": {"persons"}, "institution": {string(otherCode)}}); rec.Code != 422 {
		t.Errorf("another institution's: %d", rec.Code)
	}
}

// HCA-8.1.6: what one brings and another confirms is the act of who confirmed it; the row of each line names both.
func TestImportNamesBoth(t *testing.T) {
	h := build(t)
	brings, confirms := h.signIn(session.Clerk), h.signIn(session.InstitutionAdmin)
	id := func(r session.Role) (id string) {
		h.ok(h.db.Gorm.Raw("SELECT id FROM staff WHERE role = ?", string(r)).Scan(&id).Error)
		return id
	}
	path, _ := brings.brings(intake.Persons, "身分證字號,姓名,卡片識別碼\nA123456789,王大明,0000000000000001\n")
	body := confirms.takesIn(path, 1)
	if !strings.Contains(body, "確認人") {
		t.Errorf("the page does not say who confirmed:\n%s", body)
	}
	var row struct{ Actor, Details string }
	h.ok(h.db.Gorm.Raw("SELECT actor, details FROM audit_events WHERE act = 'person.register' AND outcome = 'done'").Scan(&row).Error)
	if row.Actor != id(session.InstitutionAdmin) || !strings.Contains(row.Details, `"prepared_by":"`+id(session.Clerk)+`"`) {
		t.Errorf("%+v", row)
	}
}

// HCA-4.1, HCA-4.2: an MDM's export of devices, with their users; and what another institution has is refused.
func TestDevicesAreImported(t *testing.T) {
	h := build(t)
	h.person("王大明", "A123456789", "0000000000000001", ownCode)
	h.person("林美玲", "B223456789", "0000000000000002", ownCode)
	h.ok(func() error {
		_, err := h.registry.RegisterDevice(t.Context(), operator, devices.NewDevice{Code: "X-9", Institution: otherCode, Platform: ra.PlatformIOS, Model: "iPad"})
		return err
	}())
	const export = "Asset Tag,OS,Model,Shared,Users,Wi-Fi MAC\n" +
		"P-1,iOS,iPhone 17,no,A123456789,aa\n" +
		"P-2,Android,Pixel 9,是,A123456789;0000000000000002,bb\n" +
		"P-3,Windows,Surface,no,,cc\n" +
		"P-4,iOS,iPad,no,A123456789;B223456789,dd\n" +
		"P-5,iOS,iPad,no,Z999999999,ee\n" +
		"X-9,iOS,iPad,no,,ff\n"
	b := h.signIn(session.Clerk)
	path, body := b.brings(intake.Devices, export)
	for _, want := range []string{"HCA", "匯入這 2 列", "請先匯入人員"} {
		if want != "HCA" && !strings.Contains(body, want) {
			t.Errorf("the preview does not say %s", want)
		}
	}
	b.takesIn(path, 2)
	if n := h.count("devices WHERE institution = ?", string(ownCode)); n != 2 {
		t.Errorf("%d devices", n)
	}
	if n := h.count("device_users WHERE removed_at IS NULL"); n != 3 {
		t.Errorf("%d users", n)
	}
	path, _ = b.brings(intake.Devices, "code,platform,model,shared,users\nP-2,android,Pixel 9,yes,B223456789\n")
	_, body = b.brings(intake.Devices, "code,platform,model,shared,users\nP-2,android,Pixel 8,yes,B223456789\n")
	if rec := b.get(path); !strings.Contains(rec.Body.String(), "不會造成任何變更") || !strings.Contains(body, "型號或用途不同") {
		t.Error("a device that is there already")
	}
}

// HCA-7.5, HCA-3.6, HCA-5.1.1: certificates from before count; what is not a valid mobile certificate of a person of
// this institution is not taken in, a card's own least of all.
func TestCertificatesAreImported(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000000000001", ownCode)
	d, err := h.registry.RegisterDevice(t.Context(), operator, devices.NewDevice{Code: "P-1", Institution: ownCode, Platform: ra.PlatformIOS, Model: "iPhone 17", Users: []ra.PersonID{p}})
	h.ok(err)
	text := func(der []byte) string { return base64.StdEncoding.EncodeToString(der) }
	card := h.pki.Card(t, cardtest.CardOptions{Name: "王大明", Holder: "0000000000000001"})
	table := "certificate,device,key\n"
	for i := range 6 {
		table += text(h.mobile("王大明", "0000000000000001", int64(0x101+i))) + ",P-1,app\n"
	}
	table += text(card.Cert.Raw) + ",P-1,\n" + text(h.mobile("王小明", "0000000000000001", 0x201)) + ",P-1,\n" + text(h.mobile("陌生人", "0000000000000009", 0x301)) + ",P-1,\n" +
		text(h.mobile("王大明", "0000000000000001", 0x400)) + ",P-1,\n" + text(h.mobile("王大明", "0000000000000001", 0x501)) + ",P-2,\n" + "AAAA,P-1,\n" +
		text(h.mobile("王大明", "0000000000000001", 0x601)) + ",P-1,hsm\n"
	b := h.signIn(session.Clerk)
	path, body := b.brings(intake.Certificates, table)
	for _, want := range []string{"匯入這 6 列", "IC 卡的憑證", "姓名與登記者不同", "請先匯入人員", "廢止", "裝置未登記", "不是 PEM", "HSM"} {
		if !strings.Contains(body, want) {
			t.Errorf("the preview does not say %s", want)
		}
	}
	body = b.takesIn(path, 6)
	if h.count("certificates WHERE state = 'live' AND person_id = ? AND device_id = ?", string(p), string(d)) != 5 || !strings.Contains(body, "未匯入 1") ||
		h.count("audit_events WHERE act = 'certificate.adopt' AND outcome = 'done'") != 5 || h.count("applications WHERE slot BETWEEN 1 AND 5 AND kind = 'adoption'") != 5 {
		t.Errorf("%d certificates:\n%s", h.count("certificates"), body)
	}
	var id string
	h.ok(h.db.Gorm.Raw("SELECT id FROM applications WHERE kind = 'adoption' LIMIT 1").Scan(&id).Error)
	if rec := b.get("/applications/" + id); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "既有憑證納入") {
		t.Errorf("the page of what stands in place of an application: %d", rec.Code)
	}
	var bundle []byte
	for i := range 2 {
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.mobile("王大明", "0000000000000001", int64(0x701+i))})...)
	}
	if _, body := b.brings(intake.Certificates, string(bundle)); !strings.Contains(body, "匯入這 2 列") {
		t.Error("a PEM file with the only device of the person")
	}
}

// A crash between the taking in of a line and its note changes nothing twice; an import can be stopped and gone on with.
func TestAnImportIsResumable(t *testing.T) {
	h := build(t)
	b := h.signIn(session.Clerk)
	table := "national_id,name,holder\n"
	for i := range 250 {
		table += fmt.Sprintf("A1%08d,王大明,%016d\n", i, i+1)
	}
	path, _ := b.brings(intake.Persons, table)
	id := strings.TrimPrefix(path, "/imports/")
	_, err := h.registry.RegisterPerson(t.Context(), operator, devices.Person{NationalID: "A100000000", Name: "王大明", Holder: "0000000000000001"}, ownCode) // as before a crash
	h.ok(err)
	if rec := b.post(path+"/start", url.Values{"count": {"250"}}); rec.Code != http.StatusSeeOther {
		t.Fatal(rec.Code)
	}
	if again, err := h.intake.Work(t.Context(), id); err != nil || again == 0 {
		t.Fatalf("%s, %v", again, err)
	}
	if rec := b.post(path+"/stop", nil); rec.Code != http.StatusSeeOther {
		t.Fatal(rec.Code)
	}
	h.works(id)
	if n := h.count("persons"); n != 100 {
		t.Fatalf("stopped after 100 lines, %d persons", n)
	}
	if body := b.takesIn(path, 150); !strings.Contains(body, "已匯入 250") || h.count("persons") != 250 {
		t.Errorf("%d persons", h.count("persons"))
	}
	h.wait(25 * time.Hour)
	h.ok(h.intake.Forget(t.Context()))
	if h.count("import_lines WHERE cells IS NOT NULL") != 0 {
		t.Error("cells that name people are still there")
	}
}
