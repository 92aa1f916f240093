package admin

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"certwindow/ra"
)

// maxForm is how much of a form is kept in memory; the server has capped the whole body at no more than that.
const maxForm = 1 << 20

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
func (p *page) readable() error {
	for _, v := range p.ParamValues() {
		if !isText(v) {
			return echo.ErrNotFound
		}
	}
	r := p.Request()
	if r.Method == http.MethodPost {
		err := r.ParseForm() // tells what ParseMultipartForm would leave out in silence
		if err == nil {
			err = r.ParseMultipartForm(maxForm)
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
