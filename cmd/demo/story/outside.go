package story

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"certwindow/cmd/phone/client"
)

// Addresses of this machine that the window's network does not hold: one that nobody named, and one of the VPN, from which it
// uses no keys in the HSM. inside is one that it does hold.
const (
	internet = "127.9.0.1"
	vpn      = "127.1.0.1"
	inside   = "127.0.0.1"
)

// claims are the headers by which a sender says that he is somebody else's proxy.
var claims = http.Header{"X-Forwarded-For": {inside}, "X-Real-Ip": {inside}, "Forwarded": {"for=" + inside}, "True-Client-Ip": {inside}}

// claiming sends headers that nobody asked for.
type claiming struct {
	http.RoundTripper
	headers http.Header
}

// RoundTrip implements http.RoundTripper.
func (c claiming) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range c.headers {
		r.Header[name] = values
	}
	return c.RoundTripper.RoundTrip(r)
}

// moved has a client's requests come from another address of this machine, straight to one server, with headers that say
// otherwise. back undoes it.
func moved(c *http.Client, from, to string, headers http.Header) (back func()) {
	before := c.Transport.(*http.Transport)
	to = strings.TrimPrefix(to, "https://")
	t := before.Clone()
	dial := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial.DialContext(ctx, network, to)
	}
	c.Transport = claiming{t, headers}
	return func() {
		c.Transport = before
		t.CloseIdleConnections()
	}
}

// from does something with the phone and the record system at another address.
func (s *Story) from(address, server string, headers http.Header, do func() error) error {
	defer moved(s.ward.phone.phone.Connection(), address, server, headers)()
	defer moved(s.records.HTTP, address, server, headers)()
	return do()
}

// outside is the scene of requests that come from beyond the hospital's network: a key in the HSM is used from inside it alone,
// whatever a header says, and a key on the phone from anywhere (HCA-6.3.7).
func (s *Story) outside() scene {
	const clause = "HCA-6.3.7"
	var b *batch
	var shown client.Authorisation
	out := []act{{"the record system asks for a signature, inside the hospital", func(ctx context.Context) (_ string, err error) {
		if b, err = s.asked(ctx, s.ward.stays, "會診紀錄", 1); err != nil {
			return "", err
		}
		shown, err = s.ward.phone.phone.shows(ctx, b)
		return "", err
	}}}
	for _, x := range []struct {
		what, from string
		headers    http.Header
	}{{"from the internet", internet, nil}, {"from the internet, with headers of a proxy inside", internet, claims}, {"from the VPN, which this window does not let sign", vpn, nil}} {
		out = append(out, s.refusal(x.what+", the phone's own signature", clause, func(ctx context.Context) error {
			return s.from(x.from, s.st.Replica(0), x.headers, func() error { return s.signsInHSM(ctx) })
		}), s.refusal(x.what+", the phone's release", clause, func(ctx context.Context) error {
			return s.from(x.from, s.st.Replica(0), x.headers, func() error { return s.releases(ctx, shown) })
		}), s.refusal(x.what+", the record system's request", clause, func(ctx context.Context) error {
			return s.from(x.from, s.st.Replica(0), x.headers, func() error { _, err := s.records.asks(ctx, b.of, "會診紀錄", 1); return err })
		}))
	}
	out = append(out, s.refusal("from the internet, a browser that the record system sends for signatures", clause, func(ctx context.Context) error {
		v, err := s.browser(s.records, wantsSigned(s.ward.stays, [][]byte{[]byte("會診紀錄")}))
		if err != nil {
			return err
		}
		defer moved(v.http, internet, s.st.Replica(0), claims)()
		return v.begin(ctx)
	}))
	if s.st.Replicas() > 1 { // a server more on an address more needs a database that servers share
		out = append(out, s.overIPv6(&b, &shown)...)
	}
	return scene{"Requests from outside the hospital's network", append(out,
		act{"from the internet, the phone gets a status statement for its own key, and signs with it", func(ctx context.Context) (string, error) {
			return "", s.from(internet, s.st.Replica(0), nil, func() error {
				_, err := s.ward.phone.phone.signDocument(ctx, s.ward.own, []byte(document))
				return err
			})
		}},
		act{"inside again, the doctor releases it", func(ctx context.Context) (string, error) { return "", s.releases(ctx, shown) }},
		s.refusal("the record system collects it from the internet", clause, func(ctx context.Context) error {
			return s.from(internet, s.st.Replica(0), claims, func() error { return b.collect(ctx, nil) })
		}),
		act{"and gets it inside", func(ctx context.Context) (string, error) {
			return "", errors.Join(b.collect(ctx, nil), b.verify())
		}},
	)}
}

// overIPv6 has the same come from an IPv6 address of this machine, which the window's network does not hold either.
func (s *Story) overIPv6(b **batch, shown *client.Authorisation) []act {
	const six, clause = "::1", "HCA-6.3.7"
	var server string
	return []act{
		{"one more server listens on IPv6", func(ctx context.Context) (_ string, err error) {
			server, err = s.st.ServeAt(ctx, six)
			return server, err
		}},
		s.refusal("over IPv6, with headers of a proxy inside, the phone's release", clause, func(ctx context.Context) error {
			return s.from(six, server, claims, func() error { return s.releases(ctx, *shown) })
		}),
		s.refusal("over IPv6, the record system's request", clause, func(ctx context.Context) error {
			return s.from(six, server, nil, func() error { _, err := s.records.asks(ctx, (*b).of, "會診紀錄", 1); return err })
		}),
	}
}

func (s *Story) signsInHSM(ctx context.Context) error {
	_, err := s.ward.phone.phone.signWithHSM(ctx, s.ward.stays, []byte(document))
	return err
}

func (s *Story) releases(ctx context.Context, shown client.Authorisation) error {
	out, err := s.ward.phone.phone.Release(ctx, shown)
	if err == nil && out.Stopped != nil {
		err = out.Stopped
	}
	return err
}
