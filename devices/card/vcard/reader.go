//go:build linux

package vcard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Where the virtual reader's parts are installed (Debian: pcscd, vsmartcard-vpcd).
const (
	daemonPath = "/usr/sbin/pcscd"
	driverPath = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
	socketPath = "/run/pcscd/pcscd.comm"
)

// Reader is a virtual card reader behind a PC/SC daemon of its own. There can be one on a machine.
type Reader struct {
	Addr string // where a card is put in
	cmd  *exec.Cmd
	lock *os.File
}

// ErrUnavailable says that this machine cannot have a virtual reader now.
var ErrUnavailable = errors.New("vcard: no virtual reader here")

// Start starts the daemon with its files in dir. It waits for another test's daemon to end, as long as ctx
// allows.
func Start(ctx context.Context, dir string) (*Reader, error) {
	for _, file := range []string{daemonPath, driverPath} {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	lock, err := takeLock(ctx, filepath.Join(os.TempDir(), "certwindow-pcscd.lock"))
	if err != nil {
		return nil, err
	}
	r, err := start(ctx, dir)
	if err != nil {
		lock.Close()
		return nil, err
	}
	r.lock = lock
	return r, nil
}

func start(ctx context.Context, dir string) (*Reader, error) {
	if conn, err := net.Dial("unix", socketPath); err == nil {
		conn.Close()
		return nil, fmt.Errorf("%w: a PC/SC daemon is running already", ErrUnavailable)
	}
	port, err := freePair()
	if err != nil {
		return nil, err
	}
	readers := filepath.Join(dir, "readers")
	if err := os.Mkdir(readers, 0o700); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf("FRIENDLYNAME \"Virtual PCD\"\nDEVICENAME /dev/null:0x%X\nLIBPATH %s\nCHANNELID 0x%X\n", port, driverPath, port)
	if err := os.WriteFile(filepath.Join(readers, "vpcd"), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "pcscd.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(daemonPath, "--foreground", "--info", "--config", readers)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r := &Reader{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), cmd: cmd}
	if err := r.await(ctx); err != nil {
		r.Stop()
		return nil, fmt.Errorf("%w (log: %s)", err, log.Name())
	}
	return r, nil
}

// await waits until the daemon takes clients. Whether the driver listens is not asked: a connection would
// be a card.
func (r *Reader) await(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("unix", socketPath); err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: the PC/SC daemon does not start", ErrUnavailable)
		}
	}
}

// Stop ends the daemon.
func (r *Reader) Stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(5*time.Second, func() { _ = r.cmd.Process.Kill() })
	_ = r.cmd.Wait() // it was told to end, so how it does is no news
	timer.Stop()
	if r.lock != nil {
		r.lock.Close()
	}
}

// takeLock waits for the machine's one turn. Closing the file gives it back.
func takeLock(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("%w: another virtual reader is in use", ErrUnavailable)
		}
	}
}

// freePair finds two neighbouring ports, both free, below those that outgoing connections get: the driver
// listens on the first and takes the next.
func freePair() (int, error) {
	for port := 29000; port < 32000; port += 2 {
		if portFree(port) && portFree(port+1) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("%w: no free ports", ErrUnavailable)
}

func portFree(port int) bool {
	l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
