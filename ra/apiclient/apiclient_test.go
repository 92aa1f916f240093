package apiclient_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/approve"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var ctx = context.Background()

// office is a window with two administrators and a register of systems.
type office struct {
	*storetest.World
	*apiclient.Service
	t          *testing.T
	approvals  *approve.Service
	key        *ecdsa.PrivateKey // of every certificate here; thumbprints tell them apart
	one, other ra.Actor
	clinic     ra.Actor
}

func newOffice(t *testing.T, db *store.DB) *office {
	t.Helper()
	o := &office{World: storetest.NewWorld(t, db), t: t, one: ra.Actor{Kind: ra.ActorStaff, ID: "one"}, other: ra.Actor{Kind: ra.ActorStaff, ID: "other"},
		clinic: ra.Actor{Kind: ra.ActorStaff, ID: "clinic", Institution: storetest.Clinic}}
	o.Service = apiclient.New(store.ClientStore{Store: o.Store}, o.Clock.Now)
	revocations := revoke.NewService(store.RevokeStore{Store: o.Store}, storetest.Accepts{}, revoke.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute)}, o.Clock.Now, rand.Reader)
	o.approvals = approve.New(store.ApproveStore{Store: o.Store}, revocations, o.Acts(), policy.Always(72*time.Hour), o.Clock.Now, rand.Reader)
	var err error
	o.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	o.must(err)
	return o
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) refused(what string, err error, code string) {
	o.t.Helper()
	if err == nil || ra.AsError(err).Code != code {
		o.t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// certificate is one of a system, for a day from the moment given.
func (o *office) certificate(from time.Time) *x509.Certificate {
	o.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	o.must(err)
	tmpl := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "system"}, NotBefore: from, NotAfter: from.Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, o.key.Public(), o.key)
	o.must(err)
	c, err := x509.ParseCertificate(der)
	o.must(err)
	return c
}

// system is what is to be registered with a certificate.
func (o *office) system(id string, shown *x509.Certificate) apiclient.Client {
	return apiclient.Client{ID: id, Kind: apiclient.Signing, Name: "病歷系統", Institution: storetest.Window, Scopes: []string{"EMR-SIGN"}, Redirects: []string{"https://his.example/back?a=1"},
		Thumbprint: apiclient.Thumbprint(shown.Raw), NotAfter: shown.NotAfter.UTC()}
}

// propose is what one person asks for, of a system as it stands on the register.
func (o *office) propose(c apiclient.Client) (approve.Proposal, error) {
	var before *apiclient.Client
	if stands, err := o.Registered(ctx, o.one, c.ID); err == nil {
		before = &stands
	}
	return o.approvals.Propose(ctx, o.one, apiclient.ActOf(c.Kind), "client/"+c.ID, "", c.Facts(before))
}

// register has two persons put a system on the register.
func (o *office) register(c apiclient.Client) {
	o.t.Helper()
	p, err := o.propose(c)
	o.must(err)
	o.must(o.approvals.Approve(ctx, o.other, p.ID, p.Hash))
}

// HCA-8.1.6, HCA-5.1.2: two persons put a system on the register, exactly as it was shown to both, with a row that says so.
func TestTwoPersonsRegisterASystem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		shown := o.certificate(o.Clock.Now())
		want := o.system("his", shown)
		p, err := o.propose(want)
		o.must(err)
		if _, err := o.Active(ctx, "his"); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("one person registered it: %v", err)
		}
		if err := o.approvals.Approve(ctx, o.one, p.ID, p.Hash); err == nil {
			t.Error("the same person approved")
		}
		o.must(o.approvals.Approve(ctx, o.other, p.ID, p.Hash))
		got, err := o.Proven(ctx, "his", shown)
		o.must(err)
		if got.Name != want.Name || got.Redirects[0] != want.Redirects[0] || len(got.Scopes) != 1 || !got.NotAfter.Equal(want.NotAfter) || !got.Active {
			t.Errorf("%+v", got)
		}
		signs, err := o.Client(ctx, "his")
		if err != nil || signs.Institution != storetest.Window || signs.Scopes[0] != "EMR-SIGN" {
			t.Errorf("%+v %v", signs, err)
		}
		found := false
		for _, r := range o.Audit(t) {
			found = found || r.Act == "client.register" && r.Object == "client/his" && r.Actor == "other"
		}
		if !found {
			t.Error("no row of it")
		}
		if _, err := o.approvals.Propose(ctx, o.clinic, approve.SignClient, "client/x", storetest.Clinic, want.Facts(nil)); err == nil {
			t.Error("a member of one institution proposes")
		}
	})
}

