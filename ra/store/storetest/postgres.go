// Package storetest gives tests throw-away databases of both kinds, and holds the conformance suite that a store of
// the registration authority must pass on each of them. It is imported by tests alone.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// errMissing says that this machine has no PostgreSQL server.
var errMissing = errors.New("no PostgreSQL server below /usr/lib/postgresql")

// server is one running PostgreSQL that nobody else uses.
type server struct {
	dir   string
	port  int
	owner owner
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
	log   bytes.Buffer  // what it said; read after it ended

	mu   sync.Mutex
	made int
	free []string // databases that hold nothing
}

// owner is who runs the server: PostgreSQL refuses to run as root.
type owner struct {
	switched bool
	uid, gid int
}

func findOwner() (owner, error) {
	if os.Geteuid() != 0 {
		return owner{uid: -1, gid: -1}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return owner{}, fmt.Errorf("storetest: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return owner{}, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return owner{switched: true, uid: uid, gid: gid}, err
}

// command makes a command that runs as the owner and dies with the thread that started it. Changing the user clears
// the wish to die with the parent, so setpriv renews it.
func (o owner) command(name string, args ...string) *exec.Cmd {
	if o.switched {
		args = append([]string{"--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=INT", name}, args...)
		name = "setpriv"
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if !o.switched {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	}
	return cmd
}

// binaries finds the newest server's programs.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errMissing
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

// startServer makes a cluster without any care for its data, and starts it.
func startServer(ctx context.Context) (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	s := &server{ended: make(chan struct{})}
	if s.owner, err = findOwner(); err != nil {
		return nil, err
	}
	if s.dir, err = s.owner.folder(); err != nil {
		return nil, err
	}
	data := filepath.Join(s.dir, "data")
	if out, err := s.owner.command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8",
		"--locale=C.UTF-8").CombinedOutput(); err != nil {
		os.RemoveAll(s.dir)
		return nil, fmt.Errorf("storetest: initdb: %w: %s", err, out)
	}
	for range 10 {
		s.port = 20000 + rand.IntN(12000) // below the ephemeral ports, so that no client's socket is in the way
		if err = s.run(ctx, filepath.Join(bin, "postgres"), data); err == nil {
			return s, nil
		}
	}
	os.RemoveAll(s.dir)
	return nil, err
}

// folder makes a folder that the owner may reach.
func (o owner) folder() (string, error) {
	for _, base := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if o.switched && !reachable(base) {
			continue
		}
		dir, err := os.MkdirTemp(base, "certwindow-postgres-")
		if err != nil {
			continue
		}
		if o.switched {
			if err := os.Chown(dir, o.uid, o.gid); err != nil {
				return "", err
			}
		}
		return dir, nil
	}
	return "", errors.New("storetest: no folder that PostgreSQL's user may reach")
}

// reachable tells whether everybody may pass through a folder and all above it.
func reachable(dir string) bool {
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&1 == 0 && info.Mode()&fs.ModeSticky == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// run starts the server on its port and waits until it answers, or is gone.
func (s *server) run(ctx context.Context, program, data string) error {
	s.log.Reset()
	s.ended = make(chan struct{})
	s.cmd = s.owner.command(program, "-D", data, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "shared_buffers=32MB")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	started := make(chan error, 1)
	go func() {
		// The server ends when this thread does, so the thread is kept for it.
		runtime.LockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait()
		}
		close(s.ended)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("storetest: %w", err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		select {
		case <-s.ended:
			return fmt.Errorf("storetest: PostgreSQL did not start: %s", s.log.Bytes())
		default:
		}
		if conn, err := pgx.Connect(ctx, s.address("postgres")); err == nil {
			return conn.Close(ctx)
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.stop()
	return errors.New("storetest: PostgreSQL does not answer")
}

// address names one of the server's databases.
func (s *server) address(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable&connect_timeout=5", s.port, database)
}

// stop ends the server, and its data with it.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGINT) // fast shutdown: connections are cut
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	os.RemoveAll(s.dir)
}

// take gives a database that holds nothing, making one when there is none.
func (s *server) take() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		name := s.free[n-1]
		s.free = s.free[:n-1]
		return name, nil
	}
	s.made++
	name := fmt.Sprintf("test_%d", s.made)
	return name, s.exec(context.Background(), "postgres", "CREATE DATABASE "+name+" TEMPLATE "+template)
}

// empty removes every row but those that the migrations wrote. Deleting a few rows is quicker than truncating, which
// makes new files; foreign keys are not looked at meanwhile.
const empty = `DO $$ DECLARE name TEXT; BEGIN
	SET LOCAL session_replication_role = replica;
	FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('goose_db_version', 'river_migration') LOOP
		EXECUTE 'DELETE FROM ' || quote_ident(name);
	END LOOP;
	INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));
END $$`

// giveBack empties a database for the next test.
func (s *server) giveBack(name string) error {
	if err := s.exec(context.Background(), name, empty); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, name)
	return nil
}

// exec runs one statement on a database.
func (s *server) exec(ctx context.Context, database, statement string) error {
	conn, err := pgx.Connect(ctx, s.address(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}
