package xmpptest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/register"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Configure applies a "with" line to the options of the server; an unknown key is an error.
type Configure func(o *Options, key, value string) error

// StandardOptions understands the options that scenarios of the core use.
func StandardOptions(o *Options, key, value string) error {
	switch key + "=" + value {
	case "registration=open":
		o.Modules.Register = register.Options{Open: true}
	case "archive=off":
		o.Modules.NoArchive = true
	default:
		return fmt.Errorf("unknown option %s=%s", key, value)
	}
	return nil
}

// Play plays every scenario (*.scs) below a directory, each as a subtest with a server of its own. configure may be nil: StandardOptions.
func Play(t *testing.T, dir string, configure Configure) {
	t.Helper()
	if configure == nil {
		configure = StandardOptions
	}
	played := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".scs" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		played++
		name, _ := filepath.Rel(dir, path)
		t.Run(strings.TrimSuffix(filepath.ToSlash(name), ".scs"), func(t *testing.T) {
			t.Parallel()
			PlayScript(t, path, string(text), configure)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if played == 0 {
		t.Fatalf("there are no scenarios in %s", dir)
	}
}

// PlayScript plays one scenario; name stands before line numbers in messages.
func PlayScript(t *testing.T, name, text string, configure Configure) {
	t.Helper()
	_, steps, err := parseScript(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	p := &play{t: t, o: Options{Domains: []string{"example.org"}}, vars: Vars{"domain": "example.org"}, actors: map[string]*actor{}}
	if slices.ContainsFunc(steps, func(st step) bool { return st.verb == "time passes" }) {
		p.clock = NewClock()
		p.o.Clock = p.clock
	}
	for _, st := range steps {
		if err := p.do(st, configure); err != nil {
			t.Fatalf("%s:%d: %v", name, st.line, err)
		}
	}
}

// play is one scenario being played.
type play struct {
	t      *testing.T
	o      Options
	s      *Server
	vars   Vars
	actors map[string]*actor
	marks  int
	remote *Remote // nil: there are no other servers
	clock  *Clock  // nil: the system's
}

type actor struct {
	jid    jid.JID
	client *Client
	here   bool // has a connection
}

var verbs = map[string]func(p *play, a *actor, arg string) error{
	"is":             func(p *play, a *actor, arg string) error { return p.become(a, arg) },
	"friends":        (*play).friends,
	"connect":        func(p *play, a *actor, _ string) error { p.connect(a, false); return nil },
	"connect-sm":     func(p *play, a *actor, _ string) error { p.connect(a, true); return nil },
	"connect-stream": (*play).stream,
	"connect-clear":  (*play).clear,
	"offered":        (*play).offered,

	"connect-web-stream": (*play).webStream,
	"connect-web":        (*play).webConnect,
	"connect-not-web":    (*play).webRefused,
	"connect-not-tls":    (*play).refusedTLS,
	"login":              (*play).login,
	"login-fail":         (*play).loginFails,
	"speaks":             (*play).speaks,

	"online":    func(p *play, a *actor, _ string) error { p.connect(a, false); return p.online(a) },
	"online-sm": func(p *play, a *actor, _ string) error { p.connect(a, true); return p.online(a) },
	"online-silent": func(p *play, a *actor, _ string) error {
		p.connect(a, true)
		a.client.HoldAcks()
		return p.online(a)
	},
	"send":        (*play).send,
	"receive":     (*play).receive,
	"receive-any": (*play).receiveAny,
	"nothing":     func(p *play, a *actor, _ string) error { return p.nothing(a) },
	"gone":        func(p *play, a *actor, _ string) error { return p.gone(a) },
	"disconnect":  func(_ *play, a *actor, _ string) error { a.client.Close(); a.here = false; return nil },
	"drop":        func(_ *play, a *actor, _ string) error { a.client.Drop(); a.here = false; return nil },
	"resume": func(p *play, a *actor, _ string) error {
		return p.resume(a, "<resumed xmlns='"+ns.SM+"' previd='{*}' h='{*}'/>")
	},
	"resume-fail": (*play).resume,
	"hold":        func(_ *play, a *actor, _ string) error { a.client.HoldAcks(); return nil },
}

func (p *play) do(st step, configure Configure) error {
	switch st.verb {
	case "with":
		key, value, _ := strings.Cut(st.arg, "=")
		return configure(&p.o, key, value)
	case "domain":
		p.o.Domains = append(p.o.Domains, st.arg)
		return nil
	case "account":
		a, err := p.actor(st.arg)
		if err == nil {
			p.server().AddUser(p.t, a.jid.Bare())
		}
		return err
	case "remote":
		if p.s != nil {
			return errors.New("other servers are there from the start")
		}
		if p.remote == nil {
			p.remote = NewRemote()
			p.o.Remote = p.remote
		}
		p.remote.domains = append(p.remote.domains, st.arg)
		return nil
	case "time passes":
		d, err := time.ParseDuration(st.arg)
		if err == nil {
			p.server()
			p.settle()
			p.clock.Pass(d)
		}
		return err
	case "server restarts":
		for _, a := range p.actors {
			if a.here && !a.client.sm.resume {
				a.here = false
			}
		}
		p.server().Restart(p.t)
		return nil
	}
	if _, ok := p.domain(st.who); ok {
		fn := remoteVerbs[st.verb]
		if fn == nil {
			return fmt.Errorf("a remote domain does not do this: %s", st.verb)
		}
		return fn(p, st.who, st.arg)
	}
	fn, ok := verbs[st.verb]
	if !ok {
		return fmt.Errorf("%q is no step", st.verb)
	}
	a, err := p.actor(st.who)
	if err != nil {
		return err
	}
	if a.client == nil && st.verb != "is" && st.verb != "friends" && !strings.HasPrefix(st.verb, "connect") && !strings.HasPrefix(st.verb, "online") {
		return fmt.Errorf("%s is not connected", st.who)
	}
	return fn(p, a, st.arg)
}

func (p *play) server() *Server {
	if p.s == nil {
		p.s = Start(p.t, p.o)
	}
	return p.s
}

func (p *play) actor(name string) (*actor, error) {
	if a := p.actors[name]; a != nil {
		return a, nil
	}
	j, err := jid.Parse(name + "@" + p.o.Domains[0] + "/" + name)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	a := &actor{}
	p.actors[name] = a
	p.name(name, a, j)
	return a, nil
}

func (p *play) name(name string, a *actor, j jid.JID) {
	a.jid = j
	p.vars.bind(name+".full", j.String())
	p.vars.bind(name+".bare", j.Bare().String())
}

func (p *play) become(a *actor, arg string) error {
	j, err := jid.Parse(arg)
	if err != nil {
		return err
	}
	for name, other := range p.actors {
		if other == a {
			p.name(name, a, j)
		}
	}
	return nil
}

// friends makes two accounts subscribed to each other.
func (p *play) friends(a *actor, arg string) error {
	other, ok := strings.CutSuffix(arg, " are friends")
	if !ok {
		return fmt.Errorf("%q is no step", arg)
	}
	b, err := p.actor(other)
	if err != nil {
		return err
	}
	for _, pair := range [][2]jid.JID{{a.jid, b.jid}, {b.jid, a.jid}} {
		owner, contact := pair[0].Bare(), pair[1].Bare()
		p.server().AddUser(p.t, owner)
		_, version, err := p.s.store.Roster().All(p.t.Context(), owner.String())
		if err != nil {
			return err
		}
		it := storage.RosterItem{Contact: contact.String(), Subscription: "both", Listed: true, Version: version + 1}
		if err := p.s.commit(p.t.Context(), storage.PutRosterItem{Owner: owner.String(), Item: it}); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) connect(a *actor, withSM bool) {
	a.client = p.server().Login(p.t, a.jid.String())
	a.client.vars, a.here = p.vars, true
	if withSM {
		a.client.EnableSM()
	}
}

func (p *play) online(a *actor) error {
	a.client.Online()
	return nil
}

func (p *play) send(a *actor, arg string) error {
	xml, err := p.vars.fill(arg)
	if err != nil {
		return err
	}
	a.client.Write(xml)
	return nil
}

func (p *play) receive(a *actor, arg string) error {
	want, err := parsePattern(arg)
	if err != nil {
		return err
	}
	got, err := a.client.next()
	if err != nil {
		return fmt.Errorf("expected %s: %w", arg, err)
	}
	if err := p.vars.match(want, got); err != nil {
		return fmt.Errorf("%w\n received: %s\n expected: %s", err, got, arg)
	}
	return nil
}

func (p *play) receiveAny(a *actor, arg string) error {
	f, err := xmlstream.ParseFragment([]byte(arg))
	if err != nil {
		return err
	}
	want := f.Nodes()
	want = elements(&xmlstream.Node{Nodes: want})
	for len(want) > 0 {
		got, err := a.client.next()
		if err != nil {
			return fmt.Errorf("expected %s: %w", want[0], err)
		}
		var errs []error
		for i, w := range want {
			err := p.vars.match(w, got)
			if err == nil {
				want = append(want[:i:i], want[i+1:]...)
				errs = nil
				break
			}
			errs = append(errs, err)
		}
		if errs != nil {
			return fmt.Errorf("%w\n received: %s", errors.Join(errs...), got)
		}
	}
	return nil
}

func (p *play) resume(a *actor, arg string) error {
	want, err := parsePattern(arg)
	if err != nil {
		return err
	}
	got := a.client.Resume()
	a.client.vars, a.here = p.vars, true
	if err := p.vars.match(want, got); err != nil {
		return fmt.Errorf("%w\n received: %s", err, got)
	}
	return nil
}

func (p *play) gone(a *actor) error {
	if last := a.client.Closed(); len(last) > 0 {
		return fmt.Errorf("before the end came %s", last[0])
	}
	a.here = false
	return nil
}

// nothing looks whether something has come that no step has taken. What is still on its way is waited for as far as the server can be asked.
func (p *play) nothing(a *actor) error {
	p.settle()
	if n, _, _ := a.client.poll(); n != nil {
		return fmt.Errorf("received %s", n)
	}
	return nil
}

// rounds is how often settle goes through the server: what one stanza brings about may bring about others.
const rounds = 3

// settle waits until the server has dealt with what was sent: every client's stream is read to its end, the store has committed, the deliveries
// have run.
func (p *play) settle() {
	for range rounds {
		for _, a := range p.actors {
			if a.here {
				p.marks++
				a.client.barrier(fmt.Sprintf("settle%d", p.marks))
			}
		}
		p.s.drain(p.t)
	}
	for _, a := range p.actors {
		if a.here {
			p.marks++
			a.client.barrier(fmt.Sprintf("settle%d", p.marks))
		}
	}
}

// barrier sends a ping and waits for its answer, which it takes out of what has come; the rest stays.
func (c *Client) barrier(id string) {
	c.Write("<iq type='get' id='" + id + "'><ping xmlns='" + ns.Ping + "'/></iq>")
	if err := c.pick(func(n *xmlstream.Node) bool { return n.Attr("id") == id && n.Attr("type") == stanza.TypeResult }); err != nil {
		c.t.Fatalf("%s: the server does not answer a ping: %v", c.JID, err)
	}
}
