package policy

// Platform decides whether a device's operating system makes it a mobile device at all (HCA-2.1: iOS or
// Android, phone, tablet or other networked handheld).
func Platform(p string) Decision {
	switch p {
	case "ios", "android":
		return Allow()
	}
	return Refuse("HCA-2.1", "platform-not-allowed", "Only iOS and Android devices can be registered; use a device that runs one of them.")
}
