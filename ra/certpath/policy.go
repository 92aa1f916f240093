package certpath

import (
	"slices"
)

// policyNode is a node of the policy graph of RFC 9618, which holds what the policy tree of RFC 5280
// section 6.1.2 holds, in space linear in the certificates' size.
type policyNode struct {
	policy   OID
	expected []OID
	parents  []*policyNode
	visited  bool
}

// policyState is the part of the state of RFC 5280 section 6.1.2 that concerns policies.
type policyState struct {
	level    map[OID]*policyNode // nodes at the present depth; empty is the NULL graph
	explicit int
	mapping  int
	any      int
}

func checkPolicies(path []*Certificate, o *Options) ([]string, *Error) {
	anchor := path[len(path)-1]
	alone := len(path) == 1 // the anchor itself is what is judged
	n := max(len(path)-1, 1)
	s := &policyState{explicit: n + 1, mapping: n + 1, any: n + 1}
	if o.ExplicitPolicy {
		s.explicit = 0
	}
	if o.InhibitMapping {
		s.mapping = 0
	}
	if o.InhibitAny {
		s.any = 0
	}
	s.level = map[OID]*policyNode{oidAnyPolicy: {policy: oidAnyPolicy, expected: []OID{oidAnyPolicy}}}
	if !alone {
		if anchor.x.hasPolicies {
			s.narrow(anchor, true) // RFC 5937: an anchor's policies are limits
		}
		if err := s.prepare(anchor, true); err != nil {
			return nil, err.about(anchor)
		}
	}
	for i := n - 1; i >= 0; i-- {
		c := path[i]
		if c.x.hasPolicies {
			s.narrow(c, s.any > 0 || i > 0 && c.selfIssued())
		} else {
			s.level = nil
		}
		if s.explicit == 0 && len(s.level) == 0 {
			return nil, refuse(ReasonPolicy, "no policy is left that all issuers allow").about(c)
		}
		if i > 0 {
			if err := s.prepare(c, false); err != nil {
				return nil, err.about(c)
			}
		}
	}
	return s.conclude(path[0], o)
}

// narrow is RFC 5280 section 6.1.3 (d): the next depth of the graph, from the certificate's policies.
func (s *policyState) narrow(c *Certificate, anyAllowed bool) {
	expecting := map[OID][]*policyNode{}
	for _, node := range s.level {
		for _, p := range node.expected {
			expecting[p] = append(expecting[p], node)
		}
	}
	anyNode := s.level[oidAnyPolicy]
	next := make(map[OID]*policyNode, len(c.Policies))
	hasAny := false
	for _, p := range c.Policies {
		if p == oidAnyPolicy {
			hasAny = true
			continue
		}
		parents := expecting[p]
		if len(parents) == 0 && anyNode != nil {
			parents = []*policyNode{anyNode}
		}
		if len(parents) > 0 {
			next[p] = &policyNode{policy: p, expected: []OID{p}, parents: parents}
		}
	}
	if hasAny && anyAllowed {
		for p, parents := range expecting {
			if next[p] == nil {
				next[p] = &policyNode{policy: p, expected: []OID{p}, parents: parents}
			}
		}
	}
	s.level = next
}

// prepare is RFC 5280 section 6.1.4 (a), (b) and (h) to (j).
func (s *policyState) prepare(c *Certificate, anchor bool) *Error {
	if len(c.x.mappings) > 0 {
		if err := s.mapPolicies(c); err != nil {
			return err
		}
	}
	if !anchor && !c.selfIssued() {
		s.explicit, s.mapping, s.any = max(s.explicit-1, 0), max(s.mapping-1, 0), max(s.any-1, 0)
	}
	limit(&s.explicit, c.x.requirePolicy)
	limit(&s.mapping, c.x.inhibitMapping)
	limit(&s.any, c.x.inhibitAny)
	return nil
}

// mapPolicies is RFC 5280 section 6.1.4 (a) and (b).
func (s *policyState) mapPolicies(c *Certificate) *Error {
	mapped := map[OID][]OID{}
	seen := map[policyMapping]bool{}
	for _, m := range c.x.mappings {
		if m.issuer == oidAnyPolicy || m.subject == oidAnyPolicy {
			return refuse(ReasonPolicy, "anyPolicy is mapped")
		}
		if !seen[m] {
			seen[m] = true
			mapped[m.issuer] = append(mapped[m.issuer], m.subject)
		}
	}
	for issuer, subjects := range mapped {
		node := s.level[issuer]
		switch {
		case s.mapping == 0:
			delete(s.level, issuer)
		case node != nil:
			node.expected = subjects
		case s.level[oidAnyPolicy] != nil:
			s.level[issuer] = &policyNode{policy: issuer, expected: subjects, parents: s.level[oidAnyPolicy].parents}
		}
	}
	return nil
}

func limit(counter *int, to int) {
	if to != unset && to < *counter {
		*counter = to
	}
}

// conclude is RFC 5280 section 6.1.5 (a), (b) and (g).
func (s *policyState) conclude(leaf *Certificate, o *Options) ([]string, *Error) {
	s.explicit = max(s.explicit-1, 0)
	if leaf.x.requirePolicy == 0 {
		s.explicit = 0
	}
	got := s.userConstrained(o)
	if s.explicit == 0 && len(got) == 0 {
		return nil, refuse(ReasonPolicy, "none of the accepted policies").about(leaf)
	}
	return got, nil
}

// userConstrained computes the user-constrained-policy-set: the policies in the words of the anchor's domain
// that lead down to the leaf, cut with what the caller accepts.
func (s *policyState) userConstrained(o *Options) []string {
	authority := map[OID]bool{}
	todo := make([]*policyNode, 0, len(s.level))
	for _, n := range s.level {
		todo = append(todo, n)
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if n.visited {
			continue
		}
		n.visited = true
		if n.policy != oidAnyPolicy && (len(n.parents) == 0 || n.parents[0].policy == oidAnyPolicy) {
			authority[n.policy] = true
		}
		todo = append(todo, n.parents...)
	}
	accepted := map[OID]bool{}
	for _, id := range o.Policies {
		accepted[oidOf(id)] = true
	}
	wantAny := len(accepted) == 0 || accepted[oidAnyPolicy]
	if s.level[oidAnyPolicy] != nil {
		authority[oidAnyPolicy] = true
	}
	var out []string
	for p := range authority {
		if wantAny || accepted[p] {
			out = append(out, p.String())
		}
	}
	if authority[oidAnyPolicy] && !wantAny {
		out = out[:0]
		for p := range accepted {
			out = append(out, p.String())
		}
	}
	slices.Sort(out)
	return out
}
