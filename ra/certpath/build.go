package certpath

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"slices"
	"time"
)

// validation is one call of Validate: its inputs, its budgets and what it has learnt.
type validation struct {
	ctx           context.Context
	o             *Options
	at            time.Time
	anchors       []*Pool
	intermediates *Pool
	crls          []*CRL          // of Options, and fetched ones
	ocsp          []*OCSPResponse // likewise
	fetched       map[string]bool

	signatures  int // budgets that are left
	candidates  int
	paths       int
	comparisons int
	revocations int
	fetches     int

	verifySignature func(pub crypto.PublicKey, algorithm, signed, signature []byte) *Error

	hops    map[string]int             // see hopsFrom; made when first needed
	checked map[[2]*Certificate]*Error // signature results by child and issuer
	signers []*Certificate             // certificates whose revocation status is being asked for
	depth   int                        // of paths to CRL signers
}

// best keeps the most telling refusal of a search.
type best struct {
	err  *Error
	rank int
}

func (b *best) note(err *Error, rank int) {
	if b.err == nil || rank > b.rank {
		b.err, b.rank = err, rank
	}
}

// Ranks of refusals: a judged path says more than an issuer that may not issue, and that more than a
// namesake of the issuer with another key.
const (
	rankNamesake = iota + 1
	rankIssuer
	rankPath
	rankFinal // ends the search
)

