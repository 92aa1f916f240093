package story

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"certwindow/cmd/phone/client"
)

// granted is the scene of what holders grant in a browser and answer on the phone: codes with PKCE, and tokens that are good in
// the hands of one system (RFC 6749, RFC 7636, RFC 8705).
func (s *Story) granted() scene {
	var signing, access *visit
	var code, collects, acts string
	return scene{"The holder's browser, and tokens in wrong hands", append([]act{
		{"the record system sends the browser with two hashes; the phone shows the same code; its release is the grant", func(ctx context.Context) (told string, err error) {
			signing, code, collects, err = s.grantSignatures(ctx)
			if err != nil {
				return "", err
			}
			return signing.code, nil
		}},
		s.turnedAway("the code a second time", "invalid_grant", func(ctx context.Context) error { _, err := signing.token(ctx, code, signing.verifier); return err }),
		s.turnedAway("the token that came of that code, which ended with it", "expired_token", func(ctx context.Context) error {
			return s.records.under(ctx, collects, "credentials/info", map[string]string{"credentialID": s.ward.stays}, nil)
		}),
		s.turnedAway("the right verifier after a wrong one", "invalid_grant", func(ctx context.Context) (err error) {
			if access, code, err = s.grantAccess(ctx, true); err != nil {
				return err
			}
			if _, err := access.token(ctx, code, strings.Repeat("0", 64)); err == nil {
				return nil
			}
			_, err = access.token(ctx, code, access.verifier)
			return err
		}),
		{"the phone lets the system act in the doctor's name", func(ctx context.Context) (_ string, err error) {
			if access, code, err = s.grantAccess(ctx, true); err != nil {
				return "", err
			}
			if acts, err = access.token(ctx, code, access.verifier); err != nil {
				return "", err
			}
			return "code " + access.code + " on both screens", s.listsOwn(ctx, s.records, acts)
		}},
		s.turnedAway("a grant that the phone denies", "access_denied", func(ctx context.Context) error { _, _, err := s.grantAccess(ctx, false); return err }),
	}, s.wrongHands(&acts)...)}
}

// wrongHands are the acts of a token with anybody but the system that fetched it, and of its end.
func (s *Story) wrongHands(token *string) []act {
	return []act{
		s.turnedAway("the token under the other system's certificate", "invalid_token", func(ctx context.Context) error { return s.listsOwn(ctx, s.ward.other, *token) }),
		s.turnedAway("the token under no certificate", "invalid_token", func(ctx context.Context) error {
			plain, err := s.st.Client()
			if err != nil {
				return err
			}
			thief := *s.records
			thief.HTTP = plain
			return s.listsOwn(ctx, &thief, *token)
		}),
		s.turnedAway("the other system in the record system's name", "invalid_client", func(ctx context.Context) error {
			posing := *s.ward.other
			posing.id = s.records.id
			_, err := posing.access(ctx)
			return err
		}),
		{"none of that has ended it", func(ctx context.Context) (string, error) { return "", s.listsOwn(ctx, s.records, *token) }},
		s.turnedAway("the token once the system has revoked it", "expired_token", func(ctx context.Context) error {
			if err := s.records.form(ctx, "/oauth2/revoke", url.Values{"client_id": {s.records.id}, "token": {*token}}, nil); err != nil {
				return err
			}
			return s.listsOwn(ctx, s.records, *token)
		}),
	}
}

// turnedAway plays an act that must be refused in OAuth's own words, with every certificate as it was.
func (s *Story) turnedAway(what, word string, do func(context.Context) error) act {
	return act{what, func(ctx context.Context) (string, error) {
		var n *no
		if err := do(ctx); !errors.As(err, &n) || n.Word != word {
			return "", fmt.Errorf("it should have been refused as %s, but: %v", word, err)
		}
		return "refused: " + n.Word, nil
	}}
}

