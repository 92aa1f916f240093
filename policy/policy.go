// Package policy holds the rules of the HCA's rule book for a service window, one file each: facts in,
// decision out. It knows no clock, no database and no network, so that a rule can be read beside its clause
// and tested as a table.
//
// The clause ids (HCA-5.1.2 and so on) are those of the rule book
// 醫事憑證管理中心醫事人員行動憑證管理服務窗口作業要點; Clauses lists every one of them with what enforces
// and what tests it.
package policy

// Clause is the id of one rule, such as "HCA-7.5".
type Clause string

// Decision is what a rule says of the facts it was given. The zero value refuses, so that a rule that
// forgets to answer fails closed.
type Decision struct {
	Allowed bool
	Clause  Clause // the rule that refused; empty when allowed
	Code    string // stable word for programs and for the message catalogue, e.g. "scope-not-approved"
	Detail  string // one English sentence for a person, without personal data
}

// Allow says that the rule has nothing against it.
func Allow() Decision { return Decision{Allowed: true} }

// Refuse says which clause is against it, with a stable code and one sentence.
func Refuse(c Clause, code, detail string) Decision {
	return Decision{Clause: c, Code: code, Detail: detail}
}

// All returns the first refusal among the decisions, or allows when there is none. No decision at all is a
// refusal: a caller that gathered no facts has proved nothing.
func All(decisions ...Decision) Decision {
	if len(decisions) == 0 {
		return Refuse("", "no-rule-applied", "No rule was applied, so nothing is allowed.")
	}
	for _, d := range decisions {
		if !d.Allowed {
			return d
		}
	}
	return Allow()
}