// What is not as it must be is not even proposed.
func TestBoundsOfASystem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		shown := o.certificate(o.Clock.Now())
		for what, c := range map[string]struct {
			change func(*apiclient.Client)
			code   string
		}{
			"a short id":              {func(c *apiclient.Client) { c.ID = "hi" }, "client-id"},
			"capitals":                {func(c *apiclient.Client) { c.ID = "HIS" }, "client-id"},
			"the holders' own app":    {func(c *apiclient.Client) { c.ID = string(remotesign.DeviceClient) }, "client-id"},
			"no name":                 {func(c *apiclient.Client) { c.Name = "" }, "client-name"},
			"a name with a line":      {func(c *apiclient.Client) { c.Name = "a\nb" }, "client-name"},
			"a name that turns":       {func(c *apiclient.Client) { c.Name = "a\u202eb" }, "client-name"},
			"a long name":             {func(c *apiclient.Client) { c.Name = strings.Repeat("病", 61) }, "client-name"},
			"no scope":                {func(c *apiclient.Client) { c.Scopes = nil }, "client-scopes"},
			"http":                    {func(c *apiclient.Client) { c.Redirects = []string{"http://his.example/back"} }, "client-redirects"},
			"a fragment":              {func(c *apiclient.Client) { c.Redirects = []string{"https://his.example/back#x"} }, "client-redirects"},
			"an empty fragment":       {func(c *apiclient.Client) { c.Redirects = []string{"https://his.example/back#"} }, "client-redirects"},
			"a user in the address":   {func(c *apiclient.Client) { c.Redirects = []string{"https://his.example@evil.example/"} }, "client-redirects"},
			"no host":                 {func(c *apiclient.Client) { c.Redirects = []string{"https:///back"} }, "client-redirects"},
			"a relative address":      {func(c *apiclient.Client) { c.Redirects = []string{"/back"} }, "client-redirects"},
			"an address not its own":  {func(c *apiclient.Client) { c.Redirects = []string{"https://his.example/%7e"} }, ""},
			"a long address":          {func(c *apiclient.Client) { c.Redirects = []string{"https://his.example/" + strings.Repeat("a", 300)} }, "client-redirects"},
			"six addresses":           {func(c *apiclient.Client) { c.Redirects = strings.Fields(strings.Repeat("https://his.example/ ", 6)) }, "client-redirects"},
			"no certificate":          {func(c *apiclient.Client) { c.Thumbprint = "" }, "client-certificate"},
			"a hexadecimal one":       {func(c *apiclient.Client) { c.Thumbprint = strings.Repeat("0a", 32) }, "client-certificate"},
			"an expired one":          {func(c *apiclient.Client) { c.NotAfter = o.Clock.Now() }, "client-certificate"},
			"a scope not approved":    {func(c *apiclient.Client) { c.Scopes = []string{"GAMES"} }, "scope-not-approved"},
			"personnel with a scope":  {func(c *apiclient.Client) { c.Kind, c.Redirects = apiclient.Staffing, nil }, "client-staffing"},
			"personnel with a return": {func(c *apiclient.Client) { c.Kind, c.Scopes = apiclient.Staffing, nil }, "client-staffing"},
		} {
			s := o.system("his", shown)
			c.change(&s)
			_, err := o.propose(s)
			if c.code == "" {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
				continue
			}
			o.refused(what, err, c.code)
		}
		s := o.system("his", shown)
		s.Kind = "other"
		_, err := o.approvals.Propose(ctx, o.one, approve.SignClient, "client/his", "", s.Facts(nil))
		o.refused("another kind", err, "client-kind")
		facts := o.system("his", shown).Facts(nil)
		facts["more"] = "x"
		_, err = o.approvals.Propose(ctx, o.one, approve.SignClient, "client/his", "", facts)
		o.refused("a fact beside", err, "approval-facts")
		_, err = o.approvals.Propose(ctx, o.one, approve.SignClient, "setting/his", "", o.system("his", shown).Facts(nil))
		o.refused("another object", err, "approval-facts")
		_, err = o.approvals.Propose(ctx, o.one, approve.StaffingClient, "client/his", "", o.system("his", shown).Facts(nil))
		o.refused("under the other act", err, "client-kind")
	})
}

