package module

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// IQRoute is one entry of the table of requests.
type IQRoute struct {
	Scope        Scope
	Type         string // get, set, or "" for both
	Space, Local string
	// OwnOnly refuses everybody but the account itself with forbidden (scope account).
	OwnOnly bool
	Handle  IQHandler
}

// Identity is a disco identity (XEP-0030 §3.1).
type Identity struct{ Category, Type, Name string }

// DiscoItem is one entry of disco#items.
type DiscoItem struct {
	JID        jid.JID
	Node, Name string
	Key        string // names the item in pages; "": made of address and node
}

// DiscoInfo is what a module says of an address: added to what is registered statically.
type DiscoInfo struct {
	Identities []Identity
	Features   []string
	Forms      []*xmlstream.Node
}

// DiscoSource answers for addresses and nodes that are not static (a room, an account). It returns ok false for what it does not know.
type DiscoSource interface {
	DiscoInfo(ctx context.Context, asker, target jid.JID, node string) (info DiscoInfo, ok bool, err error)
	// DiscoItems returns a page: after is the item's key of the RSM request (XEP-0059), limit at most so many. total is -1 if unknown.
	DiscoItems(ctx context.Context, asker, target jid.JID, node, after string, limit int) (items []DiscoItem, total int, ok bool, err error)
}

// HostSpec is a domain that a module serves.
type HostSpec struct {
	// Name is the full domain.
	Name    string
	Scope   Scope // its kind: which part of the request table answers for it
	Handler HostHandler
	// Listed shows it in disco#items of the account domain Of ("" : not listed).
	ListedIn string
	Title    string
}

// Registrar collects what one module takes part in.
type Registrar struct {
	Deps Deps
	name string
	reg  *Registry
}

// Registry is what all modules together have registered; core/server makes it and the router and disco read it.
type Registry struct {
	IQ         map[IQKey]IQRoute
	Hosts      []HostSpec
	Features   map[Scope][]string
	Identities map[Scope][]Identity
	Sources    map[Scope][]DiscoSource
	Infos      []Info
	// Presence decides on the presence of local accounts; nil: there is none, and such stanzas are ignored.
	Presence AccountPresence

	provided []provided
	needs    []need
}

// IQKey is the key of the request table.
type IQKey struct {
	Scope        Scope
	Type         string
	Space, Local string
}

type provided struct {
	module string
	value  any
}

type need struct {
	module   string
	dst      reflect.Value
	optional bool
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{IQ: map[IQKey]IQRoute{}, Features: map[Scope][]string{}, Identities: map[Scope][]Identity{}, Sources: map[Scope][]DiscoSource{}}
}

// For returns the registrar of one module.
func (reg *Registry) For(name string, d Deps) *Registrar {
	if d.Log != nil {
		d.Log = d.Log.With("module", name)
	}
	return &Registrar{Deps: d, name: name, reg: reg}
}

// IQ adds entries to the table of requests; two for the same key are an error of the program, reported at the start.
func (r *Registrar) IQ(routes ...IQRoute) error {
	for _, e := range routes {
		types := []string{e.Type}
		if e.Type == "" {
			types = []string{"get", "set"}
		}
		for _, t := range types {
			k := IQKey{e.Scope, t, e.Space, e.Local}
			if _, dup := r.reg.IQ[k]; dup {
				return fmt.Errorf("module %s: a handler of %s {%s}%s in scope %s exists already", r.name, t, e.Space, e.Local, e.Scope)
			}
			r.reg.IQ[k] = e
		}
	}
	return nil
}

// Host claims a domain.
func (r *Registrar) Host(h HostSpec) error {
	for _, o := range r.reg.Hosts {
		if o.Name == h.Name {
			return fmt.Errorf("module %s: the host %s is served already", r.name, h.Name)
		}
	}
	r.reg.Hosts = append(r.reg.Hosts, h)
	return nil
}

// AccountPresence says who decides on the presence of local accounts; there is one.
func (r *Registrar) AccountPresence(p AccountPresence) error {
	if r.reg.Presence != nil {
		return fmt.Errorf("module %s: account presence is decided on by another module already", r.name)
	}
	r.reg.Presence = p
	return nil
}

// Registry returns what all modules have registered. It is complete once modules are started.
func (r *Registrar) Registry() *Registry { return r.reg }

// Feature adds disco features in a scope.
func (r *Registrar) Feature(s Scope, features ...string) {
	r.reg.Features[s] = append(r.reg.Features[s], features...)
}

// Identity adds a disco identity in a scope.
func (r *Registrar) Identity(s Scope, id Identity) {
	r.reg.Identities[s] = append(r.reg.Identities[s], id)
}

// Disco adds a source of disco answers in a scope.
func (r *Registrar) Disco(s Scope, src DiscoSource) {
	r.reg.Sources[s] = append(r.reg.Sources[s], src)
}

// Provide offers values to the modules that need something they can do.
func (r *Registrar) Provide(values ...any) {
	for _, v := range values {
		r.reg.provided = append(r.reg.provided, provided{r.name, v})
	}
}

// Need asks for the one provided value that implements the interface *dst; it is filled in before Start. Missing is a start error.
func (r *Registrar) Need(dst any) { r.need(dst, false) }

// Want is Need for what one can do without: *dst stays nil if nobody provides it.
func (r *Registrar) Want(dst any) { r.need(dst, true) }

func (r *Registrar) need(dst any, optional bool) {
	r.reg.needs = append(r.reg.needs, need{r.name, reflect.ValueOf(dst).Elem(), optional})
}

// Resolve fills all needs. The order returned is one in which the modules can be started: providers first. A missing, ambiguous or circular
// need is an error that names the modules.
func (reg *Registry) Resolve() ([]string, error) {
	deps := map[string][]string{}
	for _, n := range reg.needs {
		var found []provided
		for _, p := range reg.provided {
			if reflect.TypeOf(p.value).Implements(n.dst.Type()) {
				found = append(found, p)
			}
		}
		switch {
		case len(found) == 1:
			n.dst.Set(reflect.ValueOf(found[0].value))
			if found[0].module != n.module {
				deps[n.module] = append(deps[n.module], found[0].module)
			}
		case len(found) == 0 && n.optional:
		case len(found) == 0:
			return nil, fmt.Errorf("module %s needs %s, which no module provides", n.module, n.dst.Type())
		default:
			return nil, fmt.Errorf("module %s needs %s, which both %s and %s provide", n.module, n.dst.Type(), found[0].module, found[1].module)
		}
	}
	return reg.order(deps)
}

func (reg *Registry) order(deps map[string][]string) ([]string, error) {
	const doing, done = 1, 2
	state := map[string]int{}
	var out, path []string
	var visit func(string) error
	visit = func(m string) error {
		switch state[m] {
		case done:
			return nil
		case doing:
			return fmt.Errorf("modules need each other in a circle: %s -> %s", strings.Join(path, " -> "), m)
		}
		state[m] = doing
		path = append(path, m)
		for _, d := range deps[m] {
			if err := visit(d); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		state[m] = done
		out = append(out, m)
		return nil
	}
	for _, i := range reg.Infos {
		if err := visit(i.Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}
