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
	do     func(*call) (answer, error)
}

// routes is the whole API. A test holds it against openapi.yaml.
var routes = []route{
	{http.MethodPost, "/bindings", newKey, false, (*call).presentBinding},
	{http.MethodGet, "/bindings/{binding}", bindingBy, false, (*call).getBinding},
	{http.MethodGet, "/device", device, false, (*call).getDevice},
	{http.MethodGet, "/applications", device, false, (*call).listApplications},
	{http.MethodGet, "/applications/{application}", device, false, (*call).getApplication},
	{http.MethodPost, "/applications/{application}/request", device, true, (*call).submitRequest},
	{http.MethodGet, "/applications/{application}/certificate", device, false, (*call).getCertificate},
	{http.MethodGet, "/certificates", device, false, (*call).listCertificates},
	{http.MethodGet, "/certificates/{certificate}/status", device, false, (*call).getStatus},
	{http.MethodPost, "/certificates/{certificate}/signatures", device, true, (*call).signHash},
	{http.MethodGet, "/keys", nobody, false, (*call).getKeys},
	{http.MethodGet, "/openapi.yaml", nobody, false, (*call).getContract},
	{http.MethodGet, "/docs", nobody, false, (*call).getDocs},
}

// echoPath is the path as the router writes it.
func (r route) echoPath() string {
	return prefix + strings.NewReplacer("{", ":", "}", "").Replace(r.path)
}
