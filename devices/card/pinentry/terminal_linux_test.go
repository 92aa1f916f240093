package pinentry

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"certwindow/devices/card"
)

// The real pinentry-tty, on a terminal of its own, shows the text and takes the PIN.
func TestRealProgram(t *testing.T) {
	path, err := exec.LookPath("pinentry-tty")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("pinentry-tty is not installed")
	}
	terminal, name := openTerminal(t)
	p := Program{Path: path, Options: []string{"ttyname=" + name, "ttytype=dumb", "lc-ctype=C.UTF-8"}}
	screen := make(chan string, 1)
	go func() {
		var all strings.Builder
		in := bufio.NewReader(terminal)
		for !strings.HasSuffix(all.String(), "PIN:") {
			b, err := in.ReadByte()
			if err != nil {
				break
			}
			all.WriteByte(b)
		}
		_, _ = terminal.WriteString("246813\n") // the test sees in the PIN whether it arrived
		screen <- all.String()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	pin, err := p.PIN(ctx, card.Prompt{Origin: "https://window.example", Holder: "王小明", Text: "text 100%\nsecond"})
	if err != nil || string(pin.Bytes()) != "246813" {
		t.Fatalf("%d bytes, %v", pin.Len(), err)
	}
	if s := <-screen; !strings.Contains(s, "text 100%") || !strings.Contains(s, "second") || !strings.Contains(s, "window.example") {
		t.Errorf("screen: %q", s)
	}
}

func noTerminals(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal("no pseudo terminals, and CI needs them: ", err)
	}
	t.Skip("no pseudo terminals: ", err)
}

// openTerminal makes a pseudo terminal: the end that a person sits at, and the name of the other.
func openTerminal(t *testing.T) (*os.File, string) {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		noTerminals(t, err)
	}
	t.Cleanup(func() { f.Close() })
	var unlock, number int32
	for request, arg := range map[uintptr]*int32{syscall.TIOCSPTLCK: &unlock, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(arg))); errno != 0 {
			noTerminals(t, errno)
		}
	}
	return f, "/dev/pts/" + strconv.Itoa(int(number))
}
