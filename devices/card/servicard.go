package card

import (
	"context"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
)

// Mechanism numbers of PKCS #11 that ATL_MakeSignatureEx2 takes. SHA-1 is refused whatever the page asks.
var serviMechanisms = map[string]hashName{"64": "SHA256", "65": "SHA384", "66": "SHA512"}

// serviLook answers what a card tells anybody, without a PIN.
func (s *Server) serviLook(r *http.Request, call fields) (result, insertion string, err error) {
	name := call["functionname"]
	if name == "ATL_InitModule" {
		err := s.owner.do(r.Context(), func(_ context.Context, mod Module) error {
			slots, err := s.look(mod)
			if err == nil && len(slots) == 0 {
				err = failf(CodeNoReader, "no reader")
			}
			return err
		})
		if err != nil {
			return "0", "", err
		}
		return serviHandle, "", nil
	}
	t, err := s.locate(r.Context(), &signRequest{})
	if err != nil {
		return "", "", err
	}
	switch name {
	case "ATL_GetHCACardSN":
		return t.slot.Token.Serial, t.stay.Insertion, nil
	case "ATL_GetHCACardType":
		return strconv.Itoa(cardType(t)), t.stay.Insertion, nil
	case "ATL_GetCardHCACardVersion":
		return "2", t.stay.Insertion, nil
	}
	if call["iCertId"] != "1" {
		return "", "", failf(CodeCertNotFound, "only the signing certificate is given")
	}
	return base64.StdEncoding.EncodeToString(t.cert.DER), t.stay.Insertion, nil
}

// Subject types of health care in certificates of the government's authorities (2.16.886.1.100.3).
var oidInstitutionType = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 3, 2, 21}

// cardType is 0 for an institution's card and 1 for a person's.
func cardType(t *target) int {
	if subjectType(t.x509).Equal(oidInstitutionType) {
		return 0
	}
	return 1
}

// serviOpen begins a session with the card that is in the reader now. A PIN that the site may send is tried at once,
// as the page expects; any other is forgotten, and the person is asked when there is a text to show.
func (s *Server) serviOpen(r *http.Request, call fields, x *serviSession, who caller) (result, insertion string, err error) {
	x.close()
	t, err := s.locate(r.Context(), &signRequest{})
	if err != nil {
		return "0", "", err
	}
	if len(call["userPin"]) > maxPINLength {
		return "0", "", failf(CodeBadParameter, "a field is too long")
	}
	var pin PIN
	if s.pinFrom[who] {
		if pin, err = s.obtainPIN(r.Context(), t, &signRequest{pin: NewPIN([]byte(call["userPin"]))}, who); err != nil {
			return "0", "", t.blameRemoval(err)
		}
		if err := s.tryPIN(r.Context(), t, pin); err != nil {
			pin.Wipe()
			return "0", "", t.blameRemoval(err)
		}
	}
	x.open(pin, t.stay)
	return serviHandle, t.stay.Insertion, nil
}

// tryPIN logs in and out again.
func (s *Server) tryPIN(ctx context.Context, t *target, pin PIN) error {
	return s.owner.do(ctx, func(_ context.Context, mod Module) error {
		session, err := mod.Open(t.slot.ID)
		if err != nil {
			return s.afterError(mod, t, fail(CodeSession, err))
		}
		defer session.Close()
		if err := session.Login(pin); err != nil {
			return s.afterError(mod, t, s.loginFailure(mod, t, err))
		}
		return nil
	})
}

// serviSign makes a bare signature over the data of the call, in the stay of the card that the session was opened with.
func (s *Server) serviSign(r *http.Request, call fields, x *serviSession, who caller) (value, insertion string, err error) {
	stay := x.card()
	if stay == nil {
		return "", "", errNotLoggedIn
	}
	if stay.over() {
		x.close()
		return "", "", fail(CodeNoCard, errRemoved)
	}
	hash, ok := serviMechanisms[call["ulAlgorithm"]]
	if !ok {
		return "", "", failf(CodeBadParameter, "ulAlgorithm is unsupported")
	}
	content, err := base64.StdEncoding.DecodeString(call["b64Data"])
	if err != nil || len(content) == 0 {
		return "", "", failf(CodeNoData, "b64Data holds nothing")
	}
	ctx, cancel := s.operation(r.Context())
	defer cancel()
	ctx, release := stay.hold(ctx)
	defer release()
	answer, err := s.sign(ctx, &signRequest{content: content, kind: SignPKCS1, hash: hash, pin: x.takePIN()}, who)
	switch {
	case stay.over(), err == nil && answer.Insertion != stay.Insertion:
		x.close()
		return "", "", fail(CodeNoCard, errRemoved)
	case err != nil:
		return "", "", err
	}
	if call["ulEndianness"] == "1" {
		raw, err := base64.StdEncoding.DecodeString(answer.Signature)
		if err != nil {
			return "", "", err
		}
		slices.Reverse(raw)
		return base64.StdEncoding.EncodeToString(raw), answer.Insertion, nil
	}
	return answer.Signature, answer.Insertion, nil
}

var errNotLoggedIn = errors.New("no session is open")

// serviCode is a failure in HCAServiSign's own numbers.
func serviCode(err error) int {
	if errors.Is(err, errNotLoggedIn) {
		return serviNotLoggedIn
	}
	f := asFailure(err, CodeTimeout)
	switch f.lastError {
	case rvPINIncorrect, lastErrorOneTryLeft, lastErrorTwoTryLeft:
		return serviPINWrong
	case rvPINLenRange, rvPINInvalid:
		return serviPINLength
	case rvPINLocked:
		return serviPINLocked
	}
	codes := map[Code]int{CodeNoCard: serviNoToken, CodeNoReader: serviNoSlot, CodeCancelled: serviCancelled, CodePINEmpty: serviCancelled,
		CodeCertNotFound: serviNoCert, CodeExpired: serviExpired, CodeNotYetValid: serviNotYet, CodeBadParameter: serviParameter, CodeNoData: serviParameter}
	if errors.Is(f.cause, errRemoved) {
		return serviRemoved
	}
	if code, ok := codes[f.code]; ok {
		return code
	}
	return serviDevice
}