// HCA-8.1.6: what was approved is what is carried out. A system that has moved on since, or changes its kind or institution,
// is not written over.
func TestSystemThatMovedOnIsNotWrittenOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		first, second := o.certificate(o.Clock.Now()), o.certificate(o.Clock.Now())
		o.register(o.system("his", first))
		p, err := o.propose(o.system("his", second))
		o.must(err)
		o.must(o.Stop(ctx, o.one, "his"))
		o.refused("approved after it was stopped", o.approvals.Approve(ctx, o.other, p.ID, p.Hash), "approval-object-changed")
		o.must(o.approvals.Withdraw(ctx, o.one, p.ID))
		renamed := o.system("his", first)
		renamed.Name = "另一系統"
		o.register(renamed)
		moved := o.system("his", first)
		moved.Institution = storetest.Clinic
		_, err = o.propose(moved)
		o.refused("to another institution", err, "approval-object-changed")
		personnel := apiclient.Client{ID: "his", Kind: apiclient.Staffing, Name: "人事系統", Institution: storetest.Window, Thumbprint: apiclient.Thumbprint(second.Raw), NotAfter: second.NotAfter}
		_, err = o.propose(personnel)
		o.refused("to another kind", err, "client-kind")
		personnel.ID, personnel.Thumbprint = "staffing", apiclient.Thumbprint(first.Raw)
		_, err = o.propose(personnel)
		o.refused("with another system's certificate", err, "client-certificate-taken")
		o.Register.Institution(storetest.Window, func(i *ra.InstitutionFacts) { i.Active = false })
		_, err = o.propose(o.system("his", second))
		o.refused("of a suspended institution", err, "institution-inactive")
		if c, err := o.Registered(ctx, o.one, "his"); err != nil || c.Thumbprint != apiclient.Thumbprint(first.Raw) || c.Name != "另一系統" {
			t.Errorf("%+v %v", c, err)
		}
	})
}

// RFC 8705 section 2.2: a system is who shows the very certificate on the register, in its time; who is unknown, stopped, of
// the other kind or of a suspended institution is not told from who is nobody.
func TestProvenByItsCertificate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		shown := o.certificate(o.Clock.Now())
		o.register(o.system("his", shown))
		same := *shown
		same.Raw = append([]byte{}, shown.Raw...)
		_, err := o.Proven(ctx, "his", &same)
		o.must(err)
		for what, c := range map[string]*x509.Certificate{"none": nil, "another of the same key": o.certificate(o.Clock.Now())} {
			_, err := o.Proven(ctx, "his", c)
			o.refused(what, err, "client-certificate")
		}
		for _, id := range []string{"", "nobody", "HIS", "his ", "his' OR 1=1", strings.Repeat("a", 33), string(remotesign.DeviceClient)} {
			_, err := o.Proven(ctx, id, shown)
			o.refused(id, err, "client-unknown")
		}
		o.Clock.Advance(25 * time.Hour)
		_, err = o.Proven(ctx, "his", shown)
		o.refused("late", err, "client-certificate")
		early := o.certificate(o.Clock.Now().Add(time.Hour))
		o.register(o.system("early", early))
		_, err = o.Proven(ctx, "early", early)
		o.refused("early", err, "client-certificate")
		o.Register.Institution(storetest.Window, func(i *ra.InstitutionFacts) { i.Active = false })
		_, err = o.Active(ctx, "his")
		o.refused("of a suspended institution", err, "client-unknown")
	})
}

