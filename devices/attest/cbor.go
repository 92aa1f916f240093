package attest

import "github.com/fxamacker/cbor/v2"

// strictCBOR decodes what phones send: shallow, small, of definite length, without tags, no key twice. The
// object itself is capped by MaxObject before.
func strictCBOR() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   4,
		MaxArrayElements:  16,
		MaxMapPairs:       16,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		UTF8:              cbor.UTF8RejectInvalid,
		IntDec:            cbor.IntDecConvertNone,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants: this fails in every test or never
	}
	return mode
}
