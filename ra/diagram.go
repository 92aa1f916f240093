package ra

import "strings"

// Diagrams is the page of every state machine of the registration authority, in Markdown with Mermaid drawings,
// taken from the tables that decide.
func Diagrams() string {
	var b strings.Builder
	b.WriteString(`# States

What may follow what. The drawings come from the tables in package ra that decide it; what is not drawn is refused and
changes nothing. A test writes this page and holds it to the code.
`)
	section := func(title, about, drawing string) {
		b.WriteString("\n## " + title + "\n\n" + about + "\n\n```mermaid\n" + drawing + "```\n")
	}
	section("Application for enrolment",
		`An enrolment (HCA-5.1) holds one of the person's places (HCA-7.5) from the verified consent on, can be given up or lapse
only before its request leaves the window, and after that ends with the HCA's answer alone.`,
		enrolmentMachine.diagram(AppAwaitingSignature))
	section("Application for revocation",
		`A revocation (HCA-5.2) begins with the holder's text to sign, or as a request at once where the window may revoke without
consent; once it is a request nobody can take it back.`,
		revocationMachine.diagram(AppAwaitingSignature, AppRequested))
	section("Certificate",
		`A certificate counts as valid until the HCA confirms its revocation or its validity ends; suspended or being revoked, it
is valid still but its key is not used (HCA-7.2).`,
		certificateMachine.diagram(CertLive))
	section("Device",
		`A device carries certificates only while it is bound (HCA-4.1); from a loss or a repair it comes back unbound.`,
		deviceMachine.diagram(DeviceRegistered))
	return b.String()
}
