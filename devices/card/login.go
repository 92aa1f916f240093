package card

import (
	"context"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"unicode"
	"unicode/utf8"
)

// The PIN's length where a token does not say: HCA's cards have six to eight characters.
const (
	defaultMinPIN = 6
	defaultMaxPIN = 8
)

// maxShown is the longest text that a person is shown, in bytes. Longer content counts as opaque.
const maxShown = 8 << 10

// Signed attributes of the protocol. Both are UTF8String, though PKCS #9 makes randomNonce an OCTET STRING:
// those who read these messages take the text.
const (
	oidRandomNonce = "1.2.840.113549.1.9.25.3"
	oidCardNumber  = "2.16.886.1.100.2.204"
)

func notRun(err error) bool { return errors.Is(err, errNotRun) }

// obtainPIN takes the PIN from the page, where that is configured, or asks the person and shows what will
// be signed. A PIN of impossible length costs no try.
func (s *Server) obtainPIN(ctx context.Context, t *target, req *signRequest, who caller) (PIN, error) {
	if t.slot.Token.Flags&flagPINLocked != 0 {
		return PIN{}, &failure{code: CodeLogin, lastError: rvPINLocked, cause: errors.New("PIN is locked")}
	}
	pin := req.pin
	if !s.pinFrom[who] {
		req.pin.Wipe()
		var err error
		if pin, err = s.ask(ctx, t, req, who); err != nil {
			return PIN{}, err
		}
	}
	if pin.Len() == 0 {
		return PIN{}, failf(CodePINEmpty, "no PIN")
	}
	lo, hi := pinRange(t.slot.Token)
	if n := pin.Len(); n < lo || n > hi {
		pin.Wipe()
		return PIN{}, &failure{code: CodeLogin, lastError: rvPINLenRange, cause: errors.New("PIN length")}
	}
	return pin, nil
}

// pinRange is what the token allows.
func pinRange(tok *Token) (lo, hi int) {
	lo, hi = defaultMinPIN, defaultMaxPIN
	if tok.MinPIN > 0 && tok.MinPIN <= maxPINLength {
		lo = int(tok.MinPIN)
	}
	if tok.MaxPIN > 0 {
		hi = int(min(tok.MaxPIN, maxPINLength))
	}
	return lo, hi
}

// ask shows the text and asks for the PIN (HCA-8.1.3).
func (s *Server) ask(ctx context.Context, t *target, req *signRequest, who caller) (PIN, error) {
	if s.cfg.Prompter == nil {
		return PIN{}, failf(CodePINEmpty, "no way to ask for the PIN")
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.PromptTimeout)
	defer cancel()
	p := Prompt{
		Origin: string(who), Reader: t.slot.Description, Holder: t.x509.Subject.CommonName, CardSN: t.slot.Token.Serial,
		FinalTry: t.slot.Token.Flags&flagPINFinalTry != 0,
	}
	p.setContent(req)
	pin, err := s.cfg.Prompter.PIN(ctx, p)
	switch {
	case err == nil:
		return pin, nil
	case errors.Is(err, ErrCancelled), ctx.Err() != nil:
		return PIN{}, fail(CodeCancelled, err)
	}
	return PIN{}, fail(CodePINEmpty, err)
}

// setContent settles what of the content the person sees.
func (p *Prompt) setContent(req *signRequest) {
	p.Opaque = req.kind == SignRAW || !showable(req.content)
	if !p.Opaque {
		p.Text = string(req.content)
	}
	if req.kind == SignRAW {
		p.Digest = hex.EncodeToString(req.content)
		return
	}
	p.Digest = hex.EncodeToString(hashSHA256.sum(req.content))
}

// showable says whether a person sees all of content when it is shown as text: valid UTF-8, lines ended by
// LF, nothing that draws nothing or moves what stands around it.
func showable(content []byte) bool {
	if len(content) > maxShown || !utf8.Valid(content) {
		return false
	}
	for _, r := range string(content) {
		if r == '\n' {
			continue
		}
		if !unicode.IsGraphic(r) || r == utf8.RuneError || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return false
		}
	}
	return true
}

// loginFailure tells what a failed login means. How many tries are left is known from the token's flags
// only, and only as far as they go.
func (s *Server) loginFailure(mod Module, t *target, cause error) error {
	f := fail(CodeLogin, cause)
	if f.lastError != rvPINIncorrect {
		return f
	}
	slots, err := s.look(mod)
	if err != nil || t.stay.over() {
		return f
	}
	for _, slot := range slots {
		if slot.ID != t.slot.ID || slot.Token == nil {
			continue
		}
		switch flags := slot.Token.Flags; {
		case flags&flagPINLocked != 0:
			f.lastError = rvPINLocked
		case flags&flagPINFinalTry != 0:
			f.lastError = lastErrorOneTryLeft
		case flags&flagPINCountLow != 0 && s.cfg.PINTries == 3:
			f.lastError = lastErrorTwoTryLeft
		}
	}
	return f
}

// pinFault says whether a last_error is about the PIN, so that the card has spoken and is there.
func pinFault(lastError int64) bool {
	switch lastError {
	case rvPINIncorrect, rvPINInvalid, rvPINLenRange, rvPINExpired, rvPINLocked, lastErrorOneTryLeft, lastErrorTwoTryLeft:
		return true
	}
	return false
}

// attributes are the signed attributes that the request asks for beyond those of every message.
func attributes(req *signRequest, cardNumber string) ([]Attribute, error) {
	var list []Attribute
	if req.nonce != "" {
		list = append(list, Attribute{OID: oidRandomNonce, Value: utf8String(req.nonce)})
	}
	if req.cardNumber {
		if len(cardNumber) > maxNonce || !utf8.ValidString(cardNumber) {
			return nil, failf(CodeReaderInfo, "card number cannot be written as text")
		}
		list = append(list, Attribute{OID: oidCardNumber, Value: utf8String(cardNumber)})
	}
	return list, nil
}

// utf8String is the DER of a UTF8String. The text is at most maxNonce bytes of valid UTF-8, which always
// has an encoding.
func utf8String(s string) []byte {
	return append([]byte{asn1.TagUTF8String, byte(len(s))}, s...)
}
