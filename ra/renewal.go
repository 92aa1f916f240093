package ra

// Renewal is an application that the window knows as the renewal of a certificate, and what has come of it. The link is
// the window's own record: the text that the card signs is fixed, and says nothing of an earlier certificate.
type Renewal struct {
	Of          CertificateID
	Application ApplicationID
	State       ApplicationState // of the application
	Certificate CertificateID    // that it led to; empty: none yet
	Holds       CertificateState // where that one stands; empty: there is none yet
}

// Done tells whether the newer certificate is there to be used in place of the older.
func (r Renewal) Done() bool { return r.Holds == CertLive }

// Begun tells whether the renewal stands in the way of another of the same certificate: consent was given, and it has
// not come to nothing. A text that nobody has signed does not.
func (r Renewal) Begun() bool {
	switch r.State {
	case AppAwaitingKey, AppRequested, AppSent, AppDisputed:
		return true
	case AppCompleted:
		return r.Holds.Valid()
	}
	return false
}
