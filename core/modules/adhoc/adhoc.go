package adhoc

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Command is one command as it is offered.
type Command struct {
	Node   string // names it among all
	Title  string // what it does, in a line
	Help   string // what else there is to know
	Fields []form.Field
}

// Answer is what a command found out: text, or a table.
type Answer struct {
	Text    string
	Columns []string
	Rows    [][]string
	// Warn marks the answer as one that tells of trouble.
	Warn bool
}

// MendError is an error of whoever filled in the form: she is shown it again.
type MendError struct{ Text string }

func (e *MendError) Error() string { return e.Text }

// Source has the commands.
type Source interface {
	// Commands lists what somebody may run, in the order in which it is shown; none if she is nobody special.
	Commands(ctx context.Context, who jid.JID) []Command
	// Run runs a command with the values of its form. Every error is for her to read.
	Run(ctx context.Context, who jid.JID, node string, values map[string][]string) (Answer, error)
}

// Options of the module. Without a Source it offers nothing.
type Options struct {
	Source Source
	// Timeout is how long a command may take: 10 minutes.
	Timeout time.Duration
	// PerPerson and All bound the commands under way: 4 and 32.
	PerPerson, All int
}

// Module implements module.Module.
type Module struct {
	o      Options
	d      module.Deps
	base   context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	running map[jid.JID]int
	all     int
	ended   bool
}

// New returns the module.
func New(o Options) *Module {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Minute
	}
	if o.PerPerson <= 0 {
		o.PerPerson = 4
	}
	if o.All <= 0 {
		o.All = 32
	}
	return &Module{o: o, running: map[jid.JID]int{}}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "adhoc", Specs: []module.Spec{{ID: "XEP-0050", Version: "1.3.0", Status: "complete"},
		{ID: "XEP-0004", Version: "2.13.1", Status: "complete"}}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d = r.Deps
	m.base, m.cancel = context.WithCancel(context.Background())
	if m.o.Source == nil {
		return nil
	}
	r.Feature(module.ScopeServer, ns.Commands)
	r.Disco(module.ScopeServer, source{m})
	return r.IQ(module.IQRoute{Scope: module.ScopeServer, Type: stanza.TypeSet, Space: ns.Commands, Local: "command", Handle: m.command})
}

// Start implements module.Starter.
func (*Module) Start(context.Context) error { return nil }

// Stop implements module.Starter: commands under way are told to end and waited for.
func (m *Module) Stop(ctx context.Context) error {
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	m.cancel()
	done := make(chan struct{})
	go func() {
		m.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("adhoc: commands are still running: %w", ctx.Err())
	}
}

// offered returns the command of a node if somebody may run it.
func (m *Module) offered(ctx context.Context, who jid.JID, node string) (Command, bool) {
	for _, c := range m.o.Source.Commands(ctx, who.Bare()) {
		if c.Node == node {
			return c, true
		}
	}
	return Command{}, false
}

// command answers a request (XEP-0050 §2.4, §3).
func (m *Module) command(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	q := req.Query.Node()
	who := req.IQ.From
	c, ok := m.offered(ctx, who, q.Attr("node"))
	if !ok {
		if len(m.o.Source.Commands(ctx, who.Bare())) == 0 {
			return nil, stanza.NewError(stanza.Forbidden, "Commands of this server are for those who administer it.")
		}
		return nil, stanza.NewError(stanza.ItemNotFound, "There is no such command.")
	}
	o := &order{command: c, session: q.Attr("sessionid")}
	switch action := q.Attr("action"); action {
	case "", "execute", "complete", "next":
	case "cancel":
		return o.node("canceled"), nil
	case "prev":
		return nil, bad("bad-action", "There is nothing before this.")
	default:
		return nil, bad("malformed-action", "This action is not known.")
	}
	if o.session == "" {
		o.session = newSession(m.d.Rand)
	}
	x := form.Find(q)
	if x == nil && len(c.Fields) > 0 {
		return o.ask(nil, ""), nil
	}
	values := map[string][]string{}
	if x != nil {
		f, err := form.Parse(x)
		if err != nil {
			return nil, bad("bad-payload", "The form cannot be read.")
		}
		if f.Type == form.TypeCancel {
			return o.node("canceled"), nil
		}
		for _, have := range f.Fields {
			values[have.Var] = have.Values
		}
	}
	if text := c.missing(values); text != "" {
		return o.ask(values, text), nil
	}
	return nil, m.start(req, o, values)
}

// missing says what is required and not there.
func (c *Command) missing(values map[string][]string) string {
	for _, f := range c.Fields {
		if f.Required && (len(values[f.Var]) == 0 || values[f.Var][0] == "") {
			return fmt.Sprintf("%s is needed.", f.Label)
		}
	}
	return ""
}

// start runs a command beside the stream that asked for it.
func (m *Module) start(req *module.Request, o *order, values map[string][]string) error {
	iq := req.IQ
	who := iq.From.Bare()
	m.mu.Lock()
	if m.ended || m.running[who] >= m.o.PerPerson || m.all >= m.o.All {
		m.mu.Unlock()
		return stanza.NewError(stanza.ResourceConstraint, "Too many commands are running; try again when one has ended.")
	}
	m.running[who]++
	m.all++
	m.mu.Unlock()
	req.Defer()
	m.d.Journal.Submit(req.Unit)
	m.work.Go(func() {
		defer m.leave(who)
		ctx, cancel := context.WithTimeout(m.base, m.o.Timeout)
		defer cancel()
		m.d.Router.Send(m.base, iq.Result(m.run(ctx, who, o, values)))
	})
	return nil
}

func (m *Module) leave(who jid.JID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all--
	if m.running[who]--; m.running[who] == 0 {
		delete(m.running, who)
	}
}

// run is the answer to a filled form.
func (m *Module) run(ctx context.Context, who jid.JID, o *order, values map[string][]string) *xmlstream.Node {
	a, err := m.call(ctx, who, o.command.Node, values)
	if err == nil {
		return o.answer(a)
	}
	if mend, ok := err.(*MendError); ok && len(o.command.Fields) > 0 { //nolint:errorlint // a source returns it as it is
		return o.ask(values, mend.Text)
	}
	n := o.node("completed")
	n.AddNew("note", "type", "error").SetText(err.Error())
	return n
}

func (m *Module) call(ctx context.Context, who jid.JID, node string, values map[string][]string) (a Answer, err error) {
	defer func() {
		if v := recover(); v != nil {
			m.d.Log.Error("a command panicked", "node", node, "panic", v)
			err = fmt.Errorf("the command failed; the server's log says why")
		}
	}()
	return m.o.Source.Run(ctx, who, node, values)
}
