package api

import (
	"encoding/base64"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"certwindow/devices"
	"certwindow/ra"
)

type bindingRequest struct {
	Code        string       `json:"code"`
	Key         string       `json:"key"`
	Platform    ra.Platform  `json:"platform"`
	Model       string       `json:"model"`
	OSVersion   string       `json:"os_version"`
	App         string       `json:"app"`
	AppVersion  string       `json:"app_version"`
	Attestation *attestation `json:"attestation"`
}

func (b bindingRequest) check() error {
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(b.Code); err != nil || len(raw) != 32 || len(b.Code) != 43 {
		return malformed("code", "The code is not one of a counter's QR. Nothing was bound.")
	}
	if b.Platform != ra.PlatformIOS && b.Platform != ra.PlatformAndroid {
		return malformed("platform", "The platform is ios or android. Nothing was bound.")
	}
	for _, f := range []struct {
		name, value string
		most        int
	}{{"model", b.Model, 64}, {"os_version", b.OSVersion, 32}, {"app", b.App, 128}, {"app_version", b.AppVersion, 32}} {
		if err := words(f.name, f.value, f.most); err != nil {
			return err
		}
	}
	return nil
}

// presentedKey is the key in the body, before anything is believed: the request must be signed by it.
func (c *call) presentedKey() ([]byte, error) {
	var b bindingRequest
	if err := c.into(&b); err != nil {
		return nil, err
	}
	spki, err := octets("key", b.Key)
	if err != nil {
		return nil, err
	}
	if _, err := deviceKey(spki); err != nil {
		return nil, ra.Errorf(ra.KindMalformed, "key", err, "The key is a P-256 SubjectPublicKeyInfo in DER. Nothing was bound.")
	}
	return spki, nil
}

// presentBinding takes a phone's new key with the QR's code (HCA-4.1).
func (c *call) presentBinding() (answer, error) {
	var b bindingRequest
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	if err := b.check(); err != nil {
		return answer{}, err
	}
	about, err := json.Marshal(struct {
		Platform   ra.Platform `json:"platform"`
		Model      string      `json:"model"`
		OSVersion  string      `json:"os_version"`
		App        string      `json:"app"`
		AppVersion string      `json:"app_version"`
	}{b.Platform, b.Model, b.OSVersion, b.App, b.AppVersion})
	if err != nil {
		return answer{}, err
	}
	proof, err := b.Attestation.read()
	if err != nil {
		return answer{}, err
	}
	bound, err := c.api.Devices.PresentBinding(c.ctx(), c.actor(), b.Code, c.api.window, c.key, string(about), proof)
	if err != nil {
		return answer{}, err
	}
	return document(http.StatusCreated, bindingOf(bound))
}

// getBinding tells the phone that presented the key how it went.
func (c *call) getBinding() (answer, error) { return document(http.StatusOK, bindingOf(c.held)) }

type binding struct {
	Binding   string               `json:"binding"`
	State     devices.BindingState `json:"state"`
	ShortCode string               `json:"short_code"`
	ExpiresAt time.Time            `json:"expires_at"`
}

func bindingOf(b devices.Binding) binding {
	return binding{Binding: b.ID, State: b.State, ShortCode: b.ShortCode, ExpiresAt: b.ExpiresAt.UTC()}
}

// getDevice tells a phone what it is registered as.
func (c *call) getDevice() (answer, error) {
	return document(http.StatusOK, struct {
		Device ra.DeviceID    `json:"device"`
		Code   string         `json:"code"`
		State  ra.DeviceState `json:"state"`
		Shared bool           `json:"shared"`
	}{c.device.ID, c.device.Code, c.device.State, c.device.Shared})
}
