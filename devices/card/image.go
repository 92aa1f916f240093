package card

import (
	"encoding/binary"
	"net/http"
	"strconv"
)

// bmpHeader is the length of a BITMAPFILEHEADER and a BITMAPINFOHEADER.
const bmpHeader = 14 + 40

// handleImage answers /p11Image.bmp: the text of /pkcs11info as the pixels of an image, which a page reads
// through a canvas, without a popup. Any page may, for that is how it finds out that a component is there;
// so what would recognise the holder is told to trusted sites alone.
func (s *Server) handleImage(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Vary", "Origin, Sec-Fetch-Site")
	_, untrusted := s.identify(r)
	img := bitmap(s.imageText(r, untrusted != nil))
	h.Set("Content-Type", "image/bmp")
	h.Set("Content-Length", strconv.Itoa(len(img)))
	_, _ = w.Write(img) // a client that has gone cannot be told
}

// imageText is the JSON that goes into the image. Readers at the end of the list are left out when it
// would not fit, and the answer says so.
func (s *Server) imageText(r *http.Request, anonymous bool) []byte {
	answer, err := s.info(r.Context(), "", false)
	if err != nil {
		b, err := encode(s.failed("pkcs11info", "image", err))
		if err != nil {
			return nil
		}
		return b
	}
	if anonymous {
		for _, slot := range answer.Slots {
			if token, ok := slot.Token.(*tokenText); ok {
				token.SerialNumber, token.Label = "", ""
			}
		}
	}
	for {
		b, err := encode(answer)
		if err != nil || len(b) > imageBytes && len(answer.Slots) == 0 {
			return nil
		}
		if len(b) <= imageBytes {
			return b
		}
		answer.Slots = answer.Slots[:len(answer.Slots)-1]
		answer.Truncated = true
	}
}

// bitmap lays text into the pixels of a 24-bit image of 2000 by 1.
func bitmap(text []byte) []byte {
	b := make([]byte, bmpHeader+imageBytes)
	copy(b, "BM")
	le := binary.LittleEndian
	le.PutUint32(b[2:], bmpHeader+imageBytes)
	le.PutUint32(b[10:], bmpHeader)
	le.PutUint32(b[14:], 40)
	le.PutUint32(b[18:], imageBytes/3)
	le.PutUint32(b[22:], 1)
	le.PutUint16(b[26:], 1)
	le.PutUint16(b[28:], 24)
	le.PutUint32(b[34:], imageBytes)
	copy(b[bmpHeader:], text)
	return b
}
