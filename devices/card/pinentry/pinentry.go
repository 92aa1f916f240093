// Package pinentry asks the person at the computer through a pinentry program, the kind of window that
// GnuPG uses: it belongs to no browser, so that no page can draw it, read it or click in it.
package pinentry

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"certwindow/devices/card"
)

// Limits of the Assuan protocol that pinentry speaks. A program ends when a line is longer.
const (
	maxLine  = 1000 // bytes of a line, without its end
	maxReply = 64   // lines of one reply
	maxPages = 32   // windows that one text may need
)

// maxPage is the room for escaped text in one SETDESC.
const maxPage = maxLine - len("SETDESC ") - 64

// Errors of libgpg-error, whose low sixteen bits are the code.
const (
	codeTimeout       = 62
	codeCancelled     = 99
	codeNotConfirmed  = 114
	codeFullyCanceled = 198
)

// Program is a pinentry to start anew for each question.
type Program struct {
	Path    string
	Args    []string
	Options []string // each sent as OPTION, such as "ttyname=/dev/pts/1"
}

// PIN shows the prompt, in several windows when the text is long, and asks for the PIN in the last.
func (p Program) PIN(ctx context.Context, prompt card.Prompt) (card.PIN, error) {
	pages := paginate(describe(prompt))
	if len(pages) > maxPages {
		return card.PIN{}, fmt.Errorf("pinentry: text needs %d windows", len(pages))
	}
	var pin card.PIN
	err := p.session(ctx, func(c *conn) error {
		if err := c.command("SETTITLE", "IC 卡簽章 / IC card signature"); err != nil {
			return err
		}
		for i, page := range pages[:len(pages)-1] {
			text := page + fmt.Sprintf("\n(%d/%d)", i+1, len(pages))
			if err := c.confirm(text, "下一頁 / Next"); err != nil {
				return err
			}
		}
		if err := c.command("SETDESC", pages[len(pages)-1]); err != nil {
			return err
		}
		if err := c.command("SETPROMPT", "PIN:"); err != nil {
			return err
		}
		if prompt.FinalTry {
			if err := c.command("SETERROR", "再錯一次就會鎖卡 / One more wrong PIN locks the card"); err != nil {
				return err
			}
		}
		data, err := c.exchange("GETPIN")
		if err != nil {
			clear(data)
			return err
		}
		pin = card.NewPIN(data)
		return nil
	})
	if err != nil {
		pin.Wipe()
		return card.PIN{}, err
	}
	return pin, nil
}

// Confirm asks yes or no.
func (p Program) Confirm(ctx context.Context, text string) error {
	pages := paginate(text)
	if len(pages) != 1 {
		return errors.New("pinentry: question is too long")
	}
	return p.session(ctx, func(c *conn) error { return c.confirm(text, "允許 / Allow") })
}

// describe writes what stands above the PIN. The text to be signed comes whole, between two rules, for it
// is what the holder agrees to.
func describe(p card.Prompt) string {
	const rule = "----------"
	var b strings.Builder
	fmt.Fprintf(&b, "要求者 / Asked by: %s\n", oneLine(p.Origin))
	fmt.Fprintf(&b, "卡片 / Card: %s %s\n", oneLine(p.Holder), oneLine(p.CardSN))
	if p.Opaque {
		fmt.Fprintf(&b, "注意:要簽的內容無法顯示。 / Caution: the content to be signed cannot be shown.\n%s\n", p.Digest)
		return b.String()
	}
	fmt.Fprintf(&b, "將簽署下列文字 / This text will be signed:\n%s\n%s\n%s", rule, p.Text, rule)
	return b.String()
}

// oneLine keeps what comes from a card or a page from looking like lines of ours.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsGraphic(r) {
			return '?'
		}
		return r
	}, s)
}

// paginate cuts text into windows at line ends, and inside a line only where it is longer than a window.
func paginate(text string) []string {
	var pages []string
	var page strings.Builder
	room := maxPage
	flush := func() {
		pages = append(pages, page.String())
		page.Reset()
		room = maxPage
	}
	for i, line := range strings.Split(text, "\n") {
		if need := len(escape(line)) + len("%0A"); page.Len() > 0 && need > room {
			flush()
		} else if i > 0 {
			page.WriteByte('\n')
			room -= len("%0A")
		}
		for _, r := range line {
			n := len(escape(string(r)))
			if n > room {
				flush()
			}
			page.WriteRune(r)
			room -= n
		}
	}
	flush()
	return pages
}

