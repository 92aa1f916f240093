package csc

import (
	"net/http"
)

// infoAnswer is what the service says of itself (section 11.1).
type infoAnswer struct {
	Specs        string         `json:"specs"`
	Name         string         `json:"name"`
	Logo         string         `json:"logo"`
	Region       string         `json:"region"`
	Lang         string         `json:"lang"`
	Description  string         `json:"description"`
	AuthType     []string       `json:"authType"`
	Issuer       string         `json:"oauth2Issuer"`
	Asynchronous bool           `json:"asynchronousOperationMode"`
	Methods      []string       `json:"methods"`
	Algorithms   signAlgorithms `json:"signAlgorithms"`
	Formats      formats        `json:"signature_formats"`
	Levels       []string       `json:"conformance_levels"`
}

type signAlgorithms struct {
	Algos []string `json:"algos"`
}

type formats struct {
	Formats    []string   `json:"formats"`
	Properties [][]string `json:"envelope_properties"`
}

// info answers anybody: what is spoken here, and where access is had. Documents are not signed here, their hashes are;
// so there are no formats of documents.
func (c *call) info() error {
	var b struct {
		Lang *string `json:"lang"`
	}
	if err := c.into(&b); err != nil {
		return err
	}
	lang := c.lang(b.Lang)
	out := infoAnswer{Specs: Specs, Name: c.api.Name, Logo: c.api.PublicURL + "/oauth2/logo.png", Region: "TW", Lang: lang, Description: sayings[lang]["service"],
		AuthType: []string{"oauth2code", "oauth2client"}, Issuer: c.api.PublicURL,
		Methods:    []string{"info", "auth/revoke", "credentials/list", "credentials/info", "credentials/authorize", "credentials/authorizeCheck", "signatures/signHash"},
		Algorithms: signAlgorithms{[]string{oidECDSA256, oidECDSA384, oidECDSA512, oidRSA256, oidRSA384, oidRSA512, oidRSA}},
		Formats:    formats{[]string{}, [][]string{}}, Levels: []string{}}
	if c.api.Stamper != nil {
		out.Methods = append(out.Methods, "signatures/timestamp")
	}
	return c.JSON(http.StatusOK, out)
}
