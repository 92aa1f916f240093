package window

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"certwindow/devices/appcred"
	"certwindow/devices/appcred/factor"
	"certwindow/devices/deviceca"
	"certwindow/hsm/ceremony"
	"certwindow/hsm/p11"
	"certwindow/policy"
)

// openHolders opens the holders' accounts on phones (HCA-7.4), whose passwords are peppered in the HSM.
func (w *Window) openHolders(context.Context) error {
	pepper := func(ctx context.Context, data []byte) ([]byte, error) { return w.Token.MAC(ctx, p11.MACLabel, data) }
	hasher, err := factor.NewHasher("certwindow holder password v1", factor.DefaultCost, pepper, rand.Reader)
	if err != nil {
		return err
	}
	w.Holders, err = appcred.New(appcred.Config{Store: w.register, Hasher: hasher, MAC: pepper, Sender: w.codes, Idle: w.Settings.Life(policy.Idle),
		Issuer: w.Config.Window.Name, Log: w.Log, Now: w.now, Rand: rand.Reader})
	return err
}

// openDeviceCA opens the window's own authority for devices (HCA-6.3.6). Its certificate is made at the first start and
// kept in the database, for all replicas; the key is in the token.
func (w *Window) openDeviceCA(ctx context.Context) error {
	key, err := w.Token.Signer(ctx, ceremony.LabelDeviceCA)
	if err != nil {
		return fmt.Errorf("the key of the device certificates: run certwindow ceremony setup: %w", err)
	}
	root, err := deviceca.MakeRoot(w.Config.Window.Name, key, w.now(), rand.Reader)
	if err != nil {
		return err
	}
	text, err := w.Store.StampSetting(ctx, "device-ca", base64.StdEncoding.EncodeToString(root))
	if err != nil {
		return err
	}
	if root, err = base64.StdEncoding.DecodeString(text); err != nil {
		return fmt.Errorf("the device authority in the database: %w", err)
	}
	w.DeviceCA, err = deviceca.New(root, key, w.now, rand.Reader)
	return err
}
