package window

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"certwindow/cmd/certwindow/config"
	"certwindow/ra/cardmsg"
)

// cardMarks reads how an IC card's certificate is told from a mobile one (HCA-5.1.1).
func cardMarks(c config.Card) (m cardmsg.Marks, holder, digits asn1.ObjectIdentifier, err error) {
	for _, p := range c.Policies {
		oid, err := parseOID(p)
		if err != nil {
			return m, nil, nil, fmt.Errorf("card.policies: %w", err)
		}
		m.Policies = append(m.Policies, oid)
	}
	for _, k := range c.IssuerKeyIDs {
		raw, err := hex.DecodeString(k)
		if err != nil {
			return m, nil, nil, fmt.Errorf("card.issuer_keys: %w", err)
		}
		m.IssuerKeyIDs = append(m.IssuerKeyIDs, raw)
	}
	for _, a := range c.Attributes {
		oid, err := parseOID(a.OID)
		if err != nil {
			return m, nil, nil, fmt.Errorf("card.attributes: %w", err)
		}
		mark := cardmsg.AttributeMark{OID: oid}
		if a.Value != "" {
			mark.Values = []string{a.Value}
		}
		m.Attributes = append(m.Attributes, mark)
	}
	if c.HolderOID != "" {
		if holder, err = parseOID(c.HolderOID); err != nil {
			return m, nil, nil, fmt.Errorf("card.holder_oid: %w", err)
		}
	}
	if c.DigitsOID != "" {
		if digits, err = parseOID(c.DigitsOID); err != nil {
			return m, nil, nil, fmt.Errorf("card.digits_oid: %w", err)
		}
	}
	return m, holder, digits, nil
}

func parseOID(s string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is not an object identifier", s)
		}
		oid = append(oid, n)
	}
	if len(oid) < 2 {
		return nil, fmt.Errorf("%q is not an object identifier", s)
	}
	return oid, nil
}
