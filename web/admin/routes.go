package admin

import (
	"net/http"

	"certwindow/web/session"
)

// route is one line of the table of who may do what (HCA-8.1.6). A route without roles that is not open is
// refused to everybody. What a signed-in person of one institution may see or do is narrowed to it by the use
// cases, which get the institution with every actor.
type route struct {
	method, path string
	handle       func(*page) error
	roles        []session.Role
	open         bool // no session is needed
	first        bool // also while the initial password is still to be changed (HCA-8.2.6(5))
	poll         bool // a background poll, which is no use of the session (HCA-8.1.1)
}

// Groups of roles that the table uses.
var (
	anyone    = session.Roles
	lookers   = session.Roles
	counter   = []session.Role{session.Clerk}
	registrar = []session.Role{session.Clerk, session.InstitutionAdmin}
	reporters = []session.Role{session.Clerk, session.InstitutionAdmin, session.Helpdesk}
	managers  = []session.Role{session.WindowAdmin}
	managed   = []session.Role{session.WindowAdmin, session.Auditor}
	approvers = []session.Role{session.Approver}
	proposers = []session.Role{session.Clerk, session.InstitutionAdmin, session.WindowAdmin}
	auditors  = []session.Role{session.Auditor, session.WindowAdmin}
)

const get, post = http.MethodGet, http.MethodPost

// routes is the whole table.
var routes = []route{
	{method: get, path: "/static/:name", handle: (*page).staticFile, open: true},
	{method: get, path: "/login", handle: (*page).loginForm, open: true},
	{method: post, path: "/login", handle: (*page).login, open: true},
	{method: post, path: "/lang", handle: (*page).switchLanguage, open: true},
	{method: post, path: "/logout", handle: (*page).logout, roles: anyone, first: true},
	{method: post, path: "/logout/everywhere", handle: (*page).logoutEverywhere, roles: anyone, first: true},
	{method: get, path: "/password", handle: (*page).passwordForm, roles: anyone, first: true},
	{method: post, path: "/password", handle: (*page).changePassword, roles: anyone, first: true},
	{method: get, path: "/session", handle: (*page).sessionState, roles: anyone, first: true, poll: true},
	{method: post, path: "/session/stay", handle: (*page).sessionState, roles: anyone, first: true},

	{method: get, path: "/", handle: (*page).home, roles: anyone},

	{method: get, path: "/institutions", handle: (*page).institutions, roles: lookers},
	{method: get, path: "/institutions/new", handle: (*page).institutionForm, roles: managers},
	{method: post, path: "/institutions/new", handle: (*page).addInstitution, roles: managers},
	{method: get, path: "/scopes", handle: (*page).scopes, roles: lookers},
	{method: get, path: "/scopes/new", handle: (*page).scopeForm, roles: managers},
	{method: post, path: "/scopes/new", handle: (*page).addScope, roles: managers},
	{method: post, path: "/scopes/:code/approved", handle: (*page).approveScope, roles: managers},

	{method: get, path: "/staff", handle: (*page).staffList, roles: managed},
	{method: get, path: "/staff/new", handle: (*page).staffForm, roles: managers},
	{method: post, path: "/staff/new", handle: (*page).addStaff, roles: managers},
	{method: get, path: "/staff/:id", handle: (*page).staffOne, roles: managed},
	{method: post, path: "/staff/:id/active", handle: (*page).staffActive, roles: managers},
	{method: post, path: "/staff/:id/reset", handle: (*page).staffReset, roles: managers},

	{method: get, path: "/persons", handle: (*page).persons, roles: lookers},
	{method: post, path: "/persons/search", handle: (*page).searchPersons, roles: lookers},
	{method: get, path: "/persons/new", handle: (*page).personForm, roles: registrar},
	{method: post, path: "/persons/new", handle: (*page).addPerson, roles: registrar},
	{method: get, path: "/persons/:id", handle: (*page).person, roles: lookers},
	{method: post, path: "/persons/:id/leave", handle: (*page).endMembership, roles: registrar},
	{method: post, path: "/persons/:id/propose-exemption", handle: (*page).proposeExemption, roles: managers},

	{method: get, path: "/devices", handle: (*page).devices, roles: lookers},
	{method: get, path: "/devices/new", handle: (*page).deviceForm, roles: registrar},
	{method: post, path: "/devices/new", handle: (*page).addDevice, roles: registrar},
	{method: get, path: "/devices/:id", handle: (*page).device, roles: lookers},
	{method: post, path: "/devices/:id/users", handle: (*page).addUser, roles: registrar},
	{method: post, path: "/devices/:id/users/remove", handle: (*page).removeUser, roles: registrar},
	{method: post, path: "/devices/:id/report", handle: (*page).reportDevice, roles: reporters},
	{method: get, path: "/devices/:id/binding", handle: (*page).binding, roles: counter},
	{method: post, path: "/devices/:id/binding", handle: (*page).offerBinding, roles: counter},
	{method: get, path: "/devices/:id/binding/state", handle: (*page).bindingState, roles: counter, poll: true},
	{method: post, path: "/devices/:id/binding/confirm", handle: (*page).confirmBinding, roles: counter},
	{method: post, path: "/devices/:id/binding/reject", handle: (*page).rejectBinding, roles: counter},

	{method: get, path: "/applications", handle: (*page).applications, roles: lookers},
	{method: get, path: "/applications/new", handle: (*page).applicationForm, roles: counter},
	{method: post, path: "/applications/new", handle: (*page).beginEnrolment, roles: counter},
	{method: get, path: "/applications/:id", handle: (*page).application, roles: lookers},
	{method: post, path: "/applications/:id/cancel", handle: (*page).cancelApplication, roles: counter},

	{method: get, path: "/counter/:id", handle: (*page).counter, roles: counter},
	{method: post, path: "/counter/:id/sign", handle: (*page).sign, roles: counter},
	{method: get, path: "/counter/:id/state", handle: (*page).counterState, roles: counter, poll: true},
	{method: post, path: "/counter/:id/again", handle: (*page).beginAgain, roles: counter},

	{method: get, path: "/certificates", handle: (*page).certificates, roles: lookers},
	{method: get, path: "/certificates/:id", handle: (*page).certificate, roles: lookers},
	{method: post, path: "/certificates/:id/revoke", handle: (*page).beginRevocation, roles: counter},
	{method: post, path: "/certificates/:id/suspend", handle: (*page).suspend, roles: reporters},
	{method: post, path: "/certificates/:id/propose-revocation", handle: (*page).proposeRevocation, roles: registrar},
	{method: post, path: "/certificates/:id/propose-resumption", handle: (*page).proposeResumption, roles: registrar},

	{method: get, path: "/approvals", handle: (*page).approvals, roles: lookers},
	{method: get, path: "/approvals/:id", handle: (*page).approval, roles: lookers},
	{method: post, path: "/approvals/:id/approve", handle: (*page).approve, roles: approvers},
	{method: post, path: "/approvals/:id/reject", handle: (*page).reject, roles: approvers},
	{method: post, path: "/approvals/:id/withdraw", handle: (*page).withdraw, roles: proposers},

	{method: get, path: "/audit", handle: (*page).audit, roles: auditors},
}

// allows tells whether a role may use the route.
func (r route) allows(role session.Role) bool {
	for _, x := range r.roles {
		if x == role {
			return true
		}
	}
	return false
}
