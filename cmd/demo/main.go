// Command demo sets up a whole service window on this machine and tells its story: from the registration of a
// phone to the evidence of an enrolment. Server, card component and HCA are real processes; the HCA is a simulator.
//
// Exit codes: 0, everything went as it should; 1, a step did not, and it is named; 2, wrong use.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pquerna/otp/totp"

	"certwindow/cmd/demo/stage"
	"certwindow/cmd/demo/story"
)

func main() { os.Exit(run()) }

func run() int {
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	bin := fs.String("bin", "bin", "folder of the programs")
	stay := fs.Bool("stay", false, "set up, print addresses and logins, and stay until interrupted")
	keep := fs.String("dir", "", "folder to work in, which is kept; empty: a temporary one, which is not")
	if err := fs.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := play(ctx, *bin, *keep, *stay); err != nil {
		if ctx.Err() != nil {
			fmt.Println("\nInterrupted. Nothing is left running.")
			return 1
		}
		fmt.Println("\nThe demonstration failed at", err)
		return 1
	}
	return 0
}

func play(ctx context.Context, bin, dir string, stay bool) error {
	begun := time.Now()
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "certwindow-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	opt := stage.Options{Bin: bin, Dir: dir}
	if stay {
		opt.CardAgent, opt.Listen = free("127.0.0.1:61161"), free("127.0.0.1:8443")
	}
	if err := onStage(ctx, opt, stay); err != nil || stay {
		return err
	}
	fmt.Printf("\nDone in %.1f s. Nothing is left running.\n", time.Since(begun).Seconds())
	return nil
}

// onStage sets up, plays, and ends every process that it started.
func onStage(ctx context.Context, opt stage.Options, stay bool) error {
	fmt.Println("Setting up, with the commands that an operator uses:")
	last := time.Now()
	opt.Progress = func(what string) {
		fmt.Printf("   %6.2f s  %s\n", time.Since(last).Seconds(), what)
		last = time.Now()
	}
	st, err := stage.New(ctx, opt)
	if err != nil {
		return err
	}
	defer st.Close()
	s := story.New(st, os.Stdout)
	if stay {
		return look(ctx, st, s)
	}
	if err := s.Tell(ctx); err != nil {
		return fmt.Errorf("%w\n\nserver log, end:\n%s", err, st.Tail("certwindow"))
	}
	return nil
}

// look lets a person click through until he has enough.
func look(ctx context.Context, st *stage.Stage, s *story.Story) error {
	if err := s.Prepare(ctx); err != nil {
		return err
	}
	if _, err := s.Furnish(ctx); err != nil {
		return err
	}
	cast := s.Cast()
	if err := st.InsertCard(ctx, cast.WangCard); err != nil {
		return err
	}
	fmt.Printf("\nThe pages:       %s   (the certificate is the demonstration's own: accept it)\n", st.URL)
	fmt.Printf("Card component:  %s   (the first doctor's IC card is in the reader, PIN %s)\n", st.Agent, stage.CardPIN)
	fmt.Printf("HCA simulator:   %s\n", st.HCABase)
	fmt.Println("A phone:         bin/phone bind --dir my-phone --qr 'the text under the QR on a device page'")
	for _, a := range s.Logins() {
		fmt.Printf("Login:           %-9s password %s   TOTP secret %s\n", a.Account, a.Password, a.TOTP)
	}
	fmt.Printf("Commands:        SOFTHSM2_CONF=%s bin/certwindow doctor --config %s\n", st.Path("window-softhsm.conf"), st.Config())
	fmt.Println("\nCtrl-C ends it. The codes of the logins, as an authenticator app would show them; each works once, and the set-up")
	fmt.Println("used the present ones, so wait for the first line:")
	codes(ctx, s.Logins())
	return nil
}

// codes prints each login's code whenever a new one begins.
func codes(ctx context.Context, logins []stage.Account) {
	const step = 30 * time.Second // RFC 6238
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(time.Now().Truncate(step).Add(step))):
		}
		now := time.Now()
		line := now.Format("15:04:05")
		for _, a := range logins {
			code, err := totp.GenerateCode(a.TOTP, now)
			if err != nil {
				code = err.Error()
			}
			line += fmt.Sprintf("   %s %s", a.Account, code)
		}
		fmt.Println(line)
	}
}

// free is the address when nobody listens there, and empty, which means any, otherwise.
func free(address string) string {
	if stage.Free(address) {
		return address
	}
	return ""
}
