package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"certwindow/hsm/p11/p11test"

	"github.com/chromedp/chromedp"
)

// chromiumPath is Debian's.
const chromiumPath = "/usr/bin/chromium"

// counterPage is a page that uses a card component as the pages in use do: it opens the popup in a click,
// answers its getTbs with a text of JSON, and takes texts from the component's origin alone.
const counterPage = `<!doctype html><meta charset="utf-8"><button id="go">go</button><script>
const component = "http://localhost:" + new URLSearchParams(location.search).get("port");
const result = new Promise((resolve) => {
  window.addEventListener("message", (event) => {
    if (event.origin !== component || typeof event.data !== "string") return;
    const message = JSON.parse(event.data);
    if (message.func === "getTbs") {
      event.source.postMessage(JSON.stringify(window.request).replace(/%/g, "%25").replace(/\+/g, "%2B").replace(/&/g, "%26"), "*");
      return;
    }
    resolve(event.data);
  });
});
document.getElementById("go").onclick = () => { window.popup = window.open(component + window.path, "card", "height=200,width=200"); };
const image = () => new Promise((resolve, reject) => {
  const img = new Image();
  img.crossOrigin = "anonymous";
  img.onerror = () => reject(new Error("no component"));
  img.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = 2000; canvas.height = 1;
    const context = canvas.getContext("2d");
    context.drawImage(img, 0, 0);
    const pixels = context.getImageData(0, 0, 2000, 1).data;
    let text = "";
    for (let i = 0; i < pixels.length && pixels[i + 2] !== 0; i += 4)
      text += String.fromCharCode(pixels[i + 2], pixels[i + 1], pixels[i]);
    resolve(text.replace(/\0+$/, ""));
  };
  img.src = component + "/p11Image.bmp?" + Math.random();
});
const firstEvent = () => new Promise((resolve) => {
  const stream = new EventSource(component + "/events");
  stream.addEventListener("cards", (event) => { if (event.data !== "[]") { stream.close(); resolve(event.data); } });
  stream.onerror = () => { stream.close(); resolve("refused"); };
});
</script>`

// startChromium gives a browser that ends with the test.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	need(t, chromiumPath)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromiumPath), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// site serves the page at an origin of its own on this computer.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
		_, _ = w.Write([]byte(counterPage))
	}))
	t.Cleanup(s.Close)
	return s
}

