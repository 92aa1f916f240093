// Package mask hides personal data on the screen (HCA-8.1.5): enough stays to tell two people at the counter
// apart, not enough to note down.
package mask

import "strings"

// Name hides a name's middle, or all but its first character when it has two: 王大明 is 王○明, 王明 is 王○.
// A name written in several words keeps each word's first letter, but not that of a later word that has no other.
func Name(name string) string {
	words := strings.Fields(name)
	if len(words) > 1 {
		for i, w := range words {
			r := []rune(w)
			if i > 0 && len(r) == 1 {
				words[i] = "○"
				continue
			}
			words[i] = string(r[:1]) + strings.Repeat("○", len(r)-1)
		}
		return strings.Join(words, " ")
	}
	r := []rune(name)
	switch len(r) {
	case 0:
		return ""
	case 1:
		return "○"
	case 2:
		return string(r[:1]) + "○"
	}
	return string(r[:1]) + strings.Repeat("○", len(r)-2) + string(r[len(r)-1:])
}

// ID hides the middle of a number: A123456789 is A12****789. One too short to keep both ends is hidden whole.
func ID(id string) string { return middle(id, 3, 3) }

// Card hides the middle of a card's serial number.
func Card(serial string) string { return middle(serial, 2, 4) }

// Phone hides the middle of a telephone number.
func Phone(number string) string { return middle(number, 4, 3) }

// Email hides the part before the @ but for its first letter: a***@example.org.
func Email(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return strings.Repeat("*", min(len([]rune(address)), 8))
	}
	local := []rune(address[:at])
	if len(local) == 0 {
		return "***" + address[at:]
	}
	return string(local[:1]) + "***" + address[at:]
}

// middle keeps so many characters of either end. The stars count what they hide, four to eight of them, so that
// a length that tells something is not told.
func middle(s string, head, tail int) string {
	r := []rune(s)
	if len(r) < head+tail+2 {
		return strings.Repeat("*", len(r))
	}
	return string(r[:head]) + strings.Repeat("*", min(max(len(r)-head-tail, 4), 8)) + string(r[len(r)-tail:])
}
