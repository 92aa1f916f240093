package ra

import "time"

// ApplicationKind says what a holder, or the window, applies for.
type ApplicationKind string

const (
	Enrolment  ApplicationKind = "enrolment"  // HCA-5.1
	Revocation ApplicationKind = "revocation" // HCA-5.2
	// Adoption is no application of anybody's: it takes a certificate into the register that the HCA issued before this
	// software was there, so that it counts (HCA-7.5) and the sweep sees it (HCA-3.6).
	Adoption ApplicationKind = "adoption"
)

// ApplicationState is where an application stands. Each is a word on the pages.
type ApplicationState string

const (
	AppAwaitingSignature ApplicationState = "awaiting-signature" // 待簽章: the text is issued, the card has not signed
	AppAwaitingKey       ApplicationState = "awaiting-key"       // 待產鑰: consent verified, a slot of the five is held
	AppRequested         ApplicationState = "requested"          // 待送出: the request to the HCA is committed
	AppSent              ApplicationState = "sent"               // 已送出: it left; until the answer is stored its outcome is unknown
	AppDisputed          ApplicationState = "disputed"           // 待查: the HCA's answer does not fit the request; a person must look
	AppCompleted         ApplicationState = "completed"          // 已完成
	AppRefused           ApplicationState = "refused"            // 已拒絕: the HCA's definite no
	AppLapsed            ApplicationState = "lapsed"             // 已逾期: not signed, or no key made, in time
	AppVoided            ApplicationState = "voided"             // 已作廢: withdrawn, or its device was bound anew
)

// ApplicationEvent is what can happen to an application.
type ApplicationEvent string

const (
	AppConsented ApplicationEvent = "consented" // the card's signature was verified
	AppKeyMade   ApplicationEvent = "key-made"  // the key exists, so the request can be written
	AppSend      ApplicationEvent = "send"      // about to leave the process; also each later attempt
	AppAnswered  ApplicationEvent = "answered"  // the HCA did it, and its answer fits the request
	AppDenied    ApplicationEvent = "denied"    // the HCA said no
	AppMismatch  ApplicationEvent = "mismatch"  // the HCA's answer does not fit the request
	AppAskAgain  ApplicationEvent = "ask-again" // two persons had the HCA asked anew what it did
	AppLapse     ApplicationEvent = "lapse"     // its deadline passed
	AppVoid      ApplicationEvent = "void"      // withdrawn before anything left the window
)

var enrolmentMachine = machine[ApplicationState, ApplicationEvent]{
	AppAwaitingSignature: {AppConsented: AppAwaitingKey, AppLapse: AppLapsed, AppVoid: AppVoided},
	AppAwaitingKey:       {AppKeyMade: AppRequested, AppLapse: AppLapsed, AppVoid: AppVoided},
	AppRequested:         {AppSend: AppSent, AppVoid: AppVoided},
	AppSent:              {AppSend: AppSent, AppAnswered: AppCompleted, AppDenied: AppRefused, AppMismatch: AppDisputed},
	AppDisputed:          {AppAskAgain: AppSent, AppAnswered: AppCompleted, AppDenied: AppRefused},
	AppCompleted:         {},
	AppRefused:           {},
	AppLapsed:            {},
	AppVoided:            {},
}

var revocationMachine = machine[ApplicationState, ApplicationEvent]{
	AppAwaitingSignature: {AppConsented: AppRequested, AppLapse: AppLapsed, AppVoid: AppVoided},
	AppRequested:         {AppSend: AppSent},
	// A refused revocation leaves a certificate standing that must not stand: a person must look.
	AppSent:      {AppSend: AppSent, AppAnswered: AppCompleted, AppDenied: AppDisputed, AppMismatch: AppDisputed},
	AppDisputed:  {AppAskAgain: AppSent, AppAnswered: AppCompleted},
	AppCompleted: {},
	AppLapsed:    {},
	AppVoided:    {},
}

// adoptionMachine: it is over when it is written.
var adoptionMachine = machine[ApplicationState, ApplicationEvent]{AppCompleted: {}}

