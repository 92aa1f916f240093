package store

import (
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
	"certwindow/ra/enrol"
)

// VoidForDevice ends what was begun under a device's earlier binding, and forgets its HSM keys: the consent named another
// key (HCA-6.0). Certificates that were taken over before the device had a binding belong to this one from now on. It is
// called by the register in its own transaction; each thing that changes has its row.
func VoidForDevice(db *gorm.DB, id ra.DeviceID, at time.Time) error {
	var open []ra.Application
	states := []ra.ApplicationState{ra.AppAwaitingSignature, ra.AppAwaitingKey}
	if err := db.Select("id", "institution", "state").Where("device_id = ? AND kind = ? AND state IN ?", id, ra.Enrolment, states).Find(&open).Error; err != nil {
		return err
	}
	var events []ra.Event
	tell := func(act, object string, institution ra.InstitutionCode) {
		events = append(events, ra.Event{At: at, Actor: ra.Actor{Kind: ra.ActorSystem, ID: "binding"}, Act: act, Object: object, Institution: institution,
			Outcome: ra.OutcomeDone, Clause: "HCA-6.0", Details: map[string]string{"device": string(id)}})
	}
	for _, a := range open {
		err := guarded(db.Model(&ra.Application{}).Where("id = ? AND state = ?", a.ID, a.State).
			UpdateColumns(map[string]any{"state": ra.AppVoided, "slot": nil, "failure_code": enrol.CodeBoundAgain, "updated_at": at.UTC()}))
		if err != nil {
			return err
		}
		tell("application.void", "application/"+string(a.ID), a.Institution)
	}
	var keys []holderKey
	if err := db.Select("application_id").Where("device_id = ?", id).Order("application_id").Find(&keys).Error; err != nil {
		return err
	}
	for _, k := range keys {
		tell("key.forget", "application/"+string(k.ApplicationID), "")
	}
	if err := db.Where("device_id = ?", id).Delete(&holderKey{}).Error; err != nil {
		return err
	}
	var adopted []ra.Certificate
	if err := db.Select("id", "application_id", "institution").Where("device_id = ? AND generation = 0", id).Order("id").Find(&adopted).Error; err != nil {
		return err
	}
	for _, c := range adopted {
		if err := db.Model(&ra.Certificate{}).Where("id = ?", c.ID).UpdateColumn("generation", 1).Error; err != nil {
			return err
		}
		if err := db.Model(&ra.Application{}).Where("id = ?", c.ApplicationID).UpdateColumn("generation", 1).Error; err != nil {
			return err
		}
		tell("certificate.bound", "certificate/"+string(c.ID), c.Institution)
	}
	return appendEvents(db, events)
}
