package store

import (
	"time"

	"gorm.io/gorm"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/enrol"
)

// VoidForDevice ends what was begun under a device's earlier binding, and forgets its HSM keys: the consent named another
// key (HCA-6.0). Certificates that were taken over before the device had a binding belong to this one from now on. It is
// called by the register in its own transaction; each thing that changes has its row.
func VoidForDevice(db *gorm.DB, id ra.DeviceID, at time.Time) error {
	events, err := void(db, id, at, "binding", "HCA-6.0", enrol.CodeBoundAgain)
	if err != nil {
		return err
	}
	adopted, err := bindAdopted(db, id, at)
	if err != nil {
		return err
	}
	return appendEvents(db, append(events, adopted...))
}

// VoidForReplaced ends what was begun for a device that another takes the place of, and forgets its HSM keys: nothing
// can use them any more (HCA-6.3.5, HCA-7.3). Like VoidForDevice it is called by the register in its own transaction.
func VoidForReplaced(db *gorm.DB, id ra.DeviceID, at time.Time) error {
	events, err := void(db, id, at, "replacement", "HCA-7.3", enrol.CodeReplaced)
	if err != nil {
		return err
	}
	return appendEvents(db, events)
}

// deviceEvent is the row of what follows by itself from a change of a device.
func deviceEvent(at time.Time, who, act, object string, institution ra.InstitutionCode, clause policy.Clause, id ra.DeviceID) ra.Event {
	return ra.Event{At: at, Actor: ra.Actor{Kind: ra.ActorSystem, ID: who}, Act: act, Object: object, Institution: institution,
		Outcome: ra.OutcomeDone, Clause: clause, Details: map[string]string{"device": string(id)}}
}

// void ends the open applications of a device, whose failure code says why, and forgets its HSM keys.
func void(db *gorm.DB, id ra.DeviceID, at time.Time, who string, clause policy.Clause, code string) (events []ra.Event, err error) {
	var open []ra.Application
	states := []ra.ApplicationState{ra.AppAwaitingSignature, ra.AppAwaitingKey}
	if err := db.Select("id", "institution", "state").Where("device_id = ? AND kind = ? AND state IN ?", id, ra.Enrolment, states).Find(&open).Error; err != nil {
		return nil, err
	}
	for _, a := range open {
		err := guarded(db.Model(&ra.Application{}).Where("id = ? AND state = ?", a.ID, a.State).
			UpdateColumns(map[string]any{"state": ra.AppVoided, "slot": nil, "failure_code": code, "updated_at": at.UTC()}))
		if err != nil {
			return nil, err
		}
		events = append(events, deviceEvent(at, who, "application.void", "application/"+string(a.ID), a.Institution, clause, id))
	}
	var keys []holderKey
	if err := db.Select("application_id").Where("device_id = ?", id).Order("application_id").Find(&keys).Error; err != nil {
		return nil, err
	}
	for _, k := range keys {
		events = append(events, deviceEvent(at, who, "key.forget", "application/"+string(k.ApplicationID), "", clause, id))
	}
	return events, db.Where("device_id = ?", id).Delete(&holderKey{}).Error
}

// bindAdopted gives certificates that were taken over before the device had a binding to its first one.
func bindAdopted(db *gorm.DB, id ra.DeviceID, at time.Time) (events []ra.Event, err error) {
	var adopted []ra.Certificate
	if err := db.Select("id", "application_id", "institution").Where("device_id = ? AND generation = 0", id).Order("id").Find(&adopted).Error; err != nil {
		return nil, err
	}
	for _, c := range adopted {
		if err := db.Model(&ra.Certificate{}).Where("id = ?", c.ID).UpdateColumn("generation", 1).Error; err != nil {
			return nil, err
		}
		if err := db.Model(&ra.Application{}).Where("id = ?", c.ApplicationID).UpdateColumn("generation", 1).Error; err != nil {
			return nil, err
		}
		events = append(events, deviceEvent(at, "binding", "certificate.bound", "certificate/"+string(c.ID), c.Institution, "HCA-6.0", id))
	}
	return events, nil
}
