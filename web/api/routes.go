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
	joined bool // takes its nonce and its Idempotency-Key itself, in the transaction of what it does
	most   int  // bytes of its body; 0: maxBody
	do     func(*call) (answer, error)
	holder holder
	fresh  bool // what it answers is not to be kept for a repetition: secrets, and what is done as well twice
	poll   bool // what an app asks by itself, which is no use of the login (HCA-8.1.1)
	plain  bool // also without mutual TLS: a device that has no certificate yet comes for one
}

// holder says whether a holder must have signed in on the device.
type holder int

const (
	anyHolder  holder = iota // nobody need have
	signedIn                 // by a password of his own (HCA-8.2.6(5))
	firstLogin               // by his initial password as well
)

// routes is the whole API. A test holds it against openapi.yaml.
var routes = append([]route{
	{method: http.MethodPost, path: "/bindings", signer: newKey, do: (*call).presentBinding},
	{method: http.MethodGet, path: "/bindings/{binding}", signer: bindingBy, do: (*call).getBinding},
	{method: http.MethodGet, path: "/device", signer: device, do: (*call).getDevice},
	{method: http.MethodPost, path: "/device/certificate", signer: device, do: (*call).certifyDevice, fresh: true, plain: true},
	{method: http.MethodPost, path: "/holder/login", signer: device, do: (*call).loginHolder, fresh: true},
	{method: http.MethodGet, path: "/holder", signer: device, do: (*call).getHolder, holder: firstLogin},
	{method: http.MethodPost, path: "/holder/logout", signer: device, do: (*call).logout, fresh: true, holder: firstLogin},
	{method: http.MethodPost, path: "/holder/password", signer: device, do: (*call).changePassword, fresh: true, holder: firstLogin},
	{method: http.MethodPost, path: "/holder/codes", signer: device, do: (*call).sendCode, fresh: true},
	{method: http.MethodPost, path: "/holder/challenges", signer: device, do: (*call).challenge, fresh: true},
	{method: http.MethodPost, path: "/holder/totp", signer: device, do: (*call).setUpTOTP, fresh: true, holder: signedIn},
	{method: http.MethodPost, path: "/holder/biometrics", signer: device, do: (*call).addBiometric, fresh: true, holder: signedIn},
	{method: http.MethodGet, path: "/applications", signer: device, do: (*call).listApplications},
	{method: http.MethodGet, path: "/applications/{application}", signer: device, do: (*call).getApplication},
	{method: http.MethodPost, path: "/applications/{application}/request", signer: device, do: (*call).submitRequest, once: true},
	{method: http.MethodPost, path: "/applications/{application}/activation-secret", signer: device, do: (*call).submitSecret, once: true},
	{method: http.MethodGet, path: "/applications/{application}/certificate", signer: device, do: (*call).getCertificate},
	{method: http.MethodGet, path: "/certificates", signer: device, do: (*call).listCertificates, holder: signedIn},
	{method: http.MethodGet, path: "/certificates/{certificate}/status", signer: device, do: (*call).getStatus, holder: signedIn},
	{method: http.MethodGet, path: "/statuses", signer: device, do: (*call).getStatuses, holder: signedIn},
	{method: http.MethodGet, path: "/certificates/{certificate}/challenge", signer: device, do: (*call).getChallenge, holder: signedIn},
	{method: http.MethodPost, path: "/certificates/{certificate}/signatures", signer: device, do: (*call).signHashes, joined: true, most: maxBatch, holder: signedIn},
	{method: http.MethodGet, path: "/certificates/{certificate}/authorisations", signer: device, do: (*call).listAuthorisations, holder: signedIn},
	{method: http.MethodGet, path: "/authorisations", signer: device, do: (*call).listAllAuthorisations, holder: signedIn},
	{method: http.MethodGet, path: "/access-requests", signer: device, do: (*call).listAccess, holder: signedIn},
	{method: http.MethodPost, path: "/access-requests/{request}/approval", signer: device, do: (*call).approveAccess, once: true, holder: signedIn},
	{method: http.MethodPost, path: "/access-requests/{request}/denial", signer: device, do: (*call).denyAccess, once: true, holder: signedIn},
	{method: http.MethodGet, path: "/events", signer: device, do: (*call).getEvents, holder: signedIn, poll: true},
	{method: http.MethodPost, path: "/authorisations/{authorisation}/release", signer: device, do: (*call).releaseAuthorisation, once: true, holder: signedIn},
	{method: http.MethodPost, path: "/authorisations/{authorisation}/denial", signer: device, do: (*call).denyAuthorisation, once: true, holder: signedIn},
	{method: http.MethodGet, path: "/keys", signer: nobody, do: (*call).getKeys},
	{method: http.MethodGet, path: "/openapi.yaml", signer: nobody, do: (*call).getContract},
	{method: http.MethodGet, path: "/docs", signer: nobody, do: (*call).getDocs},
}, appRoutes...)

// echoPath is the path as the router writes it.
func (r route) echoPath() string {
	return prefix + strings.NewReplacer("{", ":", "}", "").Replace(r.path)
}
