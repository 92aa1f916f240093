//go:build unix

package crlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Dir is a Shared in a folder of a local file system. A CRL is a file named by its number, so that a crash
// leaves the old one or the new one.
type Dir struct{ path string }

// OpenDir makes the folder, readable by the owner alone, where it is missing.
func OpenDir(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	return &Dir{path}, nil
}

const crlSuffix = ".crl"

// newest gives the highest number in the folder and all others.
func (d *Dir) newest() (number *big.Int, others []string, err error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		text, ok := strings.CutSuffix(e.Name(), crlSuffix)
		if !ok {
			continue
		}
		n, ok := new(big.Int).SetString(text, 16)
		if !ok || n.Sign() < 0 || fileName(n) != e.Name() {
			continue
		}
		switch {
		case number == nil:
			number = n
		case n.Cmp(number) > 0:
			others = append(others, fileName(number))
			number = n
		default:
			others = append(others, e.Name())
		}
	}
	return number, others, nil
}

func fileName(n *big.Int) string { return n.Text(16) + crlSuffix }

// Number implements Shared.
func (d *Dir) Number(context.Context) (*big.Int, error) {
	n, _, err := d.newest()
	return n, err
}

// Load implements Shared.
func (d *Dir) Load(context.Context) (Stored, error) {
	for range 3 { // a newer one may replace it between the two steps
		n, _, err := d.newest()
		if err != nil || n == nil {
			return Stored{}, err
		}
		raw, err := os.ReadFile(filepath.Join(d.path, fileName(n)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return Stored{n, raw}, err
	}
	return Stored{}, errors.New("crlstore: the folder changes too fast")
}

// Store implements Shared.
func (d *Dir) Store(_ context.Context, s Stored) error {
	return d.locked(func() error {
		have, others, err := d.newest()
		if err != nil {
			return err
		}
		if have != nil && s.Number.Cmp(have) < 0 {
			return fmt.Errorf("%w: %s after %s", ErrRolledBack, s.Number, have)
		}
		if err := d.write(fileName(s.Number), s.Raw); err != nil {
			return err
		}
		if have != nil && have.Cmp(s.Number) != 0 {
			others = append(others, fileName(have))
		}
		for _, name := range others {
			if err := os.Remove(filepath.Join(d.path, name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// write replaces a file so that after a crash it is whole, the old or the new.
func (d *Dir) write(name string, content []byte) error {
	f, err := os.CreateTemp(d.path, "new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(d.path, name))
	}
	if err != nil {
		return err
	}
	folder, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// lease is the content of the lease file.
type lease struct {
	Owner string    `json:"owner"`
	Until time.Time `json:"until"`
}

// Lease implements Shared.
func (d *Dir) Lease(_ context.Context, owner string, now, until time.Time) (mine bool, err error) {
	err = d.locked(func() error {
		raw, err := os.ReadFile(filepath.Join(d.path, "lease"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		var have lease
		// A lease that cannot be read was cut off by a crash; nobody holds it.
		if json.Unmarshal(raw, &have) == nil && have.Owner != owner && have.Until.After(now) {
			return nil
		}
		content, err := json.Marshal(lease{owner, until})
		if err != nil {
			return err
		}
		mine = true
		return d.write("lease", content)
	})
	return mine && err == nil, err
}

// locked runs f while no other process does.
func (d *Dir) locked(f func() error) error {
	lock, err := os.OpenFile(filepath.Join(d.path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("crlstore: lock: %w", err)
	}
	return f()
}
