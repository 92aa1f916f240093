package checker

import "encoding/json"

// settled wants each application whose answer did not fit to wait for two persons still, or to have been settled: by
// them, exactly as they agreed, or by an answer that came later and fits (HCA-3.3, HCA-8.1.6).
func (c *check) settled() error {
	type row struct{ object, act, details string }
	var acts []row
	err := c.each("SELECT object, act, details FROM audit_events WHERE act IN ('dispute.ask-again', 'dispute.close') AND outcome = 'done' ORDER BY seq", nil, func(scan func(...any) error) error {
		var r row
		err := scan(&r.object, &r.act, &r.details)
		acts = append(acts, r)
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range acts {
		var said struct {
			Approval string `json:"approval"`
			Answer   string `json:"answer"`
			Serial   string `json:"serial"`
		}
		_ = json.Unmarshal([]byte(r.details), &said) // what cannot be read names no approval
		a, ok, err := c.approved("id = ?", said.Approval)
		if err != nil {
			return err
		}
		f := a.terms.Facts
		c.must(ok && a.act == "settle-dispute" && a.object == r.object && "dispute."+f["dispute-choice"] == r.act && f["dispute-answer"] == said.Answer && f["dispute-serial"] == said.Serial,
			Approval, "HCA-3.3", r.object, "a disputed answer of the HCA was settled otherwise than two persons agreed on")
	}
	return c.unsettled()
}

// unsettled looks for applications that left the dispute, and nothing says how.
func (c *check) unsettled() error {
	return c.each(`SELECT a.id, a.state FROM applications a JOIN audit_events e ON e.object = 'application/' || a.id AND e.act = 'hca.mismatch'
		WHERE a.state <> 'disputed' AND NOT EXISTS (SELECT 1 FROM audit_events l WHERE l.object = e.object AND l.seq > e.seq
			AND (l.act = 'hca.mismatch' OR l.act IN ('dispute.ask-again', 'dispute.close', 'hca.issued', 'hca.revoked') AND l.outcome = 'done' OR l.act = 'hca.refused' AND l.outcome = 'refused')) ORDER BY a.id`, nil,
		func(scan func(...any) error) error {
			var id, state string
			if err := scan(&id, &state); err != nil {
				return err
			}
			c.found(Approval, "HCA-3.3", "application/"+id, "the HCA's answer did not fit, and it is %s although nobody settled it", state)
			return nil
		})
}
