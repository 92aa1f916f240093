package ceremony

// ParseBackup gives the sizes of what a component's backup holds, before its passphrase is asked for.
func ParseBackup(file []byte) (salt, nonce, sealed int, err error) {
	f, err := parseBackup(file)
	return len(f.Salt), len(f.Nonce), len(f.Sealed), err
}
