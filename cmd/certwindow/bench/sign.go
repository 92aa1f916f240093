package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"certwindow/devices/appcred"
	"certwindow/hsm"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/remotesign"
	"certwindow/web/api/httpsig"
)

// Bounds of signatures with HSM keys, of the rate of a bare unwrap-and-sign loop, and of one answer's time.
const (
	singleShare = 0.5
	batchShare  = 0.8
	slowest     = 50 // ms, of 99 in a hundred
	atOnce      = 8  // phones
	batchSize   = 100
	// phones is how many there are: each may ask twenty times a second.
	phones = 96
	// perRound is how many hashes each phone has signed in a round.
	perRound = 5
)

// signing measures signatures with HSM keys from the phone's side: HTTPS with mutual TLS, every check, and the audit
// row; beside a loop that only unwraps and signs.
func signing(ctx context.Context, o Options) ([]Figure, error) {
	if o.Module == "" {
		fmt.Fprintln(o.Log, "SoftHSM is not installed: its figures are left out")
		return nil, nil
	}
	fmt.Fprintln(o.Log, "signatures with HSM keys, through HTTPS with mutual TLS")
	dir, err := os.MkdirTemp("", "certwindow-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	tok, err := openToken(ctx, o.Module, dir, runtime.NumCPU()) // SoftHSM computes on our own cores
	if err != nil {
		return nil, err
	}
	defer tok.Close()
	h, err := newHouse(ctx, tok, "sqlite:"+filepath.Join(dir, "window.db"))
	if err != nil {
		return nil, err
	}
	defer h.close()
	all := make([]*benchPhone, phones)
	for i := range all {
		if all[i], err = h.enrolled(ctx, i); err != nil {
			return nil, err
		}
	}
	if err := h.round(ctx, all, 1, &tally{}); err != nil { // connections are made, statements prepared
		return nil, err
	}
	key, err := h.bareKey(ctx)
	if err != nil {
		return nil, err
	}
	var raw, single, batch tally
	for single.sum < 2*o.For { // in turns, so that whatever else the machine does falls on both alike
		if err := errors.Join(bare(key, &raw), h.round(ctx, all, 1, &single)); err != nil {
			return nil, err
		}
	}
	for batch.sum < o.For {
		if err := errors.Join(bare(key, &raw), h.round(ctx, all, batchSize, &batch)); err != nil {
			return nil, err
		}
	}
	return []Figure{
		{Name: "P-256 signature released by a phone", Unit: "1/s", Ours: single.rate, Raw: raw.rate, Bound: singleShare, AtLeast: true, OnRatio: true,
			Note: fmt.Sprintf("%d phones at once; raw unwraps and signs in one session and does nothing else, in turns with the phones; the quickest turn of each", atOnce)},
		{Name: fmt.Sprintf("the same, in batches of %d", batchSize), Unit: "1/s", Ours: batch.rate, Raw: raw.rate, Bound: batchShare, AtLeast: true, OnRatio: true},
		{Name: "99 of 100 signatures come within", Unit: "ms", Ours: single.late(), Bound: slowest,
			Note: "phones and window share the machine's cores; what a phone computes by itself is prepared off the clock"},
	}, nil
}

// tally is what was signed, turn by turn.
type tally struct {
	sum  time.Duration   // of all turns
	rate float64         // signatures a second in the quickest turn
	each []time.Duration // of the answers
}

func (t *tally) turn(signatures int, took time.Duration) {
	t.sum += took
	t.rate = max(t.rate, float64(signatures)/took.Seconds())
}

// late is the time in ms within which 99 of 100 answers came.
func (t *tally) late() float64 {
	sorted := slices.Sorted(slices.Values(t.each))
	return float64(sorted[len(sorted)*99/100]) / 1e6
}

// bareKey is a key that is unwrapped for each signature, and that nobody seals or asks about.
func (h *house) bareKey(ctx context.Context) (crypto.Signer, error) {
	k, err := h.token.GenerateWrapped(ctx, hsm.P256, owner)
	if err != nil {
		return nil, err
	}
	return h.token.SignerFor(ctx, k, owner)
}

// bareTurn is how long the bare loop runs at a time.
const bareTurn = 250 * time.Millisecond

// bare unwraps and signs, by one session.
func bare(key crypto.Signer, t *tally) error {
	digest, n, begun := sha256.Sum256([]byte("a medical record")), 0, time.Now()
	for ; time.Since(begun) < bareTurn; n++ {
		if _, err := key.Sign(nil, digest[:], crypto.SHA256); err != nil {
			return err
		}
	}
	t.turn(n, time.Since(begun))
	return nil
}

// round has each phone sign a few times, atOnce at a time. What phones make by themselves (activation data, proofs,
// encryption) is made before the clock starts: they are not the window's machine.
func (h *house) round(ctx context.Context, all []*benchPhone, size int, t *tally) error {
	ready, err := prepared(ctx, all, size, max(1, perRound/size))
	if err != nil {
		return err
	}
	begun := time.Now()
	each, err := fire(ready)
	if err != nil {
		return err
	}
	t.turn(len(ready)*size, time.Since(begun))
	t.each = append(t.each, each...)
	return ctx.Err()
}

// prepared are requests of each phone, in turn.
func prepared(ctx context.Context, all []*benchPhone, size, times int) (out []func() error, err error) {
	for range times {
		for _, p := range all {
			r, err := p.request(ctx, size)
			if err != nil {
				return nil, err
			}
			out = append(out, func() error { return p.send(r, size) })
		}
	}
	return out, nil
}

// fire sends requests, atOnce at a time, and tells how long each answer took.
func fire(ready []func() error) ([]time.Duration, error) {
	took, errs := make([]time.Duration, len(ready)), make([]error, len(ready))
	var (
		next  atomic.Int64
		group sync.WaitGroup
	)
	for range atOnce {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(ready)); i = next.Add(1) - 1 {
				start := time.Now()
				errs[i] = ready[i]()
				took[i] = time.Since(start)
			}
		})
	}
	group.Wait()
	return took, errors.Join(errs...)
}

