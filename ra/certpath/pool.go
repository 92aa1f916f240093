package certpath

import "bytes"

// Pool is an immutable set of certificates indexed by subject name, safe for concurrent use. Build one once
// for anchors that are used often.
type Pool struct {
	bySubject map[string][]*Certificate
	all       []*Certificate
}

// NewPool indexes certificates; nil entries and repetitions are dropped.
func NewPool(certs ...*Certificate) *Pool {
	p := &Pool{bySubject: make(map[string][]*Certificate, len(certs))}
	for _, c := range certs {
		if c == nil {
			continue
		}
		key := c.Subject.canonical()
		if containsCert(p.bySubject[key], c) {
			continue
		}
		p.bySubject[key] = append(p.bySubject[key], c)
		p.all = append(p.all, c)
	}
	return p
}

// Certificates lists the pool in the order it was given.
func (p *Pool) Certificates() []*Certificate {
	if p == nil {
		return nil
	}
	return append([]*Certificate(nil), p.all...)
}

// Contains tells whether the pool holds exactly this certificate.
func (p *Pool) Contains(c *Certificate) bool {
	return p != nil && c != nil && containsCert(p.named(c.Subject), c)
}

func (p *Pool) named(n Name) []*Certificate {
	if p == nil {
		return nil
	}
	return p.bySubject[n.canonical()]
}

func containsCert(list []*Certificate, c *Certificate) bool {
	for _, have := range list {
		if have == c || bytes.Equal(have.Raw, c.Raw) {
			return true
		}
	}
	return false
}
