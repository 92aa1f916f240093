package p11

import (
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// Error is a PKCS#11 function that failed: what was being done, and the CK_RV that the module returned.
type Error struct {
	Op string // e.g. "C_Login"
	RV uint   // CK_RV, e.g. 0xA0 CKR_PIN_INCORRECT
}

// Error names the operation and the return value; PKCS#11 return values hold no secrets.
func (e *Error) Error() string {
	return fmt.Sprintf("p11: %s: %s", e.Op, pkcs11.Error(e.RV).Error())
}

// ErrRemoved means that the card or token is not in its slot any more. PKCS#11 modules report a removal as many
// different errors, so any failure while the slot is empty is one. The error wrapping it holds the *Error too.
var ErrRemoved = errors.New("p11: the card was removed")

// RVPINIncorrect is the CK_RV of a wrong PIN.
const RVPINIncorrect uint = pkcs11.CKR_PIN_INCORRECT

// RV returns the CK_RV that an error of this package carries, or 0.
func RV(err error) uint {
	var e *Error
	if errors.As(err, &e) {
		return e.RV
	}
	return 0
}

// wrap turns an error of the binding into an *Error; nil stays nil.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	var rv pkcs11.Error
	if errors.As(err, &rv) {
		return &Error{Op: op, RV: uint(rv)}
	}
	return fmt.Errorf("p11: %s: %w", op, err)
}

// sessionLost says that the session or its login is gone and a new one may work.
func sessionLost(err error) bool {
	switch RV(err) {
	case pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_USER_NOT_LOGGED_IN,
		pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_DEVICE_MEMORY,
		pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_SLOT_ID_INVALID, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED,
		// Something else's operation, left behind in this session.
		pkcs11.CKR_OPERATION_ACTIVE,
		// A handle that was looked up before the token came back means nothing now.
		pkcs11.CKR_KEY_HANDLE_INVALID, pkcs11.CKR_OBJECT_HANDLE_INVALID,
		pkcs11.CKR_WRAPPING_KEY_HANDLE_INVALID, pkcs11.CKR_UNWRAPPING_KEY_HANDLE_INVALID:
		return true
	}
	return false
}

// dubious says that a session answered in a way that leaves its state unclear, so that it is not used again.
func dubious(err error) bool {
	switch RV(err) {
	case pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED, pkcs11.CKR_HOST_MEMORY, pkcs11.CKR_BUFFER_TOO_SMALL,
		pkcs11.CKR_OPERATION_NOT_INITIALIZED:
		return true
	}
	return false
}
