package story

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"certwindow/cmd/demo/stage"
	"certwindow/cmd/phone/client"
	"certwindow/ra"
	"certwindow/ra/csr"
	"certwindow/ra/enrol"
	"certwindow/web/api/httpsig"
)

// phone is a phone with the reference app.
type phone struct {
	*client.Phone
	dir string
	st  *stage.Stage
}

func newPhone(st *stage.Stage, name string) (*phone, error) {
	dir := st.Path("phone-" + name)
	about := client.About{Platform: "ios", Model: "reference", OSVersion: "26.1", App: appPackage, AppVersion: appVersion}
	p, err := client.Open(dir, about, time.Now)
	if err != nil {
		return nil, err
	}
	p.SetPassword("demo " + name)
	return &phone{p, dir, st}, nil
}

func (p *phone) bind(ctx context.Context, qr string) (string, error) { return p.Bind(ctx, qr) }

func (p *phone) waitBound(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	return p.WaitBound(ctx)
}

func (p *phone) enrol(ctx context.Context, application string) error {
	return p.Enrol(ctx, application)
}

func (p *phone) fetch(ctx context.Context, application string) error {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	_, err := p.Certificate(ctx, application)
	return err
}

func (p *phone) certificatePEM(certificate string) string {
	return filepath.Join(p.dir, certificate+".pem")
}

func (p *phone) signDocument(ctx context.Context, certificate string, document []byte) ([]byte, error) {
	digest := sha256.Sum256(document)
	return p.SignDocumentHash(ctx, certificate, digest[:])
}

func (p *phone) signWithHSM(ctx context.Context, certificate string, document []byte) ([]byte, error) {
	digest := sha256.Sum256(document)
	return p.SignWithHSM(ctx, certificate, digest[:])
}

// key loads a key of this phone, which a real phone would not give out.
func (p *phone) key(name string) (*ecdsa.PrivateKey, error) {
	raw, err := os.ReadFile(filepath.Join(p.dir, name+".key"))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New(name + " is no key")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is a %T", name, k)
	}
	return key, nil
}

// challenge fetches what the request for an application's key must hold.
func (p *phone) challenge(ctx context.Context, application string) ([]byte, error) {
	var task struct {
		Challenge string `json:"challenge"`
	}
	if err := p.call(ctx, http.MethodGet, "/applications/"+application, nil, &task); err != nil {
		return nil, err
	}
	return base64.RawURLEncoding.DecodeString(task.Challenge)
}

// submit hands in a request for a fresh key that some phone's device key countersigns, its own or another's.
func (p *phone) submit(ctx context.Context, application string, challenge, consent []byte, countersigner *phone) error {
	body, err := keyRequest(challenge, consent, countersigner)
	if err != nil {
		return err
	}
	return p.call(ctx, http.MethodPost, "/applications/"+application+"/request", body, nil)
}

// keyRequest is a request for a fresh key, bound to the consent by a phone's device key.
func keyRequest(challenge, consent []byte, countersigner *phone) (map[string][]byte, error) {
	fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := csr.Make(fresh, pkix.Name{}, challenge)
	if err != nil {
		return nil, err
	}
	key, err := countersigner.key("device")
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(enrol.ChainMessage(consent, der))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	return map[string][]byte{"csr": der, "signature": signature}, err
}

// call sends a request that the reference client would not, signed by this phone's device key.
func (p *phone) call(ctx context.Context, method, where string, in, out any) error {
	req, err := p.signed(ctx, method, where, in, rand.Text(), time.Now())
	if err != nil {
		return err
	}
	res, err := p.Connection().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 {
		r := &client.Refusal{Status: res.StatusCode}
		if err := json.NewDecoder(res.Body).Decode(r); err != nil {
			return err
		}
		return r
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// signed makes a request as this phone's app would at a moment; one with a body has an idempotency key.
func (p *phone) signed(ctx context.Context, method, where string, in any, idempotency string, at time.Time) (*http.Request, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, p.st.URL+"/api/v1"+where, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", idempotency)
	}
	key, err := p.key("device")
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return req, httpsig.Sign(req, body, key, httpsig.Params{Created: at, Nonce: rand.Text(), KeyID: ra.KeyHash(spki)})
}
