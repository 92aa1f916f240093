package evidence

import (
	"bytes"
	"context"

	"certwindow/ra/certpath"
	"certwindow/ra/cms"
	"certwindow/ra/csr"
	"certwindow/ra/hca/cmc"
)

// checkRequest sees to it that what was sent to the HCA holds the consent that the card signed, and the
// holder's request, byte for byte. A CMC request is read; every other format must at least contain them, as
// all of them embed DER as it is. csr is empty where there is none.
func checkRequest(request, message, csr []byte) error {
	sd, err := cms.Open(request, cms.OpenOptions{Max: cmc.MaxRequest, ContentType: cms.OIDPKIData})
	if err != nil {
		if !bytes.Contains(request, message) || !bytes.Contains(request, csr) {
			return refuse(ReasonConsent, nil, "the request to the HCA does not hold the consent or the key request")
		}
		return nil
	}
	body, err := cmc.ParsePKIData(sd.Content)
	if err != nil {
		return refuse(ReasonConsent, err, "the request to the HCA")
	}
	if len(body.Messages) != 1 || !bytes.Equal(body.Messages[0].DER, message) {
		return refuse(ReasonConsent, nil, "the request to the HCA holds another consent than the card signed")
	}
	wanted := 0
	if len(csr) > 0 {
		wanted = 1
	}
	if len(body.CSRs) != wanted || wanted == 1 && !bytes.Equal(body.CSRs[0].DER, csr) {
		return refuse(ReasonConsent, nil, "the request to the HCA holds another key request")
	}
	return nil
}

// checkIssued sees to it that the certificate has the key of the request, came with the HCA's answer, and
// chains to the anchors when its validity begins.
func checkIssued(ctx context.Context, files map[string][]byte, anchors []*certpath.Certificate) (*certpath.Certificate, error) {
	request, err := csr.Parse(files[FileCSR])
	if err != nil {
		return nil, refuse(ReasonCSR, err, FileCSR)
	}
	issued, err := certpath.ParseCertificate(files[FileIssued])
	if err != nil {
		return nil, refuse(ReasonCertificate, err, FileIssued)
	}
	if !bytes.Equal(issued.RawSPKI, request.SPKI) {
		return nil, refuse(ReasonCertificate, nil, "the certificate holds another key than the request")
	}
	if !bytes.Contains(files[FileHCAAnswer], issued.Raw) {
		return nil, refuse(ReasonCertificate, nil, "the certificate is not in the HCA's answer")
	}
	o := certpath.Options{Anchors: anchors, At: issued.NotBefore}
	if o.Intermediates, err = certpath.ParseCertificates(files[FileCertificates]); err != nil {
		return nil, refuse(ReasonCertificate, err, FileCertificates)
	}
	if _, err := certpath.Validate(ctx, issued, o); err != nil {
		return nil, refuse(ReasonCertificate, err, "the certificate does not chain to the anchors")
	}
	return issued, nil
}
