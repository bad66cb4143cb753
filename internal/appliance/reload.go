package appliance

import (
	"context"
	"errors"
	"fmt"
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
	next, err := configs.Load(a.o.File, a.o.Env)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	changed, err := diff(a.config, next)
	if err != nil {
		return nil, err
	}
	// What can fail comes first; what follows cannot.
	renewed, err := a.certs.Reload(ctx)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if changed["log.level"] {
		if err := a.o.Log.SetLevel(next.Log.Level); err != nil {
			return nil, err
		}
	}
	var out []string
	if renewed {
		out = append(out, "the certificate was read anew")
	}
	for _, k := range reloadable {
		if changed[k] {
			out = append(out, k+" was applied")
		}
	}
	a.config = next
	a.log.Info("configuration reloaded", "applied", strings.Join(out, ", "))
	return out, nil
}

// reloadable are the keys that can change while the server runs. The files of tls.cert and tls.key are read anew even if their names stay.
var reloadable = []string{"log.level", "links"}

// diff tells which keys have changed, and refuses those that need a restart.
func diff(old, next *configs.Config) (map[string]bool, error) {
	was, is := flatten(old), flatten(next)
	changed := map[string]bool{}
	var restart []string
	for key, v := range is {
		if reflect.DeepEqual(was[key], v) {
			continue
		}
		changed[key] = true
		if !canReload(key) {
			restart = append(restart, key)
		}
	}
	if len(restart) > 0 {
		return nil, fmt.Errorf("a change of %s takes a restart", strings.Join(sorted(restart), ", "))
	}
	return changed, nil
}

func canReload(key string) bool {
	for _, k := range reloadable {
		if k == key {
			return true
		}
	}
	return false
}

// flatten maps "log.level" to its value; lists and the entries of bridges count as one.
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
	case []configs.Bridge:
		out := make([]any, len(v))
		for i, b := range v {
			out[i] = []any{b.Name, b.Plugin, b.Domain, b.Allow, b.Transport, b.Limits, string(b.Config.JSON())}
		}
		return out
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
