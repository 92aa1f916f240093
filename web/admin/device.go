package admin

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/revoke"
	"certwindow/web/admin/mask"
)

var deviceRoutes = append(deviceList.routes(lookers, nil), []route{
	{method: get, path: "/devices/new", handle: (*page).deviceForm, roles: registrar},
	{method: post, path: "/devices/new", handle: (*page).addDevice, roles: registrar},
	{method: get, path: "/devices/:id", handle: (*page).device, roles: lookers},
	{method: post, path: "/devices/:id/users", handle: (*page).addUser, roles: registrar},
	{method: post, path: "/devices/:id/users/remove", handle: (*page).removeUser, roles: registrar},
	{method: post, path: "/devices/:id/report", handle: (*page).reportDevice, roles: reporters},
	{method: get, path: "/devices/:id/binding", handle: (*page).binding, roles: counter},
	{method: post, path: "/devices/:id/binding", handle: (*page).offerBinding, roles: counter},
	{method: get, path: "/devices/:id/binding/state", handle: (*page).bindingState, roles: counter, poll: true},
	{method: post, path: "/devices/:id/binding/confirm", handle: (*page).confirmBinding, roles: counter, private: true},
	{method: post, path: "/devices/:id/binding/reject", handle: (*page).rejectBinding, roles: counter},
}...)

// deviceStates are those a list can be filtered by.
var deviceStates = []ra.DeviceState{ra.DeviceRegistered, ra.DeviceBound, ra.DeviceLost, ra.DeviceBroken, ra.DeviceRetired}

func (p *page) deviceForm() error { return p.deviceFormWith(nil) }

func (p *page) deviceFormWith(failed error) error {
	institutions, err := p.institutionChoice()
	if err != nil {
		return err
	}
	v := view{Title: "device.new", Up: "/devices", UpTitle: "devices.title", Form: url.Values{}}
	data := map[string]any{"Institutions": institutions, "Platforms": []option{{Value: string(ra.PlatformIOS), Label: p.words().say("platform.ios")},
		{Value: string(ra.PlatformAndroid), Label: p.words().say("platform.android")}}}
	if id := p.FormValue("person"); id != "" {
		x, err := p.site.Registry.Person(p.ctx(), p.actor(), ra.PersonID(id))
		if err != nil {
			return err
		}
		data["Person"] = line(x)
		if at := line(x).Institutions; at != "" {
			v.Form.Set("institution", strings.Split(at, ", ")[0])
		}
	}
	v.Data = data
	if failed == nil {
		return p.show(http.StatusOK, "device-new", v)
	}
	v.Form = p.form()
	return p.again(failed, "device-new", v, map[string][2]string{"code": {"code", "device.code"}, "device-exists": {"code", "device.code"},
		"device-code-taken": {"code", "device.code"}, "model": {"model", "device.model"}, "platform-not-allowed": {"platform", "device.platform"},
		"not-yours": {"institution", "device.institution"}, "not-shared": {"shared", "device.shared"}})
}

func (p *page) addDevice() error {
	n := devices.NewDevice{Code: p.FormValue("code"), Institution: ra.InstitutionCode(p.FormValue("institution")), Platform: ra.Platform(p.FormValue("platform")),
		Model: strings.TrimSpace(p.FormValue("model")), Shared: p.FormValue("shared") == "yes"}
	if id := p.FormValue("person"); id != "" {
		n.Users = []ra.PersonID{ra.PersonID(id)}
	}
	id, err := p.site.Registry.RegisterDevice(p.ctx(), p.actor(), n)
	if err != nil {
		return p.deviceFormWith(err)
	}
	return p.done("/devices/"+string(id), "device")
}

// userLine is one person's use of a device.
type userLine struct {
	devices.User
	Name string // masked
}

