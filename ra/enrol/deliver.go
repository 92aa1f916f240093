package enrol

import (
	"context"
	"time"

	"certwindow/policy"
	"certwindow/ra"
)

// DeliveryTx is one transaction on what a delivery reads and writes.
type DeliveryTx interface {
	Application(scope ra.InstitutionCode, id ra.ApplicationID) (ra.Application, error)
	Certificate(scope ra.InstitutionCode, id ra.CertificateID) (ra.Certificate, error)
	// UpdateCertificate writes it when it is still in the state from, and fails with a conflict otherwise.
	UpdateCertificate(c ra.Certificate, from ra.CertificateState) error
	Person(id ra.PersonID) (ra.PersonFacts, error)
	Device(id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error)
	Audit(e ra.Event) error
}

// DeliveryStore runs transactions.
type DeliveryStore interface {
	Update(ctx context.Context, fn func(DeliveryTx) error) error
	View(ctx context.Context, fn func(DeliveryTx) error) error
}

// Delivery hands issued certificates to the phones they were made for: the last step of an enrolment.
type Delivery struct {
	store DeliveryStore
	now   func() time.Time
}

// NewDelivery wires the use case.
func NewDelivery(store DeliveryStore, now func() time.Time) *Delivery {
	return &Delivery{store: store, now: now}
}

// Deliver is an application with its certificate, for the device that it is meant for; nil while the HCA has
// not answered. The first time is written down. Applicant, device user and holder are held against each other
// once more (HCA-7.3). An application that came to nothing is a conflict.
func (d *Delivery) Deliver(ctx context.Context, actor ra.Actor, device ra.DeviceID, id ra.ApplicationID) (a ra.Application, c *ra.Certificate, err error) {
	err = d.store.View(ctx, func(tx DeliveryTx) error {
		a, c, err = d.find(tx, device, id)
		return err
	})
	if err == nil && (c == nil || c.DeliveredAt != nil) {
		return a, c, nil
	}
	e := ra.Event{Actor: actor, Act: "certificate.deliver", Object: object(id), Institution: a.Institution}
	err = ra.Act[DeliveryTx](ctx, d.store, d.now(), e, func(tx DeliveryTx, e *ra.Event) error {
		if a, c, err = d.find(tx, device, id); err != nil {
			return err
		}
		if c == nil || c.DeliveredAt != nil {
			return nil
		}
		at := d.now().UTC()
		c.DeliveredAt, c.UpdatedAt = &at, at
		e.Details = map[string]string{"certificate": string(c.ID)}
		return tx.UpdateCertificate(*c, c.State)
	})
	if err != nil {
		return a, nil, err
	}
	return a, c, nil
}

// find loads an application of the device and its certificate, when there is one.
func (d *Delivery) find(tx DeliveryTx, device ra.DeviceID, id ra.ApplicationID) (ra.Application, *ra.Certificate, error) {
	a, err := tx.Application("", id)
	if err != nil {
		return a, nil, err
	}
	if a.DeviceID != device || a.Kind != ra.Enrolment || a.Consent == nil {
		return ra.Application{}, nil, ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such application for this device.")
	}
	switch a.State {
	case ra.AppRefused, ra.AppLapsed, ra.AppVoided:
		return a, nil, ra.Errorf(ra.KindConflict, "application-"+string(a.State), nil, "This application came to nothing, so there is no certificate. Begin a new application at the counter.")
	case ra.AppCompleted:
	default:
		return a, nil, nil
	}
	if err := mayReceive(tx, a); err != nil {
		return a, nil, err
	}
	if a.CertificateID == nil {
		return a, nil, ra.Errorf(ra.KindInternal, "no-certificate", nil, "A completed application has no certificate.")
	}
	c, err := tx.Certificate("", *a.CertificateID)
	return a, &c, err
}

// mayReceive judges device and person at the moment of delivery (HCA-6.0, HCA-7.3).
func mayReceive(tx DeliveryTx, a ra.Application) error {
	d, err := tx.Device(a.DeviceID, a.PersonID)
	if err != nil {
		return err
	}
	p, err := tx.Person(a.PersonID)
	if err != nil {
		return err
	}
	return ra.Refused(policy.All(
		policy.SameBinding(a.DeviceKey, ra.KeyHash(d.KeySPKI), a.Generation, d.Generation),
		policy.DeviceUser(policy.DeviceUse{Registered: d.IsUser, State: string(d.State), SameInstitution: d.Institution == a.Institution}),
		policy.Person(policy.Applicant{Active: p.Active, Member: p.MemberOf(a.Institution), SameHolder: true, SameName: true}),
	))
}
