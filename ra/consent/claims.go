package consent

import "certwindow/ra/cardmsg"

// Claims reads what a card's certificate says of its holder, by the configured attributes. Nothing is verified: it
// is for finding the person whose signature will be.
func (v *Verifier) Claims(der []byte) (cardmsg.Claims, error) {
	c, err := cardmsg.ClaimsOf(der, v.cfg.HolderOID, v.cfg.DigitsOID)
	if err != nil {
		return c, refused(err)
	}
	return c, nil
}
