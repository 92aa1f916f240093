// Package stage sets up a whole window on one machine: simulator, tokens and keys, server, card component and
// mail catcher, each as the process and with the commands that an operator would use. The demo and the
// integration tests play on it.
package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is one server that was started here.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	done chan error
}

// readyTime is how long a server may take to say that it answers.
const readyTime = 30 * time.Second

// start runs a server with its output in a log file, and waits until it writes its ready file.
func (s *Stage) start(ctx context.Context, name, ready string, env []string, args ...string) (*process, error) {
	log, err := os.OpenFile(s.path(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	p := &process{name: name, log: log, done: make(chan error, 1)}
	p.cmd = exec.Command(filepath.Join(s.opt.Bin, args[0]), args[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = s.opt.Dir, log, log, append(os.Environ(), env...)
	// Should the demo itself be killed, what it started goes with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		log.Close()
		return nil, err
	}
	go func() { p.done <- p.cmd.Wait() }()
	if err := p.await(ctx, ready); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s did not start: %w\n%s", name, err, s.Tail(name))
	}
	return p, nil
}

func (p *process) await(ctx context.Context, ready string) error {
	end := time.After(readyTime)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if raw, err := os.ReadFile(ready); err == nil && bytes.HasSuffix(raw, []byte("\n")) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-p.done:
			p.done <- err
			return fmt.Errorf("it ended: %v", err)
		case <-end:
			return errors.New("it did not say that it is ready")
		case <-tick.C:
		}
	}
}

// stop asks a server to end, and insists after a while.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(25 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	p.log.Close()
}

// kill ends a server at once, as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
	p.log.Close()
}

// Run runs a command to its end and returns what it printed. An exit code other than 0 is an *exec.ExitError
// within the error, which quotes what the command said.
func (s *Stage) Run(ctx context.Context, args ...string) ([]byte, error) {
	var out, errs bytes.Buffer
	path := args[0]
	if !filepath.IsAbs(path) && filepath.Base(path) == path {
		if _, err := os.Stat(filepath.Join(s.opt.Bin, path)); err == nil {
			path = filepath.Join(s.opt.Bin, path)
		}
	}
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = s.opt.Dir, &out, &errs, append(os.Environ(), s.windowEnv())
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s %v: %w: %s", args[0], args[1:min(3, len(args))], err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.Bytes(), nil
}

// Tail is the end of a server's log.
func (s *Stage) Tail(name string) string {
	raw, err := os.ReadFile(s.path(name + ".log"))
	if err != nil {
		return ""
	}
	if len(raw) > 4000 {
		raw = raw[len(raw)-4000:]
	}
	return string(raw)
}

// Logs are the names of the files that the servers log into.
func (s *Stage) Logs() ([]string, error) { return filepath.Glob(s.path("*.log")) }

func readJSON(path string, v any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}
