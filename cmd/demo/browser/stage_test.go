// Package browser drives the staff's pages in Chromium, over a whole window of real processes: what a clerk and a
// holder see, hear read out, and can do with the keyboard alone.
package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"certwindow/cmd/demo/stage"
	"certwindow/cmd/demo/story"
)

// root is the folder of the module, seen from this package.
const root = "../../.."

// window is what all tests here play on: the processes, the people, and a browser.
type window struct {
	*stage.Stage
	story       *story.Story
	cast        story.Cast
	browser     context.Context
	certificate string                       // one that is in force
	application string                       // one that waits for its holder's card
	words       map[string]map[string]string // of the pages, by language
	furniture   story.Furniture
	judged      sync.Map // what accessible has seen
	followed    sync.Map // where links led
	staff       sync.Mutex
	accounts    int // how many the tests have made
	close       []func()
}

// theWindow is built by the first test that needs it, and closed after the last: it takes seconds.
var theWindow struct {
	sync.Once
	w   *window
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	theWindow.w.stop()
	os.Exit(code)
}

// opened is the window, or skips the test where there is no Chromium or no SoftHSM.
func opened(t *testing.T) *window {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a browser and a whole window")
	}
	path := need(t, "chromium", "chromium-browser", "google-chrome")
	need(t, stage.Module)
	theWindow.Do(func() { theWindow.w, theWindow.err = open(path) })
	if theWindow.err != nil {
		t.Fatal(theWindow.err)
	}
	return theWindow.w
}

// need finds the first program or file that is installed; none is a failure under CI, and a skip elsewhere.
func need(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		if _, err := os.Stat(name); err == nil && filepath.IsAbs(name) {
			return name
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("none of %v is installed, and CI needs one", names)
	}
	t.Skipf("none of %v is installed", names)
	return ""
}

func open(chromium string) (w *window, err error) {
	w = &window{words: map[string]map[string]string{}}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	for _, lang := range []string{chinese, english} {
		names, err := filepath.Glob(filepath.Join(root, "web/admin/messages", lang, "*.json"))
		if err != nil || len(names) == 0 {
			return w, fmt.Errorf("no words of %s: %v", lang, err)
		}
		words := map[string]string{}
		for _, name := range names {
			raw, err := os.ReadFile(name)
			if err != nil {
				return w, err
			}
			if err := json.Unmarshal(raw, &words); err != nil {
				return w, err
			}
		}
		w.words[lang] = words
	}
	dir, err := os.MkdirTemp("", "certwindow-browser-")
	if err != nil {
		return w, err
	}
	w.close = append(w.close, func() { _ = os.RemoveAll(dir) })
	if err := w.build(dir); err != nil {
		return w, err
	}
	return w, w.browse(chromium, filepath.Join(dir, "profile"))
}

// build compiles the programs and plays the story up to a certificate that is in force.
func (w *window) build(dir string) error {
	bin := filepath.Join(dir, "bin")
	args := []string{"build", "-buildvcs=false", "-o", bin + "/"}
	for _, program := range []string{"certwindow", "cardagent", "hcasim"} {
		args = append(args, "./cmd/"+program)
	}
	ctx, stop := context.WithTimeout(context.Background(), 4*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	place := filepath.Join(dir, "stage")
	if err := os.Mkdir(place, 0o700); err != nil {
		return err
	}
	st, err := stage.New(ctx, stage.Options{Bin: bin, Dir: place})
	if err != nil {
		return err
	}
	w.Stage = st
	w.close = append(w.close, st.Close)
	var told bytes.Buffer
	w.story = story.New(st, &told)
	if err := w.story.Prepare(ctx); err != nil {
		return errors.Join(err, errors.New(told.String()))
	}
	w.cast = w.story.Cast()
	if w.certificate, err = w.story.Enrol(ctx); err != nil {
		return err
	}
	if w.furniture, err = w.story.Furnish(ctx); err != nil {
		return err
	}
	w.application, err = w.story.Begin(ctx)
	return err
}

// browse starts a browser that talks to this machine alone.
func (w *window) browse(chromium, profile string) error {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.IgnoreCertErrors,
		chromedp.UserDataDir(profile), chromedp.WindowSize(1280, 800), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	w.close = append(w.close, stop)
	ctx, stop = chromedp.NewContext(ctx)
	w.close = append(w.close, stop)
	w.browser = ctx
	if err := chromedp.Do(ctx); err != nil { // starts it; how long that may take is chromedp's to bound
		return err
	}
	ctx, stop = context.WithTimeout(ctx, patience)
	defer stop()
	return chromedp.Do(ctx, chromedp.Navigate("about:blank"))
}

// stop ends everything, the last started first.
func (w *window) stop() {
	if w == nil {
		return
	}
	for i := len(w.close) - 1; i >= 0; i-- {
		w.close[i]()
	}
}
