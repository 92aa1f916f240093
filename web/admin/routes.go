package admin

import (
	"net/http"
	"slices"

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
	private      bool // what is posted here is never kept for a sender whose session is over: codes, signatures
	poll         bool // a background poll, which is no use of the session (HCA-8.1.1)
	upload       bool // takes files, of up to maxUpload bytes together
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

// routes is the whole table: the lines that stand beside the handlers of each area.
var routes = slices.Concat(
	sessionRoutes,
	cardRoutes, ownSessionRoutes,
	newPasswordRoutes,
	draftRoutes,
	homeRoutes,
	searchRoutes,
	institutionRoutes,
	clientRoutes,
	staffRoutes,
	personRoutes,
	accountRoutes,
	deviceRoutes, replaceRoutes,
	applicationRoutes,
	disputeRoutes,
	deskRoutes,
	counterRoutes,
	certificateRoutes,
	approvalRoutes,
	settingRoutes,
	ceremonyRoutes,
	auditRoutes,
	exchangeRoutes,
	importRoutes,
	bulkRoutes,
	standingRoutes,
	reportRoutes,
	helpRoutes,
	appRoutes,
	personalRoutes,
)

// Page is a page that somebody may open: a line of the table that answers GET with HTML.
type Page struct {
	Path  string         // with the names of its parameters, e.g. /persons/:id
	Roles []session.Role // who may; empty: everybody, signed in or not
}

// Pages are those of the whole table, without what scripts alone ask for.
func Pages() (out []Page) {
	for _, r := range routes {
		if r.method == get && !r.poll && r.path != "/static/:name" {
			out = append(out, Page{r.path, r.roles})
		}
	}
	return out
}

// allows tells whether a role may use the route.
func (r route) allows(role session.Role) bool {
	return slices.Contains(r.roles, role)
}
