package admin

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

//go:embed messages/*/*.json templates/*.html static/*
var files embed.FS

// catalogue is the words of one language.
type catalogue map[string]string

// say is a message with its arguments. One that is missing shows its key, which a test keeps from happening.
func (c catalogue) say(key string, args ...any) string {
	m, ok := c[key]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return m
	}
	return fmt.Sprintf(m, args...)
}

// find is a message that may be missing.
func (c catalogue) find(key string) (string, bool) {
	m, ok := c[key]
	return m, ok
}

// loadCatalogues reads the words of each language, a file for each area of the pages. A key stands in one file only.
func loadCatalogues() (map[string]catalogue, error) {
	out := map[string]catalogue{}
	for _, lang := range []string{chinese, english} {
		names, err := fs.Glob(files, "messages/"+lang+"/*.json")
		if err != nil {
			return nil, err
		}
		out[lang] = catalogue{}
		for _, name := range names {
			if err := out[lang].read(name); err != nil {
				return nil, fmt.Errorf("admin: %s: %w", name, err)
			}
		}
	}
	return out, nil
}

func (c catalogue) read(name string) error {
	raw, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	area := catalogue{}
	if err := json.Unmarshal(raw, &area); err != nil {
		return err
	}
	for key, words := range area {
		if _, twice := c[key]; twice {
			return fmt.Errorf("%s has words in another file as well", key)
		}
		c[key] = words
	}
	return nil
}

// asset is a static file under a name that changes with its content.
type asset struct {
	kind string
	body []byte
}

var assetKinds = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func loadAssets() (map[string]asset, error) {
	out := map[string]asset{}
	names, err := fs.Glob(files, "static/*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		body, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		kind, ok := assetKinds[path.Ext(name)]
		if !ok {
			return nil, fmt.Errorf("admin: %s is of no known kind", name)
		}
		out[assetName(name, body)] = asset{kind, body}
	}
	return out, nil
}

func assetName(name string, body []byte) string {
	sum := sha256.Sum256(body)
	base, ext := strings.TrimSuffix(path.Base(name), path.Ext(name)), path.Ext(name)
	return base + "." + hex.EncodeToString(sum[:6]) + ext
}

// assetPath is the address of a static file.
func (s *Site) assetPath(name string) (string, error) {
	body, err := files.ReadFile("static/" + name)
	if err != nil {
		return "", err
	}
	return "/static/" + assetName(name, body), nil
}

// taipei is the time of every page; Taiwan keeps no summer time.
var taipei = time.FixedZone("Asia/Taipei", 8*60*60)

const stampFormat = "2006-01-02 15:04"

// ago says how long ago, or in how long, in words.
func (c catalogue) ago(t, now time.Time) string {
	d := now.Sub(t)
	key := "ago"
	if d < 0 {
		d, key = -d, "in"
	}
	switch {
	case d < time.Minute:
		return c.say(key + ".now")
	case d < time.Hour:
		return c.say(key+".minutes", int(d/time.Minute))
	case d < 48*time.Hour:
		return c.say(key+".hours", int(d/time.Hour))
	}
	return c.say(key+".days", int(d/(24*time.Hour)))
}
