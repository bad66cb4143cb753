package router

import (
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
)

// table is the table of domains and requests. It is never changed, only replaced.
type table struct {
	accounts []string
	domains  map[string]*domain
	reg      *module.Registry
}

// domain is one of our domains: an account domain if handler is nil, a host of a module otherwise.
type domain struct {
	scope   module.Scope
	handler module.HostHandler
}

var errNoDomain = errors.New("at least one domain is required")

func newTable(domains []string) (*table, error) {
	t := &table{domains: map[string]*domain{}, reg: module.NewRegistry()}
	if len(domains) == 0 {
		return nil, errNoDomain
	}
	for _, d := range domains {
		name, err := canonical(d)
		if err != nil {
			return nil, err
		}
		if t.domains[name] != nil {
			return nil, fmt.Errorf("the domain %s is there twice", name)
		}
		t.domains[name] = &domain{scope: module.ScopeServer}
		t.accounts = append(t.accounts, name)
	}
	return t, nil
}

func canonical(name string) (string, error) {
	j, err := jid.New("", name, "")
	if err != nil {
		return "", fmt.Errorf("domain %q: %w", name, err)
	}
	return j.Domain(), nil
}

func (t *table) with(reg *module.Registry) (*table, error) {
	next := &table{accounts: t.accounts, domains: map[string]*domain{}, reg: reg}
	for name, d := range t.domains {
		next.domains[name] = d
	}
	for _, h := range reg.Hosts {
		name, err := canonical(h.Name)
		if err != nil {
			return nil, err
		}
		if next.domains[name] != nil {
			return nil, fmt.Errorf("the host %s has the name of another host or of an account domain", name)
		}
		if h.Handler == nil {
			return nil, fmt.Errorf("the host %s has no handler", name)
		}
		next.domains[name] = &domain{scope: h.Scope, handler: h.Handler}
	}
	return next, nil
}

// request returns the handler of a request in a scope.
func (t *table) request(scope module.Scope, typ, space, local string) (module.IQRoute, bool) {
	if e, ok := t.reg.IQ[module.IQKey{Scope: scope, Type: typ, Space: space, Local: local}]; ok {
		return e, true
	}
	e, ok := t.reg.IQ[module.IQKey{Scope: module.ScopeAny, Type: typ, Space: space, Local: local}]
	return e, ok
}

// isAccount tells whether j is, or belongs to, an account of this server by its form; the account need not exist.
func (t *table) isAccount(j jid.JID) bool {
	if !j.HasLocal() {
		return false
	}
	d := t.domains[j.Domain()]
	return d != nil && d.handler == nil
}

// Domains returns the account domains, the default first.
func (r *Router) Domains() []string { return append([]string(nil), r.table.Load().accounts...) }

// IsLocal tells whether an account domain or a host of a module has this name.
func (r *Router) IsLocal(name string) bool { return r.table.Load().domains[name] != nil }

// IsAccountDomain tells whether accounts live there.
func (r *Router) IsAccountDomain(name string) bool {
	d := r.table.Load().domains[name]
	return d != nil && d.handler == nil
}
