package api

import (
	"certwindow/web/throttle"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"net/http"
	"regexp"

	"github.com/labstack/echo/v4"

	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/devices/appcred/factor"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/store"
	"certwindow/web/api/httpsig"
	"certwindow/web/problem"
)

// call is one request on its way through a handler. What it holds of its sender is proved.
type call struct {
	echo.Context
	api    *API
	body   []byte
	sent   store.Sent      // of a signed request
	device devices.Device  // who signed, where the route is for devices
	held   devices.Binding // whose key signed, where the route is for a binding
	key    []byte          // SubjectPublicKeyInfo of the key that signed, where the route is for a new key

	thumbprint string        // of the device's certificate, where the request came over mutual TLS
	token      factor.Secret // of the login, where the route is for a holder
	login      appcred.Login

	retryAfter string // seconds; empty: one, where an error asks for any
}

// answer is what a handler has to say.
type answer struct {
	status     int
	mediaType  string
	body       []byte
	retryAfter string // seconds; empty: no such header
}

func (c *call) ctx() context.Context { return c.Request().Context() }

func (c *call) actor() ra.Actor {
	a := ra.Actor{Kind: ra.ActorDevice, ID: string(c.device.ID), Institution: c.device.Institution, Address: c.RealIP(), RequestID: problem.RequestID(c)}
	if a.ID == "" {
		a.ID = ra.KeyHash(c.key)
	}
	return a
}

