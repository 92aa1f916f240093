package stage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Sets of card readers: one with every card of the stage side by side, and one as a counter has it, with room for
// a single card.
const (
	allCards = "cards"
	oneCard  = "reader"
)

func (s *Stage) cardEnv(set string) string { return "SOFTHSM2_CONF=" + s.path(set+"-softhsm.conf") }

// Card makes an IC card: a token that the simulator has personalised.
func (s *Stage) Card(ctx context.Context, label, name, serial, kind string) error {
	if _, err := s.Run(ctx, "env", s.cardEnv(allCards), filepath.Join(s.opt.Bin, "hcasim"), "card", "--dir", s.path("hca"), "--module", Module, "--token", label,
		"--pin-file", s.path("card.pin"), "--so-pin-file", s.path("card-so.pin"), "--name", name, "--serial", serial, "--kind", kind,
		"--out", s.path(label+".pem")); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, folder := range s.tokens {
		known[folder] = true
	}
	folders, err := os.ReadDir(s.path(allCards + "-tokens"))
	if err != nil {
		return err
	}
	for _, f := range folders {
		if f.IsDir() && !known[f.Name()] {
			s.tokens[label] = f.Name()
			return nil
		}
	}
	return fmt.Errorf("no token was made for the card %s", label)
}

// StartAgent starts the card component over every card that was made, each in a reader of its own.
func (s *Stage) StartAgent(ctx context.Context) error {
	return s.startAgent(ctx, allCards, s.opt.CardAgent, "--pinentry", "", "--pin-from-page", s.URL, "--pin-from-page", "direct")
}

// Counter is how the card component of the one reader is set up.
type Counter struct {
	ServiSign bool   // it answers where HCAServiSign would, and nowhere else
	Holder    string // program that shows the text and asks for the PIN as pinentry does; empty: the page sends the PIN
}

// SetCounter sets the component up from the next InsertCard on.
func (s *Stage) SetCounter(c Counter) { s.counter = c }

// InsertCard has the card component serve a single card in a single reader, as at a counter, or an empty reader where
// no card is named. Whatever card was there is out, and the component begins anew.
func (s *Stage) InsertCard(ctx context.Context, label string) error {
	s.stopAgent()
	reader := s.path(oneCard + "-tokens")
	if err := os.RemoveAll(reader); err != nil {
		return err
	}
	if err := os.Mkdir(reader, 0o700); err != nil {
		return err
	}
	if label != "" {
		folder, ok := s.tokens[label]
		if !ok {
			return fmt.Errorf("there is no card %s", label)
		}
		if err := os.CopyFS(filepath.Join(reader, folder), os.DirFS(filepath.Join(s.path(allCards+"-tokens"), folder))); err != nil {
			return err
		}
	}
	listen, pin := s.opt.CardAgent, []string{"--pinentry", "", "--pin-from-page", s.URL}
	if s.counter.ServiSign {
		listen = strings.TrimPrefix(s.ServiSign, "http://")
	}
	if s.counter.Holder != "" {
		pin = []string{"--pinentry", s.counter.Holder}
	}
	return s.startAgent(ctx, oneCard, listen, pin...)
}

func (s *Stage) startAgent(ctx context.Context, set, listen string, pin ...string) (err error) {
	s.stopAgent()
	s.agent, err = s.start(ctx, "cardagent", s.path("agent.ready"), []string{s.cardEnv(set)}, append([]string{"cardagent", "--module", Module, "--listen", listen,
		"--origin", s.URL, "--ready-file", s.path("agent.ready")}, pin...)...)
	return err
}

func (s *Stage) stopAgent() {
	s.agent.stop()
	s.agent = nil
}
