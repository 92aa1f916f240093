package api

import (
	"encoding/pem"
	"net/http"
	"strings"

	"certwindow/devices/appcred"
	"certwindow/devices/appcred/factor"
	"certwindow/devices/deviceca"
	"certwindow/policy"
	"certwindow/ra"
)

// mutual demands that the request came over mutual TLS, under the certificate that the window issued for this very
// binding of the device (HCA-6.3.6). Where the route is plain it may lack one, not bring a wrong one.
func (c *call) mutual(plain bool) error {
	t := c.Request().TLS
	if t == nil || len(t.PeerCertificates) == 0 {
		if plain {
			return nil
		}
		return &ra.Error{Kind: ra.KindUnauthenticated, Clause: "HCA-6.3.6", Code: "certificate-missing",
			Detail: "This address is reached over mutual TLS alone. Nothing was done; fetch the device's certificate and use it."}
	}
	shown := t.PeerCertificates[0]
	if err := c.api.Authority.Verify(shown, c.device.ID, c.device.Generation, c.device.KeySPKI); err != nil {
		if plain {
			return nil // an old one, which it comes to have renewed
		}
		return &ra.Error{Kind: ra.KindUnauthenticated, Clause: "HCA-6.3.6", Code: "certificate-wrong", Err: err,
			Detail: "The connection's certificate is not of this device's present binding, or has expired. Nothing was done; fetch a new one."}
	}
	c.thumbprint = deviceca.Thumbprint(shown.Raw)
	return nil
}

