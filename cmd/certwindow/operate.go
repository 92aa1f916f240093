package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"certwindow/cmd/certwindow/config"
	"certwindow/cmd/certwindow/window"
	"certwindow/migrations"
	"certwindow/ra/store"
)

// operatorFlags are the flags of a command that works with a configuration.
type operatorFlags struct {
	*flag.FlagSet
	config *string
	json   *bool
	s      streams
}

func newOperatorFlags(name string, s streams) operatorFlags {
	fs := flag.NewFlagSet("certwindow "+name, flag.ContinueOnError)
	fs.SetOutput(s.err)
	return operatorFlags{fs, fs.String("config", "", "the configuration file"), fs.Bool("json", false, "print one JSON object"), s}
}

// parse reads the flags and the configuration. A code other than exitYes ends the command.
func (f operatorFlags) parse(args []string) (*config.Config, int) {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, exitYes
		}
		return nil, exitUsage
	}
	if *f.config == "" || f.NArg() > 0 {
		fmt.Fprintf(f.s.err, "%s: --config FILE is needed, and nothing beside the flags\n", f.Name())
		return nil, exitUsage
	}
	c, err := config.Load(*f.config)
	if err != nil {
		fmt.Fprintln(f.s.err, err)
		return nil, exitUsage
	}
	return c, exitYes
}

// open parses the flags and opens the whole window.
func (f operatorFlags) open(ctx context.Context, args []string) (*window.Window, int) {
	c, code := f.parse(args)
	if c == nil {
		return nil, code
	}
	w, err := window.Open(ctx, c, logger(c, f.s), now)
	if err != nil {
		fmt.Fprintf(f.s.err, "%s: %v\n", f.Name(), err)
		return nil, exitNo
	}
	return w, exitYes
}

// result prints what a command found: one JSON object, or the lines of text.
func (f operatorFlags) result(v any, text func()) {
	if !*f.json {
		text()
		return
	}
	enc := json.NewEncoder(f.s.out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}

// fail prints why a command did not do what it was asked.
func (f operatorFlags) fail(err error) int {
	fmt.Fprintf(f.s.err, "%s: %v\n", f.Name(), err)
	return exitNo
}

func now() time.Time { return time.Now().UTC() }

func logger(c *config.Config, s streams) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Log)) // config.Load refused what is no level
	return slog.New(slog.NewJSONHandler(s.err, &slog.HandlerOptions{Level: level}))
}

// cmdServe runs the server until it is told to stop.
func cmdServe(ctx context.Context, args []string, s streams) int {
	f := newOperatorFlags("serve", s)
	w, code := f.open(ctx, args)
	if w == nil {
		return code
	}
	defer w.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := w.Serve(ctx); err != nil {
		return f.fail(err)
	}
	return exitYes
}

// cmdMigrateUp brings the database to the shape that this version needs.
func cmdMigrateUp(ctx context.Context, args []string, s streams) int {
	f := newOperatorFlags("migrate up", s)
	return f.migrate(ctx, args, func(db *store.DB) error {
		done, err := migrations.Up(ctx, db.SQL, db.Dialect)
		if err != nil {
			return err
		}
		f.result(map[string]any{"applied": done}, func() {
			for _, name := range done {
				fmt.Fprintln(s.out, "applied", name)
			}
			if len(done) == 0 {
				fmt.Fprintln(s.out, "nothing to do")
			}
		})
		return nil
	})
}

// cmdMigrateStatus tells which steps the database has.
func cmdMigrateStatus(ctx context.Context, args []string, s streams) int {
	f := newOperatorFlags("migrate status", s)
	return f.migrate(ctx, args, func(db *store.DB) error {
		steps, err := migrations.List(ctx, db.SQL, db.Dialect)
		if err != nil {
			return err
		}
		missing := 0
		for _, m := range steps {
			if !m.Applied {
				missing++
			}
		}
		f.result(map[string]any{"steps": steps, "missing": missing}, func() {
			for _, m := range steps {
				fmt.Fprintf(s.out, "%-9s %s\n", map[bool]string{true: "applied", false: "missing"}[m.Applied], m.Name)
			}
		})
		if missing > 0 {
			return fmt.Errorf("%d steps are missing: run certwindow migrate up", missing)
		}
		return nil
	})
}

func (f operatorFlags) migrate(ctx context.Context, args []string, fn func(*store.DB) error) int {
	c, code := f.parse(args)
	if c == nil {
		return code
	}
	address, err := c.DatabaseAddress()
	if err != nil {
		return f.fail(err)
	}
	db, err := store.Open(ctx, address)
	if err != nil {
		return f.fail(err)
	}
	defer db.Close()
	if err := fn(db); err != nil {
		return f.fail(err)
	}
	return exitYes
}

// cmdSweep makes one inventory now (HCA-3.6).
func cmdSweep(ctx context.Context, args []string, s streams) int {
	f := newOperatorFlags("sweep", s)
	dry := f.Bool("dry-run", false, "find, and change nothing")
	w, code := f.open(ctx, args)
	if w == nil {
		return code
	}
	defer w.Close()
	if err := w.RefreshCRL(ctx); err != nil {
		return f.fail(fmt.Errorf("the HCA's revocation list could not be had, so nothing was judged: %w", err))
	}
	r, err := w.Inventory(ctx, *dry)
	if err != nil {
		return f.fail(err)
	}
	f.result(r, func() {
		fmt.Fprintf(s.out, "sweep %s: looked at %d, found %d\n", r.ID, r.Looked, len(r.Findings))
		for _, x := range r.Findings {
			fmt.Fprintf(s.out, "  certificate %s serial %s: %s -> %s %s\n", x.Certificate, x.Serial, x.What, x.Action, x.Error)
		}
		if r.OverCap {
			fmt.Fprintln(s.out, "  "+r.Note)
		}
	})
	if r.OverCap {
		return exitNo
	}
	return exitYes
}