// Validate builds paths from leaf to an anchor and judges them as RFC 5280 section 6 says, until one is
// valid. The error is an *Error. The work is bounded whatever the input; where the bound is reached the
// answer is ReasonTooMuchWork. ctx ends fetches.
func Validate(ctx context.Context, leaf *Certificate, o Options) (*Result, error) {
	if leaf == nil {
		return nil, refuse(ReasonMisuse, "no certificate")
	}
	if o.At.IsZero() {
		return nil, refuse(ReasonMisuse, "no time of validation")
	}
	v := newValidation(ctx, &o)
	var found *Result
	err := v.search(leaf, func(path []*Certificate) *Error {
		res, err := v.judge(path)
		found = res
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func newValidation(ctx context.Context, o *Options) *validation {
	v := &validation{
		ctx: ctx, o: o, at: o.At,
		intermediates: NewPool(o.Intermediates...),
		crls:          slices.Clone(o.CRLs), ocsp: slices.Clone(o.OCSP),
		signatures: signatureBudget, candidates: maxCandidates, paths: maxPaths,
		comparisons: maxComparisons, revocations: maxRevocationTry, fetches: maxFetches,
		verifySignature: verifySignature,
		fetched:         map[string]bool{},
		checked:         map[[2]*Certificate]*Error{},
	}
	if o.AnchorPool != nil {
		v.anchors = append(v.anchors, o.AnchorPool)
	}
	if len(o.Anchors) > 0 {
		v.anchors = append(v.anchors, NewPool(o.Anchors...))
	}
	return v
}

func (v *validation) isAnchor(c *Certificate) bool {
	for _, p := range v.anchors {
		if p.Contains(c) {
			return true
		}
	}
	return false
}

// search walks from leaf towards anchors, depth first, and gives every complete path to judge until it
// accepts one. It returns nil when one was accepted.
func (v *validation) search(leaf *Certificate, judge func([]*Certificate) *Error) *Error {
	if err := leaf.checkAt(v.at); err != nil {
		return err
	}
	if err := leaf.keyError(); err != nil {
		return err
	}
	var b best
	if v.isAnchor(leaf) {
		if err := judge([]*Certificate{leaf}); err != nil {
			b.note(err, rankPath)
		} else {
			return nil
		}
	}
	if v.extend([]*Certificate{leaf}, judge, &b) {
		return nil
	}
	if b.err == nil {
		b.err = refuse(ReasonNoPath, "no issuer is known or trusted").about(leaf)
	}
	return b.err
}

// extend tries every issuer of the last certificate of path. It returns true when a path was accepted.
func (v *validation) extend(path []*Certificate, judge func([]*Certificate) *Error, b *best) bool {
	child := path[len(path)-1]
	for _, cand := range v.issuersOf(child) {
		if v.candidates--; v.candidates < 0 || v.ctx.Err() != nil {
			b.note(refuse(ReasonTooMuchWork, "too many possible issuers").about(child), rankFinal)
		}
		if b.rank == rankFinal {
			return false
		}
		if !cand.anchor && (len(path)+2 > maxDepth || repeats(path, cand.cert)) {
			continue
		}
		if err := v.mayIssue(cand, child); err != nil {
			b.note(err, cand.rank(err))
			continue
		}
		next := append(slices.Clip(path), cand.cert)
		if !cand.anchor {
			if v.extend(next, judge, b) {
				return true
			}
			continue
		}
		if v.paths--; v.paths < 0 {
			b.note(refuse(ReasonTooMuchWork, "too many paths").about(child), rankFinal)
			return false
		}
		err := judge(next)
		if err == nil {
			return true
		}
		rank := rankPath
		if err.Reason == ReasonRevoked && err.Cert == path[0].Subject.String() || err.Reason == ReasonTooMuchWork {
			rank = rankFinal
		}
		b.note(err, rank)
	}
	return false
}

// repeats tells whether the path already holds this certificate, or this name with this key: going round a
// circle of cross-certificates adds nothing.
func repeats(path []*Certificate, c *Certificate) bool {
	for _, have := range path {
		if bytes.Equal(have.Raw, c.Raw) ||
			bytes.Equal(have.RawSPKI, c.RawSPKI) && have.Subject.Equal(c.Subject) && sameAltNames(have, c) {
			return true
		}
	}
	return false
}

func sameAltNames(a, b *Certificate) bool {
	return slices.EqualFunc(a.x.altNames, b.x.altNames, func(x, y generalName) bool {
		return x.kind == y.kind && bytes.Equal(x.value, y.value)
	})
}

// candidate is a possible issuer.
type candidate struct {
	cert   *Certificate
	anchor bool
	score  int // 0 key identifiers match, 1 one is missing, 2 they differ
	hops   int // from its issuer's name to an anchor's
}

func (c candidate) rank(err *Error) int {
	if err.Reason == ReasonTooMuchWork {
		return rankFinal
	}
	if c.score == 2 || err.Reason == ReasonSignature && c.score != 0 {
		return rankNamesake
	}
	return rankIssuer
}

// issuersOf lists the certificates with the name of child's issuer, the likeliest first. Generations of one
// CA share their name, so the key identifier goes first (RFC 4158 section 3.5.12), then anchors, and then those
// whose issuer is near an anchor: among cross-certificates that lead everywhere the short way is found first.
func (v *validation) issuersOf(child *Certificate) []candidate {
	var out []candidate
	key := child.Issuer.canonical()
	for _, p := range v.anchors {
		for _, c := range p.bySubject[key] {
			out = append(out, candidate{c, true, keyScore(child.AuthorityKeyID, c), 0})
		}
	}
	for _, c := range v.intermediates.bySubject[key] {
		out = append(out, candidate{c, false, keyScore(child.AuthorityKeyID, c), 0})
	}
	if len(out) < 2 {
		return out
	}
	for i, c := range out {
		if !c.anchor {
			out[i].hops = v.hopsFrom(c.cert.Issuer)
		}
	}
	slices.SortStableFunc(out, func(a, b candidate) int { return cmp.Or(a.score-b.score, a.hops-b.hops) })
	return out
}

func keyScore(aki []byte, issuer *Certificate) int {
	switch {
	case aki == nil || issuer.SubjectKeyID == nil:
		return 1
	case bytes.Equal(aki, issuer.SubjectKeyID):
		return 0
	}
	return 2
}

// mayIssue makes the checks that need only the two certificates, the signature last.
func (v *validation) mayIssue(cand candidate, child *Certificate) *Error {
	if err := cand.cert.checkAt(v.at); err != nil {
		return err
	}
	if err := cand.cert.checkIssuer(); err != nil {
		return err
	}
	if _, err := parseSignatureAlgorithm(child.SignatureAlgorithm); err != nil {
		return err.about(child)
	}
	if err := child.checkIssued(cand.cert); err != nil {
		return err
	}
	return v.checkSignedBy(child, cand.cert)
}

func (v *validation) checkSignedBy(child, issuer *Certificate) *Error {
	pair := [2]*Certificate{child, issuer}
	if err, known := v.checked[pair]; known {
		return err
	}
	err := v.verify(issuer, child.SignatureAlgorithm, child.RawTBS, child.Signature)
	if err != nil {
		err.about(child)
	}
	v.checked[pair] = err
	return err
}

// verify checks a signature by signer's key within the budget.
func (v *validation) verify(signer *Certificate, algorithm, signed, signature []byte) *Error {
	if err := signer.keyError(); err != nil {
		return err
	}
	if v.signatures -= signatureCost(signer.PublicKey); v.signatures < 0 {
		return refuse(ReasonTooMuchWork, "too many signatures to check")
	}
	return v.verifySignature(signer.PublicKey, algorithm, signed, signature)
}