// certifyDevice issues the certificate of a bound device, the first one or the next, to a device that goes on from where
// it was (HCA-7.3).
func (c *call) certifyDevice() (answer, error) {
	var b struct {
		Continuity string `json:"continuity"`
	}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	if err := checkContinuity(b.Continuity); err != nil {
		return answer{}, err
	}
	if !c.api.byLogin.Take("certify/"+string(c.device.ID), c.api.Now()) {
		return answer{}, tooMany()
	}
	der, next, err := c.api.Devices.Certify(c.ctx(), c.actor(), c.device, b.Continuity, c.api.Authority.Issue)
	if err != nil {
		return answer{}, err
	}
	return document(http.StatusCreated, map[string]string{"pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"thumbprint": deviceca.Thumbprint(der), "continuity": next})
}

// authenticateHolder finds who is signed in, by the token that is bound to the connection's certificate (RFC 8705).
func (c *call) authenticateHolder(r route) error {
	values := c.Request().Header.Values("Authorization")
	if len(values) != 1 {
		return unauthenticated("no-login", "Nobody is signed in on this device. Sign in first.", nil)
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || len(token) != 43 {
		return unauthenticated("no-login", "The Authorization header is not a token of this window's. Sign in first.", nil)
	}
	var err error
	c.token = factor.Secret(token)
	find := c.api.Holders.Authenticate
	if r.poll {
		find = c.api.Holders.Known
	}
	if c.login, err = find(c.ctx(), c.token, c.device.ID, c.thumbprint); err != nil {
		return err
	}
	if r.holder == signedIn {
		return ra.Refused(policy.PasswordInitial(c.login.MustChange))
	}
	return nil
}

type proof struct {
	Kind      string        `json:"kind"`
	Value     factor.Secret `json:"value"`
	Challenge string        `json:"challenge"`
	Signature string        `json:"signature"`
}

// proofs are what a holder gave, as the accounts take them.
func proofs(list []proof) ([]appcred.Proof, error) {
	if len(list) < 1 || len(list) > 3 {
		return nil, malformed("proofs", "One to three proofs are given. Nothing was changed.")
	}
	out := make([]appcred.Proof, 0, len(list))
	for _, p := range list {
		x := appcred.Proof{Kind: p.Kind, Value: p.Value, Challenge: p.Challenge}
		if p.Kind == policy.FactorBiometric {
			var err error
			if x.Signature, err = octets("signature", p.Signature); err != nil {
				return nil, err
			}
		} else if p.Challenge != "" || p.Signature != "" || p.Value == "" {
			return nil, malformed("proofs", "A password or code has a value and no challenge. Nothing was changed.")
		}
		out = append(out, x)
	}
	return out, nil
}

// maxAccount is how many characters the name of an account has at most.
const maxAccount = 64

type loginRequest struct {
	Account string  `json:"account"`
	Proofs  []proof `json:"proofs"`
}

type login struct {
	Account     string   `json:"account"`
	Kinds       []string `json:"kinds"`
	MustChange  bool     `json:"must_change"`
	Remind      bool     `json:"remind"`
	IdleSeconds int      `json:"idle_seconds"`
}

func (c *call) loginOf(l appcred.Login) login {
	return login{Account: l.Account, Kinds: l.Kinds, MustChange: l.MustChange, Remind: l.Remind, IdleSeconds: int(c.api.Holders.IdleTime().Seconds())}
}

// loginHolder signs a holder in on this device (HCA-7.4).
func (c *call) loginHolder() (answer, error) {
	var b loginRequest
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	given, err := proofs(b.Proofs)
	if err != nil {
		return answer{}, err
	}
	if !c.api.byLogin.Take(string(c.device.ID), c.api.Now()) {
		return answer{}, tooMany()
	}
	g, err := c.api.Holders.Login(c.ctx(), c.actor(), appcred.Attempt{Account: b.Account, Device: c.device.ID, Thumbprint: c.thumbprint, Proofs: given})
	if err != nil {
		return answer{}, err
	}
	return document(http.StatusOK, struct {
		Token string `json:"token"`
		login
	}{g.Token.Reveal(), c.loginOf(g.Login)})
}

// getHolder tells who is signed in.
func (c *call) getHolder() (answer, error) { return document(http.StatusOK, c.loginOf(c.login)) }

func (c *call) logout() (answer, error) {
	if len(c.body) != 2 {
		return answer{}, malformed("json", "This address takes an empty object. Nothing was changed.")
	}
	return c.nothing(c.api.Holders.Logout(c.ctx(), c.actor(), c.token, c.login))
}

// nothing is the answer to what was done and has nothing to tell.
func (c *call) nothing(err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return document(http.StatusOK, struct{}{})
}

// changePassword sets the holder's own password (HCA-8.2.6).
func (c *call) changePassword() (answer, error) {
	var b struct {
		Current factor.Secret `json:"current"`
		Next    factor.Secret `json:"next"`
	}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	if b.Current == "" || b.Next == "" {
		return answer{}, malformed("password", "Both the present password and the next one are given. Nothing was changed.")
	}
	if !c.api.byLogin.Take(string(c.device.ID), c.api.Now()) {
		return answer{}, tooMany()
	}
	return c.nothing(c.api.Holders.ChangePassword(c.ctx(), c.actor(), c.token, c.login, b.Current, b.Next))
}

// sendCode sends a one-time code (HCA-8.2.7). The answer is the same whether there is such an account or not.
func (c *call) sendCode() (answer, error) {
	var b struct {
		Account string          `json:"account"`
		Channel appcred.Channel `json:"channel"`
		Purpose appcred.Purpose `json:"purpose"`
	}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	if err := words("account", b.Account, maxAccount); err != nil {
		return answer{}, err
	}
	if !c.api.byLogin.Take(string(c.device.ID), c.api.Now()) {
		return answer{}, tooMany()
	}
	if err := c.api.Holders.SendCode(c.ctx(), c.actor(), b.Account, c.device.ID, b.Purpose, b.Channel); err != nil {
		return answer{}, err
	}
	return document(http.StatusAccepted, struct{}{})
}

// challenge is what a biometric key is to sign (HCA-8.2.8).
func (c *call) challenge() (answer, error) {
	var b struct {
		Account string          `json:"account"`
		Purpose appcred.Purpose `json:"purpose"`
	}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	if err := words("account", b.Account, maxAccount); err != nil {
		return answer{}, err
	}
	if b.Purpose != appcred.ForLogin {
		return answer{}, malformed("purpose", "The purpose is login: for a signature the biometric key signs the activation data's name. Nothing was changed.")
	}
	if !c.api.byLogin.Take(string(c.device.ID), c.api.Now()) {
		return answer{}, tooMany()
	}
	text, err := c.api.Holders.Challenge(c.ctx(), b.Account, c.device.ID, b.Purpose)
	if err != nil {
		return answer{}, err
	}
	return document(http.StatusCreated, map[string]string{"challenge": text})
}

// setUpTOTP gives the holder a new secret for an authenticator app.
func (c *call) setUpTOTP() (answer, error) {
	if len(c.body) != 2 {
		return answer{}, malformed("json", "This address takes an empty object. Nothing was changed.")
	}
	secret, uri, err := c.api.Holders.SetUpTOTP(c.ctx(), c.actor(), c.login)
	if err != nil {
		return answer{}, err
	}
	return document(http.StatusCreated, map[string]string{"secret": secret.Reveal(), "uri": uri.Reveal()})
}

// addBiometric registers a user-verified key of this device's (HCA-8.2.8).
func (c *call) addBiometric() (answer, error) {
	var b struct {
		Kind      string `json:"kind"`
		Key       string `json:"key"`
		Challenge string `json:"challenge"`
		Signature string `json:"signature"`
	}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	key, err := octets("key", b.Key)
	if err != nil {
		return answer{}, err
	}
	signature, err := octets("signature", b.Signature)
	if err != nil {
		return answer{}, err
	}
	return c.nothing(c.api.Holders.AddBiometric(c.ctx(), c.actor(), c.login, b.Kind, key, signature, b.Challenge))
}

// own refuses a certificate that is another holder's (HCA-7.4): it is as if there were none. What there is none of, the
// use case refuses in its own order.
func (c *call) own(id ra.CertificateID) error {
	x, err := c.api.Certificates.Certificate(c.ctx(), c.actor(), id)
	switch {
	case err != nil && ra.KindOf(err) == ra.KindNotFound:
		return nil
	case err == nil && x.PersonID != c.login.Person:
		return errNotYours
	}
	return err
}

var errNotYours = ra.Errorf(ra.KindNotFound, "not-found", nil, "There is none, or none that you may see.")
