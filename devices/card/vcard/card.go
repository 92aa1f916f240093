//go:build linux

// Package vcard is an IC card made of software, for tests: a small PIV card (NIST SP 800-73-4) that goes in
// and out of a virtual reader behind a real PC/SC daemon, so that a PKCS#11 library meets it like any card.
// Nothing outside tests imports it.
package vcard

import (
	"bytes"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"syscall"
	"time"
)

// Status words of ISO 7816-4 that the card answers with.
const (
	swOK             = 0x9000
	swMore           = 0x6100 // the low byte says how much
	swWrongLength    = 0x6700
	swSecurity       = 0x6982
	swBlocked        = 0x6983
	swWrongData      = 0x6A80
	swNotFound       = 0x6A82
	swWrongParameter = 0x6A86
	swNoInstruction  = 0x6D00
	swTriesLeft      = 0x63C0 // the low digit says how many
)

// maxTries is how many wrong PINs lock the card.
const maxTries = 3

// maxChain is the longest command that a chain may add up to.
const maxChain = 4096

// atr is the answer to reset: T=1, nothing else to say.
var atr = []byte{0x3B, 0x80, 0x80, 0x01, 0x01}

// pivAID is the application identifier of PIV, without its version.
var pivAID = []byte{0xA0, 0x00, 0x00, 0x03, 0x08}

// Card is one card with one RSA key (PIV slot 9A) and its certificate.
type Card struct {
	key     *rsa.PrivateKey
	pin     []byte // padded with FF to eight bytes
	objects map[string][]byte
	// BeforeSign, when not nil, runs before each signature, for a test to pull the card just then.
	BeforeSign func()

	mu       sync.Mutex // a card does one thing at a time
	tries    int
	verified bool
	chain    []byte // of a command that is not complete yet
	pending  []byte // of an answer that did not fit
}

// New makes a card. certDER belongs to key; guid is its 16-byte identifier; pin has six to eight digits.
func New(key *rsa.PrivateKey, certDER []byte, guid [16]byte, pin string) *Card {
	chuid := bytes.Join([][]byte{
		tlv(0x30, bytes.Repeat([]byte{0xD4}, 25)), tlv(0x34, guid[:]), tlv(0x35, []byte("20361231")),
		tlv(0x3E, nil), tlv(0xFE, nil),
	}, nil)
	cert := bytes.Join([][]byte{tlv(0x70, certDER), tlv(0x71, []byte{0}), tlv(0xFE, nil)}, nil)
	aid := append(bytes.Clone(pivAID), 0, 0, 0x10, 0, 1, 0)
	discovery := append(tlv(0x4F, aid), 0x5F, 0x2F, 0x02, 0x40, 0x00) // the application's PIN alone
	return &Card{
		key: key, pin: append([]byte(pin), bytes.Repeat([]byte{0xFF}, 8-len(pin))...), tries: maxTries,
		objects: map[string][]byte{
			"\x7E":         tlv(0x7E, discovery),
			"\x5F\xC1\x02": tlv(0x53, chuid),
			"\x5F\xC1\x05": tlv(0x53, cert),
		},
	}
}

// Insertion is a card's stay in a reader.
type Insertion struct {
	conn net.Conn
	done chan struct{}
}

// Insert puts the card into the virtual reader that listens at addr.
func (c *Card) Insert(addr string) (*Insertion, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, fmt.Errorf("vcard: %w", err)
	}
	in := &Insertion{conn, make(chan struct{})}
	go func() {
		defer close(in.done)
		c.serve(conn)
	}()
	return in, nil
}

// Remove takes the card out. It may be called from BeforeSign.
func (in *Insertion) Remove() { in.conn.Close() }

// Done is closed when the card has left the reader.
func (in *Insertion) Done() <-chan struct{} { return in.done }

// serve answers the reader until the connection ends. Each frame is two bytes of length and then so many
// bytes; one byte alone is a command to the reader's side of the card.
func (c *Card) serve(conn net.Conn) {
	defer conn.Close()
	c.reset()
	for {
		quickAck(conn)
		frame, err := readFrame(conn)
		if err != nil {
			return
		}
		var answer []byte
		switch {
		case len(frame) == 1 && frame[0] == 4:
			answer = atr
		case len(frame) == 1:
			c.reset() // off, on or reset
			continue
		default:
			answer = c.command(frame)
		}
		out := binary.BigEndian.AppendUint16(nil, uint16(len(answer)))
		if _, err := conn.Write(append(out, answer...)); err != nil {
			return
		}
	}
}

func readFrame(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, frame)
	return frame, err
}

// quickAck asks the kernel not to delay the acknowledgement, which would cost 44 ms with each command.
func quickAck(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // without it the card is slow, no more
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}

