package admin

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/consent"
	"certwindow/ra/enrol"
	"certwindow/web/admin/mask"
	"certwindow/web/problem"
)

var counterRoutes = []route{
	{method: get, path: "/counter/:id", handle: (*page).counter, roles: counter},
	{method: post, path: "/counter/:id/sign", handle: (*page).sign, roles: counter},
	{method: get, path: "/counter/:id/state", handle: (*page).counterState, roles: counter, poll: true},
	{method: post, path: "/counter/:id/removed", handle: (*page).cardRemoved, roles: counter},
	{method: post, path: "/counter/:id/again", handle: (*page).beginAgain, roles: counter},
}

// maxCMS is the largest signed message that is taken, in bytes of DER.
const maxCMS = 64 << 10

// counterData is one holder's business at the counter.
type counterData struct {
	App        ra.Application
	Name       string // masked
	NationalID string // masked
	Device     string
	Text       string // exactly what the card signs (HCA-8.1.3)
	Steps      []step
	OnWay      bool // the state is one of the steps
	Signable   bool
	Seconds    int // how long the text may still be signed
	PINOnPage  bool
	Result     string // the page of what came of it
	CardErrors []cardError
}

// step is one stage that an application goes through.
type step struct {
	State ra.ApplicationState
	Here  bool
	Past  bool
}

// cardError is what is said of a component's answer.
type cardError struct{ Code, Text string }

// cardCodes are the answers of a card component that have words of their own (ret_code, then last_error).
var cardCodes = []string{"none", "no-component", "closed", "timeout", "76000006", "76000031", "7600000f", "76000998", "76000999", "76100003", "76100005",
	"76100006", "76500001", "76500002", "pin-wrong", "pin-two", "pin-one", "pin-locked", "removed", "other", "same-card"}

// stepsOf are the stages of an application of this kind and key.
func stepsOf(a ra.Application) []step {
	way := []ra.ApplicationState{ra.AppAwaitingSignature, ra.AppAwaitingKey, ra.AppRequested, ra.AppSent, ra.AppCompleted}
	if a.Kind == ra.Revocation {
		way = []ra.ApplicationState{ra.AppAwaitingSignature, ra.AppRequested, ra.AppSent, ra.AppCompleted}
	}
	at := -1
	for i, s := range way {
		if s == a.State {
			at = i
		}
	}
	var out []step
	for i, s := range way {
		out = append(out, step{s, i == at, i < at || a.State == ra.AppCompleted})
	}
	return out
}

func (p *page) counter() error {
	a, err := p.site.Enrolments.Application(p.ctx(), p.actor(), ra.ApplicationID(p.Param("id")))
	if err != nil {
		return err
	}
	x, err := p.site.Registry.Person(p.ctx(), p.actor(), a.PersonID)
	if err != nil {
		return err
	}
	_, code, err := p.named(a.PersonID, a.DeviceID)
	if err != nil {
		return err
	}
	left := a.Deadline.Sub(p.site.Now())
	d := counterData{App: a, Name: mask.Name(x.Name), NationalID: mask.ID(x.NationalID), Device: code, Text: string(a.Text),
		Steps: stepsOf(a), PINOnPage: p.site.Settings.Now().Mark(policy.PINOnPage),
		Signable: a.State == ra.AppAwaitingSignature && left > 0, Seconds: max(0, int(left/time.Second))}
	d.Result = p.answer(a).Result
	d.OnWay = slices.ContainsFunc(d.Steps, func(s step) bool { return s.Here })
	for _, c := range cardCodes {
		d.CardErrors = append(d.CardErrors, cardError{c, p.words().say("card." + c)})
	}
	return p.show(http.StatusOK, "counter", view{Title: "counter." + string(a.Kind), Up: "/persons/" + string(a.PersonID), UpTitle: "person.one",
		Scripts: []string{"card.js", "servisign.js", "counter.js"}, Data: d})
}

// counterAnswer is what the counter's script reads.
type counterAnswer struct {
	State   ra.ApplicationState `json:"state"`
	Label   string              `json:"label"`
	Open    bool                `json:"open"`
	Result  string              `json:"result,omitempty"` // the page of what came of it
	Failure *refusal            `json:"failure,omitempty"`
}

