package store

import (
	"certwindow/ra"
)

// Sealer encrypts columns under a key that only the HSM can derive (package hsm/seal).
type Sealer interface {
	Seal(column string, plaintext []byte) ([]byte, error)
	Open(column string, sealed []byte) ([]byte, error)
}

// sealed is one column's value in one row. The row's id is part of the column's name, so that a value moved to
// another row does not open there.
type sealed struct {
	column string
	value  *[]byte
}

// What names a person is sealed at rest (HCA-8.1.5): the text and the card's message, what they were judged by,
// and certificates and requests, all of which hold the holder's name.

func applicationColumns(a *ra.Application) []sealed {
	id := string(a.ID)
	return []sealed{{"applications.text/" + id, &a.Text}, {"applications.consent/" + id, &a.Consent}, {"applications.proof/" + id, &a.Proof},
		{"applications.csr/" + id, &a.CSR}}
}

func certificateColumns(c *ra.Certificate) []sealed {
	id := string(c.ID)
	return []sealed{{"certificates.der/" + id, &c.DER}, {"certificates.chain/" + id, &c.Chain}}
}

func requestColumns(r *hcaRequest) []sealed {
	id := string(r.TransactionID)
	return []sealed{{"hca_requests.request/" + id, &r.Request}, {"hca_requests.answer/" + id, &r.Answer}}
}

// seal replaces values by what is stored of them; nil stays nil.
func (s *Store) seal(columns []sealed) error {
	for _, c := range columns {
		if *c.value == nil {
			continue
		}
		v, err := s.sealer.Seal(c.column, *c.value)
		if err != nil {
			return err
		}
		*c.value = v
	}
	return nil
}

// open is the way back. A value that does not open was changed or moved by somebody outside this program.
func (s *Store) open(columns []sealed) error {
	for _, c := range columns {
		if *c.value == nil {
			continue
		}
		v, err := s.sealer.Open(c.column, *c.value)
		if err != nil {
			return ra.Errorf(ra.KindInternal, "sealed-column", err, "A stored record does not open: it was changed outside this program.")
		}
		if v == nil {
			v = []byte{} // empty is not missing: what opens is stored again
		}
		*c.value = v
	}
	return nil
}

// openAll opens a page of rows.
func openAll[R any](s *Store, rows []R, columns func(*R) []sealed) ([]R, error) {
	for i := range rows {
		if err := s.open(columns(&rows[i])); err != nil {
			return nil, err
		}
	}
	return rows, nil
}
