package bench

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/devices/deviceca"
	"certwindow/hsm"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/store"
)

// enrolled registers a doctor with a bound phone, and gives the doctor a live certificate for a key in the HSM.
func (h *house) enrolled(ctx context.Context, n int) (*benchPhone, error) {
	clerk := ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Institution: hospital, Session: "counter"}
	person, err := h.register.RegisterPerson(ctx, clerk, devices.Person{NationalID: fmt.Sprintf("A1%08d", n), Name: fmt.Sprintf("王小明%d", n),
		Holder: fmt.Sprintf("000000A1%08d", n)}, hospital)
	if err != nil {
		return nil, err
	}
	device, err := h.register.RegisterDevice(ctx, clerk, devices.NewDevice{Code: fmt.Sprintf("P-%d", n), Institution: hospital, Platform: ra.PlatformAndroid,
		Model: "bench", Users: []ra.PersonID{person}})
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	offer, err := h.register.OfferBinding(ctx, clerk, device)
	if err != nil {
		return nil, err
	}
	b, err := h.register.PresentBinding(ctx, clerk, offer.Code, devices.WindowKeys{}, spki, "", nil)
	if err != nil {
		return nil, err
	}
	if err := h.register.ConfirmBinding(ctx, clerk, device, b.ID, b.ShortCode); err != nil {
		return nil, err
	}
	p := &benchPhone{house: h, key: key, keyID: ra.KeyHash(spki), device: device, secret: make([]byte, hsm.SecretSize)}
	rand.Read(p.secret)
	if err := h.certificate(ctx, p, person, device, spki); err != nil {
		return nil, err
	}
	return p, h.signIn(ctx, p, person, fmt.Sprintf("doctor%d", n))
}

// signIn gives a phone its certificate, has it check in, signs its holder in and registers his finger.
func (h *house) signIn(ctx context.Context, p *benchPhone, person ra.PersonID, account string) error {
	d, err := h.register.DeviceByKey(ctx, p.keyID)
	if err != nil {
		return err
	}
	phone := ra.Actor{Kind: ra.ActorDevice, ID: string(d.ID), Institution: hospital}
	if _, err := h.register.CheckIn(ctx, phone, d, devices.CheckIn{OSVersion: "16", App: benchApp.Package, AppVersion: benchApp.Version, CarrierPresent: true}); err != nil {
		return err
	}
	der, _, err := h.register.Certify(ctx, phone, d, "", h.devices.Issue)
	if err != nil {
		return err
	}
	dialer := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: h.trusted, ServerName: "localhost",
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: p.key}}}}
	conn, err := dialer.DialContext(ctx, "tcp", h.address)
	if err != nil {
		return err
	}
	p.conn, p.answers = conn.(*tls.Conn), bufio.NewReader(conn)
	const password appcred.Secret = "correct horse battery"
	initial, err := h.holders.Open(ctx, phone, person, account)
	if err != nil {
		return err
	}
	g, err := h.holders.Login(ctx, phone, appcred.Attempt{Account: account, Device: d.ID, Thumbprint: deviceca.Thumbprint(der),
		Proofs: []appcred.Proof{{Kind: policy.FactorPassword, Value: initial.Password}}})
	if err != nil {
		return err
	}
	if err := h.holders.ChangePassword(ctx, phone, g.Token, g.Login, initial.Password, password); err != nil {
		return err
	}
	p.token = g.Token.Reveal()
	return h.finger(ctx, p, phone, g.Login)
}

// finger makes and registers a phone's user-verified key.
func (h *house) finger(ctx context.Context, p *benchPhone, phone ra.Actor, l appcred.Login) (err error) {
	if p.finger, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(p.finger.Public())
	if err != nil {
		return err
	}
	challenge, err := h.holders.Challenge(ctx, l.Account, l.Device, appcred.ForLogin)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(appcred.Statement(appcred.ForLogin, challenge))
	signature, err := ecdsa.SignASN1(rand.Reader, p.finger, digest[:])
	if err != nil {
		return err
	}
	return h.holders.AddBiometric(ctx, phone, l, "fingerprint", spki, signature, challenge)
}

// certificate stores what an enrolment leaves behind.
func (h *house) certificate(ctx context.Context, p *benchPhone, person ra.PersonID, device ra.DeviceID, spki []byte) error {
	var ids [2]string
	for i := range ids {
		var err error
		if ids[i], err = ra.NewID(time.Now(), rand.Reader); err != nil {
			return err
		}
	}
	p.certificate = ra.CertificateID(ids[1])
	now, one := time.Now().UTC(), 1
	a := ra.Application{ID: ra.ApplicationID(ids[0]), Kind: ra.Enrolment, State: ra.AppCompleted, PersonID: person, DeviceID: device, Generation: 1,
		DeviceKey: ra.KeyHash(spki), Institution: hospital, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyHSM, Carrier: ra.CarrierDevice, Algorithm: "P-256",
		Text: []byte("bench"), Nonce: ids[0], Challenge: []byte(ids[0]), Slot: &one, CertificateID: &p.certificate, Deadline: now, CreatedAt: now, UpdatedAt: now}
	c := ra.Certificate{ID: p.certificate, ApplicationID: a.ID, PersonID: person, DeviceID: device, Generation: 1, Institution: hospital, Scope: a.Scope,
		KeyDesign: ra.KeyHSM, Serial: hex.EncodeToString([]byte(ids[1])), IssuerKey: "0a0b", DER: make([]byte, 900), Chain: make([]byte, 2500), NotBefore: now.Add(-time.Hour),
		NotAfter: now.AddDate(1, 0, 0), State: ra.CertLive, CreatedAt: now, UpdatedAt: now}
	k, err := h.token.GenerateSealed(ctx, hsm.P256, hsm.Binding{Person: string(person), Device: string(device), Application: string(a.ID)}, hsm.NewSecret(p.secret))
	if err != nil {
		return err
	}
	return h.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.InsertApplication(a); err != nil {
			return err
		}
		if err := tx.InsertCertificate(c); err != nil {
			return err
		}
		return tx.SaveHolderKey(a, k, now)
	})
}
