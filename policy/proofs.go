package policy

// proofs say, one line a clause, what enforces it in the running system and what tests it: names without the
// module's, apart by blanks. A test walks the source and refuses a name that is not there, a rule that nothing
// in the running system asks, and a test that does not name its clause.
var proofs = map[Clause]struct{ by, tests string }{
	"HCA-2.1": {"", "policy.TestPlatform"},
	"HCA-2.2": {"", "policy.TestCarrier"},
	"HCA-2.3": {"", "policy.TestInstitutionMayEnrol"},
	"HCA-2.4": {"", ""},
	"HCA-2.5": {"", ""},
	"HCA-2.6": {"", ""},
	"HCA-2.7": {"", ""},

	"HCA-3.1": {"", "policy.TestWindowMay"},
	"HCA-3.2": {"", ""},
	"HCA-3.3": {"", ""},
	"HCA-3.4": {"", ""},
	"HCA-3.5": {"", "policy.TestCarrier"},
	"HCA-3.6": {"", "policy.TestSweepCap"},
	"HCA-3.7": {"", "policy.TestPerson policy.TestInstitutionMayEnrol"},
	"HCA-3.8": {"", "policy.TestWindowMay"},

	"HCA-4.1": {"", ""},
	"HCA-4.2": {"", ""},

	"HCA-5.1.1": {"", "policy.TestPerson"},
	"HCA-5.1.2": {"", "policy.TestScope"},
	"HCA-5.1.3": {"", "policy.TestDeviceUser"},
	"HCA-5.2.1": {"", ""},
	"HCA-5.2.2": {"", "policy.TestGrounds policy.TestRevokeWithoutConsent"},

	"HCA-6.0":   {"", "policy.TestSameBinding"},
	"HCA-6.1":   {"", ""},
	"HCA-6.2":   {"", ""},
	"HCA-6.3.1": {"", ""},
	"HCA-6.3.2": {"", ""},
	"HCA-6.3.3": {"", ""},
	"HCA-6.3.4": {"", ""},
	"HCA-6.3.5": {"", ""},
	"HCA-6.3.6": {"", ""},
	"HCA-6.3.7": {"", ""},

	"HCA-7.1": {"", "policy.TestCarrier"},
	"HCA-7.2": {"", "policy.TestUsable"},
	"HCA-7.3": {"", "policy.TestUsable policy.TestDeviceUser policy.TestPerson"},
	"HCA-7.4": {"", ""},
	"HCA-7.5": {"", "policy.TestLimit policy.TestLimitAt"},

	"HCA-8.1.1": {"", "policy.TestSession"},
	"HCA-8.1.2": {"", ""},
	"HCA-8.1.3": {"", ""},
	"HCA-8.1.4": {"", "policy.TestMessageLife"},
	"HCA-8.1.5": {"", ""},
	"HCA-8.1.6": {"", ""},

	"HCA-8.2.1": {"", ""},
	"HCA-8.2.2": {"", ""},
	"HCA-8.2.3": {"", ""},
	"HCA-8.2.4": {"", ""},
	"HCA-8.2.5": {"", ""},
	"HCA-8.2.6": {"", "policy.TestPasswordLength policy.TestPasswordNotAccount policy.TestPasswordAge policy.TestPasswordLock policy.TestPasswordInitial"},
	"HCA-8.2.7": {"", "policy.TestOTPLife policy.TestOTPLock"},
	"HCA-8.2.8": {"", ""},
	"HCA-9":     {"", ""},

	"SAM-1": {"", ""},
	"SAM-2": {"", ""},
	"SAM-3": {"", ""},
	"NET-1": {"", ""},
	"NET-2": {"", ""},
	"CRT-1": {"", ""},
	"CRT-2": {"", ""},
	"SSP-1": {"", ""},
	"SSP-2": {"", ""},
	"SSP-3": {"", ""},
	"SSP-4": {"", ""},
}
