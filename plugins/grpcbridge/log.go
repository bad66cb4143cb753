package grpcbridge

import (
	"bytes"
	"context"
	"io"
	"log" //nolint:depguard // hclog.Logger has it in its methods
	"log/slog"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// NewPluginLog is a handler that writes lines in the form go-plugin reads from a
// plugin's standard error and gives to the host's log. A line is cut at 48 KiB:
// go-plugin's buffer has 64.
func NewPluginLog(w io.Writer, level slog.Leveler) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) > 0 {
				return a
			}
			// A bridge's own attribute may have one of these names: then its kind differs.
			switch v := a.Value.Any().(type) {
			case time.Time:
				if a.Key == slog.TimeKey {
					return slog.String("@timestamp", v.Format("2006-01-02T15:04:05.000000Z07:00"))
				}
			case slog.Level:
				if a.Key == slog.LevelKey {
					return slog.String("@level", levelName(v))
				}
			case string:
				if a.Key == slog.MessageKey {
					a.Key = "@message"
				}
			}
			if a.Value.Kind() == slog.KindString && len(a.Value.String()) > maxLogValue {
				a.Value = slog.StringValue(validUTF8(a.Value.String()[:maxLogValue]) + "...")
			}
			return a
		},
	})
}

const maxLogValue = 12 << 10

func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warn"
	}
	return "error"
}

func logLevel(name string) slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(name)) != nil {
		return slog.LevelInfo
	}
	return l
}

// NewHCLog lets go-plugin, and through it a plugin's lines, log to slog.
func NewHCLog(l *slog.Logger) hclog.Logger { return &hcLog{log: l} }

type hcLog struct {
	log  *slog.Logger
	name string
	args []any
}

var _ hclog.Logger = (*hcLog)(nil)

func (h *hcLog) Log(level hclog.Level, msg string, args ...any) {
	to := toSlog(level)
	if !h.log.Enabled(context.Background(), to) {
		return
	}
	attrs := make([]any, 0, len(args)+2)
	if h.name != "" {
		attrs = append(attrs, "logger", h.name)
	}
	// hclog's arguments are pairs of a key and a value; the time of a plugin's
	// line is replaced by ours.
	for i := 0; i+1 < len(args); i += 2 {
		key, ok := args[i].(string)
		if !ok || key == "timestamp" {
			continue
		}
		attrs = append(attrs, key, args[i+1])
	}
	h.log.Log(context.Background(), to, msg, attrs...)
}

func toSlog(l hclog.Level) slog.Level {
	switch l {
	case hclog.Trace:
		return slog.LevelDebug - 4
	case hclog.Debug:
		return slog.LevelDebug
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Error:
		return slog.LevelError
	}
	return slog.LevelInfo
}

func (h *hcLog) Trace(msg string, args ...any) { h.Log(hclog.Trace, msg, args...) }
func (h *hcLog) Debug(msg string, args ...any) { h.Log(hclog.Debug, msg, args...) }
func (h *hcLog) Info(msg string, args ...any)  { h.Log(hclog.Info, msg, args...) }
func (h *hcLog) Warn(msg string, args ...any)  { h.Log(hclog.Warn, msg, args...) }
func (h *hcLog) Error(msg string, args ...any) { h.Log(hclog.Error, msg, args...) }

func (h *hcLog) IsTrace() bool { return h.enabled(hclog.Trace) }
func (h *hcLog) IsDebug() bool { return h.enabled(hclog.Debug) }
func (h *hcLog) IsInfo() bool  { return h.enabled(hclog.Info) }
func (h *hcLog) IsWarn() bool  { return h.enabled(hclog.Warn) }
func (h *hcLog) IsError() bool { return h.enabled(hclog.Error) }

func (h *hcLog) enabled(l hclog.Level) bool { return h.log.Enabled(context.Background(), toSlog(l)) }

func (h *hcLog) ImpliedArgs() []any { return h.args }

func (h *hcLog) With(args ...any) hclog.Logger {
	return &hcLog{log: h.log.With(args...), name: h.name, args: append(h.args[:len(h.args):len(h.args)], args...)}
}

func (h *hcLog) Name() string { return h.name }

func (h *hcLog) Named(name string) hclog.Logger {
	if h.name != "" {
		name = h.name + "." + name
	}
	return h.ResetNamed(name)
}

func (h *hcLog) ResetNamed(name string) hclog.Logger {
	return &hcLog{log: h.log, name: name, args: h.args}
}

// SetLevel does nothing: the slog handler decides.
func (h *hcLog) SetLevel(hclog.Level) {}

func (h *hcLog) GetLevel() hclog.Level {
	for _, l := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn} {
		if h.enabled(l) {
			return l
		}
	}
	return hclog.Error
}

func (h *hcLog) StandardLogger(opt *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(h.StandardWriter(opt), "", 0)
}

func (h *hcLog) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return lineWriter{h} }

// lineWriter logs what is written to it.
type lineWriter struct{ h *hcLog }

func (w lineWriter) Write(p []byte) (int, error) {
	w.h.Info(strings.TrimSpace(string(bytes.ToValidUTF8(p, []byte("?")))))
	return len(p), nil
}
