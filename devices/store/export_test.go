package store

// Models are the types that this package reads and writes its tables by.
func Models() []any {
	return []any{&institution{}, &person{}, &membership{}, &device{}, &deviceUser{}, &deviceBinding{}, &scope{}, &scopeInstitution{},
		&appVersion{}, &deviceCheckin{}, &safetyNotice{},
		&noticeAcknowledgement{}, &unmasking{}, &unmasker{}, &unmaskedList{}, &holderAccount{}, &holderCode{}, &holderBiometric{}, &holderLogin{}}
}
