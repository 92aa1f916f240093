package csc

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/web/problem"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle []byte

//go:embed openapi.yaml
var contract []byte

// pages are the two that a holder sees, and the mark of the service.
type pages struct {
	text *template.Template
	logo []byte
}

func loadPages() (p pages, err error) {
	if p.text, err = template.New("page").Parse(pageText); err != nil {
		return p, err
	}
	p.logo, err = mark()
	return p, err
}

// mark draws a window: the specification wants a picture, and the service has no other.
func mark() ([]byte, error) {
	img := image.NewRGBA(image.Rect(0, 0, 64, 64))
	fill := func(x0, y0, x1, y1 int, c color.Color) {
		draw.Draw(img, image.Rect(x0, y0, x1, y1), image.NewUniform(c), image.Point{}, draw.Src)
	}
	fill(0, 0, 64, 64, color.RGBA{0x0b, 0x5c, 0x6b, 0xff})
	for _, at := range [][2]int{{12, 12}, {34, 12}, {12, 34}, {34, 34}} {
		fill(at[0], at[1], at[0]+18, at[1]+18, color.White)
	}
	var out bytes.Buffer
	err := png.Encode(&out, img)
	return out.Bytes(), err
}

// view is what a page is told.
type view struct {
	Name       string // of the service
	Client     string
	Credential bool
	Count      int
	Code       string
	Refresh    bool
	Wrong      bool
	Account    string // as it was typed
	Problem    string // in the page's language
	Clause     policy.Clause
	Detail     string // in English, where the page is not
	Request    string // id to read out on the telephone
	Switch     string // address of the page in the other language; empty: it has none
	Fields     url.Values
	Lang       string
	Page       string
	Words      map[string]string
}

// words of the pages, in both languages.
var words = map[string]map[string]string{
	"zh-Hant-TW": {"title": "在手機上同意", "asks": "要求以您的名義使用簽章服務。", "signs": "要求以您的憑證簽署文件，份數：", "signing": "要求以您的憑證簽署文件。", "account": "您的帳號", "accountHint": "與手機應用程式登入時的帳號相同。本頁不會要求密碼。",
		"go": "送到我的手機", "approve": "請在手機上同意", "code": "本頁與手機顯示的號碼必須相同：", "waiting": "等候您在手機上回覆，本頁會自動更新。", "differs": "號碼不同或並非您本人要求時，請在手機上拒絕。",
		"wrong": "帳號為 3 至 32 個小寫英文字母、數字、句點、連字號或底線。", "failed": "無法繼續", "nothing": "未做任何變更，請回到原系統重新開始。",
		"request": "查詢編號", "other": "English", "otherLang": "en"},
	"en": {"title": "Approve on your phone", "asks": "asks for access to the signing service on your behalf.", "signs": "asks for signatures with your certificate. Number of documents:", "signing": "asks for signatures with your certificate.",
		"account": "Your account", "accountHint": "The same as in the app on your phone. This page never asks for a password.", "go": "Send to my phone", "approve": "Approve on your phone",
		"code": "Both screens must show the same code:", "waiting": "Waiting for your answer on the phone. This page reloads by itself.",
		"differs": "If the codes differ, or you did not ask for this, refuse on the phone.", "wrong": "An account has 3 to 32 lower-case letters, digits, dots, hyphens or underscores.", "failed": "This cannot go on",
		"nothing": "Nothing was changed. Begin again in the system that you came from.",
		"request": "Request id", "other": "中文", "otherLang": "zh-Hant-TW"},
}

// language is what was asked for, or the browser's, or Chinese.
func language(asked, accepted string) string {
	for _, l := range append([]string{asked}, strings.Split(accepted, ",")...) {
		switch l = strings.ToLower(strings.TrimSpace(l)); {
		case strings.HasPrefix(l, "en"):
			return "en"
		case strings.HasPrefix(l, "zh"):
			return "zh-Hant-TW"
		}
	}
	return "zh-Hant-TW"
}

// pagePolicy lets the page load its style and nothing else, post to the window, and be framed by nobody.
const pagePolicy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (c *call) show(status int, page string, v view) error {
	v.Page, v.Name, v.Words = page, c.api.Name, words[v.Lang]
	v.Switch = c.inOther(v)
	var out bytes.Buffer
	if err := c.api.pages.text.Execute(&out, v); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Language", v.Lang)
	return c.Blob(status, echo.MIMETextHTMLCharsetUTF8, out.Bytes())
}

// errorPage tells a person what an error was, or sends the browser back where the client is to be told.
func (c *call) errorPage(err error) error {
	if to := (backError{}); errors.As(err, &to) {
		return c.Redirect(http.StatusFound, to.to)
	}
	status, f := failureOf(err)
	v := view{Problem: f.Description, Request: problem.RequestID(c), Lang: language(c.QueryParam("lang"), c.Request().Header.Get("Accept-Language"))}
	if v.Lang != "en" {
		e := ra.AsError(err)
		v.Problem, v.Clause, v.Detail = inChinese(e), e.Clause, f.Description
	}
	return c.show(status, "failed", v)
}

// chinese says what went wrong by the error's code.
var chinese = map[string]string{"client-unknown": "這個系統未登記於本服務窗口，或已停用。", "not-found": "這個瀏覽器沒有這項要求，或時限已過。", "moved-on": "這項要求先前已回覆。",
	"cross-origin": "這項要求來自其他網站的頁面。", "too-many": "要求次數過多，請稍候再試。"}

// inChinese is an error as a holder reads it who did not ask for English; what is meant for whoever builds the system
// stands below it.
func inChinese(e *ra.Error) string {
	text, ok := chinese[e.Code]
	switch {
	case ok:
		return text
	case e.Clause != "":
		return "規定不允許這項要求。"
	case e.Kind == ra.KindUnavailable || e.Kind == ra.KindInternal:
		return "系統暫時無法處理這項要求。"
	}
	return "原系統送來的要求不正確。"
}

// inOther is the address of a page in the other language: of what the browser asked for, or asks for again where a form was
// sent back.
func (c *call) inOther(v view) string {
	q := c.Request().URL.Query()
	switch {
	case len(v.Fields) > 0:
		q = maps.Clone(v.Fields)
	case c.Request().Method != http.MethodGet:
		return ""
	}
	q.Set("lang", v.Words["otherLang"])
	return "?" + q.Encode()
}

func (c *call) style() error { return c.kept("text/css; charset=utf-8", pageStyle) }

func (c *call) logo() error { return c.kept("image/png", c.api.pages.logo) }

func (c *call) contract() error { return c.kept("application/yaml", contract) }

// kept is an answer that is the same for everybody.
func (c *call) kept(media string, body []byte) error {
	c.Response().Header().Set("Cache-Control", "max-age=3600")
	return c.Blob(http.StatusOK, media, body)
}
