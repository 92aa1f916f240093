package ra

import (
	"time"
)

// CertificateState is where a mobile certificate stands.
type CertificateState string

const (
	CertLive      CertificateState = "live"      // 有效
	CertSuspended CertificateState = "suspended" // 暫停使用: stopped here at once, still valid at the HCA
	CertRevoking  CertificateState = "revoking"  // 廢止中: not usable any more, the HCA has not confirmed yet
	CertRevoked   CertificateState = "revoked"   // 已廢止
	CertExpired   CertificateState = "expired"   // 已過期
)

// CertificateEvent is what can happen to a certificate.
type CertificateEvent string

const (
	CertSuspend CertificateEvent = "suspend" // one person's act, at any hour (HCA-5.2.2)
	CertResume  CertificateEvent = "resume"
	CertRevoke  CertificateEvent = "revoke"  // a revocation was decided; the request is on its way
	CertConfirm CertificateEvent = "confirm" // the HCA says it is revoked
	CertExpire  CertificateEvent = "expire"
)

var certificateMachine = machine[CertificateState, CertificateEvent]{
	CertLive:      {CertSuspend: CertSuspended, CertRevoke: CertRevoking, CertConfirm: CertRevoked, CertExpire: CertExpired},
	CertSuspended: {CertResume: CertLive, CertRevoke: CertRevoking, CertConfirm: CertRevoked, CertExpire: CertExpired},
	CertRevoking:  {CertConfirm: CertRevoked, CertExpire: CertExpired},
	CertRevoked:   {},
	CertExpired:   {},
}

// NextCertificate is the state that follows an event. It expires only when its notAfter has passed.
func NextCertificate(s CertificateState, e CertificateEvent, notAfter, now time.Time) (CertificateState, error) {
	if e == CertExpire && !now.After(notAfter) {
		return s, &Error{Kind: KindConflict, Code: "not-yet-expired", Detail: "The certificate is still within its validity. Nothing was changed."}
	}
	return certificateMachine.next("certificate", s, e)
}

// Valid tells whether the HCA still holds the certificate valid as far as the window knows, so that it counts
// against the five of HCA-7.5.
func (s CertificateState) Valid() bool {
	return s == CertLive || s == CertSuspended || s == CertRevoking
}

// RevocationReason is an RFC 5280 CRLReason by its name (section 5.3.1).
type RevocationReason string

const (
	ReasonUnspecified          RevocationReason = "unspecified"
	ReasonKeyCompromise        RevocationReason = "keyCompromise"
	ReasonAffiliationChanged   RevocationReason = "affiliationChanged"
	ReasonSuperseded           RevocationReason = "superseded"
	ReasonCessationOfOperation RevocationReason = "cessationOfOperation"
	ReasonPrivilegeWithdrawn   RevocationReason = "privilegeWithdrawn"
)

// Code is the number of RFC 5280 section 5.3.1; false for a name the window does not use.
func (r RevocationReason) Code() (int, bool) {
	switch r {
	case ReasonUnspecified:
		return 0, true
	case ReasonKeyCompromise:
		return 1, true
	case ReasonAffiliationChanged:
		return 3, true
	case ReasonSuperseded:
		return 4, true
	case ReasonCessationOfOperation:
		return 5, true
	case ReasonPrivilegeWithdrawn:
		return 9, true
	}
	return 0, false
}

// Certificate is a mobile certificate that this window had issued.
type Certificate struct {
	ID            CertificateID `gorm:"primaryKey"`
	ApplicationID ApplicationID
	PersonID      PersonID
	DeviceID      DeviceID
	Generation    int // of the device's binding it was applied for under
	Institution   InstitutionCode
	Scope         []string `gorm:"serializer:json"`
	KeyDesign     KeyDesign
	Serial        string // lower hex without leading zeros
	IssuerKey     string // authority key identifier, lower hex
	DER           []byte
	Chain         []byte // PEM, leaf first, up to but without the anchor
	NotBefore     time.Time
	NotAfter      time.Time
	State         CertificateState
	StateNote     string
	Reason        RevocationReason
	RevokedAt     *time.Time
	DeliveredAt   *time.Time
	Reminded      int // at how many days before NotAfter the holder was told last (HCA-3.4); 0: not yet
	CreatedAt     time.Time
	UpdatedAt     time.Time
}
