package xmpptest

import (
	"fmt"
	"maps"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Vars are the variables of a scenario. In what is sent, {name} stands for the value. In what is expected, {name} stands for the value if it is
// bound and binds it otherwise; {*} is anything, and {none} an attribute that is absent.
type Vars map[string]string

func (v Vars) bind(name, value string) { v[name] = value }

// fill replaces the variables of a text.
func (v Vars) fill(s string) (string, error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "{")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		name, after, ok := strings.Cut(rest, "}")
		value, bound := v[name]
		if !ok || !bound {
			return "", fmt.Errorf("the variable {%s} has no value", name)
		}
		b.WriteString(value)
		s = after
	}
}

// text compares one value with a pattern of literal parts and variables.
func (v Vars) text(pattern, got string) bool {
	before, rest, ok := strings.Cut(pattern, "{")
	if !ok {
		return pattern == got
	}
	name, after, ok := strings.Cut(rest, "}")
	if !ok {
		return pattern == got
	}
	got, ok = strings.CutPrefix(got, before)
	if !ok {
		return false
	}
	if value, bound := v[name]; bound {
		got, ok = strings.CutPrefix(got, value)
		return ok && v.text(after, got)
	}
	// An unbound variable takes as little as makes the rest match.
	for i := 0; i <= len(got); i++ {
		if v.text(after, got[i:]) {
			if name != "*" {
				v[name] = got[:i]
			}
			return true
		}
	}
	return false
}

// parsePattern reads an element that is sent or expected; without a namespace it is in that of clients.
func parsePattern(s string) (*xmlstream.Node, error) {
	f, err := xmlstream.ParseFragment([]byte(strings.TrimSpace(s)))
	if err != nil {
		return nil, fmt.Errorf("%w in %s", err, s)
	}
	if f.NumChildren() != 1 {
		return nil, fmt.Errorf("%d elements in %s", f.NumChildren(), s)
	}
	return f.At(0).Node(), nil
}

// optional are the attributes that need not be in a pattern.
var optional = map[string]bool{"id": true, "to": true}

// match compares an element with a pattern. Every attribute and child of the pattern must be there, and nothing else, but for id and to of the
// outermost element, xml:lang, and where the pattern has the text "..." for more children.
func (v Vars) match(want, got *xmlstream.Node) error { return v.try(want, got, true) }

// try binds nothing by what does not match in the end.
func (v Vars) try(want, got *xmlstream.Node, outer bool) error {
	trial := maps.Clone(v)
	if err := trial.element(want, got, outer); err != nil {
		return err
	}
	maps.Copy(v, trial)
	return nil
}

func (v Vars) element(want, got *xmlstream.Node, outer bool) error {
	if want.Name != got.Name {
		return fmt.Errorf("<%s xmlns='%s'/> is not <%s xmlns='%s'/>", got.Name.Local, got.Name.Space, want.Name.Local, want.Name.Space)
	}
	if err := v.attrs(want, got, outer); err != nil {
		return err
	}
	return v.children(want, got)
}

func (v Vars) attrs(want, got *xmlstream.Node, outer bool) error {
	for _, a := range want.Attrs {
		value, ok := attr(got, a.Name)
		switch {
		case a.Value == "{none}":
			if ok {
				return fmt.Errorf("<%s/> has %s='%s'", got.Name.Local, a.Name.Local, value)
			}
		case !ok:
			return fmt.Errorf("<%s/> has no attribute %s", got.Name.Local, a.Name.Local)
		case !v.text(a.Value, value):
			return fmt.Errorf("%s of <%s/> is '%s', not '%s'", a.Name.Local, got.Name.Local, value, a.Value)
		}
	}
	for _, a := range got.Attrs {
		if _, ok := attr(want, a.Name); !ok && a.Name.Space != ns.XML && !(outer && optional[a.Name.Local]) {
			return fmt.Errorf("<%s/> has %s='%s', which is not expected", got.Name.Local, a.Name.Local, a.Value)
		}
	}
	return nil
}

func attr(n *xmlstream.Node, name xmlstream.Name) (string, bool) {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

func (v Vars) children(want, got *xmlstream.Node) error {
	left := elements(got)
	text := want.TextContent()
	more := strings.TrimSpace(text) == "..."
	for _, w := range elements(want) {
		i, err := v.find(w, left)
		if err != nil {
			return err
		}
		left = append(left[:i:i], left[i+1:]...)
	}
	if len(left) > 0 && !more {
		return fmt.Errorf("<%s/> has %s, which is not expected", got.Name.Local, left[0])
	}
	if more || len(elements(want)) > 0 && strings.TrimSpace(text) == "" {
		return nil
	}
	if g := got.TextContent(); !v.text(text, g) {
		return fmt.Errorf("the text of <%s/> is %q, not %q", got.Name.Local, g, text)
	}
	return nil
}

// find returns the first element that matches; the error tells why the last candidate does not.
func (v Vars) find(want *xmlstream.Node, in []*xmlstream.Node) (int, error) {
	err := fmt.Errorf("<%s xmlns='%s'/> is missing", want.Name.Local, want.Name.Space)
	for i, n := range in {
		if n.Name != want.Name {
			continue
		}
		if err = v.try(want, n, false); err == nil {
			return i, nil
		}
	}
	return 0, err
}

func elements(n *xmlstream.Node) []*xmlstream.Node {
	var out []*xmlstream.Node
	for c := range n.Elements() {
		out = append(out, c)
	}
	return out
}
