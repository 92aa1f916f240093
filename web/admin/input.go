package admin

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"certwindow/ra"
)

// maxForm is how much of a form is kept in memory; the server has capped the whole body at no more than that.
const maxForm = 1 << 20

// maxUpload is how much a route that takes files reads. All of it stays in memory: what is uploaded names people, and
// nothing of it may be left on a disk.
const maxUpload = 9 << 20

// Uploads are the routes that take files, with what they take at most, for web.Config.
func (s *Site) Uploads() map[string]int64 {
	out := map[string]int64{}
	for _, r := range s.table {
		if r.upload {
			out[r.method+" "+r.path] = maxUpload
		}
	}
	return out
}

// upload is one file of a form, whole; its name is what the browser says. Nothing chosen is refused.
func (p *page) upload(field string) (name string, content []byte, err error) {
	missing := ra.Errorf(ra.KindMalformed, "file-missing", nil, "Choose a file. Nothing was changed.")
	h, err := p.FormFile(field)
	if err != nil || h.Size == 0 {
		return "", nil, missing
	}
	f, err := h.Open()
	if err != nil {
		return "", nil, missing
	}
	defer f.Close()
	if content, err = io.ReadAll(io.LimitReader(f, maxUpload)); err != nil || !isText(h.Filename) {
		return "", nil, missing
	}
	return h.Filename, content, nil
}

// FormValue is one value of what was posted, or of the address where nothing is. A form's address gives nothing
// to what it posts: the pages post to the address that they were opened at, and a link that somebody sent could
// tick a box there that the form leaves open.
func (p *page) FormValue(name string) string {
	if p.Request().Method == http.MethodPost {
		return p.Request().PostFormValue(name)
	}
	return p.QueryParam(name)
}

// readable refuses a request whose form cannot be read as a whole, and one that holds what is no text. A database
// answers U+0000, and bytes that are not UTF-8, with an error of its own, which is not ours to be blamed for.
func (p *page) readable(most int64) error {
	for _, v := range p.ParamValues() {
		if !isText(v) {
			return echo.ErrNotFound
		}
	}
	r := p.Request()
	if r.Method == http.MethodPost {
		err := r.ParseForm() // tells what ParseMultipartForm would leave out in silence
		if err == nil {
			err = r.ParseMultipartForm(most)
		}
		if err != nil && !errors.Is(err, http.ErrNotMultipart) {
			return ra.Errorf(ra.KindMalformed, "form-unreadable", err, "The form could not be read. Nothing was changed.")
		}
	}
	for _, values := range []map[string][]string{p.QueryParams(), r.PostForm} {
		for _, list := range values {
			for _, v := range list {
				if !isText(v) {
					return ra.Errorf(ra.KindMalformed, "form-unreadable", nil, "The form holds a character that is no text. Nothing was changed.")
				}
			}
		}
	}
	return nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// printable is a name that somebody else chose, with nothing in it that a page could not show, and not too long.
func printable(s string) string {
	const most = 120
	out := []rune(strings.ToValidUTF8(s, "\uFFFD"))
	for i, r := range out {
		if !unicode.IsPrint(r) {
			out[i] = unicode.ReplacementChar
		}
	}
	if len(out) > most {
		out = append(out[:most], '…')
	}
	return string(out)
}