// refusal is a problem in the clerk's language.
type refusal struct {
	Title     string `json:"title"`
	Text      string `json:"text"`
	Clause    string `json:"clause,omitempty"`
	Rule      string `json:"rule,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

func (p *page) answer(a ra.Application) counterAnswer {
	out := counterAnswer{State: a.State, Label: p.words().say("state.application." + string(a.State)), Open: a.State.Open()}
	if a.State == ra.AppCompleted && a.CertificateID != nil {
		out.Result = "/certificates/" + string(*a.CertificateID)
	}
	if a.FailureCode != "" {
		out.Failure = &refusal{Title: p.words().say("counter.failed"), Text: p.failure(a)}
	}
	return out
}

// failure is why an application did not go on, in the clerk's language; what the HCA wrote stays as it is.
func (p *page) failure(a ra.Application) string {
	text, ok := p.words().find("code." + a.FailureCode)
	switch {
	case !ok:
		return a.FailureDetail
	case a.FailureCode == "hca-refused":
		return text + " " + a.FailureDetail
	}
	return text
}

func (p *page) counterState() error {
	a, err := p.site.Enrolments.Application(p.ctx(), p.actor(), ra.ApplicationID(p.Param("id")))
	if err != nil {
		return err
	}
	return p.JSON(http.StatusOK, p.answer(a))
}

// sign takes what the card component gave the page. The script shows a refusal beside the text it is about. A component of
// HiPKI's kind tells of insertions, or lets the page watch them: an answer without one is refused (HCA-8.1.2).
func (p *page) sign() error {
	id := ra.ApplicationID(p.Param("id"))
	sig, err := p.cardSignature()
	if err != nil {
		return p.refuseSignature(err)
	}
	a, err := p.site.Enrolments.Application(p.ctx(), p.actor(), id)
	if err != nil {
		return err
	}
	if sig.Bare == nil && sig.Insertion == "" {
		missing := ra.Refuse("HCA-8.1.2", "insertion-missing", "The answer does not say in which insertion of the card it was made. Nothing was changed; take the card out, put it in, and sign again.", nil)
		e := ra.Event{Actor: p.actor(), Act: "counter.sign", Object: "application/" + string(id), Institution: a.Institution}
		return p.refuseSignature(p.site.Record(p.ctx(), e, missing))
	}
	if a.Kind == ra.Revocation {
		a, err = p.site.Revocations.Sign(p.ctx(), p.actor(), id, sig)
	} else {
		a, err = p.site.Enrolments.Sign(p.ctx(), p.actor(), id, sig)
	}
	if err != nil {
		return p.refuseSignature(err)
	}
	return p.JSON(http.StatusOK, p.answer(a))
}

// cardSignature reads the fields that card.js makes of a component's answer: CMS of HiPKI's, or the bare signature and
// the certificate of HCAServiSign's.
func (p *page) cardSignature() (sig enrol.Signature, err error) {
	value, err := p.cardBytes("signature")
	if err != nil {
		return sig, err
	}
	sig.Insertion = p.FormValue("insertion")
	if len(sig.Insertion) > 64 {
		sig.Insertion = sig.Insertion[:64]
	}
	if p.FormValue("component") != "servisign" {
		sig.CMS = value
		return sig, nil
	}
	cert, err := p.cardBytes("certificate")
	sig.Bare = &consent.Bare{Value: value, Certificate: cert}
	return sig, err
}

// cardBytes reads one field of base64, which some components break into lines.
func (p *page) cardBytes(field string) ([]byte, error) {
	text := p.FormValue(field)
	if base64.StdEncoding.DecodedLen(len(text)) > maxCMS+2 {
		return nil, ra.Errorf(ra.KindMalformed, "message-too-large", nil, "The signed message is too large. Nothing was changed.")
	}
	raw, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(text))
	if err != nil || len(raw) == 0 {
		return nil, ra.Errorf(ra.KindMalformed, "message-unreadable", err, "The card component's answer cannot be read. Nothing was changed.")
	}
	return raw, nil
}

// refuseSignature tells the script of a refusal in the clerk's language.
func (p *page) refuseSignature(err error) error {
	problem.Log(p, p.site.Log, err)
	d := problem.Of(err, problem.RequestID(p))
	x := p.explain(d)
	return p.JSON(d.Status, map[string]any{"failure": refusal{Title: x.Title, Text: x.Text, Clause: string(x.Clause), Rule: x.Rule, RequestID: x.RequestID}})
}

// cardRemoved withdraws what was begun with a card that the component says was taken out (HCA-8.1.2).
func (p *page) cardRemoved() error {
	id := ra.ApplicationID(p.Param("id"))
	a, err := p.site.Enrolments.Application(p.ctx(), p.actor(), id)
	if err != nil {
		return err
	}
	if a.State == ra.AppAwaitingSignature {
		if err := p.site.Enrolments.Cancel(p.ctx(), p.actor(), id); err != nil {
			return p.refuseSignature(err)
		}
		if a, err = p.site.Enrolments.Application(p.ctx(), p.actor(), id); err != nil {
			return err
		}
	}
	return p.JSON(http.StatusOK, p.answer(a))
}

// beginAgain withdraws a text that was not signed, where it still can be, and makes a new one for the same wish.
func (p *page) beginAgain() error {
	a, err := p.site.Enrolments.Application(p.ctx(), p.actor(), ra.ApplicationID(p.Param("id")))
	if err != nil {
		return err
	}
	switch a.State {
	case ra.AppAwaitingSignature:
		if err := p.site.Enrolments.Cancel(p.ctx(), p.actor(), a.ID); err != nil {
			return err
		}
	case ra.AppLapsed, ra.AppVoided, ra.AppRefused:
	default:
		return ra.Errorf(ra.KindConflict, "already-signed", nil, "This application was signed already. Nothing was changed.")
	}
	var next ra.Application
	switch {
	case a.Kind == ra.Revocation && a.CertificateID != nil:
		next, err = p.site.Revocations.Begin(p.ctx(), p.actor(), *a.CertificateID, a.Reason, "")
	case a.Kind == ra.Enrolment:
		next, err = p.site.Enrolments.Begin(p.ctx(), p.actor(), enrol.New{Person: a.PersonID, Device: a.DeviceID, Institution: a.Institution,
			Scope: a.Scope, KeyDesign: a.KeyDesign, Carrier: a.Carrier, Algorithm: a.Algorithm, Renews: a.Renews})
	default:
		err = ra.Errorf(ra.KindConflict, "already-signed", nil, "This application was signed already. Nothing was changed.")
	}
	if err != nil {
		return err
	}
	return p.Redirect(http.StatusSeeOther, "/counter/"+string(next.ID))
}