// NextApplication is the state that follows an event, or an error that changes nothing. The deadline is the
// end of the text's life while a signature is awaited and of the wait for the key after it: consent and key
// come before it, a lapse only from it on (HCA-8.1.4).
func NextApplication(k ApplicationKind, s ApplicationState, e ApplicationEvent, deadline, now time.Time) (ApplicationState, error) {
	var next ApplicationState
	var err error
	switch k {
	case Enrolment:
		next, err = enrolmentMachine.next("application", s, e)
	case Revocation:
		next, err = revocationMachine.next("application", s, e)
	case Adoption:
		next, err = adoptionMachine.next("application", s, e)
	default:
		err = &Error{Kind: KindInternal, Code: "unknown-kind", Detail: "An application of an unknown kind cannot go on."}
	}
	// Who comes too late hears the same whether the lapse was written down already or not.
	step := e == AppConsented || e == AppKeyMade
	if err != nil && !(step && s == AppLapsed) {
		return s, err
	}
	late := !now.Before(deadline)
	switch {
	case step && (late || err != nil):
		return s, &Error{Kind: KindRefused, Clause: "HCA-8.1.4", Code: "application-expired",
			Detail: "The time for this step has passed. Nothing was changed; begin a new application."}
	case e == AppLapse && !late:
		return s, &Error{Kind: KindConflict, Code: "not-yet-late", Detail: "The application still has time. Nothing was changed."}
	}
	return next, nil
}

// Open tells whether the application can still change: it is neither done nor given up.
func (s ApplicationState) Open() bool {
	switch s {
	case AppAwaitingSignature, AppAwaitingKey, AppRequested, AppSent, AppDisputed:
		return true
	}
	return false
}

// HoldsSlot tells whether an enrolment in this state counts against the five of HCA-7.5: from consent on, and
// also while its outcome is unknown. A completed one counts for as long as its certificate lives.
func (s ApplicationState) HoldsSlot() bool {
	switch s {
	case AppAwaitingKey, AppRequested, AppSent, AppDisputed, AppCompleted:
		return true
	}
	return false
}

// Application is one wish for a certificate, or for its revocation, with everything that proves and decides it.
type Application struct {
	ID          ApplicationID `gorm:"primaryKey"`
	Kind        ApplicationKind
	State       ApplicationState
	PersonID    PersonID
	DeviceID    DeviceID
	Generation  int    // the device's binding when the text was made
	DeviceKey   string // KeyHash of the device key in the text
	Institution InstitutionCode
	Scope       []string `gorm:"serializer:json"`
	KeyDesign   KeyDesign
	Carrier     Carrier
	Algorithm   string // of the holder's key, e.g. "P-256"

	Slot          *int           // which of the person's numbered places it holds (HCA-7.5)
	CertificateID *CertificateID // an enrolment's result, a revocation's target
	Renews        CertificateID  // the certificate that an enrolment's own is to follow (HCA-7.5); empty: none
	Reason        RevocationReason
	Ground        string // the named ground of a revocation without consent (HCA-5.2.2)
	Note          string

	Text      []byte // exactly what the card signs
	Nonce     string // the nonce inside it
	Challenge []byte // what the key's proof must hold (HCA-6.0)
	Deadline  time.Time

	Consent     []byte // the card-signed CMS, whole
	ConsentBare bool   // wrapped by the window from a bare signature
	Proof       []byte // JSON: the signer's path and the revocation answers it was judged by
	Insertion   string // the card component's id of the insertion the signature was made in (asserted, HCA-8.1.2)

	CSR      []byte // PKCS#10
	KeyProof []byte // JSON of enrol.KeyProof: what is known of where and when the key was made

	FailureCode   string
	FailureDetail string

	CreatedBy string
	CreatedAt time.Time
	UpdatedAt time.Time
	// ErasedAt is when its personal data was erased, because the retention had ended (HCA-9).
	ErasedAt *time.Time
}
