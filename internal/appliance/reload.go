package appliance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/configs"
)

// ErrDefaults says that there is no file to read again.
var ErrDefaults = errors.New("the server runs on the embedded defaults; there is no file to reload")

// Reload reads the configuration file again and applies what has changed, all or nothing: a bad file, or a change that needs a restart, changes
// nothing and the error says why. Certificates are read anew in any case. It returns a line for each thing that was applied.
func (a *Appliance) Reload(ctx context.Context) ([]string, error) {
	if a.o.File == "" {
		return nil, ErrDefaults
	}
	a.reloading.Lock()
	defer a.reloading.Unlock()
	next, err := configs.Load(a.o.File, a.o.Env)
	if err != nil {
		return nil, err
	}
	ch, err := diff(a.Config(), next)
	if err != nil {
		return nil, err
	}
	// What can fail comes first; what follows cannot.
	if err := a.checkChanged(ctx, next, ch); err != nil {
		return nil, err
	}
	renewed, err := a.certs.Reload(ctx)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	out, err := a.apply(next, ch)
	if err != nil { // a defect: it was checked before
		return nil, fmt.Errorf("applied in part (%s): %w", strings.Join(out, ", "), err)
	}
	if renewed {
		out = append([]string{"the certificate was read anew"}, out...)
	}
	a.mu.Lock()
	a.config = next
	a.mu.Unlock()
	a.log.Info("configuration reloaded", "applied", strings.Join(out, ", "))
	return out, nil
}

// checkChanged checks what the file's own check cannot know: the plugins of bridges that are started again, and what they take.
func (a *Appliance) checkChanged(ctx context.Context, next *configs.Config, ch *changes) error {
	o := a.o
	o.Config = next
	dirs := a.bridges.hostOptions().Dirs
	var bad []string
	for _, name := range ch.restart {
		bad = append(bad, checkBridge(ctx, o, bridgeOf(next, name), dirs)...)
	}
	if len(bad) > 0 {
		return errors.New(strings.Join(bad, "; "))
	}
	return nil
}

// apply changes what runs.
func (a *Appliance) apply(next *configs.Config, ch *changes) (out []string, err error) {
	for _, s := range settings() {
		keys := ch.under(s.key)
		if len(keys) == 0 {
			continue
		}
		if s.apply != nil {
			if err := s.apply(a, next); err != nil {
				return out, err
			}
		}
		for _, k := range keys {
			out = append(out, k+" was applied")
		}
	}
	for _, name := range ch.allow {
		if err := a.bridges.gw.SetAllow(name, allowOf(bridgeOf(next, name))); err != nil {
			return out, err
		}
		out = append(out, fmt.Sprintf("bridge %s: who may use it was applied", name))
	}
	for _, name := range ch.restart {
		if err := a.bridges.host.Change(a.bridges.spec(bridgeOf(next, name))); err != nil {
			return out, err
		}
		out = append(out, fmt.Sprintf("bridge %s is started again with its new configuration", name))
	}
	return out, nil
}

// setting is a key, or a group of keys, that can change while the server runs.
type setting struct {
	key   string // ends with a point: all keys below it
	apply func(a *Appliance, next *configs.Config) error
}

// settings are in the order in which they are applied. What may fail comes first. The files of tls.cert and tls.key are read anew even if their names stay.
func settings() []setting {
	return []setting{
		{"log.level", func(a *Appliance, next *configs.Config) error { return a.o.Log.SetLevel(next.Log.Level) }},
		{"limits.", func(a *Appliance, next *configs.Config) error {
			a.core.SetLimits(next.Limits)
			if a.web != nil { // a reload may come before the ports are open
				a.web.SetPerIP(next.Limits.HTTPPerIP())
			}
			return nil
		}},
		{"registration.open", func(a *Appliance, next *configs.Config) error {
			a.sign.SetOpen(next.Registration.Open)
			return nil
		}},
		{"links", func(a *Appliance, next *configs.Config) error { return a.bridges.setLinks(next) }},
	}
}

