package card

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// unknownToken stands in the place of a token that cannot be read.
const unknownToken = "unknown token"

// unlimited is CK_UNAVAILABLE_INFORMATION of a 32-bit library, which is what pages know.
const unlimited = 0xFFFFFFFF

// infoAnswer is the answer of /pkcs11info.
type infoAnswer struct {
	status
	CryptokiVersion    json.Number  `json:"cryptokiVersion"`
	LibraryVersion     json.Number  `json:"libraryVersion"`
	LibraryDescription string       `json:"libraryDescription"`
	ManufacturerID     string       `json:"manufacturerID"`
	Flags              uint         `json:"flags"`
	Slots              []slotText   `json:"slots"`
	InstalledModule    []moduleText `json:"installedModule"`
	Truncated          bool         `json:"truncated,omitempty"` // readers were left out of the image
}

type moduleText struct {
	Version     string `json:"version"`
	Description string `json:"description"`
}

type slotText struct {
	SlotDescription string      `json:"slotDescription"`
	SlotID          uint        `json:"slotID"`
	ManufacturerID  string      `json:"manufacturerID"`
	Flags           uint        `json:"flags"`
	HardwareVersion json.Number `json:"hardwareVersion"`
	FirmwareVersion json.Number `json:"firmwareVersion"`
	Token           any         `json:"token"` // *tokenText, unknownToken, or null without a card
}

type tokenText struct {
	Label              string      `json:"label"`
	ManufacturerID     string      `json:"manufacturerID"`
	Model              string      `json:"model"` // padded to 16
	SerialNumber       string      `json:"serialNumber"`
	Flags              uint        `json:"flags"`
	MinPINLen          uint        `json:"ulMinPinLen"`
	MaxPINLen          uint        `json:"ulMaxPinLen"`
	MaxSessionCount    uint        `json:"ulMaxSessionCount"`
	SessionCount       uint        `json:"ulSessionCount"`
	MaxRwSessionCount  uint        `json:"ulMaxRwSessionCount"`
	RwSessionCount     uint        `json:"ulRwSessionCount"`
	TotalPublicMemory  uint        `json:"ulTotalPublicMemory"`
	FreePublicMemory   uint        `json:"ulFreePublicMemory"`
	TotalPrivateMemory uint        `json:"ulTotalPrivateMemory"`
	FreePrivateMemory  uint        `json:"ulFreePrivateMemory"`
	HardwareVersion    json.Number `json:"hardwareVersion"`
	FirmwareVersion    json.Number `json:"firmwareVersion"`
	UTCTime            string      `json:"utcTime"`
	Certs              []certText  `json:"certs"`
	Keys               []keyText   `json:"keys"`
}

// number writes a version as the JSON number that pages know, such as 2.04.
func (v Version) number() json.Number {
	return json.Number(fmt.Sprintf("%d.%02d", v.Major, v.Minor))
}

// handleInfo answers /pkcs11info. It needs no PIN: what it tells is what the card tells anybody. A trusted site may
// read the answer without the popup.
func (s *Server) handleInfo(w http.ResponseWriter, r *http.Request) {
	const op = "pkcs11info"
	who, err := s.identify(r)
	allowOrigin(w, r, who, err)
	if err != nil {
		writeAnswer(w, s.failed(op, caller(r.Header.Get("Origin")), err))
		return
	}
	reader, err := requestedReader(w, r)
	if err != nil {
		writeAnswer(w, s.failed(op, who, err))
		return
	}
	answer, err := s.info(r.Context(), reader, r.URL.Query().Get("withcert") == "true")
	if err != nil {
		writeAnswer(w, struct {
			status
			Slots []slotText `json:"slots"`
		}{s.failed(op, who, err), []slotText{}})
		return
	}
	writeAnswer(w, answer)
}

