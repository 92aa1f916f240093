package admin

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/web/session"
)

func TestPreview(t *testing.T) {
	out := os.Getenv("PREVIEW")
	if out == "" {
		t.Skip("no PREVIEW")
	}
	yes := true
	only := os.Getenv("ONLY")
	os.MkdirAll(out, 0o755)
	h := build(t)
	h.at = time.Now().UTC()
	h.pki.At = h.at
	names := []string{"王大明", "陳志明", "林美玲", "Mary Smith", "谷辣斯‧尤達卡", "李明"}
	var ids []ra.PersonID
	for i, n := range names {
		ids = append(ids, h.person(n, fmt.Sprintf("A12345678%d", i), fmt.Sprintf("00000001123456%02d", i), ownCode))
	}
	d := h.boundDevice("TAB-0301", ids[0], ownCode)
	h.boundDevice("PHONE-1190", ids[1], ownCode)
	shared, err := h.registry.RegisterDevice(t.Context(), operator, devices.NewDevice{Code: "WARD-7A-02", Institution: ownCode, Platform: ra.PlatformAndroid, Model: "Galaxy Tab S11", Shared: true, Users: ids[:3]})
	h.ok(err)
	lost := h.boundDevice("PHONE-0042", ids[2], ownCode)
	h.ok(h.registry.Report(t.Context(), operator, lost, ra.DeviceLose))
	a, err := h.enrol.Begin(t.Context(), operator, enrol.New{Person: ids[0], Device: d, Institution: ownCode, Scope: []string{"EMR-SIGN", "E-PRESCRIPTION"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice})
	h.ok(err)
	for range 3 {
		_, err := h.enrol.Begin(t.Context(), operator, enrol.New{Person: ids[0], Device: d, Institution: ownCode, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyHSM, Carrier: ra.CarrierDevice})
		h.ok(err)
	}
	var certs []ra.CertificateID
	for _, st := range []ra.CertificateState{ra.CertLive, ra.CertSuspended, ra.CertRevoking, ra.CertRevoked, ra.CertExpired} {
		certs = append(certs, h.certificate(ids[0], d, ownCode, st))
	}
	srv := httptest.NewTLSServer(h.echo)
	defer srv.Close()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.IgnoreCertErrors, chromedp.Flag("disable-dev-shm-usage", true))
	actx, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	defer stop()
	ctx, stop2 := chromedp.NewContext(actx)
	defer stop2()
	cookie := func(b *browser) {
		_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{Name: session.CookieName, Value: b.cookie[0].Value, URL: srv.URL, Path: "/", Secure: &yes, HTTPOnly: &yes})
		h.ok(err)
	}
	shoot := func(name, path string, width int64, dark bool) {
		if only != "" && !strings.Contains(name, only) {
			return
		}
		scheme := "light"
		if dark {
			scheme = "dark"
		}
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		h.ok(err)
		height := int64(800)
		if width < 500 {
			height = 740
		}
		steps := []chromedp.Action[chromedp.Void]{chromedp.EmulateViewport(width, height)}
		if path != "" {
			steps = append(steps, chromedp.Navigate(srv.URL+path))
		}
		h.ok(chromedp.Do(ctx, steps...))
		time.Sleep(300 * time.Millisecond)
		wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
		h.ok(err)
		if wide > width {
			t.Errorf("%s: %d wide at %d", name, wide, width)
		}
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		h.ok(err)
		h.ok(os.WriteFile(fmt.Sprintf("%s/%s-%d-%s.png", out, name, width, scheme), png, 0o644))
	}
	all := func(name, path string) {
		shoot(name, path, 1280, false)
		if os.Getenv("FULL") != "" {
			shoot(name, path, 1280, true)
			shoot(name, path, 360, false)
			shoot(name, path, 360, true)
		}
	}
	all("login", "/login?why=session-idle")
	b := h.signIn(session.Clerk)
	cookie(b)
	all("home", "/")
	all("persons", "/persons")
	all("person-new", "/persons/new")
	all("person", "/persons/"+string(ids[0]))
	all("devices", "/devices")
	all("device", "/devices/"+string(shared))
	all("device-new", "/devices/new?person="+string(ids[0]))
	all("application-new", "/applications/new?person="+string(ids[0]))
	all("applications", "/applications")
	all("application-one", "/applications/"+string(a.ID))
	all("counter", "/counter/"+string(a.ID))
	all("certificates", "/certificates")
	all("certificate-one", "/certificates/"+string(certs[0]))
	all("nowhere", "/nowhere")
	all("forbidden", "/audit")
	if only == "" || strings.Contains("binding", only) {
		h.ok(chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/devices/"+string(shared)+"/binding"), chromedp.Click("main button.main")))
		time.Sleep(500 * time.Millisecond)
		all("binding", "")
		o, err := h.registry.OfferBinding(t.Context(), operator, shared)
		h.ok(err)
		_, err = h.registry.PresentBinding(t.Context(), operator, o.Code, h.spki(), "{}")
		h.ok(err)
		all("binding-code", "/devices/"+string(shared)+"/binding")
	}
	if only == "" || strings.Contains("wrongform", only) {
		h.ok(chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/persons/new"), chromedp.SetValue("#f-name", "王大明"), chromedp.SetValue("#f-national_id", "A1"), chromedp.SetValue("#f-holder", "77"), chromedp.Click("main button.main")))
		time.Sleep(500 * time.Millisecond)
		all("wrongform", "")
	}
	b = h.signIn(session.WindowAdmin)
	cookie(b)
	all("institutions", "/institutions")
	all("institution-new", "/institutions/new")
	all("scopes", "/scopes")
	all("staff", "/staff")
	all("staff-new", "/staff/new")
	all("staff-one", "/staff/"+string(h.staff[session.Clerk].cred.ID))
	all("audit", "/audit")
	if only == "" || strings.Contains("credentials", only) {
		h.ok(chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/staff/new"), chromedp.SetValue("#f-account", "new.clerk"), chromedp.SetValue("#f-name", "陳怡君"), chromedp.Click("input[value=clerk]"), chromedp.Click("main button.main")))
		time.Sleep(500 * time.Millisecond)
		all("credentials", "")
	}
	_ = url.Values{}
	_ = context.Background
}
