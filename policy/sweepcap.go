package policy

import "fmt"

// SweepCap decides whether the sweep may revoke what it found (HCA-3.6: the window itself revokes what meets a
// condition). A fault in a staffing feed or a status list must not wipe out a hospital's certificates, so both
// caps hold: found may exceed neither capAbsolute nor capPercent of the live certificates, a share that is
// rounded up so that the smallest window can still revoke one. Over a cap nothing is revoked and a person looks.
func SweepCap(found, live, capPercent, capAbsolute int) Decision {
	if found == 0 && live >= 0 {
		return Allow()
	}
	if found < 0 || found > live || capPercent < 0 || capPercent > 100 || capAbsolute < 0 {
		return Refuse("HCA-3.6", "sweep-facts-invalid",
			"The sweep's counts or its caps cannot be right, so nothing was revoked; check the configuration and the run's report.")
	}
	// Hundreds and rest apart, so that no product overflows.
	share := live/100*capPercent + (live%100*capPercent+99)/100
	if most := min(share, capAbsolute); found > most {
		return Refuse("HCA-3.6", "sweep-over-cap", fmt.Sprintf(
			"The sweep found %d certificates to revoke where at most %d may go in one run, so nothing was revoked; look at its report.", found, most))
	}
	return Allow()
}
