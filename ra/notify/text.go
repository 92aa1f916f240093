package notify

import (
	"fmt"
	"strings"
	"time"

	"certwindow/ra"
)

// wording is one kind of notice in one language. It names no person and no number that would help a thief:
// the holder knows who he is, and the certificate's page shows the rest.
type wording struct{ subject, body string }

var wordings = map[string]map[ra.NoticeKind]wording{
	"zh-Hant-TW": {
		ra.NoticeEnrolled:  {"行動憑證已核發", "您申辦的行動憑證已核發，並安裝於您申辦時指定的行動裝置。"},
		ra.NoticeRevoked:   {"行動憑證已廢止", "您的一張行動憑證已廢止，自即刻起不能再使用。"},
		ra.NoticeSuspended: {"行動憑證暫停使用", "服務窗口已暫停您一張行動憑證的使用，請與服務窗口聯絡。"},
		ra.NoticeResumed:   {"行動憑證恢復使用", "您暫停使用的行動憑證已恢復，可以繼續使用。"},
		ra.NoticeExpiring:  {"行動憑證即將到期", "您的一張行動憑證即將到期。若要繼續使用，請在到期前攜帶醫事人員 IC 卡至服務窗口申辦新憑證。"},
		ra.NoticeAbnormal:  {"行動憑證作業異常", "您的行動憑證作業未能正常完成，服務窗口正在處理。目前不需要您做任何事。"},
		ra.NoticeDevice:    {"行動裝置已解除綁定", "您使用的一台行動裝置出現兩份相同的複本，服務窗口已解除該裝置的綁定，並廢止其上的行動憑證。請攜帶該裝置至櫃檯重新綁定。"},
	},
	"en": {
		ra.NoticeEnrolled:  {"Mobile certificate issued", "The mobile certificate that you applied for was issued, for the device that you named."},
		ra.NoticeRevoked:   {"Mobile certificate revoked", "One of your mobile certificates was revoked. It cannot be used any more."},
		ra.NoticeSuspended: {"Mobile certificate suspended", "The service window stopped one of your mobile certificates from being used. Please get in touch with the window."},
		ra.NoticeResumed:   {"Mobile certificate back in use", "The mobile certificate that was suspended can be used again."},
		ra.NoticeExpiring:  {"Mobile certificate about to expire", "One of your mobile certificates expires soon. To go on using it, come to the service window with your healthcare IC card before then and apply for a new one."},
		ra.NoticeAbnormal:  {"Mobile certificate: something went wrong", "Work on your mobile certificate did not end as it should. The service window is looking at it. There is nothing that you need to do now."},
		ra.NoticeDevice:    {"Mobile device unbound", "Two copies of a mobile device that you use were seen. The service window unbound it and revokes the certificates on it. Bring the device to the counter to have it bound anew."},
	},
}

var frames = map[string]string{
	"zh-Hant-TW": "%s\n\n時間：%s\n案號：%s\n\n若這不是您本人所為，請立即聯絡服務窗口：%s。\n",
	"en":         "%s\n\nTime: %s\nReference: %s\n\nIf this was not you, call the service window at once: %s.\n",
}

// taipei is the zone that holders read times in; Taiwan has had no daylight saving time since 1979.
var taipei = time.FixedZone("Asia/Taipei", 8*60*60)

func (s *Service) write(n Notice, to Address) (Message, error) {
	locale := to.Locale
	if _, ok := wordings[locale]; !ok {
		locale = "zh-Hant-TW"
	}
	w, ok := wordings[locale][n.Kind]
	if !ok {
		return Message{}, fmt.Errorf("notify: no wording for %q", n.Kind)
	}
	_, reference, _ := strings.Cut(n.Object, "/")
	body := fmt.Sprintf(frames[locale], w.body, n.CreatedAt.In(taipei).Format("2006-01-02 15:04"), reference, s.window)
	return Message{ID: n.ID, To: to, Subject: w.subject, Body: body}, nil
}
