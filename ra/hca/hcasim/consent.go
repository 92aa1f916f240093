package hcasim

import (
	"fmt"
	"strings"
	"time"

	"certwindow/ra/cms"
)

// First lines of the two texts that a card signs for the HCA.
const (
	enrolTitle  = "醫事人員行動憑證申辦 HCA mobile certificate enrolment v1"
	revokeTitle = "醫事人員行動憑證廢止 HCA mobile certificate revocation v1"
)

// clockSkew is how far in the future a time in a request may lie.
const clockSkew = 5 * time.Minute

// consent is a card-signed text that was found in order, and who signed it.
type consent struct {
	fields map[string]string
	holder string // subject serialNumber of the card
	name   string // subject commonName of the card
}

// openConsent verifies a consent as the HCA would: signed by a personnel card of this CA that is in force, and saying
// what it has to say for this transaction.
func (s *Simulator) openConsent(st *state, der []byte, title, transaction, window string) (*consent, error) {
	sd, err := cms.Open(der, cms.OpenOptions{})
	if err != nil {
		// A card component that cannot make CMS leaves a signature over the text alone. The title below is what
		// keeps the signed attributes of another message from passing as that text.
		var bareErr error
		if sd, bareErr = cms.OpenBare(der, cms.OpenOptions{}); bareErr != nil {
			return nil, err
		}
	}
	card, err := s.cardOf(st, sd.Signer)
	if err != nil {
		return nil, err
	}
	if sd.SigningTime.After(s.now().Add(clockSkew)) {
		return nil, fmt.Errorf("consent was signed in the future")
	}
	fields, err := readText(string(sd.Content), title)
	if err != nil {
		return nil, err
	}
	c := &consent{fields: fields, holder: card.Holder, name: card.name}
	for key, want := range map[string]string{"application": transaction, "window": window, "holder": c.holder} {
		if fields[key] != want {
			return nil, fmt.Errorf("the consent's line %q is not that of the request", key)
		}
	}
	return c, nil
}

// heldCard is a card certificate from the journal with the name in its subject.
type heldCard struct {
	*certificate
	name string
}

// cardOf finds the personnel card whose certificate this is, and sees to it that it is in force.
func (s *Simulator) cardOf(st *state, der []byte) (*heldCard, error) {
	cert, held, err := s.known(st, der)
	if err != nil {
		return nil, err
	}
	if held.Class != classCard || held.Kind != Person {
		return nil, fmt.Errorf("the consent was not signed with a personnel card")
	}
	return &heldCard{certificate: held, name: cert.Subject.CommonName}, nil
}

// readText splits a card-signed text into its lines "key: value". A key that comes twice is refused.
func readText(text, title string) (map[string]string, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != title {
		return nil, fmt.Errorf("the consent is for another purpose")
	}
	fields := map[string]string{}
	for _, line := range lines[1:] {
		key, value, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		if _, twice := fields[key]; twice {
			return nil, fmt.Errorf("the consent says %.20q twice", key)
		}
		fields[key] = value
	}
	return fields, nil
}
