package factor

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// contextWords are what people here put into passwords, and guessers try first (ASVS 6.1.2). A password that is one of
// them with digits and signs around it is as good as none.
var contextWords = []string{"certwindow", "hospital", "clinic", "doctor", "nurse", "password", "passw0rd", "welcome", "hca", "moica", "healthcare",
	"taiwan", "taipei", "counter", "window", "certificate", "admin"}

// commonText is a list of the passwords of eight characters or more that were found most often in what was stolen, the
// commonest first, in small letters; docs/dependencies.md says where it is from.
//
//go:embed common.txt
var commonText string

var commonPasswords = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for p := range strings.Lines(commonText) {
		all[strings.TrimSuffix(p, "\n")] = true
	}
	return all
})

// Common tells whether a password is among the first that a guesser tries: one of the commonest, or a word of this
// place or the account with nothing but digits and signs around it (ASVS 6.2.4, 6.2.11).
func Common(password Secret, account string) bool {
	text := strings.ToLower(password.Reveal())
	if commonPasswords()[text] {
		return true
	}
	core := strings.TrimFunc(text, func(r rune) bool { return r < 'a' && r < utf8.RuneSelf || r > 'z' && r < utf8.RuneSelf })
	for _, w := range append(slices.Clone(contextWords), account) {
		if w != "" && core == strings.ToLower(w) {
			return true
		}
	}
	return core == "" // digits and signs alone
}