// escape writes an argument as Assuan wants it: percent, CR and LF by their numbers.
func escape(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

// conn is a conversation with one pinentry.
type conn struct {
	in  io.Writer
	out *bufio.Reader
}

// farewell is how long the program may take to end after it was told to.
const farewell = 2 * time.Second

// session starts the program, talks to it and ends it. The program is killed when ctx ends.
func (p Program) session(ctx context.Context, talk func(*conn) error) error {
	running, kill := context.WithCancel(ctx)
	defer kill()
	cmd := exec.CommandContext(running, p.Path, p.Args...)
	cmd.WaitDelay = farewell
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("pinentry: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("pinentry: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("pinentry: %w", err)
	}
	c := &conn{in: in, out: bufio.NewReaderSize(out, 2*maxLine)}
	err = c.greet(p.Options)
	if err == nil {
		err = talk(c)
	}
	if err == nil {
		_, _ = io.WriteString(in, "BYE\n") // it ends at the end of its input as well
	}
	in.Close()
	timer := time.AfterFunc(farewell, kill)
	_ = cmd.Wait() // how it ends says nothing: the answer was in the conversation
	timer.Stop()
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

// greet waits for the program and sets its options. An option that it does not know is no failure.
func (c *conn) greet(options []string) error {
	if _, err := c.reply(); err != nil {
		return err
	}
	for _, o := range options {
		var refused *refusal
		if err := c.command("OPTION", o); err != nil && !errors.As(err, &refused) {
			return err
		}
	}
	return nil
}

// confirm shows one window with OK and cancel.
func (c *conn) confirm(text, ok string) error {
	if err := c.command("SETDESC", text); err != nil {
		return err
	}
	if err := c.command("SETOK", ok); err != nil {
		return err
	}
	_, err := c.exchange("CONFIRM")
	return err
}

func (c *conn) command(name, arg string) error {
	_, err := c.exchange(name + " " + escape(arg))
	return err
}

// exchange sends a line and reads the reply's data.
func (c *conn) exchange(line string) ([]byte, error) {
	if len(line) > maxLine {
		return nil, errors.New("pinentry: line is too long")
	}
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		return nil, fmt.Errorf("pinentry: %w", err)
	}
	return c.reply()
}

// refusal is an ERR of the program.
type refusal struct{ code int }

func (e *refusal) Error() string { return "pinentry: error " + strconv.Itoa(e.code) }

// reply reads lines up to OK or ERR. Data may hold a PIN: the reader's copy is wiped at once.
func (c *conn) reply() ([]byte, error) {
	var data []byte
	for range maxReply {
		line, err := c.out.ReadSlice('\n')
		if err != nil {
			clear(line)
			clear(data)
			return nil, fmt.Errorf("pinentry: %w", err)
		}
		text := bytes.TrimRight(line, "\r\n")
		word, rest, _ := bytes.Cut(text, []byte(" "))
		switch string(word) {
		case "OK":
			return data, nil
		case "ERR":
			clear(data)
			return nil, refused(rest)
		case "D":
			data, err = unescape(data, rest)
		}
		clear(line)
		if err != nil {
			clear(data)
			return nil, err
		}
	}
	clear(data)
	return nil, errors.New("pinentry: reply without end")
}

// refused reads the number of an ERR line.
func refused(rest []byte) error {
	number, _, _ := bytes.Cut(rest, []byte(" "))
	code, err := strconv.ParseUint(string(number), 10, 32)
	if err != nil {
		return errors.New("pinentry: unreadable error")
	}
	switch code & 0xFFFF {
	case codeCancelled, codeNotConfirmed, codeFullyCanceled, codeTimeout:
		return card.ErrCancelled
	}
	return &refusal{int(code & 0xFFFF)}
}

// unescape appends the decoded data of a D line to data, and leaves no copy behind when data has to grow.
func unescape(data, line []byte) ([]byte, error) {
	grown := make([]byte, len(data), len(data)+len(line))
	copy(grown, data)
	clear(data)
	for i := 0; i < len(line); i++ {
		b := line[i]
		if b == '%' {
			var decoded [1]byte
			if i+2 >= len(line) {
				return grown, errors.New("pinentry: broken data")
			}
			if _, err := hex.Decode(decoded[:], line[i+1:i+3]); err != nil {
				return grown, errors.New("pinentry: broken data")
			}
			b, i = decoded[0], i+2
		}
		grown = append(grown, b)
	}
	return grown, nil
}