var (
	idForm      = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`)
	versionForm = regexp.MustCompile(`^[1-9][0-9]{0,8}$`)
)

// guard is what every request passes: its outside, its sender, and that it is taken once.
func (a *API) guard(r route) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c := &call{Context: ec, api: a}
		out, err := c.run(r)
		if err != nil {
			c.hint(err)
			return err
		}
		return c.write(out)
	}
}

func (c *call) run(r route) (answer, error) {
	if err := c.outside(r); err != nil {
		return answer{}, err
	}
	if r.signer != nobody {
		if err := c.authenticate(r); err != nil {
			return answer{}, err
		}
		c.api.tidy(c.ctx())
	}
	if r.signer == device {
		if err := c.mutual(r.plain); err != nil {
			return answer{}, err
		}
	}
	if r.holder != anyHolder {
		if err := c.authenticateHolder(r); err != nil {
			return answer{}, err
		}
	}
	if r.once {
		return c.once(r.do)
	}
	return r.do(c)
}

func (c *call) write(out answer) error {
	if out.retryAfter != "" {
		c.Response().Header().Set("Retry-After", out.retryAfter)
	}
	if out.status == http.StatusNotModified {
		return c.NoContent(out.status)
	}
	return c.Blob(out.status, out.mediaType, out.body)
}

// hint adds the header fields that an error's status asks for (RFC 9110 sections 10.2.3 and 11.6.1).
func (c *call) hint(err error) {
	switch e := ra.AsError(err); {
	case e.Kind == ra.KindTooMany || e.Code == "under-way" || e.Kind == ra.KindUnavailable:
		c.Response().Header().Set("Retry-After", cmp.Or(c.retryAfter, "1"))
	case e.Kind == ra.KindUnauthenticated:
		c.Response().Header().Set("WWW-Authenticate", `Signature realm="certwindow"`)
	}
}

// outside judges what can be seen of a request before anybody is asked, and reads its body.
func (c *call) outside(r route) error {
	req := c.Request()
	names := c.ParamNames()
	for i, v := range c.ParamValues() { // as they stand in the address: an escape is no part of an id
		form := idForm
		if names[i] == "version" {
			form = versionForm
		}
		if !form.MatchString(v) {
			return echo.ErrNotFound
		}
	}
	if req.URL.RawQuery != "" || req.URL.ForceQuery {
		return malformed("query", "This address takes no query. Nothing was changed.")
	}
	if r.signer != nobody && (len(req.Header.Values("Cookie")) > 0 || r.holder == anyHolder && len(req.Header.Values("Authorization")) > 0) {
		return malformed("credentials", "This address takes a device's signature, and neither cookies nor an Authorization header. Nothing was changed.")
	}
	if len(req.Header.Values("Content-Encoding")) > 0 {
		return echo.ErrUnsupportedMediaType
	}
	most := r.most
	if most == 0 {
		most = maxBody
	}
	return c.readBody(r.method != http.MethodGet, most)
}

func malformed(code, detail string) error {
	return ra.Errorf(ra.KindMalformed, code, nil, "%s", detail)
}

func unauthenticated(code, detail string, cause error) error {
	return ra.Errorf(ra.KindUnauthenticated, code, cause, "%s", detail)
}

// authenticate proves who sent the request (HCA-8.1.3), and that it was not taken before (HCA-8.1.4).
func (c *call) authenticate(r route) error {
	s := r.signer
	if s != device && !c.api.byAddress.Take(throttle.Network(c.RealIP()), c.api.Now()) {
		return tooMany()
	}
	u, err := httpsig.Read(c.Request(), c.body)
	if err != nil {
		return unauthenticated("signature", "The request is not signed as the contract says. Nothing was changed.", err)
	}
	spki, err := c.signingKey(s, u.KeyID())
	if err != nil {
		return err
	}
	pub, err := deviceKey(spki)
	if err != nil {
		return unauthenticated("key-unknown", "This key cannot sign requests.", err)
	}
	now := c.api.Now()
	v, err := u.Verify(pub, now)
	switch {
	case errors.Is(err, httpsig.ErrClock):
		return unauthenticated("clock", "The signature's time is more than a minute from ours. Set the phone's clock and try again.", err)
	case err != nil:
		return unauthenticated("signature", "The signature does not verify. Nothing was changed.", err)
	}
	if s == device && !c.api.byDevice.Take(string(c.device.ID), now) {
		return tooMany()
	}
	c.sent = store.Sent{KeyHash: v.Params().KeyID, Nonce: v.Params().Nonce, NonceUntil: now.Add(3 * httpsig.Skew)}
	if !r.joined {
		if err := c.useNonce(); err != nil {
			return err
		}
	}
	if s == device {
		return c.checkIn()
	}
	return nil
}

// useNonce takes a request by its nonce alone.
func (c *call) useNonce() error {
	return c.api.Requests.UseRequestNonce(c.ctx(), c.sent.KeyHash, c.sent.Nonce, c.api.Now(), c.sent.NonceUntil)
}

// signingKey finds the key that is said to have signed.
func (c *call) signingKey(s signer, keyID string) (spki []byte, err error) {
	switch s {
	case newKey:
		if c.key, err = c.presentedKey(); err != nil {
			return nil, err
		}
		if ra.KeyHash(c.key) != keyID {
			return nil, unauthenticated("signature", "The request is not signed by the key in it. Nothing was changed.", nil)
		}
		return c.key, nil
	case bindingBy:
		c.held, err = c.api.Devices.BindingOfKey(c.ctx(), c.Param("binding"), keyID)
		return c.held.KeySPKI, err
	case device:
		c.device, err = c.api.Devices.DeviceByKey(c.ctx(), keyID)
		if ra.KindOf(err) == ra.KindNotFound && err != nil {
			return nil, unauthenticated("key-unknown", "This key is not bound to a device. Bind the phone at the counter.", err)
		}
		return c.device.KeySPKI, err
	}
	return nil, errors.New("api: a route without a rule for its signer")
}

// checkIn judges the device's state at every request (HCA-7.1, HCA-7.3) and writes down that it was heard of.
func (c *call) checkIn() error {
	d := policy.DeviceUser(policy.DeviceUse{Registered: true, SameInstitution: true, State: string(c.device.State)})
	if !d.Allowed {
		d.Clause = "HCA-7.3"
		return ra.Refused(d)
	}
	return c.api.Devices.Seen(c.ctx(), c.device)
}

// deviceKey reads a device key: P-256, DER, nothing after it.
func deviceKey(spki []byte) (*ecdsa.PublicKey, error) {
	k, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, err
	}
	pub, ok := k.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, errors.New("not a P-256 key")
	}
	return pub, nil
}