// HCA-3.7: who tells of professionals is known by the certificate alone, of one system alone, even while the institution is
// suspended; such a system signs nothing.
func TestTelling(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		shown, his := o.certificate(o.Clock.Now()), o.certificate(o.Clock.Now())
		o.register(apiclient.Client{ID: "staffing", Kind: apiclient.Staffing, Name: "人事系統", Institution: storetest.Clinic, Thumbprint: apiclient.Thumbprint(shown.Raw), NotAfter: shown.NotAfter})
		o.register(o.system("his", his))
		if c, err := o.Telling(ctx, shown); err != nil || c.ID != "staffing" {
			t.Errorf("%+v %v", c, err)
		}
		_, err := o.Active(ctx, "staffing")
		o.refused("it asks for signatures", err, "client-unknown")
		_, err = o.Telling(ctx, his)
		o.refused("a record system tells", err, "client-certificate")
		_, err = o.Telling(ctx, nil)
		o.refused("nobody tells", err, "client-certificate")
		o.Register.Institution(storetest.Clinic, func(i *ra.InstitutionFacts) { i.Active = false })
		_, err = o.Telling(ctx, shown)
		o.must(err)
		o.must(o.Stop(ctx, o.clinic, "staffing"))
		_, err = o.Telling(ctx, shown)
		o.refused("stopped", err, "client-certificate")
		o.Clock.Advance(25 * time.Hour)
		_, err = o.Telling(ctx, shown)
		o.refused("late", err, "client-certificate")
	})
}

// HCA-8.1.6: one person stops a system at once, with everything that it holds; another institution's people neither see nor
// stop it.
func TestOnePersonStopsASystem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		shown := o.certificate(o.Clock.Now())
		o.register(o.system("his", shown))
		now := o.Clock.Now()
		token := oauth.Token{Hash: []byte("a token's hash"), Kind: oauth.Access, Grant: "g", Client: "his", Scope: oauth.Service, CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
		o.Update(t, func(tx *store.Tx) error { return tx.InsertToken(token) })
		if list, err := o.List(ctx, o.clinic); err != nil || len(list) != 0 {
			t.Errorf("the clinic sees %d %v", len(list), err)
		}
		_, err := o.Registered(ctx, o.clinic, "his")
		o.refused("the clinic looks", err, "client-unknown")
		o.refused("the clinic stops", o.Stop(ctx, o.clinic, "his"), "client-unknown")
		o.must(o.Stop(ctx, ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Institution: storetest.Window}, "his"))
		if err := o.Stop(ctx, o.one, "his"); ra.KindOf(err) != ra.KindConflict {
			t.Errorf("twice: %v", err)
		}
		if err := o.Stop(ctx, o.one, "nobody"); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("nobody: %v", err)
		}
		_, err = o.Proven(ctx, "his", shown)
		o.refused("stopped", err, "client-unknown")
		o.View(t, func(tx *store.Tx) error {
			got, err := tx.Token(token.Hash)
			if err == nil && got.EndedAt == nil {
				t.Error("its token lives on")
			}
			return err
		})
		o.register(o.system("his", shown)) // two persons let it call again
		_, err = o.Proven(ctx, "his", shown)
		o.must(err)
		if list, err := o.List(ctx, o.one); err != nil || len(list) != 1 {
			t.Errorf("%d %v", len(list), err)
		}
	})
}

// One certificate in PEM is read, and nothing beside it.
func TestReadCertificate(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t))
	c := o.certificate(o.Clock.Now())
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	if thumb, until, err := apiclient.ReadCertificate("\n" + text + "\n"); err != nil || thumb != apiclient.Thumbprint(c.Raw) || !until.Equal(c.NotAfter) {
		t.Errorf("%s %s %v", thumb, until, err)
	}
	for what, bad := range map[string]string{"nothing": "", "two": text + text, "text after it": text + "x", "a key": strings.ReplaceAll(text, "CERTIFICATE", "PRIVATE KEY"),
		"half": text[:len(text)/2], "junk in it": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw[:40]})), "too much": text + strings.Repeat("\n", 16<<10)} {
		_, _, err := apiclient.ReadCertificate(bad)
		o.refused(what, err, "client-certificate")
	}
}

// FuzzReadCertificate: no text makes the reader panic, and what is refused is refused as malformed.
func FuzzReadCertificate(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		thumb, _, err := apiclient.ReadCertificate(text)
		if err != nil && ra.KindOf(err) != ra.KindMalformed || err == nil && len(thumb) != 43 {
			t.Errorf("%q: %s %v", text, thumb, err)
		}
	})
}
