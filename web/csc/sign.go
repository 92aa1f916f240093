package csc

import (
	"crypto/x509"
	"encoding/base64"
	"net/http"

	"certwindow/ra"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
)

// signHash hands out signatures that the holder's phone has released (section 11.10).
func (c *call) signHash() error {
	var b struct {
		CredentialID  *string  `json:"credentialID"`
		SAD           *string  `json:"SAD"`
		Hashes        []string `json:"hashes"`
		HashAlgorithm *string  `json:"hashAlgorithmOID"`
		SignAlgo      *string  `json:"signAlgo"`
		AlgoParams    *string  `json:"signAlgoParams"`
		OperationMode *string  `json:"operationMode"`
		Validity      *int     `json:"validity_period"` // this and the next are of the asynchronous mode alone
		ResponseURI   *string  `json:"response_uri"`
		ClientData    *string  `json:"clientData"`
		former
	}
	if err := c.into(&b); err != nil {
		return err
	}
	if err := b.under(&b.Hashes, &b.HashAlgorithm); err != nil {
		return err
	}
	x, err := c.credential(b.CredentialID)
	if err != nil {
		return err
	}
	claim := remotesign.Claim{Client: remotesign.ClientID(c.proof.Client.ID), Certificate: x.ID}
	switch {
	case b.OperationMode != nil && *b.OperationMode != "S":
		return invalid("operationMode")
	case b.SignAlgo == nil:
		return missing("string", "signAlgo")
	case b.AlgoParams != nil && !(*b.AlgoParams == asn1Null && hasNull[*b.SignAlgo]):
		return invalid("signAlgoParams")
	case b.Hashes == nil:
		return missing("array", "hash")
	}
	if err := signs(x, *b.SignAlgo); err != nil {
		return err
	}
	if claim.HashAlgorithm, err = hashFor(*b.SignAlgo, b.HashAlgorithm); err != nil {
		return err
	}
	if claim.Hashes, err = digests(b.Hashes, claim.HashAlgorithm); err != nil {
		return err
	}
	if err := c.activation(b.SAD, &claim); err != nil {
		return err
	}
	sigs, err := c.api.Signatures.CollectClaim(c.ctx(), c.actor(), claim)
	if err != nil {
		return inSpec(err)
	}
	out := make([]string, len(sigs))
	for i, s := range sigs {
		out[i] = base64.StdEncoding.EncodeToString(s)
	}
	return c.JSON(http.StatusOK, map[string][]string{"signatures": out})
}

// asn1Null are the parameters of the algorithms of hasNull, whether they are sent or not (RFC 8017 appendix A.2.4).
const asn1Null = "BQA="

var hasNull = map[string]bool{oidRSA: true, oidRSA256: true, oidRSA384: true, oidRSA512: true}

// signs tells whether a credential's key makes such signatures.
func signs(x remotesign.Credential, signAlgo string) error {
	cert, err := x509.ParseCertificate(x.DER)
	if err != nil {
		return err
	}
	k, err := keyOf(cert, true)
	if err == nil && !k.takes(signAlgo) {
		err = invalid("signAlgo")
	}
	return err
}

// activation is what the signatures are collected by (section 11.10): the SAD of authorizeCheck under a service token; or
// a token that the holder granted for these very hashes, which comes in the header, or as SAD beside a service token, or both.
func (c *call) activation(sad *string, claim *remotesign.Claim) error {
	if c.proof.Token.Scope == oauth.Credential {
		if sad != nil && *sad != c.bearer {
			return invalid("SAD")
		}
		claim.Authorisation = c.proof.Token.Authorisation
		return nil
	}
	switch {
	case sad == nil:
		return missing("string", "SAD")
	case len(*sad) != 43:
		return invalid("SAD")
	}
	p, err := c.api.Grants.Authenticate(c.ctx(), c.actor(), *sad, c.shown())
	switch {
	case err == nil && (p.Client.ID != c.proof.Client.ID || p.Token.Scope != oauth.Credential):
		return invalid("SAD")
	case err == nil:
		claim.Authorisation = p.Token.Authorisation
		return nil
	case ra.AsError(err).Code == "expired_token":
		return malformed("SAD expired")
	case ra.KindOf(err) != ra.KindUnauthenticated:
		return err
	}
	claim.SAD = *sad
	return nil
}

// inSpec puts the specification's words before the window's, where it has some for the case.
func inSpec(err error) error {
	e := ra.AsError(err)
	words := map[string]string{"hash-not-authorised": "Hash is not authorized by the SAD", "authorisation-over": "SAD expired", "not-found": "Invalid parameter SAD",
		"claim-certificate": "Invalid parameter credentialID", "claim-algorithm": "Invalid parameter hashAlgorithmOID"}
	say, ok := words[e.Code]
	if !ok {
		return err
	}
	out := *e
	out.Detail = say + ". " + e.Detail
	return &out
}
