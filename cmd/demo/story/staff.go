package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"

	"certwindow/cmd/demo/stage"
)

// firstApprover makes the one account that needs no approval (HCA-8.1.6): the administrator hands over the password,
// the operator the authenticator's secret.
func (s *Story) firstApprover(ctx context.Context) (string, error) {
	p, err := s.admin.post(ctx, "/staff/new", url.Values{"account": {"approver1"}, "role": {"approver"}})
	if err != nil {
		return "", err
	}
	a := stage.Account{Account: "approver1"}
	if a.Password, err = s.admin.handOver(ctx, p.id(), "password", "周核可"); err != nil {
		return "", err
	}
	out, err := s.st.Run(ctx, "certwindow", "staff", "code", "--config", s.st.Config(), "--account", a.Account, "--json")
	if err != nil {
		return "", err
	}
	var half stage.Account
	if err := json.Unmarshal(out, &half); err != nil {
		return "", err
	}
	a.TOTP = half.TOTP
	s.approver, err = signIn(ctx, s.st, a)
	return "", err
}

// hire makes an account as two persons do, each of whom hands over one half of its credentials.
func (s *Story) hire(ctx context.Context, account, name, role, institution string) (stage.Account, error) {
	p, err := s.admin.post(ctx, "/staff/new", url.Values{"account": {account}, "role": {role}, "institution": {institution}})
	if err != nil {
		return stage.Account{}, err
	}
	if p, err = s.approver.approve(ctx, p.url.Path); err != nil {
		return stage.Account{}, err
	}
	m := staffLink.FindStringSubmatch(p.body)
	if m == nil {
		return stage.Account{}, errors.New("the approval does not lead to the new account")
	}
	a := stage.Account{Account: account}
	if a.Password, err = s.admin.handOver(ctx, m[1], "password", name); err != nil {
		return a, err
	}
	a.TOTP, err = s.approver.handOver(ctx, m[1], "code", "")
	return a, err
}

var (
	staffLink = regexp.MustCompile(`href="/staff/([0-9A-Z]{26})"`)
	hashField = regexp.MustCompile(`name="hash" value="([0-9a-f]{64})"`)
)

// approve approves exactly what a proposal's page shows.
func (c *clerk) approve(ctx context.Context, where string) (page, error) {
	where, _, _ = strings.Cut(where, "?")
	p, err := c.get(ctx, where)
	if err != nil {
		return p, err
	}
	m := hashField.FindStringSubmatch(p.body)
	if m == nil {
		return p, fmt.Errorf("%s has nothing to approve", where)
	}
	return c.post(ctx, where+"/approve", url.Values{"hash": {m[1]}})
}

// handOver shows the half of an account's credentials that waits for this member of staff, once.
func (c *clerk) handOver(ctx context.Context, id, half, name string) (string, error) {
	p, err := c.post(ctx, "/staff/"+id+"/handover", url.Values{"half": {half}, "name": {name}})
	if err != nil {
		return "", err
	}
	m := codePattern.FindAllStringSubmatch(p.body, -1)
	if len(m) != 2 {
		return "", fmt.Errorf("the page shows %d values, not the account and one half of its credentials", len(m))
	}
	return html.UnescapeString(m[1][2]), nil
}