// reset is what loss of power does.
func (c *Card) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.verified, c.chain, c.pending = false, nil, nil
}

// command answers one APDU: data, then the status word.
func (c *Card) command(apdu []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, sw := c.execute(apdu)
	if len(data) > 256 {
		c.pending = data[256:]
		data, sw = data[:256], swMore|min(len(c.pending), 256)&0xFF
	}
	return binary.BigEndian.AppendUint16(bytes.Clone(data), uint16(sw))
}

// execute carries out one command (ISO 7816-4, short lengths).
func (c *Card) execute(apdu []byte) (data []byte, sw int) {
	if len(apdu) < 4 {
		return nil, swWrongLength
	}
	cla, ins, p1, p2 := apdu[0], apdu[1], apdu[2], apdu[3]
	body := apdu[4:]
	switch {
	case len(body) <= 1:
		body = nil // Le at most
	case len(body) < 1+int(body[0]) || len(body) > 2+int(body[0]):
		return nil, swWrongLength
	default:
		body = body[1 : 1+int(body[0])]
	}
	if len(c.chain)+len(body) > maxChain {
		c.chain = nil
		return nil, swWrongLength
	}
	if cla&0x10 != 0 {
		c.chain = append(c.chain, body...)
		return nil, swOK
	}
	body, c.chain = append(c.chain, body...), nil
	switch ins {
	case 0xA4:
		return c.selectApplication(body)
	case 0xCB:
		return c.getData(body)
	case 0x20:
		return nil, c.verify(p2, body)
	case 0x87:
		return c.authenticate(p1, p2, body)
	case 0xC0:
		data, c.pending = c.pending, nil
		return data, swOK
	}
	return nil, swNoInstruction
}

func (c *Card) selectApplication(aid []byte) ([]byte, int) {
	if !bytes.HasPrefix(aid, pivAID) {
		return nil, swNotFound
	}
	version := []byte{0x00, 0x00, 0x10, 0x00, 0x01, 0x00}
	return tlv(0x61, append(tlv(0x4F, version), tlv(0x79, tlv(0x4F, pivAID))...)), swOK
}

// getData reads an object by its tag, wrapped as 5C.
func (c *Card) getData(body []byte) ([]byte, int) {
	if len(body) < 2 || body[0] != 0x5C || int(body[1]) != len(body)-2 {
		return nil, swWrongData
	}
	if object, ok := c.objects[string(body[2:])]; ok {
		return object, swOK
	}
	return nil, swNotFound
}

// verify checks the PIN, or says how many tries are left when none is given.
func (c *Card) verify(p2 byte, pin []byte) int {
	switch {
	case p2 != 0x80:
		return swWrongParameter
	case c.tries == 0:
		return swBlocked
	case len(pin) == 0 && c.verified:
		return swOK
	case len(pin) == 0:
		return swTriesLeft | c.tries
	case bytes.Equal(pin, c.pin):
		c.tries, c.verified = maxTries, true
		return swOK
	}
	c.tries--
	c.verified = false
	if c.tries == 0 {
		return swBlocked
	}
	return swTriesLeft | c.tries
}

// authenticate signs: the raw RSA operation on what the library has padded.
func (c *Card) authenticate(algorithm, key byte, body []byte) ([]byte, int) {
	if algorithm != 0x07 || key != 0x9A {
		return nil, swWrongParameter
	}
	if !c.verified {
		return nil, swSecurity
	}
	template, ok := find(body, 0x7C)
	if !ok {
		return nil, swWrongData
	}
	challenge, ok := find(template, 0x81)
	m := new(big.Int).SetBytes(challenge)
	if !ok || m.Cmp(c.key.N) >= 0 {
		return nil, swWrongData
	}
	if c.BeforeSign != nil {
		c.BeforeSign()
	}
	sig := m.Exp(m, c.key.D, c.key.N).FillBytes(make([]byte, c.key.Size()))
	return tlv(0x7C, tlv(0x82, sig)), swOK
}

// tlv encodes one object with a one-byte tag.
func tlv(tag byte, value []byte) []byte {
	out := []byte{tag}
	switch n := len(value); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	default:
		out = append(out, 0x82, byte(n>>8), byte(n))
	}
	return append(out, value...)
}

// find is the value of the first object with this tag.
func find(b []byte, tag byte) ([]byte, bool) {
	for len(b) >= 2 {
		head, n := 2, int(b[1])
		switch {
		case n == 0x81 && len(b) >= 3:
			head, n = 3, int(b[2])
		case n == 0x82 && len(b) >= 4:
			head, n = 4, int(b[2])<<8|int(b[3])
		case n >= 0x80:
			return nil, false
		}
		if len(b) < head+n {
			return nil, false
		}
		if b[0] == tag {
			return b[head : head+n], true
		}
		b = b[head+n:]
	}
	return nil, false
}
