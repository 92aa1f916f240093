package ra

// NoticeKind is what a holder is told about (HCA-3.4).
type NoticeKind string

const (
	NoticeEnrolled  NoticeKind = "enrolled" // a certificate was issued
	NoticeRevoked   NoticeKind = "revoked"
	NoticeSuspended NoticeKind = "suspended" // stopped at once, and may come back
	NoticeResumed   NoticeKind = "resumed"
	NoticeExpiring  NoticeKind = "expiring" // its validity ends soon
	NoticeAbnormal  NoticeKind = "abnormal" // something did not go as it should
	NoticeDevice    NoticeKind = "device"   // a device was unbound, because two copies of it were seen (HCA-7.3)
)