// fixed are keys below a setting's that need a restart all the same: what they switch off exists or does not.
var fixed = []string{"limits.off"}

func canReload(key string) bool {
	return !slices.Contains(fixed, key) && slices.ContainsFunc(settings(), func(s setting) bool { return s.has(key) })
}

func (s setting) has(key string) bool {
	return key == s.key || strings.HasSuffix(s.key, ".") && strings.HasPrefix(key, s.key)
}

// changes are what differs between two configurations, and can be applied.
type changes struct {
	keys    map[string]bool
	allow   []string // bridges of which only that has changed, or that too
	restart []string // bridges whose plugin starts again
}

// under returns the changed keys of a setting.
func (ch *changes) under(key string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(ch.keys)) {
		if (setting{key: key}).has(k) {
			out = append(out, k)
		}
	}
	return out
}

// diff tells what has changed, and refuses what needs a restart.
func diff(old, next *configs.Config) (*changes, error) {
	was, is := flatten(old), flatten(next)
	ch := &changes{keys: map[string]bool{}}
	restart := ch.bridges(old.Bridges, next.Bridges)
	for key, v := range is {
		if key == "bridges" || reflect.DeepEqual(was[key], v) {
			continue
		}
		ch.keys[key] = true
		if !canReload(key) {
			restart = append(restart, key)
		}
	}
	if len(restart) > 0 {
		return nil, fmt.Errorf("a change of %s takes a restart", strings.Join(sorted(restart), ", "))
	}
	return ch, nil
}

// bridges compares the bridges by name. A bridge that is new, gone or elsewhere has other hosts, which takes a restart; their order means nothing.
func (ch *changes) bridges(old, next []configs.Bridge) (restart []string) {
	was := map[string]*configs.Bridge{}
	for i := range old {
		was[old[i].Name] = &old[i]
	}
	for i := range next {
		b, o := &next[i], was[next[i].Name]
		delete(was, b.Name)
		switch {
		case o == nil:
			restart = append(restart, fmt.Sprintf("bridges (%s is new)", b.Name))
			continue
		case o.Domain != b.Domain:
			restart = append(restart, fmt.Sprintf("bridges (%s moves to another domain)", b.Name))
			continue
		}
		if !reflect.DeepEqual(o.Allow, b.Allow) {
			ch.allow = append(ch.allow, b.Name)
		}
		if o.Plugin != b.Plugin || o.Transport != b.Transport || o.Limits != b.Limits || string(o.Config.JSON()) != string(b.Config.JSON()) {
			ch.restart = append(ch.restart, b.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		restart = append(restart, fmt.Sprintf("bridges (%s is gone)", name))
	}
	return restart
}

func bridgeOf(c *configs.Config, name string) *configs.Bridge {
	i := slices.IndexFunc(c.Bridges, func(b configs.Bridge) bool { return b.Name == name })
	return &c.Bridges[i]
}

// flatten maps "log.level" to its value; lists count as one.
func flatten(c *configs.Config) map[string]any {
	out := map[string]any{}
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			if tag == "" || tag == "-" {
				continue
			}
			key := strings.TrimPrefix(path+"."+tag, ".")
			if f := v.Field(i); f.Kind() == reflect.Struct && f.NumField() > 0 && f.Type().Field(0).Tag.Get("yaml") != "" {
				walk(f, key)
				continue
			}
			out[key] = comparable(v.Field(i).Interface())
		}
	}
	walk(reflect.ValueOf(c).Elem(), "")
	return out
}

// comparable leaves out where in the file something stands.
func comparable(v any) any {
	switch v := v.(type) {
	case []configs.Service:
		out := slices.Clone(v)
		for i := range out {
			out[i].Line = 0
		}
		return out
	case []configs.Link:
		out := make([]any, len(v))
		for i, l := range v {
			out[i] = []any{l.Room, l.Remotes}
		}
		return out
	}
	return v
}
