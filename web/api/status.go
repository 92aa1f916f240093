package api

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"

	"certwindow/ra"
	"certwindow/ra/revoke"
)

const typeJWT = "application/jwt" // RFC 7519 section 10.3.1

// getStatus is the statement without which the app does not use its key (HCA-7.2).
func (c *call) getStatus() (answer, error) {
	id := ra.CertificateID(c.Param("certificate"))
	if err := c.own(id); err != nil {
		return answer{}, err
	}
	got, err := c.api.Keys.Status(c.ctx(), c.actor(), c.device.ID, id, strings.Trim(c.Request().Header.Get("If-None-Match"), `"`))
	if err != nil {
		return answer{}, err
	}
	c.Response().Header().Set("ETag", `"`+got.Tag+`"`)
	if got.Token == "" {
		return answer{status: http.StatusNotModified}, nil
	}
	return answer{status: http.StatusOK, mediaType: typeJWT, body: []byte(got.Token)}, nil
}

// statement is one certificate's: the JWS, or why there is none.
type statement struct {
	Certificate ra.CertificateID `json:"certificate"`
	Statement   string           `json:"statement,omitempty"`
	Refused     *stopped         `json:"refused,omitempty"`
}

// getStatuses are the statements about all live certificates of the signed-in holder on this device at once. Its ETag
// covers them all.
func (c *call) getStatuses() (answer, error) {
	list, err := c.api.Certificates.Certificates(c.ctx(), c.actor(), revoke.Query{Device: c.device.ID, Person: c.login.Person, State: ra.CertLive, Brief: true, Limit: maxCertificates})
	if err != nil {
		return answer{}, err
	}
	out, tags := []statement{}, sha256.New()
	for _, x := range list {
		if x.DeviceID != c.device.ID || x.Generation != c.device.Generation {
			continue
		}
		got, err := c.api.Keys.Status(c.ctx(), c.actor(), c.device.ID, x.ID, "")
		if k := ra.KindOf(err); err != nil && k != ra.KindRefused {
			return answer{}, err
		}
		line := statement{Certificate: x.ID, Statement: got.Token}
		if err != nil {
			e := ra.AsError(err)
			line.Refused = &stopped{Code: e.Code, Clause: string(e.Clause), Detail: e.Detail}
			got.Tag = e.Code
		}
		tags.Write([]byte(string(x.ID) + " " + got.Tag + "\n"))
		out = append(out, line)
	}
	tag := `"` + base64.RawURLEncoding.EncodeToString(tags.Sum(nil)[:16]) + `"`
	c.Response().Header().Set("ETag", tag)
	if c.Request().Header.Get("If-None-Match") == tag {
		return answer{status: http.StatusNotModified}, nil
	}
	return document(http.StatusOK, map[string][]statement{"statements": out})
}
