package story

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"

	"certwindow/cmd/demo/stage"
)

// clerk is a member of staff at a browser: the pages' own forms, over HTTPS, with cookies and CSRF tokens.
type clerk struct {
	base string
	http *http.Client
	who  stage.Account
	csrf string
}

// page is what a request ended on.
type page struct {
	url    *url.URL
	status int
	body   string
}

// id is the last part of the page's address: the thing that it shows.
func (p page) id() string { return path.Base(p.url.Path) }

var (
	csrfPattern    = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
	clausePattern  = regexp.MustCompile(`HCA-[0-9]+(?:\.[0-9]+)+`)
	summaryPattern = regexp.MustCompile(`(?s)<section class="wrong-summary".*?</section>`)
	codePattern    = regexp.MustCompile(`(?s)<dt>[^<]*</dt><dd class="code( large)?">([^<]+)</dd>`)
)

// signIn logs a member of staff in, and changes the initial password where that is asked for (HCA-8.2.6).
func signIn(ctx context.Context, st *stage.Stage, a stage.Account) (*clerk, error) {
	client, err := st.Client()
	if err != nil {
		return nil, err
	}
	if client.Jar, err = cookiejar.New(nil); err != nil {
		return nil, err
	}
	c := &clerk{base: st.URL, http: client, who: a}
	if _, err := c.post(ctx, "/lang", url.Values{"lang": {"en"}, "back": {"/login"}}); err != nil {
		return nil, err
	}
	code, err := totp.GenerateCode(a.TOTP, time.Now())
	if err != nil {
		return nil, err
	}
	p, err := c.post(ctx, "/login", url.Values{"account": {a.Account}, "password": {a.Password}, "code": {code}})
	if err != nil {
		return nil, err
	}
	if p.url.Path != "/password" {
		return c, nil
	}
	next := a.Password + "-and-mine"
	_, err = c.post(ctx, "/password", url.Values{"current": {a.Password}, "next": {next}, "repeat": {next}})
	c.who.Password = next
	return c, err
}

// get loads a page.
func (c *clerk) get(ctx context.Context, where string) (page, error) {
	return c.do(ctx, http.MethodGet, where, nil)
}

// post sends a form, with the session's token, and follows to where it leads. A page that shows an error is an error.
func (c *clerk) post(ctx context.Context, where string, form url.Values) (page, error) {
	if c.csrf != "" {
		form.Set("csrf", c.csrf)
	}
	return c.do(ctx, http.MethodPost, where, form)
}

// at is the clerk at a browser that reaches one server only.
func (c *clerk) at(st *stage.Stage, i int) *clerk {
	other := *c
	other.base = st.Replica(i)
	return &other
}

// refusal is what a page said in place of doing what it was asked.
type refusal struct {
	status int
	clause string
	text   string
}

func (r *refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", r.status, r.clause, r.text))
}

func (c *clerk) do(ctx context.Context, method, where string, form url.Values) (page, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+where, strings.NewReader(form.Encode()))
	if err != nil {
		return page{}, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", c.base)
	}
	return c.send(req)
}

// send sends a request and reads the page that it ends on.
func (c *clerk) send(req *http.Request) (page, error) {
	req.Header.Set("Accept", "text/html")
	res, err := c.http.Do(req)
	if err != nil {
		return page{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return page{}, err
	}
	p := page{res.Request.URL, res.StatusCode, string(raw)}
	if m := csrfPattern.FindStringSubmatch(p.body); m != nil {
		c.csrf = html.UnescapeString(m[1])
	}
	if res.StatusCode >= 400 {
		return p, refusalOf(p)
	}
	return p, nil
}

// refusalOf finds what a page, or the answer to a script, says is wrong.
func refusalOf(p page) error {
	var answer struct {
		Failure struct{ Text, Clause string }
	}
	if err := json.Unmarshal([]byte(p.body), &answer); err == nil {
		return &refusal{p.status, answer.Failure.Clause, answer.Failure.Text}
	}
	part := summaryPattern.FindString(p.body)
	if part == "" {
		_, part, _ = strings.Cut(p.body, "<main")
	}
	text := html.UnescapeString(regexp.MustCompile(`<[^>]+>`).ReplaceAllString(part, " "))
	return &refusal{p.status, clausePattern.FindString(part), strings.Join(strings.Fields(text), " ")}
}

// found is the text of the first element that carries the attribute.
func found(p page, attribute string) (string, error) {
	m := regexp.MustCompile(`(?s)<[a-z]+[^>]* ` + attribute + `[^>]*>([^<]*)<`).FindStringSubmatch(p.body)
	if m == nil {
		return "", fmt.Errorf("%s shows no %s", p.url.Path, attribute)
	}
	return html.UnescapeString(m[1]), nil
}

// poll asks a page's own address for its state until it is one of those wanted.
func (c *clerk) poll(ctx context.Context, where string, wanted ...string) (map[string]any, error) {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	var last map[string]any
	for {
		p, err := c.get(ctx, where)
		if err != nil {
			return nil, err
		}
		last = nil
		if err := json.Unmarshal([]byte(p.body), &last); err != nil {
			return nil, err
		}
		for _, w := range wanted {
			if last["state"] == w {
				return last, nil
			}
		}
		select {
		case <-ctx.Done():
			return last, fmt.Errorf("%s is still %v, not %v: %v", where, last["state"], wanted, last["failure"])
		case <-tick.C:
		}
	}
}
