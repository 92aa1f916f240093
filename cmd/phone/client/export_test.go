package client

// Proof is how the holder proves who he is now.
func (p *Phone) Proof() func(activation string) (Factor, error) { return p.proof }
