package story

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"certwindow/cmd/demo/stage"
)

// reader talks to the card component as its popup does.
type reader struct {
	base string
	http http.Client
}

// slotOf finds the reader that holds a card, by the token's label.
func (r *reader) slotOf(ctx context.Context, label string) (string, error) {
	var info struct {
		Slots []struct {
			SlotDescription string          `json:"slotDescription"`
			Token           json.RawMessage `json:"token"`
		} `json:"slots"`
	}
	if err := r.ask(ctx, "/pkcs11info", "", &info); err != nil {
		return "", err
	}
	for _, s := range info.Slots {
		var token struct {
			Label string `json:"label"`
		}
		if json.Unmarshal(s.Token, &token) == nil && strings.TrimSpace(token.Label) == label {
			return s.SlotDescription, nil
		}
	}
	return "", fmt.Errorf("no reader holds the card %s", label)
}

// certificate is the signing certificate of a card, in base64.
func (r *reader) certificate(ctx context.Context, label string) (string, error) {
	slot, err := r.slotOf(ctx, label)
	if err != nil {
		return "", err
	}
	order, err := json.Marshal(map[string]string{"func": "GetUserCert", "slotDescription": slot})
	if err != nil {
		return "", err
	}
	var info struct {
		Slots []struct {
			Token struct {
				Certs []struct{ CertB64, Usage string } `json:"certs"`
			} `json:"token"`
		} `json:"slots"`
	}
	if err := r.ask(ctx, "/pkcs11info?withcert=true", "tbsPackage="+string(order), &info); err != nil {
		return "", err
	}
	for _, s := range info.Slots {
		for _, c := range s.Token.Certs {
			if c.Usage == "digitalSignature" {
				return strings.NewReplacer("\r", "", "\n", "").Replace(c.CertB64), nil
			}
		}
	}
	return "", fmt.Errorf("the card %s holds no signing certificate", label)
}

// signed is what the component answers.
type signed struct {
	RetCode   int64  `json:"ret_code"`
	LastError int64  `json:"last_error"`
	Signature string `json:"signature"`
	Insertion string `json:"insertion"`
}

// sign has a card sign a text: MakeSignature, CMS with the text inside.
func (r *reader) sign(ctx context.Context, card, text string) (signed, error) {
	slot, err := r.slotOf(ctx, card)
	if err != nil {
		return signed{}, err
	}
	order, err := json.Marshal(map[string]string{"func": "MakeSignature", "tbs": base64.StdEncoding.EncodeToString([]byte(text)), "tbsEncoding": "base64",
		"hashAlgorithm": "SHA256", "signatureType": "PKCS7", "withCardSN": "true", "nonce": "", "pin": stage.CardPIN, "slotDescription": slot})
	if err != nil {
		return signed{}, err
	}
	// The popup sends the text as it is, so the page escapes what a form would misread.
	safe := strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B").Replace(string(order))
	var out signed
	if err := r.ask(ctx, "/sign", "tbsPackage="+safe, &out); err != nil {
		return out, err
	}
	if out.RetCode != 0 {
		return out, fmt.Errorf("the card component answered %#x, last error %#x", uint32(out.RetCode), uint32(out.LastError))
	}
	return out, nil
}

func (r *reader) ask(ctx context.Context, where string, form string, into any) error {
	method := http.MethodGet
	if form != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+where, strings.NewReader(form))
	if err != nil {
		return err
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into)
}

// message is the CMS that the component answered with.
func (s signed) message() ([]byte, error) { return base64.StdEncoding.DecodeString(s.Signature) }

// download fetches a public file.
func download(ctx context.Context, address, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o600)
}
