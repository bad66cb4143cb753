package c2s

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/auth"
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/sasl"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite/sqlitetest"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
	"github.com/viaduct-xmpp/viaduct/core/transport"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "correct horse"

// hosts serves example.org.
type hosts struct{}

func (hosts) Domains() []string             { return []string{"example.org"} }
func (hosts) IsLocal(d string) bool         { return d == "example.org" }
func (hosts) IsAccountDomain(d string) bool { return d == "example.org" }

// miniRouter answers requests to the server and delivers messages, as far as the tests of streams need it.
type miniRouter struct {
	rig  *rig
	ids  *storage.IDs
	lane *journal.Queue
	// hold, if set, takes the units of messages whose id begins with "hold".
	hold func(u *journal.Unit)
}

func (r *miniRouter) Route(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	s := event.SessionOf(ctx)
	switch {
	case st.Kind == stanza.Presence && st.To.IsZero():
		s.SetPresence(st, 0)
	case st.IsRequest():
		u.After(s.Queue(), func(error) { s.Send(st.Result()) })
	case st.Kind == stanza.Message:
		r.message(ctx, u, st)
	}
	if r.hold != nil && strings.HasPrefix(st.ID, "hold") {
		r.hold(u)
		return
	}
	r.rig.journal.Submit(u)
}

func (r *miniRouter) message(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	rec := event.NewMessageRecord(u, r.ids.Next(), st)
	durable := st.Body() != ""
	if durable {
		rec.Ref(storage.Archive, st.To.Bare().String(), "", nil)
	}
	for _, t := range r.rig.sessions.Of(ctx, st.To) {
		if st.To.IsFull() && st.To != t.JID {
			continue
		}
		var kept storage.MessageID
		if durable && t.SMID != "" {
			rec.Ref(storage.Unacked, t.SMID, "", nil)
			kept = rec.ID
		}
		u.After(r.lane, func(error) {
			r.rig.sessions.Push(t.JID, session.Item{Wire: st.Wire(), To: st.To, Msg: kept, At: rec.ID.Time()})
		})
	}
}

// rig is a server with an own store.
type rig struct {
	t         testing.TB
	dir       string
	store     *sqlite.Store
	journal   *journal.Committer
	events    *event.Catalogue
	sessions  *session.Manager
	accounts  *auth.Accounts
	router    *miniRouter
	server    *Server
	direct    func(context.Context, *transport.Conn) // serves what begins with TLS
	listeners *transport.Listeners
	clock     module.Clock
	stopped   bool
}

type rigOptions struct {
	dir    string
	config Config
	clock  module.Clock
	events func(*event.Catalogue)
	change func(*Options)
	pipe   bool // connections in memory, for the tests that make time pass
}

func newRig(t testing.TB, o rigOptions) *rig {
	t.Helper()
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	r := &rig{t: t, dir: o.dir, events: event.NewCatalogue(), clock: o.clock}
	r.store = sqlitetest.OpenDir(t, o.dir+"/data")
	r.journal = sqlitetest.Committer(t, r.store)
	if o.events != nil {
		o.events(r.events)
	}
	var err error
	r.sessions, err = session.New(session.Options{Store: r.store, Journal: r.journal, Events: r.events, Clock: o.clock, Limits: o.config.SessionLimits()})
	check(t, err)
	r.accounts, err = auth.New(auth.Options{Store: r.store.Accounts(), Journal: r.journal, Events: r.events, Iterations: 4096})
	check(t, err)
	for _, name := range []string{"alice", "bob"} {
		if err := r.accounts.Create(t.Context(), jid.MustParse(name+"@example.org"), password, false); err != nil && !errors.Is(err, auth.ErrExists) {
			t.Fatal(err)
		}
	}
	last, err := r.store.Messages().LastID(t.Context())
	check(t, err)
	r.router = &miniRouter{rig: r, ids: storage.NewIDs(last, nil), lane: journal.NewQueue(nil)}
	certs, err := tlscert.Open(t.Context(), tlscert.Options{Source: tlscert.SelfSigned{Dir: o.dir + "/tls"}, Names: []string{"example.org"}})
	check(t, err)
	opts := Options{
		Hosts: hosts{}, Sessions: r.sessions, Router: r.router, Accounts: r.accounts, Events: r.events, Journal: r.journal,
		TLS: certs.Config(tlscert.C2S), Secret: []byte("0123456789abcdef"), Config: o.config, Clock: o.clock,
	}
	if o.change != nil {
		o.change(&opts)
	}
	r.server, err = New(opts)
	check(t, err)
	check(t, r.sessions.Restore(t.Context()))
	r.direct = r.server.ServeTLS(certs.Config(tlscert.C2SDirect))
	t.Cleanup(r.stop)
	if o.pipe {
		return r
	}
	r.listeners = transport.NewListeners(transport.Options{PerIP: -1})
	check(t, r.listeners.Listen(t.Context(), transport.Spec{Key: "c2s", Addrs: []string{"127.0.0.1:0"}, Serve: r.server.Serve}))
	check(t, r.listeners.Listen(t.Context(), transport.Spec{Key: "c2s_tls", Addrs: []string{"127.0.0.1:0"}, Serve: r.direct}))
	return r
}

