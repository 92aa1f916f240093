package api

import (
	"bytes"
	"net/http"
	"time"

	"certwindow/ra"
	"certwindow/ra/csr"
)

// askAgain is after how many seconds a phone asks again for a certificate that is not there yet.
const askAgain = "5"

type application struct {
	Application ra.ApplicationID    `json:"application"`
	State       ra.ApplicationState `json:"state"`
	KeyDesign   ra.KeyDesign        `json:"key_design"`
	Algorithm   string              `json:"algorithm"`
	Deadline    time.Time           `json:"deadline"`
	Renews      ra.CertificateID    `json:"renews,omitempty"`
}

func applicationOf(a ra.Application) application {
	return application{Application: a.ID, State: a.State, KeyDesign: a.KeyDesign, Algorithm: a.Algorithm, Deadline: a.Deadline.UTC(), Renews: a.Renews}
}

// listApplications are those that wait for a key of this phone, or of the HSM on its behalf.
func (c *call) listApplications() (answer, error) {
	list, err := c.api.Enrolments.Waiting(c.ctx(), c.device.ID)
	if err != nil {
		return answer{}, err
	}
	out := []application{}
	for _, a := range list {
		if a.Generation == c.device.Generation {
			out = append(out, applicationOf(a))
		}
	}
	return document(http.StatusOK, map[string][]application{"applications": out})
}

type subject struct {
	Country      string `json:"country"`
	CommonName   string `json:"common_name"`
	SerialNumber string `json:"serial_number"`
}

type keyTask struct {
	application
	Challenge     string  `json:"challenge"`
	ConsentSHA256 string  `json:"consent_sha256"`
	Subject       subject `json:"subject"`
}

// getApplication is what the phone makes a key for (HCA-6.0).
func (c *call) getApplication() (answer, error) {
	t, err := c.api.Enrolments.KeyTask(c.ctx(), c.device.ID, ra.ApplicationID(c.Param("application")))
	if err != nil {
		return answer{}, err
	}
	if t.Application.Generation != c.device.Generation {
		return answer{}, ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such application for this device.")
	}
	return document(http.StatusOK, keyTask{application: applicationOf(t.Application), Challenge: csr.Challenge(t.Application.Challenge),
		ConsentSHA256: t.ConsentSHA256, Subject: subject{Country: "TW", CommonName: t.Name, SerialNumber: t.Holder}})
}

// submitRequest takes the request for the key that the phone made.
func (c *call) submitRequest() (answer, error) {
	var b struct {
		CSR         string       `json:"csr"`
		Signature   string       `json:"signature"`
		Attestation *attestation `json:"attestation"`
	}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	der, err := octets("csr", b.CSR)
	if err != nil {
		return answer{}, err
	}
	signature, err := octets("signature", b.Signature)
	if err != nil {
		return answer{}, err
	}
	proof, err := b.Attestation.read()
	if err != nil {
		return answer{}, err
	}
	id := ra.ApplicationID(c.Param("application"))
	a, err := c.api.Enrolments.SubmitRequest(c.ctx(), c.actor(), c.device.ID, id, der, signature, proof)
	if ra.KindOf(err) == ra.KindConflict && err != nil {
		// After a crash between the commit and its answer the phone comes back with what is there already.
		if t, terr := c.api.Enrolments.KeyTask(c.ctx(), c.device.ID, id); terr == nil && bytes.Equal(t.Application.CSR, der) {
			a, err = t.Application, nil
		}
	}
	if err != nil {
		return answer{}, err
	}
	return document(http.StatusAccepted, applicationOf(a))
}

// submitSecret has the HSM make the key, under the secret of this phone (HCA-6.3.5). It takes as long as the making: an
// RSA key up to some seconds.
func (c *call) submitSecret() (answer, error) {
	var b struct {
		Secret    string `json:"secret"`
		Signature string `json:"signature"`
	}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	sealed, err := octets("secret", b.Secret)
	if err != nil {
		return answer{}, err
	}
	signature, err := octets("signature", b.Signature)
	if err != nil {
		return answer{}, err
	}
	a, err := c.api.Enrolments.SubmitSecret(c.ctx(), c.actor(), c.device.ID, ra.ApplicationID(c.Param("application")), sealed, signature)
	if err != nil {
		return answer{}, err
	}
	return document(http.StatusAccepted, applicationOf(a))
}

type issuedCertificate struct {
	Certificate ra.CertificateID `json:"certificate"`
	Serial      string           `json:"serial"`
	NotAfter    time.Time        `json:"not_after"`
	PEM         string           `json:"pem"`
}

// getCertificate delivers what the HCA issued.
func (c *call) getCertificate() (answer, error) {
	a, cert, err := c.api.Delivery.Deliver(c.ctx(), c.actor(), c.device.ID, ra.ApplicationID(c.Param("application")))
	if err != nil {
		return answer{}, err
	}
	if cert == nil {
		out, err := document(http.StatusAccepted, applicationOf(a))
		out.retryAfter = askAgain
		return out, err
	}
	return document(http.StatusOK, issuedCertificate{Certificate: cert.ID, Serial: cert.Serial, NotAfter: cert.NotAfter.UTC(), PEM: string(cert.Chain)})
}
