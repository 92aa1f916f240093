package csc

// sayings are what the API says of itself and of credentials, in both languages.
var sayings = map[string]map[string]string{
	"zh-Hant-TW": {"service": "以服務窗口 HSM 內的持有人金鑰簽章，每次皆由持有人以自己的手機同意。", "credential": "醫事人員行動憑證，金鑰在 HSM", "phone": "手機",
		"release": "持有人在憑證所在的手機上同意簽章。"},
	"en": {"service": "Signatures with holders' keys in the window's HSM, each released by the holder's own phone.", "credential": "HCA mobile certificate, key in the HSM",
		"phone": "Phone", "release": "The holder releases the signatures on the phone that the certificate is on."},
}

// lang is the language of an answer: the one that was asked for where it is spoken (section 11.1), or else English, which
// whoever builds a system reads.
func (c *call) lang(asked *string) string {
	if asked == nil || *asked == "" {
		return "en"
	}
	return language(*asked, "en")
}
