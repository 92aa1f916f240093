package api

import (
	"net/http"
	"strings"
)

// prefix is where the API lives.
const prefix = "/api/v1"

// signer says whose signature a request must bear.
type signer int

const (
	nobody    signer = iota // public
	newKey                  // the key in the body
	bindingBy               // the key that was presented in the binding of the path
	device                  // a bound device
)

// route is one operation of the contract.
type route struct {
	method string
	path   string // as in openapi.yaml
	signer signer
	once   bool // needs an Idempotency-Key
	most   int  // bytes of its body; 0: maxBody
	do     func(*call) (answer, error)
}

// routes is the whole API. A test holds it against openapi.yaml.
var routes = append([]route{
	{http.MethodPost, "/bindings", newKey, false, 0, (*call).presentBinding},
	{http.MethodGet, "/bindings/{binding}", bindingBy, false, 0, (*call).getBinding},
	{http.MethodGet, "/device", device, false, 0, (*call).getDevice},
	{http.MethodGet, "/applications", device, false, 0, (*call).listApplications},
	{http.MethodGet, "/applications/{application}", device, false, 0, (*call).getApplication},
	{http.MethodPost, "/applications/{application}/request", device, true, 0, (*call).submitRequest},
	{http.MethodPost, "/applications/{application}/activation-secret", device, true, 0, (*call).submitSecret},
	{http.MethodGet, "/applications/{application}/certificate", device, false, 0, (*call).getCertificate},
	{http.MethodGet, "/certificates", device, false, 0, (*call).listCertificates},
	{http.MethodGet, "/certificates/{certificate}/status", device, false, 0, (*call).getStatus},
	{http.MethodGet, "/certificates/{certificate}/challenge", device, false, 0, (*call).getChallenge},
	{http.MethodPost, "/certificates/{certificate}/signatures", device, true, maxBatch, (*call).signHashes},
	{http.MethodGet, "/certificates/{certificate}/authorisations", device, false, 0, (*call).listAuthorisations},
	{http.MethodPost, "/authorisations/{authorisation}/release", device, true, 0, (*call).releaseAuthorisation},
	{http.MethodPost, "/authorisations/{authorisation}/denial", device, true, 0, (*call).denyAuthorisation},
	{http.MethodGet, "/keys", nobody, false, 0, (*call).getKeys},
	{http.MethodGet, "/openapi.yaml", nobody, false, 0, (*call).getContract},
	{http.MethodGet, "/docs", nobody, false, 0, (*call).getDocs},
}, appRoutes...)

// echoPath is the path as the router writes it.
func (r route) echoPath() string {
	return prefix + strings.NewReplacer("{", ":", "}", "").Replace(r.path)
}
