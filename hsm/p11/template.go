package p11

import (
	"encoding/binary"
	"runtime"
	"unsafe"

	"github.com/miekg/pkcs11"
)

// The binding passes attribute and mechanism values as flat bytes. Those that hold pointers (array attributes, the
// parameters of a derivation) are laid out here as the C structs of a 64-bit machine, and what they point to is
// pinned for the length of the call.

// allowMechanisms is CKA_ALLOWED_MECHANISMS: the key takes part in these and in nothing else.
func allowMechanisms(mechanisms ...uint) *pkcs11.Attribute {
	var b []byte
	for _, m := range mechanisms {
		b = binary.NativeEndian.AppendUint64(b, uint64(m))
	}
	return &pkcs11.Attribute{Type: pkcs11.CKA_ALLOWED_MECHANISMS, Value: b}
}

// unwrapTemplate is CKA_UNWRAP_TEMPLATE: what every key unwrapped by this one must be. The values stay pinned until
// p is unpinned.
func unwrapTemplate(p *runtime.Pinner, inner ...*pkcs11.Attribute) *pkcs11.Attribute {
	var b []byte
	for _, a := range inner {
		p.Pin(&a.Value[0])
		b = binary.NativeEndian.AppendUint64(b, uint64(a.Type))
		b = binary.NativeEndian.AppendUint64(b, uint64(uintptr(unsafe.Pointer(&a.Value[0]))))
		b = binary.NativeEndian.AppendUint64(b, uint64(len(a.Value)))
	}
	return &pkcs11.Attribute{Type: pkcs11.CKA_UNWRAP_TEMPLATE, Value: b}
}

// encryptDataParams is CK_KEY_DERIVATION_STRING_DATA for CKM_AES_ECB_ENCRYPT_DATA. data must not be empty and stays
// pinned until p is unpinned.
func encryptDataParams(p *runtime.Pinner, data []byte) []byte {
	p.Pin(&data[0])
	b := binary.NativeEndian.AppendUint64(nil, uint64(uintptr(unsafe.Pointer(&data[0]))))
	return binary.NativeEndian.AppendUint64(b, uint64(len(data)))
}
