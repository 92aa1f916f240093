package ceremony

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"certwindow/hsm"
	"certwindow/hsm/p11"

	"golang.org/x/crypto/scrypt"
)

const (
	backupFormat  = "certwindow component backup v1"
	maxBackupFile = 16 << 10
	// MinPassphrase is the shortest passphrase of a component's backup, in bytes.
	MinPassphrase = 12
	saltSize      = 16
	nonceSize     = 12
	// The cost of one guess, fixed by the format: 128 MiB and about half a second.
	scryptN, scryptR, scryptP = 1 << 17, 8, 1
)

// BackupInfo says whose component a backup holds. It is readable without the passphrase, and authenticated by it.
type BackupInfo struct {
	Custodian  string `json:"custodian"`
	Generation int    `json:"generation"`
	CheckValue string `json:"check_value"`
}

// backupFile is one custodian's share of the split export (HCA-6.3.2): every custodian keeps only this.
type backupFile struct {
	Format string `json:"format"`
	BackupInfo
	Salt   []byte `json:"salt"`
	Nonce  []byte `json:"nonce"`
	Sealed []byte `json:"sealed"`
}

// SealComponent encrypts a printed component under its custodian's passphrase, as a file for the carrier that the
// custodian keeps. All custodians' files together are the backup of the master key; one file is of no use alone,
// not even with its passphrase.
func SealComponent(component, passphrase hsm.Secret, custodian string, generation int, rand io.Reader) ([]byte, error) {
	if passphrase.Len() < MinPassphrase {
		return nil, fmt.Errorf("ceremony: the passphrase has fewer than %d bytes", MinPassphrase)
	}
	raw, err := ParseComponent(component)
	if err != nil {
		return nil, err
	}
	defer raw.Destroy()
	check, err := checkValue(raw.Bytes())
	if err != nil {
		return nil, err
	}
	f := backupFile{
		Format:     backupFormat,
		BackupInfo: BackupInfo{Custodian: custodian, Generation: generation, CheckValue: check},
		Salt:       make([]byte, saltSize),
		Nonce:      make([]byte, nonceSize),
	}
	for _, b := range [][]byte{f.Salt, f.Nonce} {
		if _, err := io.ReadFull(rand, b); err != nil {
			return nil, fmt.Errorf("ceremony: random source: %w", err)
		}
	}
	aead, err := passphraseCipher(passphrase, f.Salt)
	if err != nil {
		return nil, err
	}
	f.Sealed = aead.Seal(nil, f.Nonce, raw.Bytes(), f.associated())
	return json.MarshalIndent(f, "", "  ")
}

// OpenComponent opens what SealComponent made and returns the component in its printed form.
func OpenComponent(file []byte, passphrase hsm.Secret) (hsm.Secret, BackupInfo, error) {
	f, err := parseBackup(file)
	if err != nil {
		return hsm.Secret{}, BackupInfo{}, err
	}
	aead, err := passphraseCipher(passphrase, f.Salt)
	if err != nil {
		return hsm.Secret{}, BackupInfo{}, err
	}
	raw, err := aead.Open(nil, f.Nonce, f.Sealed, f.associated())
	if err != nil {
		return hsm.Secret{}, BackupInfo{}, errors.New("ceremony: the passphrase is wrong, or the backup was changed")
	}
	defer clear(raw)
	check, err := checkValue(raw)
	if err != nil {
		return hsm.Secret{}, BackupInfo{}, err
	}
	if check != f.CheckValue {
		return hsm.Secret{}, BackupInfo{}, errors.New("ceremony: the backup holds another component than it says")
	}
	text, err := printed(raw)
	return text, f.BackupInfo, err
}

// parseBackup checks everything that can be checked without the passphrase, before the costly derivation.
func parseBackup(file []byte) (backupFile, error) {
	if len(file) > maxBackupFile {
		return backupFile{}, fmt.Errorf("ceremony: a component backup has at most %d bytes", maxBackupFile)
	}
	var f backupFile
	if err := json.Unmarshal(file, &f); err != nil {
		return backupFile{}, fmt.Errorf("ceremony: component backup: %w", err)
	}
	if f.Format != backupFormat {
		return backupFile{}, fmt.Errorf("ceremony: not a file of the format %q", backupFormat)
	}
	if len(f.Salt) != saltSize || len(f.Nonce) != nonceSize || len(f.Sealed) != p11.ComponentSize+16 {
		return backupFile{}, errors.New("ceremony: the component backup is damaged")
	}
	return f, nil
}

func passphraseCipher(passphrase hsm.Secret, salt []byte) (cipher.AEAD, error) {
	key, err := scrypt.Key(passphrase.Bytes(), salt, scryptN, scryptR, scryptP, 32)
	if err != nil {
		return nil, fmt.Errorf("ceremony: passphrase: %w", err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// associated is what the passphrase authenticates beside the component.
func (f backupFile) associated() []byte {
	var b []byte
	for _, field := range []string{f.Format, f.Custodian, fmt.Sprint(f.Generation), f.CheckValue} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(field)))
		b = append(b, field...)
	}
	return b
}