// benchPhone is a phone that does what it must and nothing else.
type benchPhone struct {
	house       *house
	conn        *tls.Conn // with the device's certificate, kept open
	answers     *bufio.Reader
	turn        sync.Mutex
	token       string // of the holder's login
	key         *ecdsa.PrivateKey
	finger      *ecdsa.PrivateKey // user-verified
	keyID       string
	secret      []byte
	device      ra.DeviceID
	certificate ra.CertificateID
	challenge   string
	made        uint64
}

// request is what a phone sends to have hashes signed with one release, as it goes over the wire.
func (p *benchPhone) request(ctx context.Context, size int) ([]byte, error) {
	if p.challenge == "" { // good for ten minutes
		var err error
		if p.challenge, _, err = p.house.sign.Challenge(ctx, p.device, p.certificate); err != nil {
			return nil, err
		}
	}
	body, err := p.body(size)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+p.house.address+"/api/v1/certificates/"+string(p.certificate)+"/signatures", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", rand.Text())
	r.Header.Set("Authorization", "Bearer "+p.token)
	if err := httpsig.Sign(r, body, p.key, httpsig.Params{Created: time.Now(), Nonce: rand.Text(), KeyID: p.keyID}); err != nil {
		return nil, err
	}
	var wire bytes.Buffer
	err = r.Write(&wire)
	return wire.Bytes(), err
}

// send sends a request over the phone's connection, and reads as many signatures as it asked for.
func (p *benchPhone) send(wire []byte, size int) error {
	p.turn.Lock() // one at a time on a connection
	defer p.turn.Unlock()
	if err := p.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if _, err := p.conn.Write(wire); err != nil {
		return err
	}
	res, err := http.ReadResponse(p.answers, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	var out struct{ Signatures [][]byte }
	if err := json.Unmarshal(raw, &out); err != nil || res.StatusCode != http.StatusOK || len(out.Signatures) != size {
		return fmt.Errorf("the window answered %s with %d signatures: %.300s", res.Status, len(out.Signatures), raw)
	}
	return nil
}

// body is the request for size hashes that were never there before.
func (p *benchPhone) body(size int) ([]byte, error) {
	a := remotesign.Activation{ID: rand.Text(), Challenge: p.challenge, Certificate: string(p.certificate), Client: string(remotesign.DeviceClient), Scope: "EMR-SIGN",
		HashAlgorithm: "SHA-256", Factor: policy.FactorBiometric, Count: size, IssuedAt: time.Now().Unix(), Expires: time.Now().Unix() + 60}
	items, hashes := make([]remotesign.Item, size), make([]map[string]any, size)
	for i := range items {
		p.made++
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(p.certificate), p.made))
		items[i] = remotesign.Item{Hash: sum[:], Title: "discharge summary", Patients: 1, Source: "HIS"}
		hashes[i] = map[string]any{"hash": sum[:], "title": "discharge summary", "patients": 1, "source": "HIS"}
	}
	sealed, err := hsm.SealActivation(p.house.sign.ActivationKey, a.SecretInfo(), p.secret)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(sealed)
	a.Hashes, a.Secret = hex.EncodeToString(remotesign.ItemsDigest("SHA-256", items)), hex.EncodeToString(sum[:])
	jws, err := p.jws(a)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(appcred.Statement(appcred.ForSignature, remotesign.ActivationName(jws)))
	touched, err := ecdsa.SignASN1(rand.Reader, p.finger, digest[:])
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"activation": jws, "secret": sealed, "factors": []map[string]any{{"kind": policy.FactorBiometric, "value": "", "signature": touched}},
		"scope": "EMR-SIGN", "hash_algorithm": "SHA-256", "challenge": p.challenge, "hashes": hashes})
}

// jws signs activation data (RFC 7515, ES256).
func (p *benchPhone) jws(a remotesign.Activation) (string, error) {
	payload, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"`+remotesign.ActivationType+`"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)), nil
}
