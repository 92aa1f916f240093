// Package story tells what a service window does, from registration to revocation, on a stage of real
// processes. The demo prints it; the integration test asserts it.
package story

import (
	"context"
	"fmt"
	"io"
	"time"

	"certwindow/cmd/demo/stage"
	"certwindow/devices/appcred"
)

// Story is the cast and what has happened so far.
type Story struct {
	st    *stage.Stage
	out   io.Writer
	cards *reader

	admin    *clerk
	approver *clerk
	clerk    *clerk

	wang, chen            person
	iphone, tablet, spare device

	hsmCert, phoneCert certificate
	apps               map[string]string // ids of the app version on file, by platform
	records            *recordSystem     // the hospital's record system
	ward               ward              // of which TellSystems tells

	hiding hiding
}

// person is a healthcare professional with an IC card.
type person struct {
	id, name, nationalID, holder, card, email string

	account  string // on phones, and its password
	password appcred.Secret
}

// device is a registered device and the app on it.
type device struct {
	id, code string
	phone    *phone
}

// certificate is one that the HCA issued in this story.
type certificate struct {
	id, application string
	message         []byte // the card's message that consented to it
}

// New prepares a story on a stage.
func New(st *stage.Stage, out io.Writer) *Story {
	return &Story{st: st, out: out, cards: &reader{base: st.Agent}}
}

// scene is one step of the story.
type scene struct {
	title string
	acts  []act
}

// act is one line of a scene. What it returns is told.
type act struct {
	what string
	do   func(ctx context.Context) (string, error)
}

// Tell plays the whole story. It ends at the first act that does not go as it should, and names it.
func (s *Story) Tell(ctx context.Context) error {
	return s.play(ctx, []scene{s.register(), s.enrolInHSM(), s.enrolOnPhone(), s.shift(), s.withdrawal(), s.refusals(), s.revocation(), s.sweep(), s.evidence()})
}

// Prepare plays what a person needs to click through the pages: cards, registrations and accounts.
func (s *Story) Prepare(ctx context.Context) error { return s.play(ctx, []scene{s.register()}) }

func (s *Story) play(ctx context.Context, scenes []scene) error {
	for i, sc := range scenes {
		fmt.Fprintf(s.out, "\n%d. %s\n", i+1, sc.title)
		for _, a := range sc.acts {
			begun := time.Now()
			told, err := a.do(ctx)
			took := time.Since(begun)
			if err != nil {
				fmt.Fprintf(s.out, "   FAILED  %s: %v\n", a.what, err)
				return fmt.Errorf("%d. %s: %s: %w", i+1, sc.title, a.what, err)
			}
			fmt.Fprintf(s.out, "   %6.2f s  %s", took.Seconds(), a.what)
			if told != "" {
				fmt.Fprintf(s.out, ": %s", told)
			}
			fmt.Fprintln(s.out)
		}
	}
	return nil
}

// Logins are the accounts with which a person can look around.
func (s *Story) Logins() []stage.Account {
	return []stage.Account{s.admin.who, s.approver.who, s.clerk.who}
}