// click has the page open a window of the component with the request and returns what it was sent.
func click(t *testing.T, ctx context.Context, page, path string, request map[string]string) answer {
	t.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	err = chromedp.Do(ctx, chromedp.Navigate(page))
	if err == nil {
		_, err = chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf("window.request = %s, window.path = %q, true", text, path)))
	}
	if err == nil {
		err = chromedp.Do(ctx, chromedp.Click("#go"))
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := chromedp.Run(ctx, chromedp.Evaluate[string]("result", chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	var got answer
	if err := json.Unmarshal([]byte(data), &got); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	if _, err := chromedp.Run(ctx, chromedp.PollFunction[bool]("() => window.popup.closed")); err != nil {
		t.Error("the popup stays open:", err)
	}
	return got
}

// A page on a trusted origin gets a signature through the popup; one on another origin gets 0x76000031,
// whatever it tries. HCA-8.1.2, HCA-8.1.3.
func TestPopup(t *testing.T) {
	need(t, "/usr/bin/openssl")
	ctx := startChromium(t)
	place, cert := softCard(t)
	path, seen := scriptedPINEntry(t, p11test.UserPIN)
	trusted, other := site(t), site(t)
	a := startAgent(t, "--module", place.Module, "--pinentry", path, "--origin", trusted.URL)
	port := a.addr[strings.LastIndex(a.addr, ":")+1:]
	page, otherPage := trusted.URL+"/?port="+port, other.URL+"/?port="+port
	sign := map[string]string{"func": "MakeSignature", "tbs": consent, "signatureType": "PKCS7", "hashAlgorithm": "SHA256", "pin": "0000000", "nonce": ""}

	got := click(t, ctx, page, "/popupForm", sign)
	if got.Func != "sign" || got.RetCode != 0 {
		t.Fatalf("trusted site: %+v\n%s", got, a.log)
	}
	if content := opensslVerify(t, got.Signature, cert); string(content) != consent || !strings.Contains(seen(), consent) {
		t.Errorf("signed %q, shown %s", content, seen())
	}
	if !strings.Contains(seen(), trusted.URL) {
		t.Errorf("the window does not name the site: %s", seen())
	}
	event, err := chromedp.Run(ctx, chromedp.Evaluate[string]("firstEvent()", chromedp.EvalAwaitPromise))
	if err != nil || !strings.Contains(event, got.Insertion) {
		t.Errorf("/events says %s, %v; the signature was of insertion %s", event, err, got.Insertion)
	}
	info := click(t, ctx, page, "/popupForm", map[string]string{"func": "GetUserCert"})
	if info.Func != "pkcs11info" || info.RetCode != 0 || !strings.Contains(string(info.Slots[0].Token), "certb64") {
		t.Errorf("GetUserCert: %+v", info)
	}

	asked := len(seen())
	if got = click(t, ctx, otherPage, "/popupForm", sign); got.RetCode != 0x76000031 || got.Signature != nil {
		t.Errorf("other site: %+v", got)
	}
	if got = click(t, ctx, otherPage, "/popupForm", map[string]string{"func": "GetUserCert"}); got.RetCode != 0x76000031 || len(got.Slots) != 0 {
		t.Errorf("other site: %+v", got)
	}
	if event, err = chromedp.Run(ctx, chromedp.Evaluate[string]("firstEvent()", chromedp.EvalAwaitPromise)); err != nil || event != "refused" {
		t.Errorf("other site listens: %s, %v", event, err)
	}
	image, err := chromedp.Run(ctx, chromedp.Evaluate[string]("image()", chromedp.EvalAwaitPromise))
	if err != nil || !json.Valid([]byte(image)) || !strings.Contains(image, "serverVersion") {
		t.Errorf("image: %q, %v", image, err)
	}
	if got = click(t, ctx, otherPage, "/addDomain?domain=127.0.0.1", nil); got.RetCode != 0x7600000F {
		t.Errorf("a site was added though it is not allowed: %+v", got)
	}
	forged := `fetch(component + "/sign", {method: "POST", headers: {"X-Card-Opener": "` + trusted.URL + `"}, body: '{"tbs":"x"}'}).then(() => "sent", () => "blocked")`
	if outcome, err := chromedp.Run(ctx, chromedp.Evaluate[string](forged, chromedp.EvalAwaitPromise)); err != nil || outcome != "blocked" {
		t.Errorf("another site names a trusted opener: %s, %v", outcome, err)
	}
	if len(seen()) != asked {
		t.Errorf("somebody was asked for a PIN for another site: %s", seen()[asked:])
	}
}

// A site that the person approves at /addDomain is trusted from then on, and written down.
func TestAddDomainInBrowser(t *testing.T) {
	ctx := startChromium(t)
	place, _ := softCard(t)
	path, seen := scriptedPINEntry(t, p11test.UserPIN)
	page := site(t)
	sites := t.TempDir() + "/sites"
	a := startAgent(t, "--module", place.Module, "--pinentry", path, "--origins-file", sites)
	port := a.addr[strings.LastIndex(a.addr, ":")+1:]
	address := page.URL + "/?port=" + port
	if got := click(t, ctx, address, "/popupForm", map[string]string{"func": "CheckEnvir"}); got.RetCode != 0x76000031 {
		t.Fatalf("before: %+v", got)
	}
	if got := click(t, ctx, address, "/addDomain?domain=127.0.0.1", nil); got.RetCode != 0 || got.Func != "" {
		t.Fatalf("adding: %+v\n%s", got, a.log)
	}
	if !strings.Contains(seen(), page.URL) {
		t.Errorf("the question does not name the site: %s", seen())
	}
	if got := click(t, ctx, address, "/popupForm", map[string]string{"func": "CheckEnvir"}); got.RetCode != 0 {
		t.Errorf("after: %+v", got)
	}
	if kept, err := lines(sites); err != nil || len(kept) != 1 || kept[0] != page.URL {
		t.Errorf("written down: %v, %v", kept, err)
	}
}
