package host

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// redacted stands where a secret stood.
const redacted = "[redacted]"

// secrets are the values that a plugin's log must not show.
type secrets struct {
	mu   sync.RWMutex
	repl *strings.Replacer
}

// learn takes the secrets out of a configuration.
func (s *secrets) learn(schema sdk.Schema, raw []byte) {
	var tree map[string]any
	if json.Unmarshal(raw, &tree) != nil {
		return
	}
	var found []string
	var walk func(k sdk.ConfigKey, v any)
	walk = func(k sdk.ConfigKey, v any) {
		switch v := v.(type) {
		case string:
			if k.Secret && len(v) >= 4 { // shorter ones would redact ordinary words
				found = append(found, v, redacted)
			}
		case map[string]any:
			for _, sub := range k.Keys {
				walk(sub, v[sub.Name])
			}
			for _, e := range v {
				if k.Elem != nil {
					walk(inherit(*k.Elem, k), e)
				}
			}
		case []any:
			for _, e := range v {
				if k.Elem != nil {
					walk(inherit(*k.Elem, k), e)
				}
			}
		}
	}
	walk(sdk.ConfigKey{Keys: schema.Keys}, tree)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repl = strings.NewReplacer(found...)
}

// inherit: what is in a secret list is secret.
func inherit(k, parent sdk.ConfigKey) sdk.ConfigKey {
	k.Secret = k.Secret || parent.Secret
	return k
}

func (s *secrets) clean(text string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.repl == nil {
		return text
	}
	return s.repl.Replace(text)
}

// pluginLog is where a plugin's lines come in: secrets leave them, and what
// go-plugin itself has to say about every start and end is for debugging only.
type pluginLog struct {
	slog.Handler
	secrets *secrets
}

// chatter is go-plugin's own.
func chatter(msg string) bool {
	switch msg {
	case "plugin process exited", "error closing client during Kill", "plugin failed to exit gracefully", "plugin exited":
		return true
	}
	return false
}

// Handle implements slog.Handler.
func (h pluginLog) Handle(ctx context.Context, r slog.Record) error {
	level := r.Level
	if chatter(r.Message) {
		if level = slog.LevelDebug; !h.Enabled(ctx, level) {
			return nil
		}
	}
	out := slog.NewRecord(r.Time, level, h.secrets.clean(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

func (h pluginLog) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, h.secrets.clean(v.String()))
	case slog.KindGroup:
		var group []any
		for _, sub := range v.Group() {
			group = append(group, h.attr(sub))
		}
		return slog.Group(a.Key, group...)
	case slog.KindAny:
		return slog.String(a.Key, h.secrets.clean(v.String()))
	}
	return a
}

// WithAttrs implements slog.Handler.
func (h pluginLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.attr(a)
	}
	return pluginLog{h.Handler.WithAttrs(clean), h.secrets}
}

// WithGroup implements slog.Handler.
func (h pluginLog) WithGroup(name string) slog.Handler {
	return pluginLog{h.Handler.WithGroup(name), h.secrets}
}
