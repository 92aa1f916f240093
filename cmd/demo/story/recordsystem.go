package story

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"certwindow/cmd/demo/stage"
)

// recordSystem is a hospital's record system: it asks for signatures by the API of the Cloud Signature Consortium, under a
// certificate of its own (docs/csc.md).
type recordSystem struct {
	stage.System
	id, base string
	token    string                   // of its own access; empty: it fetches one
	hide     func(what, value string) // is told of every secret that it is given
}

// returnAddress is where a record system sends browsers back to. Nobody is there: the story's browser follows no further.
const returnAddress = "https://emr.hospital.example/signed"

// registered has two persons put a record system on the register (HCA-5.1.2, HCA-8.1.6).
func (s *Story) registered(ctx context.Context, id string) (*recordSystem, error) {
	made, err := s.st.NewSystem(id)
	if err != nil {
		return nil, err
	}
	p, err := s.admin.post(ctx, "/clients/new", url.Values{"id": {id}, "kind": {"signing"}, "name": {"電子病歷系統"}, "institution": {stage.Window}, "scopes": {"EMR-SIGN"},
		"redirects": {returnAddress}, "certificate": {made.Certificate}})
	if err != nil {
		return nil, err
	}
	_, err = s.approver.approve(ctx, p.url.Path)
	return &recordSystem{System: made, id: id, base: s.st.URL, hide: s.hide}, err
}

// no is a refusal in the specification's form: a rule's clause stands at the beginning of its text.
type no struct {
	status int
	Word   string `json:"error"`
	Text   string `json:"error_description"`
}

func (n *no) Error() string { return fmt.Sprintf("%d %s: %s", n.status, n.Word, n.Text) }

func (n *no) clause() string {
	if at := clausePattern.FindStringIndex(n.Text); at != nil && at[0] == 0 {
		return n.Text[:at[1]]
	}
	return ""
}

// form posts to an address of the authorisation server, and reads its answer into out where that is not nil.
func (r *recordSystem) form(ctx context.Context, where string, f url.Values, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+where, strings.NewReader(f.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r.send(req, out)
}

// access fetches a token of the system's own.
func (r *recordSystem) access(ctx context.Context) (string, error) {
	var got struct {
		Token string `json:"access_token"`
	}
	err := r.form(ctx, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {r.id}, "scope": {"service"}}, &got)
	r.hide("access token of a system", got.Token)
	return got.Token, err
}

// call is one method of the API under the system's own access.
func (r *recordSystem) call(ctx context.Context, method string, in, out any) error {
	if r.token == "" {
		token, err := r.access(ctx)
		if err != nil {
			return err
		}
		r.token = token
	}
	return r.under(ctx, r.token, method, in, out)
}

// under is one method of the API under a token.
func (r *recordSystem) under(ctx context.Context, token, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+"/csc/v2/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	return r.send(req, out)
}

func (r *recordSystem) send(req *http.Request, out any) error {
	res, err := r.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return err
	}
	if res.StatusCode >= 400 {
		n := &no{status: res.StatusCode}
		if err := json.Unmarshal(raw, n); err != nil {
			return fmt.Errorf("%d %q: %w", res.StatusCode, raw, err)
		}
		return n
	}
	if out == nil || res.StatusCode == http.StatusNoContent {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// credential is a certificate that a system may ask for, with the public key that its signatures verify under.
type credential struct {
	id          string
	certificate *x509.Certificate
}

// credentials are those of a holder, by the name of his account.
func (r *recordSystem) credentials(ctx context.Context, account string) (out []credential, err error) {
	var list struct {
		IDs   []string `json:"credentialIDs"`
		Infos []struct {
			SCAL string
			Cert struct{ Certificates [][]byte }
		} `json:"credentialInfos"`
	}
	if err := r.call(ctx, "credentials/list", map[string]any{"userID": account, "onlyValid": true, "credentialInfo": true, "certificates": "single"}, &list); err != nil {
		return nil, err
	}
	for i, x := range list.Infos {
		if x.SCAL != "2" || len(x.Cert.Certificates) != 1 {
			return nil, fmt.Errorf("credential %s is of SCAL %s, with %d certificates", list.IDs[i], x.SCAL, len(x.Cert.Certificates))
		}
		c, err := x509.ParseCertificate(x.Cert.Certificates[0])
		if err != nil {
			return nil, err
		}
		out = append(out, credential{list.IDs[i], c})
	}
	return out, nil
}

// credentialOf is one of a holder's by its id.
func (r *recordSystem) credentialOf(ctx context.Context, account, id string) (credential, error) {
	all, err := r.credentials(ctx, account)
	if err != nil {
		return credential{}, err
	}
	for _, c := range all {
		if c.id == id {
			return c, nil
		}
	}
	return credential{}, fmt.Errorf("%s has no credential %s that can be used", account, id)
}

// verify checks a signature over a record by the certificate's public key.
func (c credential) verify(record, signature []byte) error {
	key, ok := c.certificate.PublicKey.(*ecdsa.PublicKey)
	sum := sha256.Sum256(record)
	if !ok || !ecdsa.VerifyASN1(key, sum[:], signature) {
		return errors.New("a signature does not verify under the certificate's key")
	}
	return nil
}

// Object identifiers of what is asked for: SHA-256, and ECDSA with it.
const (
	oidSHA256 = "2.16.840.1.101.3.4.2.1"
	oidECDSA  = "1.2.840.10045.4.3.2"
)

// hashOf is a record's hash as the API writes it.
func hashOf(record []byte) string {
	sum := sha256.Sum256(record)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// opensslVerifiesRecord has openssl verify one signature, and the chain of its certificate.
func (s *Story) opensslVerifiesRecord(ctx context.Context, c credential, record, signature []byte) (string, error) {
	file := func(name string) string { return s.st.Path("record-" + c.id + name) }
	for name, content := range map[string][]byte{".txt": record, ".sig": signature, ".pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.certificate.Raw})} {
		if err := os.WriteFile(file(name), content, 0o600); err != nil {
			return "", err
		}
	}
	return s.opensslVerifies(ctx, file(".pem"), file(".txt"), file(".sig"))
}
