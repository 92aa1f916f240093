// Command certwindow is the software of an HCA service window: the server, and every operator's and
// auditor's command.
//
// Exit codes: 0 is yes, 1 is no with the reason, 2 is wrong use (flags, paths that cannot be read).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
)

// Exit codes that every command keeps to.
const (
	exitYes   = 0
	exitNo    = 1
	exitUsage = 2
)

// streams are what a command reads and writes. Results go to out, everything else to err.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// command is one operator's command. run gets the arguments after the name and returns an exit code.
type command struct {
	name    string // the words that select it, e.g. "verify chain"
	summary string
	run     func(ctx context.Context, args []string, s streams) int
}

// commands is the one table of what this program can do, in the order that help prints it.
func commands() []command {
	return []command{
		{"serve", "answer requests, work the queue, sweep", cmdServe},
		{"migrate up", "bring the database to the shape that this version needs", cmdMigrateUp},
		{"migrate status", "tell which steps the database has", cmdMigrateStatus},
		{"staff create", "make the first window administrator", cmdStaffCreate},
		{"staff code", "hand over the first approver's authenticator secret", cmdStaffCode},
		{"staff reopen", "let an administrator make an approver alone, when none is left", cmdStaffReopen},
		{"sweep", "make one inventory now and revoke what must be revoked; --dry-run finds only", cmdSweep},
		{"evidence", "write the evidence of one application as a zip", cmdEvidence},
		{"check", "re-derive limits, states, consents, keys and the audit log from the database", cmdCheck},
		{"audit export", "write the audit log as a file that verify audit judges", cmdAuditExport},
		{"audit checkpoint", "sign the audit log as it stands, to be kept elsewhere", cmdAuditCheckpoint},
		{"ceremony setup", "make the token and the window's own keys", cmdCeremonySetup},
		{"ceremony component", "make one custodian's component of a master key", cmdCeremonyComponent},
		{"ceremony master", "make a master key from the custodians' components, or restore it", cmdCeremonyMaster},
		{"ceremony rollover", "let the keys of an old master key move to the newest, as two persons approved", cmdCeremonyRollover},
		{"ceremony retire", "destroy an old master key that no key is under, as two persons approved", cmdCeremonyRetire},
		{"ceremony status", "tell which master keys there are, and how many holders' keys are under each", cmdCeremonyStatus},
		{"ceremony export", "seal a custodian's component for the carrier that he keeps, as two persons approved", cmdCeremonyExport},
		{"ceremony unseal", "open a sealed component, for a ceremony on a new token", cmdCeremonyUnseal},
		{"ceremony verify", "judge the signature of a ceremony's record, off line", cmdCeremonyVerify},
		{"ceremony request", "write the certification request for the dedicated certificate", cmdCeremonyRequest},
		{"doctor", "what is configured, reachable, about to expire; --clauses: what enforces each rule", cmdDoctor},
		{"bench", "measure speed beside the raw cryptography; verify, crl, hsm, search", cmdBench},
		{"verify chain", "judge a certificate path with CRLs and OCSP responses, off line", cmdVerifyChain},
		{"verify message", "judge a card-signed message with its chain and revocation, off line", verifyMessage},
		{"verify signature", "judge one bare signature", verifySignature},
		{"verify evidence", "judge one enrolment's or revocation's evidence, years later, off line", verifyEvidence},
		{"verify audit", "judge an exported audit log: edits, gaps, reordering, cut ends, off line", verifyAudit},
		{"verify attestation android", "judge an Android Key Attestation chain, off line", verifyAttestationAndroid},
		{"verify attestation apple", "judge an Apple App Attest object, off line", verifyAttestationApple},
	}
}

// collectAt lets the heap grow to nine times what is live, some ten megabytes, before it is collected: signatures leave
// much behind, and memory is cheaper than the processor's time. GOGC in the environment overrules it.
const collectAt = 800

// tune sets the runtime to what a window does. The key module and SQLite keep threads busy in C, and the runtime takes a
// moment to see that a processor is free for another: one more than there are keeps them all at work. GOMAXPROCS in the
// environment overrules it.
func tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

func main() {
	tune()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := dispatch(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// dispatch runs the command with the longest name that args begin with.
func dispatch(ctx context.Context, args []string, s streams) int {
	var best *command
	var rest []string
	for _, c := range commands() {
		words := strings.Fields(c.name)
		if len(args) < len(words) || strings.Join(args[:len(words)], " ") != c.name {
			continue
		}
		if best == nil || len(words) > len(strings.Fields(best.name)) {
			best, rest = &c, args[len(words):]
		}
	}
	if best == nil {
		usage(s.err)
		if len(args) == 1 && (args[0] == "help" || args[0] == "--help" || args[0] == "-h") {
			return exitYes
		}
		return exitUsage
	}
	return best.run(ctx, rest, s)
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "certwindow: the software of an HCA service window\n\nCommands:")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-28s %s\n", c.name, c.summary)
	}
	fmt.Fprintln(w, "\n'certwindow COMMAND --help' shows a command's flags.")
}