// listsOwn uses a token for what the holder granted it for.
func (s *Story) listsOwn(ctx context.Context, r *recordSystem, token string) error {
	var list struct {
		IDs []string `json:"credentialIDs"`
	}
	if err := r.under(ctx, token, "credentials/list", map[string]any{"userID": nil, "onlyValid": true}, &list); err != nil {
		return err
	}
	if len(list.IDs) != 1 || list.IDs[0] != s.ward.stays {
		return fmt.Errorf("the list is %v", list.IDs)
	}
	return nil
}

// grantSignatures goes all the way of the scope "credential", up to verified signatures.
func (s *Story) grantSignatures(ctx context.Context) (v *visit, code, token string, err error) {
	c, err := s.records.credentialOf(ctx, s.ward.doctor.account, s.ward.stays)
	if err != nil {
		return nil, "", "", err
	}
	texts := [][]byte{[]byte("轉診單\n"), []byte("用藥紀錄\n")}
	if v, err = s.sends(ctx, s.records, wantsSigned(c.id, texts)); err != nil {
		return v, "", "", err
	}
	all, err := s.ward.phone.phone.Authorisations(ctx)
	if err != nil {
		return v, "", "", err
	}
	if err := s.releaseShown(ctx, all, v.code); err != nil {
		return v, "", "", err
	}
	answer, err := v.back(ctx)
	if err != nil {
		return v, "", "", err
	}
	code = answer.Get("code")
	if token, err = v.token(ctx, code, v.verifier); err != nil {
		return v, code, "", err
	}
	var got struct{ Signatures [][]byte }
	if err := s.records.under(ctx, token, "signatures/signHash", map[string]any{"credentialID": c.id, "hashes": []string{hashOf(texts[0]), hashOf(texts[1])}, "signAlgo": oidECDSA, "hashAlgorithmOID": oidSHA256}, &got); err != nil {
		return v, code, token, err
	}
	if len(got.Signatures) != 2 {
		return v, code, token, fmt.Errorf("%d signatures", len(got.Signatures))
	}
	return v, code, token, errors.Join(c.verify(texts[0], got.Signatures[0]), c.verify(texts[1], got.Signatures[1]))
}

// wantsSigned are the parameters of an authorization request for signatures (CSC API v2.0 section 8.4.2).
func wantsSigned(credential string, texts [][]byte) url.Values {
	var hashes []string
	for _, t := range texts {
		sum := sha256.Sum256(t)
		hashes = append(hashes, base64.RawURLEncoding.EncodeToString(sum[:]))
	}
	return url.Values{"scope": {"credential"}, "credentialID": {credential}, "numSignatures": {strconv.Itoa(len(texts))}, "hashes": {strings.Join(hashes, ",")},
		"hashAlgorithmOID": {oidSHA256}, "description": {"轉診"}}
}

// releaseShown releases the one of the holder's waiting requests that shows a code.
func (s *Story) releaseShown(ctx context.Context, all []client.Authorisation, code string) error {
	for _, a := range all {
		if a.ShortCode == code {
			return s.releases(ctx, a)
		}
	}
	return fmt.Errorf("the phone shows no request with the code %s", code)
}

// grantAccess has the doctor answer a browser that asks for access in the doctor's name.
func (s *Story) grantAccess(ctx context.Context, yes bool) (v *visit, code string, err error) {
	if v, err = s.sends(ctx, s.records, url.Values{"scope": {"service"}, "account": {s.ward.doctor.account}}); err != nil {
		return v, "", err
	}
	all, err := s.ward.phone.phone.AccessRequests(ctx)
	if err != nil {
		return v, "", err
	}
	if len(all) != 1 || all[0].ShortCode != v.code || all[0].Client != s.records.id {
		return v, "", fmt.Errorf("the browser shows %s, the phone %+v", v.code, all)
	}
	if err := s.ward.phone.phone.AnswerAccess(ctx, all[0].Request, yes); err != nil {
		return v, "", err
	}
	answer, err := v.back(ctx)
	if word := answer.Get("error"); err == nil && word != "" {
		err = &no{Word: word, Text: answer.Get("error_description")}
	}
	return v, answer.Get("code"), err
}
