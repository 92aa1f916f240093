package ra

// Held is what the window holds of one kind about a person, for the copy that he may ask for (HCA-9). Kind and the
// names of a row's values are words of the copy, in English; the values stand as they are stored.
type Held struct {
	Kind string              `json:"kind"`
	Rows []map[string]string `json:"rows"`
}
