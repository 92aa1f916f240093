package window

import (
	"bytes"
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
	"certwindow/ra"
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

// deviceRoot names the device authority's certificate among what the database keeps of the window.
const deviceRoot = "device-ca"

// openDeviceCA opens the window's own authority for devices (HCA-6.3.6). Its certificate is made at the first start and
// kept in the database, for all replicas; the key is in the token.
func (w *Window) openDeviceCA(ctx context.Context) error {
	key, err := w.Token.Signer(ctx, ceremony.LabelDeviceCA)
	if err != nil {
		return fmt.Errorf("the key of the device certificates: run certwindow ceremony setup: %w", err)
	}
	kept, err := w.Store.Setting(ctx, deviceRoot)
	if err != nil && ra.KindOf(err) != ra.KindNotFound {
		return err
	}
	root, err := base64.StdEncoding.DecodeString(kept)
	if err != nil {
		return fmt.Errorf("the device authority in the database: %w", err)
	}
	var fresh []byte
	if w.DeviceCA, fresh, err = deviceca.Open(root, w.Config.Window.Name, key, w.now, rand.Reader); err != nil || bytes.Equal(fresh, root) {
		return err
	}
	if kept == "" { // of several replicas that start at once the first one's root holds
		if kept, err = w.Store.StampSetting(ctx, deviceRoot, base64.StdEncoding.EncodeToString(fresh)); err != nil {
			return err
		}
		if root, err = base64.StdEncoding.DecodeString(kept); err != nil {
			return err
		}
		w.DeviceCA, err = deviceca.New(root, key, w.now, rand.Reader)
		return err
	}
	w.Log.Warn("the device authority was not of the key in the token, and was made anew: phones fetch new certificates")
	return w.Store.PutSetting(ctx, deviceRoot, base64.StdEncoding.EncodeToString(fresh))
}
