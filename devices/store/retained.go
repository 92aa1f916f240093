package store

import (
	"io"
	"strconv"

	"certwindow/ra"
)

// eraseAccount deletes the person's account on phones with everything that proves him there.
func (t *tx) eraseAccount(id ra.PersonID) error {
	for _, row := range []any{&holderLogin{}, &holderBiometric{}, &holderCode{}, &holderAccount{}} {
		if err := t.db.Where("person_id = ?", id).Delete(row).Error; err != nil {
			return err
		}
	}
	return nil
}

// eraseCards overwrites which cards the person signed with. Who checked one and when stays.
func (t *tx) eraseCards(id ra.PersonID) error {
	var rows []personCard
	if err := t.db.Select("id").Where("person_id = ?", id).Find(&rows).Error; err != nil {
		return err
	}
	for _, r := range rows {
		sealed, err := t.seal(colCardHolder, r.ID, erased)
		if err != nil {
			return err
		}
		hash := make([]byte, 32) // no card has it
		if _, err := io.ReadFull(t.s.rand, hash); err != nil {
			return err
		}
		if err := t.db.Model(&personCard{}).Where("id = ?", r.ID).Updates(map[string]any{"holder_sealed": sealed, "holder_hash": hash}).Error; err != nil {
			return err
		}
	}
	return nil
}

// heldAccount is what is kept of the person's account and cards, for his copy; secrets are nobody's to read.
func (t *tx) heldAccount(id ra.PersonID) ([]ra.Held, error) {
	account, keys, cards := ra.Held{Kind: "account"}, ra.Held{Kind: "biometrics"}, ra.Held{Kind: "cards"}
	var a holderAccount
	switch res := t.db.Where("person_id = ?", id).Limit(1).Find(&a); {
	case res.Error != nil:
		return nil, res.Error
	case res.RowsAffected == 1:
		account.Rows = append(account.Rows, map[string]string{"account": a.Name, "opened": stamp(a.CreatedAt), "password-set": stamp(a.PasswordAt),
			"totp": strconv.FormatBool(a.TOTPSealed != nil), "hotp": strconv.FormatBool(a.HOTPSealed != nil)})
	}
	var bs []holderBiometric
	if err := t.db.Where("person_id = ?", id).Order("id").Find(&bs).Error; err != nil {
		return nil, err
	}
	for _, b := range bs {
		keys.Rows = append(keys.Rows, map[string]string{"device": string(b.DeviceID), "kind": b.Kind, "added": stamp(b.AddedAt)})
	}
	var cs []personCard
	if err := t.db.Where("person_id = ?", id).Order("id").Find(&cs).Error; err != nil {
		return nil, err
	}
	for _, c := range cs {
		holder, err := t.s.sealer.Open(colCardHolder+"/"+c.ID, c.HolderSealed)
		if err != nil {
			return nil, err
		}
		cards.Rows = append(cards.Rows, map[string]string{"card": string(holder), "document": c.Document, "checked": stamp(c.CheckedAt)})
	}
	return []ra.Held{account, keys, cards}, nil
}