// requestedReader is the reader that a posted request asks about; most ask with an empty body about all.
func requestedReader(w http.ResponseWriter, r *http.Request) (string, error) {
	body, err := readBody(w, r)
	if err != nil || len(body) == 0 {
		return "", err
	}
	f, err := parsePackage(body)
	if err != nil {
		return "", err
	}
	reader := f.get("slotDescription")
	if len(reader) > maxField {
		return "", failf(CodeBadParameter, "slotDescription is too long")
	}
	return reader, nil
}

// info describes the library, its readers and their cards; reader, unless empty, names the only one asked for.
func (s *Server) info(ctx context.Context, reader string, withCert bool) (*infoAnswer, error) {
	a := &infoAnswer{status: succeeded("pkcs11info"), Slots: []slotText{}}
	err := s.owner.do(ctx, func(_ context.Context, mod Module) error {
		about, err := mod.Info()
		if err != nil {
			return fail(CodeModule, err)
		}
		a.describe(about)
		slots, err := s.look(mod)
		if err != nil {
			return err
		}
		for _, slot := range slots {
			if reader == "" || reader == slot.Description {
				a.Slots = append(a.Slots, describeSlot(mod, slot, withCert))
			}
		}
		if len(a.Slots) == 0 {
			return failf(CodeNoReader, "no such reader")
		}
		return nil
	})
	if err != nil {
		return nil, err // a may still be written to when the library hangs
	}
	return a, nil
}

func (a *infoAnswer) describe(about ModuleInfo) {
	a.CryptokiVersion = about.CryptokiVersion.number()
	a.LibraryVersion = about.LibraryVersion.number()
	a.LibraryDescription, a.ManufacturerID = about.Description, about.Manufacturer
	a.InstalledModule = []moduleText{
		{Version: string(a.LibraryVersion), Description: about.Description},
		{Version: serverVersion, Description: agentName},
	}
}

// describeSlot describes one reader. A card whose objects cannot be read is an unknown token.
func describeSlot(mod Module, slot Slot, withCert bool) slotText {
	t := slotText{
		SlotDescription: slot.Description, SlotID: slot.ID, ManufacturerID: slot.Manufacturer, Flags: slot.Flags,
		HardwareVersion: slot.HardwareVersion.number(), FirmwareVersion: slot.FirmwareVersion.number(),
	}
	switch {
	case !slot.Present:
		return t
	case slot.Token == nil:
		t.Token = unknownToken
		return t
	}
	token := describeToken(*slot.Token)
	if withCert {
		if err := token.addObjects(mod, slot.ID); err != nil {
			t.Token = unknownToken
			return t
		}
	}
	t.Token = token
	return t
}

func describeToken(tok Token) *tokenText {
	return &tokenText{
		Label: tok.Label, ManufacturerID: tok.Manufacturer,
		Model:        tok.Model + strings.Repeat(" ", max(0, 16-len(tok.Model))),
		SerialNumber: tok.Serial, Flags: tok.Flags, MinPINLen: tok.MinPIN, MaxPINLen: tok.MaxPIN,
		TotalPublicMemory: unlimited, FreePublicMemory: unlimited,
		TotalPrivateMemory: unlimited, FreePrivateMemory: unlimited,
		HardwareVersion: tok.HardwareVersion.number(), FirmwareVersion: tok.FirmwareVersion.number(),
		Certs: []certText{}, Keys: []keyText{},
	}
}

// addObjects lists the token's certificates and public keys.
func (t *tokenText) addObjects(mod Module, slotID uint) error {
	session, err := mod.Open(slotID)
	if err != nil {
		return err
	}
	defer session.Close()
	certs, err := session.Certificates()
	if err != nil {
		return err
	}
	keys, err := session.PublicKeys()
	if err != nil {
		return err
	}
	for _, c := range certs[:min(len(certs), maxCerts)] {
		t.Certs = append(t.Certs, describeCertificate(c))
	}
	for _, k := range keys[:min(len(keys), maxCerts)] {
		if text, ok := describeKey(k); ok {
			t.Keys = append(t.Keys, text)
		}
	}
	return nil
}
