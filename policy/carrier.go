package policy

import "time"

// Carrier decides whether a certificate may be installed there, given where its key is made (HCA-2.2, HCA-3.5,
// HCA-7.1: only the device itself, its memory card, or a secure chip).
//
// The carrier holds the certificate, the key design says where the key lives (HCA-6.0), and the two must agree:
// a chip's key goes with a certificate in that chip (HCA-6.2), while a certificate whose key is the app's or the
// HSM's is kept by the app, on the device or its memory card. Nothing could prove a chip to hold a certificate
// whose key it did not make, so that pair is refused.
func Carrier(carrier, keyDesign string) Decision {
	switch carrier {
	case "device", "memory-card", "secure-chip":
	default:
		return Refuse("HCA-3.5", "carrier-not-allowed",
			"A mobile certificate can be installed on the device, its memory card or a secure chip only; choose one of them.")
	}
	switch keyDesign {
	case "app", "hsm":
		if carrier == "secure-chip" {
			return Refuse("HCA-3.5", "carrier-key-mismatch",
				"A secure chip carries certificates of keys made in that chip only; choose the key design chip, or another carrier.")
		}
	case "chip":
		if carrier != "secure-chip" {
			return Refuse("HCA-6.2", "carrier-key-mismatch",
				"A key made in a secure chip cannot leave it; choose the carrier secure-chip, or another key design.")
		}
	default:
		return Refuse("HCA-6.0", "key-design-unknown", "The key must be made by the app, by a secure chip or by the HSM; choose one of them.")
	}
	return Allow()
}

// CarrierGrace is how long a certificate's carrier may be out of the device before the certificate is revoked: a
// memory card is taken out for a moment, too. Meanwhile the key is not used (AppVersion).
const CarrierGrace = 24 * time.Hour

// CarrierGone tells whether a carrier that has been out of the device since then is no carrier any more (HCA-5.2.2(3),
// HCA-7.1).
func CarrierGone(since *time.Time, at time.Time) bool {
	return since != nil && !at.Before(since.Add(CarrierGrace))
}
