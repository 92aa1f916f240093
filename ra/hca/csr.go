package hca

import "certwindow/ra/csr"

// ParseCSR is csr.Parse with the errors of this package: what it refuses is a BadRequest, and never leaves the window.
func ParseCSR(der []byte) (*csr.Request, error) {
	r, err := csr.Parse(der)
	if err != nil {
		return nil, Errorf(BadRequest, "certification request: %w", err)
	}
	return r, nil
}