// stop stops everything but the store, in the order of a server.
func (r *rig) stop() {
	if r.stopped {
		return
	}
	r.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.sessions.Stop(ctx); err != nil {
		r.t.Error("stop sessions:", err)
	}
	if err := r.server.Stop(ctx); err != nil {
		r.t.Error("stop streams:", err)
	}
	if r.listeners == nil {
		return
	}
	if err := r.listeners.Stop(ctx); err != nil {
		r.t.Error("stop listeners:", err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// peer is a scripted client.
type peer struct {
	t    testing.TB
	conn net.Conn
	dec  *xmlstream.Decoder
	buf  []byte
	raw  strings.Builder // everything received, for messages of failed tests
	// the offer of the stream
	mechanisms []sasl.Name
	bindings   []sasl.BindingType
	streams    []string // ids of the streams on this connection
}

const header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>"

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func (r *rig) dial(key string) *peer {
	r.t.Helper()
	var conn net.Conn
	if r.listeners == nil {
		ours, theirs := net.Pipe()
		served, serve := transport.NewConn(theirs, transport.ConnOptions{}), r.server.Serve
		if key == "c2s_tls" {
			serve = r.direct
		}
		served.Go(func() { serve(context.Background(), served) })
		conn = ours
	} else {
		var err error
		conn, err = net.Dial("tcp", r.listeners.Addrs(key)[0].String())
		check(r.t, err)
	}
	return newPeer(r.t, conn)
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	t.Cleanup(func() { _ = conn.Close() })
	return &peer{t: t, conn: conn, dec: xmlstream.NewDecoder(xmlstream.Maximum), buf: make([]byte, 4<<10)}
}

func (p *peer) send(s string) {
	p.t.Helper()
	_ = p.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.conn.Write([]byte(s)); err != nil {
		p.t.Fatalf("send: %v; received so far: %s", err, p.raw.String())
	}
}

// next returns the next element as text: "<stream>" for a header, "</stream>" for the end, "EOF" for the end of the connection.
func (p *peer) next() string {
	p.t.Helper()
	for {
		kind, err := p.dec.Next()
		if err != nil {
			p.t.Fatalf("receive: %v; received: %s", err, p.raw.String())
		}
		switch kind {
		case xmlstream.StreamStart:
			return "<stream>"
		case xmlstream.StreamEnd:
			return "</stream>"
		case xmlstream.StanzaElement:
			var el xmlstream.Element
			p.dec.Element(&el)
			return string(xmlstream.AppendElement(nil, &el, ns.Client))
		}
		_ = p.conn.SetReadDeadline(time.Now().Add(patience))
		n, err := p.conn.Read(p.buf)
		p.raw.Write(p.buf[:n])
		_, _ = p.dec.Write(p.buf[:n])
		if n == 0 && err != nil {
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				p.t.Fatalf("nothing came; received: %s", p.raw.String())
			}
			return "EOF"
		}
	}
}

// expect reads on until an element has all of the parts, and returns it; elements before are skipped if they are acks or requests for acks.
func (p *peer) expect(parts ...string) string {
	p.t.Helper()
	for {
		el := p.next()
		ok := true
		for _, part := range parts {
			ok = ok && strings.Contains(el, part)
		}
		if ok {
			return el
		}
		if strings.HasPrefix(el, "<r xmlns") || strings.HasPrefix(el, "<a xmlns") {
			continue
		}
		p.t.Fatalf("got %s\nwant parts %q\nreceived: %s", el, parts, p.raw.String())
	}
}

// skipTo is expect that skips everything before.
func (p *peer) skipTo(part string) string {
	p.t.Helper()
	for {
		el := p.next()
		if strings.Contains(el, part) {
			return el
		}
		if el == "EOF" || el == "</stream>" {
			p.t.Fatalf("the end came before %q; received: %s", part, p.raw.String())
		}
	}
}

func (p *peer) open() {
	p.t.Helper()
	p.dec = xmlstream.NewDecoder(xmlstream.Maximum)
	p.send("<?xml version='1.0'?>" + header)
	p.expect("<stream>")
	// RFC 6120 §5.4.3.3, §6.4.6: each stream on a connection has an id of its own.
	id := p.dec.Start().ID
	if id == "" || slices.Contains(p.streams, id) {
		p.t.Errorf("the stream id %q is none, or was one before: %q", id, p.streams)
	}
	p.streams = append(p.streams, id)
}

// secure goes through STARTTLS and opens the stream again.
func (p *peer) secure() string {
	p.t.Helper()
	p.open()
	p.expect("<stream:features", "starttls")
	p.send("<starttls xmlns='" + ns.TLS + "'/>")
	p.expect("<proceed")
	p.handshake()
	return p.openSecure()
}

// openSecure opens a stream under TLS and reads the offer.
func (p *peer) openSecure() string {
	p.t.Helper()
	p.open()
	features := p.expect("<stream:features", "SCRAM-SHA-256-PLUS")
	p.mechanisms, p.bindings = nil, nil
	for _, part := range strings.Split(features, "<mechanism>")[1:] {
		name, _, _ := strings.Cut(part, "<")
		p.mechanisms = append(p.mechanisms, sasl.Name(name))
	}
	for _, part := range strings.Split(features, "<channel-binding type='")[1:] {
		name, _, _ := strings.Cut(part, "'")
		p.bindings = append(p.bindings, sasl.BindingType(name))
	}
	return features
}

func (p *peer) handshake() {
	p.t.Helper()
	c := tls.Client(p.conn, &tls.Config{InsecureSkipVerify: true, ServerName: "example.org", NextProtos: []string{"xmpp-client"}}) //nolint:gosec // a certificate of its own
	_ = p.conn.SetDeadline(time.Now().Add(patience))
	check(p.t, c.Handshake())
	p.conn = c
}

// auth logs in with SCRAM and channel binding on a secured stream.
func (p *peer) auth(user, pass string) {
	p.t.Helper()
	p.scram(user, pass)
	p.expect("<success")
	p.open()
	p.expect("<stream:features", "urn:ietf:params:xml:ns:xmpp-bind")
}

// scram sends everything up to the server's verdict.
func (p *peer) scram(user, pass string) {
	p.t.Helper()
	c := p.conn.(*tls.Conn)
	state := c.ConnectionState()
	name, x, err := sasl.NewClient(sasl.ClientConfig{
		Username: user, Password: pass, Channel: sasl.FromTLS(&state, state.PeerCertificates[0]),
		Offered: p.mechanisms, OfferedBindings: p.bindings,
	})
	check(p.t, err)
	first, err := x.Start()
	check(p.t, err)
	p.send("<auth xmlns='" + ns.SASL + "' mechanism='" + string(name) + "'>" + sasl.EncodeText(first) + "</auth>")
	challenge := p.expect("<challenge")
	data, err := base64.StdEncoding.DecodeString(text(challenge))
	check(p.t, err)
	proof, err := x.Next(data, false)
	check(p.t, err)
	p.send("<response xmlns='" + ns.SASL + "'>" + sasl.EncodeText(proof) + "</response>")
}

func text(el string) string {
	_, rest, _ := strings.Cut(el, ">")
	t, _, _ := strings.Cut(rest, "<")
	return t
}

func (p *peer) bind(resource string) string {
	p.t.Helper()
	r := ""
	if resource != "" {
		r = "<resource>" + resource + "</resource>"
	}
	p.send("<iq type='set' id='bind'><bind xmlns='" + ns.Bind + "'>" + r + "</bind></iq>")
	el := p.expect("<iq", "id='bind'", "type='result'", "<jid>")
	_, rest, _ := strings.Cut(el, "<jid>")
	full, _, _ := strings.Cut(rest, "</jid>")
	return full
}

// login is the whole way to a bound resource.
func (r *rig) login(user, resource string) *peer {
	r.t.Helper()
	p := r.dial("c2s")
	p.secure()
	p.auth(user, password)
	p.bind(resource)
	return p
}

// enable turns stream management on and returns the SM-ID.
func (p *peer) enable() string {
	p.t.Helper()
	p.send("<enable xmlns='" + ns.SM + "' resume='true'/>")
	el := p.expect("<enabled", "resume='true'", "max=")
	_, rest, _ := strings.Cut(el, "id='")
	id, _, _ := strings.Cut(rest, "'")
	return id
}

// resume logs in and resumes a session.
func (r *rig) resume(user, id, h string) *peer {
	r.t.Helper()
	p := r.dial("c2s")
	p.secure()
	p.auth(user, password)
	p.send("<resume xmlns='" + ns.SM + "' previd='" + id + "' h='" + h + "'/>")
	return p
}

func presence(i int) stanza.Wire {
	st := stanza.NewPresence("")
	st.From = jid.MustParse("bob@example.org/r" + strings.Repeat("x", i))
	return st.Wire()
}

func copyDir(t testing.TB, from, to string) {
	t.Helper()
	check(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	}))
}
