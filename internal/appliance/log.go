package appliance

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/configs"
)

// Log is the server's log with what can be changed while it runs.
type Log struct {
	*slog.Logger
	level *slog.LevelVar
	file  *os.File
}

// secretKeys are attributes whose values are never written.
var secretKeys = []string{"password", "token", "secret", "credentials", "authorization", "cookie", "dsn"}

// OpenLog opens the log as configured; without a file it goes to fallback.
func OpenLog(c configs.Log, fallback io.Writer) (*Log, error) {
	l := &Log{level: new(slog.LevelVar)}
	if err := l.SetLevel(c.Level); err != nil {
		return nil, err
	}
	out := fallback
	if c.File != "" {
		f, err := os.OpenFile(c.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("log.file: %w", err)
		}
		l.file, out = f, f
	}
	opts := &slog.HandlerOptions{Level: l.level, ReplaceAttr: redact}
	if c.Format == "json" {
		l.Logger = slog.New(slog.NewJSONHandler(out, opts))
	} else {
		l.Logger = slog.New(slog.NewTextHandler(out, opts))
	}
	return l, nil
}

// DiscardLog is a log that goes nowhere.
func DiscardLog() *Log {
	return &Log{Logger: slog.New(slog.DiscardHandler), level: new(slog.LevelVar)}
}

// SetLevel changes the level: debug, info, warn or error.
func (l *Log) SetLevel(name string) error {
	var lv slog.Level
	if err := lv.UnmarshalText([]byte(name)); err != nil {
		return fmt.Errorf("log.level: %w", err)
	}
	l.level.Set(lv)
	return nil
}

// Close closes the log's file.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// redact keeps secrets out of the log, whoever logs them.
func redact(_ []string, a slog.Attr) slog.Attr {
	key := strings.ToLower(a.Key)
	if slices.ContainsFunc(secretKeys, func(s string) bool { return strings.Contains(key, s) }) {
		return slog.String(a.Key, "[redacted]")
	}
	return a
}
