package story

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
)

// hidePhoneSecrets notes the secrets that keys in the HSM obey (HCA-6.3.5), which leave a phone encrypted to the module alone:
// it opens the phone's files as somebody could who has them, the key of its key store and the holder's password.
func hidePhoneSecrets(t *testing.T, s *Story) {
	t.Helper()
	dirs, err := filepath.Glob(s.st.Path("phone-" + s.ward.phone.code + "-*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("the doctor's phone is in %v: %v", dirs, err)
	}
	files, err := filepath.Glob(filepath.Join(dirs[0], "*.secret"))
	if err != nil || len(files) < 3 { // a batch that was faster than its end costs another key
		t.Fatalf("the phone has the secrets %v: %v", files, err)
	}
	for _, file := range files {
		s.hide("phone's secret of a key in the HSM", string(openPhoneSecret(t, s.ward.phone.phone, file)))
	}
}

func openPhoneSecret(t *testing.T, p *phone, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Salt, Nonce, Sealed []byte }
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	application := strings.TrimSuffix(filepath.Base(file), ".secret")
	key, err := p.key("device")
	if err != nil {
		t.Fatal(err)
	}
	store, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	password := "demo " + strings.TrimPrefix(filepath.Base(p.dir), "phone-")
	both := append(argon2.IDKey([]byte(password), f.Salt, 3, 64<<10, 4, 32), store...)
	lock, err := hkdf.Key(sha256.New, both, f.Salt, "certwindow phone secret v1 "+application, 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(lock)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := aead.Open(nil, f.Nonce, f.Sealed, []byte(application))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}