// deviceData is everything about one device.
type deviceData struct {
	devices.Device
	Users        []userLine // now
	Past         []userLine
	Certificates []ra.Certificate
	Names        map[ra.PersonID]string // their holders, masked
	Binding      devices.Binding
	HasBinding   bool
	Proof        devices.KeyRecord // what is known of the bound key
	Can          map[string]bool   // which reports its state allows
	History      []event
	App          ra.AppFacts
	Verdict      policy.Decision // on what the device said of its app
	CheckIns     []devices.CheckIn
	Acks         []devices.Acknowledgement
	ReplacedBy   *devices.Device // that took the place of this one
	Replaced     string          // code of the one whose place this one took
	Anew         []anewLine      // what its holders apply for anew
	Found        []personLine    // who was looked for, to be added
	Searched     bool
}

// reports are what a person may report of a device, in the order of the page.
var reports = []ra.DeviceEvent{ra.DeviceLose, ra.DeviceFind, ra.DeviceBreak, ra.DeviceRepair, ra.DeviceUnbind, ra.DeviceRetire}

func (p *page) device() error {
	d, err := p.loadDevice()
	if err != nil {
		return err
	}
	return p.showDevice(d)
}

func (p *page) showDevice(d deviceData) error {
	return p.show(http.StatusOK, "device", view{Title: "device.one", Heading: d.Code, Up: "/devices", UpTitle: "devices.title", Data: d})
}

func (p *page) loadDevice() (d deviceData, err error) {
	id := ra.DeviceID(p.Param("id"))
	var users []devices.User
	if d.Device, users, err = p.site.Registry.Device(p.ctx(), p.actor(), id); err != nil {
		return d, err
	}
	for _, u := range users {
		l := userLine{User: u, Name: string(u.Person)}
		if x, perr := p.site.Registry.Person(p.ctx(), p.actor(), u.Person); perr == nil {
			l.Name = mask.Name(x.Name)
		} else if ra.KindOf(perr) != ra.KindNotFound {
			return d, perr
		}
		if u.RemovedAt == nil {
			d.Users = append(d.Users, l)
		} else {
			d.Past = append(d.Past, l)
		}
	}
	if d.Certificates, err = p.site.Revocations.Certificates(p.ctx(), p.actor(), revoke.Query{Device: id, Limit: pageRows}); err != nil {
		return d, err
	}
	if d.Names, err = holders(p, d.Certificates, func(c ra.Certificate) ra.PersonID { return c.PersonID }); err != nil {
		return d, err
	}
	if d.Binding, d.HasBinding, err = p.site.Registry.Binding(p.ctx(), p.actor(), id); err != nil {
		return d, err
	}
	if d.State == ra.DeviceBound && d.Binding.State == devices.BindingConfirmed {
		d.Proof = d.Binding.Key()
	}
	d.Can = map[string]bool{}
	for _, e := range append([]ra.DeviceEvent{ra.DeviceBind}, reports...) {
		_, err := ra.NextDevice(d.State, e)
		d.Can[string(e)] = err == nil
	}
	if d.CheckIns, d.App, err = p.site.Apps.CheckIns(p.ctx(), p.actor(), id); err != nil {
		return d, err
	}
	d.Verdict = policy.AppOnDevice(d.App.Rule)
	if d.Acks, err = p.site.Apps.Acknowledgements(p.ctx(), p.actor(), id); err != nil {
		return d, err
	}
	if err := p.loadReplacement(&d); err != nil {
		return d, err
	}
	d.History, err = p.history("device/" + string(id))
	return d, err
}

// loadReplacement adds which device took the place of which.
func (p *page) loadReplacement(d *deviceData) error {
	by, found, err := p.site.Registry.ReplacedBy(p.ctx(), p.actor(), d.ID)
	if err != nil {
		return err
	}
	if found {
		d.ReplacedBy = &by
	}
	if d.Replaces != "" {
		if _, d.Replaced, err = p.named("", d.Replaces); err != nil {
			return err
		}
	}
	d.Anew, err = p.anew(*d)
	return err
}

