package ra

import (
	"fmt"
	"time"
)

// CountUpTo is how far a list is counted: above it, it has "more than" so many.
const CountUpTo = 1000

// Order is how a list is sorted and where one page of it begins. The zero value is the list's own order.
type Order struct {
	By    string // the name of one of the list's orders; empty: its own
	Desc  bool
	After *Mark // nil: the list's beginning
}

// Mark is where a row stands in an order: what it is sorted by, and its id for rows that are equal in that. Times
// are written by MarkTime.
type Mark struct{ Key, ID string }

// MarkTime writes the time that a row is sorted by.
func MarkTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Column is what an order sorts by in the database: an expression of columns that are never NULL, which an index
// holds with the id behind it.
type Column struct {
	Name string
	Time bool
}

// Keyset gives the terms of a query for a page of the order: what it is sorted by, and the condition of the rows after
// the mark, which is empty at the beginning. Both are words of this program; what came from outside is in the arguments
// alone. An order that is not among the columns, or a mark that is not of its kind, is malformed.
func (o Order) Keyset(columns map[string]Column, id string) (order, where string, args []any, err error) {
	c, ok := columns[o.By]
	if !ok {
		return "", "", nil, Errorf(KindMalformed, "order-unknown", nil, "The list has no such order.")
	}
	way, sign := "", ">"
	if o.Desc {
		way, sign = " DESC", "<"
	}
	if c.Name == id {
		order = id + way
		if o.After != nil {
			where, args = fmt.Sprintf("%s %s ?", id, sign), []any{o.After.ID}
		}
		return order, where, args, nil
	}
	order = c.Name + way + ", " + id + way
	if o.After == nil {
		return order, "", nil, nil
	}
	key := any(o.After.Key)
	if c.Time {
		t, err := time.Parse(time.RFC3339Nano, o.After.Key)
		if err != nil || t.Year() < 1 || t.Year() > 9999 {
			return "", "", nil, Errorf(KindMalformed, "cursor", nil, "The place in the list cannot be read.")
		}
		key = t.UTC()
	}
	return order, fmt.Sprintf("(%s, %s) %s (?, ?)", c.Name, id, sign), []any{key, o.After.ID}, nil
}
