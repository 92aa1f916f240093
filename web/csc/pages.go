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
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
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
	Problem    string
	Fields     url.Values
	Lang       string
	Page       string
	Words      map[string]string
}

// words of the pages, in both languages.
var words = map[string]map[string]string{
	"zh-Hant-TW": {"title": "以手機同意", "asks": "要求代表您連線到簽章服務。", "signs": "要求以您的憑證簽章，份數：", "account": "您的帳號", "accountHint": "與手機應用程式登入時相同。此頁不會要求密碼。",
		"go": "送到我的手機", "approve": "請在手機上同意", "code": "兩邊顯示的號碼必須相同：", "waiting": "等待您在手機上回覆，此頁會自動更新。", "differs": "號碼不同，或不是您要求的，請在手機上拒絕。",
		"wrong": "帳號格式不正確，請重新輸入。", "failed": "無法繼續", "nothing": "未作任何變更，請回到原系統重新開始。"},
	"en": {"title": "Approve on your phone", "asks": "asks for access to the signing service on your behalf.", "signs": "asks for signatures with your certificate. Number of documents:",
		"account": "Your account", "accountHint": "The same as in the app on your phone. This page never asks for a password.", "go": "Send to my phone", "approve": "Approve on your phone",
		"code": "Both screens must show the same code:", "waiting": "Waiting for your answer on the phone. This page reloads by itself.",
		"differs": "If the codes differ, or you did not ask for this, refuse on the phone.", "wrong": "This is no account's form. Type it again.", "failed": "This cannot go on",
		"nothing": "Nothing was changed. Begin again in the system that you came from."},
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
	return c.show(status, "failed", view{Problem: f.Description, Lang: language(c.QueryParam("lang"), c.Request().Header.Get("Accept-Language"))})
}

func (c *call) style() error { return c.kept("text/css; charset=utf-8", pageStyle) }

func (c *call) logo() error { return c.kept("image/png", c.api.pages.logo) }

func (c *call) contract() error { return c.kept("application/yaml", contract) }

// kept is an answer that is the same for everybody.
func (c *call) kept(media string, body []byte) error {
	c.Response().Header().Set("Cache-Control", "max-age=3600")
	return c.Blob(http.StatusOK, media, body)
}