// addUser adds the person who was chosen, or looks for the one whose national id was typed (HCA-4.2).
func (p *page) addUser() error {
	id := ra.DeviceID(p.Param("id"))
	if person := p.FormValue("person"); person != "" {
		if err := p.site.Registry.AddUser(p.ctx(), p.actor(), id, ra.PersonID(person)); err != nil {
			return err
		}
		return p.done("/devices/"+string(id), "user-added")
	}
	d, err := p.loadDevice()
	if err != nil {
		return err
	}
	list, err := p.site.Registry.Persons(p.ctx(), p.actor(), devices.PersonQuery{NationalID: strings.TrimSpace(p.FormValue("q")), Institution: d.Institution, Limit: 2})
	if err != nil {
		return err
	}
	d.Searched = true
	if strings.TrimSpace(p.FormValue("q")) != "" {
		d.Found = lines(list)
	}
	return p.showDevice(d)
}

func (p *page) removeUser() error {
	id := ra.DeviceID(p.Param("id"))
	if err := p.site.Registry.RemoveUser(p.ctx(), p.actor(), id, ra.PersonID(p.FormValue("person"))); err != nil {
		return err
	}
	return p.done("/devices/"+string(id), "user-removed")
}

func (p *page) reportDevice() error {
	id := ra.DeviceID(p.Param("id"))
	if err := p.site.Registry.Report(p.ctx(), p.actor(), id, known(p.FormValue("event"), reports)); err != nil {
		return err
	}
	return p.done("/devices/"+string(id), "reported")
}

// bindingData is the page on which a phone is bound.
type bindingData struct {
	Device  devices.Device
	Binding devices.Binding
	Has     bool
	Over    bool // its time has passed
	QR      template.HTML
	Text    string // what the QR holds, for a phone without a camera
}

func (p *page) loadBinding() (d bindingData, err error) {
	id := ra.DeviceID(p.Param("id"))
	if d.Device, _, err = p.site.Registry.Device(p.ctx(), p.actor(), id); err != nil {
		return d, err
	}
	d.Binding, d.Has, err = p.site.Registry.Binding(p.ctx(), p.actor(), id)
	d.Over = d.Has && !p.site.Now().Before(d.Binding.ExpiresAt)
	return d, err
}

func (p *page) showBinding(d bindingData) error {
	return p.show(http.StatusOK, "binding", view{Title: "binding.title", Up: "/devices/" + string(d.Device.ID), UpTitle: "device.one",
		Scripts: []string{"binding.js"}, Data: d})
}

func (p *page) binding() error {
	d, err := p.loadBinding()
	if err != nil {
		return err
	}
	return p.showBinding(d)
}

// offerBinding makes the QR. It is shown in this answer alone: its code is kept hashed.
func (p *page) offerBinding() error {
	o, err := p.site.Registry.OfferBinding(p.ctx(), p.actor(), ra.DeviceID(p.Param("id")))
	if err != nil {
		return err
	}
	d, err := p.loadBinding()
	if err != nil {
		return err
	}
	d.Text = p.site.BindText(o.Code)
	if d.QR, err = qrSVG(d.Text); err != nil {
		return err
	}
	return p.showBinding(d)
}

// bindingState is what the page asks while it waits for the phone.
func (p *page) bindingState() error {
	d, err := p.loadBinding()
	if err != nil {
		return err
	}
	state := string(d.Binding.State)
	if !d.Has {
		state = "none"
	} else if d.Over && (d.Binding.State == devices.BindingOffered || d.Binding.State == devices.BindingPresented) {
		state = "expired"
	}
	return p.JSON(http.StatusOK, map[string]string{"state": state, "binding": d.Binding.ID, "short_code": d.Binding.ShortCode,
		"expires": d.Binding.ExpiresAt.UTC().Format(time.RFC3339)})
}

func (p *page) confirmBinding() error {
	id := ra.DeviceID(p.Param("id"))
	if err := p.site.Registry.ConfirmBinding(p.ctx(), p.actor(), id, p.FormValue("binding"), p.FormValue("short_code")); err != nil {
		return err
	}
	return p.done("/devices/"+string(id), "bound")
}

func (p *page) rejectBinding() error {
	id := ra.DeviceID(p.Param("id"))
	if err := p.site.Registry.RejectBinding(p.ctx(), p.actor(), id, p.FormValue("binding")); err != nil {
		return err
	}
	return p.done("/devices/"+string(id)+"/binding", "binding-rejected")
}
