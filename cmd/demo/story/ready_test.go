package story

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"certwindow/cmd/demo/stage"
)

// A server whose database or token is gone says which and stays alive. When the database is back, it is ready without
// being started anew (HCA-6.3.5: without its token it signs nothing).
func TestReady(t *testing.T) {
	t.Parallel()
	address, configured := onPostgres(t)
	st := newStage(t, stage.Options{Database: configured})
	green(t, st)
	t.Run("Database", func(t *testing.T) {
		conn := elsewhere(t, address)
		name := conn.name
		conn.do(t, `ALTER DATABASE `+name+` ALLOW_CONNECTIONS false`)
		t.Cleanup(func() { conn.do(t, `ALTER DATABASE `+name+` ALLOW_CONNECTIONS true`) })
		conn.do(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '`+name+`'`)
		red(t, st, "database")
		conn.do(t, `ALTER DATABASE `+name+` ALLOW_CONNECTIONS true`)
		green(t, st)
	})
	t.Run("Token", func(t *testing.T) {
		here, gone := st.Path("window-tokens"), st.Path("window-tokens-gone")
		if err := os.Rename(here, gone); err != nil {
			t.Fatal(err)
		}
		red(t, st, "hsm")
		if err := os.Rename(gone, here); err != nil {
			t.Fatal(err)
		}
		// SoftHSM has forgotten the token's objects, and does not look again.
		st.StopServer()
		if err := st.StartServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		green(t, st)
	})
}

// connection is one to the server's own database, beside the window's.
type connection struct {
	*pgx.Conn
	name string // of the window's database
}

func elsewhere(t *testing.T, address string) connection {
	t.Helper()
	config, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	name := config.Database
	config.Database = "postgres"
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return connection{conn, name}
}

func (c connection) do(t *testing.T, statement string) {
	t.Helper()
	if _, err := c.Exec(context.Background(), statement); err != nil {
		t.Error(err)
	}
}
