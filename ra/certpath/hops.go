package certpath

import "math"

// hopsFrom counts the intermediates between a name and the nearest anchor, going by names alone: 0 is an
// anchor's own name. It only decides what is tried first.
func (v *validation) hopsFrom(n Name) int {
	if v.hops == nil {
		v.hops = v.countHops()
	}
	if hops, reached := v.hops[n.canonical()]; reached {
		return hops
	}
	return math.MaxInt32
}

// countHops walks from the anchors' names downwards, breadth first, over each intermediate once.
func (v *validation) countHops() map[string]int {
	issued := map[string][]string{}
	for _, c := range v.intermediates.all {
		issuer := c.Issuer.canonical()
		issued[issuer] = append(issued[issuer], c.Subject.canonical())
	}
	hops := map[string]int{}
	var level []string
	for _, p := range v.anchors {
		for name := range p.bySubject {
			if len(issued[name]) > 0 {
				hops[name] = 0
				level = append(level, name)
			}
		}
	}
	for distance := 1; len(level) > 0; distance++ {
		var next []string
		for _, issuer := range level {
			for _, subject := range issued[issuer] {
				if _, reached := hops[subject]; !reached {
					hops[subject] = distance
					next = append(next, subject)
				}
			}
		}
		level = next
	}
	return hops
}
