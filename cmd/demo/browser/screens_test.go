package browser

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "write docs/screens anew")

// most is how many bytes a picture may have: the guides are read over slow lines too.
const most = 150 << 10

// The pictures in the guides show the pages as they are, in both languages. With -update they are written anew.
func TestScreens(t *testing.T) {
	w := opened(t)
	approval := ""
	for lang, ending := range map[string]string{chinese: "", english: "-en"} {
		b := w.newTab(t, lang)
		b.size(wide, 800)
		b.to("/login")
		b.speak()
		b.blur()
		b.picture("login" + ending)
		b.ok(w.InsertCard(t.Context(), w.cast.WangCard))
		b.to("/new-password")
		b.seesCard()
		b.blur()
		b.picture("new-password" + ending)
		b.signIn(b.newStaff("clerk"))
		if approval == "" {
			approval = b.proposed()
		}
		for _, p := range []struct{ name, where string }{
			{"home", "/"}, {"person", "/persons/" + w.cast.Wang}, {"device", "/devices/" + w.cast.Tablet}, {"replace", "/devices/" + w.cast.IPhone + "/replace"}, {"application", "/applications/" + w.application},
			{"certificate", "/certificates/" + w.certificate}, {"approval", approval}, {"certificates", "/certificates?state=live"}, {"persons", "/persons"}, {"counter-person", "/counter?person=" + w.cast.Wang},
		} {
			b.to(p.where)
			b.blur()
			b.picture(p.name + ending)
		}
		b.to("/help/computer")
		b.until("testing the computer", `document.querySelector("[data-tests]").dataset.done === "yes"`)
		b.blur()
		b.picture("computer" + ending)
		b.to("/counter/" + w.application)
		b.seesCard()
		b.picture("counter" + ending)
		if lang == chinese {
			b.narrowPictures()
		}
		boss := w.newTab(t, lang)
		boss.size(wide, 800)
		boss.signIn(boss.newStaff("window-admin"))
		for _, p := range []struct{ name, where string }{{"reports", "/reports/approvals"}, {"settings", "/settings"}} {
			boss.to(p.where)
			boss.blur()
			boss.picture(p.name + ending)
		}
	}
}

// narrowPictures are the counter on a telephone, and the page that binds a device.
func (b *tab) narrowPictures() {
	b.t.Helper()
	b.size(narrow, 740)
	b.size(narrow, ask[int64](b, "document.documentElement.scrollHeight"))
	b.picture("counter-360")
	b.size(wide, 800)
	b.to("/devices/" + b.cast.Tablet + "/binding")
	b.enter(`form[action$="/binding"] button`)
	b.until("the QR", `document.querySelector(".qr") !== null`)
	b.blur()
	b.picture("device-binding")
}

// proposed proposes to revoke the certificate, and gives the page of the proposal, which nobody approves.
func (b *tab) proposed() string {
	b.t.Helper()
	b.to("/certificates/" + b.certificate)
	b.tabTo(`[name="window_note"]`)
	b.press("同事來電通報")
	b.enter(`form[action$="/propose-revocation"] button`)
	b.until("the proposal", `location.pathname.startsWith("/approvals/")`)
	return ask[string](b, "location.pathname")
}

// blur takes the focus, and with it the blinking caret, off the page.
func (b *tab) blur() {
	b.t.Helper()
	ask[bool](b, `document.activeElement.blur(), true`)
}

// picture takes one of what the window shows.
func (b *tab) picture(name string) {
	b.t.Helper()
	raw, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	b.ok(err)
	shot, err := png.Decode(bytes.NewReader(raw))
	b.ok(err)
	small := indexed(shot)
	if len(small.Palette) < 8 {
		b.t.Errorf("the picture %s has %d colours: it shows nothing", name, len(small.Palette))
	}
	var out bytes.Buffer
	b.ok((&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small))
	if out.Len() > most {
		b.t.Errorf("the picture %s has %d bytes", name, out.Len())
	}
	if *update {
		b.ok(os.WriteFile(filepath.Join(root, "docs/screens", name+".png"), out.Bytes(), 0o644))
	}
}

// indexed is a picture in its 256 most frequent colours, which is all that pages of text and lines need. The rest,
// at the edges of letters, takes the nearest of them.
func indexed(shot image.Image) *image.Paletted {
	often := map[color.RGBA]int{}
	area := shot.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(shot.At(x, y)).(color.RGBA) }
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			often[at(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(often), func(a, b color.RGBA) int { return often[b] - often[a] })
	var palette color.Palette
	for _, c := range all[:min(len(all), 256)] {
		palette = append(palette, c)
	}
	nearest := map[color.RGBA]uint8{}
	for _, c := range all {
		nearest[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(area, palette)
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			out.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	return out
}
